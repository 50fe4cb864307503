//! A model that scores texts: from characters to tokens and to sums of log-probabilities.

use bpe::{Encoder, TokenId, Tokenizer};
use gpt2::{Model, ScoreRequest, TokenScore};

use super::{EvalError, EvalProgress};
use crate::tokens::check_vocabulary;

/// Rows between two reports of progress, whose sequences go through the model together.
const ROWS_AT_A_TIME: usize = 64;

/// A model and its tokenizer, which score texts.
///
/// A text is encoded as a whole. Scored are the tokens that hold a byte of its scored part, so a space before that part
/// is scored with it, as in training. A text that is scored from its first token on begins after end-of-text, as a
/// document does in training.
pub(super) struct Scorer<'a> {
    pub(super) model: &'a Model,
    pub(super) tokenizer: &'a Tokenizer,
    encoder: Encoder<'a>,
    end_of_text: u32,
    /// Sequences made so far.
    pub(super) sequences: u64,
    /// Those that were longer than the context and lost their beginning.
    pub(super) truncated: u64,
}

/// The tokens of a text, of which those from `first_scored` on are scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    pub(super) first_scored: usize,
}

impl Sequence {
    fn request(&self) -> ScoreRequest<'_> {
        ScoreRequest { tokens: &self.tokens, first_scored: self.first_scored }
    }

    /// Number of tokens that are scored.
    pub(super) fn scored_tokens(&self) -> usize {
        self.tokens.len() - self.first_scored
    }
}

impl<'a> Scorer<'a> {
    /// # Errors
    /// A tokenizer that has no end-of-text, or more tokens than the model.
    pub(super) fn new(model: &'a Model, tokenizer: &'a Tokenizer) -> Result<Scorer<'a>, EvalError> {
        check_vocabulary(tokenizer, model.config().vocab_size)?;
        let end_of_text = tokenizer.end_of_text().ok_or(EvalError::NoEndOfText)?.0;
        Ok(Scorer { model, tokenizer, encoder: Encoder::new(tokenizer), end_of_text, sequences: 0, truncated: 0 })
    }

    /// The id of end-of-text.
    pub(super) fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// The ids of a text.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u32> {
        self.encoder.encode(text).iter().map(|id| id.0).collect()
    }

    /// A text that is scored from its byte `start` on. If it is longer than the context, it loses its beginning.
    pub(super) fn sequence(&mut self, text: &str, start: usize) -> Sequence {
        let ids = self.encoder.encode(text);
        let mut first_scored = self.tokens_before(&ids, text, start);
        let mut tokens: Vec<u32> = ids.iter().map(|&TokenId(id)| id).collect();
        if first_scored == 0 {
            tokens.insert(0, self.end_of_text);
            first_scored = 1;
        }
        self.sequences += 1;
        // A context of inputs, and the token that comes after the last of them.
        let excess = tokens.len().saturating_sub(self.model.config().context + 1);
        if excess > 0 {
            self.truncated += 1;
            tokens.drain(..excess);
        }
        Sequence { tokens, first_scored: first_scored.saturating_sub(excess).max(1) }
    }

    /// The number of a text's tokens that lie before its byte `start`, but not all of them.
    fn tokens_before(&mut self, ids: &[TokenId], text: &str, start: usize) -> usize {
        if start == 0 {
            return 0;
        }
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.tokenizer.token(id)).copied().collect();
        let before = match bytes.strip_suffix(text.as_bytes()) {
            // Some tokenizers put a blank before a text.
            Some(added) => self.tokenizer.offsets(ids).take_while(|bytes| bytes.end <= start + added.len()).count(),
            // Others change its characters: what comes before the byte is encoded by itself, as far as its tokens are
            // those of the whole.
            None => {
                let alone = self.encoder.encode(&text[..start]);
                alone.iter().zip(ids).take_while(|(alone, whole)| alone == whole).count()
            }
        };
        before.min(ids.len().saturating_sub(1))
    }

    /// Makes sequences from each row, scores a number of rows at a time, and calls `each` with a row, its sequences,
    /// and the results of `read` for the logits (V) and the id of each of their scored tokens.
    pub(super) fn read_rows<R, T: Send>(
        &mut self,
        rows: &[R],
        mut sequences_of: impl FnMut(&mut Scorer<'a>, &R) -> Vec<Sequence>,
        read: impl Fn(&[f32], u32) -> T + Sync,
        mut each: impl FnMut(&R, &[Sequence], &[Vec<T>]),
        progress: &mut EvalProgress<'_>,
    ) {
        let (mut done, all) = (0, rows.len() as u64);
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            let sequences: Vec<Vec<Sequence>> = rows.iter().map(|row| sequences_of(self, row)).collect();
            let requests: Vec<ScoreRequest<'_>> = sequences.iter().flatten().map(Sequence::request).collect();
            let readings = self.model.predictions(&requests, &read);
            let mut rest = readings.as_slice();
            for (row, sequences) in rows.iter().zip(&sequences) {
                let of_row;
                (of_row, rest) = rest.split_at(sequences.len());
                each(row, sequences, of_row);
            }
            done += rows.len() as u64;
            progress(done, Some(all));
        }
    }

    /// The same with the log-probability of each sequence's scored tokens together, in nats.
    pub(super) fn score_rows<R>(
        &mut self,
        rows: &[R],
        sequences_of: impl FnMut(&mut Scorer<'a>, &R) -> Vec<Sequence>,
        mut each: impl FnMut(&R, &[Sequence], &[f64]),
        progress: &mut EvalProgress<'_>,
    ) {
        let each = |row: &R, sequences: &[Sequence], scores: &[Vec<TokenScore>]| {
            let sums: Vec<f64> = scores.iter().map(|scores| log_probability(scores)).collect();
            each(row, sequences, &sums);
        };
        self.read_rows(rows, sequences_of, TokenScore::of, each, progress);
    }
}

/// The log-probability of all tokens together, in nats.
pub(super) fn log_probability(scores: &[TokenScore]) -> f64 {
    scores.iter().map(|score| f64::from(score.log_probability)).sum()
}

/// The index of the largest number; of equals, the first.
pub(super) fn argmax(numbers: &[f64]) -> usize {
    (1..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use gpt2::ModelConfig;

    use super::*;

    fn check(text: &str, start: usize, context: usize, expected: (&[u32], usize), truncated: u64) {
        let tokenizer = Tokenizer::from_merges(&[(TokenId(220), TokenId(65))], &["<|endoftext|>"]).unwrap();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 2, context, 300), 1);
        let mut scorer = Scorer::new(&model, &tokenizer).unwrap();
        let Sequence { tokens, first_scored } = scorer.sequence(text, start);
        assert_eq!((&tokens[..], first_scored, scorer.truncated), (expected.0, expected.1, truncated), "{text:?}");
    }

    #[test]
    fn sequences() {
        // GPT-2's order of bytes: "a" is 64, "b" 65, the space 220; " b" is the merge.
        check("a b", 2, 8, (&[64, 256], 1), 0); // the space belongs to the scored "b"
        check("ab", 0, 8, (&[257, 64, 65], 1), 0); // from the first byte on: after end-of-text
        check("abab", 3, 2, (&[65, 64, 65], 2), 1); // the beginning goes
        check("abab", 1, 2, (&[65, 64, 65], 1), 1); // and with it a scored token that nothing stands before
        check("ab", 1, 1, (&[64, 65], 1), 0);
    }

    /// The scored tokens of a text by a tokenizer whose file says something else in one place.
    fn scored(replaced: [&str; 2], text: &str, start: usize) -> (usize, usize) {
        let plain = Tokenizer::from_merges(&[(TokenId(220), TokenId(65))], &["<|endoftext|>"]).unwrap();
        let files = bpe::formats::files(&plain);
        let (_, json) = files.iter().find(|(name, _)| name.ends_with("tokenizer.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        assert!(json.contains(replaced[0]), "{json}");
        std::fs::write(&path, json.replace(replaced[0], replaced[1])).unwrap();
        let tokenizer = bpe::formats::load(path.to_str().unwrap()).unwrap();
        let model = Model::new(&ModelConfig::gpt2(1, 1, 2, 8, 300), 1);
        let Sequence { tokens, first_scored } = Scorer::new(&model, &tokenizer).unwrap().sequence(text, start);
        (tokens.len(), first_scored)
    }

    #[test]
    fn tokens_are_found_where_a_tokenizer_adds_a_blank_or_changes_characters() {
        let splits = "\"pre_tokenizer\":{\"add_prefix_space\":";
        let blank = [format!("{splits}false"), format!("{splits}true")];
        let blank = |text: &str, start| scored([&blank[0], &blank[1]], text, start);
        let composed = ["\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}"];
        let composed = |text: &str, start| scored(composed, text, start);
        assert_eq!(blank("a b", 2), (3, 2)); // a blank, "a", " b"
        assert_eq!(blank("a b", 0), (4, 1)); // after end-of-text
        assert_eq!(composed("e\u{301} b", 3), (3, 2)); // two bytes of "é", " b"
        assert_eq!(composed("e\u{301}", 3), (2, 1)); // never nothing
    }

    #[test]
    fn of_equals_the_first() {
        assert_eq!(argmax(&[-2.0, -1.0, -1.0]), 1);
        assert_eq!(argmax(&[f64::NEG_INFINITY; 2]), 0);
    }
}
