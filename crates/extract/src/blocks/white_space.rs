//! White space and invisible characters of texts.

use std::borrow::Cow;

/// Appends text with each run of white space as one space, joining onto what the block has so far, and without
/// characters that only tell where a word may be parted.
pub(super) fn push_collapsed(to: &mut String, block_start: usize, text: &str) {
    let is_begun = to.len() > block_start;
    let mut after_space = !is_begun || to.ends_with([' ', '\n']);
    let bytes = text.as_bytes();
    let (mut at, mut word) = (0, 0);
    while at < bytes.len() {
        if !MAY_BEGIN[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        let space = space_len(bytes, at);
        let len = if space == 0 { invisible_len(bytes, at) } else { space };
        if len == 0 {
            at += 1;
            continue;
        }
        if at > word {
            to.push_str(&text[word..at]);
            after_space = false;
        }
        if space > 0 && !after_space {
            to.push(' ');
            after_space = true;
        }
        at += len;
        word = at;
    }
    to.push_str(&text[word..]);
}

/// By byte: whether white space or an invisible character may begin with it.
const MAY_BEGIN: [bool; 256] = {
    let mut may_begin = [false; 256];
    let mut byte = 0;
    while byte < may_begin.len() {
        may_begin[byte] = matches!(byte, 0x01..=0x20 | 0x7f | 0xc2 | 0xe1..=0xe3 | 0xef);
        byte += 1;
    }
    may_begin
};

/// Text without the characters that only tell where a word may be parted, and without control characters, which would
/// reach terminals.
pub(crate) fn without_invisible(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !(0..bytes.len()).any(|at| invisible_len(bytes, at) > 0) {
        return Cow::Borrowed(text);
    }
    let is_visible = |c: &char| {
        let is_control = c.is_control() && !matches!(c, '\t'..='\r' | '\u{85}');
        !is_control && !matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
    };
    Cow::Owned(text.chars().filter(is_visible).collect())
}

/// Length of the white space at this byte, 0 for none: ASCII's, U+00A0, U+1680, U+2000 to U+200A, U+2028,
/// U+2029, U+202F, U+205F and U+3000.
#[inline]
fn space_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' => 1,
        0xc2 if matches!(bytes[at + 1], 0x85 | 0xa0) => 2,
        0xe1 if bytes[at + 1..].starts_with(&[0x9a, 0x80]) => 3,
        0xe2 => match (bytes[at + 1], bytes[at + 2]) {
            (0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf) | (0x81, 0x9f) => 3,
            _ => 0,
        },
        0xe3 if bytes[at + 1..].starts_with(&[0x80, 0x80]) => 3,
        _ => 0,
    }
}

/// Length of the invisible character at this byte, 0 for none: the soft hyphen, the zero-width space (U+200B) and
/// no-break space (U+FEFF), the word joiner (U+2060), and control characters other than white space. The joiners U+200C
/// and U+200D belong to words.
#[inline]
fn invisible_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        0x01..=0x08 | 0x0e..=0x1f | 0x7f => 1,
        0xc2 if matches!(bytes[at + 1], 0x80..=0x84 | 0x86..=0x9f | 0xad) => 2,
        0xe2 => match (bytes[at + 1], bytes[at + 2]) {
            (0x80, 0x8b) | (0x81, 0xa0) => 3,
            _ => 0,
        },
        0xef if bytes[at + 1..].starts_with(&[0xbb, 0xbf]) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_invisible_characters() {
        let collapsed = |text: &str| {
            let mut to = String::new();
            push_collapsed(&mut to, 0, text);
            assert_eq!(without_invisible(text).contains('\u{200c}'), text.contains('\u{200c}'));
            to
        };
        assert_eq!(collapsed("Fähr\u{ad}haus am\u{a0} Fluß"), "Fährhaus am Fluß");
        assert_eq!(collapsed("www.\u{200b}a.example \u{200b} b\u{feff}"), "www.a.example b");
        assert_eq!(collapsed("می\u{200c}روم"), "می\u{200c}روم");
        assert_eq!(without_invisible("a\u{2060}b\n\n c"), "ab\n\n c");
        assert_eq!(collapsed("a\u{1b}[2Jb\u{9b}c\u{7f} \u{7} d"), "a[2Jbc d");
        assert_eq!(without_invisible("a\u{1b}[2J\n\tb\u{9b}"), "a[2J\n\tb");
    }
}
