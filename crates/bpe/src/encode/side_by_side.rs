//! Merges many short words side by side.

use super::merges::{Merges, NONE};

/// Lanes (positions) of a word.
const LANES: usize = 32;
/// Longest word: one byte less, so that the position after its end has a lane.
pub(crate) const MAX_SHORT_BYTES: usize = LANES - 1;
/// Bits of the number of a lane.
const LANE_BITS: u32 = LANES.trailing_zeros();
/// Words that are merged in parallel.
const SIDE_BY_SIDE: usize = 8;

/// A word of at most [`MAX_SHORT_BYTES`].
#[derive(Clone, Copy)]
pub(crate) struct ShortWord {
    pub(crate) bytes: [u8; LANES],
    pub(crate) len: usize,
}

impl ShortWord {
    pub(crate) fn new(word: &[u8]) -> ShortWord {
        let mut bytes = [0; LANES];
        bytes[..word.len()].copy_from_slice(word);
        ShortWord { bytes, len: word.len() }
    }
}

/// Merges words of at most [`MAX_SHORT_BYTES`] in parallel. `each` gets a word's number, its ids and their number,
/// when a word is finished.
///
/// A merge looks up its new pairs, and the table of pairs is too large for the L1 and L2 caches. So the entries are
/// prefetched, and the other words are merged until they have been loaded.
#[inline(always)]
pub(crate) fn merge_side_by_side<'w>(
    merges: &Merges,
    words: impl Iterator<Item = &'w ShortWord>,
    mut each: impl FnMut(usize, &[u32; LANES], usize),
) {
    let mut words = words.enumerate();
    let mut at_work = [const { WordAtWork::NONE }; SIDE_BY_SIDE];
    let mut live = 0;
    for word in &mut at_work {
        live += usize::from(word.begin(merges, words.next()));
    }
    while live > 0 {
        for word in &mut at_work {
            word.look_up(merges);
        }
        for word in at_work.iter_mut().filter(|word| word.len > 0) {
            if !word.merge(merges) {
                let (ids, count) = word.ids();
                each(word.number, &ids, count);
                live -= usize::from(!word.begin(merges, words.next()));
            }
        }
    }
}

/// A word that is being merged. A part stays in the lane of its first byte; a lane holds the merge of its part and the
/// next one, with the lane's number in the low bits, so that the smallest lane is the leftmost of the lowest rank.
struct WordAtWork {
    number: usize,
    /// Bytes of the word; 0 when there is none.
    len: usize,
    parts: [u32; LANES],
    lanes: [u32; LANES],
    next: [u8; LANES],
    previous: [u8; LANES],
    /// Lanes whose pairs are being prefetched: of the part that was made last, and of the one before it.
    waiting: Option<(u8, u8)>,
}

/// The links of a word before its first merge.
const NEXT: [u8; LANES] = links(1);
const PREVIOUS: [u8; LANES] = links(-1);

const fn links(by: i32) -> [u8; LANES] {
    let mut links = [0; LANES];
    let mut place = 0;
    while place < LANES {
        links[place] = ((place as i32 + by) as u8) % LANES as u8;
        place += 1;
    }
    links
}

impl WordAtWork {
    const NONE: WordAtWork = WordAtWork {
        number: 0,
        len: 0,
        parts: [0; LANES],
        lanes: [NONE; LANES],
        next: NEXT,
        previous: PREVIOUS,
        waiting: None,
    };

    /// Takes the next word, if there is one.
    #[inline(always)]
    fn begin(&mut self, merges: &Merges, next: Option<(usize, &ShortWord)>) -> bool {
        (self.waiting, self.len) = (None, 0);
        let Some((number, ShortWord { bytes, len })) = next else { return false };
        (self.number, self.len) = (number, *len);
        self.lanes = [NONE; LANES];
        (self.next, self.previous) = (NEXT, PREVIOUS);
        for place in 0..len % LANES {
            self.parts[place] = Merges::id_of_byte(bytes[place]);
            if place + 1 < *len {
                let pair = usize::from(bytes[place]) << 8 | usize::from(bytes[(place + 1) % LANES]);
                self.lanes[place] = lane(merges.of_bytes(pair), place);
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
        let place = least as usize % LANES;
        let gone = usize::from(self.next[place]) % LANES;
        let after = usize::from(self.next[gone]) % LANES;
        let before = usize::from(self.previous[place]);
        self.parts[place] = least >> LANE_BITS;
        self.next[place] = after as u8;
        self.previous[after] = place as u8;
        self.lanes[gone] = NONE;
        self.lanes[place] = NONE;
        merges.prefetch(self.parts[place], self.parts[after]);
        merges.prefetch(self.parts[before % LANES], self.parts[place]);
        self.waiting = Some((place as u8, if place > 0 { before as u8 } else { u8::MAX }));
        true
    }

    /// The ids of a finished word, and their number.
    #[inline(always)]
    fn ids(&self) -> ([u32; LANES], usize) {
        let mut ids = [u32::MAX; LANES];
        let (mut place, mut count) = (0, 0);
        while place < self.len {
            ids[count % LANES] = self.parts[place % LANES];
            count += 1;
            place = usize::from(self.next[place % LANES]);
        }
        (ids, count)
    }
}

#[inline(always)]
fn lane(made: u32, place: usize) -> u32 {
    if made == NONE { NONE } else { made << LANE_BITS | place as u32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::merges::tests::{merges_of, tokenizer_of};
    use crate::twin::Twin;

    proptest! {
        #[test]
        fn words_are_merged_as_the_twin_does(choices: Vec<(u16, u16)>, words in proptest::collection::vec("[abc]{1,31}", 1..20)) {
            let tokenizer = tokenizer_of(&choices);
            let (merges, twin) = (merges_of(&tokenizer), Twin::new(&tokenizer));
            let short: Vec<ShortWord> = words.iter().map(|word| ShortWord::new(word.as_bytes())).collect();
            let mut seen = 0;
            merge_side_by_side(&merges, short.iter(), |number, ids, count| {
                let expected: Vec<u32> = twin.merge(words[number].as_bytes()).iter().map(|id| id.0).collect();
                assert_eq!(&ids[..count], expected);
                seen += 1;
            });
            prop_assert_eq!(seen, words.len());
        }
    }
}
