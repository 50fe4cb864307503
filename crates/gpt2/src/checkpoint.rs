//! The state of a training, from which it continues as if it had never stopped.
//!
//! `checkpoint.safetensors` is the newest; with `max_checkpoints = 3` the two before it are `checkpoint-1.safetensors`
//! and `checkpoint-2.safetensors`. A checkpoint gets its name when it is complete and on the disk; if one is damaged,
//! the one before it is used.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::config::{ModelConfig, TrainConfig};
use crate::model::Model;
use crate::tensor_file::{self, CheckpointError, TensorFile, TensorSet};
use crate::train::Inputs;
use crate::weights::{load_tensors, named};

/// The state of a training beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Steps done.
    pub(crate) step: u64,
    /// Everything that the weights depend on: shape, settings and data.
    pub(crate) fingerprint: String,
    /// The settings, so that a message can name what differs; checkpoints of former releases have none.
    #[serde(default)]
    pub(crate) settings: Option<TrainConfig>,
    /// Shape and data, for the same purpose.
    #[serde(default)]
    pub(crate) inputs: Option<Inputs>,
    /// Checksum of weights and moments, in a file only; checkpoints of former releases have none.
    #[serde(default)]
    pub(crate) checksum: Option<String>,
    /// Sum and number of the losses since the last row of the curve.
    pub(crate) losses: (f64, u64),
    /// Lowest validation loss so far, and its step.
    pub(crate) best: Option<(f32, u64)>,
}

/// A training between two steps.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) state: State,
    pub(crate) model: Model,
    pub(crate) optimiser: AdamW,
}

/// The path of a training's checkpoint of some age; 0 is the newest.
fn path(folder: &Path, age: usize) -> PathBuf {
    match age {
        0 => folder.join("checkpoint.safetensors"),
        _ => folder.join(format!("checkpoint-{age}.safetensors")),
    }
}

/// Writes a checkpoint and keeps the `keep - 1` before it.
pub(crate) fn save(folder: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<(), CheckpointError> {
    let Checkpoint { state, model, optimiser } = checkpoint;
    let mut all = named(model, "", &model.weights);
    all.extend(named(model, "first.", &optimiser.first));
    all.extend(named(model, "second.", &optimiser.second));
    let state = State { checksum: Some(checksum(model, optimiser)), ..state.clone() };
    let state = serde_json::to_string(&state).expect("plain values");
    let newest = path(folder, 0);
    if keep < 2 || !newest.exists() {
        return tensor_file::write(&newest, all, ("state", state));
    }
    // Written under a temporary name before the others are renamed, so that there is always a complete one.
    let next = folder.join("checkpoint-next.safetensors");
    tensor_file::write(&next, all, ("state", state))?;
    for age in (0..keep - 1).rev().filter(|&age| path(folder, age).exists()) {
        rename(&path(folder, age), &path(folder, age + 1))?;
    }
    rename(&next, &newest)
}

fn rename(from: &Path, to: &Path) -> Result<(), CheckpointError> {
    fs::rename(from, to).map_err(|source| CheckpointError::io("rename", from, source))
}

/// The checkpoints found in a folder.
#[derive(Debug)]
pub(crate) enum Found {
    /// No checkpoint.
    Nothing,
    /// That of a training with another fingerprint.
    Other(Box<State>),
    /// The newest whole one.
    Checkpoint(Box<Checkpoint>),
}

/// Looks for the newest whole checkpoint of a training, by its steps.
///
/// # Errors
/// There are checkpoints, but all are damaged. The error is that of one of them.
pub(crate) fn find(folder: &Path, config: &ModelConfig, fingerprint: &str) -> Result<Found, CheckpointError> {
    let (mut found, mut error) = (Vec::new(), None);
    for path in candidates(folder)? {
        match open(&path) {
            Ok((state, file)) => found.push((state, path, file)),
            Err(fault @ CheckpointError::Io { .. }) => return Err(fault),
            Err(fault) => error = Some(fault),
        }
    }
    found.sort_by_key(|(state, ..)| std::cmp::Reverse(state.step));
    for (state, path, file) in found {
        if state.fingerprint != fingerprint {
            return Ok(Found::Other(Box::new(state)));
        }
        match load(&path, &TensorSet::of(vec![file]), state, config) {
            Ok(checkpoint) => return Ok(Found::Checkpoint(Box::new(checkpoint))),
            Err(fault @ CheckpointError::Io { .. }) => return Err(fault),
            Err(fault) => error = Some(fault),
        }
    }
    error.map_or(Ok(Found::Nothing), Err)
}

/// How far the training in a folder is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedTraining {
    /// Steps done.
    pub step: u64,
    /// Its settings; checkpoints of former releases have none.
    pub settings: Option<TrainConfig>,
}

/// The training whose checkpoint a folder has, by the newest that can be read; `None` where there is none.
///
/// # Errors
/// What the system refuses.
pub fn saved_training(folder: &Path) -> Result<Option<SavedTraining>, CheckpointError> {
    let states = candidates(folder)?.into_iter().filter_map(|path| open(&path).ok()).map(|(state, _)| state);
    let newest = states.max_by_key(|state| state.step);
    Ok(newest.map(|State { step, settings, .. }| SavedTraining { step, settings }))
}

/// Deletes the checkpoints and the loss curve of a training, so that another one can begin in the folder.
///
/// # Errors
/// What the system refuses.
pub fn delete_training(folder: &Path) -> Result<(), CheckpointError> {
    let others = ["best.safetensors", "loss.jsonl", "loss.csv", "loss.svg"].map(|name| folder.join(name));
    for path in candidates(folder)?.into_iter().chain(others.into_iter().filter(|path| path.exists())) {
        fs::remove_file(&path).map_err(|source| CheckpointError::io("delete", &path, source))?;
    }
    Ok(())
}

/// All files that may be checkpoints. A kill between two renames leaves the newest one under the name of the next.
fn candidates(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let io = |source| CheckpointError::io("list", folder, source);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("checkpoint") && name.ends_with(".safetensors")) {
            paths.push(folder.join(name));
        }
    }
    paths.sort();
    Ok(paths)
}

/// A checkpoint's state, and its tensors not yet read.
fn open(path: &Path) -> Result<(State, TensorFile), CheckpointError> {
    let malformed = |what: String| CheckpointError::malformed(path, what);
    let file = TensorFile::open(path)?;
    let state = file.entry("state").ok_or_else(|| malformed("it has no training state".into()))?;
    let state = serde_json::from_str(state)
        .map_err(|error| malformed(format!("its training state cannot be read: {error}")))?;
    Ok((state, file))
}

fn load(path: &Path, file: &TensorSet, mut state: State, config: &ModelConfig) -> Result<Checkpoint, CheckpointError> {
    let model = load_tensors(path, file, "", config)?;
    let first = load_tensors(path, file, "first.", config)?.weights;
    let second = load_tensors(path, file, "second.", config)?.weights;
    let optimiser = AdamW { first, second };
    if state.checksum.take().is_some_and(|expected| expected != checksum(&model, &optimiser)) {
        return Err(CheckpointError::malformed(path, "its tensors are not those that were written: it is damaged"));
    }
    Ok(Checkpoint { state, model, optimiser })
}

/// XXH3-64 over weights and moments.
fn checksum(model: &Model, optimiser: &AdamW) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for buffer in [&model.weights, &optimiser.first, &optimiser.second] {
        hasher.update(bytemuck::cast_slice(buffer));
    }
    format!("{:016x}", hasher.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 4, 5, 7)
    }

    fn at(step: u64) -> Checkpoint {
        let model = Model::new(&config(), step);
        let optimiser = AdamW { first: vec![step as f32; model.parameters()], second: vec![0.5; model.parameters()] };
        let state = State {
            step,
            fingerprint: "f".into(),
            settings: None,
            inputs: None,
            checksum: None,
            losses: (1.5, 2),
            best: Some((3.0, 1)),
        };
        Checkpoint { state, model, optimiser }
    }

    fn newest(folder: &Path) -> Checkpoint {
        let Found::Checkpoint(found) = find(folder, &config(), "f").unwrap() else { panic!("no checkpoint") };
        *found
    }

    #[test]
    fn a_checkpoint_comes_back_and_older_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(matches!(find(folder, &config(), "f"), Ok(Found::Nothing)));
        for step in 1..=5 {
            save(folder, &at(step), 3).unwrap();
        }
        let found = newest(folder);
        assert_eq!((found.state, found.model, found.optimiser), (at(5).state, at(5).model, at(5).optimiser));
        let steps = [0, 1, 2].map(|age| open(&path(folder, age)).unwrap().0.step);
        assert_eq!(steps, [5, 4, 3]);
        assert!(!path(folder, 3).exists());
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        save(folder, &at(1), 2).unwrap();
        save(folder, &at(2), 2).unwrap();
        let whole = fs::read(path(folder, 0)).unwrap();
        fs::write(path(folder, 0), &whole[..whole.len() / 2]).unwrap();
        assert_eq!(newest(folder).state.step, 1);
        // One bit of a weight, which is a number still.
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(path(folder, 0), &flipped).unwrap();
        assert_eq!(newest(folder).state.step, 1);
        fs::write(path(folder, 0), &whole[..whole.len() / 2]).unwrap();
        fs::write(path(folder, 1), b"x").unwrap();
        assert!(matches!(find(folder, &config(), "f"), Err(CheckpointError::Malformed { .. })));
        assert!(matches!(find(folder, &config(), "g"), Err(CheckpointError::Malformed { .. })));
        delete_training(folder).unwrap();
        assert!(matches!(find(folder, &config(), "f"), Ok(Found::Nothing)));
    }

    #[test]
    fn a_kill_between_renames_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        save(folder, &at(1), 2).unwrap();
        save(folder, &at(2), 2).unwrap();
        fs::rename(path(folder, 0), folder.join("checkpoint-next.safetensors")).unwrap();
        assert_eq!(newest(folder).state.step, 2);
        save(folder, &at(3), 2).unwrap();
        fs::remove_file(folder.join("checkpoint-next.safetensors")).ok();
        assert_eq!(newest(folder).state.step, 3);
    }
}
