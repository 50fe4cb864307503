//! Prefixes, suffixes and infixes: what is split off a chunk's front and end, and what splits its middle.
//!
//! Each function implements one of spaCy's regular expressions on the same text: a look-behind does not reach before
//! the text that it is given. The expressions are in `tables/english/patterns.txt`; `tables/english.py` asserts that
//! they have the form that is implemented here, and `super::twin` runs them.

use std::ops::Range;

use super::tables::{ALPHA, BEFORE_PERIOD, INFIX, LOWER, PREFIX, QUOTE, SUFFIX, Tables, UPPER};

/// Length in bytes of the prefix of a text, 0 if it has none. Time O(prefix).
pub fn prefix_len(tables: &Tables, text: &str) -> usize {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else { return 0 };
    match first {
        b'+' => usize::from(!bytes.get(1).is_some_and(u8::is_ascii_digit)),
        b'.' => ellipsis_len(bytes),
        b'U' | b'C' | b'A' => currency_len(bytes),
        _ => text.chars().next().filter(|&char| tables.classes(char) & PREFIX != 0).map_or(0, char::len_utf8),
    }
}

/// Two or more periods, else 0.
fn ellipsis_len(bytes: &[u8]) -> usize {
    let periods = bytes.iter().take_while(|&&byte| byte == b'.').count();
    if periods >= 2 { periods } else { 0 }
}

/// The dollars of the United States, of Canada and of Australia.
fn currency_len(bytes: &[u8]) -> usize {
    let starts = |currency: &&[u8]| bytes.starts_with(currency);
    [b"US$" as &[u8], b"C$", b"A$"].into_iter().find(starts).map_or(0, <[u8]>::len)
}

/// Length in bytes of the suffix of a text, the longest if there are several, 0 if it has none. Time O(suffix).
pub fn suffix_len(tables: &Tables, text: &str) -> usize {
    let Some(last) = text.chars().next_back() else { return 0 };
    match last {
        '.' => return period_len(tables, text),
        's' | 'S' => {
            if let Some(len) = possessive_len(text) {
                return len;
            }
        }
        '…' if text.ends_with("……") => return "……".len(),
        _ => {}
    }
    let alone = if tables.classes(last) & SUFFIX != 0 { last.len_utf8() } else { 0 };
    alone.max(quantity_len(tables, text))
}

/// A final `'s`; no quantity ends so.
fn possessive_len(text: &str) -> Option<usize> {
    let before = &text[..text.len() - 1];
    ['\'', '’'].into_iter().find(|&apostrophe| before.ends_with(apostrophe)).map(|apostrophe| apostrophe.len_utf8() + 1)
}

/// Periods at the end: all if there are several, one after certain characters.
fn period_len(tables: &Tables, text: &str) -> usize {
    let periods = text.bytes().rev().take_while(|&byte| byte == b'.').count();
    if periods >= 2 {
        return periods;
    }
    let mut before = text[..text.len() - 1].chars().rev();
    let Some(last) = before.next() else { return 0 };
    let classes = tables.classes(last);
    let splits = classes & BEFORE_PERIOD != 0
        || before.next().is_some_and(|second| {
            classes & tables.classes(second) & UPPER != 0
                || second == '°' && matches!(last, 'F' | 'f' | 'C' | 'c' | 'K' | 'k')
        });
    usize::from(splits)
}

/// Units and currencies after a digit. None of them holds a digit, so what follows the last digit is the only
/// candidate.
fn quantity_len(tables: &Tables, text: &str) -> usize {
    let bytes = text.as_bytes();
    let window = tables.max_quantity_bytes + 1;
    let behind = bytes.iter().rev().take(window).position(u8::is_ascii_digit).unwrap_or(0);
    if behind > 0 && tables.is_quantity(&text[bytes.len() - behind..]) { behind } else { 0 }
}

/// Calls back with each infix of a text, in order: what is a token of its own between two others. Time O(text).
pub fn for_each_infix(tables: &Tables, text: &str, mut infix: impl FnMut(Range<usize>)) {
    // A NUL is in no class, as is nothing.
    let mut before = '\0';
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        let len = infix_len(tables, before, &text[at..]);
        if len > 0 {
            infix(at..at + len);
        }
        at += len.max(char.len_utf8());
        // An infix of several characters is one of them repeated.
        before = char;
    }
}

/// Length in bytes of the infix at the start of a text, 0 if there is none.
fn infix_len(tables: &Tables, before: char, text: &str) -> usize {
    let behind = |classes| tables.classes(before) & classes != 0;
    let next_is =
        |at: usize, classes| text[at..].chars().next().is_some_and(|next| tables.classes(next) & classes != 0);
    let between = |first, second| usize::from(behind(first) && next_is(1, second));
    let after_digit = before.is_ascii_digit();
    match text.chars().next() {
        Some('.') => match ellipsis_len(text.as_bytes()) {
            0 => between(LOWER | QUOTE, UPPER | QUOTE),
            len => len,
        },
        Some(',') => between(ALPHA, ALPHA),
        Some(':' | '<' | '>' | '=' | '/') => usize::from((after_digit || behind(ALPHA)) && next_is(1, ALPHA)),
        Some('+' | '-' | '*' | '^') if after_digit && is_digit_or_hyphen(text.as_bytes().get(1)) => 1,
        Some(hyphen @ ('-' | '–' | '—' | '~')) if after_digit || behind(ALPHA) => {
            let len = hyphens_len(hyphen, text);
            if next_is(len, ALPHA) { len } else { 0 }
        }
        Some(symbol) if tables.classes(symbol) & INFIX != 0 => symbol.len_utf8(),
        _ => 0,
    }
}

fn is_digit_or_hyphen(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
}

/// Length in bytes of the same hyphens at the start of a text: up to three `-`, two em dashes, one of the others.
fn hyphens_len(hyphen: char, text: &str) -> usize {
    let max = match hyphen {
        '-' => 3,
        '—' => 2,
        _ => 1,
    };
    text.chars().take(max).take_while(|&char| char == hyphen).count() * hyphen.len_utf8()
}
