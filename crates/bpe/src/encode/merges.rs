//! What each pair of tokens merges into, and which pairs are valid.

use crate::byte_order::{BYTE_OF_ID, ID_OF_BYTE};
use crate::simd::prefetch;

/// No id: no merge, no token.
pub(crate) const NONE: u32 = u32::MAX;
/// Bits of an id in a slot of the table of pairs: two ids and their merge take 63 of 64 bits.
const ID_BITS: u32 = 21;
const _: () = assert!(256 + MAX_MERGES <= 1 << ID_BITS, "every id fits into its bits");
/// Maximum number of merges.
pub(crate) const MAX_MERGES: usize = (1 << ID_BITS) - 256;
/// A slot that holds no pair.
const EMPTY: u64 = u64::MAX;

/// What each pair of ids merges into.
///
/// The ids here are those of GPT-2's order: bytes, then merges in the order of their ranks, so the id that a pair makes
/// is its rank, too. Another tokenizer's ids are put in their place when a pretoken is merged (see `model`).
pub(crate) struct Merges {
    /// The parts of each merge, by rank.
    parts: Vec<(u32, u32)>,
    /// Bytes of each token.
    lens: Vec<u32>,
    /// Whether each token is canonical.
    canonical: Vec<bool>,
    /// The merge of each pair of bytes: most pairs that are looked up are of bytes.
    of_bytes: Vec<u32>,
    /// The merge of each pair of ids: an open-addressed table, at most half full, so that one probe is enough for most
    /// pairs without a merge.
    slots: Vec<u64>,
    shift: u32,
}

impl Merges {
    /// No merges yet, and room for some.
    pub(crate) fn with_capacity(merges: usize) -> Merges {
        let capacity = (merges * 2 + 2).next_power_of_two();
        Merges {
            parts: Vec::with_capacity(merges),
            lens: vec![1; 256],
            canonical: vec![true; 256],
            of_bytes: vec![NONE; 1 << 16],
            slots: vec![EMPTY; capacity],
            shift: 64 - capacity.trailing_zeros(),
        }
    }

    /// Adds the merge of the next rank. Both parts exist, the pair has no merge yet, and there is room.
    pub(crate) fn push(&mut self, left: u32, right: u32) {
        let made = self.len() as u32;
        self.canonical.push(self.makes_canonical(left, right));
        self.parts.push((left, right));
        self.lens.push(self.lens[left as usize] + self.lens[right as usize]);
        if left.max(right) < 256 {
            let [left, right] = [left, right].map(|id| usize::from(BYTE_OF_ID[id as usize]));
            self.of_bytes[left << 8 | right] = made;
        }
        let key = key_of(left, right);
        let mut slot = self.home(key);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = key << (ID_BITS + 1) | u64::from(made);
    }

    /// The merges in the order of their ranks: left, right, result.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        (256..).zip(&self.parts).map(|(made, &(left, right))| (left, right, made))
    }

    /// Number of ids: bytes and merges.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The merge of a pair of bytes, or [`NONE`].
    #[inline(always)]
    pub(crate) fn of_bytes(&self, pair: usize) -> u32 {
        self.of_bytes[pair]
    }

    /// Prefetches the entry of a pair for [`Merges::get`].
    #[inline(always)]
    pub(crate) fn prefetch(&self, left: u32, right: u32) {
        prefetch(&self.slots[self.home(key_of(left, right))]);
    }

    /// The id of the merged pair, or [`NONE`].
    #[inline(always)]
    pub(crate) fn get(&self, left: u32, right: u32) -> u32 {
        let key = key_of(left, right);
        let mut slot = self.home(key);
        loop {
            let held = self.slots[slot];
            if held >> (ID_BITS + 1) == key {
                return (held & ((2 << ID_BITS) - 1)) as u32;
            }
            if held == EMPTY {
                return NONE;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// Whether a token is *canonical*: encoding its bytes gives that token, since its two parts are canonical and a valid
    /// pair below its rank. In trained vocabularies nearly all are. Canonical tokens and valid pairs are the terms of
    /// GitHub's `bpe` crate.
    pub(crate) fn is_canonical(&self, id: u32) -> bool {
        self.canonical[id as usize]
    }

    /// Whether the token that the next merge makes is canonical if it is made of these two.
    pub(crate) fn makes_canonical(&self, left: u32, right: u32) -> bool {
        self.is_canonical(left) && self.is_canonical(right) && self.is_valid_pair(left, right, self.len() as u32)
    }

    /// Whether two canonical tokens are a *valid pair*: encoding their bytes together, nothing is merged across the
    /// border before the rank `limit`, so that they are encoded as the two tokens.
    ///
    /// Goes backwards through the merges: the later one of the two merges that end and begin at the border is undone,
    /// and the merge of the tokens then adjacent to the border must not have come before it. Of equal ranks the left
    /// one is first.
    fn is_valid_pair(&self, mut left: u32, mut right: u32, mut limit: u32) -> bool {
        loop {
            if self.get(left, right) < limit {
                return false;
            }
            if left.max(right) < 256 {
                return true;
            }
            if left > right {
                limit = left;
                left = self.parts[left as usize - 256].1;
            } else {
                limit = right + 1;
                right = self.parts[right as usize - 256].0;
            }
        }
    }

    /// Whether two canonical tokens beside each other are the encoding of their bytes.
    pub(crate) fn is_valid_pair_of_any_rank(&self, left: u32, right: u32) -> bool {
        self.is_valid_pair(left, right, NONE)
    }

    /// Length of a token in bytes.
    pub(crate) fn len_of(&self, id: u32) -> usize {
        self.lens[id as usize] as usize
    }

    /// The two parts of a token that is no byte.
    pub(crate) fn parts(&self, id: u32) -> (u32, u32) {
        self.parts[id as usize - 256]
    }

    /// The token of a byte.
    #[inline(always)]
    pub(crate) fn id_of_byte(byte: u8) -> u32 {
        u32::from(ID_OF_BYTE[byte as usize])
    }

    /// The bytes of all tokens.
    pub(crate) fn bytes_of_tokens(&self) -> TokenBytes {
        let mut tokens = TokenBytes { bytes: BYTE_OF_ID.to_vec(), ends: (1..=256).collect() };
        for &(left, right) in &self.parts {
            for part in [left, right] {
                tokens.bytes.extend_from_within(tokens.range(part));
            }
            tokens.ends.push(tokens.bytes.len());
        }
        tokens
    }
}

/// The bytes of each token.
pub(crate) struct TokenBytes {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl TokenBytes {
    fn range(&self, id: u32) -> std::ops::Range<usize> {
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[id as usize]
    }

    /// Those of one.
    pub(crate) fn of(&self, id: u32) -> &[u8] {
        &self.bytes[self.range(id)]
    }
}

#[inline(always)]
fn key_of(left: u32, right: u32) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{TokenId, Tokenizer};

    pub(crate) fn merges_of(tokenizer: &Tokenizer) -> Merges {
        let mut merges = Merges::with_capacity(tokenizer.merges().len());
        tokenizer.merges().for_each(|(left, right, _)| merges.push(left.0, right.0));
        merges
    }

    /// Random merges of few bytes, so that they overlap often.
    pub(crate) fn tokenizer_of(choices: &[(u16, u16)]) -> Tokenizer {
        let mut merges: Vec<(TokenId, TokenId)> = Vec::new();
        for &(left, right) in choices {
            let known = 3 + merges.len() as u16;
            let id = |choice: u16| match choice % known {
                byte @ 0..3 => Tokenizer::bytes_only().id_of_byte(b'a' + byte as u8),
                merge => TokenId(256 + u32::from(merge) - 3),
            };
            merges.push((id(left), id(right)));
            if Tokenizer::from_merges(&merges, &[]).is_err() {
                merges.pop();
            }
        }
        Tokenizer::from_merges(&merges, &[]).expect("checked one by one")
    }
}
