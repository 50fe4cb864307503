//! AdamW with the GPT-1 paper's constants, over the model's weights and the head's.

use std::ops::Range;

use rayon::prelude::*;

use crate::ops::vectorised;

/// Adam's defaults, which the paper's code keeps: a fine-tuning is too short for a quicker second moment.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Weights of a task; fixed, so that the gradient's norm has one value.
const CHUNK: usize = 1 << 14;

/// Both moments of a flat buffer of weights.
pub(crate) struct AdamW {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// What one update of all buffers has in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    /// Updates done before.
    pub(crate) step: u64,
    pub(crate) learning_rate: f32,
    /// Decoupled decay, on matrices only.
    pub(crate) weight_decay: f32,
    /// Gradients are multiplied by it: below 1 where their norm was cut.
    pub(crate) gradient_scale: f32,
}

impl AdamW {
    pub(crate) fn new(weights: usize) -> AdamW {
        AdamW { first: vec![0.0; weights], second: vec![0.0; weights] }
    }

    /// Updates the weights of a range, a tensor's.
    pub(crate) fn update(
        &mut self,
        weights: &mut [f32],
        gradients: &[f32],
        range: Range<usize>,
        is_decayed: bool,
        update: Update,
    ) {
        let Update { step, learning_rate, weight_decay, gradient_scale } = update;
        let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let (unbias_1, unbias_2) = (1.0 / (1.0 - BETA_1.powi(power)), 1.0 / (1.0 - BETA_2.powi(power)));
        let decay = if is_decayed { 1.0 - learning_rate * weight_decay } else { 1.0 };
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
                    *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
                    *weight = *weight * decay - rate * *first / ((*second * unbias_2).sqrt() + EPSILON);
                }
            });
        });
    }
}

/// The norm of all gradients together.
pub(crate) fn norm(gradients: &[&[f32]]) -> f32 {
    let square = |chunk: &[f32]| chunk.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
    let squares = |buffer: &&[f32]| buffer.par_chunks(CHUNK).map(square).collect::<Vec<f64>>();
    gradients.iter().flat_map(squares).sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_in_each_direction() {
        let (mut weights, gradients) = (vec![1.0, 1.0, 1.0], vec![1e-3, -5.0, 7.0]);
        let update = Update { step: 0, learning_rate: 0.1, weight_decay: 0.5, gradient_scale: 1.0 };
        AdamW::new(3).update(&mut weights, &gradients, 0..2, true, update);
        let expected = [0.95 - 0.1, 0.95 + 0.1, 1.0];
        assert!(weights.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-4), "{weights:?}");
    }

    #[test]
    fn the_norm_is_that_of_all_buffers() {
        assert_eq!(norm(&[&[3.0], &[4.0]]), 5.0);
        assert!(norm(&[&[3.0], &[f32::NAN]]).is_nan());
    }
}
