//! Text to ids: merges over a bounded memory of words.
//!
//! Nine in ten pretokens of a text are among the few thousand that occur again and again. Those of at
//! most 15 bytes whose ids are at most four are remembered in a table of fixed size: a word's slot is
//! found by its hash, and a newcomer takes the place of whoever sits there. Longer ones and newcomers go
//! through the merges: a scan over at most 64 bytes, a heap beyond that, so that no input is quadratic.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pretokenize::pretokens;
use crate::{TokenId, Tokenizer};

/// Slots of the word table: 2¹⁷ × 32 bytes = 4 MiB, about the size of a second-level cache for the part in use.
const WORD_SLOTS: usize = 1 << 17;
/// Longest word that the table holds: 15 bytes and a length fill 16.
const WORD_MAX_BYTES: usize = 15;
/// Most ids of a word that the table holds.
const WORD_MAX_IDS: usize = 4;
/// Longest pretoken that is merged by scanning.
const SCAN_MAX_BYTES: usize = 64;
/// No merge.
const NO_RANK: u32 = u32::MAX;

/// Encodes with one tokenizer. Cheap to clone per thread: the merges are shared.
#[derive(Clone)]
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    ranks: std::sync::Arc<Ranks>,
    words: Vec<Word>,
}

#[derive(Clone, Copy)]
struct Word {
    /// Bytes of the word, with its length in the last; 0 for an empty slot.
    key: u128,
    ids: [u32; WORD_MAX_IDS],
}

impl<'a> Encoder<'a> {
    /// An encoder for `tokenizer`. Time and memory linear in its merges.
    pub fn new(tokenizer: &'a Tokenizer) -> Encoder<'a> {
        let ranks = std::sync::Arc::new(Ranks::new(tokenizer));
        Encoder { tokenizer, ranks, words: vec![Word { key: 0, ids: [0; WORD_MAX_IDS] }; WORD_SLOTS] }
    }

    /// The ids of a text. Special tokens in it are ordinary text.
    ///
    /// ```
    /// let gpt2 = bpe::Tokenizer::gpt2();
    /// let ids = bpe::Encoder::new(&gpt2).encode("Hello world");
    /// assert_eq!(ids, [bpe::TokenId(15496), bpe::TokenId(995)]);
    /// ```
    pub fn encode(&mut self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        self.encode_into(text, &mut ids);
        ids
    }

    /// Appends the ids of a text to `ids`.
    ///
    /// Time linear in the text for ordinary text, O(n log n) in the longest pretoken at worst.
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<TokenId>) {
        let bytes = text.as_bytes();
        let mut start = 0;
        for pretoken in pretokens(text) {
            self.encode_pretoken(pretoken.as_bytes(), &bytes[start..], ids);
            start += pretoken.len();
        }
    }

    /// Appends the ids of a pretoken; `from` is the text from its first byte on.
    #[inline]
    fn encode_pretoken(&mut self, word: &[u8], from: &[u8], ids: &mut Vec<TokenId>) {
        if word.len() > WORD_MAX_BYTES {
            return self.merge(word, ids);
        }
        let key = key_of(word, from);
        let slot = slot_of(key);
        let held = &self.words[slot];
        if held.key == key {
            // Two words in three are one token.
            ids.push(TokenId(held.ids[0]));
            for &id in held.ids[1..].iter().take_while(|&&id| id != NO_RANK) {
                ids.push(TokenId(id));
            }
            return;
        }
        let start = ids.len();
        self.merge(word, ids);
        let made = &ids[start..];
        if made.len() <= WORD_MAX_IDS {
            let mut held = [NO_RANK; WORD_MAX_IDS];
            held.iter_mut().zip(made).for_each(|(slot, id)| *slot = id.0);
            self.words[slot] = Word { key, ids: held };
        }
    }

    #[cold]
    fn merge(&self, word: &[u8], ids: &mut Vec<TokenId>) {
        if word.len() <= SCAN_MAX_BYTES {
            self.merge_by_scan(word, ids);
        } else {
            self.merge_by_heap(word, ids);
        }
    }

    /// Finds the lowest rank by looking at every pair; best for short words.
    fn merge_by_scan(&self, word: &[u8], ids: &mut Vec<TokenId>) {
        let mut parts = [0u32; SCAN_MAX_BYTES];
        let mut made = [NO_RANK; SCAN_MAX_BYTES];
        let mut len = word.len();
        for (part, &byte) in parts.iter_mut().zip(word) {
            *part = self.tokenizer.id_of_byte(byte).0;
        }
        for i in 1..len {
            made[i - 1] = self.ranks.get(parts[i - 1], parts[i]);
        }
        while len > 1 {
            // The first of the smallest; ids of merges are in the order of their ranks.
            let (at, &least) = made[..len - 1].iter().enumerate().min_by_key(|&(_, id)| id).expect("a pair");
            if least == NO_RANK {
                break;
            }
            parts[at] = least;
            parts.copy_within(at + 2..len, at + 1);
            made.copy_within(at + 1..len, at);
            len -= 1;
            made[len - 1] = NO_RANK;
            if at + 1 < len {
                made[at] = self.ranks.get(parts[at], parts[at + 1]);
            }
            if at > 0 {
                made[at - 1] = self.ranks.get(parts[at - 1], parts[at]);
            }
        }
        ids.extend(parts[..len].iter().map(|&id| TokenId(id)));
    }

    /// The same with a heap of pairs and a linked list of parts: O(n log n) for words of any length.
    fn merge_by_heap(&self, word: &[u8], ids: &mut Vec<TokenId>) {
        const GONE: u32 = u32::MAX;
        let len = word.len();
        let mut parts: Vec<u32> = word.iter().map(|&byte| self.tokenizer.id_of_byte(byte).0).collect();
        let mut next: Vec<u32> = (1..=len as u32).collect();
        let mut previous: Vec<u32> = (0..len as u32).map(|i| i.wrapping_sub(1)).collect();
        let mut heap: BinaryHeap<Reverse<(u32, u32, u32, u32)>> = BinaryHeap::with_capacity(len);
        let push = |heap: &mut BinaryHeap<_>, parts: &[u32], left: u32, right: u32| {
            let (a, b) = (parts[left as usize], parts[right as usize]);
            let made = self.ranks.get(a, b);
            if made != NO_RANK {
                heap.push(Reverse((made, left, a, b)));
            }
        };
        for i in 1..len as u32 {
            push(&mut heap, &parts, i - 1, i);
        }
        while let Some(Reverse((made, left, a, b))) = heap.pop() {
            let right = next[left as usize];
            // A pair that has changed since it was pushed is not there any more.
            if parts[left as usize] != a || right as usize >= len || parts[right as usize] != b {
                continue;
            }
            parts[left as usize] = made;
            parts[right as usize] = GONE;
            let after = next[right as usize];
            next[left as usize] = after;
            if (after as usize) < len {
                previous[after as usize] = left;
                push(&mut heap, &parts, left, after);
            }
            let before = previous[left as usize];
            if before != GONE {
                push(&mut heap, &parts, before, left);
            }
        }
        ids.extend(parts.into_iter().filter(|&id| id != GONE).map(TokenId));
    }
}

/// The bytes of a word of at most 15 bytes and its length, as one number that is never 0.
///
/// Where 16 bytes follow in the text they are read at once and the rest masked: copying a length that
/// the processor cannot foresee costs more than all else here.
#[inline(always)]
fn key_of(word: &[u8], from: &[u8]) -> u128 {
    let bytes = match from.first_chunk::<16>() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; 16];
            bytes[..word.len()].copy_from_slice(word);
            bytes
        }
    };
    let mask = (1u128 << (8 * word.len())) - 1;
    u128::from_le_bytes(bytes) & mask | (word.len() as u128) << 120
}

#[inline(always)]
fn slot_of(key: u128) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let folded = (key as u64).wrapping_mul(ODD) ^ ((key >> 64) as u64).wrapping_mul(ODD.rotate_left(32));
    (folded.wrapping_mul(ODD) >> (64 - WORD_SLOTS.trailing_zeros())) as usize
}

/// What each pair of ids merges into: an open-addressed table, at most half full.
struct Ranks {
    slots: Vec<(u64, u32)>,
    shift: u32,
}

const EMPTY: u64 = u64::MAX;

impl Ranks {
    fn new(tokenizer: &Tokenizer) -> Ranks {
        let capacity = (tokenizer.merges().len() * 2 + 2).next_power_of_two();
        let mut ranks = Ranks { slots: vec![(EMPTY, NO_RANK); capacity], shift: 64 - capacity.trailing_zeros() };
        for (left, right, made) in tokenizer.merges() {
            let key = pair_key(left.0, right.0);
            let mut slot = ranks.home(key);
            while ranks.slots[slot].0 != EMPTY {
                slot = (slot + 1) & (capacity - 1);
            }
            ranks.slots[slot] = (key, made.0);
        }
        ranks
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The id of the merged pair, or [`NO_RANK`].
    #[inline(always)]
    fn get(&self, left: u32, right: u32) -> u32 {
        let key = pair_key(left, right);
        let mut slot = self.home(key);
        loop {
            let (held, made) = self.slots[slot];
            if held == key || held == EMPTY {
                return made;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

#[inline(always)]
fn pair_key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::twin;

    fn check(text: &str) {
        let gpt2 = Tokenizer::gpt2();
        let pretokens: Vec<&str> = pretokens(text).collect();
        assert_eq!(pretokens, twin::pretokens(text), "{text:?}");
        let mut encoder = Encoder::new(&gpt2);
        let ids = encoder.encode(text);
        assert_eq!(ids, twin::encode(&gpt2, text), "{text:?}");
        assert_eq!(encoder.encode(text), ids, "from memory: {text:?}");
        assert_eq!(gpt2.decode(&ids).unwrap(), text.as_bytes());
    }

    #[test]
    fn known_ids() {
        let gpt2 = Tokenizer::gpt2();
        let ids = |text| Encoder::new(&gpt2).encode(text).iter().map(|id| id.0).collect::<Vec<_>>();
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_encoded_as_the_twin_does(text: String) {
            check(&text);
        }

        #[test]
        fn text_of_few_characters_is_encoded_as_the_twin_does(text in "[ a'slrev\n1.é]{0,80}") {
            check(&text);
        }
    }
}
