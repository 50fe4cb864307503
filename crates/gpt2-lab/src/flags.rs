//! Flags whose types are not this crate's.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use gpt2::Precision;

/// Reads a [`Precision`], and lists both in a command's help.
pub fn precision_parser() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(|name| name.parse::<Precision>())
}
