//! `[overlap]`: what documents and evaluation sets have in common.

use dedup::overlap::{ItemIndex, NgramFilter};
use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};

/// Words of an n-gram, at most.
const MAX_WORDS: usize = 64;

/// `[overlap]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// Evaluation sets: paths, patterns, or `@` and a list of them, relative to the recipe's folder.
    pub sets: Vec<String>,
    /// Words of the n-grams that are counted.
    #[serde(default = "Overlap::default_ngram_words")]
    pub ngram_words: usize,
    /// What is removed where a document and an item meet. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<RemoveOverlap>,
    /// Words of the n-grams by which items are found.
    #[serde(default = "Overlap::default_remove_ngram_words")]
    pub remove_ngram_words: usize,
    /// Maximum number of documents that hold an n-gram; what is in more of them is a quotation or a template, and stays.
    #[serde(default = "Overlap::default_max_documents")]
    pub max_documents: u64,
}

/// What is removed where a document and an item meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum RemoveOverlap {
    /// The sentences that hold a common n-gram.
    Spans,
    /// The whole document.
    Documents,
}

impl Overlap {
    /// The paper's n-grams and limits: nothing is removed.
    pub fn of(sets: Vec<String>) -> Overlap {
        Overlap {
            sets,
            ngram_words: Overlap::default_ngram_words(),
            remove: None,
            remove_ngram_words: Overlap::default_remove_ngram_words(),
            max_documents: Overlap::default_max_documents(),
        }
    }

    fn default_ngram_words() -> usize {
        NgramFilter::GPT2_WORDS
    }

    fn default_remove_ngram_words() -> usize {
        ItemIndex::<String>::GPT3_WORDS
    }

    fn default_max_documents() -> u64 {
        ItemIndex::<String>::GPT3_MAX_DOCUMENTS
    }

    /// Says which setting makes no sense.
    ///
    /// # Errors
    /// There is no set, or a number is out of its range.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.sets.is_empty(), Recipe, "sets is empty");
        for (key, words) in [("ngram_words", self.ngram_words), ("remove_ngram_words", self.remove_ngram_words)] {
            ensure!((1..=MAX_WORDS).contains(&words), Recipe, "{key} lies between 1 and {MAX_WORDS}");
        }
        ensure!(self.max_documents > 0, Recipe, "max_documents is at least 1");
        Ok(())
    }
}
