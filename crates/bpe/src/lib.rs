#![doc = include_str!("../README.md")]

mod added;
mod borders;
mod byte_order;
mod cached_id;
mod canonical;
mod chunk;
mod classes;
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
mod long_pretoken_cache;
mod merges;
mod model;
mod normalizer;
mod oniguruma;
pub mod parallel;
mod pattern;
mod post_processor;
mod pretoken_cache;
pub mod pretokenize;
mod pretokenizer;
mod run_cutter;
mod scan;
mod sections;
mod side_by_side;
mod simd;
mod splitter;
mod text_rules;
mod tokenizer;
pub mod tokens;
pub mod train;
#[doc(hidden)]
pub mod twin;

pub use added::AddedToken;
pub use encode::{Encoder, SpecialInText, Specials};
pub use growing_text::GrowingText;
pub use pattern::{KnownPattern, PATTERN_NAMES};
pub use post_processor::{Template, UnknownPostProcessor};
pub use run_cutter::RunCutter;
pub use splitter::Splitter;
pub use tokenizer::{TokenId, Tokenizer, TokenizerError};

/// The version of Unicode that decides letters, numbers and white space for the pre-tokenizer: that of tiktoken.
pub const UNICODE_VERSION: &str = "16.0.0";

/// The token between documents.
pub const END_OF_TEXT: &str = "<|endoftext|>";
