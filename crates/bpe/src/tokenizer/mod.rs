//! A vocabulary and its merges.

mod changes;
mod error;
mod parts;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::byte_order::{BYTE_OF_ID, from_visible};
use crate::encode::Specials;
use crate::encode::model::Model;
use crate::split::added::{AddedMatcher, AddedToken};
use crate::split::pattern::KnownPattern;
use crate::split::pretokenize::Cuts;
use crate::split::text_rules::TextRules;
use crate::{END_OF_TEXT, formats};

pub use error::TokenizerError;
pub(crate) use parts::{KeptJson, Parts};

/// The number of a token.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, bytemuck::Pod, bytemuck::Zeroable,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct TokenId(pub u32);

/// No id: the largest number, which no vocabulary reaches.
pub(crate) const NO_ID: u32 = u32::MAX;

/// Names of the token between documents, the first of which a vocabulary has is used.
const NAMES_OF_END: [&str; 8] =
    [END_OF_TEXT, "<|end_of_text|>", "<｜end▁of▁sentence｜>", "<|endofdocument|>", "<|eos|>", "<eos>", "</s>", "<EOT>"];

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Nothing: the vocabulary has a gap.
    Absent,
    /// Bytes, which merges may make.
    Bytes,
    /// A text that no merge makes, or an added token.
    Text,
}

/// Byte-level BPE: a vocabulary, its merges, added tokens, and how a text is normalised and split.
///
/// In GPT-2's order of ids, the 256 bytes come first, then what each merge makes in the order of the ranks, then special
/// tokens. Other tokenizers have any order, and gaps.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// The concatenated bytes of all tokens; token `i` ends at `ends[i]`.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<TokenKind>,
    byte_ids: [u32; 256],
    /// Left, right and result, by rank. A token may have several.
    merges: Vec<(TokenId, TokenId, TokenId)>,
    ignores_merges: bool,
    /// The token for bytes that have none, and whether neighbours become one.
    unknown: Option<(u32, bool)>,
    /// In the order of their ids.
    added: Vec<AddedToken>,
    /// Added tokens that the model's vocabulary lacks.
    outside: Vec<TokenId>,
    kept: KeptJson,
    specials: Vec<String>,
    end_of_text: Option<TokenId>,
    rules: TextRules,
    /// Finds added tokens that are searched before, and those that are searched after the text is normalised.
    matchers: [Option<AddedMatcher>; 2],
    /// What encoders share, made once.
    model: OnceLock<Arc<Model>>,
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        let tokens = |t: &Self| (t.byte_ids, t.ignores_merges, t.unknown, t.end_of_text);
        (&self.bytes, &self.ends, &self.kinds, &self.merges) == (&other.bytes, &other.ends, &other.kinds, &other.merges)
            && tokens(self) == tokens(other)
            && (&self.added, &self.rules) == (&other.added, &other.rules)
    }
}

impl Eq for Tokenizer {}

impl Tokenizer {
    /// Maximum number of merges: the 2²¹ ids that the encoder's table of pairs has room for, minus 256 bytes.
    pub const MAX_MERGES: usize = (1 << 21) - 256;

    /// GPT-2's own tokenizer, 50257 tokens.
    ///
    /// ```
    /// let gpt2 = bpe::Tokenizer::gpt2();
    /// assert_eq!(gpt2.vocab_size(), 50257);
    /// assert_eq!(gpt2.special("<|endoftext|>"), Some(bpe::TokenId(50256)));
    /// ```
    pub fn gpt2() -> Tokenizer {
        let merges = include_str!("../../assets/gpt2/vocab.bpe");
        let mut tokenizer = formats::merges::parse(merges).expect("the file compiled in is whole");
        tokenizer.push_specials([END_OF_TEXT]);
        tokenizer
    }

    /// A tokenizer with the 256 bytes and no merges.
    pub fn bytes_only() -> Tokenizer {
        let tokens = (0..).zip(BYTE_OF_ID).map(|(id, byte)| (id, vec![byte], true)).collect();
        Tokenizer::from_parts(Parts { tokens, ..Parts::default() })
    }

    /// The tokenizer with these merges, each a pair of ids, and special tokens after them.
    ///
    /// # Errors
    /// When a merge names an id that does not exist yet, or makes a token that does, or there are more than
    /// [`Tokenizer::MAX_MERGES`].
    pub fn from_merges(merges: &[(TokenId, TokenId)], specials: &[&str]) -> Result<Tokenizer, TokenizerError> {
        Tokenizer::check_number(merges.len())?;
        let mut tokenizer = Tokenizer::bytes_only();
        let mut known: HashMap<Vec<u8>, ()> = BYTE_OF_ID.iter().map(|&b| (vec![b], ())).collect();
        for (rank, &(left, right)) in merges.iter().enumerate() {
            for part in [left, right] {
                if part.0 as usize >= tokenizer.ends.len() {
                    return Err(TokenizerError::UnknownPart { rank, token: part.0.to_string() });
                }
            }
            let joined = tokenizer.joined(left, right);
            if known.insert(joined.clone(), ()).is_some() {
                return Err(TokenizerError::Twice { rank, token: formats::visible(&joined) });
            }
            tokenizer.push_merge(left, right, &joined);
        }
        tokenizer.push_specials(specials.iter().copied());
        Ok(tokenizer)
    }

    /// What follows from the added tokens.
    fn prepare_added(&mut self) {
        self.specials = self.added.iter().filter(|added| added.special).map(|added| added.content.clone()).collect();
        self.end_of_text = NAMES_OF_END.iter().find_map(|name| self.special(name));
        self.matchers = [false, true].map(|is_normalized| {
            let tokens = self.added.iter().filter(|added| added.normalized == is_normalized);
            let string = |added: &AddedToken| match is_normalized {
                true => self.rules.normalize(&added.content).into_owned(),
                false => added.content.clone(),
            };
            AddedMatcher::new(tokens.map(|added| (string(added), added.clone())).collect())
        });
    }

    /// Refuses more merges than ids have room for.
    pub(crate) fn check_number(merges: usize) -> Result<(), TokenizerError> {
        if merges > Tokenizer::MAX_MERGES { Err(TokenizerError::TooManyMerges { merges }) } else { Ok(()) }
    }

    /// The bytes of two tokens together.
    pub(crate) fn joined(&self, left: TokenId, right: TokenId) -> Vec<u8> {
        [self.token(left), self.token(right)].concat()
    }

    /// The tokens as files write them.
    pub(crate) fn written(&self) -> impl Iterator<Item = String> + '_ {
        formats::vocab_json::entries(self).map(|(_, token)| token)
    }

    /// One more than the largest id: bytes, merges and added tokens, and ids that stand for nothing.
    pub fn vocab_size(&self) -> usize {
        self.ends.len()
    }

    /// The merges in the order of their ranks: left, right, result.
    pub fn merges(&self) -> impl ExactSizeIterator<Item = (TokenId, TokenId, TokenId)> + '_ {
        self.merges.iter().copied()
    }

    pub(crate) fn merge_list(&self) -> &[(TokenId, TokenId, TokenId)] {
        &self.merges
    }

    /// The tokens that are bytes, in the order of their ids.
    pub fn vocabulary(&self) -> impl Iterator<Item = (TokenId, &[u8])> + '_ {
        let ids = (0u32..).zip(&self.kinds).filter(|(_, kind)| **kind == TokenKind::Bytes);
        ids.map(|(id, _)| (TokenId(id), self.token(TokenId(id))))
    }

    /// The texts of the model's vocabulary that no merge makes, and that stand for bytes all the same. Where whole
    /// pretokens are not merged, such a pretoken is that token.
    pub(crate) fn texts_in_vocabulary(&self) -> impl Iterator<Item = (TokenId, Vec<u8>)> + '_ {
        let ids = (0u32..).map(TokenId).zip(&self.kinds).filter(|(_, kind)| **kind == TokenKind::Text);
        let ids = ids.map(|(id, _)| id).filter(|id| !self.outside.contains(id));
        ids.filter_map(|id| Some((id, from_visible(std::str::from_utf8(self.token(id)).ok()?)?)))
    }

    /// Added tokens that the model's vocabulary lacks.
    pub(crate) fn outside(&self) -> &[TokenId] {
        &self.outside
    }

    /// The entries `truncation` and `padding` of a `tokenizer.json` that are set: a length that texts are cut or filled up
    /// to, which encoders here do not follow.
    pub fn limits_not_followed(&self) -> Vec<&'static str> {
        let KeptJson { truncation, padding, .. } = &self.kept;
        let limits = [("truncation", truncation), ("padding", padding)];
        limits.into_iter().filter(|(_, limit)| !limit.is_null()).map(|(name, _)| name).collect()
    }

    pub(crate) fn kept_json(&self) -> &KeptJson {
        &self.kept
    }

    /// Whether an id stands for a token, and for which kind.
    pub(crate) fn kind(&self, id: TokenId) -> TokenKind {
        self.kinds[id.0 as usize]
    }

    /// Whether a pretoken that is a token is not merged.
    pub(crate) fn ignores_merges(&self) -> bool {
        self.ignores_merges
    }

    /// The token for bytes that have none, and whether neighbours become one.
    pub(crate) fn unknown(&self) -> Option<(u32, bool)> {
        self.unknown
    }

    /// Makes the tables that encoders share, unless they are made already: those of the merges, and of characters. Else
    /// encoders make them when they need them, in some 10 ms for GPT-2's.
    pub fn prepare(&self) {
        self.model().prepare();
        crate::split::classes::traits_table();
    }

    pub(crate) fn model(&self) -> Arc<Model> {
        self.model.get_or_init(|| Arc::new(Model::new(self))).clone()
    }

    pub(crate) fn rules(&self) -> &TextRules {
        &self.rules
    }

    /// What finds added tokens before, and what finds them after the text is normalised.
    pub(crate) fn matchers(&self) -> &[Option<AddedMatcher>; 2] {
        &self.matchers
    }

    /// The pattern of the pre-tokenizer, if it is one with a scanner and the text is not normalised.
    pub fn known_pattern(&self) -> Option<KnownPattern> {
        self.rules.known_pattern()
    }

    /// Where a text may be cut, so that its parts have the ids of the whole.
    pub fn cuts(&self, specials: Specials) -> Cuts {
        let mut found = self.added.iter().filter(|added| !added.special || specials != Specials::Ordinary);
        if found.all(AddedToken::allows_cuts) { self.rules.cuts() } else { Cuts::Never }
    }

    /// The special tokens, in the order of their ids.
    pub fn specials(&self) -> &[String] {
        &self.specials
    }

    /// The added tokens, special or not, in the order of their ids.
    pub fn added_tokens(&self) -> &[AddedToken] {
        &self.added
    }

    /// The id of an added token.
    pub fn special(&self, text: &str) -> Option<TokenId> {
        self.added.iter().find(|added| added.content == text).map(|added| added.id)
    }

    /// The id of the end-of-text token; token files need one.
    pub fn end_of_text(&self) -> Option<TokenId> {
        self.end_of_text
    }

    /// The id of a single byte, unless the vocabulary has none.
    pub(crate) fn byte_id(&self, byte: u8) -> Option<TokenId> {
        Some(self.byte_ids[byte as usize]).filter(|&id| id != NO_ID).map(TokenId)
    }

    /// The id of a single byte.
    ///
    /// # Panics
    /// If the vocabulary has no token for it, as some that were trained on few texts.
    pub fn id_of_byte(&self, byte: u8) -> TokenId {
        self.byte_id(byte).expect("the vocabulary has all bytes")
    }

    /// The bytes of a token; of an added token, its text; none of an id that stands for nothing.
    ///
    /// # Panics
    /// If the id is not below [`Tokenizer::vocab_size`].
    pub fn token(&self, id: TokenId) -> &[u8] {
        let id = id.0 as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start as usize..self.ends[id] as usize]
    }

    /// The bytes of the text that each id stands for, in order: where the tokens of an encoded text lie in it.
    ///
    /// ```
    /// let gpt2 = bpe::Tokenizer::gpt2();
    /// let ids = bpe::Encoder::new(&gpt2).encode("Hello world");
    /// assert_eq!(gpt2.offsets(&ids).collect::<Vec<_>>(), [0..5, 5..11]);
    /// ```
    ///
    /// # Panics
    /// If an id is not below [`Tokenizer::vocab_size`].
    pub fn offsets<'t>(&'t self, ids: &'t [TokenId]) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
        ids.iter().scan(0, |end, &id| {
            let start = *end;
            *end += self.token(id).len();
            Some(start..*end)
        })
    }

    /// The bytes that a sequence of ids stands for. They need not be UTF-8.
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn decode(&self, ids: &[TokenId]) -> Result<Vec<u8>, TokenizerError> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for (place, &id) in ids.iter().enumerate() {
            if self.kinds.get(id.0 as usize).is_none_or(|&kind| kind == TokenKind::Absent) {
                return Err(TokenizerError::UnknownId { id: id.0, place, vocab_size: self.vocab_size() });
            }
            bytes.extend_from_slice(self.token(id));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_merges_than_ids_have_room_for_are_refused() {
        let merges = vec![(TokenId(0), TokenId(0)); Tokenizer::MAX_MERGES + 1];
        let refused = Tokenizer::from_merges(&merges, &[]).unwrap_err();
        assert_eq!(refused.to_string(), "2096897 merges are more than the 2096896 that an id has room for");
    }
}
