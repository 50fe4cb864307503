//! Scanners for the patterns of GPT-4, Llama 3, Qwen, GPT-4o and DeepSeek 3: each finds the end of the pretoken that
//! begins at a byte, as the pattern's regular expression would.
//!
//! The patterns are those of [`KnownPattern::regexes`]; a property test holds each scanner against them. In the comments,
//! a *sign* is what the pattern in question allows in a run of punctuation.

use super::classes::{Traits, traits_table};
use super::pattern::KnownPattern;

/// The length of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` with which bytes begin, or 0. Under Unicode's case folding, `ſ` is an `s`.
#[inline(always)]
pub(crate) fn contraction_of_any_case(bytes: &[u8]) -> usize {
    if bytes.first() != Some(&b'\'') {
        return 0;
    }
    let lower = |place: usize| bytes.get(place).map_or(0, u8::to_ascii_lowercase);
    match (lower(1), lower(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        (0xc5, 0xbf) => 3,
        _ => 0,
    }
}

/// Finds the ends of pretokens in one text.
#[derive(Clone, Copy)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    traits: &'static [Traits],
    /// Characters at which the scanned part of the text ends.
    stops: Traits,
    /// It also ends at characters without these; none if it does not.
    only: Traits,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Scanner<'t> {
        Scanner { text, traits: traits_table(), stops: Traits::NONE, only: Traits::NONE }
    }

    /// The end of the pretoken that begins at `start`, a character boundary before the end of the text.
    #[inline]
    pub(crate) fn end(mut self, pattern: KnownPattern, start: usize) -> usize {
        match pattern {
            KnownPattern::Gpt2 => crate::split::pretokenize::end_of_pretoken(self.text, start),
            KnownPattern::Cl100k => self.end_in_cl100k(start, 3, true),
            KnownPattern::Llama3 => self.end_in_cl100k(start, 3, false),
            KnownPattern::Qwen2 => self.end_in_cl100k(start, 1, false),
            KnownPattern::O200k => self.end_in_o200k(start),
            KnownPattern::DeepSeek3 => {
                let (traits, _) = self.at(start);
                if traits.any(Traits::NUMBER) {
                    return self.end_of_numbers(start, 3);
                }
                if traits.any(Traits::CJK) {
                    // Such as the middle dot of Katakana, at which the third pattern splits, too.
                    self.only = Traits::CJK;
                } else {
                    self.stops = Traits::NUMBER.or(Traits::CJK);
                }
                self.end_in_deepseek3(start)
            }
        }
    }

    /// Traits and length of the character at `at`; no traits at the end.
    #[inline(always)]
    fn at(self, at: usize) -> (Traits, usize) {
        let bytes = self.text.as_bytes();
        let Some(&first) = bytes.get(at) else { return (Traits::NONE, 0) };
        let (code, len) =
            if first < 128 { (u32::from(first), 1) } else { crate::split::pretokenize::decode_wide(&bytes[at..]) };
        let traits = self.traits[code as usize];
        let is_end = traits.any(self.stops) || self.only != Traits::NONE && !traits.any(self.only);
        if is_end { (Traits::NONE, 0) } else { (traits, len) }
    }

    /// The end of the characters with one of `traits` from `at` on.
    #[inline(always)]
    fn end_of_run(self, mut at: usize, traits: Traits) -> usize {
        loop {
            let (of, len) = self.at(at);
            if !of.any(traits) {
                return at;
            }
            at += len;
        }
    }

    fn end_of_numbers(self, start: usize, max: usize) -> usize {
        let mut at = start;
        for _ in 0..max {
            let (traits, len) = self.at(at);
            if !traits.any(Traits::NUMBER) {
                break;
            }
            at += len;
        }
        at
    }

    /// The end of `[^\s\p{L}\p{N}]*` from `at` on.
    #[inline(always)]
    fn end_of_signs(self, mut at: usize) -> usize {
        loop {
            let (of, len) = self.at(at);
            if len == 0 || of.any(Traits::LETTER.or(Traits::NUMBER).or(Traits::SPACE)) {
                return at;
            }
            at += len;
        }
    }

    /// The end of bytes that are one of `set`.
    fn end_of_bytes(self, at: usize, set: &[u8]) -> usize {
        let rest = &self.text.as_bytes()[at..];
        at + rest.iter().position(|byte| !set.contains(byte)).unwrap_or(rest.len())
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`, where white space begins at `start`: to the run's last line end, or else without its
    /// last character, which is left to the next pretoken; `takes_trailing` for `\s++$` before them.
    fn end_of_spaces(self, start: usize, takes_trailing: bool) -> usize {
        let end = self.end_of_run(start, Traits::SPACE);
        let is_last = self.at(end).1 == 0;
        if takes_trailing && is_last {
            return end;
        }
        let run = &self.text[start..end];
        if let Some(line_end) = run.bytes().rposition(|byte| byte == b'\n' || byte == b'\r') {
            return start + line_end + 1;
        }
        let last = run.chars().next_back().map_or(0, char::len_utf8);
        if is_last || last == run.len() { end } else { end - last }
    }

    /// The patterns of GPT-4, Llama 3 (numbers by three) and Qwen (single digits).
    #[inline(always)]
    fn end_in_cl100k(self, start: usize, max_digits: usize, takes_trailing: bool) -> usize {
        let contraction = contraction_of_any_case(&self.text.as_bytes()[start..]);
        if contraction > 0 {
            return start + contraction;
        }
        let (first, len) = self.at(start);
        if first.any(Traits::LETTER) {
            return self.end_of_run(start + len, Traits::LETTER);
        }
        if first.any(Traits::NUMBER) {
            return self.end_of_numbers(start, max_digits);
        }
        let byte = self.text.as_bytes()[start];
        if byte != b'\r' && byte != b'\n' && self.at(start + len).0.any(Traits::LETTER) {
            return self.end_of_run(start + len, Traits::LETTER);
        }
        self.end_of_signs_or_spaces(start, b"\r\n", takes_trailing)
    }

    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*`, or white space.
    fn end_of_signs_or_spaces(self, start: usize, behind_signs: &[u8], takes_trailing: bool) -> usize {
        let signs = start + usize::from(self.text.as_bytes()[start] == b' ');
        let end = self.end_of_signs(signs);
        if end > signs { self.end_of_bytes(end, behind_signs) } else { self.end_of_spaces(start, takes_trailing) }
    }

    /// GPT-4o's pattern.
    #[inline(always)]
    fn end_in_o200k(self, start: usize) -> usize {
        let (first, len) = self.at(start);
        if first.any(Traits::NUMBER) {
            return self.end_of_numbers(start, 3);
        }
        let is_prefix = !first.any(Traits::LETTER) && !matches!(self.text.as_bytes()[start], b'\r' | b'\n');
        let after_prefix = is_prefix.then_some(start + len);
        let word = after_prefix
            .and_then(|at| self.end_of_lower_word(at))
            .or_else(|| self.end_of_lower_word(start))
            .or_else(|| after_prefix.and_then(|at| self.end_of_upper_word(at)))
            .or_else(|| self.end_of_upper_word(start));
        match word {
            Some(end) => end + contraction_of_any_case(&self.text.as_bytes()[end..]),
            None => self.end_of_signs_or_spaces(start, b"\r\n/", false),
        }
    }

    /// `[UPPER]*[LOWER]+` at `at`: where no lower-case letter follows the upper ones, the last of them that is also
    /// one of the lower (a letter without case, a mark) is given back.
    #[inline(always)]
    fn end_of_lower_word(self, at: usize) -> Option<usize> {
        let (mut end, mut end_of_both) = (at, None);
        loop {
            let (of, len) = self.at(end);
            if !of.any(Traits::UPPER) {
                break;
            }
            end += len;
            if of.any(Traits::LOWER) {
                end_of_both = Some(end);
            }
        }
        let lower = self.end_of_run(end, Traits::LOWER);
        if lower > end { Some(lower) } else { end_of_both }
    }

    /// `[UPPER]+[LOWER]*` at `at`.
    fn end_of_upper_word(self, at: usize) -> Option<usize> {
        let end = self.end_of_run(at, Traits::UPPER);
        (end > at).then(|| self.end_of_run(end, Traits::LOWER))
    }

    /// The last of DeepSeek 3's three patterns, on what the others leave. It does not match every character: those
    /// between matches are one pretoken.
    fn end_in_deepseek3(self, start: usize) -> usize {
        let mut at = start;
        loop {
            if let Some(end) = self.match_in_deepseek3(at) {
                return if at == start { end } else { at };
            }
            let (_, len) = self.at(at);
            if len == 0 {
                return at;
            }
            at += len;
        }
    }

    fn match_in_deepseek3(self, at: usize) -> Option<usize> {
        const WORD: Traits = Traits::LETTER.or(Traits::MARK);
        let (first, len) = self.at(at);
        if len == 0 {
            return None;
        }
        let bytes = self.text.as_bytes();
        if bytes[at].is_ascii_punctuation() && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) {
            let rest = &bytes[at + 1..];
            return Some(at + 1 + rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len()));
        }
        let is_prefix = !first.any(Traits::LETTER.or(Traits::SIGN)) && !matches!(bytes[at], b'\r' | b'\n');
        let word = if is_prefix { at + len } else { at };
        let end = self.end_of_run(word, WORD);
        if end > word {
            return Some(end);
        }
        if first.any(Traits::MARK) {
            return Some(word);
        }
        let signs = at + usize::from(bytes[at] == b' ');
        let end = self.end_of_run(signs, Traits::SIGN);
        if end > signs {
            return Some(if self.at(end).1 > 0 { self.end_of_bytes(end, b"\r\n") } else { end });
        }
        first.any(Traits::SPACE).then(|| self.end_of_spaces(at, false))
    }
}
