//! From a text to its pretokens: added tokens are cut out, what is between them is normalised and split.

pub(crate) mod added;
pub(crate) mod borders;
pub(crate) mod classes;
pub(crate) mod normalizer;
mod oniguruma;
pub(crate) mod pattern;
pub mod pretokenize;
pub(crate) mod pretokenizer;
pub(crate) mod scan;
pub(crate) mod sections;
pub(crate) mod splitter;
pub(crate) mod text_rules;
