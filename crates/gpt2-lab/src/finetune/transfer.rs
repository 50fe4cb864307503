//! The model that is fine-tuned: a trained one, or part of it, with three more tokens.

use gpt2::Model;
use serde::{Deserialize, Serialize};

use crate::finetune::inputs::SpecialTokens;

/// What a fine-tuning takes over from a trained model; everything else gets fresh weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transfer {
    /// All of it.
    #[default]
    All,
    /// The embeddings and this many of the first blocks, as in the paper's Figure 2; 0 for the embeddings alone.
    #[serde(rename = "layers")]
    Blocks(usize),
    /// Nothing: a model of the same shape with fresh weights, to compare with.
    Nothing,
}

/// A model of `base`'s shape with room for [`SpecialTokens`] at the end of its vocabulary.
///
/// # Panics
/// If more blocks are to be taken over than there are.
pub(crate) fn transfer(base: &Model, transfer: Transfer, seed: u64) -> Model {
    let mut config = base.config().clone();
    config.vocab_size += SpecialTokens::COUNT;
    let mut model = Model::new(&config, seed);
    let blocks = match transfer {
        Transfer::Nothing => return model,
        Transfer::Blocks(blocks) => blocks,
        Transfer::All => config.layers,
    };
    assert!(blocks <= config.layers, "{blocks} of {} blocks", config.layers);
    let is_taken_over = |name: &str| match block_of(name) {
        Some(block) => block < blocks,
        // The final norm was trained for the output of the last block.
        None => !name.starts_with("ln_f") || blocks == config.layers,
    };
    let starts: Vec<usize> = model.tensors().iter().map(|tensor| tensor.range.start).collect();
    for (from, start) in base.tensors().iter().zip(starts).filter(|(from, _)| is_taken_over(&from.name)) {
        // Of the token embeddings these are the first rows; those of the new tokens follow.
        model.weights_mut()[start..start + from.range.len()].copy_from_slice(&base.weights()[from.range.clone()]);
    }
    model
}

/// The block of a parameter: 3 of `h.3.ln_1.weight`.
fn block_of(name: &str) -> Option<usize> {
    name.strip_prefix("h.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use gpt2::ModelConfig;

    use super::*;

    #[test]
    fn only_what_was_asked_for_is_taken_over() {
        for config in [ModelConfig::gpt2(3, 2, 4, 5, 7), ModelConfig::gpt1(3, 2, 4, 5, 7)] {
            let base = Model::new(&config, 1);
            let check = |kind, expected: [bool; 4]| {
                let model = transfer(&base, kind, 2);
                assert_eq!(model.config().vocab_size, 10);
                let same = |name: &str| {
                    let tensor = |model: &Model| {
                        let tensor = model.tensors().iter().find(|t| t.name.ends_with(name)).unwrap();
                        model.weights()[tensor.range.clone()].to_vec()
                    };
                    tensor(&model).starts_with(&tensor(&base))
                };
                let names =
                    [&base.tensors()[0].name, "h.0.mlp.c_proj.weight", "h.1.attn.c_attn.weight", "h.2.mlp.c_fc.weight"];
                assert_eq!(names.map(same), expected, "{kind:?}");
            };
            check(Transfer::All, [true; 4]);
            check(Transfer::Blocks(2), [true, true, true, false]);
            check(Transfer::Blocks(0), [true, false, false, false]);
            check(Transfer::Nothing, [false; 4]);
        }
    }
}
