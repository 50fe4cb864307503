//! The memory of pretokens that the memory of words has no room for: longer ones, and those of many ids.
//!
//! In scripts that GPT-2's vocabulary knows little of, most words are of this kind. What is remembered is let
//! go all at once when there is too much of it.

use xxhash_rust::xxh3::xxh3_64;

/// Longest pretoken that is remembered: longer ones hardly come again.
pub(crate) const LONG_MAX_BYTES: usize = 64;
/// Pretokens that are remembered; the table of their places is twice as long.
const ENTRIES_AT_MOST: usize = 1 << 16;
/// Bytes, and ids, of all of them.
const ARENA_AT_MOST: usize = 1 << 20;

/// Pretokens and their ids. At most some 6 MiB.
#[derive(Default, Clone)]
pub(crate) struct LongWords {
    /// Number of an entry and 1, by its hash; 0 for none. Empty as long as nothing was remembered.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    ids: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    /// Where its bytes and its ids end; they begin where those of the entry before end.
    bytes_end: u32,
    ids_end: u32,
}

impl LongWords {
    fn entry(&self, number: usize) -> (&[u8], &[u32]) {
        let before = number.checked_sub(1).map_or((0, 0), |n| (self.entries[n].bytes_end, self.entries[n].ids_end));
        let Entry { bytes_end, ids_end, .. } = self.entries[number];
        (&self.bytes[before.0 as usize..bytes_end as usize], &self.ids[before.1 as usize..ids_end as usize])
    }

    /// The ids of a pretoken, if it is remembered.
    pub(crate) fn find(&self, word: &[u8]) -> Option<&[u32]> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = xxh3_64(word);
        let mut slot = hash as usize % self.slots.len();
        loop {
            let number = self.slots[slot].checked_sub(1)? as usize;
            if self.entries[number].hash == hash {
                let (bytes, ids) = self.entry(number);
                if bytes == word {
                    return Some(ids);
                }
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    /// Remembers a pretoken that is not remembered yet.
    pub(crate) fn remember(&mut self, word: &[u8], ids: &[u32]) {
        if self.slots.is_empty() {
            self.slots = vec![0; 2 * ENTRIES_AT_MOST];
        }
        let crowded = self.bytes.len() + word.len() > ARENA_AT_MOST || self.ids.len() + ids.len() > ARENA_AT_MOST;
        if self.entries.len() == ENTRIES_AT_MOST || crowded {
            self.slots.fill(0);
            self.entries.clear();
            self.bytes.clear();
            self.ids.clear();
        }
        let hash = xxh3_64(word);
        let mut slot = hash as usize % self.slots.len();
        while self.slots[slot] != 0 {
            slot = (slot + 1) % self.slots.len();
        }
        self.bytes.extend_from_slice(word);
        self.ids.extend_from_slice(ids);
        let (bytes_end, ids_end) = (self.bytes.len() as u32, self.ids.len() as u32);
        self.entries.push(Entry { hash, bytes_end, ids_end });
        self.slots[slot] = self.entries.len() as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_until_there_is_too_much() {
        let mut words = LongWords::default();
        let word = |i: usize| format!("a word of some length {i}").into_bytes();
        assert!(words.find(&word(0)).is_none());
        for i in 0..2 * ENTRIES_AT_MOST {
            words.remember(&word(i), &[i as u32, 7, 7, 7, 7]);
            assert_eq!(words.find(&word(i)), Some(&[i as u32, 7, 7, 7, 7][..]));
            assert!(words.bytes.len() <= ARENA_AT_MOST && words.entries.len() <= ENTRIES_AT_MOST);
        }
        let found = (0..2 * ENTRIES_AT_MOST).filter(|&i| words.find(&word(i)).is_some()).count();
        assert_eq!(found, words.entries.len());
    }
}
