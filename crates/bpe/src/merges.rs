//! One pretoken to ids: the merges themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Tokenizer;
use crate::simd::prefetch;
use crate::words::Key;

/// No merge.
const NONE: u32 = u32::MAX;
/// Lanes of a word that is merged beside others: one more than a key's bytes.
const SHORT_MAX_BYTES: usize = 16;
/// Words that are merged side by side.
const SIDE_BY_SIDE: usize = 8;
/// Longest pretoken that is merged by looking for the least rank among all pairs.
const SCAN_MAX_BYTES: usize = 64;
/// Bits of an id in a slot of the table of pairs: two ids and what they make fill 64.
const ID_BITS: u32 = 21;
/// A slot that holds no pair.
const EMPTY: u64 = u64::MAX;

/// What each pair of ids merges into.
///
/// Ids of merges are in the order of their ranks, so the id that a pair makes is its rank, too.
pub(crate) struct Merges {
    id_of_byte: [u32; 256],
    /// What two bytes make, by both: most pairs that are looked up are of bytes.
    of_bytes: Vec<u32>,
    /// What two ids make: an open-addressed table, at most half full, so that most pairs that make nothing
    /// are known after one look.
    slots: Vec<u64>,
    shift: u32,
}

impl Merges {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Merges {
        let mut id_of_byte = [0; 256];
        for byte in 0..=255u8 {
            id_of_byte[byte as usize] = tokenizer.id_of_byte(byte).0;
        }
        let capacity = (tokenizer.merges().len() * 2 + 2).next_power_of_two();
        let shift = 64 - capacity.trailing_zeros();
        let mut merges = Merges { id_of_byte, of_bytes: vec![NONE; 1 << 16], slots: vec![EMPTY; capacity], shift };
        for (left, right, made) in tokenizer.merges() {
            if let (&[left], &[right]) = (tokenizer.token(left), tokenizer.token(right)) {
                merges.of_bytes[usize::from(left) << 8 | usize::from(right)] = made.0;
            }
            let key = key_of(left.0, right.0);
            let mut slot = merges.home(key);
            while merges.slots[slot] != EMPTY {
                slot = (slot + 1) & (capacity - 1);
            }
            merges.slots[slot] = key << (ID_BITS + 1) | u64::from(made.0);
        }
        merges
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// Asks for the entry of a pair, which [`Merges::get`] will look at.
    #[inline(always)]
    fn ask_for(&self, left: u32, right: u32) {
        prefetch(&self.slots[self.home(key_of(left, right))]);
    }

    /// The id of the merged pair, or [`NONE`].
    #[inline(always)]
    fn get(&self, left: u32, right: u32) -> u32 {
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

    /// For each token, whether its bytes alone are encoded as that token: no merge of a lower rank goes
    /// across the border of its two parts. Vocabularies that were trained have hardly any other.
    pub(crate) fn stands_alone(&self, tokenizer: &Tokenizer) -> Vec<bool> {
        let parts: Vec<(u32, u32)> = tokenizer.merges().map(|(left, right, _)| (left.0, right.0)).collect();
        let mut alone = vec![true; 256 + parts.len()];
        for (rank, &(left, right)) in parts.iter().enumerate() {
            let id = 256 + rank;
            alone[id] =
                alone[left as usize] && alone[right as usize] && self.keeps_border(&parts, left, right, id as u32);
        }
        alone
    }

    /// Whether nothing is merged across the border of `left` and `right` before they make `id`.
    ///
    /// Goes back in time: the later of the two merges that end and begin at the border is undone, and what
    /// the neighbours of then would make must not have come before it. Of equal ranks the left one is first.
    fn keeps_border(&self, parts: &[(u32, u32)], mut left: u32, mut right: u32, id: u32) -> bool {
        let mut limit = id;
        loop {
            if self.get(left, right) < limit {
                return false;
            }
            if left.max(right) < 256 {
                return true;
            }
            if left > right {
                limit = left;
                left = parts[left as usize - 256].1;
            } else {
                limit = right + 1;
                right = parts[right as usize - 256].0;
            }
        }
    }

    /// Appends the ids of a pretoken. Time O(n log n) in its bytes.
    pub(crate) fn encode(&self, word: &[u8], ids: &mut Vec<u32>) {
        if word.len() <= SCAN_MAX_BYTES { self.encode_by_scan(word, ids) } else { self.encode_by_heap(word, ids) }
    }

    /// Merges words side by side. `each` gets a word's number and key, its ids and how many they are, as
    /// words are done.
    ///
    /// A merge needs what its new pairs make, and the table of pairs is too large for the nearest caches. So
    /// the entries are asked for, and until they have come the other words have their turn.
    #[inline(always)]
    pub(crate) fn encode_short(
        &self,
        mut words: impl Iterator<Item = (usize, Key)>,
        mut each: impl FnMut(usize, Key, &[u32; SHORT_MAX_BYTES], usize),
    ) {
        let mut at_work = [const { ShortWord::NONE }; SIDE_BY_SIDE];
        let mut live = 0;
        for word in &mut at_work {
            live += usize::from(word.begin(self, words.next()));
        }
        while live > 0 {
            for word in &mut at_work {
                word.look_up(self);
            }
            for word in at_work.iter_mut().filter(|word| word.len > 0) {
                if !word.merge(self) {
                    let (ids, count) = word.ids();
                    each(word.number, word.key, &ids, count);
                    live -= usize::from(!word.begin(self, words.next()));
                }
            }
        }
    }

    /// Finds the lowest rank by looking at every pair.
    fn encode_by_scan(&self, word: &[u8], ids: &mut Vec<u32>) {
        let mut parts = [0u32; SCAN_MAX_BYTES];
        let mut made = [NONE; SCAN_MAX_BYTES];
        let mut len = word.len();
        for (part, &byte) in parts.iter_mut().zip(word) {
            *part = self.id_of_byte[byte as usize];
        }
        for (made, two) in made.iter_mut().zip(word.windows(2)) {
            *made = self.of_bytes[usize::from(two[0]) << 8 | usize::from(two[1])];
        }
        while len > 1 {
            // The first of the smallest.
            let (at, &least) = made[..len - 1].iter().enumerate().min_by_key(|&(_, id)| id).expect("a pair");
            if least == NONE {
                break;
            }
            parts[at] = least;
            parts.copy_within(at + 2..len, at + 1);
            made.copy_within(at + 1..len, at);
            len -= 1;
            made[len - 1] = NONE;
            if at + 1 < len {
                made[at] = self.get(parts[at], parts[at + 1]);
            }
            if at > 0 {
                made[at - 1] = self.get(parts[at - 1], parts[at]);
            }
        }
        ids.extend_from_slice(&parts[..len]);
    }

    /// The same with a heap of pairs and a linked list of parts: O(n log n) for words of any length.
    fn encode_by_heap(&self, word: &[u8], ids: &mut Vec<u32>) {
        const GONE: u32 = u32::MAX;
        let len = word.len();
        let mut parts: Vec<u32> = word.iter().map(|&byte| self.id_of_byte[byte as usize]).collect();
        let mut next: Vec<u32> = (1..=len as u32).collect();
        let mut previous: Vec<u32> = (0..len as u32).map(|i| i.wrapping_sub(1)).collect();
        let mut heap: BinaryHeap<Reverse<(u32, u32, u32, u32)>> = BinaryHeap::with_capacity(len);
        let push = |heap: &mut BinaryHeap<_>, parts: &[u32], left: u32, right: u32| {
            let (a, b) = (parts[left as usize], parts[right as usize]);
            let made = self.get(a, b);
            if made != NONE {
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
        ids.extend(parts.into_iter().filter(|&id| id != GONE));
    }
}

#[inline(always)]
fn key_of(left: u32, right: u32) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

/// A word under way. A part stays in the lane of its first byte; a lane holds what its part and the next one
/// make, with the lane's number below it, so that the least lane is the leftmost of the least rank.
struct ShortWord {
    number: usize,
    key: Key,
    /// Bytes of the word; 0 when there is none.
    len: usize,
    parts: [u32; SHORT_MAX_BYTES + 1],
    lanes: [u32; SHORT_MAX_BYTES],
    next: [u8; SHORT_MAX_BYTES + 1],
    previous: [u8; SHORT_MAX_BYTES + 2],
    /// Lanes whose pairs are asked for: of the part that was made last, and of the one before it.
    waiting: Option<(u8, u8)>,
}

/// The links of a word of which nothing is merged yet.
const NEXT: [u8; SHORT_MAX_BYTES + 1] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0];
const PREVIOUS: [u8; SHORT_MAX_BYTES + 2] = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0];

impl ShortWord {
    const NONE: ShortWord = ShortWord {
        number: 0,
        key: Key::NONE,
        len: 0,
        parts: [0; SHORT_MAX_BYTES + 1],
        lanes: [NONE; SHORT_MAX_BYTES],
        next: [0; SHORT_MAX_BYTES + 1],
        previous: [0; SHORT_MAX_BYTES + 2],
        waiting: None,
    };

    /// Takes the next word, if there is one.
    #[inline(always)]
    fn begin(&mut self, merges: &Merges, next: Option<(usize, Key)>) -> bool {
        (self.waiting, self.len) = (None, 0);
        let Some((number, key)) = next else { return false };
        let (bytes, len) = key.bytes();
        (self.number, self.key, self.len) = (number, key, len);
        self.lanes = [NONE; SHORT_MAX_BYTES];
        (self.next, self.previous) = (NEXT, PREVIOUS);
        for place in 0..len % SHORT_MAX_BYTES {
            self.parts[place] = merges.id_of_byte[bytes[place] as usize];
            if place + 1 < len {
                let made = merges.of_bytes[usize::from(bytes[place]) << 8 | usize::from(bytes[(place + 1) % 16])];
                self.lanes[place] = lane(made, place);
            }
        }
        true
    }

    /// Looks up the pairs that the last merge has made.
    #[inline(always)]
    fn look_up(&mut self, merges: &Merges) {
        let Some((place, before)) = self.waiting else { return };
        let (place, before) = (usize::from(place), usize::from(before));
        let after = usize::from(self.next[place]);
        if after < self.len {
            self.lanes[place] = lane(merges.get(self.parts[place], self.parts[after]), place);
        }
        if before < place {
            self.lanes[before] = lane(merges.get(self.parts[before], self.parts[place]), before);
        }
    }

    /// Does the next merge and asks for the pairs that it makes; `false` when there is none.
    #[inline(always)]
    fn merge(&mut self, merges: &Merges) -> bool {
        let least = self.lanes.iter().copied().fold(NONE, u32::min);
        if least == NONE {
            return false;
        }
        let place = (least & 15) as usize;
        let gone = usize::from(self.next[place]) % SHORT_MAX_BYTES;
        let after = usize::from(self.next[gone]);
        let before = usize::from(self.previous[place]);
        self.parts[place] = least >> 4;
        self.next[place] = after as u8;
        self.previous[after] = place as u8;
        self.lanes[gone] = NONE;
        self.lanes[place] = NONE;
        merges.ask_for(self.parts[place], self.parts[after]);
        merges.ask_for(self.parts[before % SHORT_MAX_BYTES], self.parts[place]);
        self.waiting = Some((place as u8, if place > 0 { before as u8 } else { u8::MAX }));
        true
    }

    /// The ids of a word without further merges, and how many they are.
    #[inline(always)]
    fn ids(&self) -> ([u32; SHORT_MAX_BYTES], usize) {
        let mut ids = [u32::MAX; SHORT_MAX_BYTES];
        let (mut place, mut count) = (0, 0);
        while place < self.len {
            ids[count % SHORT_MAX_BYTES] = self.parts[place];
            count += 1;
            place = usize::from(self.next[place]);
        }
        (ids, count)
    }
}

#[inline(always)]
fn lane(made: u32, place: usize) -> u32 {
    if made == NONE { NONE } else { made << 4 | place as u32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::TokenId;
    use crate::twin::Twin;

    /// Held against merging the bytes of every token.
    fn check_stands_alone(tokenizer: &Tokenizer) {
        let merges = Merges::new(tokenizer);
        for (id, alone) in merges.stands_alone(tokenizer).into_iter().enumerate() {
            let mut ids = Vec::new();
            merges.encode(tokenizer.token(TokenId(id as u32)), &mut ids);
            assert_eq!(ids == [id as u32], alone, "token {id}: {:?}", tokenizer.token(TokenId(id as u32)));
        }
    }

    #[test]
    fn tokens_of_gpt2_that_stand_alone() {
        check_stands_alone(&Tokenizer::gpt2());
    }

    /// Merges at random, of few bytes, so that they get in each other's way.
    fn tokenizer_of(choices: &[(u16, u16)]) -> Tokenizer {
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

    proptest! {
        #[test]
        fn tokens_of_any_merges_that_stand_alone(choices: Vec<(u16, u16)>) {
            check_stands_alone(&tokenizer_of(&choices));
        }

        #[test]
        fn every_way_of_merging_agrees_with_the_twin(choices: Vec<(u16, u16)>, words in proptest::collection::vec("[abc]{1,80}", 1..20)) {
            let tokenizer = tokenizer_of(&choices);
            let merges = Merges::new(&tokenizer);
            let twin = Twin::new(&tokenizer);
            let expected: Vec<Vec<u32>> =
                words.iter().map(|word| twin.merge(word.as_bytes()).iter().map(|id| id.0).collect()).collect();
            for (word, expected) in words.iter().zip(&expected) {
                let (mut scan, mut heap) = (Vec::new(), Vec::new());
                merges.encode(word.as_bytes(), &mut scan);
                merges.encode_by_heap(word.as_bytes(), &mut heap);
                prop_assert_eq!(&scan, expected);
                prop_assert_eq!(&heap, expected);
            }
            let short = words.iter().enumerate().filter(|(_, word)| word.len() <= 15).map(|(number, word)| {
                let mut from = [0; 16];
                from[..word.len()].copy_from_slice(word.as_bytes());
                (number, Key::of(from, word.len()))
            });
            merges.encode_short(short, |number, _, ids, count| assert_eq!(&ids[..count], expected[number]));
        }
    }
}
