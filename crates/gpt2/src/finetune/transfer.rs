//! The model that is fine-tuned: what is taken over from a trained one, with three tokens more.

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::finetune::inputs::Specials;
use crate::model::Model;

/// What a fine-tuning takes over from a trained model; everything else gets fresh weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transfer {
    /// All of it.
    #[default]
    All,
    /// The embeddings and the first so many blocks (the paper's Figure 2): 0 for the embeddings alone.
    Layers(usize),
    /// Nothing: a model of the same shape, to see what the pre-training is worth.
    Nothing,
}

/// A model of `base`'s shape with room for [`Specials`] at the end of its vocabulary.
///
/// # Panics
/// If more layers are to be taken over than there are.
pub(crate) fn transfer(base: &Model, transfer: Transfer, seed: u64) -> Model {
    let config = ModelConfig { vocab_size: base.config().vocab_size + Specials::COUNT, ..base.config().clone() };
    let mut model = Model::new(&config, seed);
    let layers = match transfer {
        Transfer::Nothing => return model,
        Transfer::Layers(layers) => layers,
        Transfer::All => config.layers,
    };
    assert!(layers <= config.layers, "{layers} of {} layers", config.layers);
    let (from, to) = (base.layout().clone(), model.layout().clone());
    let mut copy = |from: std::ops::Range<usize>, start: usize| {
        model.weights[start..start + from.len()].copy_from_slice(&base.weights[from]);
    };
    copy(from.wte, to.wte.start); // the rows after it are the new tokens'
    copy(from.wpe, to.wpe.start);
    for (from, to) in from.blocks.iter().zip(&to.blocks).take(layers) {
        copy(from.ln_1.weight.start..from.mlp_c_proj.bias.end, to.ln_1.weight.start);
    }
    // The final norm was trained for what the last block gives.
    if let (Some(from), Some(to), true) = (from.ln_f, to.ln_f, layers == config.layers) {
        copy(from.weight.start..from.bias.end, to.weight.start);
    }
    model
}

#[cfg(test)]
mod tests {
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
                        model.weights[tensor.range.clone()].to_vec()
                    };
                    tensor(&model).starts_with(&tensor(&base))
                };
                let names =
                    [&base.tensors()[0].name, "h.0.mlp.c_proj.weight", "h.1.attn.c_attn.weight", "h.2.mlp.c_fc.weight"];
                assert_eq!(names.map(same), expected, "{kind:?}");
            };
            check(Transfer::All, [true; 4]);
            check(Transfer::Layers(2), [true, true, true, false]);
            check(Transfer::Layers(0), [true, false, false, false]);
            check(Transfer::Nothing, [false; 4]);
        }
    }
}
