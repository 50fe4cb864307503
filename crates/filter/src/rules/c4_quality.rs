use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match};
use serde::{Deserialize, Serialize};

use super::{Edit, Findings, Rule, Settings};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use crate::words::Words;
use words::python;

/// Keeps the lines of a text that are sentences, and drops texts with placeholders or code: the rules of C4
/// (<https://jmlr.org/papers/v21/20-074.html>, section 2.2). Edits the text: lines and citations are cut.
///
/// `dialect = "datatrove-0.10"` follows datatrove's `C4QualityFilter`: a line has at least 3 words, counted before
/// citations are cut, and a text at least 5 sentences; an apostrophe ends a line as a full stop does. `dialect =
/// "tfds"` follows the code that made C4 (`text/c4_utils.py` of tensorflow/datasets): at least 5 words, counted after
/// citations are cut, and at least 3 sentences. That code finds sentences by NLTK's model, which no package contains;
/// here they are spaCy's in both dialects.
///
/// The original stops at the first line with "lorem ipsum" or a curly bracket, and the one that comes first gives the
/// reason. Here the lines after it are measured, too, as if that line were allowed, and give the edited text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Keys", into = "Keys")]
pub struct C4Quality {
    /// The code that is followed.
    pub dialect: C4Dialect,
    /// Whether lines are judged, or sentences.
    pub split_by: SplitBy,
    /// Whether citations as on Wikipedia are cut: `[1]`, `[edit]`, `[citation needed]`.
    pub remove_citations: bool,
    /// Whether lines without a terminal punctuation mark are cut.
    pub require_terminal_punctuation: bool,
    /// Minimum number of words of a line; shorter lines are cut.
    pub min_line_words: Limit,
    /// Maximum length of a word in code points; lines with a longer one are cut.
    pub max_word_chars: Limit,
    /// Whether lines with "javascript" are cut.
    pub remove_javascript_lines: bool,
    /// Whether lines on cookies and terms of use are cut.
    pub remove_policy_lines: bool,
    /// Maximum number of lines with "lorem ipsum".
    pub max_lorem_ipsum_lines: Limit,
    /// Maximum number of lines with a curly bracket.
    pub max_curly_bracket_lines: Limit,
    /// Minimum number of sentences in the lines that are left.
    pub min_sentences: Limit,
}

/// The published code that [`C4Quality`] follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum C4Dialect {
    /// datatrove 0.10.
    #[serde(rename = "datatrove-0.10")]
    Datatrove0_10,
    /// tensorflow/datasets, which made C4.
    #[serde(rename = "tfds")]
    Tfds,
}

/// The parts of a text that [`C4Quality`] judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// Lines, joined with newlines again.
    #[default]
    Lines,
    /// Sentences, joined with spaces again.
    Sentences,
}

/// [`C4Quality`] as a recipe has it: keys that are left out have the dialect's values.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    dialect: C4Dialect,
    split_by: Option<SplitBy>,
    remove_citations: Option<bool>,
    require_terminal_punctuation: Option<bool>,
    min_line_words: Option<Limit>,
    max_word_chars: Option<Limit>,
    remove_javascript_lines: Option<bool>,
    remove_policy_lines: Option<bool>,
    max_lorem_ipsum_lines: Option<Limit>,
    max_curly_bracket_lines: Option<Limit>,
    min_sentences: Option<Limit>,
}

impl C4Quality {
    /// The numbers of a dialect.
    pub fn of_dialect(dialect: C4Dialect) -> C4Quality {
        let (min_line_words, min_sentences) = match dialect {
            C4Dialect::Datatrove0_10 => (3.0, 5.0),
            C4Dialect::Tfds => (5.0, 3.0),
        };
        C4Quality {
            dialect,
            split_by: SplitBy::Lines,
            remove_citations: true,
            require_terminal_punctuation: true,
            min_line_words: Limit::at(min_line_words),
            max_word_chars: Limit::at(1000.0),
            remove_javascript_lines: true,
            remove_policy_lines: true,
            max_lorem_ipsum_lines: Limit::at(0.0),
            max_curly_bracket_lines: Limit::at(0.0),
            min_sentences: Limit::at(min_sentences),
        }
    }
}

impl From<Keys> for C4Quality {
    fn from(keys: Keys) -> C4Quality {
        let dialects = C4Quality::of_dialect(keys.dialect);
        C4Quality {
            dialect: keys.dialect,
            split_by: keys.split_by.unwrap_or(dialects.split_by),
            remove_citations: keys.remove_citations.unwrap_or(dialects.remove_citations),
            require_terminal_punctuation: keys
                .require_terminal_punctuation
                .unwrap_or(dialects.require_terminal_punctuation),
            min_line_words: keys.min_line_words.unwrap_or(dialects.min_line_words),
            max_word_chars: keys.max_word_chars.unwrap_or(dialects.max_word_chars),
            remove_javascript_lines: keys.remove_javascript_lines.unwrap_or(dialects.remove_javascript_lines),
            remove_policy_lines: keys.remove_policy_lines.unwrap_or(dialects.remove_policy_lines),
            max_lorem_ipsum_lines: keys.max_lorem_ipsum_lines.unwrap_or(dialects.max_lorem_ipsum_lines),
            max_curly_bracket_lines: keys.max_curly_bracket_lines.unwrap_or(dialects.max_curly_bracket_lines),
            min_sentences: keys.min_sentences.unwrap_or(dialects.min_sentences),
        }
    }
}

impl From<C4Quality> for Keys {
    fn from(settings: C4Quality) -> Keys {
        Keys {
            dialect: settings.dialect,
            split_by: Some(settings.split_by),
            remove_citations: Some(settings.remove_citations),
            require_terminal_punctuation: Some(settings.require_terminal_punctuation),
            min_line_words: Some(settings.min_line_words),
            max_word_chars: Some(settings.max_word_chars),
            remove_javascript_lines: Some(settings.remove_javascript_lines),
            remove_policy_lines: Some(settings.remove_policy_lines),
            max_lorem_ipsum_lines: Some(settings.max_lorem_ipsum_lines),
            max_curly_bracket_lines: Some(settings.max_curly_bracket_lines),
            min_sentences: Some(settings.min_sentences),
        }
    }
}

impl Settings for C4Quality {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(OpenC4Quality { settings: self.clone(), phrases: Phrases::new() }))
    }
}

/// The rule with its phrases compiled.
struct OpenC4Quality {
    settings: C4Quality,
    phrases: Phrases,
}

/// Places of the measures.
const LOREM_IPSUM: usize = 0;
const CURLY_BRACKET: usize = 1;

impl Rule for OpenC4Quality {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        let settings = &self.settings;
        vec![
            Measure::new("lorem_ipsum_lines", MeasureUnit::Count, "lines with \"lorem ipsum\"")
                .max("max_lorem_ipsum_lines", settings.max_lorem_ipsum_lines, "lorem_ipsum", "lorem_ipsum"),
            Measure::new("curly_bracket_lines", MeasureUnit::Count, "lines with a curly bracket")
                .max("max_curly_bracket_lines", settings.max_curly_bracket_lines, "curly_bracket", "curly_bracket"),
            Measure::new("sentences", MeasureUnit::Count, "sentences in the lines that are left")
                .min("min_sentences", settings.min_sentences, "too_few_sentences", "too_few_sentences"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let mut pass = Pass::new(self, text);
        match self.settings.split_by {
            SplitBy::Lines => text.lines().iter().for_each(|line| pass.line(line.clone())),
            SplitBy::Sentences => pass.sentences(),
        }
        pass.findings()
    }
}

/// Phrases that are looked for in lower-cased lines.
struct Phrases(AhoCorasick);

/// The meaning of a phrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phrase {
    LoremIpsum,
    Javascript,
    Policy,
}

impl Phrases {
    const ALL: [(&'static str, Phrase); 8] = [
        ("lorem ipsum", Phrase::LoremIpsum),
        ("javascript", Phrase::Javascript),
        ("terms of use", Phrase::Policy),
        ("privacy policy", Phrase::Policy),
        ("cookie policy", Phrase::Policy),
        ("uses cookies", Phrase::Policy),
        ("use of cookies", Phrase::Policy),
        ("use cookies", Phrase::Policy),
    ];
    /// The only character beyond ASCII whose lower case is a letter of a phrase, and that letter.
    const KELVIN: (&'static str, &'static str) = ("\u{212a}", "k");

    fn new() -> Phrases {
        let mut builder = AhoCorasick::builder();
        builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
        Phrases(builder.build(Phrases::ALL.map(|(phrase, _)| phrase)).expect("a few short phrases"))
    }

    /// The phrases in a text without [`Phrases::KELVIN`], each with its end, in order.
    fn find_in(&self, text: &str) -> Vec<(usize, Phrase)> {
        let phrase = |found: Match| (found.end(), Phrases::ALL[found.pattern().as_usize()].1);
        self.0.find_overlapping_iter(text).map(phrase).collect()
    }
}

/// One pass over the lines of a text.
struct Pass<'a> {
    rule: &'a OpenC4Quality,
    text: &'a str,
    words: &'a Words,
    /// The first word that can be on the next line.
    next_word: usize,
    /// The phrases of the text from the next line on, if they can be found in the unchanged text.
    phrases: Option<std::vec::IntoIter<(usize, Phrase)>>,
    kept: String,
    kept_lines: usize,
    kept_words: usize,
    sentences: usize,
    lines_with: [usize; 2],
    first: Option<usize>,
    cuts: Cuts,
}

/// Counts of what was cut.
#[derive(Default)]
struct Cuts {
    too_long_word: usize,
    no_terminal_punctuation: usize,
    too_few_words: usize,
    javascript: usize,
    policy: usize,
    citations: usize,
}

/// A line or sentence: as in the text, and without citations.
struct Line<'a> {
    words: Range<usize>,
    end: usize,
    text: Cow<'a, str>,
}

impl<'a> Pass<'a> {
    fn new(rule: &'a OpenC4Quality, text: &'a Text<'_>) -> Pass<'a> {
        let (words, text) = (text.words(), text.as_str());
        let phrases = (!text.contains(Phrases::KELVIN.0)).then(|| rule.phrases.find_in(text).into_iter());
        Pass {
            rule,
            text,
            words,
            next_word: 0,
            phrases,
            kept: String::with_capacity(text.len()),
            kept_lines: 0,
            kept_words: 0,
            sentences: 0,
            lines_with: [0; 2],
            first: None,
            cuts: Cuts::default(),
        }
    }

    fn line(&mut self, bytes: Range<usize>) {
        let first = self.words.first_from_byte(self.next_word, bytes.start);
        let last = self.words.first_from_byte(first, bytes.end);
        self.next_word = last;
        self.judge(Line { words: first..last, end: bytes.end, text: python::strip(&self.text[bytes]).into() });
    }

    fn sentences(&mut self) {
        let words = self.words;
        let mut any = false;
        words.for_each_sentence(0..words.len(), true, |sentence| {
            any = true;
            let bytes = if sentence.is_empty() {
                0..0
            } else {
                words.span(sentence.start).start..words.span(sentence.end - 1).end
            };
            self.judge(Line { words: sentence, end: bytes.end, text: self.text[bytes].into() });
        });
        if !any {
            // The original finds one empty sentence in an empty text.
            self.judge(Line { words: 0..0, end: 0, text: "".into() });
        }
    }

    /// Judges a line, in the order of the original.
    fn judge(&mut self, mut line: Line<'a>) {
        let settings = &self.rule.settings;
        let (mut words, longest) = python::count_words(&line.text);
        let phrases = self.phrases_until(line.end);
        if is_above(longest, settings.max_word_chars) {
            self.cuts.too_long_word += 1;
            return;
        }
        let citations = if settings.remove_citations { line.remove_citations() } else { 0 };
        self.cuts.citations += citations;
        if settings.require_terminal_punctuation && !self.has_terminal_punctuation(&line.text) {
            self.cuts.no_terminal_punctuation += 1;
            return;
        }
        if citations > 0 && settings.dialect == C4Dialect::Tfds {
            words = python::count_words(&line.text).0;
        }
        if is_below(words, settings.min_line_words) {
            self.cuts.too_few_words += 1;
            return;
        }
        let phrases = if citations > 0 { None } else { phrases }.unwrap_or_else(|| self.phrases_of(&line.text));
        if phrases.contains(&Phrase::LoremIpsum) {
            self.meet(LOREM_IPSUM, settings.max_lorem_ipsum_lines);
        }
        if settings.remove_javascript_lines && phrases.contains(&Phrase::Javascript) {
            self.cuts.javascript += 1;
            return;
        }
        if line.text.contains('{') {
            self.meet(CURLY_BRACKET, settings.max_curly_bracket_lines);
        }
        if settings.remove_policy_lines && phrases.contains(&Phrase::Policy) {
            self.cuts.policy += 1;
            return;
        }
        self.keep(line, citations > 0);
    }

    /// The phrases that end in the next line, which ends at byte `end`; `None` if they are not known.
    fn phrases_until(&mut self, end: usize) -> Option<Vec<Phrase>> {
        let phrases = self.phrases.as_mut()?;
        let count = phrases.as_slice().iter().take_while(|(at, _)| *at <= end).count();
        Some(phrases.take(count).map(|(_, phrase)| phrase).collect())
    }

    fn phrases_of(&self, line: &str) -> Vec<Phrase> {
        let (kelvin, k) = Phrases::KELVIN;
        self.rule.phrases.find_in(&line.replace(kelvin, k)).into_iter().map(|(_, phrase)| phrase).collect()
    }

    fn has_terminal_punctuation(&self, line: &str) -> bool {
        let is_mark = |c| match c {
            '.' | '?' | '!' | '"' => true,
            '\'' => self.rule.settings.dialect == C4Dialect::Datatrove0_10,
            _ => false,
        };
        line.ends_with(is_mark) && !line.ends_with("...")
    }

    /// Counts a line for which the original drops the whole text.
    fn meet(&mut self, measure: usize, limit: Limit) {
        self.lines_with[measure] += 1;
        if is_above(self.lines_with[measure], limit) {
            self.first = self.first.or(Some(measure));
        }
    }

    fn keep(&mut self, line: Line<'_>, is_changed: bool) {
        let is_of_lines = self.rule.settings.split_by == SplitBy::Lines;
        let changed = is_changed.then(|| Words::of(&line.text));
        self.kept_words += changed.as_ref().map_or(line.words.len(), Words::len);
        if self.rule.settings.min_sentences.number().is_some() {
            let sentences = match &changed {
                _ if !is_of_lines => 1,
                // An empty line is one sentence to the original.
                None => self.words.count_sentences(line.words).max(1),
                Some(words) => words.sentences_with_edges().max(1),
            };
            self.sentences += sentences;
        }
        if self.kept_lines > 0 {
            self.kept.push(if is_of_lines { '\n' } else { ' ' });
        }
        self.kept.push_str(&line.text);
        self.kept_lines += 1;
    }

    fn findings(self) -> Findings {
        let [lorem_ipsum, curly_bracket] = self.lines_with;
        let values = vec![lorem_ipsum as f64, curly_bracket as f64, self.sentences as f64];
        let kept = python::strip(&self.kept);
        let edit = (kept != self.text).then(|| Edit {
            text: kept.to_owned(),
            // Newlines are tokens of their own, so lines joined with them have the same words as before.
            words: (self.rule.settings.split_by == SplitBy::Lines).then_some(self.kept_words),
            cuts: self.cuts.named(),
        });
        Findings { values, first: self.first, detail: None, edit }
    }
}

impl Line<'_> {
    /// Cuts citations as on Wikipedia, and returns how many.
    fn remove_citations(&mut self) -> usize {
        let mut kept = String::new();
        let mut kept_until = 0;
        let mut count = 0;
        for at in memchr::memchr_iter(b'[', self.text.as_bytes()) {
            if let Some(len) = citation_bytes(&self.text[at..]) {
                kept.push_str(&self.text[kept_until..at]);
                kept_until = at + len;
                count += 1;
            }
        }
        if count > 0 {
            kept.push_str(&self.text[kept_until..]);
            self.text = kept.into();
        }
        count
    }
}

/// Length of the citation that a text begins with: digits of any script, or one of two phrases, in square brackets.
fn citation_bytes(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let phrase = ["[edit]", "[citation needed]"].into_iter().find(|phrase| text.starts_with(phrase));
    let number = || {
        let rest = inner.trim_start_matches(python::is_digit);
        rest.starts_with(']').then(|| text.len() - rest.len() + 1)
    };
    phrase.map(str::len).or_else(number)
}

impl Cuts {
    fn named(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("lines_with_too_long_word", self.too_long_word),
            ("lines_without_terminal_punctuation", self.no_terminal_punctuation),
            ("lines_with_too_few_words", self.too_few_words),
            ("javascript_lines", self.javascript),
            ("policy_lines", self.policy),
            ("citations", self.citations),
        ]
    }
}

fn is_below(count: usize, limit: Limit) -> bool {
    limit.number().is_some_and(|limit| (count as f64) < limit)
}

fn is_above(count: usize, limit: Limit) -> bool {
    limit.number().is_some_and(|limit| count as f64 > limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The kept lines of a text and the number of their sentences: the twin of [`Pass`], which reads like the original.
    fn kept_by_strings(text: &str, dialect: C4Dialect) -> (String, usize) {
        let settings = C4Quality::of_dialect(dialect);
        let (mut kept, mut sentences) = (Vec::new(), 0);
        for line in python::split_lines(text) {
            let mut line = Line { words: 0..0, end: 0, text: python::strip(&text[line]).into() };
            let mut words = python::split(&line.text).count();
            line.remove_citations();
            let line = line.text;
            if dialect == C4Dialect::Tfds {
                words = python::split(&line).count();
            }
            let marks: &[char] =
                if dialect == C4Dialect::Tfds { &['.', '?', '!', '"'] } else { &['.', '?', '!', '"', '\''] };
            if !line.ends_with(marks) || line.ends_with("...") || is_below(words, settings.min_line_words) {
                continue;
            }
            let lower = line.to_lowercase();
            if Phrases::ALL[1..].iter().any(|(phrase, _)| lower.contains(phrase)) {
                continue;
            }
            let mut of_line = 0;
            words::english::for_each_sentence(&line, |_| of_line += 1);
            sentences += of_line.max(1);
            kept.push(line.into_owned());
        }
        (python::strip(&kept.join("\n")).to_owned(), sentences)
    }

    proptest! {
        #[test]
        fn lines_are_kept_as_by_strings(
            text in "((The|tide|is|out|, and|no|JavaScript|coo\u{212a}ies|use|use cookies|terms of use|\\[1\\]|\\[edit\\]|it's|:-\\))[ .?'\"\n\u{85}]{1,3}){0,40}",
            is_tfds: bool,
        ) {
            let dialect = if is_tfds { C4Dialect::Tfds } else { C4Dialect::Datatrove0_10 };
            let rule = C4Quality::of_dialect(dialect).open().unwrap();
            let findings = rule.apply(&Text::new(text.as_str().into()), About::default());
            let kept = findings.edit.as_ref().map_or(text.as_str(), |edit| &edit.text);
            let expected = kept_by_strings(&text, dialect);
            prop_assert_eq!((kept, findings.values[2]), (expected.0.as_str(), expected.1 as f64));
            if let Some(words) = findings.edit.as_ref().and_then(|edit| edit.words) {
                prop_assert_eq!(words, Words::of(kept).len());
            }
        }
    }

    #[test]
    fn citations() {
        let check = |text, expected| assert_eq!(citation_bytes(text), expected, "{text}");
        check("[]", Some(2));
        check("[12] b", Some(4));
        check("[٣]", Some(4));
        check("[edit]", Some(6));
        check("[citation needed]", Some(17));
        check("[12", None);
        check("[1a]", None);
        check("[Edit]", None);
    }

    #[test]
    fn a_recipe_says_only_what_is_not_the_dialects() {
        let settings: C4Quality = serde_json::from_str(r#"{"dialect": "tfds", "min_sentences": 2}"#).unwrap();
        let expected = C4Quality { min_sentences: Limit::at(2.0), ..C4Quality::of_dialect(C4Dialect::Tfds) };
        assert_eq!(settings, expected);
        let resolved = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<C4Quality>(&resolved).unwrap(), expected);
    }
}
