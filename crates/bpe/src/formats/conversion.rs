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
    /// The format that a file's name ends in.
    pub fn of_name(path: &Path) -> Option<Format> {
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

    /// Why the files would give other ids than the tokenizer, if they do.
    pub fn fault(self, tokenizer: &Tokenizer, files: &[(&str, String)]) -> Option<String> {
        let pattern = tokenizer.known_pattern().map_or("gpt2", |pattern| pattern.name());
        match self {
            // Special tokens are no part of a `.tiktoken` file: those who read it name them.
            Format::Tiktoken => match tiktoken::parse_with(&files[0].1, Some(pattern)) {
                Ok(read) => difference(&read.without_specials(), &tokenizer.clone().without_specials()),
                Err(error) => Some(error.to_string()),
            },
            Format::TokenizerJson | Format::Merges => {
                self.fault_beside(tokenizer, files, &TrainingRecord { pattern: None, added_tokens: None })
            }
        }
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
            Format::Tiktoken => tiktoken::parse_as(&files[0].1, pattern.as_deref(), added_tokens.clone()),
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
