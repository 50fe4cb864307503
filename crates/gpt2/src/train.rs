//! Training: batches, gradients, AdamW, validation, checkpoints.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use crate::adamw::{AdamW, BETA_2_QUICK, Update, norm};
use crate::checkpoint::{self, Checkpoint, Found, State};
use crate::config::{ModelConfig, TrainConfig};
use crate::curve::{LossRow, loss_curve_file};
use crate::data::{DataError, Tokens};
use crate::model::{Gradients, Model};
use crate::pass::{Keep, Pass};
use crate::random::Dropout;
use crate::tensors::{CheckpointError, TensorFile, write_whole};
use crate::weights::{load_tensors, save_weights};

/// A training could not be started or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Tokens could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint could not be written or read; the last good one is kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The folder holds the checkpoint of a training with another shape, settings or tokens.
    #[error("{} holds a checkpoint of another training (step {step})", folder.display())]
    OtherTraining {
        /// The folder.
        folder: std::path::PathBuf,
        /// Steps that the other training has done.
        step: u64,
    },
    /// The loss is no number any more.
    #[error("the loss is {loss} at step {step}: the training has diverged; its batch was {batch}")]
    Diverged {
        /// The step, from 0, whose batch gave it.
        step: u64,
        /// The loss.
        loss: f32,
        /// The sequences of the batch, by file and token.
        batch: String,
    },
    /// The caller asked to stop; a checkpoint was written.
    #[error("stopped after step {step}")]
    Stopped {
        /// Steps done.
        step: u64,
    },
    /// A setting that no training can have.
    #[error("{0}")]
    Settings(String),
}

/// What a training reports after each step.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Steps done.
    pub step: u64,
    /// Loss of the step's batch.
    pub loss: f32,
    /// Norm of its gradient, before it was cut.
    pub gradient_norm: f32,
    /// Tokens the step saw.
    pub tokens: u64,
    /// Set when the step was followed by a validation; a checkpoint comes next.
    pub validated: Option<LossRow>,
    /// The model as it is.
    pub model: &'a Model,
}

/// A finished training.
#[derive(Debug)]
pub struct Trained {
    /// The model: the last one; with `patience` the one with the lowest validation loss.
    pub model: Model,
    /// Its loss curve.
    pub curve: Vec<LossRow>,
    /// With `patience`: the step of the lowest validation loss, if the training ended early because of it.
    pub stopped_early_for: Option<u64>,
}

/// What a training's first step finds.
#[derive(Debug, Clone, Copy)]
pub enum Beginning<'a> {
    /// Weights drawn from the settings' seed.
    Random(&'a ModelConfig),
    /// The weights of a model.
    Model(&'a Model),
}

impl<'a> Beginning<'a> {
    fn config(&self) -> &'a ModelConfig {
        match self {
            Beginning::Random(config) => config,
            Beginning::Model(model) => model.config(),
        }
    }

    /// What the fingerprint of a training needs of it.
    fn checksum(&self) -> Option<u64> {
        match self {
            Beginning::Random(_) => None,
            Beginning::Model(model) => Some(xxhash_rust::xxh3::xxh3_64(bytemuck::cast_slice(&model.weights))),
        }
    }
}

/// Trains a model, going on from the newest checkpoint in `folder`.
///
/// `report` is called after each step and may break the training off, behind a checkpoint of that step. Where a validation was due it is called
/// before the checkpoint is written: what it writes about a step is never missing after a kill, but may be
/// written twice.
///
/// `folder` gets `checkpoint.safetensors`, `loss.jsonl` and `loss.svg`; with `patience` also `best.safetensors`.
/// The result depends on the shape, the settings and the tokens alone: not on threads, and not on kills in between.
///
/// # Errors
/// Unfit tokens, a full disk, divergence, a checkpoint of another training, checkpoints that are all damaged.
pub fn train(
    folder: &Path,
    beginning: Beginning<'_>,
    settings: &TrainConfig,
    tokens: &Tokens,
    validation: &Tokens,
    mut report: impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let config = beginning.config();
    config.check().and_then(|()| settings.check()).map_err(TrainError::Settings)?;
    fs::create_dir_all(folder).map_err(|source| CheckpointError::io("create", folder, source))?;
    // What a kill left of a checkpoint is as large as one. No other training writes to this folder.
    atomic_file::sweep_here(folder).map_err(CheckpointError::from)?;
    let (at, curve) = start(folder, beginning, settings, fingerprint(beginning, settings, tokens, validation))?;
    let mut training = Training {
        folder,
        settings,
        tokens,
        validation,
        gradients: at.model.zero_gradients(),
        pass: Pass::new(config, settings.precision, Keep::ForBackward),
        at,
        curve,
    };
    while training.at.state.step < settings.steps && !training.is_out_of_patience() {
        let (loss, gradient_norm) = training.step()?;
        let step = training.at.state.step;
        let is_due = step.is_multiple_of(settings.evaluate_every) || step == settings.steps;
        let validated = if is_due { Some(training.validate()?) } else { None };
        let tokens = settings.accumulate * (settings.batch * config.context) as u64;
        let model = &training.at.model;
        let flow = report(Progress { step, loss, gradient_norm, tokens, validated, model });
        if is_due || flow.is_break() {
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
    tokens: &'a Tokens,
    validation: &'a Tokens,
    at: Checkpoint,
    curve: Vec<LossRow>,
    gradients: Gradients,
    pass: Pass,
}

impl Training<'_> {
    /// One update of the weights; gives the loss, and the gradient's norm before it was cut.
    fn step(&mut self) -> Result<(f32, f32), TrainError> {
        let Training { settings, at, gradients, pass, .. } = self;
        let (step, passes) = (at.state.step, settings.accumulate);
        let t = at.model.config().context;
        let mut sum = 0.0f64;
        for number in step * passes..(step + 1) * passes {
            let batch = self.tokens.batch(settings.seed, number, settings.batch)?;
            let dropout = Dropout { probability: settings.dropout, seed: settings.seed, pass: number };
            let accumulate = number > step * passes;
            pass.forward(&at.model, &batch.inputs, t, Some(dropout));
            let loss = pass.language_model_loss(&at.model, &batch.targets, 1.0, gradients, accumulate);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, loss, batch: self.tokens.describe(&batch) });
            }
            pass.backward(&at.model, &batch.inputs, gradients, accumulate);
            sum += f64::from(loss);
        }
        let mean = 1.0 / passes as f32;
        let norm = mean * norm(&[&gradients.0]);
        let cut = if norm > settings.clip_norm { settings.clip_norm / norm } else { 1.0 };
        let learning_rate = settings.rate_at(step);
        let (beta_2, gradient_scale) = (BETA_2_QUICK, mean * cut);
        let update = Update { step, learning_rate, beta_2, weight_decay: settings.weight_decay, gradient_scale };
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
            if self.settings.patience.is_some() {
                save_weights(&self.folder.join("best.safetensors"), &self.at.model)?;
            }
        }
        Ok(row)
    }

    /// Writes the curve, then the checkpoint: without its row it would lose it, a row too many is cut off.
    fn save(&self) -> Result<(), CheckpointError> {
        self.write_curve()?;
        checkpoint::save(self.folder, &self.at, self.settings.keep_checkpoints)
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
        write_whole(&self.folder.join("loss.svg"), loss_curve_file(&self.curve).as_bytes())
    }

    /// Whether the lowest validation loss lies more than `patience` validations back.
    fn is_out_of_patience(&self) -> bool {
        let (Some(patience), Some((_, best))) = (self.settings.patience, self.at.state.best) else { return false };
        self.curve.iter().filter(|row| row.step > best).count() as u64 >= patience
    }

    fn finish(self, config: &ModelConfig) -> Result<Trained, TrainError> {
        let best = self.at.state.best.filter(|_| self.settings.patience.is_some());
        let stopped_early_for = best.filter(|_| self.at.state.step < self.settings.steps).map(|(_, step)| step);
        let model = match best {
            Some((_, step)) if step < self.at.state.step => {
                let path = self.folder.join("best.safetensors");
                load_tensors(&path, &TensorFile::open(&path)?, "", config)?
            }
            _ => self.at.model,
        };
        Ok(Trained { model, curve: self.curve, stopped_early_for })
    }
}

/// The newest checkpoint with its part of the curve, or a beginning.
fn start(
    folder: &Path,
    beginning: Beginning<'_>,
    settings: &TrainConfig,
    fingerprint: String,
) -> Result<(Checkpoint, Vec<LossRow>), TrainError> {
    let found = match checkpoint::find(folder, beginning.config(), &fingerprint)? {
        Found::Checkpoint(found) => *found,
        Found::Other(step) => return Err(TrainError::OtherTraining { folder: folder.to_path_buf(), step }),
        Found::Nothing => {
            let model = match beginning {
                Beginning::Random(config) => Model::new(config, settings.seed),
                Beginning::Model(model) => model.clone(),
            };
            let state = State { step: 0, fingerprint, losses: (0.0, 0), best: None };
            return Ok((Checkpoint { state, optimiser: AdamW::new(model.parameters()), model }, Vec::new()));
        }
    };
    let rows = fs::read_to_string(folder.join("loss.jsonl")).unwrap_or_default();
    let rows = rows.lines().filter_map(|line| serde_json::from_str::<LossRow>(line).ok());
    let curve = rows.filter(|row| row.step <= found.state.step).collect();
    Ok((found, curve))
}

/// Everything the weights depend on, as a short text. How many checkpoints are kept is no part of it.
fn fingerprint(beginning: Beginning<'_>, settings: &TrainConfig, tokens: &Tokens, validation: &Tokens) -> String {
    let settings = TrainConfig { keep_checkpoints: 1, ..settings.clone() };
    let data = [tokens.checksum(), validation.checksum()];
    let all = serde_json::json!([beginning.config(), beginning.checksum(), settings, data]);
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(all.to_string().as_bytes()))
}

impl TrainConfig {
    /// Checks that the settings are ones.
    ///
    /// # Errors
    /// A sentence that names the fault.
    pub fn check(&self) -> Result<(), String> {
        let counts = [self.batch as u64, self.accumulate, self.evaluate_every, self.evaluate_batches];
        if counts.contains(&0) || self.keep_checkpoints == 0 || self.patience == Some(0) {
            let names = "batch, accumulate, evaluate_every, evaluate_batches, keep_checkpoints and patience";
            return Err(format!("{names} are at least 1"));
        }
        let shares = [self.dropout, self.decay_to];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || self.dropout >= 1.0 {
            return Err("dropout is at least 0 and below 1, decay_to from 0 to 1".into());
        }
        let rates = [self.learning_rate, self.weight_decay, self.clip_norm];
        if rates.iter().any(|rate| !rate.is_finite() || *rate < 0.0) || self.clip_norm == 0.0 {
            return Err("learning_rate, weight_decay and clip_norm are finite and not negative, clip_norm not 0".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::Precision;

    fn tokens(folder: &Path, name: &str) -> Tokens {
        let path = folder.join(name);
        let ids: Vec<u8> = (0..4000u32).flat_map(|i| ((i * i / 7 % 13) as u16).to_le_bytes()).collect();
        fs::write(&path, ids).unwrap();
        Tokens::open(&[path], 8, 13).unwrap()
    }

    fn settings() -> TrainConfig {
        TrainConfig {
            steps: 30,
            batch: 4,
            accumulate: 1,
            learning_rate: 0.01,
            decay_to: 0.1,
            warmup_steps: 5,
            weight_decay: 0.1,
            clip_norm: 1.0,
            dropout: 0.0,
            precision: Precision::F32,
            seed: 1,
            evaluate_every: 10,
            evaluate_batches: 2,
            patience: None,
            keep_checkpoints: 1,
        }
    }

    fn shape() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 16, 8, 13)
    }

    fn run(folder: &Path, shape: &ModelConfig, settings: &TrainConfig, until: u64) -> Result<Trained, TrainError> {
        fs::create_dir_all(folder).unwrap();
        let (data, held_out) = (tokens(folder, "a.bin"), tokens(folder, "b.bin"));
        train(folder, Beginning::Random(shape), settings, &data, &held_out, |progress| {
            if progress.step < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    #[test]
    fn a_training_that_was_broken_off_goes_on_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let all = TrainConfig { accumulate: 2, dropout: 0.1, precision: Precision::Bf16, ..settings() };
        for (name, shape, settings) in [("a", shape(), settings()), ("b", ModelConfig::gpt1(2, 2, 16, 8, 13), all)] {
            let whole = run(&folder.path().join(name), &shape, &settings, u64::MAX).unwrap();
            // In the middle between two validations, whose losses are in the checkpoint, too.
            let killed = folder.path().join(name).join("killed");
            assert!(matches!(run(&killed, &shape, &settings, 17), Err(TrainError::Stopped { step: 17 })));
            let resumed = run(&killed, &shape, &settings, u64::MAX).unwrap();
            assert!(resumed.model == whole.model);
            assert_eq!(resumed.curve, whole.curve);
        }
    }

    #[test]
    fn two_passes_of_half_a_batch_are_one_of_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let whole = TrainConfig { batch: 8, ..settings() };
        let halves = TrainConfig { batch: 4, accumulate: 2, ..settings() };
        let [whole, halves] = [("whole", whole), ("halves", halves)]
            .map(|(name, settings)| run(&folder.path().join(name), &shape(), &settings, u64::MAX).unwrap());
        let difference = (whole.curve[2].train_loss - halves.curve[2].train_loss).abs();
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn it_learns() {
        let folder = tempfile::tempdir().unwrap();
        for (name, shape) in [("gpt2", shape()), ("gpt1", ModelConfig::gpt1(1, 2, 16, 8, 13))] {
            let settings = TrainConfig { steps: 150, ..settings() };
            let trained = run(&folder.path().join(name), &shape, &settings, u64::MAX).unwrap();
            let (first, last) = (trained.curve[0].validation_loss, trained.curve.last().unwrap().validation_loss);
            assert!(last < 0.85 * first, "{first} to {last}");
        }
    }

    #[test]
    fn divergence_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let settings = TrainConfig { learning_rate: f32::MAX, warmup_steps: 1, ..settings() };
        let error = run(folder.path(), &shape(), &settings, u64::MAX).unwrap_err();
        assert!(matches!(&error, TrainError::Diverged { batch, .. } if batch.contains("a.bin from token")), "{error}");
    }

    #[test]
    fn a_training_out_of_patience_gives_its_best_model() {
        let folder = tempfile::tempdir().unwrap();
        // A rate that ruins what was learned while the warm-up was low.
        let settings =
            TrainConfig { steps: 400, learning_rate: 3.0, warmup_steps: 400, patience: Some(2), ..settings() };
        let trained = run(folder.path(), &shape(), &settings, u64::MAX).unwrap();
        let best = trained.curve.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
        assert_eq!(trained.stopped_early_for, Some(best.step));
        assert_eq!(trained.curve.last().unwrap().step, best.step + 20);
        let again = run(folder.path(), &shape(), &settings, u64::MAX).unwrap();
        assert!(again.model == trained.model && again.stopped_early_for == trained.stopped_early_for);
    }

    #[test]
    fn another_training_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &shape(), &settings(), u64::MAX).unwrap();
        let other = TrainConfig { seed: 2, ..settings() };
        let error = run(folder.path(), &shape(), &other, u64::MAX).unwrap_err();
        assert!(matches!(error, TrainError::OtherTraining { step: 30, .. }), "{error}");
        let wider = ModelConfig::gpt2(1, 2, 32, 8, 13);
        let error = run(folder.path(), &wider, &settings(), u64::MAX).unwrap_err();
        assert!(matches!(error, TrainError::OtherTraining { step: 30, .. }), "{error}");
        let more_kept = TrainConfig { keep_checkpoints: 3, ..settings() };
        assert!(run(folder.path(), &shape(), &more_kept, u64::MAX).is_ok());
    }
}
