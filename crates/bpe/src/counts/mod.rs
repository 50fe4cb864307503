//! Counts of pretokens.

mod file;
mod spilling;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use crate::encode::pretoken_cache::{Key, MAX_CACHED_BYTES};
use crate::simd::{Kernel, WithKernel, prefetch, with_kernel};
use crate::split::borders::{BLOCK_BYTES, Visitor, visit};
use crate::{KnownPattern, Splitter};
pub use file::{read_words, read_words_of, write_words, write_words_of};
pub use spilling::SpillingCounts;

/// Initial number of slots of a table of counts.
const INITIAL_SLOTS: usize = 1 << 12;
/// Words whose slots are prefetched before the first is looked at.
const CHUNK_WORDS: usize = 64;

/// Counts of pretokens. Counts are u64: web-scale corpora overflow 32 bits.
///
/// Words of at most 15 bytes, nearly all, are in an open-addressed table without an allocation of their own.
#[derive(Clone)]
pub struct WordCounts {
    /// At most half full; a count of 0 is a free slot.
    slots: Vec<(Key, u64)>,
    short: usize,
    long: HashMap<Box<[u8]>, u64, Xxh3State>,
    long_bytes: usize,
}

impl Default for WordCounts {
    fn default() -> WordCounts {
        WordCounts { slots: vec![(Key::NONE, 0); INITIAL_SLOTS], short: 0, long: HashMap::default(), long_bytes: 0 }
    }
}

impl std::fmt::Debug for WordCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordCounts").field("words", &self.len()).finish_non_exhaustive()
    }
}

impl WordCounts {
    /// No words.
    pub fn new() -> WordCounts {
        WordCounts::default()
    }

    /// Counts the pretokens of a text.
    pub fn add_text(&mut self, text: &str) {
        with_kernel(CountText { counts: self, text, keys: [Key::NONE; CHUNK_WORDS], len: 0 });
    }

    /// Counts the pretokens of a text that is split in some way.
    pub fn add_text_by(&mut self, splitter: &Splitter, text: &str) {
        match splitter.known_pattern() {
            Some(KnownPattern::Gpt2) => self.add_text(text),
            _ => splitter.for_each_pretoken(text, |pretoken| self.add(pretoken, 1)),
        }
    }

    /// Counts a word `count` times.
    pub fn add(&mut self, word: &[u8], count: u64) {
        if word.is_empty() || count == 0 {
            return;
        }
        if word.len() <= MAX_CACHED_BYTES {
            return self.add_key(Key::of_pretoken(word), count);
        }
        match self.long.get_mut(word) {
            Some(held) => *held += count,
            None => {
                self.long_bytes += word.len();
                self.long.insert(word.into(), count);
            }
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: WordCounts) {
        if self.is_empty() {
            *self = other;
            return;
        }
        other.slots.into_iter().filter(|&(_, count)| count > 0).for_each(|(key, count)| self.add_key(key, count));
        other.long.into_iter().for_each(|(word, count)| self.add(&word, count));
    }

    /// Number of distinct words.
    pub fn len(&self) -> usize {
        self.short + self.long.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in bytes, to within a tenth.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.slots) + self.long_bytes + 48 * self.long.capacity()
    }

    /// The words and their counts, in the order of their bytes.
    pub fn into_sorted(self) -> Vec<(Vec<u8>, u64)> {
        let short = self.slots.into_iter().filter(|&(_, count)| count > 0).map(|(key, count)| {
            let (bytes, len) = key.bytes();
            (bytes[..len].to_vec(), count)
        });
        let long = self.long.into_iter().map(|(word, count)| (word.into_vec(), count));
        let mut words: Vec<(Vec<u8>, u64)> = short.chain(long).collect();
        words.sort_unstable();
        words
    }

    #[inline(always)]
    fn home(&self, key: Key) -> usize {
        (key.hash() >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[inline(always)]
    fn add_key(&mut self, key: Key, count: u64) {
        let mut slot = self.home(key);
        loop {
            let last = self.slots.len() - 1;
            let (held, held_count) = &mut self.slots[slot & last];
            if *held == key {
                *held_count += count;
                return;
            }
            if *held_count == 0 {
                (*held, *held_count) = (key, count);
                self.short += 1;
                if self.short * 2 > self.slots.len() {
                    self.grow();
                }
                return;
            }
            slot += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![(Key::NONE, 0); self.slots.len() * 2];
        let slots = std::mem::replace(&mut self.slots, larger);
        self.short = 0;
        slots.into_iter().filter(|&(_, count)| count > 0).for_each(|(key, count)| self.add_key(key, count));
    }
}

struct CountText<'c> {
    counts: &'c mut WordCounts,
    text: &'c str,
    keys: [Key; CHUNK_WORDS],
    len: usize,
}

impl WithKernel for CountText<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        visit::<K>(KnownPattern::Gpt2, self.text, &mut self);
        self.count();
    }
}

impl Visitor for CountText<'_> {
    #[inline(always)]
    fn block(&mut self, at: usize, block: &[u8; BLOCK_BYTES], mut ends: u64) {
        let mut start = 0;
        while ends != 0 {
            let end = ends.trailing_zeros() as usize;
            ends &= ends - 1;
            if end - start <= MAX_CACHED_BYTES {
                let from = block[start..].first_chunk::<16>().expect("a block has 16 bytes behind its 64");
                self.push(Key::of(*from, end - start));
            } else {
                self.count_long(at + start..at + end);
            }
            start = end;
        }
    }

    #[inline(never)]
    fn single(&mut self, at: usize, pretoken: &[u8]) {
        if pretoken.len() <= MAX_CACHED_BYTES {
            self.push(Key::of_pretoken(pretoken));
        } else {
            self.count_long(at..at + pretoken.len());
        }
    }
}

impl CountText<'_> {
    #[inline(always)]
    fn push(&mut self, key: Key) {
        prefetch(&self.counts.slots[self.counts.home(key)]);
        self.keys[self.len % CHUNK_WORDS] = key;
        self.len += 1;
        if self.len == CHUNK_WORDS {
            self.count();
        }
    }

    #[inline(always)]
    fn count(&mut self) {
        for &key in &self.keys[..self.len] {
            self.counts.add_key(key, 1);
        }
        self.len = 0;
    }

    #[cold]
    fn count_long(&mut self, bytes: Range<usize>) {
        self.counts.add(&self.text.as_bytes()[bytes], 1);
    }
}

/// Hashes words with XXH3: the standard hasher costs more than counting does.
#[derive(Debug, Clone, Default)]
struct Xxh3State;

struct WordHasher(u64);

impl BuildHasher for Xxh3State {
    type Hasher = WordHasher;
    fn build_hasher(&self) -> WordHasher {
        WordHasher(0)
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}
