//! The cache of pretokens that do not fit into the first one: longer ones, and those of many ids.
//!
//! In scripts for which GPT-2's vocabulary has few tokens, most cached pretokens are of this kind. The cache is emptied
//! when it is full.

use xxhash_rust::xxh3::xxh3_64;

/// Longest pretoken that is cached, in bytes: longer ones are rarely repeated.
pub(crate) const MAX_LONG_BYTES: usize = 64;
/// Maximum number of pretokens in the cache; the hash table has twice as many slots.
const MAX_ENTRIES: usize = 1 << 16;
/// Maximum number of bytes of all pretokens, and of ids.
const MAX_ARENA_LEN: usize = 1 << 20;

/// Pretokens and their ids. At most some 6 MiB.
#[derive(Default, Clone)]
pub(crate) struct LongPretokenCache {
    /// Index of an entry plus 1, by its hash; 0 for none. Empty until something is inserted.
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

impl LongPretokenCache {
    fn entry(&self, number: usize) -> (&[u8], &[u32]) {
        let before = number.checked_sub(1).map_or((0, 0), |n| (self.entries[n].bytes_end, self.entries[n].ids_end));
        let Entry { bytes_end, ids_end, .. } = self.entries[number];
        (&self.bytes[before.0 as usize..bytes_end as usize], &self.ids[before.1 as usize..ids_end as usize])
    }

    /// The ids of a pretoken, if they are cached.
    pub(crate) fn find(&self, pretoken: &[u8]) -> Option<&[u32]> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = xxh3_64(pretoken);
        let mut slot = hash as usize % self.slots.len();
        loop {
            let number = self.slots[slot].checked_sub(1)? as usize;
            if self.entries[number].hash == hash {
                let (bytes, ids) = self.entry(number);
                if bytes == pretoken {
                    return Some(ids);
                }
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    /// Inserts a pretoken that is not cached yet.
    pub(crate) fn insert(&mut self, pretoken: &[u8], ids: &[u32]) {
        if self.slots.is_empty() {
            self.slots = vec![0; 2 * MAX_ENTRIES];
        }
        let crowded = self.bytes.len() + pretoken.len() > MAX_ARENA_LEN || self.ids.len() + ids.len() > MAX_ARENA_LEN;
        if self.entries.len() == MAX_ENTRIES || crowded {
            self.slots.fill(0);
            self.entries.clear();
            self.bytes.clear();
            self.ids.clear();
        }
        let hash = xxh3_64(pretoken);
        let mut slot = hash as usize % self.slots.len();
        while self.slots[slot] != 0 {
            slot = (slot + 1) % self.slots.len();
        }
        self.bytes.extend_from_slice(pretoken);
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
    fn what_is_inserted_is_found_until_the_cache_is_full() {
        let mut cache = LongPretokenCache::default();
        let pretoken = |i: usize| format!("a pretoken of some length {i}").into_bytes();
        assert!(cache.find(&pretoken(0)).is_none());
        for i in 0..2 * MAX_ENTRIES {
            cache.insert(&pretoken(i), &[i as u32, 7, 7, 7, 7]);
            assert_eq!(cache.find(&pretoken(i)), Some(&[i as u32, 7, 7, 7, 7][..]));
            assert!(cache.bytes.len() <= MAX_ARENA_LEN && cache.entries.len() <= MAX_ENTRIES);
        }
        let found = (0..2 * MAX_ENTRIES).filter(|&i| cache.find(&pretoken(i)).is_some()).count();
        assert_eq!(found, cache.entries.len());
    }
}
