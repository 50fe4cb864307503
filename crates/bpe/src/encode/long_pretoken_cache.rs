//! The cache of pretokens that do not fit into the first one: longer ones, and those of many ids.
//!
//! In scripts for which a vocabulary has few tokens, most cached pretokens are of this kind. The cache is emptied when it
//! is full.

use super::cached_id::CachedId;
use crate::simd::prefetch;

/// Longest pretoken that is cached, in bytes: a clause of Chinese or Japanese is one pretoken.
pub(crate) const MAX_LONG_BYTES: usize = u8::MAX as usize;
/// Maximum number of pretokens in the cache; the hash table has twice as many slots.
const MAX_ENTRIES: usize = 1 << 17;
/// Slots of a cache into which something was inserted.
const INITIAL_SLOTS: usize = 1 << 12;
/// Maximum number of bytes of all records.
const MAX_RECORD_BYTES: usize = 1 << 23;
/// Bytes of a record before its pretoken: its length, and the number of its ids.
const HEAD_BYTES: usize = 2;

/// Pretokens and their ids. At most some 10 MiB.
#[derive(Default, Clone)]
pub(crate) struct LongPretokenCache {
    /// By hash: half of the hash, and where the record begins; 0 for none. Empty until something is inserted.
    slots: Vec<u64>,
    entries: usize,
    /// Records: length of the pretoken, number of ids, pretoken, ids.
    records: Vec<u8>,
}

/// A hash of a pretoken of at least eight bytes.
#[inline(always)]
pub(crate) fn hash_of(pretoken: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = pretoken.len() as u64;
    let (words, _) = pretoken.as_chunks::<8>();
    for word in words.iter().chain(pretoken.last_chunk::<8>()) {
        hash = (hash.rotate_left(27) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
    }
    hash
}

impl LongPretokenCache {
    /// Prefetches the slot of a pretoken.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(hash)) {
            prefetch(slot);
        }
    }

    /// Prefetches what the slot of a pretoken says.
    #[inline(always)]
    pub(crate) fn prefetch_record(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(hash))
            && let Some(record) = self.records.get(*slot as u32 as usize)
        {
            prefetch(record);
        }
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        // The upper half is in the slot, so that the slots can grow without the pretokens.
        (hash >> 32) as usize & self.slots.len().wrapping_sub(1)
    }

    /// Appends the ids of a pretoken to `ids` if they are cached.
    #[inline(always)]
    pub(crate) fn find<I: CachedId>(&self, hash: u64, pretoken: &[u8], ids: &mut Vec<I>) -> bool {
        let Some(record) = self.record_of(hash, pretoken) else { return false };
        let record = &self.records[record..];
        let (count, start) = (usize::from(record[1]), HEAD_BYTES + pretoken.len());
        let of_ids = &record[start..start + count * size_of::<I>()];
        ids.extend(of_ids.chunks_exact(size_of::<I>()).map(bytemuck::pod_read_unaligned::<I>));
        true
    }

    /// Whether a pretoken is cached.
    #[inline(always)]
    pub(crate) fn has(&self, hash: u64, pretoken: &[u8]) -> bool {
        self.record_of(hash, pretoken).is_some()
    }

    /// Where the record of a pretoken begins.
    #[inline(always)]
    fn record_of(&self, hash: u64, pretoken: &[u8]) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut place = self.home(hash);
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash >> 32 {
                let record = &self.records[slot as u32 as usize..];
                let len = usize::from(record[0]);
                if &record[HEAD_BYTES..HEAD_BYTES + len] == pretoken {
                    return Some(slot as u32 as usize);
                }
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    /// Puts a slot's content into the first free slot from its home on.
    #[inline(always)]
    fn put(&mut self, content: u64) {
        let mut place = self.home(content);
        while self.slots[place] != 0 {
            place = (place + 1) & (self.slots.len() - 1);
        }
        self.slots[place] = content;
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![0; (4 * self.slots.len()).max(INITIAL_SLOTS)];
        let slots = std::mem::replace(&mut self.slots, larger);
        slots.into_iter().filter(|&content| content != 0).for_each(|content| self.put(content));
    }

    /// Inserts a pretoken of at most [`MAX_LONG_BYTES`] that is not cached yet.
    pub(crate) fn insert<I: CachedId>(&mut self, hash: u64, pretoken: &[u8], ids: &[I]) {
        if 2 * self.entries >= self.slots.len() && self.entries < MAX_ENTRIES {
            self.grow();
        }
        if self.entries == MAX_ENTRIES || self.records.len() > MAX_RECORD_BYTES {
            self.slots.fill(0);
            self.records.clear();
            self.entries = 0;
        }
        if self.records.is_empty() {
            // No record begins at 0, which says that there is none.
            self.records.push(0);
        }
        self.put(hash >> 32 << 32 | self.records.len() as u64);
        self.records.extend([pretoken.len() as u8, ids.len() as u8]);
        self.records.extend_from_slice(pretoken);
        self.records.extend_from_slice(bytemuck::cast_slice(ids));
        self.entries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inserted_is_found_until_the_cache_is_full() {
        let mut cache = LongPretokenCache::default();
        let pretoken = |i: usize| format!("a pretoken of some length {i}").into_bytes();
        let find = |cache: &LongPretokenCache, pretoken: &[u8]| {
            let mut ids: Vec<u32> = vec![1];
            cache.find(hash_of(pretoken), pretoken, &mut ids).then_some(ids)
        };
        assert_eq!(find(&cache, &pretoken(0)), None);
        for i in 0..2 * MAX_ENTRIES {
            let pretoken = pretoken(i);
            cache.insert(hash_of(&pretoken), &pretoken, &[i as u32, 7, 7, 7, 7]);
            assert_eq!(find(&cache, &pretoken), Some(vec![1, i as u32, 7, 7, 7, 7]));
            assert!(cache.records.len() <= MAX_RECORD_BYTES + 1024 && cache.entries <= MAX_ENTRIES);
        }
        let found = (0..2 * MAX_ENTRIES).filter(|&i| find(&cache, &pretoken(i)).is_some()).count();
        assert_eq!(found, cache.entries);
    }

    #[test]
    fn hashes_differ() {
        let mut hashes: Vec<u64> = (0..100_000).map(|i| hash_of(format!("pretoken {i}").as_bytes())).collect();
        hashes.iter_mut().for_each(|hash| *hash >>= 32);
        hashes.sort_unstable();
        hashes.dedup();
        assert!(hashes.len() > 99_980, "{} of 100,000", hashes.len());
    }
}
