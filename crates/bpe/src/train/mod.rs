//! Trains merges from word counts.
//!
//! **Definition.** Count each pair of neighbouring tokens over all words, times the words' counts; merge
//! the pair with the highest count everywhere; repeat. Of equal counts, the pair with the smaller
//! (left id, right id) goes first, as in Hugging Face's `BpeTrainer` with its byte-level alphabet.
//!
//! A training that goes on from a tokenizer counts the tokens that it makes of the words, in place of bytes; what it
//! learns comes behind the tokenizer's merges (`from_tokenizer.rs`).
//!
//! **Consequence.** Only words that contain the merged pair change, so after the first count each merge touches only
//! those; a heap gives the next pair, and outdated entries are put back.

mod from_tokenizer;
mod growth;
#[cfg(test)]
mod tests;
mod trainer;

use serde::{Deserialize, Serialize};

pub use crate::counts::WordCounts;
use crate::{Splitter, Tokenizer};
pub use from_tokenizer::{TrainFromError, train_from};
use growth::Growth;
use trainer::Trainer;

/// Options of a training.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrainingOptions {
    /// Size of the vocabulary, what it begins with (the 256 bytes) and special tokens included; at most [`Tokenizer::MAX_MERGES`]
    /// merges are made.
    pub vocab_size: usize,
    /// A pair with a lower count is not merged. Default: 2.
    pub min_frequency: u64,
    /// Special tokens; they take the last ids. Default: `<|endoftext|>`.
    pub specials: Vec<String>,
    /// The order of pairs with the same count. Default: [`Ties::Gpt2Bytes`].
    pub ties: Ties,
    /// How the words were split, which the tokenizer is told. Default: by GPT-2's pattern.
    pub splitter: Splitter,
}

impl TrainingOptions {
    /// A vocabulary of this size; the other options have their defaults.
    pub fn new(vocab_size: usize) -> TrainingOptions {
        let specials = vec![crate::END_OF_TEXT.to_owned()];
        let (ties, splitter) = (Ties::default(), Splitter::default());
        TrainingOptions { vocab_size, min_frequency: 2, specials, ties, splitter }
    }

    /// A vocabulary of this size that begins with a tokenizer's, without further special tokens. For
    /// [`Training::from_tokenizer`].
    pub fn further(vocab_size: usize) -> TrainingOptions {
        TrainingOptions::new(vocab_size).with_specials(Vec::new())
    }

    /// The same with another minimum count of a pair.
    pub fn with_min_frequency(self, min_frequency: u64) -> TrainingOptions {
        TrainingOptions { min_frequency, ..self }
    }

    /// The same with another order of pairs with the same count.
    pub fn with_ties(self, ties: Ties) -> TrainingOptions {
        TrainingOptions { ties, ..self }
    }

    /// The same for words that were split in another way.
    pub fn with_splitter(self, splitter: Splitter) -> TrainingOptions {
        TrainingOptions { splitter, ..self }
    }

    /// The same with other special tokens.
    pub fn with_specials(self, specials: Vec<String>) -> TrainingOptions {
        TrainingOptions { specials, ..self }
    }
}

/// The order of pairs with the same count: by (left id, right id), the smaller first, where bytes have the ids of the
/// variant, and tokens of merges come in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Bytes in GPT-2's order, as in Hugging Face's trainer; in a training that goes on, all ids as they are.
    #[default]
    Gpt2Bytes,
    /// Bytes from 0 to 255 before all others, as in rustbpe.
    RawBytes,
}

/// Trains a tokenizer. The order of the words does not matter.
///
/// There are fewer merges than requested if no pair is left that occurs often enough.
/// Time O(bytes of distinct words + merges × words they touch · log pairs); memory some 24 bytes for
/// each byte of the distinct words.
///
/// ```
/// use bpe::train::{TrainingOptions, WordCounts, train};
/// let mut words = WordCounts::new();
/// words.add_text("low lower lowest");
/// let options = TrainingOptions::new(259).with_min_frequency(1);
/// let tokenizer = train(&words.into_sorted(), &options);
/// assert_eq!(tokenizer.vocab_size(), 259);
/// assert_eq!(tokenizer.token(bpe::TokenId(257)), b"low");
/// ```
pub fn train(words: &[(Vec<u8>, u64)], options: &TrainingOptions) -> Tokenizer {
    let mut training = Training::new(words, options);
    while training.merge_next() {}
    training.tokenizer(None)
}

/// A training in progress, merge by merge.
///
/// The merges made so far are its whole state: [`Training::replay`] with them restores it, and it continues to the same
/// end.
pub struct Training {
    trainer: Trainer,
    options: TrainingOptions,
    growth: Growth,
    merges: Vec<(u32, u32)>,
    text_bytes: u64,
    /// Tokens of the text before any merge, and after each.
    tokens: Vec<u64>,
}

impl Training {
    /// A training without merges.
    pub fn new(words: &[(Vec<u8>, u64)], options: &TrainingOptions) -> Training {
        let base = Tokenizer::bytes_only().with_rules(options.splitter.rules().clone());
        Training::begin(base, words, options)
    }

    fn begin(base: Tokenizer, words: &[(Vec<u8>, u64)], options: &TrainingOptions) -> Training {
        let growth = Growth::new(base, options);
        let counts = words.iter().map(|(_, count)| *count).collect();
        let trainer = Trainer::new(growth.inner_words(words), counts);
        let text_bytes = words.iter().map(|(word, count)| word.len() as u64 * count).sum();
        let tokens = vec![trainer.tokens()];
        Training { trainer, options: options.clone(), growth, merges: Vec::new(), text_bytes, tokens }
    }

    /// Does the next merge; `false` when all requested ones are done, or no pair occurs often enough.
    pub fn merge_next(&mut self) -> bool {
        let wanted = self.merges_of(self.options.vocab_size);
        if self.merges.len() >= wanted.min(Tokenizer::MAX_MERGES - self.growth.base.merges().len()) {
            return false;
        }
        let Some(pair) = self.next_pair() else { return false };
        self.merge(pair);
        true
    }

    /// Repeats merges that [`Training::merges`] gave before; `false` when they are not those of a training with these
    /// words and options.
    pub fn replay(&mut self, merges: &[(u32, u32)]) -> bool {
        merges.iter().all(|&pair| {
            let is_next = self.next_pair() == Some(pair);
            if is_next {
                self.merge(pair);
            }
            is_next
        })
    }

    /// Merges of a vocabulary of this size.
    fn merges_of(&self, vocab_size: usize) -> usize {
        vocab_size.saturating_sub(self.growth.base.vocab_size() + self.options.specials.len())
    }

    fn next_pair(&mut self) -> Option<(u32, u32)> {
        let Training { trainer, growth, options, .. } = self;
        trainer.next_pair(options.min_frequency.max(1), |pair| growth.may_merge(pair))
    }

    fn merge(&mut self, pair: (u32, u32)) {
        let id = self.growth.merge(pair);
        let before = *self.tokens.last().expect("has the number before any merge");
        self.tokens.push(before - self.trainer.merge(pair, id));
        self.merges.push(pair);
    }

    /// The merges so far, in the ids of the training.
    pub fn merges(&self) -> &[(u32, u32)] {
        &self.merges
    }

    /// Bytes of all words, times their counts.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Tokens of the whole text with the first `merges` merges.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn tokens(&self, merges: usize) -> u64 {
        self.tokens[merges]
    }

    /// Tokens of the whole text with a vocabulary of this size, or with all merges if there are fewer.
    pub fn tokens_of(&self, vocab_size: usize) -> u64 {
        self.tokens[self.merges_of(vocab_size).min(self.merges.len())]
    }

    /// The tokenizer of the first merges, for a vocabulary of this size; with all merges for `None`.
    pub fn tokenizer(&self, vocab_size: Option<usize>) -> Tokenizer {
        let merges = vocab_size.map_or(self.merges.len(), |size| self.merges_of(size));
        let mut tokenizer = self.growth.base.clone();
        self.merges.iter().take(merges).for_each(|&pair| self.growth.push(pair, &mut tokenizer));
        tokenizer.push_specials(self.options.specials.iter().map(String::as_str));
        tokenizer
    }
}
