use memchr::{memchr_iter, memmem};
use serde::{Deserialize, Serialize};

use super::punctuation::is_symbol;
use super::{Datatrove, Findings, Rule, Settings, fraction};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, Unit};
use crate::python;
use crate::text::Text;

/// Keeps texts with the words, symbols and lines of prose: the quality rules of the Gopher paper
/// (<https://arxiv.org/abs/2112.11446>, section A1.1).
///
/// Follows datatrove's `GopherQualityFilter`. The number of words and their mean length leave out words that consist of
/// symbols only; ratios are relative to all words. Stop words are counted once each, case-sensitively. A text without
/// words, on which the original fails, has no ratios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GopherQuality {
    /// The code that is followed.
    pub dialect: Datatrove,
    /// Minimum number of words, without those of symbols only.
    pub min_words: Limit,
    /// Maximum number of words, without those of symbols only.
    pub max_words: Limit,
    /// Minimum mean length of such words, in code points.
    pub min_mean_word_chars: Limit,
    /// Maximum mean length of such words, in code points.
    pub max_mean_word_chars: Limit,
    /// Maximum number of hash signs per word.
    pub max_hashes_per_word: Limit,
    /// Maximum number of ellipses per word.
    pub max_ellipses_per_word: Limit,
    /// Maximum fraction of lines that begin with a bullet.
    pub max_bullet_lines: Limit,
    /// Maximum fraction of lines that end with an ellipsis.
    pub max_ellipsis_lines: Limit,
    /// Minimum fraction of words with a letter.
    pub min_alphabetic_words: Limit,
    /// Minimum number of distinct stop words.
    pub min_stop_words: Limit,
    /// The stop words.
    pub stop_words: Vec<String>,
}

/// The stop words of the Gopher paper.
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];
const BULLETS: [char; 2] = ['•', '-'];
const ELLIPSES: [&str; 2] = ["...", "…"];

impl Default for GopherQuality {
    fn default() -> GopherQuality {
        GopherQuality {
            dialect: Datatrove::V0_10,
            min_words: Limit::at(50.0),
            max_words: Limit::at(100_000.0),
            min_mean_word_chars: Limit::at(3.0),
            max_mean_word_chars: Limit::at(10.0),
            max_hashes_per_word: Limit::at(0.1),
            max_ellipses_per_word: Limit::at(0.1),
            max_bullet_lines: Limit::at(0.9),
            max_ellipsis_lines: Limit::at(0.3),
            min_alphabetic_words: Limit::at(0.8),
            min_stop_words: Limit::at(2.0),
            stop_words: STOP_WORDS.map(str::to_owned).into(),
        }
    }
}

impl Settings for GopherQuality {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for GopherQuality {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("words", Unit::Count, "words that are not of symbols alone")
                .min("min_words", self.min_words, "too_few_words", "gopher_short_doc")
                .max("max_words", self.max_words, "too_many_words", "gopher_long_doc"),
            Measure::new("mean_word_chars", Unit::Chars, "mean length of words that are not of symbols alone")
                .min("min_mean_word_chars", self.min_mean_word_chars, "too_short_words", "gopher_below_avg_threshold")
                .max("max_mean_word_chars", self.max_mean_word_chars, "too_long_words", "gopher_above_avg_threshold"),
            Measure::new("hashes_per_word", Unit::Fraction, "hash signs, of all words")
                .max("max_hashes_per_word", self.max_hashes_per_word, "too_many_hashes", "gopher_too_many_hashes"),
            Measure::new("ellipses_per_word", Unit::Fraction, "ellipses, of all words")
                .max("max_ellipses_per_word", self.max_ellipses_per_word, "too_many_ellipses", "gopher_too_many_ellipsis"),
            Measure::new("bullet_lines", Unit::Fraction, "lines that begin with • or -, of all lines")
                .max("max_bullet_lines", self.max_bullet_lines, "too_many_bullet_lines", "gopher_too_many_bullets"),
            Measure::new("ellipsis_lines", Unit::Fraction, "lines that end with an ellipsis, of all lines")
                .max("max_ellipsis_lines", self.max_ellipsis_lines, "too_many_ellipsis_lines", "gopher_too_many_end_ellipsis"),
            Measure::new("alphabetic_words", Unit::Fraction, "words with a letter, of all words")
                .min("min_alphabetic_words", self.min_alphabetic_words, "too_few_alphabetic_words", "gopher_below_alpha_threshold"),
            Measure::new("stop_words", Unit::Count, "different stop words in the text")
                .min("min_stop_words", self.min_stop_words, "too_few_stop_words", "gopher_enough_stop_words"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let words = self.count_words(text);
        let text_str = text.as_str();
        let hashes = memchr_iter(b'#', text_str.as_bytes()).count();
        let ellipses: usize =
            ELLIPSES.iter().map(|mark| memmem::find_iter(text_str.as_bytes(), mark.as_bytes()).count()).sum();
        let lines = text.lines();
        let count_lines = |test: fn(&str) -> bool| lines.iter().filter(|&line| test(&text_str[line.clone()])).count();
        let bullet_lines = count_lines(|line| line.trim_start_matches(python::is_space).starts_with(BULLETS));
        let ellipsis_lines = count_lines(|line| {
            let line = line.trim_end_matches(python::is_space);
            ELLIPSES.iter().any(|mark| line.ends_with(mark))
        });
        Findings::of(vec![
            words.not_symbols as f64,
            fraction(words.not_symbol_chars, words.not_symbols),
            fraction(hashes, words.all),
            fraction(ellipses, words.all),
            fraction(bullet_lines, lines.len()),
            fraction(ellipsis_lines, lines.len()),
            fraction(words.alphabetic, words.all),
            words.different_stop_words as f64,
        ])
    }
}

#[derive(Default)]
struct WordCounts {
    all: usize,
    not_symbols: usize,
    not_symbol_chars: usize,
    alphabetic: usize,
    different_stop_words: usize,
}

impl GopherQuality {
    /// Looks at each distinct word once.
    fn count_words(&self, text: &Text<'_>) -> WordCounts {
        let words = text.words();
        let mut counts = WordCounts { all: words.len(), ..WordCounts::default() };
        for word in &words.distinct {
            let spelling = words.spelling(text.as_str(), word);
            if spelling.chars().any(|c| !is_symbol(c)) {
                counts.not_symbols += word.count;
                counts.not_symbol_chars += word.count * word.chars;
            }
            if spelling.chars().any(python::is_alpha) {
                counts.alphabetic += word.count;
            }
            counts.different_stop_words += usize::from(self.stop_words.iter().any(|stop_word| stop_word == spelling));
        }
        counts
    }
}
