//! The subcommands, a file each: its arguments, and `run`.

pub(crate) mod bench;
pub(crate) mod classify;
pub(crate) mod eval;
pub(crate) mod finetune;
pub(crate) mod inspect;
mod output;
pub(crate) mod plan;
pub(crate) mod sample;
pub(crate) mod train;
mod train_file;
mod train_text;

use std::path::Path;

use anyhow::Context;
use bpe::Tokenizer;
use bpe::formats::{self, FormatError};
use console::{Usage, UserError};
use gpt2::{Model, ModelConfig, end_of_text_ids, load_model};
use user_error::did_you_mean;

use crate::check_vocabulary;

/// What names a command's tokenizer, which decides what helps if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenizerSource {
    /// The flag `--tokenizer`; without it, the model's folder.
    Flag,
    /// The key `tokenizer` of `[data]`.
    Settings,
    /// The model's folder alone.
    Folder,
}

/// Loads a folder's model and its tokenizer, or another tokenizer by name, folder or file.
pub(crate) fn load(
    folder: &Path,
    tokenizer: Option<&str>,
    source: TokenizerSource,
) -> anyhow::Result<(Model, Tokenizer)> {
    let model = load_model(folder)?;
    let own = folder.to_string_lossy();
    let tokenizer = load_tokenizer(tokenizer.unwrap_or(&own), source)?;
    check_vocabulary(&tokenizer, model.config().vocab_size)?;
    Ok((model, tokenizer))
}

/// Loads a tokenizer by name, folder or file.
pub(crate) fn load_tokenizer(name: &str, source: TokenizerSource) -> anyhow::Result<Tokenizer> {
    formats::load(name).map_err(|error| match error {
        error @ FormatError::NotFound(_) => NoTokenizer { error, named_by: source }.into(),
        other => other.into(),
    })
}

/// The ids that end a text, the first of them that of a new one's beginning: what the configuration in the model's folder
/// says; where it says nothing, or nothing that the model has, the tokenizer's token.
pub(crate) fn ends_of_text(folder: &Path, model: &Model, tokenizer: &Tokenizer) -> anyhow::Result<Vec<u32>> {
    let vocab_size = model.config().vocab_size;
    let (known, unknown): (Vec<u32>, Vec<u32>) =
        end_of_text_ids(folder)?.into_iter().partition(|&id| (id as usize) < vocab_size);
    if !unknown.is_empty() {
        tracing::warn!(
            "eos_token_id of the model's configuration has {unknown:?}, and the vocabulary {vocab_size} ids"
        );
    }
    let unnamed: Vec<u32> = known.iter().copied().filter(|&id| id as usize >= tokenizer.vocab_size()).collect();
    if !unnamed.is_empty() {
        tracing::warn!(
            "eos_token_id of the model's configuration has {unnamed:?}, which the tokenizer lacks: these end no text, since \
             only tokens of the tokenizer are written"
        );
    }
    let of_tokenizer = tokenizer.end_of_text().map(|id| id.0);
    Ok(if known.is_empty() { of_tokenizer.into_iter().collect() } else { known })
}

/// There is no tokenizer in the folder. The error has no cause, and is told as this one.
#[derive(Debug)]
pub(crate) struct NoTokenizer {
    error: FormatError,
    named_by: TokenizerSource,
}

impl std::fmt::Display for NoTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)
    }
}

impl std::error::Error for NoTokenizer {}

impl UserError for NoTokenizer {
    fn hint(&self) -> Option<String> {
        let hint = match self.named_by {
            TokenizerSource::Flag => "GPT-2's own tokenizer is compiled in: --tokenizer gpt2",
            TokenizerSource::Settings => "GPT-2's own tokenizer is compiled in: tokenizer = \"gpt2\" in [data]",
            TokenizerSource::Folder => "copy the files of the model's tokenizer into its folder",
        };
        Some(hint.to_owned())
    }
}

/// A model of the papers by name.
pub(crate) fn preset(name: &str) -> anyhow::Result<ModelConfig> {
    ModelConfig::preset(name).ok_or_else(|| {
        let names: Vec<&str> = ModelConfig::preset_names().chain(["gpt2-small"]).collect();
        let nearest = did_you_mean(name, names.iter().copied());
        Usage(format!("there is no model {name}{nearest}; there are {}", names.join(", "))).into()
    })
}

/// Writes the files of a tokenizer into a model's folder.
pub(crate) fn write_tokenizer(folder: &Path, tokenizer: &Tokenizer) -> anyhow::Result<()> {
    for (name, content) in formats::files(tokenizer) {
        atomic_file::write(&folder.join(name), content.as_bytes()).context("cannot write the tokenizer")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bpe::TokenId;

    use super::*;

    #[test]
    fn a_folder_without_a_tokenizer_is_named_with_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        let hint = |source| {
            let error = load_tokenizer(folder.path().to_str().unwrap(), source).err().unwrap();
            assert!(error.to_string().starts_with("no tokenizer at "), "{error}");
            error.downcast_ref::<NoTokenizer>().unwrap().hint().unwrap()
        };
        assert!(hint(TokenizerSource::Flag).contains("--tokenizer gpt2"));
        assert!(hint(TokenizerSource::Settings).contains("[data]"));
        assert!(hint(TokenizerSource::Folder).contains("folder"));
    }

    #[test]
    fn the_ids_that_end_a_text_are_those_of_the_configuration_that_the_model_has() {
        let tokenizer = Tokenizer::from_merges(&[(TokenId(220), TokenId(65))], &["<|endoftext|>"]).unwrap();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 2, 8, 300), 1);
        let folder = tempfile::tempdir().unwrap();
        for (json, expected) in [("[5, 299]", vec![5, 299]), ("50256", vec![257]), ("null", vec![257]), ("7", vec![7])]
        {
            let config = format!("{{\"eos_token_id\": {json}}}");
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            assert_eq!(ends_of_text(folder.path(), &model, &tokenizer).unwrap(), expected, "{json}");
        }
    }
}
