#![doc = include_str!("../README.md")]

mod byte_order;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod commands;
pub mod counts;
mod encode;
pub mod explain;
pub mod formats;
mod growing_text;
pub mod input;
mod post_processor;
mod simd;
mod split;
mod tokenizer;
pub mod tokens;
pub mod train;
#[doc(hidden)]
pub mod twin;

pub use encode::{Encoder, RunCutter, SpecialInText, Specials};
pub use growing_text::GrowingText;
pub use post_processor::{Template, UnknownPostProcessor};
pub use split::added::AddedToken;
pub use split::pattern::{KnownPattern, PATTERN_NAMES};
pub use split::pretokenize;
pub use split::splitter::Splitter;
pub use tokenizer::{TokenId, Tokenizer, TokenizerError};

/// The version of Unicode that decides letters, numbers and white space for the pre-tokenizer: that of tiktoken.
pub const UNICODE_VERSION: &str = "16.0.0";

/// The token between documents.
pub const END_OF_TEXT: &str = "<|endoftext|>";
