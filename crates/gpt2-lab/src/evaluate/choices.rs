//! Multiple choice by likelihood: HellaSwag, PIQA and COPA.
//!
//! Every choice is put after the query, and the log-probabilities of its tokens are added. Three ways to choose:
//! `accuracy` by the sum (lm-evaluation-harness' `acc`), `accuracy_per_byte` by the sum over the choice's bytes
//! (its `acc_norm`, which divides by characters: the same in ASCII), `accuracy_per_token` by the mean.
//! Of equals the first is chosen.

use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;
use texts::Source;

use super::rows::{EvalRow, not_empty, open, read_rows};
use super::scorer::{Scorer, Sequence, argmax};
use super::{EvalError, EvalMetric, EvalProgress};

/// Lines of a question in HellaSwag's text form: the story, the number of its true ending, four endings.
const STORY_LINES: usize = 6;

/// A line of the file.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Question {
    query: String,
    choices: Vec<String>,
    gold: usize,
}

impl EvalRow for Question {
    const FORM: &'static str = r#"{"query": "…", "choices": ["…", "…"], "gold": 0}"#;

    fn fault(&self) -> Option<&'static str> {
        if self.query.trim().is_empty() {
            return Some("the query is empty");
        }
        if self.choices.len() < 2 || self.choices.iter().any(|choice| choice.trim().is_empty()) {
            return Some("there are fewer than two choices, or one is empty");
        }
        (self.gold >= self.choices.len()).then_some("gold is not the index of a choice")
    }
}

/// Between PIQA's question and a choice, as in lm-evaluation-harness.
pub(super) const PIQA_PROMPT: &str = "\nAnswer:";

/// HellaSwag's stories: six lines each in a text file, or JSON Lines with query, choices and gold.
pub(super) fn read_stories(path: &Path, limit: Option<u64>) -> Result<Vec<Question>, EvalError> {
    let Source::PlainText(reader) = open(path)? else { return read_rows(path, limit) };
    let mut lines = (1..).zip(reader.lines());
    let mut stories = Vec::new();
    while limit.is_none_or(|limit| (stories.len() as u64) < limit) {
        let mut story = Vec::with_capacity(STORY_LINES);
        for (number, line) in lines.by_ref().take(STORY_LINES) {
            story.push((number, line.map_err(|source| EvalError::io(path, source))?));
        }
        if story.is_empty() {
            break;
        }
        stories.push(story_of(path, &story)?);
    }
    not_empty(path, stories)
}

/// A story from its lines and their numbers.
fn story_of(path: &Path, lines: &[(u64, String)]) -> Result<Question, EvalError> {
    let expected = "expected a story, the number of its true ending from 0, and four endings, a line each";
    let fault = |line: u64, what: &str| EvalError::row(path, line, format!("{what}; {expected}"));
    let last = lines.last().map_or(0, |&(number, _)| number);
    let [(first, query), (second, gold), endings @ ..] = lines else {
        return Err(fault(last, "the file ends within a story"));
    };
    if endings.len() < STORY_LINES - 2 {
        return Err(fault(last, "the file ends within a story"));
    }
    let gold = gold.trim().parse().map_err(|_| fault(*second, &format!("{gold:?} is not a number")))?;
    let choices = endings.iter().map(|(_, ending)| ending.clone()).collect();
    let question = Question { query: query.clone(), choices, gold };
    question.fault().map_or(Ok(question), |what| Err(fault(*first, what)))
}

/// The questions, each with `prompt` and a space between query and choice.
pub(super) fn evaluate(
    scorer: &mut Scorer<'_>,
    questions: &[Question],
    prompt: &str,
    progress: &mut EvalProgress<'_>,
) -> Vec<EvalMetric> {
    let mut correct = [0u64; 3];
    let count = |question: &Question, sequences: &[Sequence], sums: &[f64]| {
        let mut scores: [Vec<f64>; 3] = Default::default();
        for ((choice, sequence), sum) in question.choices.iter().zip(sequences).zip(sums) {
            let lengths = [1, choice.trim().len(), sequence.scored_tokens()];
            scores.iter_mut().zip(lengths).for_each(|(scores, length)| scores.push(sum / length as f64));
        }
        for (correct, scores) in correct.iter_mut().zip(scores) {
            *correct += u64::from(argmax(&scores) == question.gold);
        }
    };
    scorer.score_rows(questions, |scorer, question| question.sequences(scorer, prompt), count, progress);
    let (names, n) = (["accuracy", "accuracy_per_byte", "accuracy_per_token"], questions.len() as u64);
    names.iter().zip(correct).map(|(&name, correct)| EvalMetric::new(name, correct as f64 / n as f64, n)).collect()
}

impl Question {
    fn sequences(&self, scorer: &mut Scorer<'_>, prompt: &str) -> Vec<Sequence> {
        let context = format!("{}{prompt}", self.query.trim_end());
        let sequence = |choice: &String| scorer.sequence(&format!("{context} {}", choice.trim()), context.len());
        self.choices.iter().map(sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, limit: Option<u64>, expected: Result<usize, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stories.txt");
        std::fs::write(&path, content).unwrap();
        match (read_stories(&path, limit), expected) {
            (Ok(stories), Ok(n)) => assert_eq!(stories.len(), n),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stories_and_their_faults() {
        let story = "A man runs. he\n3\nfalls.\nsings.\nstops.\nwins.\n";
        check(story, None, Ok(1));
        check(&story.repeat(3), Some(2), Ok(2));
        check("", None, Err("holds nothing"));
        check(&format!("{story}A man"), None, Err("line 7: the file ends within a story"));
        check(&story.replace('3', "4"), None, Err("line 1: gold is not the index of a choice"));
        check(&story.replace('3', "three"), None, Err("line 2: \"three\" is not a number"));
    }
}
