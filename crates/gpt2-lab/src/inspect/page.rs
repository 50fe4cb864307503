//! An inspection as one HTML page that needs nothing else: `page.html` with the data inside.

use std::path::Path;

use data_encoding::BASE64;
use gpt2::Family;
use serde_json::{Value, json};

use crate::inspect::view::{BlockView, LensCell};
use crate::inspect::{InspectError, Inspection};

/// The page; its script reads the data at this marker.
const TEMPLATE: &str = include_str!("page.html");
const DATA: &str = "/*data*/";
/// Attention that a page may hold. Browsers stay quick with this much.
const MAX_ATTENTION_MEBIBYTES: usize = 48;

impl Inspection {
    /// The page.
    ///
    /// # Errors
    /// The text is so long that the attention patterns of all heads would make no usable page.
    pub fn page(&self) -> Result<String, InspectError> {
        let t = self.tokens.len();
        let bytes = self.config.layers * self.config.heads * t * (t + 1) / 2;
        let mebibytes = bytes.div_ceil(1 << 20);
        if mebibytes > MAX_ATTENTION_MEBIBYTES {
            return Err(InspectError::PageTooLarge { tokens: t, mebibytes, max: MAX_ATTENTION_MEBIBYTES });
        }
        // JSON in a script element may hold anything but that element's end tag.
        Ok(TEMPLATE.replacen(DATA, &self.data().to_string().replace('<', "\\u003c"), 1))
    }

    fn data(&self) -> Value {
        let config = &self.config;
        let tokens = self.tokens.iter().map(|token| {
            let norms = [token.token_norm, token.position_norm, token.embed_norm].map(rounded);
            json!({"id": token.id, "text": token.text, "norms": norms})
        });
        json!({
            "family": if config.family == Family::Gpt1 { "GPT-1" } else { "GPT-2" },
            "layers": config.layers, "heads": config.heads, "channels": config.channels,
            "tokens": tokens.collect::<Vec<_>>(),
            "attention": self.blocks.iter().map(|block| heads(block, self.tokens.len())).collect::<Vec<_>>(),
            "norms": self.blocks.iter().map(norms).collect::<Vec<_>>(),
            "lens": self.lens.iter().map(|row| row.iter().map(cell).collect()).collect::<Vec<Vec<Value>>>(),
        })
    }
}

/// Writes a page to a file that appears whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_page(path: &Path, page: &str) -> Result<(), atomic_file::Error> {
    atomic_file::write(path, page.as_bytes()).map(|_| ())
}

/// The patterns of a block's heads, in Base64: one byte per weight, in 1/255; of each query only its past.
fn heads(block: &BlockView, t: usize) -> Vec<String> {
    let byte = |&weight: &f32| (255.0 * weight).round() as u8;
    let past = |(query, weights): (usize, &[f32])| weights[..=query].iter().map(byte).collect::<Vec<u8>>();
    block
        .pattern
        .data
        .chunks(t * t)
        .map(|head| BASE64.encode(&head.chunks(t).enumerate().flat_map(past).collect::<Vec<u8>>()))
        .collect()
}

fn norms(block: &BlockView) -> Value {
    let list = |norms: &[f32]| norms.iter().copied().map(rounded).collect::<Vec<f64>>();
    json!({
        "attention": list(&block.attention_norms), "resid_mid": list(&block.resid_mid_norms),
        "mlp": list(&block.mlp_norms), "output": list(&block.output_norms),
    })
}

fn cell(cell: &LensCell) -> Value {
    let share = |probability: f64| (probability * 1e5).round() / 1e5;
    let top = cell.top.iter().map(|prediction| json!([prediction.text, share(prediction.probability), prediction.id]));
    json!({"top": top.collect::<Vec<_>>(), "next": cell.next_probability.map(share)})
}

/// Four places after the point are enough to look at.
fn rounded(x: f32) -> f64 {
    (f64::from(x) * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use bpe::Tokenizer;
    use gpt2::{Model, ModelConfig};

    use super::*;

    fn inspect(text: &str) -> Inspection {
        let tokenizer = Tokenizer::bytes_only();
        let model = Model::new(&ModelConfig::gpt2(2, 2, 8, 40, 300), 1);
        let tokens: Vec<u32> = text.bytes().map(|byte| tokenizer.id_of_byte(byte).0).collect();
        Inspection::new(&model, &tokenizer, &tokens, 3)
    }

    #[test]
    fn the_page_holds_its_data_and_asks_for_nothing() {
        let inspection = inspect("</script><b>");
        let page = inspection.page().unwrap();
        assert!(!page.contains(DATA) && !page.contains("src=") && !page.contains("http"));
        let data = page.split_once("type=\"application/json\">").unwrap().1.split_once("</script>").unwrap().0;
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data, inspection.data());
        assert_eq!(data["tokens"][0]["text"], "<");
    }

    #[test]
    fn attention_is_a_byte_a_weight_of_the_past() {
        let inspection = inspect("abc");
        let bytes = BASE64.decode(inspection.data()["attention"][1][0].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!((bytes.len(), bytes[0]), (6, 255));
        assert!((i32::from(bytes[1]) + i32::from(bytes[2]) - 255).abs() <= 1);
    }
}
