#![doc = include_str!("../README.md")]

pub mod cli;
mod commands;
pub mod evaluate;
pub mod finetune;
mod flags;
pub mod inspect;
mod tokens;

pub use flags::precision_parser;
pub use tokens::{VocabularyError, bytes_of, check_vocabulary, continue_text, decode, encode};
