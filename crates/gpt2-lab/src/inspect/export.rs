//! Activations in memory, and as a `.safetensors` file.

use std::collections::BTreeMap;
use std::path::Path;

use gpt2::tensor_file::{self, TensorData};
use gpt2::{Activation, CheckpointError, Model};
use serde_json::json;

/// Runs the model over a sequence and keeps the activations whose names are among `names`.
///
/// # Panics
/// As [`Model::trace`].
pub fn record(model: &Model, tokens: &[u32], names: &[&str]) -> BTreeMap<String, Activation> {
    let mut kept = BTreeMap::new();
    model.trace(tokens, |name, activation| {
        if names.contains(&name) {
            kept.insert(name.to_owned(), activation.clone());
        }
    });
    kept
}

/// Writes activations as F32 tensors under their names; the metadata's `run` holds text and ids as JSON.
///
/// # Errors
/// The file cannot be written; nothing appears under its name then.
pub fn write_activations(
    path: &Path,
    activations: &BTreeMap<String, Activation>,
    text: &str,
    tokens: &[u32],
) -> Result<(), CheckpointError> {
    let tensors =
        activations.iter().map(|(name, Activation { shape, data })| (name.clone(), TensorData { shape, data }));
    tensor_file::write(path, tensors.collect(), ("run", json!({"text": text, "tokens": tokens}).to_string()))
}

#[cfg(test)]
mod tests {
    use gpt2::ModelConfig;

    use super::*;

    #[test]
    fn what_was_recorded_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let model = Model::new(&ModelConfig::gpt2(2, 2, 8, 6, 11), 1);
        let kept = record(&model, &[1, 2, 3], &["blocks.1.attn.pattern", "ln_f"]);
        write_activations(&path, &kept, "a b c", &[1, 2, 3]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = tensors.names();
        names.sort_unstable();
        assert_eq!(names, ["blocks.1.attn.pattern", "ln_f"]);
        assert_eq!(tensors.tensor("blocks.1.attn.pattern").unwrap().shape(), [2, 3, 3]);
        let first = f32::from_le_bytes(tensors.tensor("ln_f").unwrap().data()[..4].try_into().unwrap());
        assert_eq!(first, kept["ln_f"].data[0]);
    }
}
