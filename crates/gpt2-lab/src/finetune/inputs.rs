//! From the texts of an example to sequences of ids: the input transformations of the GPT-1 paper, section 3.3.

use bpe::{Encoder, TokenId, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::finetune::examples::{ExampleTexts, LabelledExample};

/// The three tokens that fine-tuning adds to a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpecialTokens {
    /// Before every sequence.
    pub(crate) start: u32,
    /// Between two texts.
    pub(crate) delimiter: u32,
    /// After every sequence; its hidden state has seen all of it.
    pub(crate) extract: u32,
}

impl SpecialTokens {
    /// How many they are.
    pub(crate) const COUNT: usize = 3;

    /// Those right after a vocabulary.
    pub(crate) fn after(vocab_size: usize) -> SpecialTokens {
        let start = vocab_size as u32;
        SpecialTokens { start, delimiter: start + 1, extract: start + 2 }
    }
}

/// An example as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncodedExample {
    /// One for a classification or an entailment, two for a similarity, one for each choice.
    pub(crate) sequences: Vec<Vec<u32>>,
    pub(crate) label: usize,
}

impl EncodedExample {
    /// Tokens of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        self.sequences.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// Turns texts into sequences of at most a context.
pub(crate) struct InputEncoder<'a> {
    encoder: Encoder<'a>,
    specials: SpecialTokens,
    context: usize,
    /// Sequences that were longer than the context.
    pub(crate) truncated: u64,
}

impl<'a> InputEncoder<'a> {
    /// Room for three special tokens and a token of each of two texts.
    pub(crate) const MIN_CONTEXT: usize = 5;

    /// # Panics
    /// If the context is below [`InputEncoder::MIN_CONTEXT`].
    pub(crate) fn new(tokenizer: &'a Tokenizer, specials: SpecialTokens, context: usize) -> InputEncoder<'a> {
        assert!(context >= Self::MIN_CONTEXT, "a context of {context} has no room for two texts");
        InputEncoder { encoder: Encoder::new(tokenizer), specials, context, truncated: 0 }
    }

    /// All examples.
    pub(crate) fn examples(&mut self, examples: &[LabelledExample]) -> Vec<EncodedExample> {
        let encode = |example: &LabelledExample| EncodedExample {
            sequences: self.sequences(&example.texts),
            label: example.label,
        };
        examples.iter().map(encode).collect()
    }

    /// The sequences of one example; their number is that of [`EncodedExample::sequences`].
    pub(crate) fn sequences(&mut self, texts: &ExampleTexts) -> Vec<Vec<u32>> {
        match texts {
            ExampleTexts::Classification(text) => vec![self.single(text)],
            ExampleTexts::Entailment { premise, hypothesis } => vec![self.pair(premise, hypothesis)],
            ExampleTexts::Similarity(a, b) => vec![self.pair(a, b), self.pair(b, a)],
            ExampleTexts::MultipleChoice { query, choices } => {
                choices.iter().map(|choice| self.pair(query, choice)).collect()
            }
        }
    }

    fn single(&mut self, text: &str) -> Vec<u32> {
        let mut ids = self.encode(text);
        let room = self.context - 2;
        self.truncated += u64::from(ids.len() > room);
        ids.truncate(room);
        [vec![self.specials.start], ids, vec![self.specials.extract]].concat()
    }

    fn pair(&mut self, first: &str, second: &str) -> Vec<u32> {
        let (mut first, mut second) = (self.encode(first), self.encode(second));
        let room = self.context - 3;
        self.truncated += u64::from(first.len() + second.len() > room);
        let [first_len, second_len] = share(room, first.len(), second.len());
        first.truncate(first_len);
        second.truncate(second_len);
        let SpecialTokens { start, delimiter, extract } = self.specials;
        [vec![start], first, vec![delimiter], second, vec![extract]].concat()
    }

    fn encode(&mut self, text: &str) -> Vec<u32> {
        self.encoder.encode(text).into_iter().map(|TokenId(id)| id).collect()
    }
}

/// Shares room between two texts: a short one is kept whole, the longer one loses its end.
fn share(room: usize, first: usize, second: usize) -> [usize; 2] {
    let half = room / 2;
    if first + second <= room {
        [first, second]
    } else if first <= half {
        [first, room - first]
    } else if second <= room - half {
        [room - second, second]
    } else {
        [half, room - half]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u32 = 256;
    const D: u32 = 257;
    const E: u32 = 258;

    /// With bytes as tokens, a context of 8 and the special tokens S, D and E.
    fn check(texts: &ExampleTexts, expected: &[&[u32]], truncated: u64) {
        let tokenizer = Tokenizer::bytes_only();
        let byte = |id: u32| if id < S { tokenizer.token(TokenId(id))[0].into() } else { id };
        let mut encoder = InputEncoder::new(&tokenizer, SpecialTokens::after(256), 8);
        let sequences = encoder.sequences(texts);
        let sequences: Vec<Vec<u32>> =
            sequences.into_iter().map(|sequence| sequence.into_iter().map(byte).collect()).collect();
        assert_eq!(sequences, expected);
        assert_eq!(encoder.truncated, truncated);
    }

    #[test]
    fn each_arrangement_is_that_of_the_paper() {
        let [a, b, c] = [97, 98, 99];
        check(&ExampleTexts::Classification("abc".into()), &[&[S, a, b, c, E]], 0);
        let entailment = ExampleTexts::Entailment { premise: "ab".into(), hypothesis: "c".into() };
        check(&entailment, &[&[S, a, b, D, c, E]], 0);
        check(&ExampleTexts::Similarity("ab".into(), "c".into()), &[&[S, a, b, D, c, E], &[S, c, D, a, b, E]], 0);
        let choice =
            ExampleTexts::MultipleChoice { query: "a".into(), choices: vec!["b".into(), "".into(), "c".into()] };
        check(&choice, &[&[S, a, D, b, E], &[S, a, D, E], &[S, a, D, c, E]], 0);
    }

    #[test]
    fn what_is_too_long_is_shortened_and_counted() {
        let [a, b] = [97, 98];
        check(&ExampleTexts::Classification("aaaaaaa".into()), &[&[S, a, a, a, a, a, a, E]], 1);
        let pair = |a: &str, b: &str| ExampleTexts::Entailment { premise: a.into(), hypothesis: b.into() };
        check(&pair("aaaaaa", "b"), &[&[S, a, a, a, a, D, b, E]], 1);
        check(&pair("a", "bbbbbb"), &[&[S, a, D, b, b, b, b, E]], 1);
        check(&pair("aaaaaa", "bbbbbb"), &[&[S, a, a, D, b, b, b, E]], 1);
        check(&pair("aa", "bbb"), &[&[S, a, a, D, b, b, b, E]], 0);
    }
}
