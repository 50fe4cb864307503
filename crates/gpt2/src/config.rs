//! Shapes of models and settings of a training.

use serde::{Deserialize, Serialize};

use crate::matmul::Precision;

/// The two papers' ways of arranging a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Norm after each residual sum, none at the end: "Improving Language Understanding by Generative
    /// Pre-Training" (2018).
    Gpt1,
    /// Norm before each part, and one at the end: "Language Models are Unsupervised Multitask Learners" (2019).
    #[default]
    Gpt2,
}

/// The shape of a model. The letters are those of the papers' code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Order of norms and sums.
    #[serde(default)]
    pub family: Family,
    /// Blocks.
    pub layers: usize,
    /// Attention heads (H); they divide the channels.
    pub heads: usize,
    /// Width (C).
    pub channels: usize,
    /// Longest sequence (T).
    pub context: usize,
    /// Ids (V).
    pub vocab_size: usize,
}

/// The models of the papers: name, family, layers, heads, channels, context, vocabulary.
const PRESETS: [(&str, Family, usize, usize, usize, usize, usize); 5] = [
    ("gpt1", Family::Gpt1, 12, 12, 768, 512, 40478),
    ("gpt2", Family::Gpt2, 12, 12, 768, 1024, 50257),
    ("gpt2-medium", Family::Gpt2, 24, 16, 1024, 1024, 50257),
    ("gpt2-large", Family::Gpt2, 36, 20, 1280, 1024, 50257),
    ("gpt2-xl", Family::Gpt2, 48, 25, 1600, 1024, 50257),
];

/// The largest size that is no mistake; the number of parameters fits 64 bits by far.
const SIZE_MAX: usize = 1 << 20;

impl ModelConfig {
    /// A model of GPT-2's family.
    pub fn gpt2(layers: usize, heads: usize, channels: usize, context: usize, vocab_size: usize) -> ModelConfig {
        ModelConfig { family: Family::Gpt2, layers, heads, channels, context, vocab_size }
    }

    /// A model of GPT-1's family.
    pub fn gpt1(layers: usize, heads: usize, channels: usize, context: usize, vocab_size: usize) -> ModelConfig {
        ModelConfig { family: Family::Gpt1, layers, heads, channels, context, vocab_size }
    }

    /// A model of the papers: `gpt1`, `gpt2`, `gpt2-medium`, `gpt2-large` or `gpt2-xl`.
    ///
    /// ```
    /// assert_eq!(gpt2::ModelConfig::preset("gpt2-xl").unwrap().layers, 48);
    /// ```
    pub fn preset(name: &str) -> Option<ModelConfig> {
        let &(_, family, layers, heads, channels, context, vocab_size) =
            PRESETS.iter().find(|preset| preset.0 == name)?;
        Some(ModelConfig { family, layers, heads, channels, context, vocab_size })
    }

    /// The names that [`ModelConfig::preset`] knows.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.0)
    }

    /// Checks that the shape is one.
    ///
    /// # Errors
    /// A sentence that names the fault.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [self.layers, self.heads, self.channels, self.context, self.vocab_size];
        if sizes.contains(&0) {
            return Err("layers, heads, channels, context and vocab_size are at least 1".into());
        }
        if sizes.iter().any(|&size| size > SIZE_MAX) {
            return Err(format!("layers, heads, channels, context and vocab_size are at most {SIZE_MAX}"));
        }
        if !self.channels.is_multiple_of(self.heads) {
            return Err(format!("{} channels cannot be divided among {} heads", self.channels, self.heads));
        }
        Ok(())
    }

    /// Weights; the tied output projection counts once.
    ///
    /// ```
    /// assert_eq!(gpt2::ModelConfig::preset("gpt2").unwrap().parameters(), 124_439_808);
    /// ```
    pub fn parameters(&self) -> usize {
        let ModelConfig { family, layers, channels: c, context, vocab_size, .. } = *self;
        let block = 12 * c * c + 13 * c;
        let final_norm = if family == Family::Gpt2 { 2 * c } else { 0 };
        (vocab_size + context) * c + layers * block + final_norm
    }

    /// Floating-point operations of a training step for each token: 6 for each weight of a matrix product
    /// (2 forward, 4 backward), and 12·C·T a block for attention over all T keys (PaLM paper, appendix B).
    pub fn flops_a_token(&self, t: usize) -> f64 {
        let ModelConfig { layers, channels: c, vocab_size, .. } = *self;
        6.0 * (12 * layers * c * c + vocab_size * c) as f64 + 12.0 * (layers * c * t) as f64
    }

    /// Channels of one head.
    pub fn head_size(&self) -> usize {
        self.channels / self.heads
    }
}

/// How a model is trained. What has a default is written out in a run's resolved recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Sequences a pass (B).
    pub batch: usize,
    /// Passes a step, whose gradients are averaged. Default: 1.
    #[serde(default = "one")]
    pub accumulate: u64,
    /// Highest learning rate.
    pub learning_rate: f32,
    /// What the rate falls to by a cosine, as a share of the highest. Default: 0.1.
    #[serde(default = "a_tenth")]
    pub decay_to: f32,
    /// Steps over which the rate rises from 0.
    pub warmup_steps: u64,
    /// Decoupled weight decay, on matrices only.
    pub weight_decay: f32,
    /// The gradient's norm is cut to this.
    pub clip_norm: f32,
    /// Share of elements that become 0 in training: embeddings, attention weights, both branches. Default: 0.
    #[serde(default)]
    pub dropout: f32,
    /// In what matrix products hold their factors; weights are f32 in any case. Default: f32.
    #[serde(default)]
    pub precision: Precision,
    /// Seed of weights, batches and dropout.
    pub seed: u64,
    /// Steps between validations, and between checkpoints.
    pub evaluate_every: u64,
    /// Batches of a validation; they are the same each time.
    pub evaluate_batches: u64,
    /// Ends the training after this many validations without a new lowest loss. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Checkpoints that are kept, the newest among them. Default: 1.
    #[serde(default = "one_checkpoint")]
    pub keep_checkpoints: usize,
}

fn one() -> u64 {
    1
}

fn one_checkpoint() -> usize {
    1
}

fn a_tenth() -> f32 {
    0.1
}

impl TrainConfig {
    /// The learning rate at a step: a linear rise, then a cosine down to `decay_to` of the highest.
    ///
    /// ```
    /// let config: gpt2::TrainConfig = toml::from_str(
    ///     "steps = 100\nbatch = 1\nlearning_rate = 1.0\nwarmup_steps = 10\nweight_decay = 0.1\n\
    ///      clip_norm = 1.0\nseed = 1\nevaluate_every = 10\nevaluate_batches = 1",
    /// )?;
    /// assert_eq!(config.rate_at(4), 0.5);
    /// assert_eq!(config.rate_at(100), 0.1);
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn rate_at(&self, step: u64) -> f32 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f32 / self.warmup_steps as f32;
        }
        let length = self.steps.saturating_sub(self.warmup_steps).max(1) as f32;
        let part = ((step - self.warmup_steps) as f32 / length).min(1.0);
        let floor = self.decay_to * self.learning_rate;
        floor + 0.5 * (1.0 + (std::f32::consts::PI * part).cos()) * (self.learning_rate - floor)
    }
}
