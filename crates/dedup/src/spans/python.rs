//! What Python's `str` and `unicodedata` do, for the dialect that follows them: Unicode 14, which Python 3.11 has.
//!
//! Left out: strings with lone surrogates, which Rust's cannot hold; the sigma that ends a word beside U+0295 or U+1171E,
//! the only characters of Unicode 14 after or before which Rust's tables, of Unicode 17, choose the other sigma.

use std::ops::Range;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use unicode_normalization::UnicodeNormalization;

/// `str.isspace` of one character: four more separators than Unicode's `White_Space`.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.splitlines`: the lines with their ends, and without.
pub fn split_lines(text: &str) -> Vec<Range<usize>> {
    let is_end = |c: char| matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(at) = text[start..].find(is_end) {
        let end = start + at;
        lines.push(start..end);
        start = end + line_end_bytes(&text[end..]);
    }
    if start < text.len() {
        lines.push(start..text.len());
    }
    lines
}

/// Length of the line end that a text begins with; that of its first character if it begins with none.
pub fn line_end_bytes(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { text.chars().next().map_or(0, char::len_utf8) }
}

/// `str.lower`.
pub fn lower(text: &str) -> String {
    by_known_parts(text, |part, lowered| lowered.push_str(&part.to_lowercase()))
}

/// `unicodedata.normalize("NFD", …)`: letters are separated from their marks.
pub fn nfd(text: &str) -> String {
    by_known_parts(text, |part, decomposed| decomposed.extend(part.nfd()))
}

/// Maps the parts of a text between characters that Unicode 14 does not have. Python leaves those as they are: they
/// have no case, and no mark is moved across them.
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

/// Whether the code point is unassigned in Unicode 14. The first such code point is U+0378.
pub fn is_unknown(c: char) -> bool {
    static KNOWN: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"\p{age=14.0}"));
    c >= '\u{378}' && !KNOWN.contains(c)
}

/// Whether `unicodedata.category` is `Mn`: a mark that takes no space. U+1171E takes some since Unicode 15.1.
pub fn is_nonspacing_mark(c: char) -> bool {
    static MARKS: LazyLock<CharSet> = LazyLock::new(|| CharSet::of_class(r"[[\p{Mn}\u{1171e}]&&\p{age=14.0}]"));
    c >= '\u{300}' && MARKS.contains(c)
}

/// A set of characters as sorted ranges. Membership takes O(log ranges).
pub struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// The characters of a class in the notation of regular expressions.
    ///
    /// # Panics
    /// Where the notation is wrong: classes are constants here.
    pub fn of_class(class: &str) -> CharSet {
        let hir = regex_syntax::parse(class).expect("the class is well-formed");
        match hir.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                CharSet(class.iter().map(|range| (range.start(), range.end())).collect())
            }
            _ => panic!("{class} is a class of several characters"),
        }
    }

    /// Whether the character is in the set.
    pub fn contains(&self, c: char) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < c);
        self.0.get(at).is_some_and(|&(start, _)| start <= c)
    }
}
