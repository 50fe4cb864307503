//! Training: batches, gradients, AdamW, validation, checkpoints.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use user_error::{Exit, UserError};

use crate::adamw::{AdamW, AdamWUpdate, global_norm};
use crate::checkpoint::{self, Checkpoint, Found, State};
use crate::config::{ConfigError, ModelConfig, TrainConfig};
use crate::loss_curve::{LossRow, loss_csv, loss_curve_file};
use crate::model::{Gradients, Model};
use crate::pass::{Keep, Pass};
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
    mut report: impl FnMut(TrainProgress<'_>) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let config = &initial.config().clone();
    config.check()?;
    settings.check()?;
    fs::create_dir_all(folder).map_err(|source| CheckpointError::io("create", folder, source))?;
    let _lock = lock(folder)?;
    // The temporary file of a killed process is as large as a checkpoint. No other training writes to this folder.
    atomic_file::sweep_here(folder).map_err(CheckpointError::from)?;
    let fingerprint = fingerprint(&initial, settings, tokens, validation);
    let (at, curve) = start(folder, initial, settings, fingerprint)?;
    let mut training = Training {
        folder,
        settings,
        tokens,
        validation,
        gradients: at.model.zero_gradients(),
        pass: Pass::new(config, settings.precision, Keep::ForBackward),
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

/// A lock that no other training in the folder can have; it ends with the process, however that ends.
fn lock(folder: &Path) -> Result<File, TrainError> {
    let path = folder.join("train.lock");
    let io = |source| TrainError::from(CheckpointError::io("lock", &path, source));
    let file = File::create(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        // A file system without locks.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Locked(folder.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
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

/// The newest checkpoint with its part of the curve, or step 0.
fn start(
    folder: &Path,
    initial: InitialWeights<'_>,
    settings: &TrainConfig,
    fingerprint: String,
) -> Result<(Checkpoint, Vec<LossRow>), TrainError> {
    let found = match checkpoint::find(folder, initial.config(), &fingerprint)? {
        Found::Checkpoint(mut found) => {
            found.state.settings = Some(settings.clone());
            *found
        }
        Found::Other(state) => {
            let differs = difference(state.settings.as_ref(), settings);
            return Err(TrainError::OtherTraining { folder: folder.to_path_buf(), differs, step: state.step });
        }
        Found::Nothing => {
            let model = match initial {
                InitialWeights::Random(config) => Model::new(config, settings.seed),
                InitialWeights::Model(model) => model,
            };
            let state = State { step: 0, fingerprint, settings: Some(settings.clone()), losses: (0.0, 0), best: None };
            return Ok((Checkpoint { state, optimiser: AdamW::new(model.parameters()), model }, Vec::new()));
        }
    };
    let rows = fs::read_to_string(folder.join("loss.jsonl")).unwrap_or_default();
    let rows = rows.lines().filter_map(|line| serde_json::from_str::<LossRow>(line).ok());
    let curve = rows.filter(|row| row.step <= found.state.step).collect();
    Ok((found, curve))
}

/// What differs between the settings of two trainings, in words.
fn difference(before: Option<&TrainConfig>, now: &TrainConfig) -> String {
    let keys = |settings: &TrainConfig| serde_json::to_value(lasting(settings)).expect("plain values");
    let Some(before) = before else { return "it does not say which settings it was made with".to_owned() };
    let (before, now) = (keys(before), keys(now));
    let (Some(before), Some(now)) = (before.as_object(), now.as_object()) else { return String::new() };
    let differing: Vec<String> = now
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| format!("{key} was {}, is {value}", before.get(key).unwrap_or(&serde_json::Value::Null)))
        .collect();
    if differing.is_empty() {
        return "its tokens, its shape or its first weights are others".to_owned();
    }
    differing.join("; ")
}

/// The settings without those that may change on the way: how long it trains, and how often it validates.
fn lasting(settings: &TrainConfig) -> TrainConfig {
    TrainConfig {
        steps: 0,
        evaluate_every: 1,
        evaluate_batches: 1,
        patience: None,
        checkpoint_every: None,
        checkpoint_minutes: None,
        max_checkpoints: 1,
        ..settings.clone()
    }
}

/// Everything by which trainings are told apart, as a short text: shape, first weights, settings that may not change
/// on the way, tokens.
fn fingerprint(
    initial: &InitialWeights<'_>,
    settings: &TrainConfig,
    tokens: &TokenFiles,
    validation: &TokenFiles,
) -> String {
    let settings = lasting(settings);
    let data = [tokens.checksum(), validation.checksum()];
    let all = serde_json::json!([initial.config(), initial.checksum(), settings, data]);
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(all.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::Precision;

    fn tokens(folder: &Path, name: &str) -> TokenFiles {
        let path = folder.join(name);
        let ids: Vec<u8> = (0..4000u32).flat_map(|i| ((i * i / 7 % 13) as u16).to_le_bytes()).collect();
        fs::write(&path, ids).unwrap();
        TokenFiles::open(&[path], 8, 13).unwrap()
    }

    fn settings() -> TrainConfig {
        TrainConfig {
            steps: 30,
            batch: 4,
            accumulate: 1,
            learning_rate: 0.01,
            min_learning_rate_fraction: 0.1,
            warmup_steps: 5,
            weight_decay: 0.1,
            max_gradient_norm: 1.0,
            dropout: 0.0,
            precision: Precision::F32,
            seed: 1,
            evaluate_every: 10,
            evaluate_batches: 2,
            patience: None,
            checkpoint_every: None,
            checkpoint_minutes: None,
            max_checkpoints: 1,
        }
    }

    fn shape() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 16, 8, 13)
    }

    fn run(folder: &Path, shape: &ModelConfig, settings: &TrainConfig, until: u64) -> Result<Trained, TrainError> {
        fs::create_dir_all(folder).unwrap();
        let (data, held_out) = (tokens(folder, "a.bin"), tokens(folder, "b.bin"));
        train(folder, InitialWeights::Random(shape), settings, &data, &held_out, |progress| {
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
        assert_eq!(trained.best_step, Some(best.step));
        assert_eq!(trained.curve.last().unwrap().step, best.step + 20);
        let again = run(folder.path(), &shape(), &settings, u64::MAX).unwrap();
        assert!(again.model == trained.model && again.best_step == trained.best_step);
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
    }

    #[test]
    fn a_finished_training_goes_on_with_more_steps_and_another_rhythm() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &shape(), &settings(), u64::MAX).unwrap();
        let more = TrainConfig { steps: 50, evaluate_every: 7, evaluate_batches: 1, max_checkpoints: 3, ..settings() };
        let trained = run(folder.path(), &shape(), &more, u64::MAX).unwrap();
        let steps: Vec<u64> = trained.curve.iter().map(|row| row.step).collect();
        assert_eq!(steps, [10, 20, 30, 35, 42, 49, 50]);
        let message = run(folder.path(), &shape(), &TrainConfig { seed: 2, ..more }, u64::MAX).unwrap_err().to_string();
        assert!(message.contains("at step 50: seed was 1, is 2"), "{message}");
    }

    #[test]
    fn checkpoints_come_apart_from_validations_and_the_best_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let often = TrainConfig { checkpoint_every: Some(4), ..settings() };
        fs::create_dir_all(folder.path()).unwrap();
        let (data, held_out) = (tokens(folder.path(), "a.bin"), tokens(folder.path(), "b.bin"));
        let mut saved = Vec::new();
        train(folder.path(), InitialWeights::Random(&shape()), &often, &data, &held_out, |progress| {
            saved.extend(progress.is_saved.then_some(progress.step));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(saved, [4, 8, 10, 12, 16, 20, 24, 28, 30]);
        assert!(folder.path().join("best.safetensors").exists());
        let csv = fs::read_to_string(folder.path().join("loss.csv")).unwrap();
        assert!(csv.starts_with("step,train_loss,validation_loss,learning_rate\n10,"), "{csv}");
        assert_eq!(csv.lines().count(), 4);
    }

    #[test]
    fn two_trainings_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _held = lock(folder.path()).unwrap();
        let error = run(folder.path(), &shape(), &settings(), u64::MAX).unwrap_err();
        assert!(matches!(&error, TrainError::Locked(locked) if locked == folder.path()), "{error}");
    }
}
