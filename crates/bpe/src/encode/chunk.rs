//! The encoder's inner loop: pretokens in chunks, looked up together, and merged where no cache has them.

use std::ops::Range;

use super::cached_id::{CachedId, entry_of};
use super::canonical::PairMemo;
use super::long_pretoken_cache::{LongPretokenCache, MAX_LONG_BYTES, hash_of};
use super::model::{Merging, Model};
use super::pretoken_cache::{Buckets, Key, MAX_CACHED_BYTES};
use super::side_by_side::{MAX_SHORT_BYTES, ShortWord, merge_side_by_side};
use crate::TokenId;
use crate::simd::{Kernel, WithKernel, with_kernel};
use crate::split::borders::{BLOCK_BYTES, Visitor, visit};
use crate::split::pattern::KnownPattern;
use crate::tokens::IdWidth;

/// Pretokens that are looked up together: while the bucket of one is loaded from memory, those of the others are
/// prefetched. Their working data fits into the L1 cache.
pub(crate) const CHUNK_PRETOKENS: usize = 512;
/// Maximum number of pretokens of a block.
const BLOCK_PRETOKENS: usize = 64;
/// Longest word that is merged in pieces; longer ones are encoded from left to right.
const MAX_PIECED_BYTES: usize = 1024;

/// Pretokens that are being encoded: the scratch space of one encoder.
pub(crate) struct Chunk<I> {
    len: usize,
    /// The pretokens that have a key.
    keys: [Key; CHUNK_PRETOKENS],
    /// Their buckets; [`LONG`] for a pretoken without a key.
    buckets: [u32; CHUNK_PRETOKENS],
    /// Pretokens without a key.
    long: Vec<LongPretoken>,
    /// Ids of the pretokens that were found in their buckets.
    found: Box<[I]>,
    /// Pretokens that were not, in order.
    apart: Vec<Apart>,
    /// Their ids, in any order.
    ids_apart: Vec<I>,
    /// What is to be merged, and the number of its pretoken among those apart.
    pieces: Vec<(ShortWord, usize)>,
    /// The merged ids of each piece.
    merged: Vec<u32>,
    merged_of_piece: Vec<Range<usize>>,
    /// Those of one pretoken.
    joined: Vec<u32>,
    memo: PairMemo,
}

/// Instead of a bucket: the pretoken is too long for a key.
const LONG: u32 = u32::MAX;

/// A pretoken that is too long for a key: its place in the text.
struct LongPretoken {
    bytes: Range<usize>,
    hash: u64,
}

/// A pretoken that its bucket does not have.
struct Apart {
    /// Ids that were found before this pretoken.
    found_before: usize,
    key: Key,
    bucket: u32,
    /// The pretoken, if it has no key.
    long: Option<LongPretoken>,
    /// Where its ids are in `ids_apart`.
    ids: Range<usize>,
}

impl<I: CachedId> Chunk<I> {
    pub(crate) fn new() -> Box<Chunk<I>> {
        Box::new(Chunk {
            len: 0,
            keys: [Key::NONE; CHUNK_PRETOKENS],
            buckets: [0; CHUNK_PRETOKENS],
            long: Vec::new(),
            found: vec![I::zeroed(); CHUNK_PRETOKENS * I::PER_ENTRY].into(),
            apart: Vec::new(),
            ids_apart: Vec::new(),
            pieces: Vec::new(),
            merged: Vec::new(),
            merged_of_piece: Vec::new(),
            joined: Vec::new(),
            memo: PairMemo::new(),
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

pub(crate) struct EncodeText<'e, I, S> {
    pub(crate) model: &'e Model,
    pub(crate) buckets: Buckets<'e>,
    pub(crate) long_cache: &'e mut LongPretokenCache,
    pub(crate) chunk: &'e mut Chunk<I>,
    pub(crate) text: &'e [u8],
    pub(crate) pretokens: Pretokens<'e>,
    pub(crate) sink: &'e mut S,
}

impl<I: CachedId, S: IdSink> WithKernel for EncodeText<'_, I, S> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        match self.pretokens {
            Pretokens::Pattern(pattern, text) => visit::<K>(pattern, text, &mut self),
            Pretokens::Ranges(ranges) => {
                ranges.iter().for_each(|range| self.single(range.start, &self.text[range.clone()]));
            }
        }
        self.encode_chunk();
    }
}

impl<I: CachedId, S: IdSink> Visitor for EncodeText<'_, I, S> {
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
            self.push(Key::at(self.text, at, pretoken.len()));
        } else {
            self.push_long(at..at + pretoken.len());
        }
        self.encode_full_chunk();
    }
}

impl<I: CachedId, S: IdSink> EncodeText<'_, I, S> {
    #[inline(always)]
    fn push(&mut self, key: Key) {
        let bucket = self.buckets.bucket_of(key);
        self.buckets.prefetch(bucket);
        let place = self.chunk.len % CHUNK_PRETOKENS;
        self.chunk.keys[place] = key;
        self.chunk.buckets[place] = bucket;
        self.chunk.len += 1;
    }

    #[inline(never)]
    fn push_long(&mut self, bytes: Range<usize>) {
        let mut hash = 0;
        if bytes.len() <= MAX_LONG_BYTES {
            hash = hash_of(&self.text[bytes.clone()]);
            self.long_cache.prefetch_slot(hash);
        }
        self.chunk.buckets[self.chunk.len % CHUNK_PRETOKENS] = LONG;
        self.chunk.len += 1;
        self.chunk.long.push(LongPretoken { bytes, hash });
    }

    #[inline(always)]
    fn encode_full_chunk(&mut self) {
        if self.chunk.len > CHUNK_PRETOKENS - BLOCK_PRETOKENS {
            self.encode_chunk();
        }
    }

    /// Looks up the pretokens of the chunk, merges those that are not cached, and passes on all ids in order.
    fn encode_chunk(&mut self) {
        let Chunk { len, keys, buckets, long, found, apart, .. } = &mut *self.chunk;
        long.iter().for_each(|long| self.long_cache.prefetch_record(long.hash));
        let mut long = long.drain(..);
        let mut ids = 0;
        for (&key, &bucket) in keys.iter().zip(&*buckets).take(*len) {
            let known = if bucket == LONG { None } else { self.buckets.find(key, bucket) };
            if let Some((entry, count)) = known {
                // All are copied: branching on their number would be mispredicted.
                I::copy_entry(entry, &mut found[ids..]);
                ids += count;
            } else {
                let long = if bucket == LONG { long.next() } else { None };
                apart.push(Apart { found_before: ids, key, bucket, long, ids: 0..0 });
            }
        }
        drop(long);
        *len = 0;
        if self.chunk.apart.is_empty() {
            return self.sink.take(&self.chunk.found[..ids]);
        }
        self.encode_apart();
        let Chunk { found, apart, ids_apart, .. } = &mut *self.chunk;
        let mut taken = 0;
        for Apart { found_before, ids, .. } in apart.drain(..) {
            self.sink.take(&found[taken..found_before]);
            self.sink.take(&ids_apart[ids]);
            taken = found_before;
        }
        self.sink.take(&found[taken..ids]);
        ids_apart.clear();
    }

    #[inline(never)]
    fn encode_apart(&mut self) {
        let EncodeText { model, buckets, long_cache, chunk, text, .. } = self;
        with_kernel(EncodeApart { model, buckets, long_cache, chunk, text });
    }
}

/// Encodes the pretokens that their buckets do not have. Compiled for each kernel, to use its instructions.
struct EncodeApart<'e, 'w, I> {
    model: &'e Model,
    buckets: &'e mut Buckets<'w>,
    long_cache: &'e mut LongPretokenCache,
    chunk: &'e mut Chunk<I>,
    text: &'e [u8],
}

impl<I: CachedId> WithKernel for EncodeApart<'_, '_, I> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        for number in 0..self.chunk.apart.len() {
            self.look_up_or_split(number);
        }
        let Chunk { pieces, merged, merged_of_piece, .. } = &mut *self.chunk;
        if let Some(merges) = self.model.merges() {
            merged_of_piece.resize(pieces.len(), 0..0);
            merge_side_by_side(merges, pieces.iter().map(|(word, _)| word), |number, ids, count| {
                merged_of_piece[number] = merged.len()..merged.len() + count;
                merged.extend_from_slice(&ids[..count]);
            });
        }
        let mut piece = 0;
        while let Some(&(_, number)) = self.chunk.pieces.get(piece) {
            let of_one = self.chunk.pieces[piece..].iter().take_while(|(_, of)| *of == number).count();
            self.join(number, piece..piece + of_one);
            piece += of_one;
        }
        self.chunk.pieces.clear();
        self.chunk.merged.clear();
    }
}

impl<I: CachedId> EncodeApart<'_, '_, I> {
    /// Looks up a pretoken in the other cache; if it does not have it, what is to be merged is put down.
    #[inline(always)]
    fn look_up_or_split(&mut self, number: usize) {
        let Chunk { apart, ids_apart, pieces, memo, .. } = &mut *self.chunk;
        let Apart { key, long, ids, .. } = &mut apart[number];
        let (bytes, len) = key.bytes();
        let (word, hash) = match long {
            Some(long) => (&self.text[long.bytes.clone()], long.hash),
            None => (&bytes[..len], key.other_hash()),
        };
        let start = ids_apart.len();
        // Pretokens of more ids than an entry has room for are in the other cache, and have as many bytes.
        let may_be_cached = word.len() > I::PER_ENTRY && word.len() <= MAX_LONG_BYTES;
        if may_be_cached && self.long_cache.find(hash, word, ids_apart) {
            *ids = start..ids_apart.len();
        } else if word.len() > MAX_PIECED_BYTES || self.model.merges().is_none() || self.model.whole(word).is_some() {
            let mut all = Vec::new();
            self.model.encode(word, memo, &mut all);
            ids_apart.extend(all.into_iter().map(I::of));
            *ids = start..ids_apart.len();
            self.insert(number);
        } else {
            let mut rest = word;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(piece_len(rest));
                pieces.push((ShortWord::new(piece), number));
                rest = behind;
            }
        }
    }

    /// Joins the pieces of a pretoken.
    #[inline(always)]
    fn join(&mut self, number: usize, pieces: Range<usize>) {
        let Chunk { apart, ids_apart, merged, merged_of_piece, memo, joined, .. } = &mut *self.chunk;
        let start = ids_apart.len();
        let Merging::Fast { canonical, .. } = &self.model.merging else { unreachable!("nothing else is in pieces") };
        let mut pieces = merged_of_piece[pieces].iter().map(|ids| &merged[ids.clone()]);
        let mut ids = pieces.next().unwrap_or_default();
        if let Some(LongPretoken { bytes, .. }) = &apart[number].long
            && pieces.len() > 0
        {
            joined.clear();
            joined.extend_from_slice(ids);
            let word = &self.text[bytes.clone()];
            if !pieces.all(|piece| canonical.append(word, joined, piece, memo)) {
                joined.clear();
                canonical.encode(word, memo, joined);
            }
            ids = joined;
        }
        ids_apart.extend(ids.iter().map(|&id| I::of(self.model.outer_id(id))));
        apart[number].ids = start..ids_apart.len();
        self.insert(number);
    }

    /// Inserts a pretoken into the cache that it fits into.
    #[inline(always)]
    fn insert(&mut self, number: usize) {
        let Chunk { apart, ids_apart, .. } = &mut *self.chunk;
        let Apart { key, bucket, long, ids, .. } = &apart[number];
        let ids = &ids_apart[ids.clone()];
        match long {
            Some(LongPretoken { bytes, .. }) if bytes.len() > MAX_LONG_BYTES => {}
            Some(LongPretoken { bytes, hash }) => {
                insert_once(self.long_cache, *hash, &self.text[bytes.clone()], ids);
            }
            None if ids.len() > I::PER_ENTRY => {
                let (bytes, len) = key.bytes();
                insert_once(self.long_cache, key.other_hash(), &bytes[..len], ids);
            }
            None if !ids.is_empty() => self.buckets.insert(*key, *bucket, entry_of(ids), ids.len()),
            None => {}
        }
    }
}

/// Inserts a pretoken that may have been twice among those apart.
#[inline(always)]
fn insert_once<I: CachedId>(cache: &mut LongPretokenCache, hash: u64, pretoken: &[u8], ids: &[I]) {
    if !cache.has(hash, pretoken) {
        cache.insert(hash, pretoken, ids);
    }
}

/// The length of the first piece of a word: of at most 31 bytes, and whole characters if there are any.
#[inline(always)]
fn piece_len(word: &[u8]) -> usize {
    if word.len() <= MAX_SHORT_BYTES {
        return word.len();
    }
    // Pieces of a word that is a little longer are alike in length.
    let len = if word.len() < 2 * MAX_SHORT_BYTES { word.len().div_ceil(2) } else { MAX_SHORT_BYTES };
    (1..=len).rev().find(|&end| word[end] & 0xc0 != 0x80).unwrap_or(len)
}

/// A sink of ids, which collects or counts them.
pub(crate) trait IdSink {
    /// Takes the next ids of the text.
    fn take<I: CachedId>(&mut self, ids: &[I]);
}

pub(crate) struct Count(pub(crate) u64);

impl IdSink for Count {
    #[inline(always)]
    fn take<I: CachedId>(&mut self, ids: &[I]) {
        self.0 += ids.len() as u64;
    }
}

/// Ids as little-endian bytes.
pub(crate) struct IdBytesSink<'b> {
    pub(crate) bytes: &'b mut Vec<u8>,
    pub(crate) width: IdWidth,
    pub(crate) count: u64,
}

impl IdSink for IdBytesSink<'_> {
    #[inline(always)]
    fn take<I: CachedId>(&mut self, ids: &[I]) {
        self.count += ids.len() as u64;
        if cfg!(target_endian = "little") && size_of::<I>() == self.width.bytes() {
            return self.bytes.extend_from_slice(bytemuck::cast_slice(ids));
        }
        for &id in ids {
            let four = Into::<u32>::into(id).to_le_bytes();
            self.bytes.extend_from_slice(&four[..self.width.bytes()]);
        }
    }
}

impl IdSink for Vec<TokenId> {
    #[inline(always)]
    fn take<I: CachedId>(&mut self, ids: &[I]) {
        self.extend(ids.iter().map(|&id| TokenId(id.into())));
    }
}
