use memchr::{memchr_iter, memmem};
use serde::{Deserialize, Serialize};

use super::punctuation::is_symbol;
use super::{Findings, GopherDialect, Rule, Settings, dclm, fault_of_fraction, fraction};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use words::python;

/// Keeps texts with the words, symbols and lines of prose: the quality rules of the Gopher paper
/// (<https://arxiv.org/abs/2112.11446>, section A1.1).
///
/// `dialect = "datatrove-0.10"` follows datatrove's `GopherQualityFilter`. The number of words and their mean length
/// leave out words that consist of symbols only; ratios are relative to all words. Stop words are counted once each,
/// case-sensitively. A text without words, on which the original fails, has no ratios.
///
/// `dialect = "dclm"` follows the filters of the same purpose in DCLM's `content_filters.py`, with the numbers of
/// `dclm_baseline_refinedweb.yaml`. It has two definitions of a word. The number of words counts runs without ASCII
/// white space that begin with a letter or number (fastText's tokens); everything else counts all runs without white
/// space. Hash signs and ellipses have one limit, and `. . .` is an ellipsis; lines of white space only are left out;
/// every occurrence of a stop word counts, case-insensitively.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GopherQuality {
    /// The code that is followed.
    pub dialect: GopherDialect,
    /// Minimum number of words; in `datatrove-0.10` without those of symbols only.
    pub min_words: Limit,
    /// Maximum number of words; in `datatrove-0.10` without those of symbols only.
    pub max_words: Limit,
    /// Minimum mean length of words, in code points.
    pub min_mean_word_chars: Limit,
    /// Maximum mean length of words, in code points.
    pub max_mean_word_chars: Limit,
    /// Maximum number of hash signs per word, in `datatrove-0.10`.
    pub max_hashes_per_word: Limit,
    /// Maximum number of ellipses per word, in `datatrove-0.10`.
    pub max_ellipses_per_word: Limit,
    /// Maximum number of hash signs and ellipses per word, in `dclm`.
    pub max_symbols_per_word: Limit,
    /// Maximum fraction of lines that begin with a bullet.
    pub max_bullet_line_fraction: Limit,
    /// Maximum fraction of lines that end with an ellipsis.
    pub max_ellipsis_line_fraction: Limit,
    /// Minimum fraction of words with a letter.
    pub min_alphabetic_word_fraction: Limit,
    /// Minimum number of stop words: of distinct ones in `datatrove-0.10`, of occurrences in `dclm`.
    pub min_stop_words: Limit,
    /// The stop words.
    pub stop_words: Vec<String>,
}

/// The stop words of the Gopher paper.
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

impl Default for GopherQuality {
    /// The numbers of the Gopher paper, section A1.1, which datatrove and DCLM have, too: 50 to 100,000 words, of a
    /// mean length of 3 to 10; at most 0.1 hash signs per word, and as many ellipses (in DCLM, of both together); at
    /// most 90% of lines that begin with a bullet, and 30% that end with an ellipsis; at least 80% of words with a
    /// letter, and two stop words.
    fn default() -> GopherQuality {
        GopherQuality {
            dialect: GopherDialect::Datatrove0_10,
            min_words: Limit::at(50.0),
            max_words: Limit::at(100_000.0),
            min_mean_word_chars: Limit::at(3.0),
            max_mean_word_chars: Limit::at(10.0),
            max_hashes_per_word: Limit::at(0.1),
            max_ellipses_per_word: Limit::at(0.1),
            max_symbols_per_word: Limit::at(0.1),
            max_bullet_line_fraction: Limit::at(0.9),
            max_ellipsis_line_fraction: Limit::at(0.3),
            min_alphabetic_word_fraction: Limit::at(0.8),
            min_stop_words: Limit::at(2.0),
            stop_words: STOP_WORDS.map(str::to_owned).into(),
        }
    }
}

impl Settings for GopherQuality {
    fn fault(&self) -> Option<String> {
        let numbers = GopherQuality::default();
        let of_datatrove = [
            ("max_hashes_per_word", self.max_hashes_per_word != numbers.max_hashes_per_word),
            ("max_ellipses_per_word", self.max_ellipses_per_word != numbers.max_ellipses_per_word),
        ];
        let of_dclm = [("max_symbols_per_word", self.max_symbols_per_word != numbers.max_symbols_per_word)];
        let (unused, remedy) = match self.dialect {
            GopherDialect::Datatrove0_10 => (&of_dclm[..], "max_hashes_per_word and max_ellipses_per_word"),
            GopherDialect::Dclm => (&of_datatrove[..], "max_symbols_per_word"),
        };
        if let Some((key, _)) = unused.iter().find(|(_, is_set)| *is_set) {
            return Some(format!("{key} is not a limit of this dialect of gopher_quality, which has {remedy}"));
        }
        // DCLM counts every occurrence of a stop word, datatrove each word once.
        let max_stop_words = match (self.stop_words.len(), self.dialect) {
            (0, _) => 0.0,
            (_, GopherDialect::Dclm) => f64::INFINITY,
            (words, GopherDialect::Datatrove0_10) => words as f64,
        };
        if let Some(min) = self.min_stop_words.number().filter(|min| *min > max_stop_words) {
            return Some(format!("min_stop_words = {min}, but stop_words has {}", self.stop_words.len()));
        }
        fault_of_fraction("min_alphabetic_word_fraction", self.min_alphabetic_word_fraction)
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

/// The counts that both dialects need.
struct Counts {
    /// Words for the limits on their number.
    words: usize,
    /// Words for the mean length, and their code points.
    measured_words: usize,
    measured_word_chars: usize,
    /// Words for the ratios.
    all_words: usize,
    alphabetic_words: usize,
    stop_words: usize,
}

impl Rule for GopherQuality {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        let is_dclm = self.dialect == GopherDialect::Dclm;
        let of = |datatrove, dclm| if is_dclm { dclm } else { datatrove };
        let symbols = if is_dclm {
            vec![
                Measure::new("symbols_per_word", MeasureUnit::Fraction, "hash signs and ellipses, of all words")
                    .max("max_symbols_per_word", self.max_symbols_per_word, "too_many_symbols", "symbol_ratio_filter"),
            ]
        } else {
            vec![
                Measure::new("hashes_per_word", MeasureUnit::Fraction, "hash signs, of all words")
                    .max("max_hashes_per_word", self.max_hashes_per_word, "too_many_hashes", "gopher_too_many_hashes"),
                Measure::new("ellipses_per_word", MeasureUnit::Fraction, "ellipses, of all words")
                    .max("max_ellipses_per_word", self.max_ellipses_per_word, "too_many_ellipses", "gopher_too_many_ellipsis"),
            ]
        };
        let mut measures = vec![
            Measure::new("words", MeasureUnit::Count, of("words that are not of symbols alone", "words that begin with a letter or number"))
                .min("min_words", self.min_words, "too_few_words", of("gopher_short_doc", "page_length_filter"))
                .max("max_words", self.max_words, "too_many_words", of("gopher_long_doc", "page_length_filter")),
            Measure::new("mean_word_chars", MeasureUnit::Chars, of("mean length of words that are not of symbols alone", "mean length of words"))
                .min("min_mean_word_chars", self.min_mean_word_chars, "too_short_words", of("gopher_below_avg_threshold", "word_length_filter"))
                .max("max_mean_word_chars", self.max_mean_word_chars, "too_long_words", of("gopher_above_avg_threshold", "word_length_filter")),
        ];
        measures.extend(symbols);
        measures.extend([
            Measure::new("bullet_line_fraction", MeasureUnit::Fraction, of("lines that begin with • or -, of all lines", "lines that begin with ●, •, * or -, of all lines"))
                .max("max_bullet_line_fraction", self.max_bullet_line_fraction, "too_many_bullet_lines", of("gopher_too_many_bullets", "bullet_count_filter")),
            Measure::new("ellipsis_line_fraction", MeasureUnit::Fraction, "lines that end with an ellipsis, of all lines")
                .max("max_ellipsis_line_fraction", self.max_ellipsis_line_fraction, "too_many_ellipsis_lines", of("gopher_too_many_end_ellipsis", "ellipsis_count_filter")),
            Measure::new("alphabetic_word_fraction", MeasureUnit::Fraction, "words with a letter, of all words")
                .min("min_alphabetic_word_fraction", self.min_alphabetic_word_fraction, "too_few_alphabetic_words", of("gopher_below_alpha_threshold", "alphabetic_word_ratio_filter")),
            Measure::new("stop_words", MeasureUnit::Count, of("different stop words in the text", "occurrences of stop words in the text"))
                .min("min_stop_words", self.min_stop_words, "too_few_stop_words", of("gopher_enough_stop_words", "stop_word_filter")),
        ]);
        measures
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let str = text.as_str();
        let (counts, lines) = match self.dialect {
            GopherDialect::Datatrove0_10 => {
                let lines = text.lines().iter().map(|line| python::strip(&str[line.clone()]));
                (self.count_datatrove(text), self.count_lines(lines))
            }
            GopherDialect::Dclm => (self.count_dclm(str), self.count_lines(dclm::segments(str, "\n"))),
        };
        let mut values = vec![counts.words as f64, fraction(counts.measured_word_chars, counts.measured_words)];
        let count = |symbols: &[&str]| symbols.iter().map(|symbol| count_occurrences(str, symbol)).sum();
        values.extend(self.symbols().iter().map(|symbols| fraction(count(symbols), counts.all_words)));
        values.extend([
            fraction(lines.with_bullet, lines.all),
            fraction(lines.with_ellipsis, lines.all),
            fraction(counts.alphabetic_words, counts.all_words),
            counts.stop_words as f64,
        ]);
        Findings::of(values)
    }
}

#[derive(Default)]
struct LineCounts {
    all: usize,
    with_bullet: usize,
    with_ellipsis: usize,
}

impl GopherQuality {
    /// For each measure of symbols, the symbols that it counts.
    fn symbols(&self) -> &'static [&'static [&'static str]] {
        match self.dialect {
            GopherDialect::Datatrove0_10 => &[&["#"], &["...", "…"]],
            GopherDialect::Dclm => &[&["#", "...", ". . .", "…"]],
        }
    }

    /// Counts stripped lines.
    fn count_lines<'t>(&self, lines: impl Iterator<Item = &'t str>) -> LineCounts {
        let (bullets, ellipses): (&[char], &[&str]) = match self.dialect {
            GopherDialect::Datatrove0_10 => (&['•', '-'], &["...", "…"]),
            GopherDialect::Dclm => (&['●', '•', '*', '-'], &["...", ". . .", "…"]),
        };
        let mut counts = LineCounts::default();
        for line in lines {
            counts.all += 1;
            counts.with_bullet += usize::from(line.starts_with(bullets));
            counts.with_ellipsis += usize::from(ellipses.iter().any(|ellipsis| line.ends_with(ellipsis)));
        }
        counts
    }

    /// Looks at each distinct word once.
    fn count_datatrove(&self, text: &Text<'_>) -> Counts {
        let words = text.words();
        let (mut not_symbols, mut not_symbol_chars, mut alphabetic_words, mut stop_words) = (0, 0, 0, 0);
        for word in &words.distinct {
            let spelling = words.spelling(text.as_str(), word);
            if spelling.chars().any(|c| !is_symbol(c)) {
                not_symbols += word.count;
                not_symbol_chars += word.count * word.chars;
            }
            if spelling.chars().any(python::is_alpha) {
                alphabetic_words += word.count;
            }
            stop_words += usize::from(self.stop_words.iter().any(|stop_word| stop_word == spelling));
        }
        Counts {
            words: not_symbols,
            measured_words: not_symbols,
            measured_word_chars: not_symbol_chars,
            all_words: words.len(),
            alphabetic_words,
            stop_words,
        }
    }

    fn count_dclm(&self, text: &str) -> Counts {
        let (mut all_words, mut chars, mut alphabetic_words, mut stop_words) = (0, 0, 0, 0);
        for word in python::split(text) {
            all_words += 1;
            chars += python::len(word);
            alphabetic_words += usize::from(word.contains(python::is_alpha));
            stop_words += usize::from(self.is_stop_word_in_lower_case(word));
        }
        Counts {
            words: dclm::count_words(text),
            measured_words: all_words,
            measured_word_chars: chars,
            all_words,
            alphabetic_words,
            stop_words,
        }
    }

    fn is_stop_word_in_lower_case(&self, word: &str) -> bool {
        if !word.is_ascii() {
            let lowered = python::lower(word);
            return self.stop_words.contains(&lowered);
        }
        let lowered = || word.bytes().map(|byte| byte.to_ascii_lowercase());
        self.stop_words.iter().any(|stop_word| stop_word.len() == word.len() && lowered().eq(stop_word.bytes()))
    }
}

/// `str.count`: occurrences that do not overlap.
fn count_occurrences(text: &str, symbol: &str) -> usize {
    match symbol.as_bytes() {
        [byte] => memchr_iter(*byte, text.as_bytes()).count(),
        symbol => memmem::find_iter(text.as_bytes(), symbol).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_another_dialect_is_refused() {
        let mut rule: GopherQuality = serde_json::from_str(r#"{"dialect": "dclm", "min_words": 30}"#).unwrap();
        assert_eq!((rule.dialect, rule.min_words), (GopherDialect::Dclm, Limit::at(30.0)));
        assert_eq!(rule.fault(), None);
        rule.max_hashes_per_word = Limit::at(0.2);
        assert!(rule.fault().unwrap().contains("which has max_symbols_per_word"));
        rule.dialect = GopherDialect::Datatrove0_10;
        assert_eq!(rule.fault(), None);
    }
}
