//! Training: AdamW, validation, checkpoints.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Checkpoint, CheckpointError, State, write_whole};
use crate::config::{ModelConfig, TrainConfig};
use crate::data::{DataError, TokenFile};
use crate::model::{Gradients, Model};

/// AdamW's constants, as in the GPT-2 and GPT-3 papers.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.95;
const EPSILON: f32 = 1e-8;
/// Weights whose squares one thread sums; fixed, so that the norm has one value.
const NORM_CHUNK: usize = 1 << 14;

/// A training could not be started or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Tokens could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint could not be written or read; the last good one is kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The loss is no number any more.
    #[error("the loss is {loss} at step {step}: the training has diverged; try a lower learning_rate")]
    Diverged {
        /// The step whose batch gave it.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// The caller asked to stop; the last checkpoint is kept.
    #[error("stopped after step {step}")]
    Stopped {
        /// Steps done.
        step: u64,
    },
    /// A setting that no training can have.
    #[error("{0}")]
    Settings(String),
}

/// A row of the loss curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the batches since the row before, in nats a token.
    pub train_loss: f32,
    /// Loss on the validation tokens.
    pub validation_loss: f32,
    /// Learning rate of the last step.
    pub learning_rate: f32,
}

/// What a training reports after each step.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Loss of the step's batch.
    pub loss: f32,
    /// Tokens the step saw.
    pub tokens: u64,
    /// Set when the step was followed by a validation.
    pub validated: Option<LossRow>,
}

/// A finished training.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Its loss curve.
    pub curve: Vec<LossRow>,
}

/// Trains a model, going on from the checkpoint in `folder` if one of the same training is there.
///
/// `report` is called after each step and may break the training off.
///
/// `folder` gets `checkpoint.safetensors` and `loss.jsonl`. The result depends on the shape, the
/// settings and the tokens alone: not on threads, and not on kills in between.
///
/// # Errors
/// Unreadable or unfit tokens, a full disk, divergence.
pub fn train(
    folder: &Path,
    config: &ModelConfig,
    settings: &TrainConfig,
    tokens: &TokenFile,
    validation: &TokenFile,
    mut report: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    config.check().map_err(TrainError::Settings)?;
    if settings.batch == 0 || settings.evaluate_every == 0 || settings.evaluate_batches == 0 {
        return Err(TrainError::Settings("batch, evaluate_every and evaluate_batches are at least 1".into()));
    }
    let path = folder.join("checkpoint.safetensors");
    let fingerprint = fingerprint(config, settings, tokens, validation)?;
    let (mut at, mut curve) = resume(folder, &path, config, &fingerprint)?.unwrap_or_else(|| {
        let model = Model::new(config, settings.seed);
        let zeros = vec![0.0; model.parameters()];
        (Checkpoint { state: State { step: 0, fingerprint }, first: zeros.clone(), second: zeros, model }, Vec::new())
    });
    let (b, t, v) = (settings.batch, config.context, config.vocab_size);
    let mut gradients = at.model.zero_gradients();
    let (mut loss_sum, mut losses) = (0.0f64, 0u32);
    while at.state.step < settings.steps {
        let step = at.state.step;
        let batch = tokens.batch(settings.seed, step, b, t, v)?;
        gradients.0.fill(0.0);
        let loss = at.model.loss_and_gradients(&batch.inputs, &batch.targets, t, &mut gradients);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let learning_rate = settings.rate_at(step);
        update(&mut at, &gradients, settings, learning_rate);
        at.state.step += 1;
        (loss_sum, losses) = (loss_sum + f64::from(loss), losses + 1);
        let due = at.state.step.is_multiple_of(settings.evaluate_every) || at.state.step == settings.steps;
        let validated = if due {
            let validation_loss = validate(&at.model, validation, settings)?;
            let train_loss = (loss_sum / f64::from(losses)) as f32;
            let row = LossRow { step: at.state.step, train_loss, validation_loss, learning_rate };
            (loss_sum, losses) = (0.0, 0);
            curve.push(row);
            // The curve first: a checkpoint without its row would lose it, a row too many is cut off.
            write_curve(&folder.join("loss.jsonl"), &curve)?;
            checkpoint::save(&path, &at)?;
            Some(row)
        } else {
            None
        };
        let progress = Progress { step: at.state.step, loss, tokens: (b * t) as u64, validated };
        if report(progress).is_break() {
            return Err(TrainError::Stopped { step: at.state.step });
        }
    }
    Ok(Trained { model: at.model, curve })
}

/// The checkpoint and its part of the curve, if they belong to the same training.
fn resume(
    folder: &Path,
    path: &Path,
    config: &ModelConfig,
    fingerprint: &str,
) -> Result<Option<(Checkpoint, Vec<LossRow>)>, TrainError> {
    // A checkpoint of another shape or one that is damaged is of no use; the training starts anew.
    let found = match checkpoint::load(path, config) {
        Err(CheckpointError::Malformed { .. }) => None,
        other => other?,
    };
    let Some(found) = found.filter(|found| found.state.fingerprint == fingerprint) else { return Ok(None) };
    let rows = fs::read_to_string(folder.join("loss.jsonl")).unwrap_or_default();
    let rows = rows.lines().filter_map(|line| serde_json::from_str::<LossRow>(line).ok());
    let curve = rows.filter(|row| row.step <= found.state.step).collect();
    Ok(Some((found, curve)))
}

/// Everything the weights depend on, as a short text.
fn fingerprint(
    config: &ModelConfig,
    settings: &TrainConfig,
    tokens: &TokenFile,
    validation: &TokenFile,
) -> Result<String, TrainError> {
    let all = serde_json::json!([config, settings, tokens.checksum()?, validation.checksum()?]);
    Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(all.to_string().as_bytes())))
}

fn validate(model: &Model, validation: &TokenFile, settings: &TrainConfig) -> Result<f32, TrainError> {
    let ModelConfig { context, vocab_size, .. } = *model.config();
    let mut sum = 0.0f64;
    for number in 0..settings.evaluate_batches {
        let batch = validation.spread(number, settings.evaluate_batches, settings.batch, context, vocab_size)?;
        sum += f64::from(model.loss(&batch.inputs, &batch.targets, context));
    }
    Ok((sum / settings.evaluate_batches as f64) as f32)
}

/// AdamW with decoupled decay on matrices, the gradient's norm cut first.
fn update(at: &mut Checkpoint, gradients: &Gradients, settings: &TrainConfig, learning_rate: f32) {
    let squares: Vec<f64> = gradients
        .0
        .par_chunks(NORM_CHUNK)
        .map(|chunk| chunk.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
        .collect();
    let norm = squares.iter().sum::<f64>().sqrt() as f32;
    let scale = if norm > settings.clip_norm { settings.clip_norm / norm } else { 1.0 };
    let step = (at.state.step + 1) as i32;
    let (unbias_1, unbias_2) = (1.0 / (1.0 - BETA_1.powi(step)), 1.0 / (1.0 - BETA_2.powi(step)));
    let tensors: Vec<_> = at.model.tensors().iter().map(|t| (t.range.clone(), t.is_decayed())).collect();
    for (range, decayed) in tensors {
        let decay = if decayed { 1.0 - learning_rate * settings.weight_decay } else { 1.0 };
        let moments = at.first[range.clone()].par_iter_mut().zip(&mut at.second[range.clone()]);
        let weights = at.model.weights[range.clone()].par_iter_mut().zip(&gradients.0[range]);
        weights.zip(moments).with_min_len(4096).for_each(|((weight, gradient), (first, second))| {
            let gradient = gradient * scale;
            *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
            *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
            *weight = *weight * decay - learning_rate * (*first * unbias_1) / ((*second * unbias_2).sqrt() + EPSILON);
        });
    }
}

fn write_curve(path: &Path, curve: &[LossRow]) -> Result<(), CheckpointError> {
    let lines = curve.iter().map(|row| serde_json::to_string(row).expect("plain values") + "\n");
    write_whole(path, lines.collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(folder: &Path, name: &str) -> TokenFile {
        let path = folder.join(name);
        let ids: Vec<u8> = (0..4000u32).flat_map(|i| ((i * i / 7 % 13) as u16).to_le_bytes()).collect();
        fs::write(&path, ids).unwrap();
        TokenFile::open(&path, 8).unwrap()
    }

    fn settings() -> TrainConfig {
        TrainConfig {
            steps: 30,
            batch: 4,
            learning_rate: 0.01,
            warmup_steps: 5,
            weight_decay: 0.1,
            clip_norm: 1.0,
            seed: 1,
            evaluate_every: 10,
            evaluate_batches: 2,
        }
    }

    fn shape() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 16, 8, 13)
    }

    #[test]
    fn a_killed_training_goes_on_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let (data, held_out) = (tokens(folder.path(), "a.bin"), tokens(folder.path(), "b.bin"));
        let whole =
            train(&folder.path().join("whole"), &shape(), &settings(), &data, &held_out, |_| ControlFlow::Continue(()))
                .unwrap();
        // Broken off at step 17 it leaves what a kill leaves: the checkpoint of step 10.
        let killed = folder.path().join("killed");
        let stop_at_17 =
            |progress: Progress| if progress.step < 17 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        let result = train(&killed, &shape(), &settings(), &data, &held_out, stop_at_17);
        assert!(matches!(result, Err(TrainError::Stopped { step: 17 })));
        let mut first_step = None;
        let resumed = train(&killed, &shape(), &settings(), &data, &held_out, |progress| {
            first_step.get_or_insert(progress.step);
            ControlFlow::Continue(())
        });
        let resumed = resumed.unwrap();
        assert_eq!(first_step, Some(11));
        assert!(resumed.model == whole.model);
        assert_eq!(resumed.curve.last(), whole.curve.last());
    }

    #[test]
    fn it_learns() {
        let folder = tempfile::tempdir().unwrap();
        let (data, held_out) = (tokens(folder.path(), "a.bin"), tokens(folder.path(), "b.bin"));
        let settings = TrainConfig { steps: 150, ..settings() };
        let trained =
            train(folder.path(), &shape(), &settings, &data, &held_out, |_| ControlFlow::Continue(())).unwrap();
        let (first, last) = (trained.curve[0].validation_loss, trained.curve.last().unwrap().validation_loss);
        assert!(last < 0.85 * first, "{first} to {last}");
    }

    #[test]
    fn divergence_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (data, held_out) = (tokens(folder.path(), "a.bin"), tokens(folder.path(), "b.bin"));
        let settings = TrainConfig { learning_rate: f32::MAX, warmup_steps: 1, ..settings() };
        let error =
            train(folder.path(), &shape(), &settings, &data, &held_out, |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    }
}
