//! AdamW (Loshchilov and Hutter 2019): Adam with weight decay that is not part of the gradient.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::{Gradients, Model};
use crate::ops::{sum_by, vectorised};

/// The first constant of both papers, and PyTorch's ε.
const BETA_1: f32 = 0.9;
const EPSILON: f32 = 1e-8;
/// β₂ for pre-training, as in the GPT-3 paper.
pub const BETA_2_PRE_TRAINING: f32 = 0.95;
/// β₂ for fine-tuning: Adam's default, which the GPT-1 paper's code keeps.
pub const BETA_2_FINE_TUNING: f32 = 0.999;
/// Weights per task; fixed, so that the gradient's norm has one value.
const CHUNK: usize = 1 << 14;

/// The optimiser's state: both moments of every weight. 8 bytes per weight.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Running means of the gradients.
    pub(crate) first: Vec<f32>,
    /// Running means of their squares.
    pub(crate) second: Vec<f32>,
}

/// The settings of one update. β₁ is 0.9 and ε 1e-8, as in both papers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AdamWUpdate {
    /// Updates done before, for the correction of the moments' bias.
    pub step: u64,
    /// Learning rate of this update.
    pub learning_rate: f32,
    /// β₂, the decay of the second moment. Default: [`BETA_2_PRE_TRAINING`].
    pub beta_2: f32,
    /// Matrices shrink by `learning_rate · weight_decay` of themselves; norms and biases do not. Default: 0.
    pub weight_decay: f32,
    /// The gradient is multiplied by this first: clipping, and the mean over several passes. Default: 1.
    pub gradient_scale: f32,
}

impl AdamWUpdate {
    /// Update number `step`, from 0, at a learning rate; the other settings have their defaults.
    pub fn new(step: u64, learning_rate: f32) -> AdamWUpdate {
        AdamWUpdate { step, learning_rate, beta_2: BETA_2_PRE_TRAINING, weight_decay: 0.0, gradient_scale: 1.0 }
    }
}

impl AdamW {
    /// Both moments 0.
    pub fn new(parameters: usize) -> AdamW {
        AdamW { first: vec![0.0; parameters], second: vec![0.0; parameters] }
    }

    /// Updates all weights of a model.
    ///
    /// # Panics
    /// If the optimiser or the gradients are those of a model of another shape.
    pub fn update_model(&mut self, model: &mut Model, gradients: &Gradients, update: AdamWUpdate) {
        let tensors: Vec<_> =
            model.tensors().iter().map(|tensor| (tensor.range.clone(), tensor.is_decayed())).collect();
        for (range, is_decayed) in tensors {
            self.update(&mut model.weights, gradients.as_slice(), range, is_decayed, update);
        }
    }

    /// Updates the weights of a range, a tensor's.
    ///
    /// # Panics
    /// If the range is not in `weights`, in `gradients` and in the optimiser.
    pub fn update(
        &mut self,
        weights: &mut [f32],
        gradients: &[f32],
        range: Range<usize>,
        is_decayed: bool,
        update: AdamWUpdate,
    ) {
        let AdamWUpdate { step, learning_rate, beta_2, weight_decay, gradient_scale } = update;
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

/// Euclidean norm of several buffers of gradients together. The sum has a fixed order for any number of threads.
pub fn global_norm(gradients: &[&[f32]]) -> f32 {
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
            let gradients = Gradients::of(vec![2.0 * gradient as f32; before.len()]);
            let (step, beta_2) = (step as u64, BETA_2_PRE_TRAINING);
            let update = AdamWUpdate { step, learning_rate: 0.01, beta_2, weight_decay: 0.1, gradient_scale: 0.5 };
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
        assert!((global_norm(&[&gradients]) - 80_000f32.sqrt()).abs() < 0.01);
        assert_eq!(global_norm(&[&[3.0], &[4.0]]), 5.0);
        assert!(global_norm(&[&[3.0], &[f32::NAN]]).is_nan());
    }
}
