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
use gpt2::{Model, ModelConfig, load_model};
use user_error::did_you_mean;

use crate::check_vocabulary;

/// Loads a folder's model and its tokenizer, or another tokenizer by name, folder or file.
pub(crate) fn load(folder: &Path, tokenizer: Option<&str>) -> anyhow::Result<(Model, Tokenizer)> {
    let model = load_model(folder)?;
    let own = folder.to_string_lossy();
    let tokenizer = formats::load(tokenizer.unwrap_or(&own)).map_err(|error| match error {
        error @ FormatError::NotFound(_) => anyhow::Error::from(NoTokenizer(error)),
        other => other.into(),
    })?;
    check_vocabulary(&tokenizer, model.config().vocab_size)?;
    Ok((model, tokenizer))
}

/// There is no tokenizer in the folder.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct NoTokenizer(FormatError);

impl UserError for NoTokenizer {
    fn hint(&self) -> Option<String> {
        Some("GPT-2's own tokenizer is compiled in: --tokenizer gpt2".into())
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
