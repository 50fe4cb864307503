//! Anchors: what tells cheaply that a window is not repeated.
//!
//! They are the minimizers of Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document Fingerprinting"
//! (2003). A window's *grams* are its substrings of half its length. Its anchor is the gram with the smallest hash, the
//! last one of equals. Equal windows have it at the same offset, so the anchors of two equal windows are equal grams at
//! two places. Neighbouring windows mostly share their anchor, at one place: a window of w grams has a new one every
//! (w + 1) / 2 windows, and there are few to count.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{SequenceUnit, SubstringSettings};

/// Odd numbers from the fractional part of the golden ratio and of π. They shape speed alone, never a result.
const ROLL: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0x243f_6a88_85a3_08d3;

/// Neighbouring windows with the same anchor.
pub(super) struct Run {
    /// Where they begin, in units.
    pub windows: Range<usize>,
    /// The anchor's hash.
    pub anchor: u64,
}

/// Above the place of any gram in a segment, which has at most 2¹⁴ windows and as many more grams as a window has.
const LAST_PLACE: u64 = (1 << 17) - 1;

/// Finds the anchors of windows.
pub(super) struct Anchors {
    unit: SequenceUnit,
    gram_units: usize,
    grams_per_window: usize,
    /// Of the grams of the text at hand.
    hashes: Vec<u64>,
    runs: Vec<Run>,
}

impl Anchors {
    pub(super) fn new(settings: &SubstringSettings) -> Anchors {
        let gram_units = settings.min_units.div_ceil(2);
        let grams_per_window = settings.min_units - gram_units + 1;
        Anchors { unit: settings.unit, gram_units, grams_per_window, hashes: Vec::new(), runs: Vec::new() }
    }

    /// Anchors that are expected in so many units of text.
    pub(super) fn expected(&self, units: u64) -> u64 {
        units.saturating_mul(2) / (self.grams_per_window as u64 + 1) + 1
    }

    /// All windows of a text that has one, as runs of neighbours that have their anchor at the same place. Time O(units).
    pub(super) fn runs(&mut self, bytes: &[u8]) -> &[Run] {
        self.hash_grams(bytes);
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        let (mut windows, mut anchor) = (0..0, usize::MAX);
        self.for_each_anchor(|place| {
            if place != anchor {
                if !windows.is_empty() {
                    runs.push(Run { windows: windows.clone(), anchor: self.hashes[anchor] });
                }
                (windows.start, anchor) = (windows.end, place);
            }
            windows.end += 1;
        });
        if !windows.is_empty() {
            runs.push(Run { windows, anchor: self.hashes[anchor] });
        }
        self.runs = runs;
        &self.runs
    }

    /// Calls `take` with the place of each window's anchor.
    ///
    /// The minimum of w grams in a row is that of two pieces: the end of a block of w, and the beginning of the next block
    /// (van Herk, 1992). So it takes three comparisons however long a window is, and no branch that cannot be foretold.
    fn for_each_anchor(&self, mut take: impl FnMut(usize)) {
        let width = self.grams_per_window;
        let windows = (self.hashes.len() + 1).saturating_sub(width);
        // Of equal hashes, the one at the last place is smallest.
        let key = |place: usize| (self.hashes[place] & !LAST_PLACE) | (LAST_PLACE - place as u64);
        let mut block_ends = vec![u64::MAX; width];
        for block in (0..windows).step_by(width) {
            let mut smallest = u64::MAX;
            for offset in (0..width).rev() {
                smallest = smallest.min(key(block + offset));
                block_ends[offset] = smallest;
            }
            let mut next_block_start = u64::MAX;
            for (offset, block_end) in block_ends.iter().enumerate().take(windows - block) {
                take((LAST_PLACE - (next_block_start.min(*block_end) & LAST_PLACE)) as usize);
                // The last window has no gram behind it.
                if block + width + offset < self.hashes.len() {
                    next_block_start = next_block_start.min(key(block + width + offset));
                }
            }
        }
    }

    fn hash_grams(&mut self, bytes: &[u8]) {
        self.hashes.clear();
        match self.unit {
            SequenceUnit::Byte => self.roll(bytes.iter().map(|&byte| u64::from(byte))),
            SequenceUnit::Token16 => {
                self.roll(bytes.chunks_exact(2).map(|pair| u64::from(u16::from_le_bytes([pair[0], pair[1]]))));
            }
        }
    }

    /// Rabin–Karp: the hash of a gram is the polynomial in `ROLL` of its units, mixed so that its order is random.
    fn roll(&mut self, units: impl Iterator<Item = u64> + Clone) {
        let leaving_factor = (0..self.gram_units).fold(1_u64, |power, _| power.wrapping_mul(ROLL));
        let mut entering = units.clone();
        let first = entering.by_ref().take(self.gram_units);
        let mut hash = first.fold(0_u64, |hash, unit| hash.wrapping_mul(ROLL).wrapping_add(unit + 1));
        self.hashes.push(mix(hash));
        self.hashes.extend(entering.zip(units).map(|(enters, leaves)| {
            hash =
                hash.wrapping_mul(ROLL).wrapping_add(enters + 1).wrapping_sub(leaving_factor.wrapping_mul(leaves + 1));
            mix(hash)
        }));
    }
}

fn mix(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(MIX)
}

/// Which anchors occur at two places or more. Some that do not are said to: a Bloom filter of two bits in one word.
pub(super) struct AnchorCounts {
    /// 32 slots of two bits each: whether an anchor was there, and whether another one was.
    words: Vec<AtomicU64>,
}

impl AnchorCounts {
    pub(super) fn new(len_bytes: u64) -> AnchorCounts {
        AnchorCounts { words: (0..len_bytes.div_ceil(8).max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Adds each run's anchor, once.
    pub(super) fn add(&self, runs: &[Run]) {
        // Words lie all over a large table. Reads in a row are waited for together, changes one by one.
        std::hint::black_box(runs.iter().fold(0, |all, run| all ^ self.slots(run.anchor).0.load(Ordering::Relaxed)));
        for run in runs {
            let (word, once) = self.slots(run.anchor);
            // Of threads that add the same anchor at the same time, one is told that the other was there.
            let again = word.fetch_or(once, Ordering::Relaxed) & once;
            if again != 0 {
                word.fetch_or(again << 1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn is_repeated(&self, anchor: u64) -> bool {
        let (word, once) = self.slots(anchor);
        word.load(Ordering::Relaxed) & (once << 1) == once << 1
    }

    /// An anchor's word, and the first bits of its two slots.
    fn slots(&self, anchor: u64) -> (&AtomicU64, u64) {
        // Mixed again: anchors are chosen for small hashes.
        let hash = mix(anchor);
        let word = (u128::from(hash) * self.words.len() as u128) >> 64;
        (&self.words[word as usize], 1 << ((hash & 31) * 2) | 1 << (((hash >> 5) & 31) * 2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::substrings::Copies;

    proptest! {
        #[test]
        fn anchors_are_the_twins(text in "[ab]{10,40}|[a-z]{10,200}|a{10,60}", min_units in 1_usize..50) {
            prop_assume!(text.len() >= min_units);
            let unit = SequenceUnit::Byte;
            let settings = SubstringSettings { unit, min_units, copies: Copies::All, max_memory_bytes: 0, threads: 1 };
            let mut anchors = Anchors::new(&settings);
            let found: Vec<(usize, u64)> =
                anchors.runs(text.as_bytes()).iter().flat_map(|run| run.windows.clone().map(|at| (at, run.anchor))).collect();
            // The twin: the hash of each gram by itself, and the smallest of each window by itself.
            let hash = |gram: &[u8]| {
                mix(gram.iter().fold(0, |hash: u64, &byte| hash.wrapping_mul(ROLL).wrapping_add(u64::from(byte) + 1)))
            };
            let smallest = |window: &[u8]| {
                window.windows(min_units.div_ceil(2)).rev().map(hash).min_by_key(|hash| hash & !LAST_PLACE).expect("a gram")
            };
            let expected: Vec<(usize, u64)> = text.as_bytes().windows(min_units).map(smallest).enumerate().collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn what_is_added_twice_is_repeated(anchors: Vec<u64>, once: Vec<u64>, len_bytes in 1_u64..1000) {
            let counts = AnchorCounts::new(len_bytes);
            let runs = |anchors: &[u64]| anchors.iter().map(|&anchor| Run { windows: 0..1, anchor }).collect::<Vec<_>>();
            for added in [&anchors, &once, &anchors] {
                counts.add(&runs(added));
            }
            prop_assert!(anchors.iter().all(|&anchor| counts.is_repeated(anchor)));
        }
    }

    #[test]
    fn few_that_are_added_once_are_said_to_be_repeated() {
        let counts = AnchorCounts::new(8 * 100_000);
        let runs: Vec<Run> = (0..100_000).map(|number| Run { windows: 0..1, anchor: mix(number) }).collect();
        counts.add(&runs);
        let repeated = runs.iter().filter(|run| counts.is_repeated(run.anchor)).count();
        assert!((400..1200).contains(&repeated), "{repeated} of 100,000");
    }
}
