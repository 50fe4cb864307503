//! An inspection as text for the terminal, a section per step of the forward pass: 80 columns wide, but for the map
//! of a head over a long text.

use std::fmt::Write;
use std::ops::Range;

use bpe::Tokenizer;
use console::count;
use gpt2::Family;

use crate::inspect::view::Prediction;
use crate::inspect::{Effect, Inspection, readable};

/// Cells of the strip that shows which tokens a head attends to; in longer texts tokens share cells.
const STRIP: usize = 28;
/// Keys of a head's map, one or two columns each; of a longer text the last.
const MAP_KEYS: usize = 64;
/// Cells of the longest bar.
const BAR: usize = 18;

/// What the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalOptions {
    /// Only this block, and the lens after it at every position.
    pub layer: Option<usize>,
    /// Only this head, and in one block its whole map.
    pub head: Option<usize>,
    /// The token whose attention, norms and predictions are shown.
    pub position: usize,
    /// Escape sequences for colour.
    pub colour: bool,
}

impl Inspection {
    /// The sections, in the order of the forward pass: tokens, attention, norms, logit lens, prediction.
    ///
    /// # Panics
    /// If layer, head or position do not exist; see [`Inspection::check`].
    pub fn sections(&self, options: &TerminalOptions) -> Vec<String> {
        let palette = Palette { colour: options.colour };
        let mut sections = vec![self.tokens_section(options, palette), self.attention_section(options, palette)];
        if let (Some(layer), Some(head)) = (options.layer, options.head) {
            sections.push(self.map_section(layer, head, options.position, palette));
        }
        sections.push(self.norms_section(options, palette));
        sections.push(match options.layer {
            Some(layer) => self.lens_of_layer(layer, options.position, palette),
            None => self.lens_section(options.position, palette),
        });
        sections.push(self.prediction_section(options.position, palette));
        sections
    }

    fn tokens_section(&self, options: &TerminalOptions, palette: Palette) -> String {
        let config = &self.config;
        let family = if config.family == Family::Gpt1 { "GPT-1" } else { "GPT-2" };
        let mut out = palette.title(&format!(
            "{family}: {}, {}, {}; {}",
            count(config.layers as u64, "layer"),
            count(config.heads as u64, "head"),
            count(config.channels as u64, "channel"),
            count(self.tokens.len() as u64, "token")
        ));
        let head = format!(
            "  index {:>6}  {:<16}{:>8} {:>8} {:>8}   {}",
            "id", "token", "|wte|", "|wpe|", "|embed|", "predicts"
        );
        let _ = writeln!(out, "{}", palette.faint(&head));
        for (at, token) in self.tokens.iter().enumerate() {
            let best = &self.lens[self.lens.len() - 1][at].top[0];
            let mark = if at == options.position { palette.strong("▸") } else { " ".to_owned() };
            let _ = writeln!(
                out,
                "{mark}{at:>6} {:>6}  {}{:>8.3} {:>8.3} {:>8.3}   {} {}",
                token.id,
                column(&token.text, 16),
                token.token_norm,
                token.position_norm,
                token.embed_norm,
                column(&best.text, 12),
                percent(best.probability),
            );
        }
        out
    }

    /// A line per head: its attention at the position, and its mean behaviour.
    fn attention_section(&self, options: &TerminalOptions, palette: Palette) -> String {
        let position = options.position;
        let mut out = palette.title(&format!("Attention of {}", self.at(position)));
        let cells = position.min(STRIP - 1) + 1;
        let note = if cells <= position { ", several per cell" } else { "" };
        let keys = column(&format!("keys 0–{position}{note}"), STRIP + 2);
        let _ = writeln!(out, "{}", palette.faint(&format!("  head   {keys}{:<19}   first  prev  self", "argmax")));
        for layer in chosen(options.layer, self.config.layers) {
            for head in chosen(options.head, self.config.heads) {
                let weights = &self.attention(layer, head, position)[..=position];
                let strip: String =
                    buckets(position + 1, cells).map(|keys| palette.shade(weights[keys].iter().sum())).collect();
                let argmax = (0..=position).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
                let [first, previous, own] = self.habits(layer, head);
                let _ = writeln!(
                    out,
                    "{:>6}   {strip}{}  {} {:>4}   {} {} {}",
                    format!("{layer}.{head}"),
                    " ".repeat(STRIP - cells),
                    column(&format!("{argmax} {}", self.tokens[argmax].text), 14),
                    percent(weights[argmax].into()).trim_start(),
                    percent(first),
                    percent(previous),
                    percent(own),
                );
            }
        }
        let legend = format!("  {}\n  first, prev, self: a head's mean share over all queries", palette.legend());
        let _ = writeln!(out, "{}", palette.faint(&legend));
        out
    }

    /// The mean weight that a head gives to the first token, to the one before the query, and to the query.
    fn habits(&self, layer: usize, head: usize) -> [f64; 3] {
        let t = self.tokens.len();
        let mut sums = [0.0; 3];
        for query in 0..t {
            let weights = self.attention(layer, head, query);
            let previous = query.checked_sub(1).map_or(0.0, |at| weights[at]);
            for (sum, weight) in sums.iter_mut().zip([weights[0], previous, weights[query]]) {
                *sum += f64::from(weight) / t as f64;
            }
        }
        sums
    }

    /// A head's whole map, a line per query.
    fn map_section(&self, layer: usize, head: usize, position: usize, palette: Palette) -> String {
        let t = self.tokens.len();
        let first = t.saturating_sub(MAP_KEYS);
        let repeat = if t - first <= 24 { 2 } else { 1 };
        let mut out = palette.title(&format!("Head {layer}.{head}: a line per query, a column per key"));
        if first > 0 {
            let _ = writeln!(out, "{}", palette.faint(&format!("  the last {MAP_KEYS} keys; argmax over all")));
        }
        for query in 0..t {
            let weights = self.attention(layer, head, query);
            let row: String = (first..t)
                .map(|key| if key <= query { palette.shade(weights[key]).repeat(repeat) } else { " ".repeat(repeat) })
                .collect();
            let argmax = (0..=query).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
            let mark = if query == position { palette.strong("▸") } else { " ".to_owned() };
            let _ = writeln!(
                out,
                "{mark}{query:>4} {}│{row}│ {argmax} {} {}",
                column(&self.tokens[query].text, 10),
                self.tokens[argmax].text,
                percent(weights[argmax].into()).trim_start(),
            );
        }
        let _ = writeln!(out, "{}", palette.faint(&format!("  {}", palette.legend())));
        out
    }

    fn norms_section(&self, options: &TerminalOptions, palette: Palette) -> String {
        let position = options.position;
        let mut out = palette.title(&format!("Norms of the residual stream at {}", self.at(position)));
        let head = format!("{:11}{:>11} {:>11} {:>11} {:>11}", "", "attn.out", "resid_mid", "mlp.out", "stream");
        let _ = writeln!(out, "{}", palette.faint(&head));
        let embed = self.tokens[position].embed_norm;
        let longest = self.blocks.iter().map(|block| block.output_norms[position]).fold(embed, f32::max);
        if options.layer.is_none() {
            let _ = writeln!(out, "  embed    {embed:>47.3}   {}", palette.bar(embed / longest));
        }
        for layer in chosen(options.layer, self.config.layers) {
            let block = &self.blocks[layer];
            let [attention, resid_mid, mlp, output] =
                [&block.attention_norms, &block.resid_mid_norms, &block.mlp_norms, &block.output_norms]
                    .map(|norms| norms[position]);
            let _ = writeln!(
                out,
                "  block {layer:<3}{attention:>11.3} {resid_mid:>11.3} {mlp:>11.3} {output:>11.3}   {}",
                palette.bar(output / longest),
            );
        }
        out
    }

    /// What each depth predicts after one position.
    fn lens_section(&self, position: usize, palette: Palette) -> String {
        let mut out = palette.title(&format!("Logit lens after {}", self.at(position)));
        for (depth, row) in self.lens.iter().enumerate() {
            let name = depth.checked_sub(1).map_or("embed".to_owned(), |layer| format!("block {layer}"));
            let _ = writeln!(out, "  {name:<10}{}", lens_line(&row[position].top, 4, palette));
        }
        out
    }

    /// What one depth predicts after each position.
    fn lens_of_layer(&self, layer: usize, position: usize, palette: Palette) -> String {
        let mut out = palette.title(&format!("Logit lens after block {layer}, a line per position"));
        for (at, cell) in self.lens[layer + 1].iter().enumerate() {
            let mark = if at == position { palette.strong("▸") } else { " ".to_owned() };
            let _ = writeln!(
                out,
                "{mark}{at:>4} {}{}",
                column(&self.tokens[at].text, 11),
                lens_line(&cell.top, 3, palette)
            );
        }
        out
    }

    fn prediction_section(&self, position: usize, palette: Palette) -> String {
        let mut out = palette.title(&format!("Next token after {}", self.at(position)));
        let cell = &self.lens[self.lens.len() - 1][position];
        for Prediction { id, text, probability } in &cell.top {
            let bar = palette.bar(*probability as f32);
            let _ = writeln!(out, "  {id:>6}  {}{}  {bar}", column(text, 24), percent(*probability));
        }
        if let (Some(probability), Some(next)) = (cell.next_probability, self.tokens.get(position + 1)) {
            let share = percent(probability);
            let note = format!("  the text goes on with {}, {}", next.text, share.trim_start());
            let _ = writeln!(out, "{}", palette.faint(&note));
        }
        out
    }

    fn at(&self, position: usize) -> String {
        format!("{} at position {position}", self.tokens[position].text)
    }
}

impl Effect {
    /// The comparison as a table of 80 columns.
    pub fn table(&self, tokenizer: &Tokenizer, colour: bool) -> String {
        let palette = Palette { colour };
        let mut out = palette.title(&format!("Effect on the token after position {}", self.position));
        let head = format!("{:>8}  {:<22} {:>9}  {:>9}  {:>12}", "id", "token", "before", "after", "Δ ln p");
        let _ = writeln!(out, "{}", palette.faint(&head));
        for row in &self.rows {
            let change = row.after - row.before;
            let mark = if row.id == self.target.id { palette.strong("▸") } else { " ".to_owned() };
            let text = column(&readable(tokenizer, row.id), 22);
            let [before, after] = [row.before, row.after].map(|ln| fine_percent(ln.exp()));
            let _ = writeln!(out, "{mark}{:>7}  {text} {before:>9}  {after:>9}  {}", row.id, palette.signed(change));
        }
        let target = readable(tokenizer, self.target.id);
        let (before, after) = (self.target.before, self.target.after);
        let _ = writeln!(out, "\n  ln p of {target}: {before:.4} → {after:.4} ({:+.4})", after - before);
        let _ = writeln!(
            out,
            "  D(before ‖ after): {:.4} nats here, {:.4} on average over the text",
            self.divergence_nats, self.mean_divergence_nats
        );
        out
    }
}

fn lens_line(top: &[Prediction], max: usize, palette: Palette) -> String {
    let item = |(rank, prediction): (usize, &Prediction)| {
        let text = format!("{}{} ", column(&prediction.text, 11), percent(prediction.probability));
        if rank == 0 { text } else { palette.faint(&text) }
    };
    top.iter().take(max).enumerate().map(item).collect()
}

/// One, or all below `len`.
fn chosen(one: Option<usize>, len: usize) -> Range<usize> {
    one.map_or(0..len, |one| one..one + 1)
}

/// `len` items in `cells` groups of nearly the same size.
fn buckets(len: usize, cells: usize) -> impl Iterator<Item = Range<usize>> {
    (0..cells).map(move |cell| cell * len / cells..(cell + 1) * len / cells)
}

/// A text cut or filled up to a width, with a space after it.
fn column(text: &str, width: usize) -> String {
    let long = text.chars().count() >= width;
    let kept: String = text.chars().take(if long { width - 2 } else { width }).collect();
    let kept = if long { kept + "…" } else { kept };
    format!("{kept:<width$}")
}

/// A share in five columns.
fn percent(share: f64) -> String {
    if share >= 0.0995 { format!("{:>4.0}%", 100.0 * share) } else { format!("{:>4.1}%", 100.0 * share) }
}

/// A share to be compared with another.
fn fine_percent(share: f64) -> String {
    format!("{:.3}%", 100.0 * share)
}

/// Writes with or without escape sequences.
#[derive(Clone, Copy)]
struct Palette {
    colour: bool,
}

/// Weights from which a cell is darker, and its colour (256-colour palette) for light and dark grounds.
const SHADES: [(f32, &str, u8); 5] =
    [(0.0, "·", 245), (0.05, "░", 38), (0.15, "▒", 38), (0.35, "▓", 32), (0.65, "█", 32)];

impl Palette {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(self, text: &str) -> String {
        format!("{}\n", self.paint("1", text))
    }

    fn strong(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A cell for an attention weight.
    fn shade(self, weight: f32) -> String {
        let &(_, cell, colour) = SHADES.iter().rev().find(|shade| weight >= shade.0).unwrap_or(&SHADES[0]);
        self.paint(&format!("38;5;{colour}"), cell)
    }

    fn legend(self) -> String {
        let item = |&(min, cell, _): &(f32, &str, u8)| format!("{cell} from {:.0}%", 100.0 * min);
        SHADES.iter().map(item).collect::<Vec<_>>().join("  ")
    }

    /// A bar for a share from 0 to 1.
    fn bar(self, share: f32) -> String {
        let eighths = (share * BAR as f32 * 8.0).round().max(0.0) as usize;
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        self.paint("38;5;32", &format!("{}{}", "█".repeat(eighths / 8), parts[eighths % 8]))
    }

    fn signed(self, change: f64) -> String {
        let text = format!("{change:>+12.4}");
        if change < 0.0 { self.paint("31", &text) } else { self.paint("32", &text) }
    }
}

#[cfg(test)]
mod tests {
    use gpt2::{Model, ModelConfig};

    use super::*;

    fn sections(options: &TerminalOptions, tokens: &[u32]) -> String {
        let model = Model::new(&ModelConfig::gpt2(12, 2, 8, 200, 300), 1);
        Inspection::new(&model, &Tokenizer::bytes_only(), tokens, 5).sections(options).join("\n")
    }

    #[test]
    fn without_colour_it_is_plain_and_fits_80_columns() {
        let tokens: Vec<u32> = (0..60).map(|i| 40 + i % 60).collect();
        let text = sections(&TerminalOptions { position: 59, ..TerminalOptions::default() }, &tokens);
        assert!(!text.contains('\x1b'));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("block 11") && text.contains("Logit lens"));
    }

    #[test]
    fn one_head_has_its_map() {
        let text = sections(&TerminalOptions { layer: Some(1), head: Some(0), ..Default::default() }, &[72, 105, 33]);
        assert!(text.contains("Head 1.0") && !text.contains("Head 0.0"));
        // The first query sees only itself.
        assert!(text.contains("│██    │ 0 "), "{text}");
    }

    #[test]
    fn columns_have_their_width() {
        for text in ["", "short", "exactly 10", "much longer than ten"] {
            assert_eq!(column(text, 10).chars().count(), 10, "{text}");
        }
        assert_eq!(buckets(10, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..10]);
    }
}
