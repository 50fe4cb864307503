//! Copies of parts of texts: lines, paragraphs and runs of sentences, found by their hashes and cut out.
//!
//! **Definition.** A text is divided into *parts*, and a *unit* is one part, or n sentences in a row. Two units are
//! copies when their words are the same: runs of letters and digits, lower-cased, as everywhere in this crate. So case,
//! punctuation and white space make no difference, digits do.
//!
//! | kind | part | unit |
//! | --- | --- | --- |
//! | [`SpanKind::Lines`] | a line that is not blank | a part |
//! | [`SpanKind::Paragraphs`] | the lines between two blank ones | a part |
//! | [`SpanKind::Sentences`] | a sentence as spaCy finds it in one line; what has no word belongs to the sentence before it | n parts in a row, across lines and paragraphs |
//!
//! **Why short units stay.** A heading such as "Comments" or "Frequently asked questions" occurs on many pages of prose
//! and belongs to each. So a unit has at least `min_words`; see [`Spans::of_kind`] for the default.
//!
//! **How copies are found** is the caller's: it gathers the hashes of all documents' units, in memory or by sorting,
//! and [`CopyRule`] says which occurrences go. [`Division::cut`] then cuts these out of each text.
//!
//! [`DatatroveSentences`] is the other dialect: datatrove's sentence dedup, to the last byte of the edited text.
//!
//! Left out: near-copies of parts; parts of any length, which need a suffix array; sentences of languages that spaCy's
//! English ones do not find, as in Chinese, where a line is mostly one sentence.

mod copies;
mod cut;
mod datatrove;
mod simplify;

pub use copies::{CopyRule, Occurrence};
pub use cut::{Edit, cut_ranges, shrink_to_words};
pub use datatrove::{DatatroveSentences, TooLittle};

use std::ops::Range;

use crate::words::{hash_of_words, text_hash};

/// The units that texts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanKind {
    /// Lines.
    Lines,
    /// Paragraphs: lines between blank ones.
    Paragraphs,
    /// So many sentences in a row. C4 has 3 (<https://jmlr.org/papers/v21/20-074.html>, section 2.2).
    Sentences {
        /// Number of sentences; at least 1.
        n: usize,
    },
}

/// How texts are divided, and how long a unit is at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// What a unit is.
    pub kind: SpanKind,
    /// Minimum words of a unit, as [`words::count`] counts them in every script. Shorter ones are never copies.
    pub min_words: u64,
}

/// A part of a text, or several in a row, that may be a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Equal for copies.
    pub hash: u64,
    /// Number of its first part. A text has at most one unit of each number.
    pub number: usize,
    /// From its first byte to its last, in the text.
    pub bytes: Range<usize>,
}

/// A text divided into parts, with its units.
#[derive(Debug, Clone)]
pub struct Division<'t> {
    text: &'t str,
    /// The parts in order, without what is between them.
    parts: Vec<Range<usize>>,
    /// Parts of one unit.
    parts_per_unit: usize,
    units: Vec<Unit>,
    cutting: Cutting,
}

/// How copies are cut.
#[derive(Debug, Clone, Copy)]
enum Cutting {
    /// With the white space around them but for one gap.
    Parts,
    /// As datatrove does.
    Datatrove(DatatroveSentences),
}

impl Spans {
    /// Units of this kind, of at least 8 words.
    ///
    /// Of the 2,868 different lines that two or more of 3,328 web pages have in common, nine tenths have fewer than 8
    /// words: headings, names and dates, with few exceptions. Of the others, most are notices and teasers.
    pub fn of_kind(kind: SpanKind) -> Spans {
        Spans { kind, min_words: 8 }
    }

    /// Divides a text. Time and memory O(bytes).
    ///
    /// ```
    /// use dedup::spans::{SpanKind, Spans};
    /// let lines = Spans { kind: SpanKind::Lines, min_words: 3 };
    /// let text = "The tide\n\nSubscribe to our letter!\nIt comes at noon.\n";
    /// let division = lines.divide(text);
    /// let copies = [dedup::text_hash("subscribe to our letter")];
    /// let edit = division.cut(|unit| copies.contains(&unit.hash)).expect("a line is a copy");
    /// assert_eq!(edit.text, "The tide\n\nIt comes at noon.\n");
    /// assert_eq!(&text[edit.cut[0].clone()], "Subscribe to our letter!\n");
    /// ```
    ///
    /// # Panics
    /// If a unit is made of no sentence.
    pub fn divide<'t>(&self, text: &'t str) -> Division<'t> {
        let (parts, parts_per_unit) = match self.kind {
            SpanKind::Lines => (lines(text), 1),
            SpanKind::Paragraphs => (paragraphs(text), 1),
            SpanKind::Sentences { n } => (sentences(text), n),
        };
        assert!(parts_per_unit > 0, "a unit has at least one sentence");
        let count = |part: &Range<usize>| words::count(&text[part.clone()]);
        let counts: Vec<u64> = parts.iter().map(count).collect();
        let hashes: Vec<u64> = parts.iter().map(|part| text_hash(&text[part.clone()])).collect();
        let is_word = |part: &Range<usize>| text[part.clone()].contains(char::is_alphanumeric);
        let units = (0..(parts.len() + 1).saturating_sub(parts_per_unit))
            .filter(|&number| counts[number..][..parts_per_unit].iter().sum::<u64>() >= self.min_words)
            .filter(|&number| parts[number..][..parts_per_unit].iter().any(is_word))
            .map(|number| Unit {
                hash: match hashes[number..][..parts_per_unit] {
                    [hash] => hash,
                    ref hashes => hash_of_words(hashes),
                },
                number,
                bytes: parts[number].start..parts[number + parts_per_unit - 1].end,
            })
            .collect();
        Division { text, parts, parts_per_unit, units, cutting: Cutting::Parts }
    }
}

impl<'t> Division<'t> {
    /// The units in order. Units of several sentences overlap.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Cuts the units that are copies out of the text; `None` if there is none. A part goes when a unit with it is a
    /// copy. Time O(bytes).
    ///
    /// With parts in a row goes the white space around and between them, but for one gap: the one with the most line
    /// breaks, and of equal ones the first. So no two words are joined, what was in two paragraphs stays in two, and no
    /// run of blank lines grows. Nothing else changes.
    pub fn cut(&self, mut is_copy: impl FnMut(&Unit) -> bool) -> Option<Edit> {
        let copies: Vec<usize> = self.units.iter().filter(|unit| is_copy(unit)).map(|unit| unit.number).collect();
        if copies.is_empty() {
            return None;
        }
        Some(match self.cutting {
            Cutting::Datatrove(settings) => settings.cut(self.text, &self.parts, &copies),
            Cutting::Parts => cut::cut_parts(self.text, &self.parts, &covered(&copies, self.parts_per_unit)),
        })
    }

    /// Cuts every part that shares a byte with one of these ranges of the text; `None` if there is none. The ranges may
    /// overlap, and be in any order. White space goes as with [`Division::cut`], in each dialect.
    ///
    /// For spans that were found by other means, such as [`overlap`](crate::overlap): of a sentence that holds one, no
    /// half is left.
    pub fn cut_touched(&self, ranges: &[Range<usize>]) -> Option<Edit> {
        let touched = touched(&self.parts, ranges);
        (!touched.is_empty()).then(|| cut::cut_parts(self.text, &self.parts, &touched))
    }
}

/// The parts that share a byte with one of these ranges, in order. O(parts + ranges).
fn touched(parts: &[Range<usize>], ranges: &[Range<usize>]) -> Vec<usize> {
    let mut ranges: Vec<&Range<usize>> = ranges.iter().filter(|range| !range.is_empty()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut ranges = ranges.into_iter().peekable();
    // How far the ranges reach that begin before the end of the part at hand.
    let mut reached = 0;
    let mut touched = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        while let Some(range) = ranges.next_if(|range| range.start < part.end) {
            reached = reached.max(range.end);
        }
        if reached > part.start {
            touched.push(number);
        }
    }
    touched
}

/// The parts that are in one of these units, in order.
fn covered(copies: &[usize], parts_per_unit: usize) -> Vec<usize> {
    let mut covered: Vec<usize> = copies.iter().flat_map(|&first| first..first + parts_per_unit).collect();
    covered.dedup();
    covered.sort_unstable();
    covered.dedup();
    covered
}

/// The lines of a text that are not blank, without their ends.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let content = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        if !is_blank(content) {
            lines.push(start..start + content.len());
        }
        start = end;
    }
    lines
}

/// The runs of lines between blank lines.
///
/// ```
/// assert_eq!(dedup::spans::paragraphs("one\ntwo\n \nthree"), [0..7, 10..15]);
/// ```
pub fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut paragraphs: Vec<Range<usize>> = Vec::new();
    for line in lines(text) {
        match paragraphs.last_mut() {
            // There is no blank line between two that only one line end separates.
            Some(paragraph) if matches!(&text[paragraph.end..line.start], "\n" | "\r\n") => paragraph.end = line.end,
            _ => paragraphs.push(line),
        }
    }
    paragraphs
}

/// The sentences of each line. The first of a line begins with its indentation.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences: Vec<Range<usize>> = Vec::new();
    let mut last_has_word = true;
    for line in lines(text) {
        let mut start = Some(line.start);
        words::english::for_each_sentence(&text[line.clone()], |sentence| {
            let found = start.take().unwrap_or(line.start + sentence.start)..line.start + sentence.end;
            let has_word = text[found.clone()].contains(char::is_alphanumeric);
            match sentences.last_mut() {
                Some(last) if !has_word || !last_has_word => {
                    last.end = found.end;
                    last_has_word |= has_word;
                }
                _ => {
                    sentences.push(found);
                    last_has_word = has_word;
                }
            }
        });
    }
    sentences
}

fn is_blank(line: &str) -> bool {
    line.chars().all(char::is_whitespace)
}
