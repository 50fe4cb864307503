//! A text in pieces, which steps split further.

use std::ops::Range;

use super::{Behavior, Finder};
use crate::byte_order::to_visible;
use crate::split::classes::{CharClass, class_of};
use crate::split::scan::Scanner;

/// A text in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// The text, with what was put in.
    pub(crate) bytes: Vec<u8>,
    pub(crate) ranges: Vec<Range<usize>>,
}

impl Finder {
    /// The matches in a text and what is between them, which are all of it, and whether each is a match.
    fn find(&self, text: &str) -> Vec<(Range<usize>, bool)> {
        let (mut found, mut at) = (Vec::new(), 0);
        let mut push = |matched: Range<usize>| {
            if at < matched.start {
                found.push((at..matched.start, false));
            }
            at = matched.end;
            found.push((matched, true));
        };
        let mut push_chars = |is_one: &dyn Fn(char) -> bool| {
            text.char_indices().filter(|&(_, char)| is_one(char)).for_each(|(at, char)| push(at..at + char.len_utf8()));
        };
        match self {
            Finder::Known(pattern) => {
                let (scanner, mut start) = (Scanner::new(text), 0);
                while start < text.len() {
                    let end = scanner.end(*pattern, start);
                    push(start..end);
                    start = end;
                }
            }
            Finder::Regex(regex) => regex.find_iter(text).for_each(push),
            Finder::Numbers => push_chars(&is_digit),
            Finder::Spaces => push_chars(&char::is_whitespace),
            Finder::Char(one) => push_chars(&|char| char == *one),
        }
        if at < text.len() {
            found.push((at..text.len(), false));
        }
        found
    }
}

/// Whether Hugging Face's step `Digits` takes a character for a digit: category N by Unicode 17, which its compiler's
/// library has.
fn is_digit(char: char) -> bool {
    class_of(char) == CharClass::Number || matches!(char, '\u{11de0}'..='\u{11de9}' | '\u{16ff4}'..='\u{16ff6}')
}

/// What a behaviour makes of matches and what is between them.
fn behave(found: Vec<(Range<usize>, bool)>, behavior: Behavior) -> Vec<Range<usize>> {
    match behavior {
        Behavior::Removed => found.into_iter().filter(|(_, is_match)| !is_match).map(|(range, _)| range).collect(),
        Behavior::Isolated => found.into_iter().map(|(range, _)| range).collect(),
        Behavior::Contiguous => join(found.into_iter(), |is_match, was_match| is_match == was_match),
        Behavior::MergedWithPrevious => join(found.into_iter(), |is_match, was_match| is_match && !was_match),
        Behavior::MergedWithNext => {
            let mut pieces = join(found.into_iter().rev(), |is_match, was_match| is_match && !was_match);
            pieces.reverse();
            pieces
        }
    }
}

/// Joins a piece to the one before it, whichever way they are read, where `joins` says so.
fn join(found: impl Iterator<Item = (Range<usize>, bool)>, joins: impl Fn(bool, bool) -> bool) -> Vec<Range<usize>> {
    let (mut pieces, mut was_match) = (Vec::<Range<usize>>::new(), false);
    for (range, is_match) in found {
        match pieces.last_mut().filter(|_| joins(is_match, was_match)) {
            Some(last) => *last = last.start.min(range.start)..last.end.max(range.end),
            None => pieces.push(range),
        }
        was_match = is_match;
    }
    pieces
}

impl Pieces {
    pub(super) fn split(&mut self, finder: &Finder, behavior: Behavior, is_inverted: bool, is_visible: bool) {
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let bytes = &self.bytes[range.clone()];
            let visible = if is_visible { to_visible(bytes) } else { String::new() };
            let text =
                if is_visible { &visible } else { std::str::from_utf8(bytes).expect("not yet split into bytes") };
            let mut found = finder.find(text);
            found.iter_mut().for_each(|(_, is_match)| *is_match ^= is_inverted);
            let offset = byte_offsets(text, is_visible);
            let pieces = behave(found, behavior).into_iter().filter(|piece| !piece.is_empty());
            ranges.extend(pieces.map(|piece| range.start + offset(piece.start)..range.start + offset(piece.end)));
        }
        self.ranges = ranges;
    }

    /// Puts a space before each piece that does not begin with one.
    pub(super) fn prefix_spaces(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + self.ranges.len());
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let piece = &self.bytes[range.clone()];
            let start = bytes.len();
            if piece.first() != Some(&b' ') {
                bytes.push(b' ');
            }
            bytes.extend_from_slice(piece);
            ranges.push(start..bytes.len());
        }
        *self = Pieces { bytes, ranges };
    }
}

/// From offsets in a text to offsets in its bytes: the same, or one byte for each visible character.
fn byte_offsets(text: &str, is_visible: bool) -> impl Fn(usize) -> usize {
    let mut chars_before = Vec::new();
    if is_visible {
        chars_before = vec![0; text.len() + 1];
        text.char_indices().enumerate().for_each(|(count, (at, _))| chars_before[at] = count);
        chars_before[text.len()] = text.chars().count();
    }
    move |at| if is_visible { chars_before[at] } else { at }
}
