//! Why a vocabulary cannot be used.

use super::Tokenizer;

/// A vocabulary that cannot be used, or ids that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A merge names a token that no earlier merge makes.
    #[error("merge {rank} joins {token:?}, which no earlier merge makes")]
    UnknownPart {
        /// The merge's number, from 0.
        rank: usize,
        /// The part, as the file writes it.
        token: String,
    },
    /// Two merges make the same token.
    #[error("merge {rank} makes {token:?}, which is in the vocabulary already")]
    Twice {
        /// The merge's number, from 0.
        rank: usize,
        /// The token, as the file writes it.
        token: String,
    },
    /// A merge joins or makes a token that the vocabulary lacks.
    #[error("merge {rank} is of {token:?}, which is not in the vocabulary")]
    NotInVocabulary {
        /// The merge's number, from 0.
        rank: usize,
        /// The token, as the file writes it.
        token: String,
    },
    /// More merges than [`Tokenizer::MAX_MERGES`].
    #[error("{merges} merges are more than the {} that an id has room for", Tokenizer::MAX_MERGES)]
    TooManyMerges {
        /// Their number.
        merges: usize,
    },
    /// A token that is to be between documents, and is not in the vocabulary.
    #[error("the tokenizer has no added token {token:?}")]
    UnknownEnd {
        /// The token.
        token: String,
    },
    /// An id outside the vocabulary.
    #[error("id {id} at place {place} is not in the vocabulary of {vocab_size}")]
    UnknownId {
        /// The id.
        id: u32,
        /// Its place in the sequence.
        place: usize,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
}
