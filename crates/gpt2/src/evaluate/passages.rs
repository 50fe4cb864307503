//! Texts whose end is judged by a model: from characters to tokens and to sums of log-probabilities.

use bpe::{Encoder, TokenId, Tokenizer};

use super::EvaluateError;
use crate::model::Model;
use crate::score::{Score, Span};

/// A model and its tokenizer, asked about texts.
///
/// A text and what is judged of it are encoded as one; judged are the tokens that hold a byte of that part, so a
/// blank before it is judged with it, as in training. A text that is judged from its first token stands behind
/// end-of-text, as a document does in training.
pub(super) struct Judge<'a> {
    pub(super) model: &'a Model,
    pub(super) tokenizer: &'a Tokenizer,
    encoder: Encoder<'a>,
    end_of_text: u32,
    /// Passages made so far.
    pub(super) passages: u64,
    /// Those that were longer than the context and lost their beginning.
    pub(super) cut: u64,
}

/// The tokens of a text, of which those from place `from` on are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) tokens: Vec<u32>,
    pub(super) from: usize,
}

impl Passage {
    /// Tokens that are judged.
    pub(super) fn len_tokens(&self) -> usize {
        self.tokens.len() - self.from
    }
}

impl<'a> Judge<'a> {
    /// # Errors
    /// When the tokenizer has no end-of-text, or more tokens than the model.
    pub(super) fn new(model: &'a Model, tokenizer: &'a Tokenizer) -> Result<Judge<'a>, EvaluateError> {
        let (tokens, vocab_size) = (tokenizer.vocab_size(), model.config().vocab_size);
        if tokens > vocab_size {
            return Err(EvaluateError::Vocabulary { tokens, vocab_size });
        }
        let end_of_text = tokenizer.end_of_text().ok_or(EvaluateError::NoEndOfText)?.0;
        Ok(Judge { model, tokenizer, encoder: Encoder::new(tokenizer), end_of_text, passages: 0, cut: 0 })
    }

    /// The id of end-of-text.
    pub(super) fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// The ids of a text.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u32> {
        self.encoder.encode(text).iter().map(|id| id.0).collect()
    }

    /// The bytes of ids; invalid UTF-8 becomes U+FFFD.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.tokenizer.token(TokenId(id))).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A text that is judged from its byte `start` on. Longer than the context, it loses its beginning.
    pub(super) fn passage(&mut self, text: &str, start: usize) -> Passage {
        let ids = self.encoder.encode(text);
        let mut from = self.tokenizer.offsets(&ids).take_while(|bytes| bytes.end <= start).count();
        let mut tokens: Vec<u32> = ids.iter().map(|id| id.0).collect();
        if from == 0 {
            tokens.insert(0, self.end_of_text);
            from = 1;
        }
        self.passages += 1;
        // A context of inputs, and the token that comes after the last of them.
        let excess = tokens.len().saturating_sub(self.model.config().context + 1);
        if excess > 0 {
            self.cut += 1;
            tokens.drain(..excess);
        }
        Passage { tokens, from: from.saturating_sub(excess).max(1) }
    }

    /// The scores of each passage's judged tokens.
    pub(super) fn score(&self, passages: &[Passage]) -> Vec<Vec<Score>> {
        self.model.score_all(&spans(passages))
    }

    /// The logarithm of the probability of what is judged of each passage, in nats.
    pub(super) fn log_probabilities(&self, passages: &[Passage]) -> Vec<f64> {
        self.score(passages).iter().map(|scores| log_probability(scores)).collect()
    }
}

/// What the model is asked.
pub(super) fn spans(passages: &[Passage]) -> Vec<Span<'_>> {
    passages.iter().map(|passage| Span { tokens: &passage.tokens, from: passage.from }).collect()
}

/// Of all tokens together, in nats.
pub(super) fn log_probability(scores: &[Score]) -> f64 {
    scores.iter().map(|score| f64::from(score.log_probability)).sum()
}

/// The place of the largest number; of equals, the first.
pub(super) fn largest(numbers: &[f64]) -> usize {
    (1..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    fn check(text: &str, start: usize, context: usize, expected: (&[u32], usize), cut: u64) {
        let tokenizer = Tokenizer::from_merges(&[(TokenId(220), TokenId(65))], &["<|endoftext|>"]).unwrap();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 2, context, 300), 1);
        let mut judge = Judge::new(&model, &tokenizer).unwrap();
        let passage = judge.passage(text, start);
        assert_eq!((&passage.tokens[..], passage.from, judge.cut), (expected.0, expected.1, cut), "{text:?}");
    }

    #[test]
    fn passages() {
        // GPT-2's order of bytes: "a" is 64, "b" 65, the blank 220; " b" is the merge.
        check("a b", 2, 8, (&[64, 256], 1), 0); // the blank belongs to the judged "b"
        check("ab", 0, 8, (&[257, 64, 65], 1), 0); // from the first byte on: behind end-of-text
        check("abab", 3, 2, (&[65, 64, 65], 2), 1); // the beginning goes
        check("abab", 1, 2, (&[65, 64, 65], 1), 1); // and with it a judged token that nothing stands before
        check("ab", 1, 1, (&[64, 65], 1), 0);
    }

    #[test]
    fn of_equals_the_first() {
        assert_eq!(largest(&[-2.0, -1.0, -1.0]), 1);
        assert_eq!(largest(&[f64::NEG_INFINITY; 2]), 0);
    }
}
