//! Encodes text: added tokens are cut out; pretokens come by blocks, most of them from the cache, the others by merging.

pub(crate) mod cached_id;
pub(crate) mod canonical;
mod chunk;
mod long_pretoken_cache;
pub(crate) mod merges;
pub(crate) mod model;
pub(crate) mod pretoken_cache;
mod run_cutter;
mod side_by_side;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::ops::Range;
use std::sync::Arc;

use self::cached_id::entry_of;
use self::chunk::{CHUNK_PRETOKENS, Chunk, Count, EncodeText, IdBytesSink, IdSink, Pretokens};
use self::long_pretoken_cache::LongPretokenCache;
use self::model::Model;
use self::pretoken_cache::{Buckets, Key, MAX_CACHED_BYTES, PretokenCache};
pub use self::run_cutter::RunCutter;
use crate::simd::with_kernel;
use crate::split::pretokenize::{Cuts, last_border};
use crate::split::sections::{Section, for_each_section};
use crate::tokens::IdWidth;
use crate::{TokenId, Tokenizer};

/// A tokenizer that an encoder borrows, or holds together with others.
#[derive(Clone)]
pub(crate) enum TokenizerRef<'a> {
    Borrowed(&'a Tokenizer),
    Shared(Arc<Tokenizer>),
}

impl Deref for TokenizerRef<'_> {
    type Target = Tokenizer;

    fn deref(&self) -> &Tokenizer {
        match self {
            TokenizerRef::Borrowed(tokenizer) => tokenizer,
            TokenizerRef::Shared(tokenizer) => tokenizer,
        }
    }
}

/// Encodes with one tokenizer. Clones share its merges; each has its own pretoken cache, which starts as a copy.
pub struct Encoder<'a> {
    pub(crate) tokenizer: TokenizerRef<'a>,
    model: Arc<Model>,
    cache: PretokenCache,
    long_cache: LongPretokenCache,
    chunk: AnyChunk,
}

/// Scratch space for ids of the least width that the vocabulary allows.
enum AnyChunk {
    Narrow(Box<Chunk<u16>>),
    Wide(Box<Chunk<u32>>),
}

impl AnyChunk {
    fn new(vocab_size: usize) -> AnyChunk {
        match IdWidth::of_vocabulary(vocab_size) {
            IdWidth::Two => AnyChunk::Narrow(Chunk::new()),
            IdWidth::Four => AnyChunk::Wide(Chunk::new()),
        }
    }
}

impl Clone for Encoder<'_> {
    fn clone(&self) -> Self {
        Encoder {
            tokenizer: self.tokenizer.clone(),
            model: self.model.clone(),
            cache: self.cache.copy(),
            long_cache: self.long_cache.clone(),
            chunk: AnyChunk::new(self.tokenizer.vocab_size()),
        }
    }
}

impl<'a> Encoder<'a> {
    /// An encoder for `tokenizer`. Time and memory linear in its merges, and 4 to 26 MiB.
    pub fn new(tokenizer: &'a Tokenizer) -> Encoder<'a> {
        Encoder::of(TokenizerRef::Borrowed(tokenizer))
    }

    /// As [`new`](Encoder::new), for encoders that outlive whoever made them.
    pub fn shared(tokenizer: Arc<Tokenizer>) -> Encoder<'static> {
        Encoder::of(TokenizerRef::Shared(tokenizer))
    }

    fn of(tokenizer: TokenizerRef<'_>) -> Encoder<'_> {
        let model = tokenizer.model();
        let mut cache = PretokenCache::new();
        insert_tokens(&tokenizer, &model, &mut cache.buckets());
        let chunk = AnyChunk::new(tokenizer.vocab_size());
        Encoder { tokenizer, model, cache, long_cache: LongPretokenCache::default(), chunk }
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

/// Inserts canonical tokens into the cache, which need no merging: a third of the pretokens that a text will have. Those
/// of the lowest ranks are the most frequent.
fn insert_tokens(tokenizer: &Tokenizer, model: &Model, buckets: &mut Buckets<'_>) {
    let is_narrow = IdWidth::of_vocabulary(tokenizer.vocab_size()) == IdWidth::Two;
    let mut waiting: Vec<(Key, u32, u32)> = Vec::with_capacity(CHUNK_PRETOKENS);
    let ids: Vec<u32> = model.canonical_ids().take(MAX_INSERTED_TOKENS).collect();
    for ids in ids.chunks(CHUNK_PRETOKENS) {
        for &id in ids {
            let bytes = tokenizer.token(TokenId(id));
            if bytes.len() <= MAX_CACHED_BYTES {
                let key = Key::of_pretoken(bytes);
                let bucket = buckets.bucket_of(key);
                buckets.prefetch(bucket);
                waiting.push((key, bucket, id));
            }
        }
        for (key, bucket, id) in waiting.drain(..) {
            let ids = if is_narrow { entry_of(&[id as u16]) } else { entry_of(&[id]) };
            buckets.insert(key, bucket, ids, 1);
        }
    }
}

/// Tokens that a new cache has: as many as leave room for other pretokens.
const MAX_INSERTED_TOKENS: usize = 1 << 16;

/// Bytes of a text that are encoded before the cache may grow.
const PART_BYTES: usize = 4 << 20;

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
        RunCutter::new(&self.tokenizer, self.model.clone(), specials)
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

impl Encoder<'_> {
    /// Appends the ids of a text to `bytes`, little-endian and of a width that is enough for the tokenizer's vocabulary,
    /// and returns their number.
    ///
    /// # Errors
    /// With [`Specials::Refused`], when the text contains one; the ids before it are appended.
    ///
    /// # Panics
    /// When the width is not enough.
    pub fn encode_into_bytes(
        &mut self,
        text: &str,
        specials: Specials,
        width: IdWidth,
        bytes: &mut Vec<u8>,
    ) -> Result<u64, SpecialInText> {
        assert!(width == IdWidth::Four || IdWidth::of_vocabulary(self.tokenizer.vocab_size()) == width);
        let mut sink = IdBytesSink { bytes, width, count: 0 };
        self.encode_to(text, specials, &mut sink)?;
        Ok(sink.count)
    }

    fn encode_to(&mut self, text: &str, specials: Specials, sink: &mut impl IdSink) -> Result<(), SpecialInText> {
        let tokenizer = self.tokenizer.clone();
        for_each_section(tokenizer.rules(), tokenizer.matchers(), text, specials, &mut |section| {
            match section {
                Section::Added { token, at, .. } if token.special && specials == Specials::Refused => {
                    return Err(SpecialInText { special: token.content.clone(), at });
                }
                Section::Added { token, .. } => sink.take(&[token.id.0]),
                Section::Text { normalized, .. } => self.encode_section(normalized, sink),
            }
            Ok(())
        })
    }

    /// Encodes a normalised text without added tokens.
    fn encode_section(&mut self, text: &str, sink: &mut impl IdSink) {
        if text.is_empty() {
            return;
        }
        let Some(pattern) = self.tokenizer.rules().pattern_after_normalizer() else {
            let tokenizer = self.tokenizer.clone();
            if let Some((regex, keeps_between)) = tokenizer.rules().only_regex() {
                return self.encode_pieces(regex.pieces(text, keeps_between), text, sink);
            }
            let pieces = tokenizer.rules().pieces(text);
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

    /// Encodes the pretokens of a text without holding all of them.
    fn encode_pieces(&mut self, pieces: impl Iterator<Item = Range<usize>>, text: &str, sink: &mut impl IdSink) {
        const MAX_HELD: usize = 1 << 14;
        let mut held = Vec::new();
        for piece in pieces {
            held.push(piece);
            if held.len() == MAX_HELD {
                self.encode_pretokens(text.as_bytes(), Pretokens::Ranges(&held), sink);
                held.clear();
            }
        }
        self.encode_pretokens(text.as_bytes(), Pretokens::Ranges(&held), sink);
    }

    fn encode_pretokens(&mut self, text: &[u8], pretokens: Pretokens<'_>, sink: &mut impl IdSink) {
        let Encoder { model, cache, long_cache, chunk, .. } = self;
        let buckets = cache.buckets();
        match chunk {
            AnyChunk::Narrow(chunk) => {
                with_kernel(EncodeText { model, buckets, long_cache, chunk, text, pretokens, sink });
            }
            AnyChunk::Wide(chunk) => {
                with_kernel(EncodeText { model, buckets, long_cache, chunk, text, pretokens, sink });
            }
        }
        cache.grow_if_crowded();
    }
}
