//! GPT-2's pre-tokenizer as a scanner.
//!
//! The pattern, whose alternatives are tried in this order at every place:
//!
//! ```text
//! 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//! ```
//!
//! What follows from it: contractions are lower-case with an ASCII apostrophe; only U+0020 is taken as a
//! prefix; a run of white space before something else leaves its last character to what follows.

use crate::classes::{ASCII, CharClass, class_of};

/// The pretokens of a text, in order; joined they are the text.
///
/// Time linear in the bytes; no memory.
///
/// ```
/// let pretokens: Vec<&str> = bpe::pretokenize::pretokens("It's  12 o'clock!").collect();
/// assert_eq!(pretokens, ["It", "'s", " ", " 12", " o", "'", "clock", "!"]);
/// ```
pub fn pretokens(text: &str) -> Pretokens<'_> {
    Pretokens { text, at: 0 }
}

/// Iterator over the pretokens of a text.
#[derive(Debug, Clone)]
pub struct Pretokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Pretokens<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let start = self.at;
        if start == self.text.len() {
            return None;
        }
        self.at = end_of_pretoken(self.text, start);
        Some(&self.text[start..self.at])
    }
}

/// Where the pretoken that begins at `start` ends. `start` is a character boundary inside the text.
#[inline]
fn end_of_pretoken(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let first = bytes[start];
    if first == b'\''
        && let Some(len) = contraction(&bytes[start + 1..])
    {
        return start + 1 + len;
    }
    let (class, len) = class_at(text, start);
    if class != CharClass::Space {
        return end_of_run(text, start + len, class);
    }
    if first == b' ' && start + 1 < bytes.len() {
        let (next, len) = class_at(text, start + 1);
        if next != CharClass::Space {
            return end_of_run(text, start + 1 + len, next);
        }
    }
    end_of_spaces(text, start, start + len)
}

/// Length of a contraction's letters, given what follows the apostrophe.
#[inline]
fn contraction(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        [b'r', b'e', ..] | [b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        _ => None,
    }
}

/// Class and length in bytes of the character at `at`.
#[inline(always)]
fn class_at(text: &str, at: usize) -> (CharClass, usize) {
    let byte = text.as_bytes()[at];
    if byte < 128 {
        return (ASCII[byte as usize], 1);
    }
    class_of_wide(text, at)
}

#[inline(never)]
fn class_of_wide(text: &str, at: usize) -> (CharClass, usize) {
    let char = text[at..].chars().next().expect("a character begins here");
    (class_of(char), char.len_utf8())
}

/// Where the run of one class ends that goes on at `at`.
#[inline]
fn end_of_run(text: &str, mut at: usize, class: CharClass) -> usize {
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let byte = bytes[at];
        if byte < 128 {
            if ASCII[byte as usize] != class {
                break;
            }
            at += 1;
        } else {
            let (next, len) = class_of_wide(text, at);
            if next != class {
                break;
            }
            at += len;
        }
    }
    at
}

/// A run of white space, from `start` and going on at `at`: whole at the end of the text or when it is
/// one character, else without its last character.
fn end_of_spaces(text: &str, start: usize, at: usize) -> usize {
    let end = end_of_run(text, at, CharClass::Space);
    if end == text.len() || end == at {
        return end;
    }
    let last = text[start..end].chars().next_back().expect("the run is not empty");
    end - last.len_utf8()
}
