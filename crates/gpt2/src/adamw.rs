//! AdamW (Loshchilov and Hutter 2019): Adam with decay that is no part of the gradient.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::{Gradients, Model};
use crate::ops::{sum_by, vectorised};

/// The first constant of both papers, and PyTorch's ε.
const BETA_1: f32 = 0.9;
const EPSILON: f32 = 1e-8;
/// The second constant: the GPT-3 paper's, for pre-training.
pub(crate) const BETA_2_QUICK: f32 = 0.95;
/// Adam's own, which the GPT-1 paper's code keeps: a fine-tuning is too short for a quicker second moment.
pub(crate) const BETA_2_SLOW: f32 = 0.999;
/// Weights of a task; fixed, so that the gradient's norm has one value.
const CHUNK: usize = 1 << 14;

/// The moments of all weights, in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    /// Updates done before.
    pub(crate) step: u64,
    pub(crate) learning_rate: f32,
    pub(crate) beta_2: f32,
    /// Matrices lose `learning_rate · weight_decay` of themselves; norms and biases nothing.
    pub(crate) weight_decay: f32,
    /// The gradient is multiplied by this: what cuts its norm, and the mean over several passes.
    pub(crate) gradient_scale: f32,
}

impl AdamW {
    pub(crate) fn new(parameters: usize) -> AdamW {
        AdamW { first: vec![0.0; parameters], second: vec![0.0; parameters] }
    }

    /// Moves the model's weights.
    pub(crate) fn update_model(&mut self, model: &mut Model, gradients: &Gradients, update: Update) {
        let tensors: Vec<_> =
            model.tensors().iter().map(|tensor| (tensor.range.clone(), tensor.is_decayed())).collect();
        for (range, is_decayed) in tensors {
            self.update(&mut model.weights, &gradients.0, range, is_decayed, update);
        }
    }

    /// Moves the weights of a range, a tensor's.
    pub(crate) fn update(
        &mut self,
        weights: &mut [f32],
        gradients: &[f32],
        range: Range<usize>,
        is_decayed: bool,
        update: Update,
    ) {
        let Update { step, learning_rate, beta_2, weight_decay, gradient_scale } = update;
        let steps_done = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let (unbias_1, unbias_2) = (1.0 / (1.0 - BETA_1.powi(steps_done)), 1.0 / (1.0 - beta_2.powi(steps_done)));
        let keep = 1.0 - if is_decayed { learning_rate * weight_decay } else { 0.0 };
        let rate = learning_rate * unbias_1;
        let moments =
            self.first[range.clone()].par_chunks_mut(CHUNK).zip(self.second[range.clone()].par_chunks_mut(CHUNK));
        let weights = weights[range.clone()].par_chunks_mut(CHUNK).zip(gradients[range].par_chunks(CHUNK));
        weights.zip(moments).for_each(|((weights, gradients), (first, second))| {
            let moments = first.iter_mut().zip(second);
            vectorised(|| {
                for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradients).zip(moments) {
                    let gradient = gradient * gradient_scale;
                    *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                    *second = beta_2 * *second + (1.0 - beta_2) * gradient * gradient;
                    *weight = *weight * keep - rate * *first / ((*second * unbias_2).sqrt() + EPSILON);
                }
            });
        });
    }
}

/// Euclidean norm of all gradients together.
pub(crate) fn norm(gradients: &[&[f32]]) -> f32 {
    let squares = |chunk: &[f32]| vectorised(|| sum_by(chunk.len(), |i| chunk[i] * chunk[i]));
    let sums = |buffer: &&[f32]| buffer.par_chunks(CHUNK).map(squares).collect::<Vec<f32>>();
    gradients.iter().flat_map(sums).map(f64::from).sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    /// The update as the paper's algorithm 2 has it, for one weight.
    fn twin(weight: f64, gradients: &[f64], learning_rate: f64, decay: f64) -> f64 {
        let (mut w, mut m, mut v) = (weight, 0.0, 0.0);
        for (t, g) in gradients.iter().enumerate() {
            (m, v) = (0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g);
            let (hat_m, hat_v) = (m / (1.0 - 0.9f64.powi(t as i32 + 1)), v / (1.0 - 0.95f64.powi(t as i32 + 1)));
            w -= learning_rate * (hat_m / (hat_v.sqrt() + 1e-8) + decay * w);
        }
        w
    }

    #[test]
    fn updates_are_those_of_the_paper() {
        let mut model = Model::new(&ModelConfig::gpt2(1, 1, 4, 3, 5), 2);
        let before = model.weights.clone();
        let mut optimiser = AdamW::new(model.parameters());
        let steps: [f64; 3] = [0.5, -0.25, 1.0];
        for (step, &gradient) in steps.iter().enumerate() {
            let gradients = Gradients(vec![2.0 * gradient as f32; before.len()]);
            let (step, beta_2) = (step as u64, BETA_2_QUICK);
            let update = Update { step, learning_rate: 0.01, beta_2, weight_decay: 0.1, gradient_scale: 0.5 };
            optimiser.update_model(&mut model, &gradients, update);
        }
        for tensor in model.tensors() {
            let decay = if tensor.is_decayed() { 0.1 } else { 0.0 };
            for i in tensor.range.clone() {
                let expected = twin(f64::from(before[i]), &steps, 0.01, decay);
                assert!((f64::from(model.weights[i]) - expected).abs() < 1e-6, "{} {i}", tensor.name);
            }
        }
    }

    #[test]
    fn the_norm_is_that_of_one_long_vector() {
        let gradients: Vec<f32> = (0..40_000).map(|i| (i % 5) as f32 - 2.0).collect();
        assert!((norm(&[&gradients]) - 80_000f32.sqrt()).abs() < 0.01);
        assert_eq!(norm(&[&[3.0], &[4.0]]), 5.0);
        assert!(norm(&[&[3.0], &[f32::NAN]]).is_nan());
    }
}
