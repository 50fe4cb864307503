//! Metrics that compare a text that a model wrote with a reference.
//!
//! Each follows the program whose results are usually reported: PyPI `rouge-score`, `sacrebleu`, and the script of
//! SQuAD. `recorded.jsonl` has their scores of pairs of texts (`benches/gpt2_metrics.py`).

mod answers;
mod bleu;
mod rouge;

use std::collections::HashMap;

pub use answers::{exact_match, token_f1};
pub use bleu::corpus_bleu;
pub use rouge::{rouge_l, rouge_n};

/// Harmonic mean of precision and recall, of `common` things among `found` and `expected`; 0 where nothing is common.
fn f1(common: u64, found: u64, expected: u64) -> f64 {
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (common as f64 / found as f64, common as f64 / expected as f64);
    2.0 * precision * recall / (precision + recall)
}

/// How often each sequence of `n` tokens occurs.
fn counts_of<T: AsRef<str>>(tokens: &[T], n: usize) -> HashMap<Vec<&str>, u64> {
    let mut counts = HashMap::new();
    for sequence in tokens.windows(n) {
        *counts.entry(sequence.iter().map(AsRef::as_ref).collect()).or_default() += 1;
    }
    counts
}

/// Sequences of `n` tokens that both texts have, each as often as in the one that has it less often.
fn common<T: AsRef<str>>(a: &[T], b: &[T], n: usize) -> u64 {
    let b = counts_of(b, n);
    counts_of(a, n).iter().map(|(sequence, &count)| count.min(b.get(sequence).copied().unwrap_or(0))).sum()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// The peers' scores of a pair of texts.
    #[derive(Deserialize)]
    struct Recorded {
        found: String,
        expected: String,
        rouge_1: f64,
        rouge_2: f64,
        rouge_l: f64,
        bleu: f64,
        exact_match: f64,
        token_f1: f64,
    }

    /// All pairs, and the BLEU of them together.
    fn recorded() -> (Vec<Recorded>, f64) {
        let (rows, last) = include_str!("recorded.jsonl").trim_end().rsplit_once('\n').unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (rows, last["corpus_bleu"].as_f64().unwrap())
    }

    #[test]
    fn metrics_are_those_of_the_peers() {
        for row in recorded().0 {
            let Recorded { found, expected, .. } = &row;
            let check = |name: &str, ours: f64, theirs: f64| {
                assert!((ours - theirs).abs() < 1e-9, "{name}: {ours}, not {theirs}, of {found:?} for {expected:?}");
            };
            check("rouge_1", rouge_n(found, expected, 1), row.rouge_1);
            check("rouge_2", rouge_n(found, expected, 2), row.rouge_2);
            check("rouge_l", rouge_l(found, expected), row.rouge_l);
            check("bleu", corpus_bleu([(&found[..], &expected[..])]), row.bleu);
            check("exact_match", f64::from(u8::from(exact_match(found, expected))), row.exact_match);
            check("token_f1", token_f1(found, expected), row.token_f1);
        }
    }

    #[test]
    fn bleu_of_a_corpus_is_that_of_its_sums() {
        let (rows, theirs) = recorded();
        let ours = corpus_bleu(rows.iter().map(|row| (&row.found[..], &row.expected[..])));
        assert!((ours - theirs).abs() < 1e-9, "{ours}, not {theirs}");
    }
}
