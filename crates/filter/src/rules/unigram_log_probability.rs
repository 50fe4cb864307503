use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{DatatroveDialect, Findings, Rule, Settings};
use crate::About;
use crate::list::{self, ListError};
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;

/// Keeps texts of frequent words, by a table of word counts: after peS2o
/// (<https://huggingface.co/datasets/allenai/peS2o>).
///
/// Follows datatrove's `UnigramLogProbFilter`: the mean of ln(count / all counts) over the words in lower case, and of
/// ln(1e-9) for words that are not in the table. A mean equal to the limit is kept here, and dropped there. The table is
/// a CSV file with the columns `word` and `count`, as <https://www.kaggle.com/datasets/rtatman/english-word-frequency>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnigramLogProbability {
    /// The code that is followed.
    #[serde(default)]
    pub dialect: DatatroveDialect,
    /// The file of the table.
    pub table: String,
    /// Minimum mean of the natural logarithms.
    #[serde(default = "default_min")]
    pub min_mean_log_probability: Limit,
}

fn default_min() -> Limit {
    Limit::at(-10.0)
}

/// The probability of a word that is not in the table.
const UNKNOWN: f64 = 1e-9;

impl Settings for UnigramLogProbability {
    fn paths(&mut self) -> Vec<&mut String> {
        vec![&mut self.table]
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        let counts = read_counts(&self.table)?;
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        // If a word is in the table twice, the last one counts.
        let log_probabilities =
            counts.into_iter().map(|(word, count)| (word.into(), (count as f64 / total as f64).ln())).collect();
        Ok(Box::new(OpenUnigramLogProbability { log_probabilities, min: self.min_mean_log_probability }))
    }
}

/// Words of a table with their counts.
fn read_counts(path: &str) -> Result<Vec<(String, u64)>, ListError> {
    let text = list::read(path)?;
    let malformed = |line: usize, what: &str| ListError::Malformed { path: path.to_owned(), line, what: what.into() };
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, header)| header) != Some("word,count") {
        return Err(malformed(1, "the header is not word,count"));
    }
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let (word, count) = line.split_once(',').ok_or_else(|| malformed(number + 1, "there is no comma"))?;
            let count = count.parse().map_err(|_| malformed(number + 1, "the count is no whole number"))?;
            Ok((word.to_owned(), count))
        })
        .collect()
}

/// The rule with its table read.
struct OpenUnigramLogProbability {
    log_probabilities: HashMap<Box<str>, f64>,
    min: Limit,
}

impl Rule for OpenUnigramLogProbability {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("mean_log_probability", MeasureUnit::LogProbability, "mean log probability of a word; 0 without words")
                .min("min_mean_log_probability", self.min, "too_rare_words", ""),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let words = text.words();
        let log_probability = |word| {
            let word = words.spelling(text.as_str(), word).to_lowercase();
            self.log_probabilities.get(word.as_str()).copied().unwrap_or(UNKNOWN.ln())
        };
        let distinct: Vec<f64> = words.distinct.iter().map(log_probability).collect();
        // Summed in the order of the text, as the original does: sums of floating-point numbers depend on it.
        let sum: f64 = words.ids.iter().fold(0.0, |sum, &id| sum + distinct[id as usize]);
        Findings::of(vec![if words.ids.is_empty() { 0.0 } else { sum / words.len() as f64 }])
    }
}
