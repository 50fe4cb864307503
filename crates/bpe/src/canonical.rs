//! Encodes a pretoken from left to right, over *canonical* tokens: those whose own bytes are encoded as themselves.
//!
//! **Theorem** (of GitHub's `bpe` crate, whose terms these are): a sequence of tokens is the encoding of its bytes if and
//! only if each is canonical and each two neighbours are a *valid pair*, which is the encoding of its own bytes.
//!
//! **Algorithm.** Take the longest canonical token that the rest begins with, if it makes a valid pair with the token
//! before it; else the next shorter one; if none fits, take back the token before it and try its next shorter one. A place
//! from which the rest has no encoding is marked and never tried again, so each place is left at most once.

use std::sync::OnceLock;

use crate::byte_order::{BYTE_OF_ID, ID_OF_BYTE};
use crate::merges::{Merges, NONE};

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
    /// Nodes by parent and byte: an open-addressed table, at most half full. The lower half of a slot is the node.
    slots: Vec<u64>,
    shift: u32,
    /// The token that ends at a node, or the longest that ends before it on the way there.
    longest: Vec<u32>,
    /// The longest canonical token that a token begins with and is not itself, or [`NONE`].
    shorter: Vec<u32>,
}

/// A slot without a node.
const EMPTY: u64 = u64::MAX;
/// Longest pretoken whose places fit into one word of bits.
const MAX_SHORT_BYTES: usize = 63;

impl Trie {
    /// Time linear in the bytes of all tokens.
    fn new(merges: &Merges) -> Trie {
        let bytes = merges.bytes_of_tokens();
        // Shorter ones first: then the tokens that a token begins with are known when it is added.
        let mut tokens: Vec<u32> = (256..merges.len() as u32).filter(|&id| merges.is_canonical(id)).collect();
        tokens.sort_by_key(|&id| merges.len_of(id));
        let capacity = (4 * tokens.len().max(8)).next_power_of_two();
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
            if 2 * new as usize > self.slots.len() {
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
        let first = u32::from(ID_OF_BYTE[bytes[0] as usize]);
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

impl CanonicalTokens {
    pub(crate) fn new(merges: Merges) -> CanonicalTokens {
        CanonicalTokens { merges, trie: OnceLock::new() }
    }

    /// Appends the ids of a pretoken. Time linear in its bytes.
    pub(crate) fn encode(&self, word: &[u8], ids: &mut Vec<u32>) {
        if word.len() <= MAX_SHORT_BYTES {
            self.encode_with(word, ids, u64::MAX);
        } else {
            self.encode_with(word, ids, vec![u64::MAX; word.len() / 64 + 1]);
        }
    }

    #[inline(always)]
    fn encode_with(&self, word: &[u8], ids: &mut Vec<u32>, mut open: impl Places) {
        let trie = self.trie.get_or_init(|| Trie::new(&self.merges));
        let begin = ids.len();
        let mut at = 0;
        while at < word.len() {
            let mut token = trie.longest_match(&word[at..]);
            loop {
                let end = at + self.merges.len_of(token);
                let before = if ids.len() > begin { ids[ids.len() - 1] } else { NONE };
                if open.has(end) && (before == NONE || self.merges.is_valid_pair_of_any_rank(before, token)) {
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
    use crate::merges::tests::{merges_of, tokenizer_of};
    use crate::twin::Twin;
    use crate::{TokenId, Tokenizer};

    /// Compares with merging by the definition.
    fn check(encoder: &CanonicalTokens, twin: &Twin, word: &[u8]) {
        let mut ids = Vec::new();
        encoder.encode(word, &mut ids);
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
