//! Merges the pretokens of a chunk that no cache has.

use std::ops::Range;

use crate::chunk::{Chunk, LONG, Unknown};
use crate::long_pretoken_cache::{LongPretokenCache, MAX_LONG_BYTES};
use crate::merges::{MAX_SHORT_BYTES, Merges, SHORT_LANES};
use crate::model::{DefinedMerges, Merging, Model};
use crate::pretoken_cache::{Buckets, Key, MAX_CACHED_IDS};
use crate::simd::{Kernel, WithKernel};

/// Merges the pretokens of a chunk that no cache has. Compiled for each kernel, to use its instructions.
pub(crate) struct MergeUnknown<'e, 'w> {
    pub(crate) model: &'e Model,
    pub(crate) buckets: &'e mut Buckets<'w>,
    pub(crate) long_cache: &'e mut LongPretokenCache,
    pub(crate) chunk: &'e mut Chunk,
    pub(crate) text: &'e [u8],
}

impl WithKernel for MergeUnknown<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self) {
        match &self.model.merging {
            Merging::Fast { merges, outer_ids } => self.merge(merges, outer_ids.as_deref()),
            Merging::ByDefinition(merges) => self.merge_by_definition(merges),
        }
    }
}

impl MergeUnknown<'_, '_> {
    #[inline(always)]
    fn merge(self, merges: &Merges, outer_ids: Option<&[u32]>) {
        let to_outer = |ids: &mut [u32]| {
            if let Some(outer_ids) = outer_ids {
                ids.iter_mut().for_each(|id| *id = outer_ids[*id as usize]);
            }
        };
        let Chunk { long, unknown, made, .. } = self.chunk;
        let mut long = long.iter();
        // Words to be merged in parallel, and the index of each among the unknown pretokens.
        let (mut side_by_side, mut numbers) = (Vec::with_capacity(unknown.len()), Vec::with_capacity(unknown.len()));
        for (number, unknown) in unknown.iter_mut().enumerate() {
            let (bytes, len) = unknown.key.bytes();
            let word = match unknown.bucket {
                LONG => &self.text[long.next().expect("one was pushed with the bucket").clone()],
                _ => &bytes[..len],
            };
            let start = made.len();
            if let Some(ids) = self.long_cache.find(word) {
                made.extend_from_slice(ids);
            } else if let Some(id) = self.model.whole(word) {
                made.push(id);
            } else if word.len() <= MAX_SHORT_BYTES {
                let mut bytes = [0; SHORT_LANES];
                bytes[..word.len()].copy_from_slice(word);
                side_by_side.push((bytes, word.len()));
                numbers.push(number);
                continue;
            } else {
                merges.encode(word, made);
                to_outer(&mut made[start..]);
                if word.len() <= MAX_LONG_BYTES {
                    self.long_cache.insert(word, &made[start..]);
                }
            }
            unknown.ids = start..made.len();
        }
        // Ids are assigned by the word's number, since words are finished in any order.
        let mut done: Vec<(usize, Range<usize>)> = Vec::with_capacity(numbers.len());
        merges.encode_short(&side_by_side, |place, ids, count| {
            let start = made.len();
            made.extend_from_slice(&ids[..count]);
            to_outer(&mut made[start..]);
            done.push((numbers[place], start..made.len()));
            let (Unknown { key, bucket, .. }, (bytes, len)) = (&unknown[numbers[place]], &side_by_side[place]);
            insert(self.buckets, self.long_cache, (*key, *bucket), &bytes[..*len], &made[start..]);
        });
        for (number, ids) in done {
            unknown[number].ids = ids;
        }
    }

    /// The same, one by one and slower, for vocabularies that break the premises of [`Merges`].
    fn merge_by_definition(self, merges: &DefinedMerges) {
        let Chunk { long, unknown, made, .. } = self.chunk;
        let mut long = long.iter();
        for unknown in unknown {
            let (bytes, len) = unknown.key.bytes();
            let word = match unknown.bucket {
                LONG => &self.text[long.next().expect("one was pushed with the bucket").clone()],
                _ => &bytes[..len],
            };
            let start = made.len();
            if let Some(ids) = self.long_cache.find(word) {
                made.extend_from_slice(ids);
            } else {
                match self.model.whole(word) {
                    Some(id) => made.push(id),
                    None => merges.encode(word, made),
                }
                if word.len() <= MAX_LONG_BYTES && made.len() > start {
                    insert(self.buckets, self.long_cache, (unknown.key, unknown.bucket), word, &made[start..]);
                }
            }
            unknown.ids = start..made.len();
        }
    }
}

/// Inserts a pretoken into the cache that it fits into.
#[inline(always)]
fn insert(
    buckets: &mut Buckets<'_>,
    long_cache: &mut LongPretokenCache,
    (key, bucket): (Key, u32),
    word: &[u8],
    ids: &[u32],
) {
    if bucket != LONG && ids.len() <= MAX_CACHED_IDS {
        let mut four = [0; MAX_CACHED_IDS];
        four[..ids.len()].copy_from_slice(ids);
        buckets.insert(key, bucket, four, ids.len());
    } else if long_cache.find(word).is_none() {
        long_cache.insert(word, ids);
    }
}
