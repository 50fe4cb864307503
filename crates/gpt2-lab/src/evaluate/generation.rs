//! What a model writes after a prompt: summaries, translations and answers.
//!
//! | task | line of the file | prompt | what counts |
//! | --- | --- | --- | --- |
//! | summarise | `{"text", "summary"}` | text, a new line, `TL;DR:` | the first three sentences of 100 tokens |
//! | translate | `{"source", "target"}` | lines `source = target`, then `source =` | the first line |
//! | answer | `{"question", "answers"}`, also `"context"` | context, blocks `Q: …`, `A: …`, then `Q: …`, `A:` | the first line |
//!
//! These are the prompts of the GPT-2 paper (sections 3.6 to 3.8), except for questions, whose prompt it does not give.
//! The examples of translate and answer are the first lines of the file, which are not evaluated. Summaries are drawn
//! from the two most probable tokens, as in the paper; the others are greedy.

use std::ops::ControlFlow;
use std::path::Path;

use bpe::TokenId;
use gpt2::{SampleEvent, SampleOptions, sample_batch};
use serde::Deserialize;

use super::metrics::{corpus_bleu, exact_match, rouge_l, rouge_n, token_f1};
use super::rows::{EvalRow, not_empty, read_rows};
use super::scorer::Scorer;
use super::{EvalError, EvalMetric, EvalOptions, EvalProgress};
use crate::tokens::decode;

/// The paper's prompt for a summary (section 3.6).
const SUMMARY_PROMPT: &str = "\nTL;DR:";
/// Sentences of a summary that count, as in the paper.
const SUMMARY_SENTENCES: usize = 3;
/// Tokens of a summary, as in the paper.
const SUMMARY_TOKENS: usize = 100;
/// Tokens of a translated line at most.
const TRANSLATION_TOKENS: usize = 100;
/// Tokens of an answer at most.
const ANSWER_TOKENS: usize = 30;
/// Lines that serve as examples by default.
const EXAMPLES: usize = 5;

#[derive(Debug, Deserialize)]
struct Article {
    text: String,
    summary: String,
}

impl EvalRow for Article {
    const FORM: &'static str = r#"{"text": "…", "summary": "…"}"#;

    fn fault(&self) -> Option<&'static str> {
        (self.text.trim().is_empty() || self.summary.trim().is_empty()).then_some("the text or the summary is empty")
    }
}

#[derive(Debug, Deserialize)]
struct Sentence {
    source: String,
    target: String,
}

impl EvalRow for Sentence {
    const FORM: &'static str = r#"{"source": "…", "target": "…"}"#;

    fn fault(&self) -> Option<&'static str> {
        (self.source.trim().is_empty() || self.target.trim().is_empty()).then_some("source or target is empty")
    }
}

#[derive(Debug, Deserialize)]
struct Question {
    question: String,
    answers: Vec<String>,
    context: Option<String>,
}

impl EvalRow for Question {
    const FORM: &'static str = r#"{"question": "…", "answers": ["…"]}, with or without a "context": "…""#;

    fn fault(&self) -> Option<&'static str> {
        (self.question.trim().is_empty() || self.answers.is_empty()).then_some("there is no question or no answer")
    }
}

/// How a prompt is continued.
struct Writing {
    max_tokens: usize,
    /// Choose among this many most probable tokens; 1 is greedy.
    top_k: usize,
    seed: u64,
    /// Ids that end what is written.
    ends: Vec<u32>,
}

impl Writing {
    fn new(scorer: &Scorer<'_>, options: &EvalOptions, max_tokens: usize, top_k: usize) -> Result<Writing, EvalError> {
        let max_tokens = options.max_tokens.unwrap_or(max_tokens);
        let context = scorer.model.config().context;
        if max_tokens == 0 || max_tokens >= context {
            return Err(EvalError::NoRoomForPrompt { max_tokens, context });
        }
        let end_of_text = scorer.tokenizer.end_of_text().map(|id| id.0);
        let ends = if options.ends.is_empty() { end_of_text.into_iter().collect() } else { options.ends.clone() };
        Ok(Writing { max_tokens, top_k: options.top_k.unwrap_or(top_k).max(1), seed: options.seed, ends })
    }

    /// Tokens that a prompt may have.
    fn room(&self, scorer: &Scorer<'_>) -> usize {
        scorer.model.config().context - self.max_tokens
    }
}

/// Summaries: ROUGE-1, 2 and L, the mean of F1 over the texts.
///
/// A text longer than the context leaves room for loses its end: in news, what matters most comes first.
pub(super) fn summarise(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let rows: Vec<Article> = read_rows(path, options.limit)?;
    let writing = Writing::new(scorer, options, SUMMARY_TOKENS, 2)?;
    let prompt = scorer.encode(SUMMARY_PROMPT);
    let Some(room) = writing.room(scorer).checked_sub(prompt.len()).filter(|&room| room > 0) else {
        return Err(EvalError::NoRoomForPrompt {
            max_tokens: writing.max_tokens,
            context: scorer.model.config().context,
        });
    };
    let n = rows.len() as u64;
    let mut sums = [0.0; 3];
    for (number, row) in (0..).zip(&rows) {
        let mut ids = scorer.encode(row.text.trim_end());
        scorer.sequences += 1;
        scorer.truncated += u64::from(ids.len() > room);
        ids.truncate(room);
        ids.extend(&prompt);
        let written = continue_text(scorer, &ids, &writing, number, |_| false);
        let summary = first_sentences(&written, SUMMARY_SENTENCES);
        let scores =
            [rouge_n(summary, &row.summary, 1), rouge_n(summary, &row.summary, 2), rouge_l(summary, &row.summary)];
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
        progress(number + 1, Some(n));
    }
    let names = ["rouge_1_f1", "rouge_2_f1", "rouge_l_f1"];
    Ok(names.iter().zip(sums).map(|(&name, sum)| EvalMetric::new(name, sum / n as f64, n)).collect())
}

/// Translations: BLEU of them all.
pub(super) fn translate(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let writing = Writing::new(scorer, options, TRANSLATION_TOKENS, 1)?;
    let (examples, rows) = split_examples::<Sentence>(path, options)?;
    let example = |row: &Sentence| format!("{} = {}\n", row.source.trim(), row.target.trim());
    let examples: String = examples.iter().map(example).collect();
    let n = rows.len() as u64;
    let mut written = Vec::with_capacity(rows.len());
    for (number, row) in (0..).zip(&rows) {
        let prompt = format!("{examples}{} =", row.source.trim());
        written.push(first_line(scorer, &prompt, &writing, number));
        progress(number + 1, Some(n));
    }
    let pairs = written.iter().zip(&rows).map(|(written, row)| (&written[..], row.target.trim()));
    Ok(vec![EvalMetric::new("bleu", corpus_bleu(pairs), n)])
}

/// Answers: exact match and F1, each with the best of the accepted answers, the mean over the questions.
pub(super) fn answer(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let writing = Writing::new(scorer, options, ANSWER_TOKENS, 1)?;
    let (examples, rows) = split_examples::<Question>(path, options)?;
    let block = |row: &Question| {
        let context = row.context.as_ref().map(|context| format!("{}\n\n", context.trim())).unwrap_or_default();
        format!("{context}Q: {}\nA:", row.question.trim())
    };
    let examples: String = examples.iter().map(|row| format!("{} {}\n\n", block(row), row.answers[0].trim())).collect();
    let n = rows.len() as u64;
    let (mut exact, mut f1) = (0u64, 0.0);
    for (number, row) in (0..).zip(&rows) {
        let written = first_line(scorer, &format!("{examples}{}", block(row)), &writing, number);
        exact += u64::from(row.answers.iter().any(|answer| exact_match(&written, answer)));
        f1 += row.answers.iter().map(|answer| token_f1(&written, answer)).fold(0.0, f64::max);
        progress(number + 1, Some(n));
    }
    Ok(vec![EvalMetric::new("exact_match", exact as f64 / n as f64, n), EvalMetric::new("f1", f1 / n as f64, n)])
}

/// The first rows, which are examples, and the others, up to `limit` of them.
fn split_examples<R: EvalRow>(path: &Path, options: &EvalOptions) -> Result<(Vec<R>, Vec<R>), EvalError> {
    let examples = options.examples.unwrap_or(EXAMPLES);
    let limit = options.limit.map(|limit| limit.saturating_add(examples as u64));
    let mut rows: Vec<R> = read_rows(path, limit)?;
    let others = rows.split_off(examples.min(rows.len()));
    Ok((rows, not_empty(path, others)?))
}

/// What is written after a prompt, up to the end of the line. A prompt that is too long loses its beginning.
fn first_line(scorer: &mut Scorer<'_>, prompt: &str, writing: &Writing, number: u64) -> String {
    let mut ids = scorer.encode(prompt);
    let excess = ids.len().saturating_sub(writing.room(scorer));
    scorer.sequences += 1;
    scorer.truncated += u64::from(excess > 0);
    ids.drain(..excess);
    let has_newline = |id| scorer.tokenizer.token(TokenId(id)).contains(&b'\n');
    let written = continue_text(scorer, &ids, writing, number, has_newline);
    written.lines().next().unwrap_or_default().trim().to_owned()
}

/// What the model writes after `prompt`: until end-of-text, a token that `is_last` names, or `writing.max_tokens`.
///
/// `number` distinguishes the random choices of one row from another's.
fn continue_text(
    scorer: &Scorer<'_>,
    prompt: &[u32],
    writing: &Writing,
    number: u64,
    is_last: impl Fn(u32) -> bool,
) -> String {
    let temperature = if writing.top_k == 1 { 0.0 } else { 1.0 };
    let seed = writing.seed.wrapping_add(number << 32);
    let mut options = SampleOptions::greedy(writing.max_tokens);
    (options.temperature, options.top_k, options.seed) = (temperature, writing.top_k, seed);
    options.vocab_size = scorer.tokenizer.vocab_size();
    options.other_ends.clone_from(&writing.ends);
    let mut written = Vec::new();
    sample_batch(scorer.model, &[prompt], writing.ends.first().copied(), &options, 1, |_, event| {
        if let SampleEvent::Token(id) = event {
            written.push(id);
            if is_last(id) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    decode(scorer.tokenizer, &written)
}

/// The first sentences: each ends at a full stop, an exclamation or a question mark before white space.
fn first_sentences(text: &str, sentences: usize) -> &str {
    let text = text.trim();
    let ends = text.char_indices().filter(|&(at, c)| {
        matches!(c, '.' | '!' | '?') && text[at + 1..].chars().next().is_none_or(char::is_whitespace)
    });
    let end = ends.map(|(at, _)| at + 1).nth(sentences - 1);
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use gpt2::{Model, ModelConfig};

    use super::*;

    #[test]
    fn sentences() {
        let check = |text: &str, expected: &str| assert_eq!(first_sentences(text, 2), expected, "{text:?}");
        check(" One. Two! Three? Four.", "One. Two!");
        check("It cost 1.5 pounds. Why? So.", "It cost 1.5 pounds. Why?");
        check("One.\nTwo", "One.\nTwo");
        check("", "");
    }

    #[test]
    fn tasks_run_and_repeat() {
        let tokenizer = bpe::Tokenizer::gpt2();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 4, 24, 50257), 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let line =
            r#"{"text": "A long text of many words. It has two sentences, both of them long.", "summary": "Text.",
            "source": "cat", "target": "chat", "question": "Who?", "answers": ["he", "she"]}"#
                .replace('\n', " ");
        std::fs::write(&path, format!("{line}\n").repeat(3)).unwrap();
        let options = EvalOptions { max_tokens: Some(12), top_k: Some(3), examples: Some(1), ..EvalOptions::default() };
        for (task, rows, truncated) in
            [(summarise as EvalTask, 3, 3), (translate as EvalTask, 2, 0), (answer as EvalTask, 2, 2)]
        {
            let run = || {
                let mut scorer = Scorer::new(&model, &tokenizer).unwrap();
                let metrics = task(&mut scorer, &path, &options, &mut |_, _| {}).unwrap();
                assert_eq!((scorer.sequences, scorer.truncated), (rows, truncated));
                metrics
            };
            let metrics = run();
            assert!(metrics.iter().all(|metric| metric.n == rows && metric.value.is_finite()));
            assert_eq!(metrics, run());
        }
    }

    type EvalTask =
        fn(&mut Scorer<'_>, &Path, &EvalOptions, &mut EvalProgress<'_>) -> Result<Vec<EvalMetric>, EvalError>;
}
