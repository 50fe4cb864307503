//! Training: batches, gradients, AdamW, validation, checkpoints. `resume.rs` finds what it goes on with.

mod resume;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use user_error::{Exit, UserError};

pub(crate) use self::resume::Inputs;
pub use self::resume::TrainingLock;
use self::resume::{fingerprint, start};

use crate::adamw::{AdamWUpdate, global_norm};
use crate::checkpoint::{self, Checkpoint};
use crate::config::{ConfigError, ModelConfig, TrainConfig};
use crate::loss_curve::{LossRow, loss_csv, loss_curve_file};
use crate::model::{Gradients, Model};
use crate::pass::{KeptActivations, Pass};
use crate::random::Dropout;
use crate::tensor_file::{CheckpointError, TensorFile, TensorSet, write_whole};
use crate::token_files::{TokenFileError, TokenFiles};
use crate::weights::{load_tensors, save_weights};

/// A training could not be started or continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The shape or a setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tokens could not be read.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// A checkpoint could not be written or read. The last good one is kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The folder holds the checkpoint of a training with another shape, other settings or other tokens.
    #[error("{} holds a checkpoint of another training, at step {step}: {differs}", folder.display())]
    OtherTraining {
        /// The folder.
        folder: PathBuf,
        /// What differs, in words.
        differs: String,
        /// Steps that the other training has done.
        step: u64,
    },
    /// Another process trains in the folder.
    #[error("another process trains in {}", .0.display())]
    Locked(PathBuf),
    /// The loss is not finite.
    #[error("the loss is {loss} at step {step}: the training has diverged; its batch was {batch}")]
    Diverged {
        /// The step, from 0, whose batch gave it.
        step: u64,
        /// The loss: NaN or infinite.
        loss: f32,
        /// The sequences of the batch, by file and first token.
        batch: String,
    },
    /// The caller asked to stop, and a checkpoint was written.
    #[error("stopped after step {step}")]
    Stopped {
        /// Steps done.
        step: u64,
    },
}

impl UserError for TrainError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            TrainError::OtherTraining { .. } => {
                "go on with the former settings, choose another folder, or delete the checkpoints to begin anew. steps, evaluate_every, evaluate_batches, patience, checkpoint_every, checkpoint_minutes and max_checkpoints may change"
            }
            TrainError::Locked(_) => "wait for it, stop it, or choose another folder",
            TrainError::Diverged { .. } => "lower `learning_rate`, or raise `warmup_steps`",
            TrainError::Stopped { .. } => "the same command goes on from there",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        if matches!(self, TrainError::Stopped { .. }) { Exit::Stopped } else { Exit::Failed }
    }
}

/// What a training reports after each step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TrainProgress<'a> {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the step's batches, in nats per token.
    pub loss: f32,
    /// Euclidean norm of the step's gradient, before it was clipped.
    pub gradient_norm: f32,
    /// Tokens that the step saw.
    pub tokens: u64,
    /// Set when the step was followed by a validation.
    pub validated: Option<LossRow>,
    /// Whether a checkpoint comes next.
    pub is_saved: bool,
    /// The model after the step.
    pub model: &'a Model,
}

/// A finished training.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trained {
    /// The model after the last step; with `patience` the one with the lowest validation loss.
    pub model: Model,
    /// Its loss curve, a row per validation.
    pub curve: Vec<LossRow>,
    /// With `patience`, if the training ended early: the step of the lowest validation loss.
    pub best_step: Option<u64>,
}

/// The weights that a training begins with, unless its folder holds a checkpoint.
#[derive(Debug)]
pub enum InitialWeights<'a> {
    /// A model of this shape with random weights, drawn from the settings' seed.
    Random(&'a ModelConfig),
    /// A trained model, whose memory the training goes on with.
    Model(Model),
}

impl InitialWeights<'_> {
    fn config(&self) -> &ModelConfig {
        match self {
            InitialWeights::Random(config) => config,
            InitialWeights::Model(model) => model.config(),
        }
    }

    /// The part of a training's fingerprint that depends on it.
    fn checksum(&self) -> Option<u64> {
        match self {
            InitialWeights::Random(_) => None,
            InitialWeights::Model(model) => Some(xxhash_rust::xxh3::xxh3_64(bytemuck::cast_slice(&model.weights))),
        }
    }
}

/// Trains a model. If `folder` holds a checkpoint of the same training, it continues from there.
///
/// `report` is called after each step. When it breaks, a checkpoint of that step is written and the training ends with
/// [`TrainError::Stopped`]. Where a validation was due, `report` comes before the checkpoint: what it writes about a
/// step is never missing after a kill, but may be written twice.
///
/// `folder` gets `checkpoint.safetensors`, of step 0 before the first step, so that a full disk is noticed then;
/// `best.safetensors`, the weights with the lowest validation loss; the curve as `loss.jsonl`, `loss.csv` and `loss.svg`;
/// and `train.lock`, which no other training may hold.
/// The result depends on the shape, the settings and the tokens alone: not on threads, and not on kills in between.
/// A training that goes on with other `steps` has the learning rates of the new number from there on.
///
/// Memory: 16 bytes per parameter, and the activations of one pass ([`crate::TrainingPlan`] counts both).
///
/// ```
/// use std::ops::ControlFlow;
///
/// use gpt2::{InitialWeights, ModelConfig, TokenFiles, TrainConfig, train};
///
/// let folder = tempfile::tempdir()?;
/// let tokens = folder.path().join("tokens.bin");
/// std::fs::write(&tokens, (0..500u16).flat_map(|id| (id % 7).to_le_bytes()).collect::<Vec<u8>>())?;
/// let tokens = TokenFiles::open(&[tokens], 8, 7)?;
/// let settings: TrainConfig = toml::from_str(
///     "steps = 20\nbatch = 2\nlearning_rate = 0.01\nwarmup_steps = 5\nweight_decay = 0.1\n\
///      max_gradient_norm = 1.0\nseed = 1\nevaluate_every = 10\nevaluate_batches = 1",
/// )?;
/// let shape = ModelConfig::gpt2(1, 2, 16, 8, 7);
/// let initial = InitialWeights::Random(&shape);
/// let trained = train(&folder.path().join("run"), initial, &settings, &tokens, &tokens, |progress| {
///     println!("step {}: loss {:.3}", progress.step, progress.loss);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(trained.curve.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Settings out of range, unfit tokens, a full disk, divergence, a checkpoint of another training, checkpoints that
/// are all damaged, a caller that stops.
pub fn train(
    folder: &Path,
    initial: InitialWeights<'_>,
    settings: &TrainConfig,
    tokens: &TokenFiles,
    validation: &TokenFiles,
    report: impl FnMut(TrainProgress<'_>) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    initial.config().check()?;
    settings.check()?;
    train_locked(&TrainingLock::take(folder)?, initial, settings, tokens, validation, report)
}

/// As [`train`], in a folder that the caller has locked, so that it could write there before.
///
/// # Errors
/// As [`train`].
pub fn train_locked(
    lock: &TrainingLock,
    initial: InitialWeights<'_>,
    settings: &TrainConfig,
    tokens: &TokenFiles,
    validation: &TokenFiles,
    mut report: impl FnMut(TrainProgress<'_>) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let folder = lock.folder();
    let config = &initial.config().clone();
    config.check()?;
    settings.check()?;
    // The temporary file of a killed process is as large as a checkpoint. No other training writes to this folder.
    atomic_file::sweep_here(folder).map_err(CheckpointError::from)?;
    let fingerprint = fingerprint(&initial, settings, tokens, validation);
    let inputs = Inputs::new(&initial, tokens, validation);
    let (at, curve) = start(folder, initial, settings, (fingerprint, inputs))?;
    let mut training = Training {
        folder,
        settings,
        tokens,
        validation,
        gradients: at.model.zero_gradients(),
        pass: Pass::new(config, settings.precision, KeptActivations::ForBackward),
        at,
        curve,
        saved: Instant::now(),
    };
    if training.at.state.step == 0 {
        training.save()?;
    }
    while training.at.state.step < settings.steps && !training.is_out_of_patience() {
        let (loss, gradient_norm) = training.step()?;
        let step = training.at.state.step;
        let is_due = step.is_multiple_of(settings.evaluate_every) || step == settings.steps;
        let validated = if is_due { Some(training.validate()?) } else { None };
        let is_saved = is_due || training.is_checkpoint_due();
        let tokens = settings.accumulate * (settings.batch * config.context) as u64;
        let model = &training.at.model;
        let flow = report(TrainProgress { step, loss, gradient_norm, tokens, validated, is_saved, model });
        if is_saved || flow.is_break() {
            training.save()?;
        }
        if flow.is_break() {
            return Err(TrainError::Stopped { step });
        }
    }
    training.finish(config)
}

struct Training<'a> {
    folder: &'a Path,
    settings: &'a TrainConfig,
    tokens: &'a TokenFiles,
    validation: &'a TokenFiles,
    at: Checkpoint,
    curve: Vec<LossRow>,
    gradients: Gradients,
    pass: Pass,
    /// When the last checkpoint was written.
    saved: Instant,
}

impl Training<'_> {
    /// One update of the weights; returns the loss, and the gradient's norm before it was clipped.
    fn step(&mut self) -> Result<(f32, f32), TrainError> {
        let Training { settings, at, gradients, pass, .. } = self;
        let (step, passes) = (at.state.step, settings.accumulate);
        let t = at.model.config().context;
        let mut sum = 0.0f64;
        gradients.clear();
        for number in step * passes..(step + 1) * passes {
            let batch = self.tokens.batch(settings.seed, number, settings.batch)?;
            let dropout = Dropout { probability: settings.dropout, seed: settings.seed, pass: number };
            pass.forward(&at.model, &batch.inputs, t, Some(dropout));
            let loss = pass.language_model_loss(&at.model, &batch.targets, 1.0, gradients);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, loss, batch: self.tokens.describe(&batch) });
            }
            pass.backward(&at.model, &batch.inputs, gradients);
            sum += f64::from(loss);
        }
        let mean = 1.0 / passes as f32;
        let norm = mean * global_norm(&[gradients.as_slice()]);
        let clip = if norm > settings.max_gradient_norm { settings.max_gradient_norm / norm } else { 1.0 };
        let learning_rate = settings.rate_at(step);
        let update = AdamWUpdate {
            weight_decay: settings.weight_decay,
            gradient_scale: mean * clip,
            ..AdamWUpdate::new(step, learning_rate)
        };
        at.optimiser.update_model(&mut at.model, gradients, update);
        let loss = sum / passes as f64;
        at.state.step += 1;
        at.state.losses = (at.state.losses.0 + loss, at.state.losses.1 + 1);
        Ok((loss as f32, norm))
    }

    /// Adds a row to the curve.
    fn validate(&mut self) -> Result<LossRow, TrainError> {
        let validation_loss = self.validation_loss()?;
        let state = &mut self.at.state;
        let (sum, count) = std::mem::take(&mut state.losses);
        let row = LossRow {
            step: state.step,
            train_loss: (sum / count.max(1) as f64) as f32,
            validation_loss,
            learning_rate: self.settings.rate_at(state.step - 1),
        };
        self.curve.push(row);
        if state.best.is_none_or(|(best, _)| validation_loss < best) {
            state.best = Some((validation_loss, state.step));
            save_weights(&self.folder.join("best.safetensors"), &self.at.model)?;
        }
        Ok(row)
    }

    /// Writes the curve, then the checkpoint: a missing row would be lost, while a surplus row is cut off.
    fn save(&mut self) -> Result<(), CheckpointError> {
        self.write_curve()?;
        self.saved = Instant::now();
        checkpoint::save(self.folder, &self.at, self.settings.max_checkpoints)
    }

    /// Whether a checkpoint is due apart from validations.
    fn is_checkpoint_due(&self) -> bool {
        let TrainConfig { checkpoint_every, checkpoint_minutes, .. } = *self.settings;
        checkpoint_every.is_some_and(|steps| self.at.state.step.is_multiple_of(steps))
            || checkpoint_minutes.is_some_and(|minutes| self.saved.elapsed().as_secs_f64() >= 60.0 * minutes)
    }

    fn validation_loss(&mut self) -> Result<f32, TrainError> {
        let Training { settings, at, pass, .. } = self;
        let mut sum = 0.0f64;
        for number in 0..settings.evaluate_batches {
            let batch = self.validation.spread(number, settings.evaluate_batches, settings.batch)?;
            pass.forward(&at.model, &batch.inputs, at.model.config().context, None);
            sum += f64::from(pass.loss(&at.model, &batch.targets));
        }
        Ok((sum / settings.evaluate_batches as f64) as f32)
    }

    fn write_curve(&self) -> Result<(), CheckpointError> {
        let lines = self.curve.iter().map(|row| serde_json::to_string(row).expect("plain values") + "\n");
        write_whole(&self.folder.join("loss.jsonl"), lines.collect::<String>().as_bytes())?;
        write_whole(&self.folder.join("loss.csv"), loss_csv(&self.curve).as_bytes())?;
        write_whole(&self.folder.join("loss.svg"), loss_curve_file(&self.curve).as_bytes())
    }

    /// Whether the lowest validation loss is more than `patience` validations ago.
    fn is_out_of_patience(&self) -> bool {
        let (Some(patience), Some((_, best))) = (self.settings.patience, self.at.state.best) else { return false };
        self.curve.iter().filter(|row| row.step > best).count() as u64 >= patience
    }

    fn finish(self, config: &ModelConfig) -> Result<Trained, TrainError> {
        let best = self.at.state.best.filter(|_| self.settings.patience.is_some());
        let best_step = best.filter(|_| self.at.state.step < self.settings.steps).map(|(_, step)| step);
        let model = match best {
            Some((_, step)) if step < self.at.state.step => {
                let path = self.folder.join("best.safetensors");
                load_tensors(&path, &TensorSet::of(vec![TensorFile::open(&path)?]), "", config)?
            }
            _ => self.at.model,
        };
        Ok(Trained { model, curve: self.curve, best_step })
    }
}
