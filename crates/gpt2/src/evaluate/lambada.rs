//! LAMBADA: the last word of a passage that only its whole makes clear.
//!
//! Three protocols are in use under this one name, and their figures differ by a half, so each is reported:
//!
//! - `last_token`: only the last token is asked for, the earlier ones of its word are given. OpenAI's way, as far as
//!   it is known (openai/gpt-2, issue 131).
//! - `last_word`: all tokens of the last word, each after those before it. lm-evaluation-harness' `lambada_openai`.
//! - `last_word_filtered`: the same, but the word may not begin with a token that is a stop word, for a sentence
//!   seldom ends with one: "a stop-word filter as an approximation" (GPT-2 paper, section 3.3).
//!
//! Accuracy is the share of passages all of whose asked tokens are the likeliest, so that a greedy continuation says
//! the word; what follows it is not looked at. Perplexity is that of the asked part: e to the mean of its surprise in
//! nats, a passage counting once whatever its number of tokens.
//!
//! **The filter** is a set of tokens: those whose text, without a blank before it and in lower case, is in
//! [`STOP_WORDS`]. At the word's first token they cannot come; what probability they had goes to all others in
//! proportion. A passage whose word itself begins so ("a" of "aboard") counts as wrong, and not for the perplexity:
//! the perplexity's `n` says how many are left.
//!
//! The last word is what stands behind the last white space, with a quotation mark that opens it.

use std::path::Path;

use bpe::TokenId;
use serde::Deserialize;

use super::passages::{Judge, Passage, log_probability, spans};
use super::rows::{Row, read_rows};
use super::{EvaluateError, EvaluateOptions, Metric, Progress, ROWS_AT_A_TIME};
use crate::score::Score;

/// Words that carry grammar and not meaning: articles, pronouns, prepositions, conjunctions, auxiliary verbs,
/// adverbs of degree, place and time, and what the tokenizer leaves of their contractions.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "an", "the",
    "i", "me", "my", "myself", "we", "us", "our", "ours", "ourselves", "you", "your", "yours", "yourself",
    "yourselves", "he", "him", "his", "himself", "she", "her", "hers", "herself", "it", "its", "itself", "they",
    "them", "their", "theirs", "themselves", "this", "that", "these", "those", "what", "which", "who", "whom", "whose",
    "am", "is", "are", "was", "were", "be", "been", "being", "have", "has", "had", "having", "do", "does", "did",
    "doing", "can", "could", "will", "would", "shall", "should", "may", "might", "must",
    "and", "but", "if", "or", "nor", "because", "as", "until", "while", "than", "so",
    "of", "at", "by", "for", "with", "about", "against", "between", "into", "through", "during", "before", "after",
    "above", "below", "to", "from", "up", "down", "in", "out", "on", "off", "over", "under",
    "again", "further", "then", "once", "here", "there", "when", "where", "why", "how", "all", "any", "both", "each",
    "few", "more", "most", "other", "some", "such", "no", "not", "only", "own", "same", "too", "very", "just", "now",
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "don", "didn", "doesn", "isn", "wasn", "couldn", "wouldn",
];

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

impl Row for Text {
    const FORM: &'static str = r#"{"text": "a passage with its last word"}"#;

    fn fault(&self) -> Option<&'static str> {
        start_of_last_word(&self.text).is_none().then_some("the text has fewer than two words")
    }
}

/// Sums of one protocol.
#[derive(Debug, Default)]
struct Sums {
    right: u64,
    nats: f64,
    judged: u64,
}

/// `{"text"}` a line.
pub(super) fn evaluate(
    judge: &mut Judge<'_>,
    path: &Path,
    options: &EvaluateOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<Metric>, EvaluateError> {
    let rows: Vec<Text> = read_rows(path, options.limit)?;
    let n = rows.len() as u64;
    let barred = stop_tokens(judge);
    let [mut token, mut word, mut filtered] = [Sums::default(), Sums::default(), Sums::default()];
    for (chunk, rows) in rows.chunks(ROWS_AT_A_TIME).enumerate() {
        let passages: Vec<Passage> = rows
            .iter()
            .map(|row| judge.passage(row.text.trim_end(), start_of_last_word(&row.text).unwrap_or_default()))
            .collect();
        // Both scores of each token; the filtered one is used for a word's first.
        let scores = judge.model.predictions(&spans(&passages), |logits, target| {
            let is_allowed = |id: u32| !barred.get(id as usize).is_some_and(|&barred| barred);
            (Score::of(logits, target), is_allowed(target).then(|| Score::among(logits, target, is_allowed)))
        });
        for scores in scores {
            let plain: Vec<Score> = scores.iter().map(|&(score, _)| score).collect();
            token.add(&plain[plain.len() - 1..]);
            word.add(&plain);
            if let Some(first) = scores[0].1 {
                filtered.add(&[&[first], &plain[1..]].concat());
            }
        }
        progress((chunk * ROWS_AT_A_TIME + rows.len()) as u64, Some(n));
    }
    let named = [("last_token", token), ("last_word", word), ("last_word_filtered", filtered)];
    Ok(named.iter().flat_map(|(name, sums)| sums.metrics(name, n)).collect())
}

impl Sums {
    fn add(&mut self, scores: &[Score]) {
        self.right += u64::from(scores.iter().all(|score| score.is_likeliest));
        self.nats -= log_probability(scores);
        self.judged += 1;
    }

    /// Of `n` passages; those not judged were wrong.
    fn metrics(&self, name: &str, n: u64) -> [Metric; 2] {
        [
            Metric::new(format!("{name}_accuracy"), self.right as f64 / n as f64, n),
            Metric::new(format!("{name}_perplexity"), (self.nats / self.judged as f64).exp(), self.judged),
        ]
    }
}

/// For each id, whether it is a stop word.
fn stop_tokens(judge: &Judge<'_>) -> Vec<bool> {
    let is_stop = |id| {
        let text = judge.tokenizer.token(TokenId(id)).to_ascii_lowercase();
        let text = text.strip_prefix(b" ").unwrap_or(&text);
        STOP_WORDS.iter().any(|word| word.as_bytes() == text)
    };
    (0..judge.tokenizer.vocab_size() as u32).map(is_stop).collect()
}

/// The byte at which the last word begins, unless it is the only one.
fn start_of_last_word(text: &str) -> Option<usize> {
    let (at, space) = text.trim_end().char_indices().rfind(|(_, c)| c.is_whitespace())?;
    (!text[..at].trim().is_empty()).then_some(at + space.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::model::Model;

    #[test]
    fn last_words() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(start_of_last_word(text).map(|start| &text[start..]), expected, "{text:?}");
        };
        check("don't care about signs", Some("signs"));
        check("said:\n“Sal", Some("“Sal"));
        check("two words ", Some("words "));
        check("one", None);
        check(" one", None);
        check("", None);
    }

    #[test]
    fn the_filter_bars_words_and_not_their_beginnings() {
        let tokenizer = bpe::Tokenizer::gpt2();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 2, 4, 50257), 1);
        let mut judge = Judge::new(&model, &tokenizer).unwrap();
        let barred = stop_tokens(&judge);
        let mut check = |text: &str, expected: bool| {
            let ids = judge.encode(text);
            assert_eq!(ids.len(), 1, "{text:?} is one token");
            assert_eq!(barred[ids[0] as usize], expected, "{text:?}");
        };
        check(" the", true);
        check("The", true);
        check(" theater", false);
        check(" signs", false);
        check(",", false);
    }
}
