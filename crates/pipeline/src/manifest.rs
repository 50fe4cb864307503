//! The record of one finished task. It is written last: outputs without a manifest do not exist.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Counts, IoContext, Result, atomic};

/// A file as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative to the run's folder for what the run wrote, as given in the recipe for what it read.
    pub path: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3-64 in hexadecimal.
    pub checksum: String,
}

/// An input that could not be read to its end. What was read before the fault is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The file.
    pub path: String,
    /// What is wrong and where.
    pub error: String,
}

/// A dropped record that a report can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Why it was dropped.
    pub reason: crate::Reason,
    /// Where it stood: file and line, or file and byte.
    pub place: String,
    /// Its first characters.
    pub text: String,
}

/// What a task read, wrote, kept and dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of webtext that wrote the outputs.
    pub version: String,
    /// The stage, such as `links.read`.
    pub stage: String,
    /// The task's number, from 0.
    pub task: u32,
    /// The number of tasks of the stage.
    pub of: u32,
    /// Every setting on which the outputs depend.
    pub settings: serde_json::Value,
    /// The files read.
    pub inputs: Vec<FileRecord>,
    /// The files written.
    pub outputs: Vec<FileRecord>,
    /// What became of the records.
    pub counts: Counts,
    /// Records that came from each earlier stage; their sum over the tasks equals what it kept.
    pub received: BTreeMap<String, u64>,
    /// Figures worth telling: tokens, bytes, loss.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// Inputs that broke off.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
    /// A few dropped records of each reason that has no row anywhere else.
    #[serde(default)]
    pub samples: Vec<Sample>,
}

impl Manifest {
    /// Reads a manifest; `None` when there is none, or when it is not one (the task then runs again).
    pub fn read(path: &Path) -> Option<Manifest> {
        let bytes = std::fs::read(path).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes the manifest in place, as the last act of a task.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut json =
            serde_json::to_vec_pretty(self).map_err(std::io::Error::other).at("serialise the manifest", path)?;
        json.push(b'\n');
        atomic::write(path, &json)?;
        Ok(())
    }
}
