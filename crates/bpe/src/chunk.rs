//! The encoder's inner loop: pretokens in chunks, looked up together, and merged where no cache has them.

use std::ops::Range;

use crate::TokenId;
use crate::long_pretoken_cache::LongPretokenCache;
use crate::merge_unknown::MergeUnknown;
use crate::model::Model;
use crate::pattern::KnownPattern;
use crate::pretoken_cache::{Buckets, Key, MAX_CACHED_BYTES, MAX_CACHED_IDS};
use crate::pretokenize::{BLOCK_BYTES, Visitor, visit};
use crate::scan::Scanner;
use crate::simd::{Kernel, WithKernel, with_kernel};

/// Pretokens that are looked up together: while the bucket of one is loaded from memory, those of the others are
/// prefetched. Their working data fits into the L1 cache.
pub(crate) const CHUNK_PRETOKENS: usize = 512;
/// Maximum number of pretokens of a block.
const BLOCK_PRETOKENS: usize = 64;

/// Pretokens that are being encoded: the scratch space of one encoder.
pub(crate) struct Chunk {
    len: usize,
    /// The pretokens that have a key.
    keys: [Key; CHUNK_PRETOKENS],
    /// Their buckets; [`LONG`] for a pretoken without a key.
    buckets: [u32; CHUNK_PRETOKENS],
    /// Ids of the pretokens that were found, at fixed intervals.
    found: [u32; CHUNK_PRETOKENS * MAX_CACHED_IDS],
    /// Pretokens without a key: their byte ranges in the text.
    pub(crate) long: Vec<Range<usize>>,
    /// Pretokens that are not cached, in order.
    pub(crate) unknown: Vec<Unknown>,
    /// Their ids, in any order.
    pub(crate) made: Vec<u32>,
}

/// Instead of a bucket: the pretoken is too long for a key.
pub(crate) const LONG: u32 = u32::MAX;

/// A pretoken that is not cached.
#[derive(Clone, Default)]
pub(crate) struct Unknown {
    pub(crate) key: Key,
    pub(crate) bucket: u32,
    /// Ids that were found before this pretoken.
    found_before: usize,
    /// Where its ids are in `made`.
    pub(crate) ids: Range<usize>,
}

impl Chunk {
    pub(crate) fn new() -> Box<Chunk> {
        Box::new(Chunk {
            len: 0,
            keys: [Key::default(); CHUNK_PRETOKENS],
            buckets: [0; CHUNK_PRETOKENS],
            found: [0; CHUNK_PRETOKENS * MAX_CACHED_IDS],
            long: Vec::new(),
            unknown: Vec::new(),
            made: Vec::new(),
        })
    }
}

/// Where the pretokens of a text are.
pub(crate) enum Pretokens<'e> {
    /// Where a scanner finds them.
    Pattern(KnownPattern, &'e str),
    /// At these places.
    Ranges(&'e [Range<usize>]),
}

pub(crate) struct EncodeText<'e, S> {
    pub(crate) model: &'e Model,
    pub(crate) buckets: Buckets<'e>,
    pub(crate) long_cache: &'e mut LongPretokenCache,
    pub(crate) chunk: &'e mut Chunk,
    pub(crate) text: &'e [u8],
    pub(crate) pretokens: Pretokens<'e>,
    pub(crate) sink: &'e mut S,
}

impl<S: IdSink> WithKernel for EncodeText<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        match self.pretokens {
            Pretokens::Pattern(KnownPattern::Gpt2, text) => visit::<K>(text, &mut self),
            Pretokens::Pattern(pattern, text) => {
                let (scanner, mut at) = (Scanner::new(text), 0);
                while at < text.len() {
                    let end = scanner.end(pattern, at);
                    self.single(at, &text.as_bytes()[at..end]);
                    at = end;
                }
            }
            Pretokens::Ranges(ranges) => {
                ranges.iter().for_each(|range| self.single(range.start, &self.text[range.clone()]));
            }
        }
        self.encode_chunk();
    }
}

impl<S: IdSink> Visitor for EncodeText<'_, S> {
    /// Adds the pretokens of a block and prefetches their buckets.
    #[inline(always)]
    fn block(&mut self, at: usize, block: &[u8; BLOCK_BYTES], mut ends: u64) {
        let mut start = 0;
        while ends != 0 {
            let end = ends.trailing_zeros() as usize;
            ends &= ends - 1;
            let len = end - start;
            if len <= MAX_CACHED_BYTES {
                let from = block[start..].first_chunk::<16>().expect("a block has 16 bytes behind its 64");
                self.push(Key::of(*from, len));
            } else {
                self.push_long(at + start..at + end);
            }
            start = end;
        }
        self.encode_full_chunk();
    }

    #[inline(never)]
    fn single(&mut self, at: usize, pretoken: &[u8]) {
        if pretoken.len() <= MAX_CACHED_BYTES {
            self.push(Key::of_pretoken(pretoken));
        } else {
            self.push_long(at..at + pretoken.len());
        }
        self.encode_full_chunk();
    }
}

impl<S: IdSink> EncodeText<'_, S> {
    #[inline(always)]
    fn push(&mut self, key: Key) {
        let bucket = self.buckets.bucket_of(key);
        self.buckets.prefetch(bucket);
        let place = self.chunk.len % CHUNK_PRETOKENS;
        self.chunk.keys[place] = key;
        self.chunk.buckets[place] = bucket;
        self.chunk.len += 1;
    }

    #[cold]
    fn push_long(&mut self, bytes: Range<usize>) {
        self.chunk.buckets[self.chunk.len % CHUNK_PRETOKENS] = LONG;
        self.chunk.len += 1;
        self.chunk.long.push(bytes);
    }

    #[inline(always)]
    fn encode_full_chunk(&mut self) {
        if self.chunk.len > CHUNK_PRETOKENS - BLOCK_PRETOKENS {
            self.encode_chunk();
        }
    }

    /// Looks up the pretokens of the chunk, merges those that are not cached, and passes on all ids in order.
    fn encode_chunk(&mut self) {
        let Chunk { len, keys, buckets, found, unknown, .. } = &mut *self.chunk;
        let mut ids = 0;
        for (&key, &bucket) in keys.iter().zip(&*buckets).take(*len) {
            let to = found[ids..].first_chunk_mut().expect("room for four ids a pretoken");
            let known = if bucket == LONG { None } else { self.buckets.find(key, bucket) };
            match known {
                Some((four, count)) => {
                    // All four are copied: branching on their number would be mispredicted.
                    *to = *four;
                    ids += count;
                }
                None => unknown.push(Unknown { key, bucket, found_before: ids, ids: 0..0 }),
            }
        }
        *len = 0;
        if self.chunk.unknown.is_empty() {
            return self.sink.take(&self.chunk.found[..ids]);
        }
        self.merge_unknown();
        let Chunk { found, long, unknown, made, .. } = &mut *self.chunk;
        let mut taken = 0;
        for unknown in unknown.drain(..) {
            self.sink.take(&found[taken..unknown.found_before]);
            self.sink.take(&made[unknown.ids]);
            taken = unknown.found_before;
        }
        self.sink.take(&found[taken..ids]);
        made.clear();
        long.clear();
    }

    #[cold]
    #[inline(never)]
    fn merge_unknown(&mut self) {
        let EncodeText { model, buckets, long_cache, chunk, text, .. } = self;
        with_kernel(MergeUnknown { model, buckets, long_cache, chunk, text });
    }
}

/// A sink of ids, which collects or counts them.
pub(crate) trait IdSink {
    /// Takes the next ids of the text.
    fn take(&mut self, ids: &[u32]);
}

pub(crate) struct Count(pub(crate) u64);

impl IdSink for Count {
    #[inline(always)]
    fn take(&mut self, ids: &[u32]) {
        self.0 += ids.len() as u64;
    }
}

impl IdSink for Vec<TokenId> {
    #[inline(always)]
    fn take(&mut self, ids: &[u32]) {
        self.extend_from_slice(bytemuck::cast_slice(ids));
    }
}
