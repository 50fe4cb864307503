//! Finds a tokenizer's file, and reads it by its content.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{FormatError, merges, tiktoken, tokenizer_json};
use crate::Tokenizer;
use crate::text_rules::TextRules;

/// How a tokenizer is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// By which pattern texts are split: a name or a regular expression. Default: what the file says, or else what it is
    /// recognised as.
    pub pattern: Option<String>,
    /// The added token between documents. Default: the first that is there of `<|endoftext|>` and its like.
    pub end_of_text: Option<String>,
}

impl LoadOptions {
    /// The same with a pattern.
    pub fn with_pattern(self, pattern: Option<String>) -> LoadOptions {
        LoadOptions { pattern, ..self }
    }

    /// The same with a token between documents.
    pub fn with_end_of_text(self, end_of_text: Option<String>) -> LoadOptions {
        LoadOptions { end_of_text, ..self }
    }
}

/// Loads a tokenizer by name (`gpt2`), from a file of any known format, or from a folder that holds one.
///
/// # Errors
/// When there is none, it cannot be read, or it would give other ids than the original program does.
pub fn load(name: &str) -> Result<Tokenizer, FormatError> {
    load_with(name, &LoadOptions::default())
}

/// As [`load`], with options.
///
/// # Errors
/// As [`load`]; and when an option does not go with the file.
pub fn load_with(name: &str, options: &LoadOptions) -> Result<Tokenizer, FormatError> {
    let pattern = options.pattern.as_deref();
    let tokenizer = match file_of(name)? {
        Some(path) => {
            let loaded = read(&path).and_then(|text| parse(&path, &text, pattern));
            loaded.map_err(|error| match error {
                error @ FormatError::Io { .. } => error,
                error => FormatError::InFile { path, source: Box::new(error) },
            })?
        }
        None => with_pattern(Tokenizer::gpt2(), pattern)?,
    };
    Ok(match &options.end_of_text {
        Some(end) => tokenizer.with_end_of_text(end)?,
        None => tokenizer,
    })
}

/// The file that [`load`] reads for a name; none for `gpt2`, which is compiled in.
///
/// # Errors
/// [`FormatError::NotFound`] for a folder without a tokenizer.
pub fn file_of(name: &str) -> Result<Option<PathBuf>, FormatError> {
    let path = Path::new(name);
    if name == "gpt2" {
        return Ok(None);
    }
    if !path.is_dir() {
        return Ok(Some(path.to_path_buf()));
    }
    let known = ["tokenizer.json", "merges.txt", "vocab.bpe", "tokenizer.tiktoken"];
    if let Some(found) = known.iter().map(|file| path.join(file)).find(|file| file.is_file()) {
        return Ok(Some(found));
    }
    let mut others = std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let found = others.find(|file| file.extension().is_some_and(|extension| extension == "tiktoken"));
    found.map(Some).ok_or_else(|| FormatError::NotFound(path.to_path_buf()))
}

/// A file's text, without a byte order mark.
fn read(path: &Path) -> Result<String, FormatError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| FormatError::Io { action: "read", path: path.to_path_buf(), source })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads a file by what it holds: JSON, lines of base64 and ranks, or merges.
fn parse(path: &Path, text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    if text.trim_start().starts_with('{') {
        return parse_json(path, text, pattern);
    }
    if is_tiktoken(path, text) {
        let trained_by = pattern_of_training(path);
        return tiktoken::parse_with(text, pattern.or(trained_by.as_deref()));
    }
    parse_merges(path, text, pattern)
}

fn parse_json(path: &Path, text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    if let Ok(_vocab) = serde_json::from_str::<HashMap<String, u32>>(text) {
        let merges = beside(path, "merges.txt").or_else(|| beside(path, "vocab.bpe"));
        let merges =
            merges.ok_or_else(|| FormatError::Json("it is a vocabulary, and has no merges.txt beside it".into()))?;
        return parse_merges(&merges, &read(&merges)?, pattern);
    }
    let tokenizer = tokenizer_json::parse(text)?;
    match pattern {
        None => Ok(tokenizer),
        Some(_) => {
            Err(FormatError::Pattern("--pattern is not for a tokenizer.json, which says how texts are split".into()))
        }
    }
}

/// Merges, with the ids of the vocabulary beside them if there is one.
fn parse_merges(path: &Path, text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    let vocab = beside(path, "vocab.json").or_else(|| beside(path, "encoder.json"));
    let tokenizer = match vocab {
        Some(vocab) => {
            let added = beside(path, "added_tokens.json").map(|file| ids_of(&file)).transpose()?;
            merges::parse_with_vocab(text, ids_of(&vocab)?, added.unwrap_or_default())?
        }
        None => {
            let mut tokenizer = merges::parse(text)?;
            tokenizer.push_specials([crate::END_OF_TEXT]);
            tokenizer
        }
    };
    with_pattern(tokenizer, pattern.or(pattern_of_training(path).as_deref()))
}

fn with_pattern(tokenizer: Tokenizer, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    Ok(match pattern {
        Some(pattern) => tokenizer.with_rules(TextRules::of_pattern(pattern).map_err(FormatError::Pattern)?),
        None => tokenizer,
    })
}

fn is_tiktoken(path: &Path, text: &str) -> bool {
    let is_line = |line: &str| {
        let parts = line.split_once(' ');
        parts.is_some_and(|(token, rank)| {
            rank.trim().parse::<u32>().is_ok() && data_encoding::BASE64.decode(token.as_bytes()).is_ok()
        })
    };
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tiktoken"))
        || text.lines().take(3).all(is_line) && !text.is_empty()
}

fn ids_of(path: &Path) -> Result<HashMap<String, u32>, FormatError> {
    let ids = serde_json::from_str(&read(path)?);
    ids.map_err(|error| FormatError::Json(format!("{} is no vocabulary: {error}", path.display())))
}

/// A file of this name in the folder of another.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    Some(path.with_file_name(name)).filter(|file| file.is_file())
}

/// What `bpe train` wrote beside a file: by which pattern the texts were split.
fn pattern_of_training(path: &Path) -> Option<String> {
    let training = std::fs::read_to_string(beside(path, "training.json")?).ok()?;
    let training: serde_json::Value = serde_json::from_str(&training).ok()?;
    let pattern = training.get("pattern").map_or(Some("gpt2"), serde_json::Value::as_str);
    // Versions that knew no other pattern than GPT-2's wrote none.
    training.get("vocab_size").and(pattern).map(str::to_owned)
}
