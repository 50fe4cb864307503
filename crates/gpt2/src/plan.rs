//! The cost of a model and its training, computed beforehand: parameters, memory, operations, and the compute-optimal
//! number of tokens.
//!
//! Left out: the best model for a given budget (only the tokens for a given model), and machines with more
//! than one memory.

use serde::Serialize;

use crate::config::{Family, ModelConfig};
use crate::pass::LOGIT_ROWS;

/// Bytes of an f32.
const FLOAT_BYTES: u64 = 4;
/// Tokens per parameter for the lowest loss at a given amount of computation: Hoffmann et al., "Training
/// Compute-Optimal Large Language Models" (2022), whose three estimates are all near it at these sizes.
const TOKENS_PER_PARAMETER: u64 = 20;

/// What training a model of a shape costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrainingPlan {
    /// The shape.
    pub model: ModelConfig,
    /// Sequences per pass (B).
    pub batch: usize,
    /// Passes per step.
    pub accumulate: u64,
    /// Parameters by part.
    pub parameters: ParameterPlan,
    /// Bytes by use.
    pub memory: MemoryPlan,
    /// Floating-point operations per token of a training: see [`TrainingPlan::new`].
    pub training_flops_per_token: u64,
    /// Those of a forward pass alone: a third.
    pub forward_flops_per_token: u64,
    /// Tokens per step: B·T for each pass.
    pub tokens_per_step: u64,
    /// 20 tokens per parameter (Hoffmann et al., 2022).
    pub optimal_tokens: u64,
    /// Steps that see [`TrainingPlan::optimal_tokens`].
    pub optimal_steps: u64,
    /// Tokens of the planned training.
    pub tokens: u64,
    /// Steps that see [`TrainingPlan::tokens`].
    pub steps: u64,
}

/// Number of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParameterPlan {
    /// V·C, which is the output projection as well.
    pub token_embeddings: u64,
    /// T·C.
    pub position_embeddings: u64,
    /// (C·3C + 3C) + (C·C + C) in each block.
    pub attention: u64,
    /// (C·4C + 4C) + (4C·C + C) in each block.
    pub mlp: u64,
    /// 2C for each norm: two in each block, and GPT-2's final one.
    pub norms: u64,
    /// All of them.
    pub total: u64,
}

/// Bytes in memory, in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// The parameters.
    pub weights: u64,
    /// Their gradients.
    pub gradients: u64,
    /// AdamW's two moments of each.
    pub moments: u64,
    /// Activations that a step keeps between forward and backward pass, and its buffers.
    pub activations: u64,
    /// Sum for training.
    pub training: u64,
    /// Keys and values of one sequence of T tokens, for sampling.
    pub key_value_cache: u64,
    /// Sum for sampling one sequence: weights, cache and one row of logits.
    pub sampling: u64,
}

impl TrainingPlan {
    /// Plans a training of `tokens` tokens (default: the optimal number) in steps of `accumulate`
    /// passes over `batch` sequences each.
    ///
    /// Operations per token, forward and backward: 6·(N − positions) + 12·L·C·T. Each weight multiplies and adds
    /// once forward and twice backward; a row of positions is only looked up, while the token embeddings count as
    /// the output projection. The second term is attention, q·k and pattern·v, counted as if it saw the future, too:
    /// Chowdhery et al., "PaLM" (2022), appendix B.
    ///
    /// ```
    /// let plan = gpt2::TrainingPlan::new(&gpt2::ModelConfig::preset("gpt2").unwrap(), 8, 1, None);
    /// assert_eq!(plan.parameters.total, 124_439_808);
    /// assert_eq!(plan.optimal_tokens, 20 * 124_439_808);
    /// ```
    pub fn new(model: &ModelConfig, batch: usize, accumulate: u64, tokens: Option<u64>) -> TrainingPlan {
        let [layers, c, t] = [model.layers, model.channels, model.context].map(|size| size as u64);
        let parameters = ParameterPlan::new(model);
        let flops = 6 * (parameters.total - parameters.position_embeddings) + 12 * layers * c * t;
        let tokens_per_step = accumulate * batch as u64 * t;
        let optimal_tokens = TOKENS_PER_PARAMETER * parameters.total;
        let tokens = tokens.unwrap_or(optimal_tokens);
        TrainingPlan {
            model: model.clone(),
            batch,
            accumulate,
            memory: MemoryPlan::new(model, batch, parameters.total),
            parameters,
            training_flops_per_token: flops,
            forward_flops_per_token: flops / 3,
            tokens_per_step,
            optimal_tokens,
            optimal_steps: optimal_tokens.div_ceil(tokens_per_step),
            tokens,
            steps: tokens.div_ceil(tokens_per_step),
        }
    }

    /// Seconds that the planned training takes at a rate of floating-point operations per second.
    pub fn training_seconds(&self, flops_per_second: f64) -> f64 {
        self.tokens as f64 * self.training_flops_per_token as f64 / flops_per_second
    }
}

impl ParameterPlan {
    fn new(model: &ModelConfig) -> ParameterPlan {
        let [layers, c, t, v] = [model.layers, model.channels, model.context, model.vocab_size].map(|size| size as u64);
        let linear = |inputs: u64, outputs: u64| inputs * outputs + outputs;
        let final_norms = if model.family == Family::Gpt2 { 1 } else { 0 };
        let mut plan = ParameterPlan {
            token_embeddings: v * c,
            position_embeddings: t * c,
            attention: layers * (linear(c, 3 * c) + linear(c, c)),
            mlp: layers * (linear(c, 4 * c) + linear(4 * c, c)),
            norms: (2 * layers + final_norms) * 2 * c,
            total: 0,
        };
        plan.total = plan.token_embeddings + plan.position_embeddings + plan.attention + plan.mlp + plan.norms;
        plan
    }
}

impl MemoryPlan {
    fn new(model: &ModelConfig, batch: usize, parameters: u64) -> MemoryPlan {
        let weights = FLOAT_BYTES * parameters;
        let activations = FLOAT_BYTES * activation_floats(model, batch);
        let [layers, c, t, v] = [model.layers, model.channels, model.context, model.vocab_size].map(|size| size as u64);
        let key_value_cache = FLOAT_BYTES * 2 * layers * t * c;
        MemoryPlan {
            weights,
            gradients: weights,
            moments: 2 * weights,
            activations,
            training: 4 * weights + activations,
            key_value_cache,
            sampling: weights + key_value_cache + FLOAT_BYTES * v,
        }
    }
}

/// Floats that a training step holds beside weights, gradients and moments; R is B·T.
///
/// A block keeps, of R·C each: its input, both norms' outputs, `attn_z` and `resid_mid` (5),
/// queries, keys and values (3), the MLP before and after GELU (8), and in GPT-1 `resid_post` (1); of R each: two numbers
/// per norm (4), and of R·H the attention's sums. Once there are the stream and the final norm (2), two gradients and
/// a wide one (6) and scratch (3), and min(R, 512) rows of logits. Attention weights are computed again in
/// the backward pass and never kept.
fn activation_floats(model: &ModelConfig, batch: usize) -> u64 {
    let [layers, heads, c, v] = [model.layers, model.heads, model.channels, model.vocab_size].map(|size| size as u64);
    let rows = batch as u64 * model.context as u64;
    let end = if model.family == Family::Gpt1 { 1 } else { 0 };
    let block = rows * ((16 + end) * c + 4 + heads);
    layers * block + rows * 11 * c + rows.min(LOGIT_ROWS as u64) * v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn the_papers_models_have_their_sizes() {
        // As `transformers` counts them; the papers round (and the second one's table counts 117M, 345M, 762M, 1542M).
        let sizes = [
            ("gpt1", 116_534_784),
            ("gpt2", 124_439_808),
            ("gpt2-medium", 354_823_168),
            ("gpt2-large", 774_030_080),
            ("gpt2-xl", 1_557_611_200),
        ];
        for (name, expected) in sizes {
            let plan = TrainingPlan::new(&ModelConfig::preset(name).unwrap(), 1, 1, None);
            assert_eq!(plan.parameters.total, expected, "{name}");
        }
    }

    #[test]
    fn a_model_has_as_many_parameters_as_planned() {
        for config in [ModelConfig::gpt1(3, 2, 8, 6, 11), ModelConfig::gpt2(2, 4, 16, 5, 13)] {
            let plan = TrainingPlan::new(&config, 1, 1, None);
            assert_eq!(plan.parameters.total, Model::new(&config, 1).parameters() as u64);
        }
    }

    #[test]
    fn work_a_token_is_that_of_the_benchmarks() {
        // 6 layers, 6 heads, 384 wide, context 256: 186.8 MFLOP a token (docs/gpt2.md).
        let plan = TrainingPlan::new(&ModelConfig::gpt2(6, 6, 384, 256, 50257), 2, 2, Some(1_000_000));
        assert_eq!(plan.training_flops_per_token / 100_000, 1867);
        assert_eq!((plan.tokens_per_step, plan.steps), (1024, 977));
        let seconds = plan.training_seconds(186.8e9);
        assert!((seconds - 1000.0).abs() < 1.0, "{seconds}");
    }
}
