//! Words and sentences of English text, exactly as spaCy's `English` tokenizer and its sentencizer find them.
//!
//! Published filters of text (Gopher's, C4's and FineWeb's as datatrove runs them) count the words of
//! `spacy.blank("en")`. A limit on such a count means the same here because the words are the same, on every text.
//!
//! # The algorithm
//! 1. A text is split where white space begins and ends. A single space between two chunks belongs to neither; all
//!    other white space is a token.
//! 2. A chunk that is a *special case* (`don't`, `:-)`, `Mr.`) has the tokens that the table lists for it.
//! 3. Otherwise a prefix and a suffix (punctuation, quotes, units after a digit) are split off, again and again, until
//!    there is none or a special case is left.
//! 4. What is left is one token if it is a URL, else it is split at its infixes (`-` between letters, `…`).
//! 5. Special cases that this took apart are put together again (`english/phrases.rs`).
//!
//! The rules are tables that `tables/english.py` reads out of spaCy 3.8, and code that does what its regular expressions
//! do (`english/affixes.rs`, `english/url.rs`). The readable twin in the tests runs the expressions themselves.
//! Classes of Unicode are those of Python 3.11, which has Unicode 14.
//!
//! Left out: norms, lemmas, tags and other properties of spaCy's tokens; changing the rules; other languages.

use std::ops::Range;

use lexicon::Entry;
use phrases::{PhraseMerger, Token};
use tables::{PUNCTUATION, SENTENCE_END, SPACE, Tables, tables};

mod affixes;
mod lexicon;
mod phrases;
mod tables;
#[cfg(test)]
mod twin;
mod url;

/// Calls back with each token of a text, white space included, as a range of bytes and in order:
/// `[token.text for token in spacy.blank("en")(text)]`.
///
/// Time O(bytes), some 10 ns per word; memory O(longest chunk without white space) for the suffixes split off it. The
/// first call reads the tables.
///
/// ```
/// let text = "Don't  shout (please)!";
/// let mut tokens = Vec::new();
/// words::english::for_each_token(text, |token| tokens.push(&text[token]));
/// assert_eq!(tokens, ["Do", "n't", " ", "shout", "(", "please", ")", "!"]);
/// ```
pub fn for_each_token(text: &str, each: impl FnMut(Range<usize>)) {
    Tokenizer::new(text, each).run();
}

/// Calls back with each word: a token that is not white space. Cost as of [`for_each_token`].
///
/// The same words as datatrove's `word_tokenize`, which strips tokens and drops those that are then empty: no other
/// token than white space begins or ends with white space.
///
/// ```
/// let mut count = 0;
/// words::english::for_each_word("It's 5km\n\nto www.example.org, Mr. Smith.", |_| count += 1);
/// assert_eq!(count, 10); // It 's 5 km to www.example.org , Mr. Smith .
/// ```
pub fn for_each_word<'t>(text: &'t str, mut each: impl FnMut(&'t str)) {
    let tables = tables();
    for_each_token(text, |token| {
        let token = &text[token];
        if !token.starts_with(|first| tables.classes(first) & SPACE != 0) {
            each(token);
        }
    });
}

/// Calls back with each sentence as a range of bytes: `[(s.start_char, s.end_char) for s in doc.sents]` after spaCy's
/// `sentencizer`. Cost as of [`for_each_token`].
///
/// A sentence ends before the first token after a `.`, `!`, `?` or an equivalent in another script that is not
/// punctuation. White space counts as such a token: a line break begins the sentence that follows it. Only single
/// spaces are in no sentence.
///
/// ```
/// let text = "Is it (he said).) 5 p.m.? Yes.\nGood";
/// let mut sentences = Vec::new();
/// words::english::for_each_sentence(text, |sentence| sentences.push(&text[sentence]));
/// assert_eq!(sentences, ["Is it (he said).)", "5 p.m.?", "Yes.", "\nGood"]);
/// ```
pub fn for_each_sentence(text: &str, mut each: impl FnMut(Range<usize>)) {
    let mut sentence = 0..0;
    let mut has_ended = false;
    for_each_token(text, |token| {
        match sentence_role(&text[token.clone()]) {
            SentenceRole::Ends => has_ended = true,
            SentenceRole::Begins if has_ended => {
                each(sentence.clone());
                sentence.start = token.start;
                has_ended = false;
            }
            SentenceRole::Begins | SentenceRole::Continues => {}
        }
        sentence.end = token.end;
    });
    if !sentence.is_empty() {
        each(sentence);
    }
}

/// How a token affects the borders of sentences, for [`for_each_sentence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentenceRole {
    /// A `.`, `!`, `?` or their like: the sentence ends before the next token that begins one.
    Ends,
    /// Other punctuation, which belongs to the sentence before it.
    Continues,
    /// A word or white space: begins a sentence, where one has ended.
    Begins,
}

/// The role of a token, for callers that look at words and sentences in one pass.
pub fn sentence_role(token: &str) -> SentenceRole {
    let mut chars = token.chars();
    let first = match chars.next() {
        None => return SentenceRole::Continues,
        Some(first) if first.is_ascii_alphanumeric() => return SentenceRole::Begins,
        Some(first) => tables().classes(first),
    };
    if first & SENTENCE_END != 0 && chars.as_str().is_empty() {
        SentenceRole::Ends
    } else if first & PUNCTUATION != 0 && chars.all(|char| tables().classes(char) & PUNCTUATION != 0) {
        SentenceRole::Continues
    } else {
        SentenceRole::Begins
    }
}

/// A text without the white space around it, as Python's `str.strip` has it: the separators U+001C to U+001F are white
/// space to Python, though not to Rust.
///
/// ```
/// assert_eq!(words::english::trim("\u{1f} tide\n"), "tide");
/// ```
pub fn trim(text: &str) -> &str {
    let tables = tables();
    text.trim_matches(|char| tables.classes(char) & SPACE != 0)
}

/// The first pass over a text.
struct Tokenizer<'t, F> {
    tables: &'static Tables,
    text: &'t str,
    /// Where the suffixes of the chunk at hand begin, from the last one on.
    suffixes: Vec<usize>,
    phrases: PhraseMerger<F>,
}

impl<'t, F: FnMut(Range<usize>)> Tokenizer<'t, F> {
    fn new(text: &'t str, each: F) -> Self {
        let tables = tables();
        Self { tables, text, suffixes: Vec::new(), phrases: PhraseMerger::new(tables, each) }
    }

    fn run(mut self) {
        let mut at = 0;
        while at < self.text.len() {
            let (end, kinds) = self.end_of_chunk(at);
            if end > at {
                self.chunk(at, end, kinds);
            }
            let space_end = self.end_of_space(end);
            // The space after a chunk is no token.
            let is_single = end > at && self.text.as_bytes().get(end) == Some(&b' ');
            let space_start = end + usize::from(is_single);
            if space_start < space_end {
                self.phrases.push(Token { start: space_start, end: space_end, phrase_token: 0 });
            }
            at = space_end;
        }
        self.phrases.flush();
    }

    /// The end of the chunk that begins at a byte, and the kinds of its bytes.
    #[inline]
    fn end_of_chunk(&self, start: usize) -> (usize, u8) {
        let bytes = self.text.as_bytes();
        let (mut at, mut kinds) = (start, 0);
        while let Some(&byte) = bytes.get(at) {
            let kind = BYTE_KINDS[usize::from(byte)];
            if kind == KIND_SPACE {
                break;
            }
            let mut len = 1;
            if kind == KIND_NOT_ASCII {
                let char = self.char_at(at);
                if self.tables.classes(char) & SPACE != 0 {
                    break;
                }
                len = char.len_utf8();
            }
            kinds |= kind;
            at += len;
        }
        (at, kinds)
    }

    /// The end of the white space that begins at a byte.
    #[inline]
    fn end_of_space(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            at += match BYTE_KINDS[usize::from(byte)] {
                KIND_SPACE => 1,
                KIND_NOT_ASCII if self.tables.classes(self.char_at(at)) & SPACE != 0 => self.char_at(at).len_utf8(),
                _ => break,
            };
        }
        at
    }

    /// The character at a byte offset, which must be before the end.
    #[inline]
    fn char_at(&self, at: usize) -> char {
        self.text[at..].chars().next().unwrap_or('\0')
    }

    /// Splits a chunk.
    #[inline]
    fn chunk(&mut self, start: usize, end: usize, kinds: u8) {
        let entry = self.tables.lexicon.get(&self.text[start..end]);
        // Letters of ASCII have no affixes.
        if kinds == KIND_LETTER || entry.special_case != 0 {
            self.push_entry(start, end, entry);
        } else {
            self.split_affixes(start, end, entry);
        }
    }

    /// Splits prefixes and suffixes off a chunk that is no special case, and then what is left of it.
    fn split_affixes(&mut self, chunk_start: usize, chunk_end: usize, entry: Entry) {
        let (text, lexicon) = (self.text, &self.tables.lexicon);
        let (mut start, mut end, mut entry) = (chunk_start, chunk_end, entry);
        self.suffixes.clear();
        while start < end && entry.special_case == 0 {
            let prefix_end = start + affixes::prefix_len(self.tables, &text[start..end]);
            if prefix_end > start {
                entry = lexicon.get(&text[prefix_end..end]);
                if entry.special_case != 0 {
                    self.push_text(start, prefix_end);
                    start = prefix_end;
                    break;
                }
            }
            let suffix_start = end - affixes::suffix_len(self.tables, &text[prefix_end..end]);
            if suffix_start < end {
                self.suffixes.push(suffix_start);
                entry = lexicon.get(&text[start..suffix_start]);
                if entry.special_case != 0 {
                    end = suffix_start;
                    break;
                }
            }
            if prefix_end == start && suffix_start == end {
                break;
            }
            if prefix_end > start {
                self.push_text(start, prefix_end);
                entry = lexicon.get(&text[prefix_end..suffix_start]);
            }
            (start, end) = (prefix_end, suffix_start);
        }
        if start < end {
            self.split_infixes(start, end, entry);
        }
        while let Some(suffix) = self.suffixes.pop() {
            let suffix_end = self.suffixes.last().copied().unwrap_or(chunk_end);
            self.push_text(suffix, suffix_end);
        }
    }

    /// Splits what is left of a chunk without its affixes.
    fn split_infixes(&mut self, start: usize, end: usize, entry: Entry) {
        let core = &self.text[start..end];
        let is_plain = core.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_plain || entry.special_case != 0 || url::is_url(self.tables, core) {
            return self.push_entry(start, end, entry);
        }
        let mut rest = start;
        affixes::for_each_infix(self.tables, core, |infix| {
            // spaCy splits nothing at an infix at the very start.
            if infix.start == 0 {
                return;
            }
            self.push_text(rest, start + infix.start);
            self.push_text(start + infix.start, start + infix.end);
            rest = start + infix.end;
        });
        self.push_text(rest, end);
    }

    /// Passes on a token that is no special case, unless it is empty.
    fn push_text(&mut self, start: usize, end: usize) {
        if start < end {
            let Entry { phrase_token, .. } = self.tables.lexicon.get(&self.text[start..end]);
            self.phrases.push(Token { start, end, phrase_token });
        }
    }

    /// Passes on the tokens of a special case, or another text as one token.
    #[inline]
    fn push_entry(&mut self, mut start: usize, end: usize, entry: Entry) {
        if entry.special_case == 0 {
            return self.phrases.push(Token { start, end, phrase_token: entry.phrase_token });
        }
        for &(len_bytes, phrase_token) in &self.tables.special_cases[usize::from(entry.special_case - 1)] {
            self.phrases.push(Token { start, end: start + len_bytes, phrase_token });
            start += len_bytes;
        }
    }
}

/// The kind of each byte, by which chunks without affixes are recognised.
const BYTE_KINDS: [u8; 256] = {
    let mut kinds = [KIND_OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b' ' | b'\t'..=b'\r' | 0x1c..=0x1f => KIND_SPACE,
            b'A'..=b'Z' | b'a'..=b'z' => KIND_LETTER,
            0x80.. => KIND_NOT_ASCII,
            _ => KIND_OTHER,
        };
        byte += 1;
    }
    kinds
};

const KIND_SPACE: u8 = 1;
const KIND_LETTER: u8 = 2;
const KIND_NOT_ASCII: u8 = 4;
const KIND_OTHER: u8 = 8;
