//! The words of a text and its sentences, found once and shared by the rules.
//!
//! A word is a token of spaCy's blank English pipeline that is not white space; a sentence is one of its sentencizer.
//! Each distinct word has a number, so that rules look at a word's letters once however often it occurs.
//!
//! Left out: the tokenizer itself, which is in the crate `words`.

use std::ops::Range;

use hashbrown::HashTable;
use words::english::{SentenceRole, for_each_token, sentence_role};

use crate::hash::hash;
use words::python;

/// The words of a text.
#[derive(Debug, Default)]
pub struct Words {
    /// For each word its number in `distinct`.
    pub ids: Vec<u32>,
    /// For each word the byte at which it starts.
    starts: Vec<usize>,
    /// The distinct words, in the order in which they first occur.
    pub distinct: Vec<Word>,
    /// Indices of words before which there is a token of white space; such tokens begin sentences. Ascending; the
    /// number of words stands for white space at the end.
    blanks: Vec<usize>,
}

/// A distinct word.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Where it first occurs.
    pub start: usize,
    /// Length in bytes.
    pub len_bytes: usize,
    /// Length in code points.
    pub chars: usize,
    /// How often it occurs.
    pub count: usize,
    role: SentenceRole,
}

impl Words {
    /// The words of a text. Time O(bytes).
    pub fn of(text: &str) -> Words {
        let mut words = Words::default();
        words.ids.reserve(text.len() / 4);
        words.starts.reserve(text.len() / 4);
        let mut numbers: HashTable<u32> = HashTable::with_capacity(text.len() / 8);
        for_each_token(text, |Range { start, end }| {
            let token = &text[start..end];
            if token.starts_with(python::is_space) {
                words.blanks.push(words.ids.len());
            } else {
                words.push(text, start..end, sentence_role, &mut numbers);
            }
        });
        words
    }

    /// The words of a text by another definition, as byte ranges in order. Sentences are not known.
    pub fn of_tokens(text: &str, tokens: impl Iterator<Item = Range<usize>>) -> Words {
        let mut words = Words::default();
        let mut numbers: HashTable<u32> = HashTable::with_capacity(text.len() / 8);
        tokens.for_each(|token| words.push(text, token, |_| SentenceRole::Continues, &mut numbers));
        words
    }

    fn push(
        &mut self,
        text: &str,
        Range { start, end }: Range<usize>,
        role: impl Fn(&str) -> SentenceRole,
        numbers: &mut HashTable<u32>,
    ) {
        let token = &text[start..end];
        let distinct = &mut self.distinct;
        let spelling = |word: &Word| &text.as_bytes()[word.start..word.start + word.len_bytes];
        let id = *numbers
            .entry(
                hash(token.as_bytes()),
                |&id| spelling(&distinct[id as usize]) == token.as_bytes(),
                |&id| hash(spelling(&distinct[id as usize])),
            )
            .or_insert_with(|| u32::try_from(distinct.len()).unwrap_or(u32::MAX))
            .get();
        if id as usize == distinct.len() {
            let (len_bytes, chars) = (token.len(), python::len(token));
            distinct.push(Word { start, len_bytes, chars, count: 0, role: role(token) });
        }
        distinct[id as usize].count += 1;
        self.ids.push(id);
        self.starts.push(start);
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Code points of all words together.
    pub fn chars(&self) -> usize {
        self.distinct.iter().map(|word| word.chars * word.count).sum()
    }

    /// The spelling of a distinct word of the text.
    pub fn spelling<'t>(&self, text: &'t str, word: &Word) -> &'t str {
        &text[word.start..word.start + word.len_bytes]
    }

    /// A word by its position in the text.
    pub fn word(&self, at: usize) -> &Word {
        &self.distinct[self.ids[at] as usize]
    }

    /// The bytes of a word by its position in the text.
    pub fn span(&self, at: usize) -> Range<usize> {
        self.starts[at]..self.starts[at] + self.word(at).len_bytes
    }

    /// The first word from `from` on that starts at or after a byte.
    pub fn first_from_byte(&self, from: usize, byte: usize) -> usize {
        from + self.starts[from..].iter().take_while(|&&start| start < byte).count()
    }

    /// Calls back with each sentence of a range of words, as a range of words: an empty one for white space alone.
    ///
    /// The range is treated as a text of its own, without white space at its ends, unless `edges` says that white space
    /// before its first word and after its last is a part of it.
    pub fn for_each_sentence(&self, words: Range<usize>, edges: bool, mut each: impl FnMut(Range<usize>)) {
        let inner = (words.start + 1, words.end.saturating_sub(1));
        let (first, last) = if edges { (words.start, words.end) } else { inner };
        let blanks = &self.blanks[self.blanks.partition_point(|&blank| blank < first)..];
        let mut blanks = blanks.iter().take_while(|&&blank| blank <= last && first <= last).peekable();
        let has_tokens = !words.is_empty() || blanks.peek().is_some();
        let mut start = words.start;
        let mut has_ended = false;
        for at in words.start..=words.end {
            let is_after_blank = blanks.next_if_eq(&&at).is_some();
            let role = if at < words.end { self.word(at).role } else { SentenceRole::Continues };
            if has_ended && (is_after_blank || role == SentenceRole::Begins) {
                each(start..at);
                start = at;
                has_ended = false;
            }
            has_ended |= role == SentenceRole::Ends;
        }
        if has_tokens {
            each(start..words.end);
        }
    }

    /// Number of sentences of the whole text, white space at its ends included.
    pub fn sentences_with_edges(&self) -> usize {
        let mut count = 0;
        self.for_each_sentence(0..self.len(), true, |_| count += 1);
        count
    }

    /// Number of sentences of a range of words as a text of its own, as [`Words::for_each_sentence`] finds them.
    pub fn count_sentences(&self, words: Range<usize>) -> usize {
        let mut count = 0;
        self.for_each_sentence(words, false, |_| count += 1);
        count
    }
}
