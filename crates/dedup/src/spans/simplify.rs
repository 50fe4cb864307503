//! datatrove's `simplify_text`: the normal form in which its sentence dedup compares.
//!
//! In this order: lower case; each number becomes a 0, with its decimals; punctuation becomes spaces; white space
//! becomes single spaces; letters lose their marks (form NFD without category Mn). The order shows: a mark alone between
//! spaces leaves two of them.
//!
//! Left out: other settings than the default ones of datatrove's `TextNormConfig`.

use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

use words::python::{self, CharSet};

/// datatrove's `PUNCTUATION` beyond ASCII.
const PUNCTUATION: &str = "—”：％１〈（、━【「」，】；“《„’∶´．–？！：～«〉》）。…►»";
/// What may be between the digits of a number, once.
const DECIMAL_SEPARATORS: [char; 7] = ['.', ',', '،', '٫', '⎖', '⎗', '⎘'];

/// What becomes of a character in the pass over a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Stays as it is.
    Kept,
    /// White space or punctuation.
    Space,
    /// A decimal digit.
    Digit,
    /// A mark, which is dropped.
    Mark,
    /// Becomes other characters, whatever is beside it.
    Mapped,
    /// Becomes what depends on the characters beside it.
    Dependent,
}

/// Appends the simplified text. Time O(bytes); ASCII takes some 2 ns per byte.
pub fn simplify(text: &str, simplified: &mut String) {
    let start = simplified.len();
    if !simplify_by_chars(text, simplified) {
        simplified.truncate(start);
        simplified.push_str(&simplify_by_steps(text));
    }
}

/// The pass over characters. False, and half done, if one depends on those beside it.
fn simplify_by_chars(text: &str, simplified: &mut String) -> bool {
    let start = simplified.len();
    // Whether white space is before the character at hand.
    let mut is_space_due = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let fate = fate(c);
        let mut end = c.len_utf8();
        if fate == Fate::Space {
            is_space_due = true;
            rest = &rest[end..];
            continue;
        }
        // White space at the start goes even where only a dropped mark is before it.
        if is_space_due && simplified.len() > start {
            simplified.push(' ');
        }
        is_space_due = false;
        match fate {
            Fate::Kept => simplified.push(if c.is_ascii() { c.to_ascii_lowercase() } else { c }),
            Fate::Digit => {
                simplified.push('0');
                end = number_bytes(rest);
            }
            Fate::Mapped => map(c, |c| simplified.push(c)),
            Fate::Mark | Fate::Space => {}
            Fate::Dependent => return false,
        }
        rest = &rest[end..];
    }
    let len = simplified[start..].trim_end_matches(' ').len();
    simplified.truncate(start + len);
    true
}

/// The readable twin, step by step as datatrove has them; also for the texts that the pass leaves half done.
fn simplify_by_steps(text: &str) -> String {
    let lower = python::lower(text);
    let (mut numbered, mut rest) = (String::new(), lower.as_str());
    while let Some(c) = rest.chars().next() {
        let is_number = is_digit(c);
        numbered.push(if is_number { '0' } else { c });
        rest = &rest[if is_number { number_bytes(rest) } else { c.len_utf8() }..];
    }
    let spaced = numbered.replace(is_punctuation, " ");
    let words: Vec<&str> = spaced.split(python::is_space).filter(|word| !word.is_empty()).collect();
    let joined = words.join(" ");
    let decomposed = python::nfd(&joined);
    decomposed.replace(python::is_nonspacing_mark, "").trim_matches(python::is_space).to_owned()
}

/// Bytes of the number that a text begins with: digits, and after one separator more digits.
fn number_bytes(text: &str) -> usize {
    let digits = |text: &str| text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let whole = digits(text);
    let Some(decimals) = text[whole..].strip_prefix(DECIMAL_SEPARATORS) else { return whole };
    match digits(decimals) {
        0 => whole,
        len => text.len() - decimals.len() + len,
    }
}

/// Calls back with the lower-cased and decomposed character, without marks.
fn map(c: char, mut each: impl FnMut(char)) {
    for lower in c.to_lowercase() {
        decompose_canonical(lower, |part| {
            if !python::is_nonspacing_mark(part) {
                each(part);
            }
        });
    }
}

/// Decimal digits: `\p{Nd}` of the package `regex`, whose releases of 2026 have Unicode 17.
fn is_digit(c: char) -> bool {
    static DIGITS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"[\p{Nd}\u{11de0}-\u{11de9}]"));
    if c.is_ascii() { c.is_ascii_digit() } else { DIGITS.contains(c) }
}

/// Whether it is in datatrove's `PUNCTUATION`: that of ASCII, some more, and control characters but for the tab and the
/// line feed.
fn is_punctuation(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        _ => c.is_ascii_punctuation() || PUNCTUATION.contains(c),
    }
}

/// The fates of the characters up to U+FFFF, which are looked up for each character of a text.
static FATES: LazyLock<Vec<Fate>> =
    LazyLock::new(|| (0..=0xffff).map(|code| char::from_u32(code).map_or(Fate::Kept, find_fate)).collect());

fn fate(c: char) -> Fate {
    FATES.get(c as usize).copied().unwrap_or_else(|| find_fate(c))
}

fn find_fate(c: char) -> Fate {
    let mut parts = Vec::new();
    map(c, |part| parts.push(part));
    if is_digit(c) {
        Fate::Digit
    } else if python::is_space(c) || is_punctuation(c) {
        Fate::Space
    } else if c.is_ascii_alphanumeric() || python::is_unknown(c) {
        Fate::Kept
    } else if python::is_nonspacing_mark(c) {
        Fate::Mark
    } else if c == 'Σ' || parts.iter().any(|&part| canonical_combining_class(part) != 0) {
        // The last letter of a word; marks that stay and are sorted.
        Fate::Dependent
    } else if parts == [c] {
        Fate::Kept
    } else {
        Fate::Mapped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let mut simplified = String::from("before ");
        simplify(text, &mut simplified);
        assert_eq!(simplified, format!("before {expected}"), "{text:?}");
        assert_eq!(simplify_by_steps(text), expected, "{text:?} by steps");
    }

    #[test]
    fn texts_become_simple() {
        check("", "");
        check("  The Tide, at NOON!\n", "the tide at noon");
        check("1,234.5 km; 3.14.15 a1b22", "0 0 km 0 0 a0b0");
        check("٣٫١ and １２ x", "0 and 0 x");
        check("Café naïve İ K Åse", "cafe naive i k ase");
        check("ΟΔΟΣ Σ. ΟΔΟΣ.", "οδος σ οδος");
        check("\u{301} a \u{301} b \u{301}", "a  b");
        check("한글 漢字 “quay” — … ►", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} 漢字 quay");
        check("\u{1fef} x \u{378}\u{301}", "` x \u{378}");
        check("a\u{1b44}\u{302e}\u{302f}b", "a\u{1b44}\u{302e}\u{302f}b");
    }

    proptest! {
        #[test]
        fn by_chars_as_by_steps(text in "([ -~\t\n]|[ a1.,\u{301}é一\u{a0}Σ]|\\PC|[\u{0}-\u{3000}]){0,40}") {
            let mut simplified = String::new();
            simplify(&text, &mut simplified);
            prop_assert_eq!(simplified, simplify_by_steps(&text));
        }

        #[test]
        fn marks_between_spaces(text in "[ a\u{301}\u{302e}é.]{0,12}") {
            let mut simplified = String::new();
            simplify(&text, &mut simplified);
            prop_assert_eq!(simplified, simplify_by_steps(&text));
        }
    }
}
