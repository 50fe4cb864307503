//! DCLM's definitions of words and lines (`baselines/mappers/core_utils.py`).

use crate::uax29;
use crate::words::Words;
use words::python;

/// Number of fastText's words that begin with a letter or number. They are runs without ASCII white space.
pub fn count_words(text: &str) -> usize {
    let is_space = |c| matches!(c, ' ' | '\n' | '\r' | '\t' | '\x0b' | '\x0c' | '\0');
    text.split(is_space).filter(|word| word.starts_with(python::is_alphanumeric)).count()
}

/// The words of UAX 29 that begin with a letter or number.
pub fn segment_words(text: &str) -> Words {
    let is_word = |segment: &std::ops::Range<usize>| text[segment.start..].starts_with(python::is_alphanumeric);
    Words::of_tokens(text, uax29::segments(text).filter(is_word))
}

/// Lines or paragraphs: the stripped parts between separators, without empty ones.
pub fn segments<'t>(text: &'t str, separator: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(separator).map(python::strip).filter(|segment| !segment.is_empty())
}
