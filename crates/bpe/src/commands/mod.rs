//! One file per subcommand, and what they share: inputs, threads, progress.

pub mod bench;
pub mod compare;
pub mod convert;
pub mod count;
pub mod decode;
pub mod encode;
pub mod info;
pub mod inputs;
pub mod show;
pub mod train;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use console::Usage;

pub use inputs::{Inputs, Reading};

use crate::formats::{self, FormatError, LoadOptions};
use crate::{Specials, Tokenizer};

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
    pattern: PatternName,
}

/// The pattern of a tokenizer whose file does not say it.
#[derive(clap::Args)]
pub struct PatternName {
    /// Pattern by which texts are split, for a tokenizer whose file does not say it: gpt2, cl100k, o200k, llama3, qwen2,
    /// deepseek3, or a regular expression.
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
}

impl PatternName {
    /// Loads a tokenizer.
    pub fn load(&self, name: &str) -> Result<Tokenizer, FormatError> {
        formats::load_with(name, &LoadOptions::default().with_pattern(self.pattern.clone()))
    }
}

impl TokenizerName {
    /// Loads the tokenizer.
    pub fn load(&self) -> Result<Tokenizer, FormatError> {
        self.pattern.load(&self.name)
    }

    /// Loads the tokenizer with another token between documents, if one is given.
    pub fn load_with_end(&self, end_of_text: Option<String>) -> Result<Tokenizer, FormatError> {
        let options = LoadOptions::default().with_pattern(self.pattern.pattern.clone()).with_end_of_text(end_of_text);
        formats::load_with(&self.name, &options)
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<PathBuf> {
        formats::files_of(&self.name).unwrap_or_default()
    }
}

/// How special tokens in texts are treated.
#[derive(Clone, Copy, clap::Args)]
pub struct SpecialTokens {
    /// Special tokens in the texts become their ids; only for texts that may control a model. By default they are
    /// ordinary text. Other added tokens are always found.
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
