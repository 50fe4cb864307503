//! Properties of characters that Oniguruma and `regex-syntax` have alike, both by Unicode 16.

use super::Translator;

/// `\w` in brackets, but for the brackets.
pub(super) const WORD: &str = r"\p{alphabetic}\p{m}\p{nd}\p{pc}";

/// Names without blanks, hyphens and underscores, in lower case. Others are refused: `Alnum`, `Graph`, `Print`, `Blank`
/// and `XDigit` are no names of the one, `Script=`, `Age=` and the names of blocks none of the other.
pub(crate) const NAMES: &[&str] = &[
    "l",
    "lu",
    "ll",
    "lt",
    "lm",
    "lo",
    "lc",
    "m",
    "mn",
    "mc",
    "me",
    "n",
    "nd",
    "nl",
    "no",
    "p",
    "pc",
    "pd",
    "ps",
    "pe",
    "pi",
    "pf",
    "po",
    "s",
    "sm",
    "sc",
    "sk",
    "so",
    "z",
    "zs",
    "zl",
    "zp",
    "c",
    "cc",
    "cf",
    "co",
    "cn",
    "letter",
    "uppercaseletter",
    "lowercaseletter",
    "titlecaseletter",
    "modifierletter",
    "otherletter",
    "mark",
    "number",
    "punctuation",
    "symbol",
    "separator",
    "other",
    "alpha",
    "alphabetic",
    "digit",
    "space",
    "whitespace",
    "upper",
    "uppercase",
    "lower",
    "lowercase",
    "punct",
    "cntrl",
    "emoji",
    "arabic",
    "armenian",
    "bengali",
    "bopomofo",
    "common",
    "cyrillic",
    "devanagari",
    "ethiopic",
    "georgian",
    "greek",
    "gujarati",
    "gurmukhi",
    "han",
    "hangul",
    "hebrew",
    "hiragana",
    "inherited",
    "kannada",
    "katakana",
    "khmer",
    "lao",
    "latin",
    "malayalam",
    "mongolian",
    "myanmar",
    "oriya",
    "sinhala",
    "tamil",
    "telugu",
    "thai",
    "tibetan",
];

/// A property that was read.
pub(super) struct Property {
    /// As it is written in brackets.
    pub(super) class: String,
    pub(super) is_negated: bool,
    /// Whether it is that of `\w`.
    pub(super) is_word: bool,
}

impl Property {
    /// What negates brackets around it.
    pub(super) fn not(&self) -> &'static str {
        if self.is_negated { "^" } else { "" }
    }
}

impl Translator<'_> {
    /// A property whose `\p` or `\P` was read.
    pub(super) fn property(&mut self, escaped: char) -> Result<Property, String> {
        if !self.takes('{') {
            return Err(format!("\\{escaped} without braces"));
        }
        let is_negated = self.takes('^') != (escaped == 'P');
        let written: String = self.chars.by_ref().take_while(|&char| char != '}').collect();
        let name: String = written.chars().filter(|char| !matches!(char, ' ' | '-' | '_')).collect();
        let name = name.to_ascii_lowercase();
        if name == "word" {
            return Ok(Property { class: WORD.to_owned(), is_negated, is_word: true });
        }
        if !NAMES.contains(&name.as_str()) {
            return Err(format!("\\p{{{written}}}"));
        }
        Ok(Property { class: format!("\\p{{{name}}}"), is_negated, is_word: false })
    }
}
