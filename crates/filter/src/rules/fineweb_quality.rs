use serde::{Deserialize, Serialize};

use super::punctuation::is_terminal;
use super::{DatatroveDialect, Findings, Rule, Settings, fault_of_fraction, fraction};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::repetition::duplicates;
use crate::text::Text;
use words::python;

/// Keeps texts whose lines are those of prose: the rules that FineWeb found (<https://arxiv.org/abs/2406.17557>).
///
/// Follows datatrove's `FineWebQualityFilter`. Newlines separate lines, and lines of white space only are left out; a
/// line that ends with white space does not end with a mark. Characters of duplicate lines are divided by those of the
/// text without newlines; the limit on them is 0.01 in the code, and 0.1 in the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineWebQuality {
    /// The code that is followed.
    pub dialect: DatatroveDialect,
    /// Minimum fraction of lines that end with a mark that ends a sentence.
    pub min_terminal_punctuation_line_fraction: Limit,
    /// Whether a text in which no line ends with such a mark passes that limit.
    pub keep_without_terminal_punctuation: bool,
    /// Maximum fraction of short lines.
    pub max_short_line_fraction: Limit,
    /// Maximum length of a short line, in code points.
    pub max_short_line_chars: usize,
    /// Maximum fraction of characters in lines that equal an earlier one.
    pub max_duplicate_line_char_fraction: Limit,
    /// Maximum number of newlines per word.
    pub max_newlines_per_word: Limit,
}

impl Default for FineWebQuality {
    fn default() -> FineWebQuality {
        FineWebQuality {
            dialect: DatatroveDialect::V0_10,
            min_terminal_punctuation_line_fraction: Limit::at(0.12),
            keep_without_terminal_punctuation: false,
            max_short_line_fraction: Limit::at(0.67),
            max_short_line_chars: 30,
            max_duplicate_line_char_fraction: Limit::at(0.01),
            max_newlines_per_word: Limit::at(0.3),
        }
    }
}

impl Settings for FineWebQuality {
    fn fault(&self) -> Option<String> {
        fault_of_fraction("min_terminal_punctuation_line_fraction", self.min_terminal_punctuation_line_fraction)
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for FineWebQuality {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        let terminal = Measure::new("terminal_punctuation_line_fraction", MeasureUnit::Fraction, "lines that end with a mark that ends a sentence, of all lines")
            .min("min_terminal_punctuation_line_fraction", self.min_terminal_punctuation_line_fraction, "too_few_terminal_punctuation_lines", "line_punct_ratio");
        vec![
            Measure::new("lines", MeasureUnit::Count, "lines that are not of white space alone")
                .min("", Limit::at(1.0), "empty", "empty"),
            Measure { zero_passes: self.keep_without_terminal_punctuation, ..terminal },
            Measure::new("short_line_fraction", MeasureUnit::Fraction, "lines of at most max_short_line_chars, of all lines")
                .max("max_short_line_fraction", self.max_short_line_fraction, "too_many_short_lines", "short_line_ratio"),
            Measure::new("duplicate_line_char_fraction", MeasureUnit::Fraction, "characters of lines that are equal to one before, of all but newlines")
                .max("max_duplicate_line_char_fraction", self.max_duplicate_line_char_fraction, "too_many_duplicate_line_chars", "char_dup_ratio"),
            Measure::new("newlines_per_word", MeasureUnit::Fraction, "newlines, of all words")
                .max("max_newlines_per_word", self.max_newlines_per_word, "too_many_newlines", "list_ratio"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let newlines = memchr::memchr_iter(b'\n', text.as_str().as_bytes()).count();
        let lines = || text.as_str().split('\n').filter(|line| !python::strip(line).is_empty());
        let duplicates = duplicates(lines());
        let terminal = lines().filter(|line| line.ends_with(is_terminal)).count();
        let short = lines().filter(|line| is_at_most(line, self.max_short_line_chars)).count();
        Findings::of(vec![
            duplicates.elements as f64,
            fraction(terminal, duplicates.elements),
            fraction(short, duplicates.elements),
            fraction(duplicates.duplicate_chars, text.len_chars() - newlines),
            fraction(newlines, text.word_count()),
        ])
    }
}

/// Whether a line has at most `chars` code points; a code point has at most four bytes.
fn is_at_most(line: &str, chars: usize) -> bool {
    line.len() <= chars || line.len() / 4 <= chars && python::len(line) <= chars
}
