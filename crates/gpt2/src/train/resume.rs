//! How a training finds its checkpoint: the lock on the folder, and what tells trainings apart.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::{InitialWeights, TrainError};
use crate::adamw::AdamW;
use crate::checkpoint::{self, Checkpoint, Found, State};
use crate::config::TrainConfig;
use crate::loss_curve::LossRow;
use crate::model::Model;
use crate::tensor_file::CheckpointError;
use crate::token_files::TokenFiles;

/// A lock that no other training in the folder can have; it ends with the process, however that ends.
pub(super) fn lock(folder: &Path) -> Result<File, TrainError> {
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

/// The newest checkpoint with its part of the curve, or step 0.
pub(super) fn start(
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
pub(super) fn fingerprint(
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
