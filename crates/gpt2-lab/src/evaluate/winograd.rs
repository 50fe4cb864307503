//! Winograd schemas: a sentence with a pronoun replaced by either of two names; the right one makes more sense.
//!
//! - `partial`: the probability of what follows the name, after each of the two beginnings. The GPT-2 paper's way
//!   (section 3.4), after Trinh and Le (2018): names are not scored, so that a rare one is not a disadvantage.
//! - `full`: the probability of the whole sentence, after end-of-text.
//!
//! Of equal probabilities the first is chosen.

use std::path::Path;

use serde::Deserialize;

use super::rows::{EvalRow, read_rows};
use super::scorer::{Scorer, Sequence, argmax};
use super::{EvalError, EvalMetric, EvalOptions, EvalProgress};

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Schema {
    context_options: Vec<String>,
    continuation: String,
    gold: usize,
}

impl EvalRow for Schema {
    const FORM: &'static str =
        r#"{"context_options": ["… because A", "… because B"], "continuation": "was small.", "gold": 0}"#;

    fn fault(&self) -> Option<&'static str> {
        if self.context_options.len() < 2 || self.context_options.iter().any(|option| option.trim().is_empty()) {
            return Some("there are fewer than two contexts, or one is empty");
        }
        if self.continuation.trim().is_empty() {
            return Some("the continuation is empty");
        }
        (self.gold >= self.context_options.len()).then_some("gold is not the index of a context")
    }
}

/// Which parts of a sentence are scored, and the names of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    Partial,
    Full,
}

/// The schemas of a file, by each of `scorings`.
pub(super) fn evaluate(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    scorings: &[Scoring],
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let rows: Vec<Schema> = read_rows(path, options.limit)?;
    let n = rows.len() as u64;
    let mut correct = vec![0u64; scorings.len()];
    let sequences = |scorer: &mut Scorer<'_>, row: &Schema| {
        scorings.iter().flat_map(|&scoring| row.sequences(scorer, scoring)).collect()
    };
    let count = |row: &Schema, _: &[Sequence], sums: &[f64]| {
        for (correct, sums) in correct.iter_mut().zip(sums.chunks(row.context_options.len())) {
            *correct += u64::from(argmax(sums) == row.gold);
        }
    };
    scorer.score_rows(&rows, sequences, count, progress);
    let metric = |(&scoring, correct): (&Scoring, u64)| EvalMetric::new(scoring.metric(), correct as f64 / n as f64, n);
    Ok(scorings.iter().zip(correct).map(metric).collect())
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
    fn sequences(&self, scorer: &mut Scorer<'_>, scoring: Scoring) -> Vec<Sequence> {
        let continuation = self.continuation.trim();
        // Punctuation follows the name without a space, unless it opens something, as a quotation mark does.
        let space = if continuation.starts_with(['.', ',', ';', ':', '!', '?', '\'', ')', '%']) { "" } else { " " };
        let sequence = |context: &String| {
            let start = if scoring == Scoring::Full { 0 } else { context.len() };
            scorer.sequence(&format!("{context}{space}{continuation}"), start)
        };
        self.context_options.iter().map(sequence).collect()
    }
}
