//! Training that goes on from an existing tokenizer.
//!
//! **Definition.** The words are what the tokenizer merges when it encodes the texts ([`Splitter::of_tokenizer`]), each as
//! the ids that it makes of it. From there the training is as ever: count pairs, merge the most frequent, repeat. New
//! merges have the ranks behind all of the tokenizer's, new tokens the ids behind all of its ids.
//!
//! **Consequence.** Merging by the definition does all merges of the tokenizer before the first new one, since no merge
//! of the tokenizer joins a new token. So a word is encoded as by the tokenizer, then merged as in the training; a text
//! in which no new pair occurs keeps its ids. That holds for every order of merges, hence for vocabularies that are
//! merged by the definition, too. Part of an encoding is the encoding of its bytes: two tokens of a word that a new merge
//! joins are how the new token's bytes alone are encoded, so `ignore_merges` and tiktoken's rule, which look for whole
//! tokens, find it only where merging makes it.
//!
//! **Departure.** A pair whose bytes are a token already is left alone, where Hugging Face's trainer adds a merge that
//! makes the old token: the old merges of that token would then come before the new ones and change how texts are
//! encoded in ways that the counts do not know. It happens only in vocabularies with tokens that merging their own bytes
//! does not make.

use std::collections::HashSet;

use super::{Training, TrainingOptions};
use crate::formats::MAX_ID;
use crate::{Splitter, Tokenizer, TokenizerError};

/// A training cannot go on from a tokenizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainFromError {
    /// A size that leaves no room for anything new.
    #[error(
        "a vocabulary of {vocab_size} is not larger than the tokenizer's {present} ids{}",
        if *specials > 0 { format!(" and {specials} further special tokens") } else { String::new() }
    )]
    TooSmall {
        /// The size that was asked for.
        vocab_size: usize,
        /// Ids of the tokenizer.
        present: usize,
        /// Special tokens to add.
        specials: usize,
    },
    /// A size for which ids have no room.
    #[error("a vocabulary of {vocab_size} is too large: at most {max} go on from this tokenizer")]
    TooLarge {
        /// The size that was asked for.
        vocab_size: usize,
        /// The largest possible.
        max: usize,
    },
    /// A special token that the tokenizer has already, as one or as another token.
    #[error("the special token {special:?} is in the vocabulary already")]
    SpecialIsThere {
        /// The token.
        special: String,
    },
    /// A special token that is empty or given twice.
    #[error("the special token {special:?} is empty or given twice")]
    Special {
        /// The token.
        special: String,
    },
    /// The tokenizer itself breaks a limit.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Trains on from a tokenizer. As [`train`](super::train()), with [`Training::from_tokenizer`].
///
/// ```
/// use bpe::train::{TrainingOptions, WordCounts, train_from};
/// let gpt2 = bpe::Tokenizer::gpt2();
/// let mut words = WordCounts::new();
/// words.add_text_by(&bpe::Splitter::of_tokenizer(&gpt2), "the kittiwake and the kittiwake");
/// let tokenizer = train_from(&gpt2, &words.into_sorted(), &TrainingOptions::further(50_300))?;
/// let ids = bpe::Encoder::new(&tokenizer).encode("the kittiwake");
/// assert!(ids[0].0 == 1169 && ids[1].0 > 50_256 && ids.len() == 2);
/// assert_eq!(tokenizer.special("<|endoftext|>"), Some(bpe::TokenId(50_256)));
/// # Ok::<(), bpe::train::TrainFromError>(())
/// ```
///
/// # Errors
/// As [`Training::from_tokenizer`].
pub fn train_from(
    base: &Tokenizer,
    words: &[(Vec<u8>, u64)],
    options: &TrainingOptions,
) -> Result<Tokenizer, TrainFromError> {
    let mut training = Training::from_tokenizer(base, words, options)?;
    while training.merge_next() {}
    Ok(training.tokenizer(None))
}

impl Training {
    /// A training that goes on from a tokenizer: its ids, merges, added tokens and way of splitting are kept, new merges
    /// come behind its merges, their tokens behind all its ids, and the options' special tokens behind those. The words
    /// are counted with [`Splitter::of_tokenizer`]; the splitter of the options is of no effect.
    ///
    /// # Errors
    /// When the size is not above the tokenizer's or too large, or a special token is in the vocabulary already.
    pub fn from_tokenizer(
        base: &Tokenizer,
        words: &[(Vec<u8>, u64)],
        options: &TrainingOptions,
    ) -> Result<Training, TrainFromError> {
        options.check_from(base)?;
        let options = options.clone().with_splitter(Splitter::of_tokenizer(base));
        Ok(Training::begin(base.clone(), words, &options))
    }
}

impl TrainingOptions {
    /// Whether [`Training::from_tokenizer`] can go on from a tokenizer with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check_from(&self, base: &Tokenizer) -> Result<(), TrainFromError> {
        let (vocab_size, present, specials) = (self.vocab_size, base.vocab_size(), self.specials.len());
        if vocab_size <= present || vocab_size < present + specials {
            return Err(TrainFromError::TooSmall { vocab_size, present, specials });
        }
        Tokenizer::check_number(base.merges().len())?;
        let merges = Tokenizer::MAX_MERGES - base.merges().len();
        let max = (present + merges + specials).min(MAX_ID as usize + 1);
        if vocab_size > max {
            return Err(TrainFromError::TooLarge { vocab_size, max });
        }
        let written: HashSet<String> = base.written().collect();
        let mut seen = HashSet::new();
        for special in &self.specials {
            if special.is_empty() || !seen.insert(special) {
                return Err(TrainFromError::Special { special: special.clone() });
            }
            if written.contains(special) {
                return Err(TrainFromError::SpecialIsThere { special: special.clone() });
            }
        }
        Ok(())
    }
}
