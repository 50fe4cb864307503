use serde::{Deserialize, Serialize};

use super::Rule;
use crate::{About, Text};

/// Texts of a length that can be a document's. Measure: `words`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// Fewest words.
    pub min_words: u64,
    /// Most words.
    pub max_words: u64,
}

impl Rule for Length {
    fn fault(&self) -> Option<String> {
        (self.min_words > self.max_words)
            .then(|| format!("min_words = {} is more than max_words = {}", self.min_words, self.max_words))
    }

    fn judge(&self, text: &Text<'_>, _: About<'_>) -> Option<(&'static str, String)> {
        let words = text.words();
        if words < self.min_words {
            Some(("words", format!("{words} words, min_words = {}", self.min_words)))
        } else if words > self.max_words {
            Some(("words", format!("{words} words, max_words = {}", self.max_words)))
        } else {
            None
        }
    }
}
