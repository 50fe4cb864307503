//! Multiple choice by likelihood: HellaSwag, PIQA and COPA.
//!
//! Every choice is put behind the query, and the log-probability of its tokens is summed. Three ways to choose:
//! `accuracy` by the sum (lm-evaluation-harness' `acc`), `accuracy_per_byte` by the sum over the choice's bytes
//! (its `acc_norm`, which divides by characters: the same in ASCII), `accuracy_per_token` by the mean.
//! Of equals the first is chosen.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use texts::decompress_file;

use super::passages::{Judge, Passage, largest};
use super::rows::{Row, is_named, not_empty, read_rows};
use super::{EvaluateError, Metric, Progress, ROWS_AT_A_TIME};

/// Lines of a question in HellaSwag's text form: the story, the number of its true ending, four endings.
const STORY_LINES: usize = 6;

/// A line of the file.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Question {
    query: String,
    choices: Vec<String>,
    gold: usize,
}

impl Row for Question {
    const FORM: &'static str = r#"{"query": "…", "choices": ["…", "…"], "gold": 0}"#;

    fn fault(&self) -> Option<&'static str> {
        if self.query.trim().is_empty() {
            return Some("the query is empty");
        }
        if self.choices.len() < 2 || self.choices.iter().any(|choice| choice.trim().is_empty()) {
            return Some("there are not two choices with text");
        }
        (self.gold >= self.choices.len()).then_some("gold names no choice")
    }
}

/// Between PIQA's question and a choice, as in lm-evaluation-harness.
pub(super) const PIQA_PROMPT: &str = "\nAnswer:";

/// HellaSwag's stories: six lines each in a text file, or JSON Lines with query, choices and gold.
pub(super) fn read_stories(path: &Path, limit: Option<u64>) -> Result<Vec<Question>, EvaluateError> {
    if is_named(path, ".json") {
        return read_rows(path, limit);
    }
    let io = |source| EvaluateError::Io { path: path.to_path_buf(), source };
    let mut lines = BufReader::new(decompress_file(path).map_err(io)?).lines().enumerate();
    let mut stories = Vec::new();
    while limit.is_none_or(|limit| (stories.len() as u64) < limit) {
        let mut story = Vec::with_capacity(STORY_LINES);
        for (number, line) in lines.by_ref().take(STORY_LINES) {
            story.push((number + 1, line.map_err(io)?));
        }
        if story.is_empty() {
            break;
        }
        stories.push(story_of(path, &story)?);
    }
    not_empty(path, stories)
}

/// A story of its lines and their numbers.
fn story_of(path: &Path, lines: &[(usize, String)]) -> Result<Question, EvaluateError> {
    let expected = "expected a story, the number of its true ending from 0, and four endings, a line each";
    let fault = |line: usize, what: &str| EvaluateError::row(path, line, format!("{what}; {expected}"));
    let last = lines.last().map_or(0, |&(number, _)| number);
    let [(first, query), (second, gold), endings @ ..] = lines else { return Err(fault(last, "the file breaks off")) };
    if endings.len() < STORY_LINES - 2 {
        return Err(fault(last, "the file breaks off"));
    }
    let gold = gold.trim().parse().map_err(|_| fault(*second, &format!("{gold:?} is no number")))?;
    let choices = endings.iter().map(|(_, ending)| ending.clone()).collect();
    let question = Question { query: query.clone(), choices, gold };
    question.fault().map_or(Ok(question), |what| Err(fault(*first, what)))
}

/// The questions, each with `prompt` and a blank between query and choice.
pub(super) fn evaluate(
    judge: &mut Judge<'_>,
    questions: &[Question],
    prompt: &str,
    progress: &mut Progress<'_>,
) -> Vec<Metric> {
    let n = questions.len() as u64;
    let mut right = [0u64; 3];
    for (chunk, questions) in questions.chunks(ROWS_AT_A_TIME).enumerate() {
        let passages: Vec<Passage> = questions.iter().flat_map(|question| question.passages(judge, prompt)).collect();
        let mut judged = judge.log_probabilities(&passages).into_iter().zip(&passages);
        for question in questions {
            let mut scores: [Vec<f64>; 3] = Default::default();
            for (choice, (sum, passage)) in question.choices.iter().zip(judged.by_ref()) {
                let lengths = [1, choice.trim().len(), passage.len_tokens()];
                scores.iter_mut().zip(lengths).for_each(|(scores, length)| scores.push(sum / length as f64));
            }
            for (right, scores) in right.iter_mut().zip(scores) {
                *right += u64::from(largest(&scores) == question.gold);
            }
        }
        progress((chunk * ROWS_AT_A_TIME + questions.len()) as u64, Some(n));
    }
    let names = ["accuracy", "accuracy_per_byte", "accuracy_per_token"];
    names.iter().zip(right).map(|(&name, right)| Metric::new(name, right as f64 / n as f64, n)).collect()
}

impl Question {
    fn passages(&self, judge: &mut Judge<'_>, prompt: &str) -> Vec<Passage> {
        let context = format!("{}{prompt}", self.query.trim_end());
        let passage = |choice: &String| judge.passage(&format!("{context} {}", choice.trim()), context.len());
        self.choices.iter().map(passage).collect()
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
        check(&format!("{story}A man"), None, Err("line 7: the file breaks off"));
        check(&story.replace('3', "4"), None, Err("line 1: gold names no choice"));
        check(&story.replace('3', "three"), None, Err("line 2: \"three\" is no number"));
    }
}
