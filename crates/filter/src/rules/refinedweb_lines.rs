use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::dclm::count_words;
use super::{Edit, Findings, Rule, Settings, fraction};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use words::python;

/// Cuts lines that are not prose, and drops texts of which much is cut: the line-wise corrections of RefinedWeb
/// (<https://arxiv.org/abs/2306.01116>, appendix G.2). Edits the text.
///
/// Follows `baselines/mappers/modifiers.py` of DCLM with the numbers of `dclm_baseline_refinedweb.yaml`. It cuts, in
/// this order: lines of which more than half is in upper case, lines of digits, counters ("3 likes"), lines of one
/// word; and in lines of at most 10 words the phrases "items in cart", "Read more..." at the end, where the stops are
/// any three characters, and "Sign-in" at the start. A text of which nothing is left has no words.
///
/// A word is a run without white space that begins with a letter or number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefinedWebLines {
    /// The code that is followed.
    pub dialect: Dclm,
    /// Maximum fraction of upper-case characters of a line; lines with more are cut.
    pub max_uppercase_char_fraction: Limit,
    /// Maximum fraction of digits of a line; lines with more are cut.
    pub max_digit_char_fraction: Limit,
    /// Minimum number of runs without white space of a line that is not empty; lines with fewer are cut.
    pub min_line_words: Limit,
    /// Maximum number of runs without white space of a line in which phrases are cut.
    pub max_phrase_line_words: usize,
    /// Maximum fraction of words that are cut.
    pub max_removed_word_fraction: Limit,
}

/// The published code that [`RefinedWebLines`] follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dclm {
    /// DCLM's baseline.
    #[default]
    #[serde(rename = "dclm")]
    Baseline,
}

impl Default for RefinedWebLines {
    fn default() -> RefinedWebLines {
        RefinedWebLines {
            dialect: Dclm::Baseline,
            max_uppercase_char_fraction: Limit::at(0.5),
            max_digit_char_fraction: Limit::at(0.999999),
            min_line_words: Limit::at(2.0),
            max_phrase_line_words: 10,
            max_removed_word_fraction: Limit::at(0.05),
        }
    }
}

impl Settings for RefinedWebLines {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for RefinedWebLines {
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new(
                "removed_word_fraction",
                MeasureUnit::Fraction,
                "words that are cut, of all words; 1 where there are none",
            )
            .max("max_removed_word_fraction", self.max_removed_word_fraction, "too_many_removed_words", ""),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let original = text.as_str();
        let mut cuts = Cuts::default();
        let kept = self.kept(original, &mut cuts);
        let words = count_words(original);
        let removed = if words == 0 || kept.is_empty() { 1.0 } else { difference(words, count_words(&kept)) };
        let edit = (kept != original).then(|| Edit { text: kept, words: None, cuts: cuts.named() });
        Findings { edit, ..Findings::of(vec![removed]) }
    }
}

/// The decrease of a number; negative where a phrase cut out of a word leaves two words.
fn difference(before: usize, after: usize) -> f64 {
    if after <= before { fraction(before - after, before) } else { -fraction(after - before, before) }
}

#[derive(Default)]
struct Cuts {
    uppercase: usize,
    digits: usize,
    counters: usize,
    short: usize,
    phrases: usize,
}

impl Cuts {
    fn named(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("uppercase_lines", self.uppercase),
            ("digit_lines", self.digits),
            ("counter_lines", self.counters),
            ("short_lines", self.short),
            ("phrases", self.phrases),
        ]
    }
}

impl RefinedWebLines {
    /// The text without the lines and phrases that are cut.
    ///
    /// The original makes one pass for each correction and strips the text after most of them, which can remove white
    /// space from the first and last line that a later correction sees; this does the same.
    fn kept(&self, text: &str, cuts: &mut Cuts) -> String {
        let is_above = |part, line: &str, limit: Limit| {
            !line.is_empty() && limit.number().is_some_and(|limit| fraction(part, python::len(line)) > limit)
        };
        let uppercase = |line: &str| line.chars().filter(|&c| python::is_upper(c)).count();
        let digits = |line: &str| line.chars().filter(|&c| python::is_digit_char(c)).count();
        let text = without_lines(text, &mut cuts.uppercase, |line| {
            is_above(uppercase(line), line, self.max_uppercase_char_fraction)
        });
        let text = without_lines(python::strip(&text), &mut cuts.digits, |line| {
            is_above(digits(line), line, self.max_digit_char_fraction)
        });
        let text = without_lines(python::strip(&text), &mut cuts.counters, is_counter);
        let is_short = |line: &str| {
            let is_below = |limit| (python::split(line).take(limit as usize + 1).count() as f64) < limit;
            !line.is_empty() && self.min_line_words.number().is_some_and(is_below)
        };
        let mut text = without_lines(python::strip(&text), &mut cuts.short, is_short);
        for phrase in PHRASES.iter() {
            text = self.without_phrase(&text, phrase, cuts);
        }
        text
    }

    /// Cuts a phrase out of short lines, and lines of which nothing else is left.
    fn without_phrase(&self, text: &str, phrase: &Regex, cuts: &mut Cuts) -> String {
        let mut lines = Vec::new();
        for line in text.split('\n') {
            let cut = if python::split(line).nth(self.max_phrase_line_words).is_none() {
                phrase.replace_all(line, "")
            } else {
                Cow::from(line)
            };
            cuts.phrases += usize::from(cut != line);
            if line.is_empty() || !python::strip(&cut).is_empty() {
                lines.push(cut);
            }
        }
        python::strip(&lines.join("\n")).to_owned()
    }
}

/// A text without the lines for which `is_cut` is true, which are counted.
fn without_lines(text: &str, count: &mut usize, is_cut: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut separator = "";
    for line in text.split('\n') {
        if is_cut(line) {
            *count += 1;
        } else {
            kept.push_str(separator);
            kept.push_str(line);
            separator = "\n";
        }
    }
    kept
}

/// The phrases, in the order in which they are cut. Python's case-insensitive i, k and s match one or two more
/// characters than Rust's.
static PHRASES: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let space = python::SPACE_CLASS;
    [
        format!(r"{space}?[iİı]tems [iİı]n cart"),
        format!(r"{space}?read more[^\n]{{3}}$"),
        format!(r"^s[iİı]gn-[iİı]n{space}?"),
    ]
    .map(|phrase| Regex::new(&format!("(?i){phrase}")).expect("the expression is well-formed"))
});

/// Whether a line is a counter, such as "3 likes".
fn is_counter(line: &str) -> bool {
    static COUNTER: LazyLock<Regex> = LazyLock::new(|| {
        let (word, digit, space) = (python::WORD_CLASS, python::DIGIT_CLASS, python::SPACE_CLASS);
        let things =
            "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers";
        let counter = format!(r"^[^{word}]*{digit}(?:,|\.|{digit})*[kmb]?{space}+(?:{things})[^{word}]*$");
        Regex::new(&counter).expect("the expression is well-formed")
    });
    // Everything but the number and the noun is short, and a line without a noun is not a counter.
    COUNTER.is_match(&line.to_lowercase())
}
