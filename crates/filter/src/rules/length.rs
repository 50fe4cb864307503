use serde::{Deserialize, Serialize};

use super::{Findings, Rule, Settings};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;

/// Keeps texts with a plausible number of words.
///
/// Words are runs without white space, and half as many more as there are letters of scripts that are written without
/// spaces (Thai, kana, Han).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// Minimum number of words.
    pub min_words: u64,
    /// Maximum number of words.
    pub max_words: u64,
}

impl Settings for Length {
    fn fault(&self) -> Option<String> {
        (self.min_words > self.max_words)
            .then(|| format!("min_words = {} is more than max_words = {}", self.min_words, self.max_words))
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for Length {
    fn measures(&self) -> Vec<Measure> {
        let limit = |words: u64| Limit::at(words as f64);
        vec![
            Measure::new(
                "words",
                MeasureUnit::Count,
                "runs without white space; where no spaces are written, half the letters",
            )
            .min("min_words", limit(self.min_words), "too_few_words", "")
            .max("max_words", limit(self.max_words), "too_many_words", ""),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        Findings::of(vec![words::count(text.as_str()) as f64])
    }
}
