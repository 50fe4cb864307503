//! Python's definitions of white space, line, letter and digit, which the published filters and datatrove's sentence dedup
//! use.
//!
//! They differ from Rust's: `str.isspace` has four more separators than Unicode's `White_Space`, `str.splitlines` ends
//! lines at eleven code points, `str.isalpha` tests the general category and not `Alphabetic`. Character classes are
//! those of Unicode 14, which Python 3.11 has.
//!
//! Left out: strings with lone surrogates, which Rust's cannot hold; the sigma that ends a word beside U+0295 or U+1171E,
//! the only characters of Unicode 14 after or before which Rust's tables, of Unicode 17, choose the other sigma.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfd_quick};

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
pub fn line_end_bytes(bytes: &[u8]) -> usize {
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

/// `str.isupper` of a word: it has a character in upper case, and none in lower or title case.
pub fn is_upper_word(word: &str) -> bool {
    static OTHER_CASES: LazyLock<CharSet> =
        LazyLock::new(|| CharSet::of_class(r"[[\p{Lowercase}\p{Lt}]&&\p{age=14.0}]"));
    let has_other_case = |c: char| if c.is_ascii() { c.is_ascii_lowercase() } else { OTHER_CASES.contains(c) };
    !word.contains(has_other_case) && word.contains(is_upper)
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

/// `str.isnumeric` of one character: numbers of every kind, and ideographs for numbers.
pub fn is_numeric(c: char) -> bool {
    static NUMBERS: LazyLock<CharSet> =
        LazyLock::new(|| CharSet::of_class(&format!(r"[[\p{{N}}{NUMERIC_IDEOGRAPHS}]&&\p{{age=14.0}}]")));
    if c.is_ascii() { c.is_ascii_digit() } else { NUMBERS.contains(c) }
}

/// Ideographs with `Numeric_Type=Numeric` (Unihan_NumericValues.txt).
const NUMERIC_IDEOGRAPHS: &str = r"\u{3405}\u{3483}\u{382a}\u{3b4d}\u{4e00}\u{4e03}\u{4e07}\u{4e09}\u{4e5d}\u{4e8c}\u{4e94}\u{4e96}\u{4ebf}-\u{4ec0}\u{4edf}\u{4ee8}\u{4f0d}\u{4f70}\u{5104}\u{5146}\u{5169}\u{516b}\u{516d}\u{5341}\u{5343}-\u{5345}\u{534c}\u{53c1}-\u{53c4}\u{56db}\u{58f1}\u{58f9}\u{5e7a}\u{5efe}-\u{5eff}\u{5f0c}-\u{5f0e}\u{5f10}\u{62fe}\u{634c}\u{67d2}\u{6f06}\u{7396}\u{767e}\u{8086}\u{842c}\u{8cae}\u{8cb3}\u{8d30}\u{9621}\u{9646}\u{964c}\u{9678}\u{96f6}\u{f96b}\u{f973}\u{f978}\u{f9b2}\u{f9d1}\u{f9d3}\u{f9fd}\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\u{2f890}";

/// `str.lower`.
pub fn lower(text: &str) -> String {
    by_known_parts(text, |part, lowered| lowered.push_str(&part.to_lowercase()))
}

/// `unicodedata.normalize("NFD", …)`: letters are separated from their marks.
pub fn nfd(text: &str) -> Cow<'_, str> {
    match is_nfd_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(by_known_parts(text, |part, decomposed| decomposed.extend(part.nfd()))),
    }
}

/// Maps the parts of a text between characters that Python's version of Unicode does not have. It leaves those as they
/// are: they have no case, and no mark is moved across them.
fn by_known_parts(text: &str, map: impl Fn(&str, &mut String)) -> String {
    let mut mapped = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text;
    while let Some((at, unknown)) = rest.char_indices().find(|&(_, c)| is_unknown(c)) {
        map(&rest[..at], &mut mapped);
        mapped.push(unknown);
        rest = &rest[at + unknown.len_utf8()..];
    }
    map(rest, &mut mapped);
    mapped
}

/// Whether `unicodedata.category` is `Mn`: a mark that takes no space. U+1171E takes some since Unicode 15.1.
pub fn is_nonspacing_mark(c: char) -> bool {
    static MARKS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"[[\p{Mn}\u{1171e}]&&\p{age=14.0}]"));
    c >= '\u{300}' && MARKS.contains(c)
}

/// Whether the code point is unassigned in Unicode 14. The first such code point is U+0378.
pub fn is_unknown(c: char) -> bool {
    static KNOWN: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"\p{age=14.0}"));
    c >= '\u{378}' && !KNOWN.contains(c)
}

/// `round(value, 8)`: to the nearest decimal number with 8 places, and to the even one of two; then to the nearest double.
///
/// A value that is not close to the middle of two such numbers is rounded without formatting it.
pub fn round_8(value: f64) -> f64 {
    const SCALE: f64 = 1e8;
    let scaled = value * SCALE;
    // Below 1e12 the product is off by less than 1e-3.
    let from_tie = (scaled.fract().abs() - 0.5).abs();
    if scaled.abs() < 1e12 && from_tie > 1e-3 {
        return scaled.round() / SCALE;
    }
    written_8(value)
}

/// The readable twin of [`round_8`]: formats the number and parses it.
fn written_8(value: f64) -> f64 {
    format!("{value:.8}").parse().unwrap_or(value)
}

/// The characters of a class in the notation of regular expressions, as sorted ranges with their ends.
///
/// # Panics
/// Where the notation is wrong: classes are constants here.
pub fn char_ranges(class: &str) -> Vec<(char, char)> {
    let hir = regex_syntax::parse(class).expect("the class is well-formed");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|range| (range.start(), range.end())).collect(),
        // A class of one character.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok().and_then(|literal| literal.chars().next());
            c.map(|c| (c, c)).into_iter().collect()
        }
        _ => panic!("{class} is a class of characters"),
    }
}

/// A set of characters as sorted ranges. Membership takes O(log ranges).
pub struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// The characters of a class in the notation of regular expressions.
    ///
    /// # Panics
    /// Where the notation is wrong: classes are constants here.
    pub fn of_class(class: &str) -> CharSet {
        CharSet(char_ranges(class))
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

    #[test]
    fn case_and_marks() {
        assert!(is_upper_word("A1") && !is_upper_word("1") && !is_upper_word("Aa") && !is_upper_word("Aǅ"));
        assert!(is_numeric('三') && is_numeric('½') && !is_numeric('a'));
        // U+10EFD is a mark since Unicode 15, and would move before U+0301.
        assert_eq!(lower("ΟΔΟΣ İ"), "οδος i\u{307}");
        assert_eq!(nfd("é\u{10efd}\u{31350}한"), "e\u{301}\u{10efd}\u{31350}\u{1112}\u{1161}\u{11ab}");
    }

    #[test]
    fn numbers_are_rounded_as_python_rounds_them() {
        let check = |value: f64, expected: f64| assert_eq!(round_8(value), expected);
        check(2.0 / 3.0, 0.66666667);
        check(0.000000005, 0.00000001);
        check(0.5f64.powi(9), 0.00195312);
        check(0.0, 0.0);
        check(1e300, 1e300);
        assert!(round_8(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn rounded_as_written(part in 0u32.., whole in 1u32.., n in 0u64..1 << 40) {
            for value in [f64::from(part) / f64::from(whole), n as f64 / 2e8, (n as f64 / 2e8).next_up(), n as f64] {
                prop_assert_eq!(round_8(value), written_8(value));
            }
        }

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
