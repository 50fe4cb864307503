//! How likely a model finds given texts: the base of every zero-shot evaluation.
//!
//! Sequences of like lengths go through the model together, the shorter ones filled up behind their end, where a
//! causal model does not look. Logits are only made for the tokens that are scored, and never for all at once.
//!
//! Left out: sharing the states of a common beginning, as the endings of one story have.

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::Model;

/// Rows whose logits exist at a time.
const LOGIT_ROWS: usize = 64;
/// Rows that go through the model at a time, unless one sequence alone has more: enough for matrix products of full
/// speed.
const BATCH_ROWS: usize = 2048;

/// What a model thought of a token before it saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Natural logarithm of its probability.
    pub log_probability: f32,
    /// Whether no other token was likelier.
    pub is_likeliest: bool,
}

/// A sequence of which the tokens from a place on are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    /// The whole sequence.
    pub tokens: &'a [u32],
    /// Place of the first token that is scored, at least 1: nothing stands before the first.
    pub from: usize,
}

impl Model {
    /// The score of every token but the first, each after all that stand before it in the sequence.
    ///
    /// Element `i` of the result belongs to token `i + 1`.
    ///
    /// # Panics
    /// As [`Model::predictions`].
    pub fn score(&self, tokens: &[u32]) -> Vec<Score> {
        self.score_all(&[Span { tokens, from: 1 }]).remove(0)
    }

    /// For each span the scores of its tokens from `from` on. Lengths may differ.
    ///
    /// # Panics
    /// As [`Model::predictions`].
    pub fn score_all(&self, spans: &[Span<'_>]) -> Vec<Vec<Score>> {
        self.predictions(spans, Score::of)
    }

    /// For each span what `each` makes of the logits (V) before every token from `from` on, and of that token.
    ///
    /// Results do not depend on the number of threads. Time is that of a forward pass over all tokens, and of the
    /// output projection for the scored ones.
    ///
    /// # Panics
    /// If a sequence has more than the context and one token, an id is past the vocabulary, or a `from` is 0.
    pub fn predictions<R: Send>(&self, spans: &[Span<'_>], each: impl Fn(&[f32], u32) -> R + Sync) -> Vec<Vec<R>> {
        let mut results: Vec<Vec<R>> = spans.iter().map(|_| Vec::new()).collect();
        let mut order: Vec<usize> = (0..spans.len()).filter(|&i| spans[i].from < spans[i].tokens.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(spans[i].tokens.len()));
        let mut rest = order.as_slice();
        while let Some(&longest) = rest.first() {
            let t = spans[longest].tokens.len() - 1;
            let (batch, later) = rest.split_at((BATCH_ROWS / t).clamp(1, rest.len()));
            self.predict_batch(spans, batch, t, &each, &mut results);
            rest = later;
        }
        results
    }

    /// Predictions of the spans `batch`, none of which has more than `t` tokens and one.
    fn predict_batch<R: Send>(
        &self,
        spans: &[Span<'_>],
        batch: &[usize],
        t: usize,
        each: &(impl Fn(&[f32], u32) -> R + Sync),
        results: &mut [Vec<R>],
    ) {
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let mut inputs = vec![0; batch.len() * t]; // (B, T)
        let mut rows = Vec::new(); // the span, the row that predicts, and the token that comes
        for (row, &index) in (0..).step_by(t).zip(batch) {
            let Span { tokens, from } = spans[index];
            assert!(from > 0, "nothing stands before the first token");
            let (&last, before) = tokens.split_last().expect("a span in a batch has a token to score");
            assert!((last as usize) < v, "id {last} is not in the vocabulary of {v}");
            inputs[row..row + before.len()].copy_from_slice(before);
            rows.extend((from..tokens.len()).map(|place| (index, row + place - 1, tokens[place])));
        }
        let hidden = self.hidden(&inputs, t); // (B·T, C)
        let wte = Matrix::new(self.wte(), v, c, c).transposed();
        let mut logits = vec![0.0; LOGIT_ROWS.min(rows.len()) * v];
        for rows in rows.chunks(LOGIT_ROWS) {
            let n = rows.len();
            let chosen: Vec<f32> = rows.iter().flat_map(|&(_, row, _)| &hidden[row * c..][..c]).copied().collect();
            let chosen = Matrix::new(&chosen, n, c, c);
            let to = MatrixMut::new(&mut logits[..n * v], n, v, v);
            multiply(to, Start::Zero, 1.0, chosen, wte, Threads::All, Precision::F32);
            let made: Vec<R> = logits.par_chunks(v).zip(rows).map(|(row, &(_, _, token))| each(row, token)).collect();
            rows.iter().zip(made).for_each(|(&(index, _, _), made)| results[index].push(made));
        }
    }
}

impl Score {
    /// The score of `target` by logits (V).
    pub fn of(logits: &[f32], target: u32) -> Score {
        Score::among(logits, target, |_| true)
    }

    /// The score of `target` if only the tokens that `is_allowed` names could come, and `target` itself.
    pub fn among(logits: &[f32], target: u32, is_allowed: impl Fn(u32) -> bool) -> Score {
        let allowed = || (0..).zip(logits).filter(|&(id, _)| id == target || is_allowed(id)).map(|(_, &logit)| logit);
        let most = allowed().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = allowed().map(|logit| f64::from(logit - most).exp()).sum();
        let own = logits[target as usize];
        Score { log_probability: (f64::from(own - most) - sum.ln()) as f32, is_likeliest: own >= most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    #[test]
    fn the_mean_of_scores_is_the_loss() {
        let model = Model::new(&ModelConfig::gpt2(2, 2, 8, 6, 11), 3);
        let tokens = [1, 5, 0, 10, 2];
        let scores = model.score(&tokens);
        let mean = scores.iter().map(|score| score.log_probability).sum::<f32>() / 4.0;
        assert!((mean + model.loss(&tokens[..4], &tokens[1..], 4)).abs() < 1e-5);
        assert!(model.score(&[3]).is_empty());
    }

    #[test]
    fn spans_together_score_as_each_alone() {
        let model = Model::new(&ModelConfig::gpt2(2, 2, 8, 40, 300), 3);
        let tokens: Vec<u32> = (0..41).map(|i| i * 89 % 300).collect();
        let spans: Vec<Span<'_>> =
            (0..200).map(|i| Span { tokens: &tokens[i % 7..(i % 7 + i % 35)], from: 1 + i % 3 }).collect();
        for (span, together) in spans.iter().zip(model.score_all(&spans)) {
            let alone = model.score(span.tokens);
            let alone = alone.get(span.from - 1..).unwrap_or_default();
            assert_eq!(together.len(), alone.len());
            for (a, b) in together.iter().zip(alone) {
                assert!((a.log_probability - b.log_probability).abs() < 1e-5, "{span:?}");
            }
        }
    }

    #[test]
    fn what_is_not_allowed_takes_no_probability() {
        let logits = [2.0, 1.0, 0.0];
        let score = Score::among(&logits, 1, |id| id != 0);
        assert!(score.is_likeliest);
        assert!((f64::from(score.log_probability) + (1.0 + (-1f64).exp()).ln()).abs() < 1e-6);
        assert!(!Score::of(&logits, 1).is_likeliest);
    }
}
