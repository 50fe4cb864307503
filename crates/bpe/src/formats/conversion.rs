//! Which formats can hold a tokenizer: those that, read again, give the same ids.

use std::collections::HashMap;
use std::path::Path;

use super::file::with_pattern;
use super::{FormatError, TrainingRecord, merges, tiktoken, tokenizer_json, vocab_json};
use crate::Tokenizer;

/// A format in which a tokenizer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `tokenizer.json`.
    TokenizerJson,
    /// `.tiktoken`.
    Tiktoken,
    /// `merges.txt` with `vocab.json` beside it.
    Merges,
}

impl Format {
    /// Whether it is the name of a vocabulary, which is written beside merges.
    pub fn is_beside_merges(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "vocab.json" || name == "encoder.json")
    }

    /// The format that a file's name ends in; none of a vocabulary, which is half a tokenizer.
    pub fn of_name(path: &Path) -> Option<Format> {
        if Format::is_beside_merges(path) {
            return None;
        }
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Format::TokenizerJson),
            "tiktoken" => Some(Format::Tiktoken),
            "txt" | "bpe" => Some(Format::Merges),
            _ => None,
        }
    }

    /// The contents of the files, by name: the first is `name`.
    pub fn write<'n>(self, tokenizer: &Tokenizer, name: &'n str) -> Vec<(&'n str, String)> {
        match self {
            Format::TokenizerJson => vec![(name, tokenizer_json::write(tokenizer))],
            Format::Tiktoken => vec![(name, tiktoken::write(tokenizer))],
            Format::Merges => vec![(name, merges::write(tokenizer)), ("vocab.json", vocab_json::write(tokenizer))],
        }
    }

    /// Why the files would give other ids than the tokenizer, or have other added tokens, if they do.
    pub fn fault(self, tokenizer: &Tokenizer, files: &[(&str, String)]) -> Option<String> {
        match self {
            Format::Tiktoken => match read_tiktoken(tokenizer, files) {
                Ok(read) => difference(&read, tokenizer),
                Err(error) => Some(error.to_string()),
            },
            Format::TokenizerJson | Format::Merges => {
                self.fault_beside(tokenizer, files, &TrainingRecord { pattern: None, added_tokens: None })
            }
        }
    }

    /// The same for a `.tiktoken` file whose reader names the special tokens, as tiktoken's callers do.
    pub fn fault_without_specials(self, tokenizer: &Tokenizer, files: &[(&str, String)]) -> Option<String> {
        match self {
            Format::Tiktoken => match read_tiktoken(tokenizer, files) {
                Ok(read) => difference(&read.without_specials(), &tokenizer.clone().without_specials()),
                Err(error) => Some(error.to_string()),
            },
            Format::TokenizerJson | Format::Merges => self.fault(tokenizer, files),
        }
    }

    /// Why files that are written into a folder would be read otherwise there, if they would: by the `training.json` of
    /// another tokenizer.
    pub fn fault_in_folder(self, tokenizer: &Tokenizer, files: &[(&str, String)], folder: &Path) -> Option<String> {
        if self == Format::TokenizerJson {
            return None;
        }
        let record = TrainingRecord::beside(&folder.join(files[0].0))?;
        let why = self.fault_beside(tokenizer, files, &record)?;
        Some(format!("the training.json of that folder would be read with it, and {why}"))
    }

    /// The same for files that are read together with a `training.json`.
    pub(super) fn fault_beside(
        self,
        tokenizer: &Tokenizer,
        files: &[(&str, String)],
        record: &TrainingRecord,
    ) -> Option<String> {
        let TrainingRecord { pattern, added_tokens } = record;
        let read = match self {
            Format::TokenizerJson => tokenizer_json::parse(&files[0].1),
            Format::Tiktoken => match added_tokens {
                Some(added) => tiktoken::parse_as(&files[0].1, pattern.as_deref(), added.clone()),
                None => tiktoken::parse_with(&files[0].1, pattern.as_deref()),
            },
            Format::Merges => {
                let vocab = serde_json::from_str(&files[1].1).map_err(|error| FormatError::Json(error.to_string()));
                let read =
                    vocab.and_then(|vocab| merges::parse_as(&files[0].1, vocab, HashMap::new(), added_tokens.clone()));
                read.and_then(|read| with_pattern(read, pattern.as_deref()))
            }
        };
        match read {
            Ok(read) => difference(&read, tokenizer),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// As it is read by whoever names its pattern.
fn read_tiktoken(tokenizer: &Tokenizer, files: &[(&str, String)]) -> Result<Tokenizer, FormatError> {
    let pattern = tokenizer.known_pattern().map_or("gpt2", |pattern| pattern.name());
    tiktoken::parse_with(&files[0].1, Some(pattern))
}

/// Why added tokens are not the same: of the first that differ.
fn difference_of_added(read: &Tokenizer, meant: &Tokenizer) -> String {
    let lacks = |one: &Tokenizer, other: &Tokenizer| {
        one.added_tokens().iter().find(|added| !other.added_tokens().contains(added)).map(|added| added.content.clone())
    };
    match (lacks(meant, read), lacks(read, meant)) {
        (Some(lost), _) => format!("it would lose the added token {lost:?}, or what it is"),
        (None, more) => format!("it would have the added token {:?}", more.unwrap_or_default()),
    }
}

fn difference(read: &Tokenizer, meant: &Tokenizer) -> Option<String> {
    let (read, meant) = (read.clone().without_idle_merges(), meant.clone().without_idle_merges());
    if read.added_tokens() != meant.added_tokens() && read.rules() == meant.rules() {
        return Some(difference_of_added(&read, &meant));
    }
    let what = match () {
        () if read.rules() != meant.rules() => "it does not say how texts are normalised and split",
        () if !read.vocabulary().eq(meant.vocabulary()) => "its ids would be others",
        () if !read.merges().eq(meant.merges()) => "its merges would be others",
        () if read.ignores_merges() != meant.ignores_merges() => "it does not say that whole tokens are not merged",
        () if read.unknown() != meant.unknown() => "it has no token for unknown bytes",
        () => return None,
    };
    Some(what.to_owned())
}
