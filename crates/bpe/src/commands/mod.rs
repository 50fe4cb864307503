//! One file per subcommand, and what they share: inputs, threads, progress.

pub mod bench;
pub mod compare;
pub mod convert;
pub mod count;
pub mod decode;
pub mod encode;
pub mod info;
pub mod inputs;
mod parallel;
pub mod show;
pub mod train;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use console::Usage;

pub use inputs::{Inputs, Reading};

use crate::formats::{self, FormatError, GivenSpecial, LoadOptions, Loaded};
use crate::{END_OF_TEXT, Specials, TokenId, Tokenizer};

/// Returns a flag that the first Ctrl-C sets.
pub fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    Ok(console::stop_on_ctrl_c("stopping after the batch at hand")?)
}

/// The tokenizer to use.
#[derive(clap::Args)]
pub struct TokenizerName {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(long = "tokenizer", default_value = "gpt2", value_name = "NAME|DIR|FILE")]
    pub name: String,
    #[command(flatten)]
    unsaid: FileHints,
}

/// What a tokenizer's file may not say.
#[derive(clap::Args)]
pub struct FileHints {
    /// Pattern by which texts are split, for a tokenizer whose file does not say it: gpt2, cl100k, o200k, llama3, qwen2,
    /// deepseek3, or a regular expression.
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    /// Special token of a .tiktoken file, which names none: behind all others, or with an id; may be given several times.
    /// [default: those of a known encoding, or else <|endoftext|>]
    #[arg(long = "special-token", value_name = "TOKEN[=ID]")]
    special_tokens: Vec<GivenSpecial>,
}

impl FileHints {
    /// Loads a tokenizer.
    pub fn load(&self, name: &str) -> Result<Tokenizer, FormatError> {
        self.load_with_end(name, None)
    }

    /// The same with another token between documents, if one is given.
    fn load_with_end(&self, name: &str, end_of_text: Option<String>) -> Result<Tokenizer, FormatError> {
        let options = LoadOptions::default()
            .with_pattern(self.pattern.clone())
            .with_specials(self.special_tokens.clone())
            .with_end_of_text(end_of_text);
        let Loaded { tokenizer, is_end_added } = formats::load_with_report(name, &options)?;
        tracing::debug!("tokenizer {name}: {} tokens", tokenizer.vocab_size());
        if is_end_added && let Some(TokenId(id)) = tokenizer.end_of_text() {
            tracing::warn!(
                "{name} names no special tokens: {END_OF_TEXT} is taken to be {id} (--special-token TOKEN=ID)"
            );
        }
        for limit in tokenizer.limits_not_followed() {
            tracing::warn!("the {limit} of {name} is not followed: texts are encoded whole");
        }
        Ok(tokenizer)
    }

    /// Loads two: what is given for a file that does not say it is not for the other, if that one says it.
    pub fn load_both(&self, names: [&str; 2]) -> Result<[Tokenizer; 2], FormatError> {
        let says_it = |error: &FormatError| {
            let fault = if let FormatError::InFile { source, .. } = error { source } else { error };
            matches!(fault, FormatError::OwnPattern { .. } | FormatError::OwnSpecials { .. })
        };
        let [a, b] = names;
        match (self.load(a), self.load(b)) {
            (Err(error), Ok(b)) if says_it(&error) => Ok([formats::load(a)?, b]),
            (Ok(a), Err(error)) if says_it(&error) => Ok([a, formats::load(b)?]),
            (a, b) => Ok([a?, b?]),
        }
    }
}

impl TokenizerName {
    /// Loads the tokenizer.
    pub fn load(&self) -> Result<Tokenizer, FormatError> {
        self.unsaid.load(&self.name)
    }

    /// Loads the tokenizer with another token between documents, if one is given.
    pub fn load_with_end(&self, end_of_text: Option<String>) -> Result<Tokenizer, FormatError> {
        self.unsaid.load_with_end(&self.name, end_of_text)
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<PathBuf> {
        formats::files_of(&self.name).unwrap_or_default()
    }
}

/// How special tokens in texts are treated.
#[derive(Clone, Copy, clap::Args)]
pub struct SpecialTokens {
    /// Special tokens in the texts become their ids; only for texts that may control a model. Without this flag they
    /// are ordinary text. Other added tokens are always found.
    #[arg(long)]
    specials: bool,
}

impl SpecialTokens {
    /// The same for the library.
    pub fn mode(self) -> Specials {
        if self.specials { Specials::Allowed } else { Specials::Ordinary }
    }
}

/// Fails with an error of usage unless `is_right`.
pub fn check_usage(is_right: bool, otherwise: &str) -> Result<(), Usage> {
    if is_right { Ok(()) } else { Err(Usage(otherwise.to_owned())) }
}

/// Whether a path is neither a regular file nor a folder.
pub fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A path with an extension added to its whole name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
