//! The attention of all heads as an SVG file: a map for each head, a row of maps for each block.

use std::fmt::Write;

use console::escape_html;

use crate::inspect::Inspection;

/// Side of a cell, in pixels.
const CELL: usize = 14;
/// Space for the tokens at the left of a map and above it.
const LABELS: usize = 64;
const GAP: usize = 24;
/// More tokens make no picture that can be read.
const MAX_TOKENS: usize = 64;

impl Inspection {
    /// A heat map for each head: a line per query, a column per key, the darker the more a query attends to a key.
    /// Of a long text only the first 64 tokens.
    pub fn attention_svg(&self) -> String {
        let t = self.tokens.len().min(MAX_TOKENS);
        let side = LABELS + t * CELL + GAP;
        let (width, height) = (self.config.heads * side, self.config.layers * side);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"10\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        for layer in 0..self.config.layers {
            for head in 0..self.config.heads {
                let _ = writeln!(svg, "<g transform=\"translate({},{})\">", head * side, layer * side);
                self.map(&mut svg, (layer, head), t);
                svg.push_str("</g>\n");
            }
        }
        svg + "</svg>\n"
    }

    fn map(&self, svg: &mut String, (layer, head): (usize, usize), t: usize) {
        let _ = writeln!(svg, "<text x=\"4\" y=\"14\" font-weight=\"bold\">head {layer}.{head}</text>");
        for (at, token) in self.tokens.iter().take(t).enumerate() {
            let (text, place) = (escape_html(&token.text), LABELS + at * CELL + CELL - 4);
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{place}\" text-anchor=\"end\">{text}</text>", LABELS - 4);
            let above = LABELS - 4;
            let _ = writeln!(svg, "<text transform=\"translate({place},{above}) rotate(-60)\">{text}</text>");
        }
        for query in 0..t {
            for (key, weight) in self.attention(layer, head, query)[..=query].iter().enumerate() {
                let (x, y) = (LABELS + key * CELL, LABELS + query * CELL);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"13\" height=\"13\" fill=\"#1f4e8c\" fill-opacity=\"{weight:.2}\"/>"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bpe::Tokenizer;
    use gpt2::{Model, ModelConfig};

    use super::*;

    #[test]
    fn a_map_has_a_cell_for_each_pair() {
        let model = Model::new(&ModelConfig::gpt2(2, 2, 8, 8, 50257), 1);
        let tokenizer = Tokenizer::gpt2();
        let svg = Inspection::new(&model, &tokenizer, &crate::encode(&tokenizer, "a <b> c"), 3).attention_svg();
        let tokens = crate::encode(&tokenizer, "a <b> c").len();
        assert_eq!(svg.matches("fill-opacity").count(), 4 * tokens * (tokens + 1) / 2);
        assert!(svg.contains("␣&lt;") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
