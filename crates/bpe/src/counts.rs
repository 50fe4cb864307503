//! Counts of pretokens.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::ops::Range;

use crate::borders::{BLOCK_BYTES, Visitor, visit};
use crate::pretoken_cache::{Key, MAX_CACHED_BYTES};
use crate::simd::{Kernel, WithKernel, prefetch, with_kernel};
use crate::{KnownPattern, Splitter};

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

/// Counts in bounded memory: beyond the bound, counts are written to disk as sorted runs, which are merged at the end.
/// The result is the same as in memory.
pub struct SpillingCounts {
    held: WordCounts,
    memory_bytes: usize,
    runs: Vec<File>,
    splitter: Splitter,
}

impl SpillingCounts {
    /// No words; about `memory_bytes` are held at most before they are written to an unnamed file in the system's
    /// folder for temporary files.
    pub fn new(memory_bytes: usize) -> SpillingCounts {
        SpillingCounts { held: WordCounts::new(), memory_bytes, runs: Vec::new(), splitter: Splitter::default() }
    }

    /// The same for texts that are split in another way.
    pub fn with_splitter(self, splitter: Splitter) -> SpillingCounts {
        SpillingCounts { splitter, ..self }
    }

    /// Counts the pretokens of a text.
    ///
    /// # Errors
    /// When a run cannot be written.
    pub fn add_text(&mut self, text: &str) -> io::Result<()> {
        self.held.add_text_by(&self.splitter, text);
        if self.held.size_bytes() > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile()?);
        write_words(std::mem::take(&mut self.held).into_sorted().iter().map(|(w, c)| (w.as_slice(), *c)), &mut file)?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// The distinct words of all sets with their counts, in the order of their bytes.
    ///
    /// # Errors
    /// When a run cannot be read.
    pub fn into_sorted(sets: Vec<SpillingCounts>) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut runs: Vec<SortedRun> = Vec::new();
        let mut held = WordCounts::new();
        for set in sets {
            held.merge(set.held);
            runs.extend(
                set.runs.into_iter().map(|file| Box::new(WordRecords(BufReader::with_capacity(1 << 18, file))) as _),
            );
        }
        if runs.is_empty() {
            return Ok(held.into_sorted());
        }
        runs.push(Box::new(held.into_sorted().into_iter().map(Ok)));
        let mut heads = std::collections::BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(word) = run.next() {
                heads.push(std::cmp::Reverse((word?, number)));
            }
        }
        let mut words: Vec<(Vec<u8>, u64)> = Vec::new();
        while let Some(std::cmp::Reverse(((word, count), number))) = heads.pop() {
            match words.last_mut() {
                Some((last, sum)) if *last == word => *sum += count,
                _ => words.push((word, count)),
            }
            if let Some(next) = runs[number].next() {
                heads.push(std::cmp::Reverse((next?, number)));
            }
        }
        Ok(words)
    }
}

/// Words in the order of their bytes.
type SortedRun = Box<dyn Iterator<Item = io::Result<(Vec<u8>, u64)>>>;

/// First bytes of a file of word counts.
const MAGIC: &[u8; 8] = b"BPEWORDS";

/// Writes words and their counts: `BPEWORDS`, then for each its length as u32, its bytes, its count as u64.
///
/// # Errors
/// When the sink fails.
pub fn write_words<'w>(words: impl Iterator<Item = (&'w [u8], u64)>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(MAGIC)?;
    for (word, count) in words {
        to.write_all(&(word.len() as u32).to_le_bytes())?;
        to.write_all(word)?;
        to.write_all(&count.to_le_bytes())?;
    }
    Ok(())
}

/// Reads what [`write_words`] wrote. Words may come in any order, and more than once.
///
/// # Errors
/// When the file is not one of word counts, or breaks off.
pub fn read_words(from: impl Read) -> io::Result<WordCounts> {
    let mut counts = WordCounts::new();
    for word in WordRecords(from) {
        let (word, count) = word?;
        counts.add(&word, count);
    }
    Ok(counts)
}

/// The words of a file one by one, after its magic number.
struct WordRecords<R>(R);

impl<R: Read> WordRecords<R> {
    fn read(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut four = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.0.read(&mut four[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => have += n,
            }
        }
        if four == MAGIC[..4] {
            // Only the start of the file is allocated: no word is a gigabyte long.
            self.0.read_exact(&mut four)?;
            return if four == MAGIC[4..] { self.read() } else { Err(invalid("not a file of word counts")) };
        }
        let len = u32::from_le_bytes(four);
        let mut word = Vec::new();
        self.0.by_ref().take(u64::from(len)).read_to_end(&mut word)?;
        if word.len() < len as usize || word.is_empty() {
            return Err(invalid("the file of word counts breaks off, or is none"));
        }
        let mut count = [0; 8];
        self.0.read_exact(&mut count)?;
        Ok(Some((word, u64::from_le_bytes(count))))
    }
}

impl<R: Read> Iterator for WordRecords<R> {
    type Item = io::Result<(Vec<u8>, u64)>;

    fn next(&mut self) -> Option<io::Result<(Vec<u8>, u64)>> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::twin;

    fn expected(texts: &[String]) -> Vec<(Vec<u8>, u64)> {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for pretoken in texts.iter().flat_map(|text| twin::pretokens(text)) {
            *counts.entry(pretoken.as_bytes().to_vec()).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    proptest! {
        #[test]
        fn counts_are_those_of_the_twin(texts in proptest::collection::vec("([ \\n]?[a-eé]{1,18}){0,40}", 0..6)) {
            let expected = expected(&texts);
            let mut counts = WordCounts::new();
            texts.iter().for_each(|text| counts.add_text(text));
            prop_assert_eq!(counts.len(), expected.len());

            let mut file = Vec::new();
            let sorted = counts.clone().into_sorted();
            write_words(sorted.iter().map(|(word, count)| (word.as_slice(), *count)), &mut file).unwrap();
            prop_assert_eq!(read_words(&file[..]).unwrap().into_sorted(), expected.clone());
            if file.len() > 8 {
                prop_assert!(read_words(&file[..file.len() - 1]).is_err());
            }

            // Every text exceeds so little memory, so each is a run of its own.
            let mut sets = vec![SpillingCounts::new(0), SpillingCounts::new(usize::MAX)];
            for (number, text) in texts.iter().enumerate() {
                sets[number % 2].add_text(text).unwrap();
            }
            prop_assert_eq!(SpillingCounts::into_sorted(sets).unwrap(), expected);
            prop_assert_eq!(counts.into_sorted(), sorted);
        }
    }

    #[test]
    fn a_table_grows() {
        let mut counts = WordCounts::new();
        for i in 0..30_000u32 {
            counts.add(format!("w{}", i % 10_000).as_bytes(), 2);
        }
        let sorted = counts.into_sorted();
        assert_eq!(sorted.len(), 10_000);
        assert!(sorted.iter().all(|&(_, count)| count == 6));
    }
}
