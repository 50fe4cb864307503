//! The probabilities that a model gives to sequences: the base of every zero-shot evaluation.
//!
//! Sequences of similar length go through the model together, the shorter ones padded at the end, where a causal model
//! does not look. Logits are computed only for the tokens that are scored, and never for all at once.
//!
//! Left out: sharing the keys and values of a common prefix, as the endings of one story have.

use rayon::prelude::*;

use crate::model::Model;

/// Rows whose logits exist at a time.
const LOGIT_ROWS: usize = 64;
/// Rows that go through the model at a time, unless one sequence has more: enough for matrix products at full speed.
const BATCH_ROWS: usize = 2048;

/// The probability that a model gave to a token before reading it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// Natural logarithm of its probability; the negative log-likelihood in nats is its negation.
    pub log_probability: f32,
    /// Whether it is the argmax: no other token is more probable.
    pub is_argmax: bool,
}

/// A sequence whose tokens from some position on are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreRequest<'a> {
    /// The whole sequence: at most the context and one token.
    pub tokens: &'a [u32],
    /// Position of the first token that is scored; at least 1, since no token comes before the first.
    pub first_scored: usize,
}

impl Model {
    /// The score of every token but the first, each given all tokens before it.
    ///
    /// Element `i` of the result belongs to token `i + 1`.
    ///
    /// # Panics
    /// As [`Model::predictions`].
    pub fn score(&self, tokens: &[u32]) -> Vec<TokenScore> {
        self.score_all(&[ScoreRequest { tokens, first_scored: 1 }]).remove(0)
    }

    /// The scores of each request's tokens from `first_scored` on. Lengths may differ.
    ///
    /// ```
    /// use gpt2::{Model, ModelConfig, ScoreRequest};
    ///
    /// let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 16, 50), 1);
    /// let scores = model.score_all(&[ScoreRequest { tokens: &[3, 1, 4, 1], first_scored: 2 }]);
    /// assert_eq!(scores[0].len(), 2);
    /// assert!(scores[0][0].log_probability < 0.0);
    /// ```
    ///
    /// # Panics
    /// As [`Model::predictions`].
    pub fn score_all(&self, requests: &[ScoreRequest<'_>]) -> Vec<Vec<TokenScore>> {
        self.predictions(requests, TokenScore::of)
    }

    /// For each request, the results of `each` for the logits (V) that predict a token from `first_scored` on, and for
    /// that token's id.
    ///
    /// Results do not depend on the number of threads. Time is that of a forward pass over all tokens, and of the
    /// output projection for the scored ones.
    ///
    /// # Panics
    /// If a sequence has more than the context and one token, an id is past the vocabulary, or `first_scored` is 0.
    pub fn predictions<R: Send>(
        &self,
        requests: &[ScoreRequest<'_>],
        each: impl Fn(&[f32], u32) -> R + Sync,
    ) -> Vec<Vec<R>> {
        let mut results: Vec<Vec<R>> = requests.iter().map(|_| Vec::new()).collect();
        let mut order: Vec<usize> =
            (0..requests.len()).filter(|&i| requests[i].first_scored < requests[i].tokens.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(requests[i].tokens.len()));
        let mut rest = order.as_slice();
        while let Some(&longest) = rest.first() {
            let t = requests[longest].tokens.len() - 1;
            let (batch, later) = rest.split_at((BATCH_ROWS / t).clamp(1, rest.len()));
            self.predict_batch(requests, batch, t, &each, &mut results);
            rest = later;
        }
        results
    }

    /// Predictions of the requests `batch`, none of which has more than `t` tokens and one.
    fn predict_batch<R: Send>(
        &self,
        requests: &[ScoreRequest<'_>],
        batch: &[usize],
        t: usize,
        each: &(impl Fn(&[f32], u32) -> R + Sync),
        results: &mut [Vec<R>],
    ) {
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let mut inputs = vec![0; batch.len() * t]; // (B, T)
        let mut rows = Vec::new(); // the request, the row that predicts, and the token that comes
        for (row, &index) in (0..).step_by(t).zip(batch) {
            let ScoreRequest { tokens, first_scored } = requests[index];
            assert!(first_scored > 0, "nothing stands before the first token");
            let (&last, before) = tokens.split_last().expect("a request in a batch has a token to score");
            assert!((last as usize) < v, "id {last} is not in the vocabulary of {v}");
            inputs[row..row + before.len()].copy_from_slice(before);
            rows.extend((first_scored..tokens.len()).map(|place| (index, row + place - 1, tokens[place])));
        }
        let hidden = self.hidden(&inputs, t); // (B·T, C)
        for rows in rows.chunks(LOGIT_ROWS) {
            let chosen: Vec<f32> = rows.iter().flat_map(|&(_, row, _)| &hidden[row * c..][..c]).copied().collect();
            let logits = self.unembed(&chosen);
            let made: Vec<R> = logits.par_chunks(v).zip(rows).map(|(row, &(_, _, token))| each(row, token)).collect();
            rows.iter().zip(made).for_each(|(&(index, _, _), made)| results[index].push(made));
        }
    }
}

impl TokenScore {
    /// The score of `target` by logits (V).
    pub fn of(logits: &[f32], target: u32) -> TokenScore {
        TokenScore::among(logits, target, |_| true)
    }

    /// The score of `target` if only it and the tokens for which `is_allowed` is true had any probability.
    pub fn among(logits: &[f32], target: u32, is_allowed: impl Fn(u32) -> bool) -> TokenScore {
        let allowed = || (0..).zip(logits).filter(|&(id, _)| id == target || is_allowed(id)).map(|(_, &logit)| logit);
        let max = allowed().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = allowed().map(|logit| f64::from(logit - max).exp()).sum();
        let own = logits[target as usize];
        TokenScore { log_probability: (f64::from(own - max) - sum.ln()) as f32, is_argmax: own >= max }
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
        let requests: Vec<ScoreRequest<'_>> = (0..200)
            .map(|i| ScoreRequest { tokens: &tokens[i % 7..(i % 7 + i % 35)], first_scored: 1 + i % 3 })
            .collect();
        for (request, together) in requests.iter().zip(model.score_all(&requests)) {
            let alone = model.score(request.tokens);
            let alone = alone.get(request.first_scored - 1..).unwrap_or_default();
            assert_eq!(together.len(), alone.len());
            for (a, b) in together.iter().zip(alone) {
                assert!((a.log_probability - b.log_probability).abs() < 1e-5, "{request:?}");
            }
        }
    }

    #[test]
    fn what_is_not_allowed_takes_no_probability() {
        let logits = [2.0, 1.0, 0.0];
        let score = TokenScore::among(&logits, 1, |id| id != 0);
        assert!(score.is_argmax);
        assert!((f64::from(score.log_probability) + (1.0 + (-1f64).exp()).ln()).abs() < 1e-6);
        assert!(!TokenScore::of(&logits, 1).is_argmax);
    }
}
