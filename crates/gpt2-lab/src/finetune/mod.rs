//! Fine-tuning as in "Improving Language Understanding by Generative Pre-Training" (2018), section 3.2 on.
//!
//! A trained model gets three new tokens and a linear head; the texts of an example become one or more
//! sequences between a start and an extract token (`inputs.rs`); the head reads the hidden states
//! (`head.rs`); the loss is the head's cross-entropy plus λ times the language-modelling loss of the same
//! sequences. Every weight of the model is trained. As everywhere here, the result is a function of the
//! settings and the data: not of the number of threads.
//!
//! Left out: checkpoints during a fine-tuning, which takes minutes where a pre-training takes days, and regression
//! (STS-B).

mod batches;
mod classifier;
mod examples;
mod head;
mod inputs;
mod metrics;
mod rte;
mod tasks;
mod trainer;
mod transfer;

use gpt2::{CheckpointError, ConfigError, Precision};
use serde::{Deserialize, Serialize};
use user_error::UserError;

use crate::flags::precision_parser;
use crate::tokens::VocabularyError;

pub use classifier::Classifier;
pub use examples::{DataSetError, ExampleTexts, LabelledExample, hold_out};
pub use head::{ClassPrediction, Pooling};
pub use metrics::{ClassificationMetrics, mean_and_deviation};
pub use tasks::FineTuneTask;
pub use trainer::{EpochRow, FineTuneProgress, FineTuned, finetune};
pub use transfer::Transfer;

/// Settings of a fine-tuning, which are also the flags of `gpt2 finetune`. The defaults are those of the paper's
/// section 4.1 and of its code.
///
/// ```
/// let mut config = gpt2_lab::finetune::FineTuneConfig::default();
/// (config.epochs, config.learning_rate) = (5, 3e-4);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FineTuneConfig {
    /// Times that every example is seen.
    #[arg(long, default_value_t = FineTuneConfig::default().epochs, value_name = "N")]
    pub epochs: u64,
    /// Examples per step.
    #[arg(long, default_value_t = FineTuneConfig::default().batch, value_name = "N")]
    pub batch: usize,
    /// Peak learning rate, reached at the end of the warm-up.
    #[arg(long, default_value_t = FineTuneConfig::default().learning_rate, value_name = "RATE")]
    pub learning_rate: f32,
    /// Fraction of all steps over which the learning rate rises from 0; it falls to 0 over the others.
    #[arg(long, default_value_t = FineTuneConfig::default().warmup_fraction, value_name = "FRACTION")]
    pub warmup_fraction: f64,
    /// Decoupled weight decay, of matrices only.
    #[arg(long, default_value_t = FineTuneConfig::default().weight_decay, value_name = "RATE")]
    pub weight_decay: f32,
    /// A gradient with a larger Euclidean norm is scaled down to this norm.
    #[arg(long, default_value_t = FineTuneConfig::default().max_gradient_norm, value_name = "NORM")]
    pub max_gradient_norm: f32,
    /// λ, the weight of the auxiliary language-modelling loss; 0 leaves it out.
    #[arg(long = "lambda", default_value_t = FineTuneConfig::default().language_model_weight, value_name = "WEIGHT")]
    pub language_model_weight: f32,
    /// Dropout of embeddings, attention weights, and what attention and MLP add to the residual stream.
    #[arg(long, default_value_t = FineTuneConfig::default().dropout, value_name = "PROBABILITY")]
    pub dropout: f32,
    /// Dropout of the pooled vector that the head reads.
    #[arg(long, default_value_t = FineTuneConfig::default().head_dropout, value_name = "PROBABILITY")]
    pub head_dropout: f32,
    /// How the hidden states of a sequence become one vector.
    #[arg(long, value_enum, default_value_t)]
    pub pooling: Pooling,
    /// What is taken over from the trained model. Default: all.
    #[arg(skip)]
    pub transfer: Transfer,
    /// Number format of the factors of matrix products while training; evaluation is always in f32.
    #[arg(long, default_value_t, value_parser = precision_parser())]
    pub precision: Precision,
    /// Seed of new weights, order and dropout. Default: 1.
    #[arg(skip = FineTuneConfig::default().seed)]
    pub seed: u64,
}

impl Default for FineTuneConfig {
    fn default() -> FineTuneConfig {
        FineTuneConfig {
            epochs: 3,
            batch: 32,
            learning_rate: 6.25e-5,
            warmup_fraction: 0.002,
            weight_decay: 0.01,
            max_gradient_norm: 1.0,
            language_model_weight: 0.5,
            dropout: 0.1,
            head_dropout: 0.1,
            pooling: Pooling::Last,
            transfer: Transfer::All,
            precision: Precision::F32,
            seed: 1,
        }
    }
}

impl FineTuneConfig {
    /// The learning rate of a step, counted from 0, of `steps`: a linear rise, then a linear fall to 0 after the last.
    ///
    /// ```
    /// let mut config = gpt2_lab::finetune::FineTuneConfig::default();
    /// (config.learning_rate, config.warmup_fraction) = (1.0, 0.2);
    /// let rates: Vec<f32> = (0..10).map(|step| config.rate_at(step, 10)).collect();
    /// assert_eq!(rates, [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
    /// ```
    pub fn rate_at(&self, step: u64, steps: u64) -> f32 {
        let warmup = (self.warmup_fraction * steps as f64).ceil() as u64;
        let fraction = if step < warmup {
            (step + 1) as f64 / warmup as f64
        } else {
            steps.saturating_sub(step) as f64 / steps.saturating_sub(warmup).max(1) as f64
        };
        self.learning_rate * fraction as f32
    }

    /// Checks the settings for a model of this many blocks.
    ///
    /// # Errors
    /// The first setting that is out of its range, or more blocks to take over than there are.
    pub fn check(&self, blocks: usize) -> Result<(), FineTuneError> {
        for (key, count) in [("epochs", self.epochs), ("batch", self.batch as u64)] {
            ConfigError::check(key, count, 1.., "at least 1")?;
        }
        for (key, probability) in [("dropout", self.dropout), ("head_dropout", self.head_dropout)] {
            ConfigError::check(key, probability, 0.0..1.0, "at least 0 and below 1")?;
        }
        ConfigError::check("warmup_fraction", self.warmup_fraction, 0.0..=1.0, "from 0 to 1")?;
        let numbers = [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("language_model_weight", self.language_model_weight),
        ];
        for (key, number) in numbers {
            ConfigError::check(key, number, 0.0..=f32::MAX, "finite and at least 0")?;
        }
        let above_0 = f32::MIN_POSITIVE..=f32::MAX;
        ConfigError::check("max_gradient_norm", self.max_gradient_norm, above_0, "finite and above 0")?;
        match self.transfer {
            Transfer::Blocks(wanted) if wanted > blocks => Err(FineTuneError::TooFewBlocks { wanted, blocks }),
            _ => Ok(()),
        }
    }
}

/// A fine-tuning could not be started or continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FineTuneError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model lacks some of the tokenizer's ids.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// More blocks are to be taken over than the model has.
    #[error("{} cannot be taken over: the model has {blocks}", user_error::count(*wanted as u64, "block"))]
    TooFewBlocks {
        /// Blocks to take over.
        wanted: usize,
        /// Blocks of the model.
        blocks: usize,
    },
    /// One of the two sets is empty.
    #[error("both training and evaluation need at least one example")]
    NoExamples,
    /// The model's context has no room for two texts.
    #[error("the model's context of {context} has no room for two texts")]
    ContextTooShort {
        /// The model's context.
        context: usize,
    },
    /// The loss or a gradient is not finite.
    #[error(
        "the loss is {loss}, the gradient's norm {norm} at step {step} of epoch {epoch}: the fine-tuning has diverged"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: u64,
        /// The step, from 1, over all epochs.
        step: u64,
        /// Loss of the step's batch.
        loss: f64,
        /// Euclidean norm of its gradient.
        norm: f32,
    },
    /// A classifier could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl UserError for FineTuneError {
    fn hint(&self) -> Option<String> {
        matches!(self, FineTuneError::Diverged { .. }).then(|| "lower the learning rate".to_owned())
    }
}
