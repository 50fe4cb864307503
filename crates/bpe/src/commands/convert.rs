//! `bpe convert`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use user_error::UserError;

use super::check_usage;
use crate::formats::{self, merges, tiktoken, tokenizer_json, vocab_json};
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

/// A format, by the names of its files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    TokenizerJson,
    Tiktoken,
    Merges,
}

impl Format {
    fn of_name(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Format::TokenizerJson),
            "tiktoken" => Some(Format::Tiktoken),
            "txt" | "bpe" => Some(Format::Merges),
            _ => None,
        }
    }

    /// The contents of the files, by name: the first is `name`.
    fn write(self, tokenizer: &Tokenizer, name: &str) -> Vec<(String, String)> {
        match self {
            Format::TokenizerJson => vec![(name.to_owned(), tokenizer_json::write(tokenizer))],
            Format::Tiktoken => vec![(name.to_owned(), tiktoken::write(tokenizer))],
            Format::Merges => vec![
                (name.to_owned(), merges::write(tokenizer)),
                ("vocab.json".to_owned(), vocab_json::write(tokenizer)),
            ],
        }
    }

    /// Why the files would give other ids than the tokenizer, if they do.
    fn fault(self, tokenizer: &Tokenizer, files: &[(String, String)]) -> Option<String> {
        let pattern = tokenizer.known_pattern().map_or("gpt2", |pattern| pattern.name());
        let read = match self {
            Format::TokenizerJson => tokenizer_json::parse(&files[0].1),
            Format::Tiktoken => tiktoken::parse_with(&files[0].1, Some(pattern)),
            Format::Merges => {
                let vocab =
                    serde_json::from_str(&files[1].1).map_err(|error| formats::FormatError::Json(error.to_string()));
                vocab.and_then(|vocab| merges::parse_with_vocab(&files[0].1, vocab, Default::default()))
            }
        };
        match read {
            Err(error) => Some(error.to_string()),
            Ok(read) if self == Format::Tiktoken => difference(&without_added(read), &without_added(tokenizer.clone())),
            Ok(read) => difference(&read, tokenizer),
        }
    }
}

/// Special tokens are no part of a `.tiktoken` file: those who read it name them.
fn without_added(tokenizer: Tokenizer) -> Tokenizer {
    tokenizer.without_specials()
}

fn difference(read: &Tokenizer, meant: &Tokenizer) -> Option<String> {
    let (read, meant) = (read.clone().without_idle_merges(), meant.clone().without_idle_merges());
    let what = match () {
        () if read.rules() != meant.rules() => "it does not say how texts are normalised and split",
        () if read.added_tokens() != meant.added_tokens() => "its added tokens would be others",
        () if !read.vocabulary().eq(meant.vocabulary()) => "its ids would be others",
        () if !read.merges().eq(meant.merges()) => "its merges would be others",
        () if read.ignores_merges() != meant.ignores_merges() => "it does not say that whole tokens are not merged",
        () if read.unknown() != meant.unknown() => "it has no token for unknown bytes",
        () => return None,
    };
    Some(what.to_owned())
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

fn write_files(folder: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    for (name, content) in files {
        atomic_file::write(&folder.join(name), content.as_bytes())?;
    }
    Ok(())
}
