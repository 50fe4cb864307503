//! Fine-tuning as in "Improving Language Understanding by Generative Pre-Training" (2018), section 3.2 on.
//!
//! A trained model gets three new tokens and a linear head; the texts of an example become one or more
//! sequences between a start and an extract token (`inputs.rs`); the head reads the hidden states
//! (`head.rs`); the loss is the head's cross-entropy plus λ times the language-modelling loss of the same
//! sequences. Every weight of the model is trained. As everywhere here, the result is a function of the
//! settings and the data: not of the number of threads.
//!
//! Left out: checkpoints in the middle of a fine-tuning, which takes minutes where a pre-training takes days,
//! and regression (STS-B).

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

use serde::{Deserialize, Serialize};

use crate::matmul::Precision;
use crate::tensors::CheckpointError;

pub use classifier::Classifier;
pub use examples::{DataSetError, Example, Texts, hold_out};
pub use head::{Answer, Pooling};
pub use metrics::{Metrics, mean_and_deviation};
pub use tasks::Task;
pub use trainer::{EpochRow, FineTuneProgress, FineTuned, finetune};
pub use transfer::Transfer;

/// Settings of a fine-tuning. The defaults are those of the paper's section 4.1 and of its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneConfig {
    /// Times that every example is seen. Default 3.
    pub epochs: u64,
    /// Examples a step. Default 32.
    pub batch: usize,
    /// Highest learning rate. Default 6.25e-5.
    pub learning_rate: f32,
    /// Share of all steps over which the rate rises from 0, before it falls to 0. Default 0.002.
    pub warmup_fraction: f64,
    /// Decoupled weight decay, on matrices only. Default 0.01.
    pub weight_decay: f32,
    /// The gradient's norm is cut to this. Default 1.
    pub clip_norm: f32,
    /// λ, the weight of the auxiliary language-modelling loss; 0 leaves it out. Default 0.5.
    pub language_model_weight: f32,
    /// Dropout inside the model: of embeddings, attention weights and both branches of a block. Default 0.1.
    pub dropout: f32,
    /// Dropout of the pooled vector that the head sees. Default 0.1.
    pub head_dropout: f32,
    /// How hidden states become one vector. Default: the state at the extract token.
    pub pooling: Pooling,
    /// What is taken over from the trained model. Default: all.
    pub transfer: Transfer,
    /// In what matrix products hold their factors while training. Default: f32. Evaluation is always in f32.
    pub precision: Precision,
    /// Seed of new weights, order and dropout. Default 1.
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
            clip_norm: 1.0,
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
    /// The learning rate of a step of so many: a linear rise, then a linear fall that ends at 0 after the last.
    ///
    /// ```
    /// let config = gpt2::FineTuneConfig { learning_rate: 1.0, warmup_fraction: 0.2, ..Default::default() };
    /// let rates: Vec<f32> = (0..10).map(|step| config.rate_at(step, 10)).collect();
    /// assert_eq!(rates, [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
    /// ```
    pub fn rate_at(&self, step: u64, steps: u64) -> f32 {
        let warmup = (self.warmup_fraction * steps as f64).ceil() as u64;
        let part = if step < warmup {
            (step + 1) as f64 / warmup as f64
        } else {
            steps.saturating_sub(step) as f64 / steps.saturating_sub(warmup).max(1) as f64
        };
        self.learning_rate * part as f32
    }

    /// Checks the settings for a model of so many layers.
    ///
    /// # Errors
    /// A sentence that names the fault.
    pub fn check(&self, layers: usize) -> Result<(), String> {
        if self.epochs == 0 || self.batch == 0 {
            return Err("epochs and batch are at least 1".into());
        }
        for (name, share) in [("dropout", self.dropout), ("head_dropout", self.head_dropout)] {
            if !(0.0..1.0).contains(&share) {
                return Err(format!("{name} is {share}, not at least 0 and below 1"));
            }
        }
        if !(0.0..=1.0).contains(&self.warmup_fraction) {
            return Err(format!("warmup_fraction is {}, not between 0 and 1", self.warmup_fraction));
        }
        let numbers = [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("language_model_weight", self.language_model_weight),
        ];
        if let Some((name, number)) = numbers.into_iter().find(|(_, number)| !(*number >= 0.0 && number.is_finite())) {
            return Err(format!("{name} is {number}, not a number of at least 0"));
        }
        match self.transfer {
            Transfer::Layers(n) if n > layers => {
                Err(format!("{n} layers cannot be taken over: the model has {layers}"))
            }
            _ => Ok(()),
        }
    }
}

/// A fine-tuning could not be started or go on.
#[derive(Debug, thiserror::Error)]
pub enum FineTuneError {
    /// A setting that no fine-tuning can have, or that does not fit the model or the data.
    #[error("{0}")]
    Settings(String),
    /// The loss or a gradient is no finite number any more.
    #[error(
        "the loss is {loss}, the gradient's norm {norm} at step {step} of epoch {epoch}: \
         the fine-tuning has diverged; try a lower learning rate"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: u64,
        /// The step, from 1, over all epochs.
        step: u64,
        /// Loss of the step's batch.
        loss: f64,
        /// Norm of its gradient.
        norm: f32,
    },
    /// A classifier could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
