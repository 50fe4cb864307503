//! The second pass: special cases that the first pass took apart are joined again.
//!
//! `(:-)` is split into a bracket and `:-)`, and a word with `:-)` at its end into word, `:-` and `)`. So spaCy looks at
//! the tokens of the whole text for the tokens that a special case would have without special cases, a *phrase*. Of
//! phrases that overlap the longest counts, of those as long the first. A phrase with a space between its tokens is no
//! special case, but it does count among those that overlap.
//!
//! A phrase is thus accepted exactly if no other that overlaps it is longer, or as long and further left. That is
//! decided within twice the longest phrase, so a window of tokens does where spaCy sorts the phrases of the text.

use std::ops::Range;

use super::tables::{Phrase, PhraseToken, Tables};

/// A token of the first pass, as bytes of the text.
#[derive(Clone, Copy)]
pub struct Token {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// Its identifier among tokens of phrases.
    pub phrase_token: PhraseToken,
}

/// Takes the tokens of the first pass in order and calls back with those of the second.
pub struct PhraseMerger<F> {
    tables: &'static Tables,
    /// Consecutive tokens, each two of which may be in a phrase. The first ones are kept only to detect overlaps.
    pending: Vec<Token>,
    /// How many of them have been passed on.
    emitted: usize,
    matches: Vec<Match>,
    each: F,
}

/// A phrase among pending tokens.
#[derive(Clone, Copy)]
struct Match {
    start: usize,
    end: usize,
    phrase: &'static Phrase,
}

/// Number of pending tokens at which phrases are searched; some ten times the longest phrase.
const WINDOW_TOKENS: usize = 128;

impl<F: FnMut(Range<usize>)> PhraseMerger<F> {
    /// A merger that passes tokens to `each`.
    pub fn new(tables: &'static Tables, each: F) -> Self {
        Self { tables, pending: Vec::new(), emitted: 0, matches: Vec::new(), each }
    }

    /// Adds the next token.
    #[inline]
    pub fn push(&mut self, token: Token) {
        if let Some(last) = self.pending.last() {
            if self.tables.may_follow(last.phrase_token, token.phrase_token) {
                return self.push_pending(token);
            }
            self.flush();
        }
        if self.tables.phrases(token.phrase_token).is_empty() {
            (self.each)(token.start..token.end);
        } else {
            self.pending.push(token);
        }
    }

    fn push_pending(&mut self, token: Token) {
        self.pending.push(token);
        if self.pending.len() == WINDOW_TOKENS {
            let overlap = 2 * self.tables.max_phrase_tokens;
            self.merge(WINDOW_TOKENS - overlap);
            let context = self.emitted.min(self.tables.max_phrase_tokens);
            self.pending.drain(..self.emitted - context);
            self.emitted = context;
        }
    }

    /// Ends all phrases: at the end of the text, or at a token that is in no phrase.
    #[inline]
    pub fn flush(&mut self) {
        if let [only] = self.pending[..] {
            (self.each)(only.start..only.end);
        } else {
            self.merge(self.pending.len());
        }
        self.pending.clear();
        self.emitted = 0;
    }

    /// Passes on the pending tokens before `limit`, and those of a phrase that begins before it.
    fn merge(&mut self, limit: usize) {
        self.find_matches();
        while self.emitted < limit {
            let at = self.emitted;
            match self.accepted(at).filter(|found| self.is_contiguous(found)) {
                Some(found) => {
                    self.emit_special_case(found);
                    self.emitted = found.end;
                }
                None => {
                    (self.each)(self.pending[at].start..self.pending[at].end);
                    self.emitted += 1;
                }
            }
        }
    }

    fn find_matches(&mut self) {
        self.matches.clear();
        for start in 0..self.pending.len() {
            let rest = &self.pending[start..];
            let found = self.tables.phrases(rest[0].phrase_token).iter().filter(|phrase| begins_with(rest, phrase));
            self.matches.extend(found.map(|phrase| Match { start, end: start + phrase.tokens.len(), phrase }));
        }
    }

    /// The match that begins at a token, unless another match that overlaps it takes precedence.
    fn accepted(&self, start: usize) -> Option<Match> {
        let longest = self.matches.iter().filter(|found| found.start == start).max_by_key(|found| found.end)?;
        let keeps_out = |other: &Match| {
            let overlaps = other.start < longest.end && longest.start < other.end;
            let (len, other_len) = (longest.end - longest.start, other.end - other.start);
            overlaps && (other_len > len || other_len == len && other.start < longest.start)
        };
        (!self.matches.iter().any(keeps_out)).then_some(*longest)
    }

    fn is_contiguous(&self, found: &Match) -> bool {
        self.pending[found.start..found.end].windows(2).all(|pair| pair[0].end == pair[1].start)
    }

    fn emit_special_case(&mut self, found: Match) {
        let mut start = self.pending[found.start].start;
        for &(len_bytes, _) in &self.tables.special_cases[found.phrase.special_case] {
            (self.each)(start..start + len_bytes);
            start += len_bytes;
        }
    }
}

fn begins_with(tokens: &[Token], phrase: &Phrase) -> bool {
    tokens.len() >= phrase.tokens.len()
        && tokens.iter().zip(&phrase.tokens).all(|(token, &expected)| token.phrase_token == expected)
}
