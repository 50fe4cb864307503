//! Word boundaries of UAX 29 (<https://www.unicode.org/reports/tr29/>, section 4.1), with the tables of Unicode 16.
//!
//! White space and punctuation are segments between two boundaries, too. The crate `unicode-segmentation` is not used:
//! its last release with these tables misses the boundary after the number in "1.\u{200d}❤", and its later releases have
//! the tables of Unicode 17, in which U+00B8 is a letter.
//!
//! Left out: the words of scripts without spaces, which need a dictionary; each of their letters is a segment.

use std::ops::Range;
use std::sync::LazyLock;

use words::python::{CharSet, char_ranges};

/// Values of the property Word_Break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Other,
    Cr,
    Lf,
    Newline,
    Extend,
    Zwj,
    RegionalIndicator,
    Format,
    Katakana,
    HebrewLetter,
    ALetter,
    SingleQuote,
    DoubleQuote,
    MidNumLet,
    MidLetter,
    MidNum,
    Numeric,
    ExtendNumLet,
    WSegSpace,
}

use Kind::{
    ALetter, Cr, DoubleQuote, Extend, ExtendNumLet, Format, HebrewLetter, Katakana, Lf, MidLetter, MidNum, MidNumLet,
    Newline, Numeric, Other, RegionalIndicator, SingleQuote, WSegSpace, Zwj,
};

/// The values other than `Other`, by their names in regular expressions.
const NAMES: [(&str, Kind); 18] = [
    ("CR", Cr),
    ("LF", Lf),
    ("Newline", Newline),
    ("Extend", Extend),
    ("ZWJ", Zwj),
    ("Regional_Indicator", RegionalIndicator),
    ("Format", Format),
    ("Katakana", Katakana),
    ("Hebrew_Letter", HebrewLetter),
    ("ALetter", ALetter),
    ("Single_Quote", SingleQuote),
    ("Double_Quote", DoubleQuote),
    ("MidNumLet", MidNumLet),
    ("MidLetter", MidLetter),
    ("MidNum", MidNum),
    ("Numeric", Numeric),
    ("ExtendNumLet", ExtendNumLet),
    ("WSegSpace", WSegSpace),
];

/// The segments of a text between word boundaries, in order. Time O(bytes).
pub fn segments(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let segment = start..segment_end(text, start);
        start = segment.end;
        (!segment.is_empty()).then_some(segment)
    })
}

/// The next boundary after a boundary. No rule needs to look at what is before that one: a rule that looks back two
/// characters has a counterpart that joins the first of them to the second.
fn segment_end(text: &str, start: usize) -> usize {
    let mut chars = text[start..].chars();
    let Some(first) = chars.next() else { return start };
    let mut before = Before { last: kind(first), letter: kind(first), second: Other, indicators: 0 };
    before.indicators = usize::from(before.last == RegionalIndicator);
    let mut end = start + first.len_utf8();
    while let Some(next) = text[end..].chars().next() {
        if is_boundary(before, next, &text[end + next.len_utf8()..]) {
            return end;
        }
        let kind = kind(next);
        before.last = kind;
        if !is_ignored(kind) {
            (before.second, before.letter) = (before.letter, kind);
            before.indicators += usize::from(kind == RegionalIndicator);
        }
        end += next.len_utf8();
        if next.is_ascii_alphanumeric() {
            // The common case: there is no boundary in a run of these.
            let run = text.as_bytes()[end..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if run > 0 {
                let of_byte = |at: usize| ASCII[usize::from(text.as_bytes()[at])];
                end += run;
                before.last = of_byte(end - 1);
                (before.second, before.letter) = (of_byte(end - 2), before.last);
            }
        }
    }
    end
}

/// What is before a position, back to the last boundary.
#[derive(Clone, Copy)]
struct Before {
    /// The previous character.
    last: Kind,
    /// The last character that is not ignored (WB4), and the one before that.
    letter: Kind,
    second: Kind,
    /// Number of regional indicators.
    indicators: usize,
}

/// Whether there is a boundary before a character, given the text after it.
fn is_boundary(before: Before, next: char, after: &str) -> bool {
    let kind = kind(next);
    let Before { last, letter, second, indicators } = before;
    let is_letter = |kind| matches!(kind, ALetter | HebrewLetter);
    let is_mid_letter = |kind| matches!(kind, MidLetter | MidNumLet | SingleQuote);
    let is_mid_number = |kind| matches!(kind, MidNum | MidNumLet | SingleQuote);
    let is_followed_by =
        |test: fn(Kind) -> bool| after.chars().map(self::kind).find(|&kind| !is_ignored(kind)).is_some_and(test);
    let is_joined = match (letter, kind) {
        // WB3, WB3a, WB3b
        _ if last == Cr && kind == Lf => true,
        _ if is_newline(last) || is_newline(kind) => false,
        // WB3c, WB3d, WB4
        _ if last == Zwj && is_pictographic(next) => true,
        _ if last == WSegSpace && kind == WSegSpace => true,
        _ if is_ignored(kind) => true,
        // WB5, WB8, WB9, WB10, WB13
        (ALetter | HebrewLetter | Numeric, ALetter | HebrewLetter | Numeric) | (Katakana, Katakana) => true,
        // WB7a, WB6, WB7
        (HebrewLetter, SingleQuote) => true,
        _ if is_letter(letter) && is_mid_letter(kind) => is_followed_by(|kind| matches!(kind, ALetter | HebrewLetter)),
        _ if is_letter(second) && is_mid_letter(letter) && is_letter(kind) => true,
        // WB7b, WB7c
        (HebrewLetter, DoubleQuote) => is_followed_by(|kind| kind == HebrewLetter),
        (DoubleQuote, HebrewLetter) => second == HebrewLetter,
        // WB12, WB11
        (Numeric, _) if is_mid_number(kind) => is_followed_by(|kind| kind == Numeric),
        (_, Numeric) if is_mid_number(letter) => second == Numeric,
        // WB13a, WB13b
        (ALetter | HebrewLetter | Numeric | Katakana | ExtendNumLet, ExtendNumLet) => true,
        (ExtendNumLet, ALetter | HebrewLetter | Numeric | Katakana) => true,
        // WB15, WB16
        (RegionalIndicator, RegionalIndicator) => indicators % 2 == 1,
        _ => false,
    };
    !is_joined
}

fn is_newline(kind: Kind) -> bool {
    matches!(kind, Cr | Lf | Newline)
}

/// Whether the rules from WB5 on skip the character.
fn is_ignored(kind: Kind) -> bool {
    matches!(kind, Extend | Format | Zwj)
}

/// [`kind_of_any`] of the ASCII characters.
static ASCII: LazyLock<[Kind; 128]> = LazyLock::new(|| std::array::from_fn(|c| kind_of_any(c as u8 as char)));

fn kind(c: char) -> Kind {
    if c.is_ascii() { ASCII[c as usize] } else { kind_of_any(c) }
}

/// Time O(log ranges).
fn kind_of_any(c: char) -> Kind {
    static RANGES: LazyLock<Vec<(char, char, Kind)>> = LazyLock::new(|| {
        let of_kind = |(name, kind): (&str, Kind)| {
            char_ranges(&format!(r"\p{{wb={name}}}")).into_iter().map(move |(start, end)| (start, end, kind))
        };
        let mut ranges: Vec<_> = NAMES.into_iter().flat_map(of_kind).collect();
        ranges.sort_unstable_by_key(|&(start, ..)| start);
        ranges
    });
    let at = RANGES.partition_point(|&(_, end, _)| end < c);
    RANGES.get(at).filter(|&&(start, ..)| start <= c).map_or(Other, |&(.., kind)| kind)
}

fn is_pictographic(c: char) -> bool {
    static PICTOGRAPHS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"\p{Extended_Pictographic}"));
    PICTOGRAPHS.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(segments(text).map(|segment| &text[segment]).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_and_the_segments_between() {
        check("", &[]);
        check("The 32.3 feet, can't.", &["The", " ", "32.3", " ", "feet", ",", " ", "can't", "."]);
        check("1.\u{200d}❤", &["1", ".\u{200d}❤"]);
        check("🇩🇪🇫🇷🇪", &["🇩🇪", "🇫🇷", "🇪"]);
    }

    /// Random strings of all kinds of characters, with the segments by uniseg 0.10.1: see `golden/uax29.py`.
    #[test]
    fn same_as_uniseg() {
        for line in include_str!("../tests/golden/uax29.jsonl").lines() {
            let expected: Vec<String> = serde_json::from_str(line).unwrap();
            check(&expected.concat(), &expected.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
