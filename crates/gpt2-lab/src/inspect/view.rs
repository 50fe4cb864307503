//! What one run over a text shows, gathered for the terminal and for the page.

use std::collections::BTreeMap;
use std::fmt::Write;

use bpe::{TokenId, Tokenizer};
use gpt2::{Activation, Model, ModelConfig};

use crate::inspect::InspectError;
use crate::inspect::intervention::in_range;
use crate::inspect::logits::{log_softmax, top_k};

/// A run over a text: its tokens, the activations of each block, and the prediction of the residual stream at each
/// depth.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The model's shape.
    pub config: ModelConfig,
    /// The text, one entry per token.
    pub tokens: Vec<TokenView>,
    /// The blocks, from the embeddings to the output.
    pub blocks: Vec<BlockView>,
    /// Logit lens: `[0]` is the prediction from the embeddings alone, `[N + 1]` that from the stream after block N,
    /// each through the final norm and the output projection; one cell per position. The last row is the model's own
    /// prediction.
    pub lens: Vec<Vec<LensCell>>,
}

/// A token of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenView {
    /// Its id.
    pub id: u32,
    /// Its text, [`readable`].
    pub text: String,
    /// Euclidean norm of its row of `wte`.
    pub token_norm: f32,
    /// Euclidean norm of its position's row of `wpe`.
    pub position_norm: f32,
    /// Euclidean norm of the sum of both.
    pub embed_norm: f32,
}

/// The activations of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockView {
    /// (H, T, T): head, query, key.
    pub pattern: Activation,
    /// (T): Euclidean norm of what attention adds at each position.
    pub attention_norms: Vec<f32>,
    /// (T): of the stream after that.
    pub resid_mid_norms: Vec<f32>,
    /// (T): of what the MLP adds.
    pub mlp_norms: Vec<f32>,
    /// (T): of the stream that goes to the next block.
    pub output_norms: Vec<f32>,
}

/// The prediction of the stream at one depth and position.
#[derive(Debug, Clone, PartialEq)]
pub struct LensCell {
    /// The most probable next tokens, most probable first.
    pub top: Vec<Prediction>,
    /// Probability of the token that does come next in the text; none at its end.
    pub next_probability: Option<f64>,
}

/// A possible next token.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its id.
    pub id: u32,
    /// Its text, [`readable`].
    pub text: String,
    /// From 0 to 1.
    pub probability: f64,
}

impl Inspection {
    /// Runs the model over `tokens`; each prediction lists `top` tokens.
    ///
    /// Time and memory are those of a forward pass, and of one more output projection for each block.
    ///
    /// # Panics
    /// As [`Model::trace`].
    pub fn new(model: &Model, tokenizer: &Tokenizer, tokens: &[u32], top: usize) -> Inspection {
        let config = model.config().clone();
        let mut norms_of = BTreeMap::new();
        let mut patterns = Vec::new();
        let mut lens = Vec::new();
        let outputs: Vec<String> = (0..config.layers).map(|layer| model.block_output(layer)).collect();
        let kept = ["wte", "wpe", "embed", "attn.out", "resid_mid", "mlp.out"];
        model.trace(tokens, |name, activation| {
            let is_output = outputs.iter().any(|output| output == name);
            if is_output || kept.iter().any(|end| name.ends_with(end)) {
                norms_of.insert(name.to_owned(), activation.rows().map(norm).collect::<Vec<f32>>());
            }
            if is_output || name == "embed" {
                lens.push(lens_row(model, tokenizer, activation, tokens, top));
            }
            if name.ends_with("attn.pattern") {
                patterns.push(activation.clone());
            }
        });
        let mut take = |name: &str| norms_of.remove(name).expect("the run passed every name");
        let (token_norms, position_norms, embed_norms) = (take("wte"), take("wpe"), take("embed"));
        let token = |(at, &id): (usize, &u32)| TokenView {
            id,
            text: readable(tokenizer, id),
            token_norm: token_norms[at],
            position_norm: position_norms[at],
            embed_norm: embed_norms[at],
        };
        let tokens = tokens.iter().enumerate().map(token).collect();
        let block = |(layer, pattern): (usize, Activation)| BlockView {
            pattern,
            attention_norms: take(&format!("blocks.{layer}.attn.out")),
            resid_mid_norms: take(&format!("blocks.{layer}.resid_mid")),
            mlp_norms: take(&format!("blocks.{layer}.mlp.out")),
            output_norms: take(&outputs[layer]),
        };
        let blocks = patterns.into_iter().enumerate().map(block).collect();
        Inspection { config, tokens, blocks, lens }
    }

    /// Checks that a layer, a head and a position exist.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, layer: Option<usize>, head: Option<usize>, position: usize) -> Result<(), InspectError> {
        layer.map_or(Ok(()), |layer| in_range("layer", layer, self.config.layers))?;
        head.map_or(Ok(()), |head| in_range("head", head, self.config.heads))?;
        in_range("position", position, self.tokens.len())
    }

    /// The attention of one query (T): what it takes from each key.
    pub(crate) fn attention(&self, layer: usize, head: usize, query: usize) -> &[f32] {
        let t = self.tokens.len();
        &self.blocks[layer].pattern.data[(head * t + query) * t..][..t]
    }
}

/// A token in a readable form: spaces as `␣`, line ends as `⏎`, bytes outside of characters as `<e4>`.
///
/// Ids that the tokenizer does not have are shown by number.
pub fn readable(tokenizer: &Tokenizer, id: u32) -> String {
    if id as usize >= tokenizer.vocab_size() {
        return format!("<id {id}>");
    }
    let mut text = String::new();
    for chunk in tokenizer.token(TokenId(id)).utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                ' ' => text.push('␣'),
                '\n' => text.push('⏎'),
                '\t' => text.push('⇥'),
                char if char.is_control() => text.extend(char.escape_default()),
                char => text.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| write!(text, "<{byte:02x}>").expect("a string takes all"));
    }
    text
}

fn lens_row(model: &Model, tokenizer: &Tokenizer, stream: &Activation, tokens: &[u32], top: usize) -> Vec<LensCell> {
    let cell = |(at, logits): (usize, &[f32])| {
        let log_probabilities = log_softmax(logits);
        let probability = |id: u32| log_probabilities[id as usize].exp();
        let prediction = |id| Prediction { id, text: readable(tokenizer, id), probability: probability(id) };
        LensCell {
            top: top_k(&log_probabilities, top).into_iter().map(prediction).collect(),
            next_probability: tokens.get(at + 1).map(|&next| probability(next)),
        }
    };
    model.logit_lens(&stream.data).chunks(model.config().vocab_size).enumerate().map(cell).collect()
}

/// Euclidean norm.
fn norm(x: &[f32]) -> f32 {
    x.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_of_the_lens_is_the_prediction() {
        for config in [ModelConfig::gpt1(2, 2, 8, 6, 300), ModelConfig::gpt2(2, 2, 8, 6, 300)] {
            let model = Model::new(&config, 1);
            let tokens = [72, 105, 33];
            let inspection = Inspection::new(&model, &Tokenizer::bytes_only(), &tokens, 4);
            let logits = model.trace(&tokens, |_, _| ());
            assert_eq!(inspection.lens.len(), 3);
            for (cell, logits) in inspection.lens[2].iter().zip(logits.rows()) {
                let ids: Vec<u32> = cell.top.iter().map(|prediction| prediction.id).collect();
                assert_eq!(ids, top_k(&log_softmax(logits), 4));
            }
            assert!(
                inspection.lens[0][1].next_probability.is_some() && inspection.lens[0][2].next_probability.is_none()
            );
        }
    }

    #[test]
    fn every_id_is_legible() {
        let gpt2 = Tokenizer::gpt2();
        let byte = gpt2.id_of_byte(0xe4).0;
        for (id, expected) in [(464, "The"), (262, "␣the"), (198, "⏎"), (byte, "<e4>"), (50300, "<id 50300>")] {
            assert_eq!(readable(&gpt2, id), expected);
        }
    }
}
