//! Byte-level BPE, as GPT-2 has it.
//!
//! **Definition.** A text is cut into *pretokens* by GPT-2's pattern; a pretoken is a sequence of bytes,
//! each a token; then, as long as two neighbours are the pair of a merge, the pair with the lowest *rank*
//! (of equals, the leftmost) becomes one token. A [`Tokenizer`] is the list of merges in their order.
//!
//! **Consequences.** Pretokens are independent of each other, so each is encoded once and remembered.
//! Any bytes can be encoded, and [decoding](Tokenizer::decode) gives back exactly those bytes.
//!
//! - [`pretokenize`]: the pattern as a hand-written scanner over Unicode 16's classes.
//! - [`Encoder`]: the merges with a bounded memory of words; [`GrowingText`] for text that arrives in parts;
//!   [`twin`] is the readable equivalent.
//! - [`counts`] and [`train`]: words to counts, and counts to merges, merge for merge those of Hugging Face's `BpeTrainer`.
//! - [`formats`]: `vocab.bpe`, `encoder.json`, `vocab.json` + `merges.txt`, `.tiktoken`, `tokenizer.json`.
//! - [`input`]: documents out of text, JSON Lines and Parquet, plain or compressed; [`parallel`]: work on
//!   them at once, with results in order.
//! - [`tokens`]: the files of ids that trainers read.
//!
//! Left out: other pre-tokenizers than GPT-2's, normalisation, and templates around a text.

mod byte_order;
mod classes;
pub mod counts;
mod encode;
pub mod formats;
pub mod input;
mod long_words;
mod merges;
pub mod parallel;
pub mod pretokenize;
mod simd;
mod tokenizer;
pub mod tokens;
pub mod train;
#[cfg(feature = "twin")]
pub mod twin;
mod words;

pub use encode::{Encoder, GrowingText, SpecialInText, Specials};
pub use tokenizer::{TokenId, Tokenizer, TokenizerError};

/// The Unicode version whose letters, numbers and white space the pre-tokenizer knows: that of tiktoken.
pub const UNICODE_VERSION: &str = "16.0.0";

/// The token between documents.
pub const END_OF_TEXT: &str = "<|endoftext|>";
