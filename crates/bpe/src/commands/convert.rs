//! `bpe convert`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use user_error::UserError;

use super::check_usage;
use crate::formats::{self, Format};
use crate::{PATTERN_NAMES, Tokenizer};

/// Flags of `bpe convert`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    #[command(flatten)]
    pattern: super::PatternName,
    /// A file whose name ends in .json (tokenizer.json), .tiktoken, or .txt or .bpe (merges, with vocab.json beside
    /// them); or a folder for all files that give the same ids.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// A format in which a tokenizer would give other ids, or be read as another.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot hold this tokenizer: {why}")]
pub struct ChangesIds {
    file: String,
    why: String,
}

impl UserError for ChangesIds {
    fn hint(&self) -> Option<String> {
        Some("a tokenizer.json holds every tokenizer".to_owned())
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.pattern.load(&arguments.tokenizer)?;
    let output = &arguments.output;
    let source = formats::file_of(&arguments.tokenizer)?;
    console::check_outputs(source.as_deref(), [output.as_path()])?;
    match Format::of_name(output) {
        Some(format) => {
            let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let files = format.write(&tokenizer, name);
            if let Some(why) = format.fault(&tokenizer, &files) {
                return Err(ChangesIds { file: output.display().to_string(), why }.into());
            }
            write_files(output.parent().unwrap_or(Path::new("")), &files)?;
        }
        None => {
            check_usage(
                output.extension().is_none(),
                "the output ends in .json, .tiktoken, .txt or .bpe, or is a folder",
            )?;
            write_folder(&tokenizer, output)?;
        }
    }
    if let (Some(Format::Tiktoken), Some(pattern)) = (Format::of_name(output), tokenizer.known_pattern()) {
        tracing::info!("its pattern is {pattern}: readers of the file need to be told one of {PATTERN_NAMES}");
    }
    Ok(())
}

/// All formats that give the same ids; what does not is told.
fn write_folder(tokenizer: &Tokenizer, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let formats = [
        (Format::TokenizerJson, "tokenizer.json"),
        (Format::Tiktoken, "tokenizer.tiktoken"),
        (Format::Merges, "merges.txt"),
    ];
    for (format, name) in formats {
        let files = format.write(tokenizer, name);
        match format.fault(tokenizer, &files) {
            Some(why) => tracing::info!("left out: {name} cannot hold this tokenizer: {why}"),
            None => write_files(folder, &files)?,
        }
    }
    Ok(())
}

fn write_files(folder: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    for (name, content) in files {
        atomic_file::write(&folder.join(name), content.as_bytes())?;
    }
    Ok(())
}
