//! Merges one pretoken into ids.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::byte_order::{BYTE_OF_ID, ID_OF_BYTE};
use crate::simd::prefetch;

/// No merge.
const NONE: u32 = u32::MAX;
/// Lanes (positions) of a word that is merged in parallel with others.
pub(crate) const SHORT_LANES: usize = 32;
/// Longest such word: one byte less, so that the position after its end has a lane.
pub(crate) const MAX_SHORT_BYTES: usize = SHORT_LANES - 1;
/// Bits of the number of such a lane.
const SHORT_LANE_BITS: u32 = SHORT_LANES.trailing_zeros();
/// Words that are merged in parallel.
const SIDE_BY_SIDE: usize = 8;
/// Longest pretoken that is merged by searching all pairs for the lowest rank.
const LANES: usize = 64;
/// Bits of the number of a lane.
const LANE_BITS: u32 = LANES.trailing_zeros();
/// Bytes of a longer pretoken that are encoded at a time.
const PIECE_BYTES: usize = 48;
/// Maximum number of bytes that are encoded again to find a valid pair; beyond that, the whole pretoken is encoded with
/// a heap.
const MAX_REDONE_BYTES: usize = 4096;
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
    id_of_byte: [u32; 256],
    /// The parts of each merge, by rank.
    parts: Vec<(u32, u32)>,
    /// Bytes of each token.
    lens: Vec<u32>,
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
            id_of_byte: ID_OF_BYTE.map(u32::from),
            parts: Vec::with_capacity(merges),
            lens: vec![1; 256],
            of_bytes: vec![NONE; 1 << 16],
            slots: vec![EMPTY; capacity],
            shift: 64 - capacity.trailing_zeros(),
        }
    }

    /// Adds the merge of the next rank. Both parts exist, the pair has no merge yet, and there is room.
    pub(crate) fn push(&mut self, left: u32, right: u32) {
        let made = 256 + self.parts.len() as u32;
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

    /// Prefetches the entry of a pair for [`Merges::get`].
    #[inline(always)]
    fn prefetch(&self, left: u32, right: u32) {
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

    /// For each token, whether it is *canonical*: encoding its bytes gives that token, since its two parts are
    /// canonical and a valid pair below its rank. In trained vocabularies nearly all are. Canonical tokens and valid
    /// pairs are the terms of GitHub's `bpe` crate.
    pub(crate) fn canonical_tokens(&self) -> Vec<bool> {
        let mut canonical = vec![true; 256 + self.parts.len()];
        for (rank, &(left, right)) in self.parts.iter().enumerate() {
            canonical[256 + rank] = self.is_canonical(left, right, &canonical[..256 + rank]);
        }
        canonical
    }

    /// Whether the token that follows those of which `canonical` says whether they are canonical is so if it is made
    /// of these two.
    pub(crate) fn is_canonical(&self, left: u32, right: u32, canonical: &[bool]) -> bool {
        let made = canonical.len() as u32;
        canonical[left as usize] && canonical[right as usize] && self.is_valid_pair(left, right, made)
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

    /// Appends the ids of a pretoken. Time linear in its bytes, O(n log n) for the most hostile.
    // Inlined, like everything it calls except the heap, so that it is compiled for the caller's kernel.
    #[inline(always)]
    pub(crate) fn encode(&self, word: &[u8], ids: &mut Vec<u32>) {
        if word.len() <= LANES { self.encode_by_lanes(word, ids) } else { self.encode_by_pieces(word, ids) }
    }

    /// Pieces of a long word are encoded one by one and joined: a sequence of tokens is the encoding of its bytes if
    /// each token is canonical and each two neighbours are a valid pair. Where two are not, the piece is encoded again
    /// together with the tokens before it.
    #[inline(always)]
    fn encode_by_pieces(&self, word: &[u8], ids: &mut Vec<u32>) {
        let begin = ids.len();
        // The offset of each finished token in the word.
        let mut starts: Vec<usize> = Vec::with_capacity(word.len() / 4);
        let mut piece = Vec::with_capacity(LANES);
        // The bytes that `piece` encodes: in a run of one character, the next piece has the same.
        let mut encoded: &[u8] = &[];
        let mut at = 0;
        while at < word.len() {
            let end = word.len().min(at + PIECE_BYTES);
            let mut again = 1;
            loop {
                if end - at > MAX_REDONE_BYTES {
                    ids.truncate(begin);
                    return self.encode_by_heap(word, ids);
                }
                if encoded != &word[at..end] {
                    encoded = &word[at..end];
                    piece.clear();
                    match end - at {
                        ..=LANES => self.encode_by_lanes(encoded, &mut piece),
                        _ => self.encode_by_heap(encoded, &mut piece),
                    }
                }
                let before = (ids.len() > begin).then(|| ids[ids.len() - 1]);
                if before.is_none_or(|before| self.is_valid_pair(before, piece[0], NONE)) {
                    break;
                }
                let kept = starts.len().saturating_sub(again);
                at = starts[kept];
                starts.truncate(kept);
                ids.truncate(begin + kept);
                again *= 2;
            }
            for &id in &piece {
                starts.push(at);
                ids.push(id);
                at += self.len_of(id);
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

    /// Merges words of at most [`MAX_SHORT_BYTES`] in parallel. `each` gets a word's number, its ids and their number,
    /// when a word is finished.
    ///
    /// A merge looks up its new pairs, and the table of pairs is too large for the L1 and L2 caches. So the entries are
    /// prefetched, and the other words are merged until they have been loaded.
    #[inline(always)]
    pub(crate) fn encode_short(
        &self,
        words: &[([u8; SHORT_LANES], usize)],
        mut each: impl FnMut(usize, &[u32; SHORT_LANES], usize),
    ) {
        let mut words = words.iter().enumerate();
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
                    each(word.number, &ids, count);
                    live -= usize::from(!word.begin(self, words.next()));
                }
            }
        }
    }

    /// Up to 64 bytes: as [`ShortWord`], but alone and with more lanes.
    #[inline(always)]
    fn encode_by_lanes(&self, word: &[u8], ids: &mut Vec<u32>) {
        let len = word.len();
        let mut parts = [0u32; LANES + 1];
        let mut lanes = [NONE; LANES];
        let mut next: [u8; LANES + 1] = std::array::from_fn(|place| place as u8 + 1);
        let mut previous: [u8; LANES + 2] = std::array::from_fn(|place| place.saturating_sub(1) as u8);
        let lane = |made: u32, place: usize| if made == NONE { NONE } else { made << LANE_BITS | place as u32 };
        for (part, &byte) in parts.iter_mut().zip(word) {
            *part = self.id_of_byte[byte as usize];
        }
        for (place, two) in word.windows(2).enumerate() {
            lanes[place] = lane(self.of_bytes[usize::from(two[0]) << 8 | usize::from(two[1])], place);
        }
        let used = len.next_multiple_of(16).min(LANES);
        loop {
            let least = lanes[..used].iter().copied().fold(NONE, u32::min);
            if least == NONE {
                break;
            }
            let place = least as usize % LANES;
            let gone = usize::from(next[place]) % LANES;
            let after = usize::from(next[gone]);
            let before = usize::from(previous[place]);
            parts[place] = least >> LANE_BITS;
            next[place] = after as u8;
            previous[after] = place as u8;
            lanes[gone] = NONE;
            lanes[place] = if after < len { lane(self.get(parts[place], parts[after]), place) } else { NONE };
            if place > 0 {
                lanes[before] = lane(self.get(parts[before], parts[place]), before);
            }
        }
        let mut place = 0;
        while place < len {
            ids.push(parts[place]);
            place = usize::from(next[place]);
        }
    }

    /// The same with a heap of pairs and a linked list of parts: O(n log n) for words of any length.
    #[cold]
    #[inline(never)]
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
            // Skip a pair that has changed since it was pushed.
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

/// A word that is being merged. A part stays in the lane of its first byte; a lane holds the merge of its part and the
/// next one, with the lane's number in the low bits, so that the smallest lane is the leftmost of the lowest rank.
struct ShortWord {
    number: usize,
    /// Bytes of the word; 0 when there is none.
    len: usize,
    parts: [u32; SHORT_LANES],
    lanes: [u32; SHORT_LANES],
    next: [u8; SHORT_LANES],
    previous: [u8; SHORT_LANES],
    /// Lanes whose pairs are being prefetched: of the part that was made last, and of the one before it.
    waiting: Option<(u8, u8)>,
}

/// The links of a word before its first merge.
const NEXT: [u8; SHORT_LANES] = links(1);
const PREVIOUS: [u8; SHORT_LANES] = links(-1);

const fn links(by: i32) -> [u8; SHORT_LANES] {
    let mut links = [0; SHORT_LANES];
    let mut place = 0;
    while place < SHORT_LANES {
        links[place] = ((place as i32 + by) as u8) % SHORT_LANES as u8;
        place += 1;
    }
    links
}

impl ShortWord {
    const NONE: ShortWord = ShortWord {
        number: 0,
        len: 0,
        parts: [0; SHORT_LANES],
        lanes: [NONE; SHORT_LANES],
        next: NEXT,
        previous: PREVIOUS,
        waiting: None,
    };

    /// Takes the next word, if there is one.
    #[inline(always)]
    fn begin(&mut self, merges: &Merges, next: Option<(usize, &([u8; SHORT_LANES], usize))>) -> bool {
        (self.waiting, self.len) = (None, 0);
        let Some((number, (bytes, len))) = next else { return false };
        (self.number, self.len) = (number, *len);
        self.lanes = [NONE; SHORT_LANES];
        (self.next, self.previous) = (NEXT, PREVIOUS);
        for place in 0..len % SHORT_LANES {
            self.parts[place] = merges.id_of_byte[bytes[place] as usize];
            if place + 1 < *len {
                let pair = usize::from(bytes[place]) << 8 | usize::from(bytes[(place + 1) % SHORT_LANES]);
                self.lanes[place] = lane(merges.of_bytes[pair], place);
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

    /// Does the next merge and prefetches the pairs that it makes; `false` when there is none.
    #[inline(always)]
    fn merge(&mut self, merges: &Merges) -> bool {
        let least = self.lanes.iter().copied().fold(NONE, u32::min);
        if least == NONE {
            return false;
        }
        let place = least as usize % SHORT_LANES;
        let gone = usize::from(self.next[place]) % SHORT_LANES;
        let after = usize::from(self.next[gone]) % SHORT_LANES;
        let before = usize::from(self.previous[place]);
        self.parts[place] = least >> SHORT_LANE_BITS;
        self.next[place] = after as u8;
        self.previous[after] = place as u8;
        self.lanes[gone] = NONE;
        self.lanes[place] = NONE;
        merges.prefetch(self.parts[place], self.parts[after]);
        merges.prefetch(self.parts[before % SHORT_LANES], self.parts[place]);
        self.waiting = Some((place as u8, if place > 0 { before as u8 } else { u8::MAX }));
        true
    }

    /// The ids of a finished word, and their number.
    #[inline(always)]
    fn ids(&self) -> ([u32; SHORT_LANES], usize) {
        let mut ids = [u32::MAX; SHORT_LANES];
        let (mut place, mut count) = (0, 0);
        while place < self.len {
            ids[count % SHORT_LANES] = self.parts[place % SHORT_LANES];
            count += 1;
            place = usize::from(self.next[place % SHORT_LANES]);
        }
        (ids, count)
    }
}

#[inline(always)]
fn lane(made: u32, place: usize) -> u32 {
    if made == NONE { NONE } else { made << SHORT_LANE_BITS | place as u32 }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::twin::Twin;
    use crate::{TokenId, Tokenizer};

    fn merges_of(tokenizer: &Tokenizer) -> Merges {
        let mut merges = Merges::with_capacity(tokenizer.merges().len());
        tokenizer.merges().for_each(|(left, right, _)| merges.push(left.0, right.0));
        merges
    }

    /// Compares with merging the bytes of every token.
    fn check_canonical(tokenizer: &Tokenizer) {
        let merges = merges_of(tokenizer);
        for (id, canonical) in merges.canonical_tokens().into_iter().enumerate() {
            let mut ids = Vec::new();
            merges.encode(tokenizer.token(TokenId(id as u32)), &mut ids);
            assert_eq!(ids == [id as u32], canonical, "token {id}: {:?}", tokenizer.token(TokenId(id as u32)));
        }
    }

    #[test]
    fn canonical_tokens_of_gpt2() {
        check_canonical(&Tokenizer::gpt2());
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

    proptest! {
        #[test]
        fn canonical_tokens_of_any_merges(choices: Vec<(u16, u16)>) {
            check_canonical(&tokenizer_of(&choices));
        }

        #[test]
        fn every_way_of_merging_agrees_with_the_twin(choices: Vec<(u16, u16)>, words in proptest::collection::vec("[abc]{1,80}|[abc]{100,700}|(a|ab){200,300}", 1..12)) {
            let tokenizer = tokenizer_of(&choices);
            let merges = merges_of(&tokenizer);
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
            let short: Vec<&String> = words.iter().filter(|word| word.len() <= MAX_SHORT_BYTES).collect();
            let bytes: Vec<([u8; SHORT_LANES], usize)> = short
                .iter()
                .map(|word| {
                    let mut bytes = [0; SHORT_LANES];
                    bytes[..word.len()].copy_from_slice(word.as_bytes());
                    (bytes, word.len())
                })
                .collect();
            merges.encode_short(&bytes, |number, ids, count| {
                let expected: Vec<u32> = twin.merge(short[number].as_bytes()).iter().map(|id| id.0).collect();
                assert_eq!(&ids[..count], expected);
            });
        }
    }
}
