//! Encodes a pretoken from left to right, over *canonical* tokens: those whose own bytes are encoded as themselves.
//!
//! **Theorem** (of GitHub's `bpe` crate, whose terms these are): a sequence of tokens is the encoding of its bytes if and
//! only if each is canonical and each two neighbours are a *valid pair*, which is the encoding of its own bytes.
//!
//! **Algorithm.** Take the longest canonical token that the rest begins with, if it makes a valid pair with the token
//! before it; else the next shorter one; if none fits, take back the token before it and try its next shorter one. A place
//! from which the rest has no encoding is marked and never tried again, so each place is left at most once.

use std::sync::OnceLock;

use super::merges::{Merges, NONE};
use crate::byte_order::BYTE_OF_ID;

/// The canonical tokens of a vocabulary, and the valid pairs of them.
pub(crate) struct CanonicalTokens {
    pub(crate) merges: Merges,
    /// Made when the first word needs it.
    trie: OnceLock<Trie>,
}

/// The canonical tokens as a trie.
struct Trie {
    /// The node of each two bytes, or [`NONE`].
    of_two_bytes: Vec<u32>,
    /// Nodes by parent and byte: an open-addressed table, at most three quarters full. The lower half of a slot is the node.
    slots: Vec<u64>,
    shift: u32,
    /// The token that ends at a node, or the longest that ends before it on the way there.
    longest: Vec<u32>,
    /// The longest canonical token that a token begins with and is not itself, or [`NONE`].
    shorter: Vec<u32>,
}

/// A slot without a node.
const EMPTY: u64 = u64::MAX;
/// Tokens on both sides of a border that are encoded again where they are no valid pair.
const REDONE_TOKENS: [usize; 2] = [2, 6];
/// Longest pretoken whose places fit into one word of bits.
const MAX_SHORT_BYTES: usize = 63;

impl Trie {
    /// Time linear in the bytes of all tokens.
    fn new(merges: &Merges) -> Trie {
        let bytes = merges.bytes_of_tokens();
        // Shorter ones first: then the tokens that a token begins with are known when it is added.
        let mut tokens: Vec<u32> = (256..merges.len() as u32).filter(|&id| merges.is_canonical(id)).collect();
        tokens.sort_by_key(|&id| merges.len_of(id));
        let capacity = (2 * tokens.len().max(8)).next_power_of_two();
        let mut trie = Trie {
            of_two_bytes: vec![NONE; 1 << 16],
            slots: vec![EMPTY; capacity],
            shift: 64 - capacity.trailing_zeros(),
            longest: (0..256).collect(),
            shorter: vec![NONE; merges.len()],
        };
        let mut nodes = vec![NONE; merges.len()];
        (0..256).for_each(|byte| nodes[byte as usize] = byte);
        for id in tokens {
            // The left part is shorter and canonical, too.
            let (left, right) = merges.parts(id);
            let mut node = nodes[left as usize];
            let mut first = if left < 256 { Some(BYTE_OF_ID[left as usize]) } else { None };
            for &byte in bytes.of(right) {
                node = trie.child_or_new(node, first.take(), byte);
            }
            trie.shorter[id as usize] = trie.longest[node as usize];
            trie.longest[node as usize] = id;
            nodes[id as usize] = node;
        }
        trie
    }

    /// The node behind `node` by a byte; `first` is the byte of a node that is one byte.
    fn child_or_new(&mut self, node: u32, first: Option<u8>, byte: u8) -> u32 {
        let new = self.longest.len() as u32;
        if let Some(first) = first {
            let child = &mut self.of_two_bytes[usize::from(first) << 8 | usize::from(byte)];
            if *child != NONE {
                return *child;
            }
            *child = new;
        } else {
            let key = key_of(node, byte);
            let mut slot = self.home(key);
            while self.slots[slot] != EMPTY {
                if self.slots[slot] >> 32 == key {
                    return self.slots[slot] as u32;
                }
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = key << 32 | u64::from(new);
            if 4 * new as usize > 3 * self.slots.len() {
                self.grow();
            }
        }
        self.longest.push(self.longest[node as usize]);
        new
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![EMPTY; 2 * self.slots.len()];
        self.shift -= 1;
        for held in std::mem::replace(&mut self.slots, larger).into_iter().filter(|&held| held != EMPTY) {
            let mut slot = self.home(held >> 32);
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = held;
        }
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The node behind `node` by a byte.
    #[inline(always)]
    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let key = key_of(node, byte);
        let mut slot = self.home(key);
        loop {
            let held = self.slots[slot];
            if held >> 32 == key {
                return Some(held as u32);
            }
            if held == EMPTY {
                return None;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The longest canonical token with which bytes, of which there are some, begin.
    #[inline(always)]
    fn longest_match(&self, bytes: &[u8]) -> u32 {
        let first = Merges::id_of_byte(bytes[0]);
        let Some(&second) = bytes.get(1) else { return first };
        let mut node = self.of_two_bytes[usize::from(bytes[0]) << 8 | usize::from(second)];
        if node == NONE {
            return first;
        }
        for &byte in &bytes[2..] {
            match self.child(node, byte) {
                Some(child) => node = child,
                None => break,
            }
        }
        self.longest[node as usize]
    }
}

/// Which pairs were found valid or not: most pairs of a text are repeated, and to test one takes several lookups in
/// tables that are larger than a cache of the processor.
pub(crate) struct PairMemo(Box<[u64]>);

/// Pairs that are cached: 256 KiB.
const CACHED_PAIRS: usize = 1 << 15;

impl PairMemo {
    pub(crate) fn new() -> PairMemo {
        PairMemo(vec![u64::MAX; CACHED_PAIRS].into())
    }

    /// Whether two tokens beside each other are the encoding of their bytes.
    #[inline(always)]
    pub(crate) fn is_valid(&mut self, merges: &Merges, left: u32, right: u32) -> bool {
        let pair = u64::from(left) << 31 | u64::from(right);
        let place = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - CACHED_PAIRS.trailing_zeros());
        let held = &mut self.0[place as usize];
        if *held >> 1 != pair {
            *held = pair << 1 | u64::from(merges.is_valid_pair_of_any_rank(left, right));
        }
        *held & 1 != 0
    }
}

impl CanonicalTokens {
    pub(crate) fn new(merges: Merges) -> CanonicalTokens {
        CanonicalTokens { merges, trie: OnceLock::new() }
    }

    /// Makes what is made when it is first needed.
    pub(crate) fn prepare(&self) {
        self.trie();
    }

    fn trie(&self) -> &Trie {
        self.trie.get_or_init(|| Trie::new(&self.merges))
    }

    /// Appends the ids of the next piece of a word to those of the pieces before it. If the tokens at the border are no
    /// valid pair, a few on both sides are encoded again; if that does not help, `false`.
    #[inline(never)]
    pub(crate) fn append(&self, word: &[u8], ids: &mut Vec<u32>, piece: &[u32], memo: &mut PairMemo) -> bool {
        let merges = &self.merges;
        let bytes_of = |ids: &[u32]| ids.iter().map(|&id| merges.len_of(id)).sum::<usize>();
        if memo.is_valid(merges, ids[ids.len() - 1], piece[0]) {
            ids.extend_from_slice(piece);
            return true;
        }
        let border = bytes_of(ids);
        let mut between = Vec::new();
        for again in REDONE_TOKENS {
            let (before, redone) = ids.split_at(ids.len().saturating_sub(again));
            let (redone_of_piece, behind) = piece.split_at(piece.len().min(again));
            between.clear();
            let bytes = &word[border - bytes_of(redone)..border + bytes_of(redone_of_piece)];
            self.encode(bytes, memo, &mut between);
            let is_valid = before.last().is_none_or(|&left| memo.is_valid(merges, left, between[0]))
                && behind.first().is_none_or(|&right| memo.is_valid(merges, between[between.len() - 1], right));
            if is_valid {
                ids.truncate(before.len());
                ids.extend_from_slice(&between);
                ids.extend_from_slice(behind);
                return true;
            }
        }
        false
    }

    /// Appends the ids of a pretoken. Time linear in its bytes.
    #[inline(never)]
    pub(crate) fn encode(&self, word: &[u8], memo: &mut PairMemo, ids: &mut Vec<u32>) {
        if word.len() <= MAX_SHORT_BYTES {
            self.encode_with(word, memo, ids, u64::MAX);
        } else {
            self.encode_with(word, memo, ids, vec![u64::MAX; word.len() / 64 + 1]);
        }
    }

    #[inline(always)]
    fn encode_with(&self, word: &[u8], memo: &mut PairMemo, ids: &mut Vec<u32>, mut open: impl Places) {
        let trie = self.trie();
        let begin = ids.len();
        let mut at = 0;
        while at < word.len() {
            let mut token = trie.longest_match(&word[at..]);
            loop {
                let end = at + self.merges.len_of(token);
                let before = if ids.len() > begin { ids[ids.len() - 1] } else { NONE };
                if open.has(end) && (before == NONE || memo.is_valid(&self.merges, before, token)) {
                    ids.push(token);
                    at = end;
                    break;
                }
                token = trie.shorter[token as usize];
                if token == NONE {
                    // Nothing begins here. Every text has an encoding, so this is not its beginning.
                    open.close(at);
                    token = ids.pop().expect("each text has an encoding");
                    at -= self.merges.len_of(token);
                }
            }
        }
    }
}

/// The places of a word at which a token may end.
trait Places {
    fn has(&self, place: usize) -> bool;
    fn close(&mut self, place: usize);
}

impl Places for u64 {
    #[inline(always)]
    fn has(&self, place: usize) -> bool {
        self >> place & 1 != 0
    }

    #[inline(always)]
    fn close(&mut self, place: usize) {
        *self &= !(1 << place);
    }
}

impl Places for Vec<u64> {
    #[inline(always)]
    fn has(&self, place: usize) -> bool {
        self[place / 64].has(place % 64)
    }

    #[inline(always)]
    fn close(&mut self, place: usize) {
        self[place / 64].close(place % 64);
    }
}

#[inline(always)]
fn key_of(node: u32, byte: u8) -> u64 {
    u64::from(node) << 8 | u64::from(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::merges::tests::{merges_of, tokenizer_of};
    use crate::twin::Twin;
    use crate::{TokenId, Tokenizer};

    /// Compares with merging by the definition.
    fn check(encoder: &CanonicalTokens, twin: &Twin, word: &[u8]) {
        let mut ids = Vec::new();
        encoder.encode(word, &mut PairMemo::new(), &mut ids);
        let expected: Vec<u32> = twin.merge(word).iter().map(|id| id.0).collect();
        assert_eq!(ids, expected, "{:?}", String::from_utf8_lossy(word));
    }

    /// All tokens, canonical or not.
    fn check_tokens(tokenizer: &Tokenizer) {
        let (encoder, twin) = (CanonicalTokens::new(merges_of(tokenizer)), Twin::new(tokenizer));
        for id in 0..tokenizer.merges().len() as u32 + 256 {
            let token = tokenizer.token(TokenId(id));
            check(&encoder, &twin, token);
            let is_canonical = twin.merge(token) == [TokenId(id)];
            assert_eq!(is_canonical, encoder.merges.is_canonical(id), "token {id}: {token:?}");
        }
    }

    #[test]
    fn tokens_of_gpt2() {
        check_tokens(&Tokenizer::gpt2());
    }

    proptest! {
        #[test]
        fn tokens_of_any_merges(choices: Vec<(u16, u16)>) {
            check_tokens(&tokenizer_of(&choices));
        }

        #[test]
        fn any_word_is_encoded_as_the_twin_does(
            choices: Vec<(u16, u16)>,
            words in proptest::collection::vec("[abc]{1,80}|[abc]{100,700}|(a|ab){200,300}", 1..12),
        ) {
            let tokenizer = tokenizer_of(&choices);
            let (encoder, twin) = (CanonicalTokens::new(merges_of(&tokenizer)), Twin::new(&tokenizer));
            words.iter().for_each(|word| check(&encoder, &twin, word.as_bytes()));
        }

        #[test]
        fn pieces_are_joined_to_the_whole(choices: Vec<(u16, u16)>, word in "[abc]{2,120}", lens in proptest::collection::vec(1usize..32, 1..20)) {
            let tokenizer = tokenizer_of(&choices);
            let (encoder, twin) = (CanonicalTokens::new(merges_of(&tokenizer)), Twin::new(&tokenizer));
            let encode = |bytes: &[u8]| twin.merge(bytes).iter().map(|id| id.0).collect::<Vec<_>>();
            let (mut at, mut ids, mut memo) = (0, Vec::new(), PairMemo::new());
            for len in lens {
                let end = word.len().min(at + len);
                let piece = encode(&word.as_bytes()[at..end]);
                if at == 0 {
                    ids = piece;
                } else if end > at && !encoder.append(word.as_bytes(), &mut ids, &piece, &mut memo) {
                    return Ok(());
                }
                at = end;
            }
            prop_assert_eq!(ids, encode(&word.as_bytes()[..at]));
        }

        #[test]
        fn words_in_gpt2s_vocabulary(words in proptest::collection::vec("[ ]?[a-z]{1,40}|[А-я]{1,30}|[一-龥]{1,30}|\\PC{1,30}", 1..40)) {
            thread_local! {
                static GPT2: (CanonicalTokens, Twin) = {
                    let gpt2 = Tokenizer::gpt2();
                    (CanonicalTokens::new(merges_of(&gpt2)), Twin::new(&gpt2))
                };
            }
            GPT2.with(|(encoder, twin)| words.iter().for_each(|word| check(encoder, twin, word.as_bytes())));
        }
    }
}
