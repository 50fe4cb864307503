//! Added tokens: strings that are cut out of a text before it is normalised or split, as in Hugging Face's tokenizers.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::TokenId;

/// A string that is one token wherever it is in a text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct AddedToken {
    /// Its id.
    pub id: TokenId,
    /// Its text.
    pub content: String,
    /// Only where no letter, digit or underscore is beside it.
    #[serde(default)]
    pub single_word: bool,
    /// With the white space before it.
    #[serde(default)]
    pub lstrip: bool,
    /// With the white space after it.
    #[serde(default)]
    pub rstrip: bool,
    /// It is searched in the normalised text, itself normalised.
    #[serde(default)]
    pub normalized: bool,
    /// It controls the model, as an end of text does: in texts that are not trusted it is ordinary text.
    #[serde(default)]
    pub special: bool,
}

impl AddedToken {
    /// Whether it is found all the same if a text is cut before a blank that follows another character.
    pub(crate) fn allows_cuts(&self) -> bool {
        let chars: Vec<char> = self.content.chars().collect();
        let holds_cut = chars.windows(2).any(|two| !two[0].is_whitespace() && two[1].is_whitespace());
        let begins_at_cut = chars.first().is_none_or(|first| first.is_whitespace());
        !(self.lstrip || self.rstrip || holds_cut || self.single_word && begins_at_cut)
    }

    /// A special token that is found as it is.
    pub fn special(id: TokenId, content: impl Into<String>) -> AddedToken {
        let (single_word, lstrip, rstrip) = (false, false, false);
        AddedToken { id, content: content.into(), single_word, lstrip, rstrip, normalized: false, special: true }
    }
}

/// Finds added tokens: of those that begin first, the longest.
#[derive(Debug, Clone)]
pub(crate) struct AddedMatcher {
    automaton: AhoCorasick,
    tokens: Vec<AddedToken>,
}

/// A part of a text: an added token and its place, or what is between two.
pub(crate) enum Part<'m> {
    Token(&'m AddedToken, Range<usize>),
    Text(Range<usize>),
}

impl AddedMatcher {
    /// A matcher for tokens by the strings that stand for them; none for no tokens.
    pub(crate) fn new(tokens: Vec<(String, AddedToken)>) -> Option<AddedMatcher> {
        let (strings, tokens): (Vec<String>, Vec<AddedToken>) =
            tokens.into_iter().filter(|(string, _)| !string.is_empty()).unzip();
        if strings.is_empty() {
            return None;
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&strings);
        Some(AddedMatcher { automaton: automaton.expect("the tokens of a file fit into an automaton"), tokens })
    }

    /// Whether some of the tokens are not special.
    pub(crate) fn has_ordinary(&self) -> bool {
        self.tokens.iter().any(|token| !token.special)
    }

    /// Cuts a text at the tokens in it. Where special tokens are ordinary text, one that is found hides the others that
    /// it overlaps.
    pub(crate) fn parts(&self, text: &str, with_specials: bool) -> Vec<Part<'_>> {
        let (mut parts, mut at) = (Vec::new(), 0);
        for found in self.automaton.find_iter(text) {
            let token = &self.tokens[found.pattern()];
            let (mut start, mut end) = (found.start(), found.end());
            if token.special && !with_specials {
                continue;
            }
            if token.single_word && (is_word_at_end(&text[..start]) || is_word_at_start(&text[end..])) {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(at);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            // White space that the token before took: Hugging Face's program ends with a fault.
            if start > end {
                continue;
            }
            if at < start {
                parts.push(Part::Text(at..start));
            }
            // As there: what is white space alone may be left with nothing.
            if start < end {
                parts.push(Part::Token(token, start..end));
            }
            at = end;
        }
        if at < text.len() {
            parts.push(Part::Text(at..text.len()));
        }
        parts
    }
}

fn is_word_at_end(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}

fn is_word_at_start(text: &str) -> bool {
    text.chars().next().is_some_and(is_word)
}

/// Whether a character is one of `\w`.
fn is_word(char: char) -> bool {
    regex_syntax::is_word_character(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: AddedToken, text: &str, expected: &[&str]) {
        let matcher = AddedMatcher::new(vec![(token.content.clone(), token)]).unwrap();
        let parts = matcher.parts(text, true);
        let shown = parts.iter().map(|part| match part {
            Part::Token(_, range) => format!("[{}]", &text[range.clone()]),
            Part::Text(range) => text[range.clone()].to_owned(),
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_token_without_a_place_is_not_found() {
        let right = AddedToken { rstrip: true, ..AddedToken::special(TokenId(0), "<x>") };
        let left = AddedToken { lstrip: true, ..AddedToken::special(TokenId(1), " ") };
        let tokens = [right, left].map(|token| (token.content.clone(), token));
        let matcher = AddedMatcher::new(tokens.to_vec()).unwrap();
        let tokens = matcher.parts("a <x>   b", true).len();
        assert_eq!(tokens, 4, "a, the blank, <x> with what follows, b");
    }

    #[test]
    fn spaces_and_words_beside_a_token() {
        let plain = AddedToken::special(TokenId(0), "<x>");
        check(plain.clone(), "a <x><x> b", &["a ", "[<x>]", "[<x>]", " b"]);
        check(AddedToken { lstrip: true, ..plain.clone() }, "a \n<x> <x>", &["a", "[ \n<x>]", "[ <x>]"]);
        check(AddedToken { rstrip: true, ..plain }, "<x> \u{a0}b", &["[<x> \u{a0}]", "b"]);
        let blank = AddedToken { lstrip: true, rstrip: true, ..AddedToken::special(TokenId(0), " ") };
        check(blank.clone(), "a  b", &["a", "[  ]", "b"]);
        check(AddedToken { lstrip: false, ..blank }, "a  b", &["a", "[  ]", "[ ]", "b"]);
        let word = AddedToken { single_word: true, ..AddedToken::special(TokenId(0), "day") };
        check(word, "day days_ day, éday day", &["[day]", " days_ ", "[day]", ", éday ", "[day]"]);
    }
}
