//! Folders that models are written to: whether a command may write there.

use std::path::Path;

use bpe::{Tokenizer, formats};
use console::Usage;

/// Files by which a folder is known to hold a model, a classifier or a training.
const MODEL_FILES: [&str; 9] = [
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "head.safetensors",
    "finetune.json",
    "checkpoint.safetensors",
    "loss.jsonl",
];

/// Files of which one at least lies in every folder of a training, or of a classifier.
pub(crate) const OF_TRAINING: &[&str] = &["checkpoint.safetensors", "checkpoint-next.safetensors", "loss.jsonl"];
pub(crate) const OF_CLASSIFIER: &[&str] = &["head.safetensors", "finetune.json"];

/// Checks that a folder holds no model but one that this command made, by a file of `own`.
///
/// # Errors
/// A model of others, which would be overwritten.
pub(crate) fn refuse_foreign_model(folder: &Path, own: &[&str]) -> Result<(), Usage> {
    let has = |name: &&&str| folder.join(name).exists();
    let foreign = match MODEL_FILES.iter().find(has) {
        None => return Ok(()),
        Some(_) if own != OF_CLASSIFIER => OF_CLASSIFIER.iter().find(has),
        Some(_) => OF_TRAINING.iter().find(has),
    };
    let foreign = match foreign {
        None if own.iter().any(|name| has(&name)) => return Ok(()),
        other => other.or(MODEL_FILES.iter().find(has)),
    };
    let name = foreign.expect("one was found");
    Err(Usage(format!(
        "{} holds a model that this command did not make ({name}), and would be overwritten: choose another folder, or \
         delete that model",
        folder.display()
    )))
}

/// Checks that a folder has no other tokenizer than this.
///
/// # Errors
/// A file of a tokenizer with another content.
pub(crate) fn refuse_other_tokenizer(folder: &Path, tokenizer: &Tokenizer) -> Result<(), Usage> {
    for (name, content) in formats::files(tokenizer) {
        let path = folder.join(name);
        if std::fs::read(&path).is_ok_and(|found| found != content.as_bytes()) {
            return Err(Usage(format!(
                "{} is of another tokenizer: name that one, choose another output folder, or delete it",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Whether a folder has a model, or a training that will have one.
pub(crate) fn is_model_folder(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    has("train.lock") || has("config.json") && has("model.safetensors")
}

/// Whether two paths are one folder, which exists.
pub(crate) fn is_same_folder(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_of_ones_own_are_overwritten() {
        let check = |files: &[&str], may_train: bool, may_fine_tune: bool| {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|name| std::fs::write(folder.path().join(name), "x").unwrap());
            let found = [OF_TRAINING, OF_CLASSIFIER].map(|own| refuse_foreign_model(folder.path(), own).is_ok());
            assert_eq!(found, [may_train, may_fine_tune], "{files:?}");
        };
        check(&[], true, true);
        check(&["notes.txt", "train.lock", "tokens.bin"], true, true);
        check(&["config.json", "model.safetensors"], false, false);
        check(&["model.safetensors.index.json"], false, false);
        check(&["pytorch_model.bin"], false, false);
        check(&["config.json", "model.safetensors", "loss.jsonl"], true, false);
        check(&["checkpoint.safetensors"], true, false);
        check(&["checkpoint-next.safetensors", "loss.jsonl"], true, false);
        check(&["config.json", "model.safetensors", "head.safetensors"], false, true);
        check(&["config.json", "model.safetensors", "head.safetensors", "loss.jsonl"], false, false);
    }

    #[test]
    fn another_tokenizer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let of = |merges: &[(u32, u32)]| {
            let merges: Vec<_> = merges.iter().map(|&(a, b)| (bpe::TokenId(a), bpe::TokenId(b))).collect();
            Tokenizer::from_merges(&merges, &[bpe::END_OF_TEXT]).unwrap()
        };
        let (one, two) = (of(&[(97, 98)]), of(&[(98, 99)]));
        assert!(refuse_other_tokenizer(folder.path(), &one).is_ok());
        crate::commands::write_tokenizer(folder.path(), &one).unwrap();
        assert!(refuse_other_tokenizer(folder.path(), &one).is_ok());
        assert!(refuse_other_tokenizer(folder.path(), &two).is_err());
    }
}
