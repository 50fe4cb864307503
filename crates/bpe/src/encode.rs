//! Encodes text: added tokens are cut out; pretokens come by blocks, most of them from the cache, the others by merging.

use std::ops::Range;
use std::sync::Arc;

use crate::added::{AddedMatcher, Part};
use crate::long_pretoken_cache::{LongPretokenCache, MAX_LONG_BYTES};
use crate::merges::{MAX_SHORT_BYTES, Merges, SHORT_LANES};
use crate::model::{DefinedMerges, Merging, Model};
use crate::pattern::KnownPattern;
use crate::pretoken_cache::{Buckets, Key, MAX_CACHED_BYTES, MAX_CACHED_IDS, PretokenCache};
use crate::pretokenize::{BLOCK_BYTES, Cuts, Visitor, last_border, visit};
use crate::run_cutter::RunCutter;
use crate::scan::Scanner;
use crate::simd::{Kernel, WithKernel, with_kernel};
use crate::{TokenId, Tokenizer};

/// Encodes with one tokenizer. Clones share its merges; each has its own pretoken cache, which starts as a copy.
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    model: Arc<Model>,
    cache: PretokenCache,
    long_cache: LongPretokenCache,
    chunk: Box<Chunk>,
}

impl Clone for Encoder<'_> {
    fn clone(&self) -> Self {
        Encoder {
            tokenizer: self.tokenizer,
            model: self.model.clone(),
            cache: self.cache.copy(),
            long_cache: self.long_cache.clone(),
            chunk: Chunk::new(),
        }
    }
}

impl<'a> Encoder<'a> {
    /// An encoder for `tokenizer`. Time and memory linear in its merges (some 4 ms for GPT-2's), and 4 to 16 MiB.
    pub fn new(tokenizer: &'a Tokenizer) -> Encoder<'a> {
        let model = Model::new(tokenizer);
        let mut cache = PretokenCache::new();
        insert_tokens(tokenizer, &model, &mut cache.buckets());
        let (model, long_cache) = (Arc::new(model), LongPretokenCache::default());
        Encoder { tokenizer, model, cache, long_cache, chunk: Chunk::new() }
    }

    /// The ids of a text. Special tokens in it are ordinary text; other added tokens are found.
    ///
    /// ```
    /// let gpt2 = bpe::Tokenizer::gpt2();
    /// let ids = bpe::Encoder::new(&gpt2).encode("Hello world");
    /// assert_eq!(ids, [bpe::TokenId(15496), bpe::TokenId(995)]);
    /// ```
    pub fn encode(&mut self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 8);
        self.encode_into(text, &mut ids);
        ids
    }

    /// Appends the ids of a text to `ids`.
    ///
    /// Time linear in the text for ordinary text, O(n log n) in the longest pretoken at worst.
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<TokenId>) {
        self.encode_to(text, Specials::Ordinary, ids).expect("specials are not refused");
    }
}

/// Inserts the canonical tokens into the cache, which need no merging: a third of the pretokens that a text will have.
fn insert_tokens(tokenizer: &Tokenizer, model: &Model, buckets: &mut Buckets<'_>) {
    let mut keys: Vec<(Key, u32, u32)> = Vec::with_capacity(CHUNK_PRETOKENS);
    for ids in model.canonical_ids().chunks(CHUNK_PRETOKENS) {
        for &(_, id) in ids {
            let bytes = tokenizer.token(TokenId(id));
            if bytes.len() <= MAX_CACHED_BYTES {
                let key = Key::of_pretoken(bytes);
                let bucket = buckets.bucket_of(key);
                buckets.prefetch(bucket);
                keys.push((key, bucket, id));
            }
        }
        for (key, bucket, id) in keys.drain(..) {
            buckets.insert(key, bucket, [id, 0, 0, 0], 1);
        }
    }
}

/// Pretokens that are looked up together: while the bucket of one is loaded from memory, those of the others are
/// prefetched. Their working data fits into the L1 cache.
const CHUNK_PRETOKENS: usize = 512;
/// Maximum number of pretokens of a block.
const BLOCK_PRETOKENS: usize = 64;

/// Pretokens that are being encoded: the scratch space of one encoder.
struct Chunk {
    len: usize,
    /// The pretokens that have a key.
    keys: [Key; CHUNK_PRETOKENS],
    /// Their buckets; [`LONG`] for a pretoken without a key.
    buckets: [u32; CHUNK_PRETOKENS],
    /// Ids of the pretokens that were found, at fixed intervals.
    found: [u32; CHUNK_PRETOKENS * MAX_CACHED_IDS],
    /// Pretokens without a key: their byte ranges in the text.
    long: Vec<Range<usize>>,
    /// Pretokens that are not cached, in order.
    unknown: Vec<Unknown>,
    /// Their ids, in any order.
    made: Vec<u32>,
}

/// Bytes of a text that are encoded before the cache may grow.
const PART_BYTES: usize = 4 << 20;

/// Instead of a bucket: the pretoken is too long for a key.
const LONG: u32 = u32::MAX;

/// A pretoken that is not cached.
#[derive(Clone, Default)]
struct Unknown {
    key: Key,
    bucket: u32,
    /// Ids that were found before this pretoken.
    found_before: usize,
    /// Where its ids are in `made`.
    ids: Range<usize>,
}

impl Chunk {
    fn new() -> Box<Chunk> {
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

/// How special tokens in a text are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Specials {
    /// They are ordinary text.
    Ordinary,
    /// They become their ids. Only for trusted texts, which may control the model.
    Allowed,
    /// They are an error.
    Refused,
}

/// A text contains a special token where it is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text holds the special token {special:?} at byte {at}")]
pub struct SpecialInText {
    /// The token.
    pub special: String,
    /// Offset of its first byte.
    pub at: usize,
}

impl Encoder<'_> {
    /// Number of ids of a text, without storing them.
    ///
    /// ```
    /// let gpt2 = bpe::Tokenizer::gpt2();
    /// assert_eq!(bpe::Encoder::new(&gpt2).count("Hello world"), 2);
    /// ```
    pub fn count(&mut self, text: &str) -> u64 {
        let mut count = Count(0);
        self.encode_to(text, Specials::Ordinary, &mut count).expect("specials are not refused");
        count.0
    }

    /// The ids of a text that may contain special tokens. If two begin at one place, the longer one counts.
    ///
    /// ```
    /// use bpe::{Encoder, Specials, TokenId, Tokenizer};
    /// let gpt2 = Tokenizer::gpt2();
    /// let mut encoder = Encoder::new(&gpt2);
    /// let ids = encoder.encode_with("Hello<|endoftext|>", Specials::Allowed)?;
    /// assert_eq!(ids, [TokenId(15496), TokenId(50256)]);
    /// assert!(encoder.encode_with("Hello<|endoftext|>", Specials::Refused).is_err());
    /// # Ok::<(), bpe::SpecialInText>(())
    /// ```
    ///
    /// # Errors
    /// With [`Specials::Refused`], when the text contains one.
    pub fn encode_with(&mut self, text: &str, specials: Specials) -> Result<Vec<TokenId>, SpecialInText> {
        let mut ids = Vec::new();
        self.encode_into_with(text, specials, &mut ids)?;
        Ok(ids)
    }

    /// What cuts pretokens that are too long to be held, if the tokenizer allows it.
    pub fn run_cutter(&self, specials: Specials) -> Option<RunCutter> {
        RunCutter::new(self.tokenizer, self.model.clone(), specials)
    }

    /// The ids of one pretoken.
    pub(crate) fn merge(&mut self, pretoken: &[u8]) -> Vec<TokenId> {
        let mut ids = Vec::new();
        let range = std::iter::once(0..pretoken.len()).collect::<Vec<_>>();
        self.encode_pretokens(pretoken, Pretokens::Ranges(&range), &mut ids);
        ids
    }

    /// Appends the ids of a text that may contain special tokens to `ids`.
    ///
    /// # Errors
    /// With [`Specials::Refused`], when the text contains one; the ids before it are appended.
    pub fn encode_into_with(
        &mut self,
        text: &str,
        specials: Specials,
        ids: &mut Vec<TokenId>,
    ) -> Result<(), SpecialInText> {
        self.encode_to(text, specials, ids)
    }
}

/// The ids of a growing text, each returned as soon as nothing that follows can change it.
///
/// ```
/// use bpe::{Encoder, GrowingText, Tokenizer};
/// let gpt2 = Tokenizer::gpt2();
/// let mut text = GrowingText::new(Encoder::new(&gpt2));
/// let mut ids = Vec::new();
/// for part in ["The ti", "de came", " in"] {
///     text.push(part, &mut ids);
/// }
/// text.finish(&mut ids);
/// assert_eq!(ids, Encoder::new(&gpt2).encode("The tide came in"));
/// ```
pub struct GrowingText<'a> {
    encoder: Encoder<'a>,
    /// The text after the last certain border: its ids may still change.
    rest: String,
}

impl<'a> GrowingText<'a> {
    /// No text yet.
    pub fn new(encoder: Encoder<'a>) -> GrowingText<'a> {
        GrowingText { encoder, rest: String::new() }
    }

    /// Adds text and appends the ids that have become certain. Time linear in what is added, as long as it contains
    /// white space.
    pub fn push(&mut self, text: &str, ids: &mut Vec<TokenId>) {
        self.rest.push_str(text);
        if let Some(border) = last_border(self.rest.as_bytes(), self.encoder.tokenizer.cuts(Specials::Ordinary)) {
            self.encoder.encode_into(&self.rest[..border], ids);
            self.rest.drain(..border);
        }
    }

    /// The ids of the uncertain rest, if the text ended here.
    pub fn uncertain(&mut self) -> Vec<TokenId> {
        self.encoder.encode(&self.rest)
    }

    /// Ends the text and appends the last ids. Another text may follow.
    pub fn finish(&mut self, ids: &mut Vec<TokenId>) {
        self.encoder.encode_into(&self.rest, ids);
        self.rest.clear();
    }
}

impl Encoder<'_> {
    fn encode_to(&mut self, text: &str, specials: Specials, sink: &mut impl IdSink) -> Result<(), SpecialInText> {
        let tokenizer = self.tokenizer;
        let [before, after] = tokenizer
            .matchers()
            .each_ref()
            .map(|matcher| matcher.as_ref().filter(|matcher| specials != Specials::Ordinary || matcher.has_ordinary()));
        self.encode_parts(before, text, specials, sink, &mut |encoder, text, sink| {
            let text = tokenizer.rules().normalize(text);
            encoder.encode_parts(after, &text, specials, sink, &mut |encoder, text, sink| {
                encoder.encode_section(text, sink);
                Ok(())
            })
        })
    }

    /// Passes on the ids of added tokens, and what is between them to `between`.
    fn encode_parts<S: IdSink>(
        &mut self,
        matcher: Option<&AddedMatcher>,
        text: &str,
        specials: Specials,
        sink: &mut S,
        between: &mut impl FnMut(&mut Self, &str, &mut S) -> Result<(), SpecialInText>,
    ) -> Result<(), SpecialInText> {
        let Some(matcher) = matcher else { return between(self, text, sink) };
        for part in matcher.parts(text, specials != Specials::Ordinary) {
            match part {
                Part::Text(bytes) => between(self, &text[bytes], sink)?,
                Part::Token(token, bytes) if token.special && specials == Specials::Refused => {
                    return Err(SpecialInText { special: token.content.clone(), at: bytes.start });
                }
                Part::Token(token, _) => sink.take(&[token.id.0]),
            }
        }
        Ok(())
    }

    /// Encodes a normalised text without added tokens.
    fn encode_section(&mut self, text: &str, sink: &mut impl IdSink) {
        if text.is_empty() {
            return;
        }
        let Some(pattern) = self.tokenizer.rules().pattern_after_normalizer() else {
            let pieces = self.tokenizer.rules().pieces(text);
            return self.encode_pretokens(&pieces.bytes, Pretokens::Ranges(&pieces.ranges), sink);
        };
        let mut rest = text;
        while !rest.is_empty() {
            // In parts, so that the cache can grow between them.
            let end = match rest.as_bytes().get(..PART_BYTES) {
                Some(part) => last_border(part, Cuts::of_pattern(pattern)),
                None => None,
            };
            let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
            self.encode_pretokens(part.as_bytes(), Pretokens::Pattern(pattern, part), sink);
            rest = behind;
        }
    }

    fn encode_pretokens(&mut self, text: &[u8], pretokens: Pretokens<'_>, sink: &mut impl IdSink) {
        let Encoder { model, cache, long_cache, chunk, .. } = self;
        with_kernel(EncodeText { model, buckets: cache.buckets(), long_cache, chunk, text, pretokens, sink });
        cache.grow_if_crowded();
    }
}

/// Where the pretokens of a text are.
enum Pretokens<'e> {
    /// Where a scanner finds them.
    Pattern(KnownPattern, &'e str),
    /// At these places.
    Ranges(&'e [Range<usize>]),
}

struct EncodeText<'e, S> {
    model: &'e Model,
    buckets: Buckets<'e>,
    long_cache: &'e mut LongPretokenCache,
    chunk: &'e mut Chunk,
    text: &'e [u8],
    pretokens: Pretokens<'e>,
    sink: &'e mut S,
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

/// Merges the pretokens of a chunk that no cache has. Compiled for each kernel, to use its instructions.
struct MergeUnknown<'e, 'w> {
    model: &'e Model,
    buckets: &'e mut Buckets<'w>,
    long_cache: &'e mut LongPretokenCache,
    chunk: &'e mut Chunk,
    text: &'e [u8],
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

/// A sink of ids, which collects or counts them.
trait IdSink {
    /// Takes the next ids of the text.
    fn take(&mut self, ids: &[u32]);
}

struct Count(u64);

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::pretokenize::pretokens;
    use crate::twin::{self, Twin};

    static GPT2: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::gpt2);
    static TWIN: LazyLock<Twin> = LazyLock::new(|| Twin::new(&GPT2));

    thread_local! {
        // Shared by all texts, so that its cache is tested, too.
        static ENCODER: RefCell<Encoder<'static>> = RefCell::new(Encoder::new(&GPT2));
    }

    fn check(text: &str) {
        let pretokens: Vec<&str> = pretokens(text).collect();
        assert_eq!(pretokens, twin::pretokens(text), "{text:?}");
        let ids = ENCODER.with_borrow_mut(|encoder| encoder.encode(text));
        assert_eq!(ids, TWIN.encode(text), "{text:?}");
        assert_eq!(ENCODER.with_borrow_mut(|encoder| encoder.encode(text)), ids, "from the cache: {text:?}");
        assert_eq!(GPT2.decode(&ids).unwrap(), text.as_bytes());
    }

    #[test]
    fn known_ids() {
        let ids = |text| Encoder::new(&GPT2).encode(text).iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids("Hello world!"), [15496, 995, 0]);
        assert_eq!(ids(" \n\n  x'll"), [220, 628, 220, 2124, 1183]);
        assert_eq!(ids("<|endoftext|>"), [27, 91, 437, 1659, 5239, 91, 29]);
        assert!(ids("").is_empty());
    }

    #[test]
    fn hard_places() {
        for text in [
            "I'll we're don't 'S 's's ''re '",
            " 's  's \u{a0}x\u{2003} y",
            "a\r\n\r\nb\tc\u{85}d  ",
            "１２３ ⅷ x² Ⅷa",
            "über naïve Привет 你好 한국어 ไทย",
            "🤦🏼‍♂️ e\u{301} \u{200b}x",
            "\u{feff}\0\u{7f}",
        ] {
            check(text);
        }
        for len in [63, 64, 65, 200, 5000] {
            check(&"a".repeat(len));
            check(&" ".repeat(len));
            check(&"xyz1".repeat(len / 4));
        }
    }

    #[test]
    fn every_class_of_character_in_every_place() {
        let kinds = ["a", "é", "中", "1", "²", "Ⅷ", " ", "\n", "\u{a0}", "\u{3000}", "'", "!", "€", "\u{301}", "s"];
        for a in kinds {
            for b in kinds {
                for c in kinds {
                    let text = format!("{a}{b}{c}");
                    assert_eq!(pretokens(&text).collect::<Vec<_>>(), twin::pretokens(&text), "{text:?}");
                }
            }
        }
    }

    /// Each text long enough for blocks, with the hard places at every distance from a block's end.
    #[test]
    fn borders_at_every_place_of_a_block() {
        for hard in
            ["'s", "'re a", "'ll", " 's", "!'s", "''d", "  x", "\n\nx", " \u{a0}x", "é", "\u{3000}\u{3000}a", "1a1"]
        {
            for before in 0..80 {
                check(&format!(
                    "{}{hard}{}",
                    "a ".repeat(before / 2) + &"b".repeat(before % 2),
                    " and so on".repeat(12)
                ));
            }
        }
    }

    #[test]
    fn special_tokens() {
        let tokenizer = Tokenizer::from_merges(&[], &["<|a|>", "<|a|>b", "end"]).unwrap();
        let mut encoder = Encoder::new(&tokenizer);
        let mut ids =
            |text| encoder.encode_with(text, Specials::Allowed).unwrap().iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids("<|a|>b<|a|>end"), [257, 256, 258]);
        assert_eq!(ids("x"), [87]);
        let refused = encoder.encode_with("x end", Specials::Refused).unwrap_err();
        assert_eq!((refused.special.as_str(), refused.at), ("end", 2));
        assert_eq!(encoder.encode_with("end", Specials::Ordinary).unwrap().len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_text_may_grow_by_any_parts(parts in proptest::collection::vec("[ a'slé\n1.]{0,12}", 0..12)) {
            let mut growing = GrowingText::new(ENCODER.with_borrow(Encoder::clone));
            let (mut ids, mut text) = (Vec::new(), String::new());
            for part in parts {
                growing.push(&part, &mut ids);
                text.push_str(&part);
                let so_far: Vec<TokenId> = ids.iter().copied().chain(growing.uncertain()).collect();
                prop_assert_eq!(so_far, TWIN.encode(&text));
            }
            growing.finish(&mut ids);
            prop_assert_eq!(ids, TWIN.encode(&text));
            let count = ENCODER.with_borrow_mut(|encoder| encoder.count(&text));
            prop_assert_eq!(count as usize, TWIN.encode(&text).len());
        }

        #[test]
        fn any_text_is_encoded_as_the_twin_does(text: String) {
            check(&text);
        }

        #[test]
        fn text_of_few_characters_is_encoded_as_the_twin_does(text in "[ a'slrevd\n1.é]{0,300}") {
            check(&text);
        }

        #[test]
        fn words_are_encoded_as_the_twin_does(text in "([ \n]?[a-zA-Z]{1,18}('s|[.,]|\u{2019}t)?){0,60}") {
            check(&text);
        }
    }
}
