//! Winograd schemas: a sentence with a pronoun replaced by either of two names; the right one makes more sense.
//!
//! - `partial`: the probability of what follows the name, after each of the two beginnings. The GPT-2 paper's way
//!   (section 3.4), after Trinh and Le (2018): names are not judged, so a rare one is no disadvantage.
//! - `full`: the probability of the whole sentence, behind end-of-text.
//!
//! Of equal probabilities the first is chosen.

use std::path::Path;

use serde::Deserialize;

use super::passages::{Judge, Passage, largest};
use super::rows::{Row, read_rows};
use super::{EvaluateError, EvaluateOptions, Metric, Progress, ROWS_AT_A_TIME};

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Schema {
    context_options: Vec<String>,
    continuation: String,
    gold: usize,
}

impl Row for Schema {
    const FORM: &'static str =
        r#"{"context_options": ["… because A", "… because B"], "continuation": "was small.", "gold": 0}"#;

    fn fault(&self) -> Option<&'static str> {
        if self.context_options.len() < 2 || self.context_options.iter().any(|option| option.trim().is_empty()) {
            return Some("there are not two contexts with text");
        }
        if self.continuation.trim().is_empty() {
            return Some("the continuation is empty");
        }
        (self.gold >= self.context_options.len()).then_some("gold names no context")
    }
}

/// Which parts of a sentence are judged, and the names of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    Partial,
    Full,
}

/// `{"context_options", "continuation", "gold"}` a line.
pub(super) fn evaluate(
    judge: &mut Judge<'_>,
    path: &Path,
    options: &EvaluateOptions,
    scorings: &[Scoring],
    progress: &mut Progress<'_>,
) -> Result<Vec<Metric>, EvaluateError> {
    let rows: Vec<Schema> = read_rows(path, options.limit)?;
    let n = rows.len() as u64;
    let mut right = vec![0u64; scorings.len()];
    for (chunk, rows) in rows.chunks(ROWS_AT_A_TIME).enumerate() {
        for (right, &scoring) in right.iter_mut().zip(scorings) {
            let passages: Vec<Passage> = rows.iter().flat_map(|row| row.passages(judge, scoring)).collect();
            let mut log_probabilities = judge.log_probabilities(&passages).into_iter();
            for row in rows {
                let of_row: Vec<f64> = log_probabilities.by_ref().take(row.context_options.len()).collect();
                *right += u64::from(largest(&of_row) == row.gold);
            }
        }
        progress((chunk * ROWS_AT_A_TIME + rows.len()) as u64, Some(n));
    }
    let metric = |(&scoring, right): (&Scoring, u64)| Metric::new(scoring.metric(), right as f64 / n as f64, n);
    Ok(scorings.iter().zip(right).map(metric).collect())
}

impl Scoring {
    fn metric(self) -> &'static str {
        match self {
            Scoring::Partial => "partial_accuracy",
            Scoring::Full => "full_accuracy",
        }
    }
}

impl Schema {
    fn passages(&self, judge: &mut Judge<'_>, scoring: Scoring) -> Vec<Passage> {
        let continuation = self.continuation.trim();
        // A full stop that is all that follows stands at the name, without a blank.
        let blank = if continuation.starts_with(|c: char| c.is_ascii_punctuation()) { "" } else { " " };
        let passage = |context: &String| {
            let start = if scoring == Scoring::Full { 0 } else { context.len() };
            judge.passage(&format!("{context}{blank}{continuation}"), start)
        };
        self.context_options.iter().map(passage).collect()
    }
}
