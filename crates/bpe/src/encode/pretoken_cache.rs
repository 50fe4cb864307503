//! The pretoken cache: pretokens that occurred before, with their ids. It grows to 16 MiB at most.
//!
//! Nine in ten pretokens of a text are among a few thousand that are repeated often. A pretoken of at most 15 bytes
//! belongs to a bucket, by its hash: one cache line with room for two entries. A new pretoken takes the second place,
//! and one that is found in the second place is swapped with the first. So frequent ones stay.

use bytemuck::Zeroable;

use super::cached_id::IdBytes;
use crate::simd::prefetch;

/// Longest pretoken that is cached, in bytes: 15, and their number in the sixteenth byte.
pub(crate) const MAX_CACHED_BYTES: usize = 15;
/// Buckets of a new cache: 2¹⁶ × 64 bytes = 4 MiB. A larger one takes the system longer to clear.
const INITIAL_BUCKETS: usize = 1 << 16;
/// Buckets of the largest cache: 2¹⁸ × 64 bytes = 16 MiB.
const MAX_BUCKETS: usize = 1 << 18;
/// Bit position of a pretoken's length in a key: the low half of its last byte.
const LEN_SHIFT: u32 = 56;
/// Bit position of the number of ids in an entry's key: the high half of its last byte.
const COUNT_SHIFT: u32 = 60;

/// A pretoken of at most 15 bytes: its bytes, zeros, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Zeroable, bytemuck::Pod)]
#[repr(C)]
pub(crate) struct Key {
    low: u64,
    high: u64,
}

/// A pretoken and its ids.
#[derive(Clone, Copy, Zeroable, bytemuck::Pod)]
#[repr(C)]
struct Entry {
    /// The key, and the number of ids in the high half of its last byte; 0 for no entry.
    key: Key,
    ids: IdBytes,
}

#[derive(Clone, Copy, Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Bucket([Entry; 2]);

/// The cache of one encoder.
pub(crate) struct PretokenCache {
    bytes: memmap2::MmapMut,
    /// Insertions since the cache had this size.
    inserted: usize,
}

/// The buckets of a cache, borrowed while a text is encoded.
pub(crate) struct Buckets<'w> {
    buckets: &'w mut [Bucket],
    shift: u32,
    inserted: &'w mut usize,
}

impl PretokenCache {
    /// An empty cache.
    pub(crate) fn new() -> PretokenCache {
        PretokenCache::with_buckets(INITIAL_BUCKETS)
    }

    /// Memory for this many buckets, in huge pages if the system has them.
    fn with_buckets(buckets: usize) -> PretokenCache {
        let bytes = memmap2::MmapMut::map_anon(buckets * size_of::<Bucket>()).expect("room for 16 MiB");
        #[cfg(target_os = "linux")]
        // Refused if the kernel has none; normal pages work as well.
        let _ = bytes.advise(memmap2::Advice::HugePage);
        PretokenCache { bytes, inserted: 0 }
    }

    /// A copy with all entries.
    pub(crate) fn copy(&self) -> PretokenCache {
        let mut copy = PretokenCache::with_buckets(self.bytes.len() / size_of::<Bucket>());
        copy.bytes.copy_from_slice(&self.bytes);
        copy.inserted = self.inserted;
        copy
    }

    /// Grows to four times the size, up to the maximum, when more was inserted than fits.
    pub(crate) fn grow_if_crowded(&mut self) {
        let buckets = self.bytes.len() / size_of::<Bucket>();
        if buckets == MAX_BUCKETS || self.inserted < 2 * buckets {
            return;
        }
        let mut larger = PretokenCache::with_buckets(4 * buckets);
        let mut to = larger.buckets();
        for Bucket([first, second]) in self.buckets().buckets {
            for Entry { key, ids } in [first, second] {
                let (key, count) = key.without_count();
                if count > 0 {
                    to.insert(key, to.bucket_of(key), *ids, count);
                }
            }
        }
        larger.inserted = 0;
        *self = larger;
    }

    #[inline]
    pub(crate) fn buckets(&mut self) -> Buckets<'_> {
        let buckets: &mut [Bucket] = bytemuck::cast_slice_mut(&mut self.bytes);
        let shift = 64 - buckets.len().trailing_zeros();
        Buckets { buckets, shift, inserted: &mut self.inserted }
    }
}

impl Key {
    /// The key of a free entry.
    pub(crate) const NONE: Key = Key { low: 0, high: 0 };

    /// The key of the first `len` of 16 bytes. Copying a variable length would cost more than masking, since its branch
    /// is mispredicted.
    #[inline(always)]
    pub(crate) fn of(from: [u8; 16], len: usize) -> Key {
        let [low, high] = MASKS[len & MAX_CACHED_BYTES];
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = from;
        Key {
            low: u64::from_le_bytes([a, b, c, d, e, f, g, h]) & low,
            high: u64::from_le_bytes([i, j, k, l, m, n, o, p]) & high | (len as u64) << LEN_SHIFT,
        }
    }

    /// The key of a pretoken of at most 15 bytes.
    ///
    /// # Panics
    /// When the pretoken is longer than 16 bytes.
    pub(crate) fn of_pretoken(pretoken: &[u8]) -> Key {
        let mut from = [0; 16];
        from[..pretoken.len()].copy_from_slice(pretoken);
        Key::of(from, pretoken.len())
    }

    /// The key of the pretoken in the first `len` of 16 bytes.
    #[inline(always)]
    pub(crate) fn bytes(self) -> ([u8; 16], usize) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.low.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        (bytes, (self.high >> LEN_SHIFT) as usize & MAX_CACHED_BYTES)
    }

    /// The key of the pretoken of at most 15 bytes that begins at `at` of a text.
    #[inline(always)]
    pub(crate) fn at(text: &[u8], at: usize, len: usize) -> Key {
        match text[at..].first_chunk::<16>() {
            Some(from) => Key::of(*from, len),
            None => Key::of_pretoken(&text[at..at + len]),
        }
    }

    /// A hash whose top bits are evenly distributed: multilinear, with two odd multipliers.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        let low = self.low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        low.wrapping_add(self.high.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
    }

    /// A hash for another table, whose upper half is evenly distributed.
    #[inline(always)]
    pub(crate) fn other_hash(self) -> u64 {
        self.hash().rotate_left(32) ^ self.hash()
    }

    /// The key of an entry as [`Key::of`] makes it, and the number of ids of the entry; 0 for a free one.
    fn without_count(self) -> (Key, usize) {
        let count = self.high >> COUNT_SHIFT;
        (Key { high: self.high & !(!0 << COUNT_SHIFT), ..self }, count as usize)
    }
}

impl Buckets<'_> {
    /// The number of the bucket that a pretoken belongs to.
    #[inline(always)]
    pub(crate) fn bucket_of(&self, key: Key) -> u32 {
        (key.hash() >> self.shift) as u32
    }

    /// Prefetches a bucket.
    #[inline(always)]
    pub(crate) fn prefetch(&self, bucket: u32) {
        prefetch(&self.buckets[bucket as usize]);
    }

    /// The ids of a pretoken and their number, if its bucket has it; the ids after that number are undefined.
    #[inline(always)]
    pub(crate) fn find(&mut self, key: Key, bucket: u32) -> Option<(&IdBytes, usize)> {
        let Bucket([first, second]) = &mut self.buckets[bucket as usize];
        if !first.has(key) {
            if !second.has(key) {
                return None;
            }
            std::mem::swap(first, second);
        }
        Some((&first.ids, (first.key.high >> COUNT_SHIFT) as usize))
    }

    /// Inserts a pretoken into its bucket, in the second place unless the first is free.
    #[inline(always)]
    pub(crate) fn insert(&mut self, key: Key, bucket: u32, ids: IdBytes, count: usize) {
        let Bucket([first, second]) = &mut self.buckets[bucket as usize];
        let key = Key { high: key.high | (count as u64) << COUNT_SHIFT, ..key };
        *if first.key == Key::NONE { first } else { second } = Entry { key, ids };
        *self.inserted += 1;
    }
}

impl Entry {
    #[inline(always)]
    fn has(&self, key: Key) -> bool {
        // What is shifted out is the number of ids.
        (self.key.low ^ key.low) | (self.key.high ^ key.high) << (64 - COUNT_SHIFT) == 0
    }
}

/// Masks for 16 bytes that begin with a pretoken, by its length.
static MASKS: [[u64; 2]; MAX_CACHED_BYTES + 1] = {
    let mut masks = [[0; 2]; MAX_CACHED_BYTES + 1];
    let mut len = 0;
    while len <= MAX_CACHED_BYTES {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = [mask as u64, (mask >> 64) as u64];
        len += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Key {
        let mut from = [0xff; 16];
        from[..word.len()].copy_from_slice(word.as_bytes());
        Key::of(from, word.len())
    }

    #[test]
    fn a_key_holds_its_pretoken() {
        for word in ["", "a", " tide", "eight by", "\0\0", "fifteen bytes !"] {
            let (bytes, len) = key(word).bytes();
            assert_eq!(&bytes[..len], word.as_bytes());
        }
        assert_ne!(key("a"), key("a\0"));
    }

    #[test]
    fn a_crowded_cache_grows_and_keeps_its_entries() {
        let mut cache = PretokenCache::new();
        for i in 0..2 * INITIAL_BUCKETS as u32 {
            let mut buckets = cache.buckets();
            let key = key(&format!("w{i}"));
            buckets.insert(key, buckets.bucket_of(key), [i; 4], 3);
        }
        let before = cache.bytes.len();
        let held = |cache: &mut PretokenCache| {
            let mut buckets = cache.buckets();
            (0..2 * INITIAL_BUCKETS as u32)
                .filter(|i| {
                    let key = key(&format!("w{i}"));
                    let bucket = buckets.bucket_of(key);
                    buckets.find(key, bucket).is_some_and(|found| found == (&[*i; 4], 3))
                })
                .count()
        };
        let kept = held(&mut cache);
        cache.grow_if_crowded();
        assert_eq!((cache.bytes.len(), held(&mut cache)), (4 * before, kept));
        cache.grow_if_crowded();
        assert_eq!(cache.bytes.len(), 4 * before);
    }

    #[test]
    fn of_three_pretokens_in_a_bucket_the_one_met_again_stays() {
        let mut cache = PretokenCache::new();
        let mut buckets = cache.buckets();
        let [a, b, c] = ["a", "b", "c"].map(key);
        assert!(buckets.find(a, 7).is_none());
        buckets.insert(a, 7, [1; 4], 1);
        buckets.insert(b, 7, [2, 3, 0, 0], 2);
        assert_eq!(buckets.find(b, 7), Some((&[2, 3, 0, 0], 2)));
        buckets.insert(c, 7, [4, 5, 6, 7], 4);
        assert!(buckets.find(a, 7).is_none());
        assert_eq!(buckets.find(c, 7), Some((&[4, 5, 6, 7], 4)));
        assert_eq!(buckets.find(b, 7), Some((&[2, 3, 0, 0], 2)));
    }
}
