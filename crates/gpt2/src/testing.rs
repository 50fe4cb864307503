//! Models for tests.

use crate::config::ModelConfig;
use crate::model::Model;
use crate::random::{Stream, normal};

/// A model with noise of this deviation on every weight, so that norms and biases, which begin as 1 and 0, matter too.
pub(crate) fn perturbed(config: &ModelConfig, deviation: f32) -> Model {
    let mut model = Model::new(config, 3);
    for (i, weight) in model.weights.iter_mut().enumerate() {
        *weight += deviation * normal(5, Stream::WEIGHTS, i as u64);
    }
    model
}

/// Logits (V) after the last of `tokens`, by the readable pass.
pub(crate) fn traced_logits(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let logits = model.trace(tokens, |_, _| ());
    logits.rows().next_back().expect("a token").to_vec()
}
