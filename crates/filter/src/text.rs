//! A text with its words, lines and lengths, each computed once for all rules.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use crate::words::Words;
use words::python;

/// A text that is being judged.
pub struct Text<'a> {
    text: Cow<'a, str>,
    len_chars: OnceCell<usize>,
    words: OnceCell<Words>,
    word_count: OnceCell<usize>,
    lines: OnceCell<Vec<Range<usize>>>,
}

impl<'a> Text<'a> {
    /// A text; words and lines are computed when a rule first reads them.
    pub fn new(text: Cow<'a, str>) -> Text<'a> {
        let (len_chars, words, word_count, lines) = Default::default();
        Text { text, len_chars, words, word_count, lines }
    }

    /// A text whose number of words is known.
    pub fn with_word_count(text: Cow<'a, str>, word_count: usize) -> Text<'a> {
        Text { word_count: word_count.into(), ..Text::new(text) }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text itself.
    pub fn into_str(self) -> Cow<'a, str> {
        self.text
    }

    /// Length in code points.
    pub fn len_chars(&self) -> usize {
        *self.len_chars.get_or_init(|| python::len(&self.text))
    }

    /// The words and sentences.
    pub fn words(&self) -> &Words {
        self.words.get_or_init(|| Words::of(&self.text))
    }

    /// The number of words, which may be known without finding them.
    pub fn word_count(&self) -> usize {
        *self.word_count.get_or_init(|| self.words().len())
    }

    /// The lines as Python's `str.splitlines` gives them.
    pub fn lines(&self) -> &[Range<usize>] {
        self.lines.get_or_init(|| python::split_lines(&self.text))
    }
}
