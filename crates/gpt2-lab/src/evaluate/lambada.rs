//! LAMBADA: predict the last word of a passage, which only the whole passage determines.
//!
//! Three protocols are in use under this one name, and their metrics differ by a half, so each is reported:
//!
//! - `last_token`: only the last token is scored, the earlier ones of its word are given. OpenAI's protocol, as far as
//!   it is known (openai/gpt-2, issue 131).
//! - `last_word`: all tokens of the last word, each after those before it. lm-evaluation-harness' `lambada_openai`.
//! - `last_word_filtered`: the same, but the word may not begin with a token that is a stop word, because a sentence
//!   seldom ends with one: "a stop-word filter as an approximation" (GPT-2 paper, section 3.3).
//!
//! Accuracy is the share of passages all of whose scored tokens are the argmax, so that a greedy continuation has the
//! word; what follows the word is not looked at. Perplexity is e to the mean negative log-likelihood of the scored part
//! in nats, where a passage counts once, however many tokens it has.
//!
//! **The filter** is a set of tokens: those whose text, without a space before it and in lower case, is in
//! [`STOP_WORDS`]. They cannot be the word's first token; their probability goes to all others in proportion. A passage
//! whose word itself begins with one ("a" of "aboard") counts as wrong and is left out of the perplexity, whose `n` is
//! smaller then.
//!
//! The last word is what follows the last white space, with a quotation mark that opens it.

use std::path::Path;

use bpe::TokenId;
use gpt2::TokenScore;
use serde::Deserialize;

use super::rows::{EvalRow, read_rows};
use super::scorer::{Scorer, Sequence, log_probability};
use super::{EvalError, EvalMetric, EvalOptions, EvalProgress};

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
struct Passage {
    text: String,
}

impl EvalRow for Passage {
    const FORM: &'static str = r#"{"text": "a sequence with its last word"}"#;

    fn fault(&self) -> Option<&'static str> {
        start_of_last_word(&self.text).is_none().then_some("the text has fewer than two words")
    }
}

/// Sums of one protocol.
#[derive(Debug, Default)]
struct Sums {
    correct: u64,
    nats: f64,
    scored: u64,
}

/// `{"text"}` per line.
pub(super) fn evaluate(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let rows: Vec<Passage> = read_rows(path, options.limit)?;
    let barred = stop_tokens(scorer);
    let [mut token, mut word, mut filtered] = [Sums::default(), Sums::default(), Sums::default()];
    let sequences = |scorer: &mut Scorer<'_>, Passage { text }: &Passage| {
        // The blank before the word is scored with it, as `lambada_openai` does: small vocabularies have a token for it.
        let start = start_of_last_word(text).unwrap_or_default();
        let blank = text[..start].chars().next_back().map_or(0, char::len_utf8);
        vec![scorer.sequence(text.trim_end(), start - blank)]
    };
    // Both scores of each token; the filtered one is used for a word's first.
    let read = |logits: &[f32], target: u32| {
        let is_allowed = |id: u32| !barred.get(id as usize).is_some_and(|&barred| barred);
        (TokenScore::of(logits, target), is_allowed(target).then(|| TokenScore::among(logits, target, is_allowed)))
    };
    let add = |_: &Passage, _: &[Sequence], scores: &[Vec<(TokenScore, Option<TokenScore>)>]| {
        let plain: Vec<TokenScore> = scores[0].iter().map(|&(score, _)| score).collect();
        token.add(&plain[plain.len() - 1..]);
        word.add(&plain);
        if let Some(first) = scores[0][0].1 {
            filtered.add(&[&[first], &plain[1..]].concat());
        }
    };
    scorer.read_rows(&rows, sequences, read, add, progress);
    let named = [("last_token", token), ("last_word", word), ("last_word_filtered", filtered)];
    Ok(named.iter().flat_map(|(name, sums)| sums.metrics(name, rows.len() as u64)).collect())
}

impl Sums {
    fn add(&mut self, scores: &[TokenScore]) {
        self.correct += u64::from(scores.iter().all(|score| score.is_argmax));
        self.nats -= log_probability(scores);
        self.scored += 1;
    }

    /// Of `n` sequences; those not scored were wrong.
    fn metrics(&self, name: &str, n: u64) -> [EvalMetric; 2] {
        [
            EvalMetric::new(format!("{name}_accuracy"), self.correct as f64 / n as f64, n),
            EvalMetric::new(format!("{name}_perplexity"), (self.nats / self.scored as f64).exp(), self.scored),
        ]
    }
}

/// For each id, whether it is a stop word.
fn stop_tokens(scorer: &Scorer<'_>) -> Vec<bool> {
    let is_stop = |id| {
        let text = scorer.tokenizer.token(TokenId(id)).to_ascii_lowercase();
        let text = text.strip_prefix(b" ").unwrap_or(&text);
        STOP_WORDS.iter().any(|word| word.as_bytes() == text)
    };
    (0..scorer.tokenizer.vocab_size() as u32).map(is_stop).collect()
}

/// The byte at which the last word begins, unless it is the only one.
fn start_of_last_word(text: &str) -> Option<usize> {
    let (at, space) = text.trim_end().char_indices().rfind(|(_, c)| c.is_whitespace())?;
    (!text[..at].trim().is_empty()).then_some(at + space.len_utf8())
}

#[cfg(test)]
mod tests {
    use gpt2::{Model, ModelConfig};

    use super::*;

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
        let mut scorer = Scorer::new(&model, &tokenizer).unwrap();
        let barred = stop_tokens(&scorer);
        let mut check = |text: &str, expected: bool| {
            let ids = scorer.encode(text);
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
