//! How likely a model finds given texts: the base of every zero-shot evaluation.

use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::Model;

/// Rows whose logits exist at a time.
const LOGIT_ROWS: usize = 64;

/// What a model thought of a token before it saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Natural logarithm of its probability.
    pub log_probability: f32,
    /// Whether no other token was likelier.
    pub is_likeliest: bool,
}

impl Model {
    /// The score of every token but the first, each after all that stand before it in its sequence.
    ///
    /// Element `i` of a result belongs to token `i + 1`. Sequences may differ in length.
    ///
    /// # Panics
    /// If a sequence has more than the context and one token, or an id is past the vocabulary.
    pub fn score(&self, tokens: &[u32]) -> Vec<Score> {
        let Some(t) = tokens.len().checked_sub(1).filter(|&t| t > 0) else { return Vec::new() };
        let hidden = self.hidden(&tokens[..t], t);
        self.score_rows(&hidden, &tokens[1..])
    }

    /// The score of a target after each row of final hidden states (R, C).
    fn score_rows(&self, hidden: &[f32], targets: &[u32]) -> Vec<Score> {
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let wte = Matrix::new(self.wte(), v, c, c).transposed();
        let mut logits = vec![0.0; LOGIT_ROWS.min(targets.len()) * v];
        let mut scores = Vec::with_capacity(targets.len());
        for (hidden, targets) in hidden.chunks(LOGIT_ROWS * c).zip(targets.chunks(LOGIT_ROWS)) {
            let n = targets.len();
            let part = Matrix::new(hidden, n, c, c);
            multiply(
                MatrixMut::new(&mut logits[..n * v], n, v, v),
                Start::Zero,
                1.0,
                part,
                wte,
                Threads::All,
                Precision::F32,
            );
            scores.extend(logits.chunks(v).zip(targets).map(|(row, &target)| Score::of(row, target)));
        }
        scores
    }
}

impl Score {
    fn of(logits: &[f32], target: u32) -> Score {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&x| f64::from(x - most).exp()).sum();
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
}
