//! The class of every character by Unicode 16: for GPT-2's pattern letter, number, white space or other; for later
//! patterns the traits that they tell apart.

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

/// What the later patterns ask of a character: a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits(u8);

impl Traits {
    /// No character: the end of what is scanned.
    pub(crate) const NONE: Traits = Traits(0);
    /// `\p{L}`
    pub(crate) const LETTER: Traits = Traits(1);
    /// `\p{N}`
    pub(crate) const NUMBER: Traits = Traits(2);
    /// `\s`
    pub(crate) const SPACE: Traits = Traits(4);
    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, with which a word of o200k begins.
    pub(crate) const UPPER: Traits = Traits(8);
    /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`, with which it goes on.
    pub(crate) const LOWER: Traits = Traits(16);
    /// `\p{M}`
    pub(crate) const MARK: Traits = Traits(32);
    /// `[\p{P}\p{S}]`
    pub(crate) const SIGN: Traits = Traits(64);
    /// The Chinese and Japanese characters that DeepSeek 3 splits off.
    pub(crate) const CJK: Traits = Traits(128);

    /// Whether it has one of these.
    #[inline(always)]
    pub(crate) fn any(self, of: Traits) -> bool {
        self.0 & of.0 != 0
    }

    /// The traits of either.
    pub(crate) const fn or(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

/// The traits of each code point.
#[inline]
pub(crate) fn traits_table() -> &'static [Traits] {
    static TABLE: OnceLock<Vec<Traits>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![Traits::NONE; 0x11_0000];
        let traits = [
            (r"\p{L}", Traits::LETTER),
            (r"\p{N}", Traits::NUMBER),
            (r"\s", Traits::SPACE),
            (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", Traits::UPPER),
            (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", Traits::LOWER),
            (r"\p{M}", Traits::MARK),
            (r"[\p{P}\p{S}]", Traits::SIGN),
            (r"[\u{4e00}-\u{9fa5}\u{3040}-\u{30ff}]", Traits::CJK),
        ];
        for (pattern, traits) in traits {
            for (first, last) in ranges(pattern) {
                table[first as usize..=last as usize].iter_mut().for_each(|of| *of = of.or(traits));
            }
        }
        table
    })
}

/// The characters of a class, as ranges.
pub(crate) fn ranges(pattern: &str) -> Vec<(char, char)> {
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
