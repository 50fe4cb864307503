//! A vocabulary and its merges.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::byte_order::{BYTE_OF_ID, ID_OF_BYTE};
use crate::{END_OF_TEXT, formats};

/// The number of a token.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, bytemuck::Pod, bytemuck::Zeroable,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct TokenId(pub u32);

/// A vocabulary that cannot be used, or ids that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A merge names a token that no earlier merge makes.
    #[error("merge {rank} joins {token:?}, which no earlier merge makes")]
    UnknownPart {
        /// The merge's number, from 0.
        rank: usize,
        /// The part, as the file writes it.
        token: String,
    },
    /// Two merges make the same token.
    #[error("merge {rank} makes {token:?}, which is in the vocabulary already")]
    Twice {
        /// The merge's number, from 0.
        rank: usize,
        /// The token, as the file writes it.
        token: String,
    },
    /// A token that merges of lower rank cannot produce; encoding with it would differ from tiktoken.
    #[error("token {id} ({token:?}) cannot be reached by merges of lower rank")]
    Unreachable {
        /// Its id.
        id: u32,
        /// The token, as the file writes it.
        token: String,
    },
    /// More merges than [`Tokenizer::MAX_MERGES`].
    #[error("{merges} merges are more than the {} that an id has room for", Tokenizer::MAX_MERGES)]
    TooManyMerges {
        /// Their number.
        merges: usize,
    },
    /// An id outside the vocabulary.
    #[error("id {id} at place {place} is not in the vocabulary of {vocab_size}")]
    UnknownId {
        /// The id.
        id: u32,
        /// Its place in the sequence.
        place: usize,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
}

/// Byte-level BPE: 256 bytes in GPT-2's order, merges in the order of their ranks, then special tokens.
///
/// Merge `i` makes id `256 + i`; so the vocabulary follows from the merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    /// The concatenated bytes of all tokens; token `i` ends at `ends[i]`.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    merges: Vec<(TokenId, TokenId)>,
    specials: Vec<String>,
}

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
        let merges = include_str!("../assets/gpt2/vocab.bpe");
        let mut tokenizer = formats::merges::parse(merges).expect("the file compiled in is whole");
        tokenizer.specials.push(END_OF_TEXT.to_owned());
        tokenizer
    }

    /// A tokenizer with the 256 bytes and no merges.
    pub fn bytes_only() -> Tokenizer {
        Tokenizer { bytes: BYTE_OF_ID.to_vec(), ends: (1..=256).collect(), merges: Vec::new(), specials: Vec::new() }
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
            let joined = [tokenizer.token(left), tokenizer.token(right)].concat();
            if known.insert(joined.clone(), ()).is_some() {
                return Err(TokenizerError::Twice { rank, token: formats::visible(&joined) });
            }
            tokenizer.push_merge(left, right, &joined);
        }
        tokenizer.specials = specials.iter().map(|&s| s.to_owned()).collect();
        Ok(tokenizer)
    }

    /// Refuses more merges than ids have room for.
    pub(crate) fn check_number(merges: usize) -> Result<(), TokenizerError> {
        if merges > Tokenizer::MAX_MERGES { Err(TokenizerError::TooManyMerges { merges }) } else { Ok(()) }
    }

    pub(crate) fn push_merge(&mut self, left: TokenId, right: TokenId, joined: &[u8]) {
        self.bytes.extend_from_slice(joined);
        self.ends.push(self.bytes.len() as u32);
        self.merges.push((left, right));
    }

    pub(crate) fn set_specials(&mut self, specials: Vec<String>) {
        self.specials = specials;
    }

    /// Number of ids: bytes, merges and special tokens.
    pub fn vocab_size(&self) -> usize {
        self.ends.len() + self.specials.len()
    }

    /// The merges in the order of their ranks: left, right, result.
    pub fn merges(&self) -> impl ExactSizeIterator<Item = (TokenId, TokenId, TokenId)> + '_ {
        self.merges.iter().enumerate().map(|(rank, &(l, r))| (l, r, TokenId(256 + rank as u32)))
    }

    /// The special tokens, in the order of their ids.
    pub fn specials(&self) -> &[String] {
        &self.specials
    }

    /// The id of a special token.
    pub fn special(&self, text: &str) -> Option<TokenId> {
        let place = self.specials.iter().position(|special| special == text)?;
        Some(TokenId((self.ends.len() + place) as u32))
    }

    /// The id of the end-of-text token; token files need one.
    pub fn end_of_text(&self) -> Option<TokenId> {
        self.special(END_OF_TEXT)
    }

    /// The id of a single byte.
    pub fn id_of_byte(&self, byte: u8) -> TokenId {
        TokenId(u32::from(ID_OF_BYTE[byte as usize]))
    }

    /// The bytes of a token; of a special token, its text.
    ///
    /// # Panics
    /// If the id is not below [`Tokenizer::vocab_size`].
    pub fn token(&self, id: TokenId) -> &[u8] {
        let id = id.0 as usize;
        match self.ends.get(id) {
            Some(&end) => {
                let start = if id == 0 { 0 } else { self.ends[id - 1] };
                &self.bytes[start as usize..end as usize]
            }
            None => self.specials[id - self.ends.len()].as_bytes(),
        }
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
            if id.0 as usize >= self.vocab_size() {
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
