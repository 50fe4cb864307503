//! Shapes of models, settings of a training, and their validation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::matmul::Precision;

/// Where a block has its layer norms, in which the two papers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Post-norm: a norm after each residual sum, none at the end. "Improving Language Understanding by Generative
    /// Pre-Training" (2018).
    Gpt1,
    /// Pre-norm: a norm before attention and before the MLP, and one at the end. "Language Models are Unsupervised
    /// Multitask Learners" (2019).
    #[default]
    Gpt2,
}

/// The shape of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Pre-norm or post-norm blocks. Default: GPT-2's.
    #[serde(default)]
    pub family: Family,
    /// Number of blocks (L).
    pub layers: usize,
    /// Attention heads per block (H); a divisor of `channels`.
    pub heads: usize,
    /// Width of the residual stream (C).
    pub channels: usize,
    /// Longest sequence in tokens (T).
    pub context: usize,
    /// Number of token ids (V).
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

/// Largest size: real models stay far below it, and all products of sizes fit 64 bits.
const MAX_SIZE: usize = 1 << 20;

impl ModelConfig {
    /// A model of GPT-2's family.
    pub fn gpt2(layers: usize, heads: usize, channels: usize, context: usize, vocab_size: usize) -> ModelConfig {
        ModelConfig { family: Family::Gpt2, layers, heads, channels, context, vocab_size }
    }

    /// A model of GPT-1's family.
    pub fn gpt1(layers: usize, heads: usize, channels: usize, context: usize, vocab_size: usize) -> ModelConfig {
        ModelConfig { family: Family::Gpt1, layers, heads, channels, context, vocab_size }
    }

    /// A model of the papers: `gpt1`, `gpt2`, which is also `gpt2-small`, `gpt2-medium`, `gpt2-large` or `gpt2-xl`.
    ///
    /// ```
    /// assert_eq!(gpt2::ModelConfig::preset("gpt2-xl").unwrap().layers, 48);
    /// ```
    pub fn preset(name: &str) -> Option<ModelConfig> {
        let name = if name == "gpt2-small" { "gpt2" } else { name };
        let &(_, family, layers, heads, channels, context, vocab_size) =
            PRESETS.iter().find(|preset| preset.0 == name)?;
        Some(ModelConfig { family, layers, heads, channels, context, vocab_size })
    }

    /// The names that [`ModelConfig::preset`] knows.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.0)
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// The first size that is 0 or above 1,048,576; heads that do not divide the channels.
    pub fn check(&self) -> Result<(), ConfigError> {
        let &ModelConfig { layers, heads, channels, context, vocab_size, .. } = self;
        let sizes = [
            ("layers", layers),
            ("heads", heads),
            ("channels", channels),
            ("context", context),
            ("vocab_size", vocab_size),
        ];
        for (key, size) in sizes {
            ConfigError::check(key, size, 1..=MAX_SIZE, "from 1 to 1,048,576")?;
        }
        if !channels.is_multiple_of(heads) {
            return Err(ConfigError::HeadsDoNotDivideChannels { channels, heads });
        }
        Ok(())
    }

    /// Number of weights; the tied output projection counts once.
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

    /// Floating-point operations per token of a training step over sequences of `t` tokens: 6 per weight of a matrix
    /// product (2 forward, 4 backward), and 12·C·T per block for attention over all T keys (Chowdhery et al., "PaLM",
    /// 2022, appendix B).
    pub fn flops_per_token(&self, t: usize) -> f64 {
        let ModelConfig { layers, channels: c, vocab_size, .. } = *self;
        6.0 * (12 * layers * c * c + vocab_size * c) as f64 + 12.0 * (layers * c * t) as f64
    }

    /// What differs from another shape, each as `layers was 1, is 2`.
    pub fn changes(&self, former: &ModelConfig) -> Vec<String> {
        changed_keys("", self, former)
    }

    /// Channels per head (D).
    pub fn head_size(&self) -> usize {
        self.channels / self.heads
    }
}

/// How a model is trained. Every field but those with a default must be given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrainConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Sequences per pass (B).
    pub batch: usize,
    /// Passes per step, whose gradients are averaged. Default: 1.
    #[serde(default = "one")]
    pub accumulate: u64,
    /// Peak learning rate, reached at the end of the warm-up.
    pub learning_rate: f32,
    /// The learning rate at the end of the cosine decay, as a fraction of the peak. Default: 0.1.
    #[serde(default = "a_tenth")]
    pub min_learning_rate_fraction: f32,
    /// Steps over which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// Decoupled weight decay, of matrices only.
    pub weight_decay: f32,
    /// A gradient with a larger Euclidean norm is scaled down to this norm.
    pub max_gradient_norm: f32,
    /// Probability that an element is dropped in training: of the embeddings, of the attention weights, and of what
    /// attention and MLP add to the residual stream. Default: 0.
    #[serde(default)]
    pub dropout: f32,
    /// Number format of the factors of matrix products; weights and sums are f32 in any case. Default: f32.
    #[serde(default)]
    pub precision: Precision,
    /// Seed of weights, batches and dropout.
    pub seed: u64,
    /// Steps between two validations; each is followed by a checkpoint.
    pub evaluate_every: u64,
    /// Batches per validation, the same each time.
    pub evaluate_batches: u64,
    /// Ends the training after this many validations in a row without a new lowest loss. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Steps between two checkpoints, beside those that follow validations. Default: only those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Minutes after which a step is followed by a checkpoint. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_minutes: Option<f64>,
    /// Checkpoints that are kept, the newest among them. Default: 1.
    #[serde(default = "one_checkpoint")]
    pub max_checkpoints: usize,
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

/// A shape or a setting that is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{key} is {value}; it must be {expected}")]
    OutOfRange {
        /// The setting's name.
        key: &'static str,
        /// The number that was given.
        value: String,
        /// The range, in words.
        expected: &'static str,
    },
    /// Every head has the same number of channels.
    #[error(
        "{} cannot be divided among {}",
        user_error::count(*channels as u64, "channel"),
        user_error::count(*heads as u64, "head")
    )]
    HeadsDoNotDivideChannels {
        /// Width of the residual stream.
        channels: usize,
        /// Attention heads per block.
        heads: usize,
    },
}

impl ConfigError {
    /// Checks that a number is in its range, `expected` in words. NaN is in none.
    ///
    /// ```
    /// use gpt2::ConfigError;
    ///
    /// let error = ConfigError::check("dropout", 1.0, 0.0..1.0, "at least 0 and below 1").unwrap_err();
    /// assert_eq!(error.to_string(), "dropout is 1; it must be at least 0 and below 1");
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`].
    pub fn check<T: PartialOrd + Display>(
        key: &'static str,
        value: T,
        range: impl RangeBounds<T>,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        if range.contains(&value) {
            return Ok(());
        }
        Err(ConfigError::OutOfRange { key, value: value.to_string(), expected })
    }
}

impl TrainConfig {
    /// Former keys, each with its present name, which readers of files refuse.
    pub const FORMER_KEYS: [(&str, &str); 3] = [
        ("clip_norm", "max_gradient_norm"),
        ("decay_to", "min_learning_rate_fraction"),
        ("keep_checkpoints", "max_checkpoints"),
    ];

    /// The learning rate of a step, counted from 0: a linear rise, then a cosine down to
    /// `min_learning_rate_fraction` of the peak.
    ///
    /// ```
    /// let config: gpt2::TrainConfig = toml::from_str(
    ///     "steps = 100\nbatch = 1\nlearning_rate = 1.0\nwarmup_steps = 10\nweight_decay = 0.1\n\
    ///      max_gradient_norm = 1.0\nseed = 1\nevaluate_every = 10\nevaluate_batches = 1",
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
        let floor = self.min_learning_rate_fraction * self.learning_rate;
        floor + 0.5 * (1.0 + (std::f32::consts::PI * part).cos()) * (self.learning_rate - floor)
    }

    /// What differs from former settings, each as `seed was 1, is 2`.
    pub fn changes(&self, former: &TrainConfig) -> Vec<String> {
        changed_keys("", self, former)
    }

    /// Checks that a training with these settings can run.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("batch", self.batch as u64),
            ("accumulate", self.accumulate),
            ("evaluate_every", self.evaluate_every),
            ("evaluate_batches", self.evaluate_batches),
            ("patience", self.patience.unwrap_or(1)),
            ("checkpoint_every", self.checkpoint_every.unwrap_or(1)),
            ("max_checkpoints", self.max_checkpoints as u64),
        ];
        for (key, count) in counts {
            ConfigError::check(key, count, 1.., "at least 1")?;
        }
        for (key, number) in [("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)] {
            ConfigError::check(key, number, 0.0..=f32::MAX, "finite and at least 0")?;
        }
        let minutes = self.checkpoint_minutes.unwrap_or(1.0);
        ConfigError::check("checkpoint_minutes", minutes, f64::MIN_POSITIVE..=f64::MAX, "finite and above 0")?;
        let above_0 = f32::MIN_POSITIVE..=f32::MAX;
        ConfigError::check("max_gradient_norm", self.max_gradient_norm, above_0, "finite and above 0")?;
        ConfigError::check("dropout", self.dropout, 0.0..1.0, "at least 0 and below 1")?;
        let fraction = self.min_learning_rate_fraction;
        ConfigError::check("min_learning_rate_fraction", fraction, 0.0..=1.0, "from 0 to 1")
    }
}

/// The keys whose values differ, as `seed was 1, is 2`, each with `prefix` before it.
pub(crate) fn changed_keys<T: Serialize>(prefix: &str, now: &T, former: &T) -> Vec<String> {
    // By way of a text, since a value that is made at once has f32 widened: 0.004000000189989805 for 0.004.
    let keys = |value: &T| -> BTreeMap<String, Value> {
        let text = serde_json::to_string(value).expect("plain values");
        serde_json::from_str(&text).expect("it was written just now")
    };
    let (now, former) = (keys(now), keys(former));
    let all: BTreeSet<&String> = now.keys().chain(former.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    let changed = all.into_iter().filter(|key| now.get(*key) != former.get(*key));
    changed.map(|key| format!("{prefix}{key} was {}, is {}", shown(former.get(key)), shown(now.get(key)))).collect()
}
