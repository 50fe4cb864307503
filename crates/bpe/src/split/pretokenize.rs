//! GPT-2's pre-tokenizer as a scanner.
//!
//! The pattern, whose alternatives are tried in this order at every place:
//!
//! ```text
//! 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//! ```
//!
//! Consequences: contractions are lower-case with an ASCII apostrophe; only U+0020 is taken as a prefix; a run of white
//! space before something else leaves its last character to the next pretoken.
//!
//! [`pretokens`] goes from one to the next; `borders` finds all borders in 64 bytes at once.

use super::classes::{ASCII, CharClass, class_of, class_of_code};
use super::pattern::KnownPattern;

/// The pretokens of a text, in order; concatenated they are the text.
///
/// Time linear in the bytes; constant memory.
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

/// Where a text may be cut, so that its parts have the ids of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cuts {
    /// Before ASCII white space that comes after another character: a pretoken of GPT-2's pattern begins there.
    #[default]
    BeforeSpaces,
    /// The same, but not before a line end, which the other known patterns add to punctuation.
    BeforeBlanks,
    /// Nowhere.
    Never,
}

impl Cuts {
    pub(crate) fn of_pattern(pattern: KnownPattern) -> Cuts {
        if pattern == KnownPattern::Gpt2 { Cuts::BeforeSpaces } else { Cuts::BeforeBlanks }
    }

    fn is_before(self, byte: u8) -> bool {
        match self {
            Cuts::BeforeSpaces => byte < 128 && ASCII[byte as usize] == CharClass::Space,
            Cuts::BeforeBlanks => matches!(byte, b' ' | b'\t'),
            Cuts::Never => false,
        }
    }
}

/// The last position in a text, not its beginning, at which it may be cut whatever follows.
///
/// The bytes may end inside a character. `None` when there is no such position.
pub(crate) fn last_border(bytes: &[u8], cuts: Cuts) -> Option<usize> {
    last_border_from(bytes, 0, cuts)
}

/// The same, if the position is at `from` or after it.
pub(crate) fn last_border_from(bytes: &[u8], from: usize, cuts: Cuts) -> Option<usize> {
    (from.max(1)..bytes.len()).rev().find(|&at| cuts.is_before(bytes[at]) && !is_space_before(&bytes[..at]))
}

/// Whether bytes end in white space; they may if they end inside a character.
fn is_space_before(bytes: &[u8]) -> bool {
    let start = bytes.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    match std::str::from_utf8(&bytes[start..]).ok().and_then(|char| char.chars().next()) {
        Some(char) => class_of(char) == CharClass::Space,
        None => true,
    }
}

/// The end of the pretoken that begins at `start`, which is a character boundary inside the text.
#[inline]
pub(crate) fn end_of_pretoken(text: &str, start: usize) -> usize {
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
pub(crate) fn contraction(rest: &[u8]) -> Option<usize> {
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

/// The same for a character beyond ASCII. A text is valid UTF-8, so its first byte gives its length.
#[inline]
fn class_of_wide(text: &str, at: usize) -> (CharClass, usize) {
    let (code, len) = decode_wide(&text.as_bytes()[at..]);
    (class_of_code(code), len)
}

/// Code and length of a character beyond ASCII with which a text begins.
#[inline(always)]
pub(crate) fn decode_wide(bytes: &[u8]) -> (u32, usize) {
    let low = |place: usize| u32::from(bytes[place] & 0x3f);
    match bytes[0] {
        first @ ..0xe0 => (u32::from(first & 0x1f) << 6 | low(1), 2),
        first @ 0xe0..0xf0 => (u32::from(first & 0x0f) << 12 | low(1) << 6 | low(2), 3),
        first => (u32::from(first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4),
    }
}

/// The end of the run of one class that continues at `at`.
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

/// The end of a run of white space that began at `start` and continues at `at`: the whole run at the end of the text or
/// if it is one character, else without its last character.
fn end_of_spaces(text: &str, start: usize, at: usize) -> usize {
    let end = end_of_run(text, at, CharClass::Space);
    if end == text.len() || end == at {
        return end;
    }
    let last = text[start..end].chars().next_back().expect("the run is not empty");
    end - last.len_utf8()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cut_at_a_border_have_the_pretokens_of_the_whole(text in "[ a'sé1.\n\u{a0}]{0,40}", more in "[ a's\n]{0,4}") {
            let whole = format!("{text}{more}");
            if let Some(cut) = last_border(text.as_bytes(), Cuts::BeforeSpaces) {
                let (left, right) = whole.split_at(cut);
                let pieces: Vec<&str> = pretokens(left).chain(pretokens(right)).collect();
                prop_assert_eq!(pieces, pretokens(&whole).collect::<Vec<_>>());
            }
        }
    }
}
