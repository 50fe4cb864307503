//! The class of every character: letter, number, white space or other, by Unicode 16.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// The classes of characters in the pre-tokenizer's pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CharClass {
    Other = 0,
    Letter = 1,
    Number = 2,
    Space = 3,
}

/// Classes of the ASCII characters, which need no look into the large table.
pub(crate) const ASCII: [CharClass; 128] = {
    let mut classes = [CharClass::Other; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => CharClass::Letter,
            b'0'..=b'9' => CharClass::Number,
            b'\t'..=b'\r' | b' ' => CharClass::Space,
            _ => CharClass::Other,
        };
        byte += 1;
    }
    classes
};

/// One byte for each code point; pages of memory for code points that no text uses are never touched.
static TABLE: OnceLock<Vec<CharClass>> = OnceLock::new();

pub(crate) fn class_of(char: char) -> CharClass {
    class_of_code(char.into())
}

/// The class of a code point; any class for a number that is not one.
#[inline]
pub(crate) fn class_of_code(code: u32) -> CharClass {
    table().get(code as usize).copied().unwrap_or(CharClass::Other)
}

#[inline]
pub(crate) fn table() -> &'static [CharClass] {
    TABLE.get_or_init(|| {
        let mut table = vec![CharClass::Other; 0x11_0000];
        let classes = [(r"\p{L}", CharClass::Letter), (r"\p{N}", CharClass::Number), (r"\s", CharClass::Space)];
        for (pattern, class) in classes {
            for (first, last) in ranges(pattern) {
                table[first as usize..=last as usize].fill(class);
            }
        }
        table
    })
}

fn ranges(pattern: &str) -> Vec<(char, char)> {
    let hir = regex_syntax::parse(pattern).expect("a constant pattern");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|r| (r.start(), r.end())).collect(),
        other => unreachable!("{pattern} is a class, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_agrees_with_unicode() {
        for byte in 0..128u8 {
            assert_eq!(ASCII[byte as usize], class_of(byte as char), "{byte}");
        }
    }

    #[test]
    fn it_is_unicode_16() {
        // Assigned in 16: GARAY SMALL LETTER A. Assigned in 17: LATIN CAPITAL LETTER TJE and others.
        assert_eq!(class_of('\u{10d70}'), CharClass::Letter);
        assert_eq!(class_of('\u{a7ce}'), CharClass::Other);
        let spaces = table().iter().filter(|&&c| c == CharClass::Space).count();
        assert_eq!(spaces, 25, "White_Space has 25 code points");
    }
}
