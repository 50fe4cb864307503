//! How a training finds its checkpoint: the lock on the folder, and what tells trainings apart.

use std::fs;
use std::path::{Path, PathBuf};

use atomic_file::FileLock;
use serde::{Deserialize, Serialize};

use super::{InitialWeights, TrainError};
use crate::adamw::AdamW;
use crate::checkpoint::{self, Checkpoint, Found, State};
use crate::config::{ModelConfig, TrainConfig, changed_keys};
use crate::loss_curve::LossRow;
use crate::model::Model;
use crate::tensor_file::CheckpointError;
use crate::token_files::TokenFiles;

/// A lock on a folder that no other training can have. Whoever writes into the folder before [`train_locked`](crate::train_locked) takes it first.
#[derive(Debug)]
pub struct TrainingLock {
    folder: PathBuf,
    _lock: FileLock,
}

impl TrainingLock {
    /// Locks a folder, which is made if there is none.
    ///
    /// # Errors
    /// [`TrainError::Locked`] where another process has the lock; what the system refuses.
    pub fn take(folder: &Path) -> Result<TrainingLock, TrainError> {
        fs::create_dir_all(folder).map_err(|source| CheckpointError::io("create", folder, source))?;
        let path = folder.join("train.lock");
        let lock = FileLock::try_take(&path).map_err(CheckpointError::from)?;
        let lock = lock.ok_or_else(|| TrainError::Locked(folder.to_path_buf()))?;
        Ok(TrainingLock { folder: folder.to_path_buf(), _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The newest checkpoint with its part of the curve, or step 0.
pub(super) fn start(
    folder: &Path,
    initial: InitialWeights<'_>,
    settings: &TrainConfig,
    (fingerprint, inputs): (String, Inputs),
) -> Result<(Checkpoint, Vec<LossRow>), TrainError> {
    let found = match checkpoint::find(folder, initial.config(), &fingerprint)? {
        Found::Checkpoint(mut found) => {
            // Losses over other validation batches cannot be compared with these.
            let former = found.state.settings.as_ref().map(|former| former.evaluate_batches);
            if former.is_some_and(|former| former != settings.evaluate_batches) {
                found.state.best = None;
            }
            (found.state.settings, found.state.inputs) = (Some(settings.clone()), Some(inputs));
            *found
        }
        Found::Other(state) => {
            let differs = difference(&state, settings, &inputs);
            return Err(TrainError::OtherTraining { folder: folder.to_path_buf(), differs, step: state.step });
        }
        Found::Nothing => {
            let model = match initial {
                InitialWeights::Random(config) => Model::new(config, settings.seed),
                InitialWeights::Model(model) => model,
            };
            let (settings, inputs) = (Some(settings.clone()), Some(inputs));
            let state = State { step: 0, fingerprint, settings, inputs, checksum: None, losses: (0.0, 0), best: None };
            return Ok((Checkpoint { state, optimiser: AdamW::new(model.parameters()), model }, Vec::new()));
        }
    };
    let rows = fs::read_to_string(folder.join("loss.jsonl")).unwrap_or_default();
    let rows = rows.lines().filter_map(|line| serde_json::from_str::<LossRow>(line).ok());
    let curve = rows.filter(|row| row.step <= found.state.step).collect();
    Ok((found, curve))
}

/// What differs between a training and that of a checkpoint, in words.
fn difference(before: &State, settings: &TrainConfig, inputs: &Inputs) -> String {
    let Some(former) = &before.settings else { return "it does not say which settings it was made with".to_owned() };
    let mut differing = lasting(settings).changes(&lasting(former));
    match &before.inputs {
        Some(former) => differing.extend(inputs.changes(former)),
        // Of a former release.
        None if differing.is_empty() => return "its tokens, its shape or its first weights are others".to_owned(),
        None => {}
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

/// What a training reads beside its settings, by which a message names what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    model: ModelConfig,
    /// Checksums of the tokens and of the first weights.
    train: String,
    validation: String,
    start_from: Option<String>,
}

impl Inputs {
    pub(super) fn new(initial: &InitialWeights<'_>, tokens: &TokenFiles, validation: &TokenFiles) -> Inputs {
        let hex = |checksum: u64| format!("{checksum:016x}");
        Inputs {
            model: initial.config().clone(),
            train: hex(tokens.checksum()),
            validation: hex(validation.checksum()),
            start_from: initial.checksum().map(hex),
        }
    }

    /// What differs from former inputs, in words.
    fn changes(&self, former: &Inputs) -> Vec<String> {
        let mut changes = changed_keys("model.", &self.model, &former.model);
        let others = [
            (self.train != former.train, "the tokens to train on are others"),
            (self.validation != former.validation, "the tokens to validate on are others"),
            (self.start_from != former.start_from, "the weights of start_from are others"),
        ];
        changes.extend(others.into_iter().filter(|other| other.0).map(|other| other.1.to_owned()));
        changes
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
