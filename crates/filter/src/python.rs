//! Python's definitions of white space, line, letter and digit, which the published filters use.
//!
//! They differ from Rust's: `str.isspace` has four more separators than Unicode's `White_Space`, `str.splitlines` ends
//! lines at eleven code points, `str.isalpha` tests the general category and not `Alphabetic`. Character classes are
//! those of Unicode 14, which Python 3.11 has.
//!
//! Left out: strings with lone surrogates, which Rust's cannot hold.

use std::ops::Range;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// `str.isspace` of one character.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `len`: code points.
pub fn len(text: &str) -> usize {
    // A byte that continues a code point is 0b10xx_xxxx, which as a signed number is below -64.
    text.as_bytes().iter().filter(|&&byte| (byte as i8) >= -0x40).count()
}

/// `str.split` without an argument: runs without white space.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// How many words [`split`] gives, and the length of the longest in code points; one pass over ASCII.
pub fn count_words(text: &str) -> (usize, usize) {
    if !text.is_ascii() {
        return split(text).fold((0, 0), |(words, longest), word| (words + 1, longest.max(len(word))));
    }
    let (mut words, mut longest, mut length) = (0, 0, 0);
    for &byte in text.as_bytes() {
        if matches!(byte, b' ' | b'\t'..=b'\r' | 0x1c..=0x1f) {
            length = 0;
        } else {
            words += usize::from(length == 0);
            length += 1;
            longest = longest.max(length);
        }
    }
    (words, longest)
}

/// `str.splitlines`, as byte ranges without the line ends. Time O(bytes).
pub fn split_lines(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| may_end_line(byte)) {
        at += found;
        match line_end_bytes(&bytes[at..]) {
            0 => at += 1,
            end => {
                lines.push(start..at);
                at += end;
                start = at;
            }
        }
    }
    if start < bytes.len() {
        lines.push(start..bytes.len());
    }
    lines
}

/// Whether a line end may begin with this byte.
fn may_end_line(byte: u8) -> bool {
    matches!(byte, b'\n'..=b'\r' | 0x1c..=0x1e | 0xc2 | 0xe2)
}

/// Length of the line end that the bytes begin with; 0 for none.
fn line_end_bytes(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] | [0xc2, 0x85, ..] => 2,
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
        [b'\n'..=b'\r' | 0x1c..=0x1e, ..] => 1,
        _ => 0,
    }
}

/// `str.isalpha` of one character: the categories L*.
pub fn is_alpha(c: char) -> bool {
    static LETTERS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"[\p{L}&&\p{age=14.0}]"));
    if c.is_ascii() { c.is_ascii_alphabetic() } else { LETTERS.contains(c) }
}

/// What `\w` matches, as a class of regular expressions: letters, numbers of every kind, and the underscore.
pub const WORD_CLASS: &str = r"[_[\p{L}\p{N}&&\p{age=14.0}]]";
/// What `\d` matches, as a class of regular expressions.
pub const DIGIT_CLASS: &str = r"[\p{Nd}&&\p{age=14.0}]";
/// What `\s` matches, as a class of regular expressions.
pub const SPACE_CLASS: &str = r"[\s\x1c-\x1f]";

/// What `\w` matches of one character.
pub fn is_word(c: char) -> bool {
    static WORD: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(WORD_CLASS));
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { WORD.contains(c) }
}

/// `str.isalnum` of one character.
pub fn is_alphanumeric(c: char) -> bool {
    c != '_' && is_word(c)
}

/// `str.isupper` of one character: the property `Uppercase`.
pub fn is_upper(c: char) -> bool {
    static UPPER: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"[\p{Uppercase}&&\p{age=14.0}]"));
    if c.is_ascii() { c.is_ascii_uppercase() } else { UPPER.contains(c) }
}

/// What `\d` matches: decimal digits of every script.
pub fn is_digit(c: char) -> bool {
    static DIGITS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(DIGIT_CLASS));
    if c.is_ascii() { c.is_ascii_digit() } else { DIGITS.contains(c) }
}

/// `str.isdigit` of one character: decimal digits, and those in circles, raised, and the like.
pub fn is_digit_char(c: char) -> bool {
    static OTHER: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(OTHER_DIGITS));
    is_digit(c) || !c.is_ascii() && OTHER.contains(c)
}

/// Characters with `Numeric_Type=Digit` (UnicodeData.txt).
const OTHER_DIGITS: &str = r"[\u{b2}-\u{b3}\u{b9}\u{1369}-\u{1371}\u{19da}\u{2070}\u{2074}-\u{2079}\u{2080}-\u{2089}\u{2460}-\u{2468}\u{2474}-\u{247c}\u{2488}-\u{2490}\u{24ea}\u{24f5}-\u{24fd}\u{24ff}\u{2776}-\u{277e}\u{2780}-\u{2788}\u{278a}-\u{2792}\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]";

/// A set of characters as sorted ranges. Membership takes O(log ranges).
pub struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// The characters of a class in the notation of regular expressions.
    ///
    /// # Panics
    /// Where the notation is wrong: classes are constants here.
    pub fn of_class(class: &str) -> CharSet {
        let hir = regex_syntax::parse(class).expect("the class is well-formed");
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{class} is a class of characters") };
        CharSet(class.iter().map(|range| (range.start(), range.end())).collect())
    }

    /// The characters of a string.
    pub fn of_chars(chars: &str) -> CharSet {
        let mut ranges: Vec<_> = chars.chars().map(|c| (c, c)).collect();
        ranges.sort_unstable();
        CharSet(ranges)
    }

    /// Whether the character is in the set.
    pub fn contains(&self, c: char) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < c);
        self.0.get(at).is_some_and(|&(start, _)| start <= c)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<&str> {
        split_lines(text).into_iter().map(|line| &text[line]).collect()
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        assert!(lines("").is_empty());
        assert_eq!(lines("\n"), [""]);
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
        assert_eq!(lines("a\x0bb\x0cc\x1cd\x1de\x1ef\x1fg"), ["a", "b", "c", "d", "e", "f\x1fg"]);
        assert_eq!(lines("a\u{85}b\u{a0}c\u{2028}d\u{2029}e\u{202a}"), ["a", "b\u{a0}c", "d", "e\u{202a}"]);
    }

    #[test]
    fn classes() {
        assert!(is_alpha('é') && is_alpha('ª') && !is_alpha('Ⅷ') && !is_alpha('\u{345}'));
        assert!(is_word('Ⅷ') && is_word('²') && is_word('_') && !is_word('\u{301}'));
        assert!(is_digit('٣') && !is_digit('²'));
        // A letter of Unicode 15.
        assert!(!is_alpha('\u{31350}'));
    }

    proptest! {
        #[test]
        fn words_are_counted_as_they_are_split(text in "[ -~\t-\r\u{1c}-\u{1f}]{0,40}|\\PC{0,20}") {
            let words: Vec<&str> = split(&text).collect();
            let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
            prop_assert_eq!(count_words(&text), (words.len(), longest));
            prop_assert_eq!(len(&text), text.chars().count());
        }

        #[test]
        fn lines_and_their_ends_are_the_text(text in "[ab\r\n\u{85}\u{2028}\u{1c}é]{0,30}") {
            let mut at = 0;
            for line in split_lines(&text) {
                at += line_end_bytes(&text.as_bytes()[at..line.start]);
                prop_assert_eq!(at, line.start);
                at = line.end;
            }
            at += line_end_bytes(&text.as_bytes()[at..]);
            prop_assert_eq!(at, text.len());
        }
    }
}
