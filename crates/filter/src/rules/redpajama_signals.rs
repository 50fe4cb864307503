use std::collections::HashSet;
use std::sync::LazyLock;

use memchr::{memchr_iter, memchr2_iter, memchr3, memmem};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Findings, Rule, Settings, fraction};
use crate::About;
use crate::list::{self, ListError};
use crate::measure::{Measure, MeasureUnit};
use crate::repetition::{Tie, repeated_ngrams};
use crate::text::Text;
use crate::words::Words;
use words::python::{self, round_8};

/// Measures the quality signals of RedPajama-v2 (<https://arxiv.org/abs/2411.12372>) that need no model, without limits.
///
/// Follows `app/src/core/quality_signals` of togethercomputer/RedPajama-Data: the modules `natural_language`, `lines`,
/// `repetitions`, and of `content` those that need no list of domains. Measures have the published names, misspellings
/// included, and are rounded to 8 decimal places as the published values are. The original has one value of each
/// `rps_lines_…` signal per line; here it is their sum or mean, which the name's suffix tells.
///
/// There are two definitions of a word. A raw word is a run of letters, numbers and underscores, or a run of other
/// characters that are not white space. A normalized word is a run without white space in the normalized text: lower
/// case, without ASCII punctuation, in Unicode's form NFD. n-grams are made of normalized words, and their characters do
/// not include spaces; all copies of a repeated n-gram count, and words in several of them count once. A line ends with
/// its newline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedPajamaSignals {
    /// File of stop words, one per line, compared with raw words case-sensitively. Without it,
    /// `rps_doc_stop_word_fraction` is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_words: Option<String>,
    /// File of bad words and phrases, one per line, compared with normalized words. Without it, `rps_doc_ldnoobw_words`
    /// is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_words: Option<String>,
}

impl Settings for RedPajamaSignals {
    fn paths(&mut self) -> Vec<&mut String> {
        [&mut self.stop_words, &mut self.bad_words].into_iter().flatten().collect()
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        let read = |path: &Option<String>| path.as_deref().map(read_lines).transpose();
        let bad_words = read(&self.bad_words)?.map(BadWords::new);
        Ok(Box::new(OpenRedPajamaSignals { stop_words: read(&self.stop_words)?, bad_words }))
    }
}

/// The stripped lines of a list.
fn read_lines(path: &str) -> Result<HashSet<String>, ListError> {
    Ok(list::read(path)?.lines().map(|line| python::strip(line).to_owned()).collect())
}

/// The rule with its lists read.
struct OpenRedPajamaSignals {
    stop_words: Option<HashSet<String>>,
    bad_words: Option<BadWords>,
}

impl Rule for OpenRedPajamaSignals {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        use MeasureUnit::{Chars, Count, Fraction};
        let bad_words = ("rps_doc_ldnoobw_words", Count, "occurrences of words and phrases of the list");
        let stop_words = ("rps_doc_stop_word_fraction", Fraction, "raw words that are on the list, of all raw words");
        let always = [
            ("rps_doc_num_sentences", Count, "segments with a letter or number between . ! ?"),
            ("rps_doc_word_count", Count, "normalized words"),
            ("rps_doc_mean_word_length", Chars, "mean length of normalized words"),
            ("rps_doc_symbol_to_word_ratio", Fraction, "hash signs and ellipses, of all raw words"),
            ("rps_doc_frac_lines_end_with_ellipsis", Fraction, "lines that end with an ellipsis, of all lines"),
            ("rps_doc_frac_no_alph_words", Fraction, "raw words without a letter from A to Z, of all raw words"),
            ("rps_doc_frac_unique_words", Fraction, "distinct normalized words, of all"),
            ("rps_doc_unigram_entropy", Count, "entropy of the distribution of normalized words, in nats"),
            ("rps_doc_frac_all_caps_words", Fraction, "raw words in upper case, of all raw words"),
            ("lines", Count, "lines"),
            ("rps_lines_javascript_counts_sum", Count, "normalized words that equal javascript"),
            ("rps_lines_ending_with_terminal_punctution_mark_mean", Fraction, "lines that end with . ! ? or ”, of all lines"),
            ("rps_lines_num_words_mean", Count, "normalized words per line"),
            ("rps_lines_uppercase_letter_fraction_mean", Fraction, "share of characters in upper case, mean of all lines"),
            ("rps_lines_numerical_chars_fraction_mean", Fraction, "share of numbers in normalized lines, mean of all lines"),
            ("rps_lines_start_with_bulletpoint_mean", Fraction, "lines that begin with a bullet, of all lines"),
            ("rps_doc_frac_chars_top_2gram", Fraction, "characters of the most frequent 2-gram, of all"),
            ("rps_doc_frac_chars_top_3gram", Fraction, "characters of the most frequent 3-gram, of all"),
            ("rps_doc_frac_chars_top_4gram", Fraction, "characters of the most frequent 4-gram, of all"),
            ("rps_doc_frac_chars_dupe_5grams", Fraction, "characters in 5-grams that occur twice, of all"),
            ("rps_doc_frac_chars_dupe_6grams", Fraction, "characters in 6-grams that occur twice, of all"),
            ("rps_doc_frac_chars_dupe_7grams", Fraction, "characters in 7-grams that occur twice, of all"),
            ("rps_doc_frac_chars_dupe_8grams", Fraction, "characters in 8-grams that occur twice, of all"),
            ("rps_doc_frac_chars_dupe_9grams", Fraction, "characters in 9-grams that occur twice, of all"),
            ("rps_doc_frac_chars_dupe_10grams", Fraction, "characters in 10-grams that occur twice, of all"),
            ("rps_doc_lorem_ipsum", Fraction, "occurrences of \"lorem ipsum\", of all normalized characters"),
            ("rps_doc_curly_bracket", Fraction, "curly brackets, of all characters"),
        ];
        let of_lists = [self.bad_words.as_ref().map(|_| bad_words), self.stop_words.as_ref().map(|_| stop_words)];
        let all = always.into_iter().chain(of_lists.into_iter().flatten());
        all.map(|(name, unit, doc)| Measure::new(name, unit, doc)).collect()
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let str = text.as_str();
        let raw = RawCounts::of(str, self.stop_words.as_ref());
        let normalized = Normalized::of(str);
        let (lines, words) = (&normalized.lines, &normalized.words);
        let word_chars = words.chars();
        let share = |part, whole| round_8(fraction(part, whole));
        let share_or_0 = |part, whole| if whole == 0 { 0.0 } else { share(part, whole) };
        let symbols: usize =
            ["#", "...", "…"].map(|symbol| memmem::find_iter(str.as_bytes(), symbol).count()).iter().sum();
        let mut values = vec![
            count_sentences(str) as f64,
            words.len() as f64,
            share(word_chars, words.len()),
            share(symbols, raw.words),
            share(lines.with_ellipsis, lines.all),
            round_8(1.0 - fraction(raw.with_letter, raw.words)),
            share(words.distinct.len(), words.len()),
            round_8(entropy(words)),
            share(raw.in_capitals, raw.words),
            lines.all as f64,
            lines.javascript as f64,
            fraction(lines.with_terminal_mark, lines.all),
            fraction(lines.words, lines.all),
            lines.uppercase_fractions / lines.all as f64,
            lines.numerical_fractions / lines.all as f64,
            fraction(lines.with_bullet, lines.all),
        ];
        let repeated = repeated_ngrams(words, Tie::First);
        values.extend(repeated.top.iter().chain(&repeated.covered).map(|&chars| share_or_0(chars, word_chars)));
        values.push(share_or_0(count_lorem_ipsum(&normalized.text), python::len(&normalized.text)));
        values.push(share_or_0(memchr2_iter(b'{', b'}', str.as_bytes()).count(), text.len_chars()));
        values.extend(self.bad_words.as_ref().map(|bad_words| bad_words.count_in(&normalized) as f64));
        // Without normalized words the original gives 0, though there may be raw ones, of punctuation.
        let stop_words = if words.len() == 0 { 0.0 } else { share_or_0(raw.stop_words, raw.words) };
        values.extend(self.stop_words.as_ref().map(|_| stop_words));
        Findings::of(values)
    }
}

/// Number of matches of `\b[^.!?]+[.!?]*`: a match begins at the first letter or number after a mark, and continues to the
/// next mark or the end of the text.
fn count_sentences(text: &str) -> usize {
    let mut sentences = 0;
    let mut rest = text;
    while let Some(first) = rest.find(python::is_word) {
        sentences += 1;
        let Some(end) = memchr3(b'.', b'!', b'?', &rest.as_bytes()[first..]) else { break };
        rest = &rest[first + end + 1..];
    }
    sentences
}

/// Entropy of the distribution of words in nats, summed in the order of first occurrence.
fn entropy(words: &Words) -> f64 {
    let all = words.len() as f64;
    let term = |count: usize| -(count as f64) / all * (count as f64 / all).ln();
    if words.len() == 0 { f64::NAN } else { words.distinct.iter().fold(0.0, |sum, word| sum + term(word.count)) }
}

/// Occurrences in a normalized text. If there is one in plain letters, those with a dotless i or a long s count, too:
/// Python's case-insensitive expressions match them.
fn count_lorem_ipsum(normalized: &str) -> usize {
    static IGNORING_CASE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("lorem [iı]p[sſ]um").expect("the expression is well-formed"));
    if normalized.contains("lorem ipsum") { IGNORING_CASE.find_iter(normalized).count() } else { 0 }
}

/// Words and phrases that are searched for among normalized words.
struct BadWords {
    phrases: HashSet<String>,
    /// The numbers of words that phrases have: their spaces, and one.
    sizes: Vec<usize>,
}

impl BadWords {
    fn new(phrases: HashSet<String>) -> BadWords {
        let mut sizes: Vec<usize> = phrases.iter().map(|phrase| phrase.matches(' ').count() + 1).collect();
        sizes.sort_unstable();
        sizes.dedup();
        BadWords { phrases, sizes }
    }

    /// Time O(words · sizes · bytes of a phrase).
    fn count_in(&self, normalized: &Normalized) -> usize {
        let Normalized { text, words, .. } = normalized;
        let count_of_size = |&size: &usize| {
            if size == 1 {
                let is_bad = |word: &&crate::words::Word| self.phrases.contains(words.spelling(text, word));
                return words.distinct.iter().filter(is_bad).map(|word| word.count).sum();
            }
            // There is exactly one space between normalized words.
            let phrase = |at: usize| &text[words.span(at).start..words.span(at + size - 1).end];
            (0..(words.len() + 1).saturating_sub(size)).filter(|&at| self.phrases.contains(phrase(at))).count()
        };
        self.sizes.iter().map(count_of_size).sum()
    }
}

/// Counts of raw words.
#[derive(Default)]
struct RawCounts {
    words: usize,
    with_letter: usize,
    in_capitals: usize,
    stop_words: usize,
}

impl RawCounts {
    fn of(text: &str, stop_words: Option<&HashSet<String>>) -> RawCounts {
        let mut counts = RawCounts::default();
        for_each_raw_word(text, |word| {
            counts.words += 1;
            counts.with_letter += usize::from(word.bytes().any(|byte| byte.is_ascii_alphabetic()));
            counts.in_capitals += usize::from(python::is_upper_word(word));
            counts.stop_words += usize::from(stop_words.is_some_and(|stop_words| stop_words.contains(word)));
        });
        counts
    }
}

/// NLTK's `WordPunctTokenizer`: `\w+|[^\w\s]+`.
fn for_each_raw_word(text: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    let mut before = Kind::Space;
    let mut at = 0;
    while at < text.len() {
        let (kind, len_bytes) = kind_at(text, at);
        if kind != before {
            if before != Kind::Space {
                each(&text[start..at]);
            }
            (start, before) = (at, kind);
        }
        at += len_bytes;
    }
    if before != Kind::Space {
        each(&text[start..]);
    }
}

/// The role of a character in raw words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Space,
    Other,
}

/// The role of the character at a byte, and its length in bytes.
fn kind_at(text: &str, at: usize) -> (Kind, usize) {
    match text.as_bytes()[at] {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => (Kind::Word, 1),
        b' ' | b'\t'..=b'\r' | 0x1c..=0x1f => (Kind::Space, 1),
        ..0x80 => (Kind::Other, 1),
        _ => match text[at..].chars().next() {
            Some(c) if python::is_word(c) => (Kind::Word, c.len_utf8()),
            Some(c) if python::is_space(c) => (Kind::Space, c.len_utf8()),
            c => (Kind::Other, c.map_or(1, char::len_utf8)),
        },
    }
}

/// A text in lower case, without ASCII punctuation, in form NFD, with one space between words; with its words and counts
/// of its lines.
struct Normalized {
    text: String,
    words: Words,
    lines: LineCounts,
}

/// Counts of raw and normalized lines.
#[derive(Default)]
struct LineCounts {
    all: usize,
    with_ellipsis: usize,
    with_terminal_mark: usize,
    with_bullet: usize,
    words: usize,
    javascript: usize,
    uppercase_fractions: f64,
    numerical_fractions: f64,
}

impl Normalized {
    /// Works line by line: no step looks across a newline, and all treat it as white space.
    fn of(text: &str) -> Normalized {
        let mut normalized = String::with_capacity(text.len());
        let mut line = String::new();
        let mut lines = LineCounts::default();
        for raw in text.split_inclusive('\n') {
            line.clear();
            push_normalized(raw, &mut line);
            lines.count(raw, &line);
            if !normalized.is_empty() && !line.is_empty() {
                normalized.push(' ');
            }
            normalized.push_str(&line);
        }
        let mut start = 0;
        let ends = memchr_iter(b' ', normalized.as_bytes()).chain([normalized.len()]);
        let words = ends.map(|end| std::mem::replace(&mut start, end + 1)..end).filter(|word| !word.is_empty());
        let words = Words::of_tokens(&normalized, words);
        Normalized { text: normalized, words, lines }
    }
}

impl LineCounts {
    fn count(&mut self, raw: &str, normalized: &str) {
        let stripped = python::strip(raw);
        let ends_with = |marks: &[&str]| usize::from(marks.iter().any(|mark| stripped.ends_with(mark)));
        let rounded_share = |part, chars| if chars == 0 { 0.0 } else { round_8(fraction(part, chars)) };
        self.all += 1;
        self.with_ellipsis += ends_with(&["...", "…"]);
        self.with_terminal_mark += ends_with(&[".", "!", "?", "”"]);
        self.with_bullet += usize::from(stripped.starts_with(['•', '‣', '▶', '◀', '◦', '■', '□', '▪', '▫', '–']));
        self.words += memchr_iter(b' ', normalized.as_bytes()).count() + usize::from(!normalized.is_empty());
        if normalized.contains("javascript") {
            self.javascript += normalized.split(' ').filter(|&word| word == "javascript").count();
        }
        let uppercase = count_chars(raw, |byte| byte.is_ascii_uppercase(), python::is_upper);
        let numerical = count_chars(normalized, |byte| byte.is_ascii_digit(), python::is_numeric);
        self.uppercase_fractions += rounded_share(uppercase, python::len(raw));
        self.numerical_fractions += rounded_share(numerical, python::len(normalized));
    }
}

/// Number of characters of a kind, which is tested byte by byte if all are ASCII.
fn count_chars(text: &str, of_ascii: impl Fn(u8) -> bool, of_any: impl Fn(char) -> bool) -> usize {
    if text.is_ascii() {
        text.bytes().filter(|&byte| of_ascii(byte)).count()
    } else {
        text.chars().filter(|&c| of_any(c)).count()
    }
}

/// Normalizes a line.
fn push_normalized(line: &str, normalized: &mut String) {
    if line.is_ascii() { push_normalized_ascii(line, normalized) } else { push_normalized_unicode(line, normalized) }
}

/// Normalizes a line by the original's steps: the readable twin of [`push_normalized_ascii`].
fn push_normalized_unicode(line: &str, normalized: &mut String) {
    let plain: String = line.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let lowered = python::lower(&plain);
    let mut spaced = String::with_capacity(lowered.len());
    for word in python::split(&lowered) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    normalized.push_str(&python::nfd(&spaced));
}

/// Normalizes a line of ASCII by runs without punctuation and white space.
fn push_normalized_ascii(line: &str, normalized: &mut String) {
    let start = normalized.len();
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r' | 0x1c..=0x1f);
    let is_kept = |byte: u8| !is_space(byte) && !byte.is_ascii_punctuation();
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut is_after_space = false;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|&&byte| is_kept(byte)).count();
        if run == 0 {
            is_after_space |= is_space(bytes[at]);
            at += 1;
            continue;
        }
        if is_after_space && normalized.len() > start {
            normalized.push(' ');
        }
        is_after_space = false;
        normalized.push_str(&line[at..at + run]);
        at += run;
    }
    normalized[start..].make_ascii_lowercase();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalized(text: &str) -> String {
        Normalized::of(text).text
    }

    #[test]
    fn raw_and_normalized_words() {
        let raw_words = |text| {
            let mut words = Vec::new();
            for_each_raw_word(text, |word| words.push(word.to_owned()));
            words
        };
        assert_eq!(raw_words("It's 3.5% of_it…\n"), ["It", "'", "s", "3", ".", "5", "%", "of_it", "…"]);
        assert_eq!(normalized(" It's  3.5%,\n - \nof_it É…ΟΔΟΣ\n"), "its 35 ofit e\u{301}…οδος");
    }

    #[test]
    fn phrases_are_found_among_words() {
        let phrases = ["darn", "bloody hell", "hell", "a  b", ""].map(str::to_owned).into();
        let count = |text| BadWords::new(phrases).count_in(&Normalized::of(text));
        assert_eq!(count("Bloody\nhell, darn! A b. Hell-bent darn"), 4);
    }

    proptest! {
        #[test]
        fn ascii_is_normalized_as_all_is(line in "[ -~\t-\r\u{1c}-\u{1f}]{0,60}") {
            let (mut fast, mut slow) = (String::new(), String::new());
            push_normalized_ascii(&line, &mut fast);
            push_normalized_unicode(&line, &mut slow);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn lines_are_normalized_as_the_text_is(text in "[a-cΣÅ\u{301}. \n\r]{0,40}") {
            let mut whole = String::new();
            push_normalized_unicode(&text, &mut whole);
            prop_assert_eq!(normalized(&text), whole);
        }

        #[test]
        fn sentences_are_the_matches_of_the_expression(text in "[ab_é .!?,\n]{0,30}") {
            let sentences = Regex::new(r"\b[^.!?]+[.!?]*").unwrap();
            prop_assert_eq!(count_sentences(&text), sentences.find_iter(&text).count());
        }
    }
}
