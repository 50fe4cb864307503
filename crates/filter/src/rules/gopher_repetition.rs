use serde::{Deserialize, Serialize};

use super::{Findings, GopherDialect, Rule, Settings, dclm, fraction};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::repetition::{Tie, duplicate_ngram_chars, duplicates, repeated_ngrams, top_ngram_chars};
use crate::text::Text;
use words::python;

/// Drops texts that repeat themselves: table A1 of the Gopher paper (<https://arxiv.org/abs/2112.11446>).
///
/// `dialect = "datatrove-0.10"` follows datatrove's `GopherRepetitionFilter`. Every copy after the first is a duplicate.
/// Characters are divided by those of the whole text, white space included. For n-grams, the most frequent one is counted
/// with the spaces between its words, duplicate ones without.
///
/// `dialect = "dclm"` follows `massive_web_repetition_filters` of DCLM's `content_filters.py`. All copies are duplicates,
/// the first included. Lines and paragraphs are stripped, and empty ones are left out; characters are divided by those of
/// all lines, or of all paragraphs. Words are those of UAX 29 that begin with a letter or number, and characters of
/// n-grams are divided by those of all words. The most frequent n-gram must occur twice; of equally frequent ones, the
/// longest counts. The limits are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GopherRepetition {
    /// The code that is followed.
    pub dialect: GopherDialect,
    /// Maximum fraction of duplicate paragraphs.
    pub max_duplicate_paragraph_fraction: Limit,
    /// Maximum fraction of characters in duplicate paragraphs.
    pub max_duplicate_paragraph_char_fraction: Limit,
    /// Maximum fraction of duplicate lines.
    pub max_duplicate_line_fraction: Limit,
    /// Maximum fraction of characters in duplicate lines.
    pub max_duplicate_line_char_fraction: Limit,
    /// Maximum fraction of characters in the most frequent 2-gram.
    pub max_top_2_gram_char_fraction: Limit,
    /// Maximum fraction of characters in the most frequent 3-gram.
    pub max_top_3_gram_char_fraction: Limit,
    /// Maximum fraction of characters in the most frequent 4-gram.
    pub max_top_4_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 5-grams.
    pub max_duplicate_5_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 6-grams.
    pub max_duplicate_6_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 7-grams.
    pub max_duplicate_7_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 8-grams.
    pub max_duplicate_8_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 9-grams.
    pub max_duplicate_9_gram_char_fraction: Limit,
    /// Maximum fraction of characters in duplicate 10-grams.
    pub max_duplicate_10_gram_char_fraction: Limit,
}

impl Default for GopherRepetition {
    fn default() -> GopherRepetition {
        GopherRepetition {
            dialect: GopherDialect::Datatrove0_10,
            max_duplicate_paragraph_fraction: Limit::at(0.3),
            max_duplicate_paragraph_char_fraction: Limit::at(0.2),
            max_duplicate_line_fraction: Limit::at(0.3),
            max_duplicate_line_char_fraction: Limit::at(0.2),
            max_top_2_gram_char_fraction: Limit::at(0.2),
            max_top_3_gram_char_fraction: Limit::at(0.18),
            max_top_4_gram_char_fraction: Limit::at(0.16),
            max_duplicate_5_gram_char_fraction: Limit::at(0.15),
            max_duplicate_6_gram_char_fraction: Limit::at(0.14),
            max_duplicate_7_gram_char_fraction: Limit::at(0.13),
            max_duplicate_8_gram_char_fraction: Limit::at(0.12),
            max_duplicate_9_gram_char_fraction: Limit::at(0.11),
            max_duplicate_10_gram_char_fraction: Limit::at(0.10),
        }
    }
}

impl Settings for GopherRepetition {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for GopherRepetition {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        let is_dclm = self.dialect == GopherDialect::Dclm;
        let of = |datatrove, dclm| if is_dclm { dclm } else { datatrove };
        let share = |name, doc| Measure::new(name, MeasureUnit::Fraction, doc);
        vec![
            Measure::new("chars", MeasureUnit::Chars, of("code points of the text", "code points of the lines"))
                .min("", Limit::at(1.0), "empty", of("empty", DCLM)),
            share("duplicate_paragraph_fraction", of("paragraphs that are equal to one before, of all", "paragraphs that are equal to another, of all"))
                .max("max_duplicate_paragraph_fraction", self.max_duplicate_paragraph_fraction, "too_many_duplicate_paragraphs", of("dup_para_frac", DCLM)),
            share("duplicate_paragraph_char_fraction", "characters of duplicate paragraphs, of all")
                .max("max_duplicate_paragraph_char_fraction", self.max_duplicate_paragraph_char_fraction, "too_many_duplicate_paragraph_chars", of("dup_para_char_frac", DCLM)),
            share("duplicate_line_fraction", of("lines that are equal to one before, of all", "lines that are equal to another, of all"))
                .max("max_duplicate_line_fraction", self.max_duplicate_line_fraction, "too_many_duplicate_lines", of("dup_line_frac", DCLM)),
            share("duplicate_line_char_fraction", "characters of duplicate lines, of all")
                .max("max_duplicate_line_char_fraction", self.max_duplicate_line_char_fraction, "too_many_duplicate_line_chars", of("dup_line_char_frac", DCLM)),
            share("top_2_gram_char_fraction", "characters of the most frequent 2-gram, of all")
                .max("max_top_2_gram_char_fraction", self.max_top_2_gram_char_fraction, "too_frequent_2_gram", of("top_2_gram", DCLM)),
            share("top_3_gram_char_fraction", "characters of the most frequent 3-gram, of all")
                .max("max_top_3_gram_char_fraction", self.max_top_3_gram_char_fraction, "too_frequent_3_gram", of("top_3_gram", DCLM)),
            share("top_4_gram_char_fraction", "characters of the most frequent 4-gram, of all")
                .max("max_top_4_gram_char_fraction", self.max_top_4_gram_char_fraction, "too_frequent_4_gram", of("top_4_gram", DCLM)),
            share("duplicate_5_gram_char_fraction", of("characters of 5-grams seen before, of all", "characters of 5-grams that occur twice, of all"))
                .max("max_duplicate_5_gram_char_fraction", self.max_duplicate_5_gram_char_fraction, "too_many_duplicate_5_grams", of("duplicated_5_n_grams", DCLM)),
            share("duplicate_6_gram_char_fraction", of("characters of 6-grams seen before, of all", "characters of 6-grams that occur twice, of all"))
                .max("max_duplicate_6_gram_char_fraction", self.max_duplicate_6_gram_char_fraction, "too_many_duplicate_6_grams", of("duplicated_6_n_grams", DCLM)),
            share("duplicate_7_gram_char_fraction", of("characters of 7-grams seen before, of all", "characters of 7-grams that occur twice, of all"))
                .max("max_duplicate_7_gram_char_fraction", self.max_duplicate_7_gram_char_fraction, "too_many_duplicate_7_grams", of("duplicated_7_n_grams", DCLM)),
            share("duplicate_8_gram_char_fraction", of("characters of 8-grams seen before, of all", "characters of 8-grams that occur twice, of all"))
                .max("max_duplicate_8_gram_char_fraction", self.max_duplicate_8_gram_char_fraction, "too_many_duplicate_8_grams", of("duplicated_8_n_grams", DCLM)),
            share("duplicate_9_gram_char_fraction", of("characters of 9-grams seen before, of all", "characters of 9-grams that occur twice, of all"))
                .max("max_duplicate_9_gram_char_fraction", self.max_duplicate_9_gram_char_fraction, "too_many_duplicate_9_grams", of("duplicated_9_n_grams", DCLM)),
            share("duplicate_10_gram_char_fraction", of("characters of 10-grams seen before, of all", "characters of 10-grams that occur twice, of all"))
                .max("max_duplicate_10_gram_char_fraction", self.max_duplicate_10_gram_char_fraction, "too_many_duplicate_10_grams", of("duplicated_10_n_grams", DCLM)),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        match self.dialect {
            GopherDialect::Datatrove0_10 => datatrove(text),
            GopherDialect::Dclm => of_dclm(text.as_str()),
        }
    }
}

/// The filter's name in DCLM.
const DCLM: &str = "massive_web_repetition_filters";

/// The values by datatrove's definitions.
fn datatrove(text: &Text<'_>) -> Findings {
    let chars = text.len_chars();
    let paragraphs = duplicates(paragraphs(text.as_str()));
    let lines = duplicates(lines(text.as_str()));
    let words = text.words();
    let top = top_ngram_chars(words);
    let duplicate = duplicate_ngram_chars(text.as_str(), words);
    let mut values = vec![
        chars as f64,
        fraction(paragraphs.duplicates, paragraphs.elements),
        fraction(paragraphs.duplicate_chars, chars),
        fraction(lines.duplicates, lines.elements),
        fraction(lines.duplicate_chars, chars),
    ];
    values.extend(top.iter().chain(&duplicate).map(|&part| fraction(part, chars)));
    Findings::of(values)
}

/// The values by DCLM's definitions.
fn of_dclm(text: &str) -> Findings {
    let shares = |separator| {
        let segments = || dclm::segments(text, separator);
        let (counted, chars) = (duplicates(segments()), segments().map(python::len).sum());
        let copies = fraction(counted.duplicates + counted.originals, counted.elements);
        (chars, copies, fraction(counted.duplicate_chars + counted.original_chars, chars))
    };
    let (_, paragraphs, paragraph_chars) = shares("\n\n");
    let (chars, lines, line_chars) = shares("\n");
    let words = dclm::segment_words(text);
    let repeated = repeated_ngrams(&words, Tie::Longest);
    let word_chars = words.chars();
    let mut values = vec![chars as f64, paragraphs, paragraph_chars, lines, line_chars];
    values.extend(repeated.top.iter().chain(&repeated.covered).map(|&part| fraction(part, word_chars)));
    Findings::of(values)
}

/// Paragraphs of the text without white space at its ends: two newlines or more separate them.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    parts(python::strip(text), "\n\n")
}

/// Lines, which runs of newlines separate; newlines at the start or end of the text give an empty line there.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    parts(text, "\n")
}

/// The parts of a text between runs of newlines that begin with `separator`.
fn parts<'t>(text: &'t str, separator: &'static str) -> impl Iterator<Item = &'t str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = memchr::memmem::find(text.as_bytes(), separator.as_bytes()) else { return Some(text) };
        rest = Some(text[end..].trim_start_matches('\n'));
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_paragraphs() {
        let check = |text, expected_lines: &[&str], expected_paragraphs: &[&str]| {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected_lines);
            assert_eq!(paragraphs(text).collect::<Vec<_>>(), expected_paragraphs);
        };
        check("", &[""], &[""]);
        check("\n\na\nb\n\n\nc\n", &["", "a", "b", "c", ""], &["a\nb", "c"]);
    }
}
