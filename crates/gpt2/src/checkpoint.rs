//! Weights on disk: `config.json` and `model.safetensors` as Hugging Face has them, and the state of a
//! training from which it goes on as if it had never stopped.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::{Family, ModelConfig};
use crate::model::Model;

/// A model or checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what its name says.
    #[error("{} is not a usable model: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// What a training must know to go on, beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Steps done.
    pub(crate) step: u64,
    /// Everything that the weights depend on: settings and data.
    pub(crate) fingerprint: String,
}

/// Weights and both moments of AdamW, all in the model's order.
pub(crate) struct Checkpoint {
    pub(crate) state: State,
    pub(crate) model: Model,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

/// Writes `config.json` and `model.safetensors` into a folder, as `GPT2LMHeadModel` loads them.
///
/// The output projection is tied to `wte` and therefore absent, as in Hugging Face's own files.
pub fn save_model(folder: &Path, model: &Model, end_of_text: Option<u32>) -> Result<(), CheckpointError> {
    let config = model.config();
    let json = json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
        "n_layer": config.layers, "n_head": config.heads, "n_embd": config.channels,
        "n_positions": config.context, "n_ctx": config.context, "vocab_size": config.vocab_size,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": true,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": end_of_text, "eos_token_id": end_of_text,
    });
    let json = serde_json::to_string_pretty(&json).expect("plain values");
    write_whole(&folder.join("config.json"), format!("{json}\n").as_bytes())?;
    let path = folder.join("model.safetensors");
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_whole(&path, &serialise(&path, [("", &model.weights)], model, metadata)?)
}

/// Reads a folder that [`save_model`] or Hugging Face wrote.
pub fn load_model(folder: &Path) -> Result<Model, CheckpointError> {
    let path = folder.join("config.json");
    let bytes = fs::read(&path).map_err(|source| CheckpointError::Io { action: "read", path: path.clone(), source })?;
    let json: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| CheckpointError::Malformed { path: path.clone(), what: error.to_string() })?;
    let number = |name: &str| {
        let missing = || CheckpointError::Malformed { path: path.clone(), what: format!("no number {name}") };
        json[name].as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(missing)
    };
    let config = ModelConfig {
        family: Family::Gpt2,
        layers: number("n_layer")?,
        heads: number("n_head")?,
        channels: number("n_embd")?,
        context: number("n_positions")?,
        vocab_size: number("vocab_size")?,
    };
    config.check().map_err(|what| CheckpointError::Malformed { path: path.clone(), what })?;
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).map_err(|source| CheckpointError::Io { action: "read", path: path.clone(), source })?;
    let tensors = parse(&path, &bytes)?;
    // The shape is what a file claims; believe it only as far as the weights that are there.
    let embeddings = config.vocab_size.checked_mul(config.channels).and_then(|n| n.checked_mul(4));
    let blocks =
        config.channels.checked_mul(config.channels).and_then(|n| n.checked_mul(48)?.checked_mul(config.layers));
    if [embeddings, blocks].iter().any(|claimed| claimed.is_none_or(|claimed| claimed > bytes.len()))
        || config.context > bytes.len()
    {
        return Err(CheckpointError::Malformed { path, what: "it is smaller than its config.json claims".into() });
    }
    let mut model = Model::zeros(&config);
    model.weights = read_tensors(&path, &tensors, "", &model)?;
    Ok(model)
}

/// Writes a checkpoint: under another name first, so that the last good one is never lost.
pub(crate) fn save(path: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    // One entry: safetensors does not keep the order of several.
    let state = serde_json::to_string(&checkpoint.state).expect("plain values");
    let metadata = HashMap::from([("state".to_owned(), state)]);
    let parts = [("", &checkpoint.model.weights), ("first.", &checkpoint.first), ("second.", &checkpoint.second)];
    write_whole(path, &serialise(path, parts, &checkpoint.model, metadata)?)
}

/// Reads a checkpoint of a model of this shape; `None` when there is none.
pub(crate) fn load(path: &Path, config: &ModelConfig) -> Result<Option<Checkpoint>, CheckpointError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| CheckpointError::Io { action: "read", path: path.to_path_buf(), source })?,
    };
    let malformed = |what: String| CheckpointError::Malformed { path: path.to_path_buf(), what };
    let tensors = parse(path, &bytes)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| malformed(error.to_string()))?;
    let state = metadata.metadata().as_ref().and_then(|metadata| metadata.get("state"));
    let state = state.ok_or_else(|| malformed("it holds no state of a training".into()))?;
    let state = serde_json::from_str(state).map_err(|error| malformed(error.to_string()))?;
    let mut model = Model::zeros(config);
    model.weights = read_tensors(path, &tensors, "", &model)?;
    let first = read_tensors(path, &tensors, "first.", &model)?;
    let second = read_tensors(path, &tensors, "second.", &model)?;
    Ok(Some(Checkpoint { state, model, first, second }))
}

fn serialise<'a>(
    path: &Path,
    parts: impl IntoIterator<Item = (&'a str, &'a Vec<f32>)>,
    model: &Model,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, CheckpointError> {
    let malformed = |error: safetensors::SafeTensorError| CheckpointError::Malformed {
        path: path.to_path_buf(),
        what: error.to_string(),
    };
    let bytes: Vec<(&str, Vec<u8>)> =
        parts.into_iter().map(|(prefix, flat)| (prefix, flat.iter().flat_map(|x| x.to_le_bytes()).collect())).collect();
    let mut views = Vec::new();
    for (prefix, bytes) in &bytes {
        for tensor in model.tensors() {
            let data = &bytes[4 * tensor.range.start..4 * tensor.range.end];
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), data).map_err(malformed)?;
            views.push((format!("{prefix}{}", tensor.name), view));
        }
    }
    safetensors::serialize(views, Some(metadata)).map_err(malformed)
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, CheckpointError> {
    SafeTensors::deserialize(bytes)
        .map_err(|error| CheckpointError::Malformed { path: path.to_path_buf(), what: error.to_string() })
}

/// The flat buffer of all tensors whose names begin with `prefix`, or with `transformer.` before it.
fn read_tensors(
    path: &Path,
    tensors: &SafeTensors<'_>,
    prefix: &str,
    model: &Model,
) -> Result<Vec<f32>, CheckpointError> {
    let malformed = |what: String| CheckpointError::Malformed { path: path.to_path_buf(), what };
    let mut flat = vec![0.0; model.parameters()];
    for tensor in model.tensors() {
        let name = format!("{prefix}{}", tensor.name);
        let view = tensors.tensor(&name).or_else(|_| tensors.tensor(&format!("transformer.{name}")));
        let view = view.map_err(|_| malformed(format!("the tensor {name} is missing")))?;
        if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
            let (dtype, shape) = (view.dtype(), view.shape());
            return Err(malformed(format!("{name} is {dtype:?} {shape:?}, not F32 {:?}", tensor.shape)));
        }
        for (to, four) in flat[tensor.range.clone()].iter_mut().zip(view.data().chunks_exact(4)) {
            *to = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
    }
    if let Some(at) = flat.iter().position(|x| !x.is_finite()) {
        return Err(malformed(format!("weight {at} is not a finite number")));
    }
    Ok(flat)
}

/// Writes a file under a temporary name, syncs it, and renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let io = |action| move |source| CheckpointError::Io { action, path: path.to_path_buf(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io("create the folder of"))?;
    }
    let partial = path.with_extension("partial");
    let written = fs::File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if written.is_err() {
        // The disk is full, most likely: give back what the half file took.
        let _ = fs::remove_file(&partial);
    }
    written.map_err(io("write"))?;
    fs::rename(&partial, path).map_err(io("rename into place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 4, 5, 7)
    }

    #[test]
    fn a_model_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::new(&config(), 1);
        save_model(folder.path(), &model, Some(6)).unwrap();
        assert_eq!(load_model(folder.path()).unwrap(), model);
    }

    #[test]
    fn hostile_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        save_model(folder.path(), &Model::new(&config(), 1), None).unwrap();
        let path = folder.path().join("model.safetensors");
        let whole = fs::read(&path).unwrap();
        let mut claims_much = whole.clone();
        claims_much[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut not_a_number = whole.clone();
        let end = not_a_number.len();
        not_a_number[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        for bytes in [&whole[..whole.len() - 3], &whole[..5], &[], &claims_much, &not_a_number] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(load_model(folder.path()), Err(CheckpointError::Malformed { .. })));
        }
    }
}
