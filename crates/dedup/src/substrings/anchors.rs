//! Anchors: what tells cheaply that a window is not repeated.
//!
//! They are the minimizers of Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document Fingerprinting"
//! (2003). A window's *grams* are its substrings of half its length. Its anchor is the gram with the smallest hash, the
//! last one of equals. Equal windows have it at the same offset, so the anchors of two equal windows are equal grams at
//! two places. Neighbouring windows mostly share their anchor, at one place: a window of w grams has a new one every
//! (w + 1) / 2 windows, and there are few to count.

use std::ops::Range;

use super::Unit;

/// Odd numbers from the fractional part of the golden ratio and of π. They shape speed alone, never a result.
const ROLL: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0x243f_6a88_85a3_08d3;

/// Finds the anchors of windows.
pub(super) struct Anchors {
    unit: Unit,
    gram_units: usize,
    grams_per_window: usize,
    /// Of the grams of the text at hand.
    hashes: Vec<u64>,
}

impl Anchors {
    pub(super) fn new(unit: Unit, min_units: usize) -> Anchors {
        let gram_units = min_units.div_ceil(2);
        Anchors { unit, gram_units, grams_per_window: min_units - gram_units + 1, hashes: Vec::new() }
    }

    /// Anchors that are expected in so many units of text.
    pub(super) fn expected(&self, units: u64) -> u64 {
        units.saturating_mul(2) / (self.grams_per_window as u64 + 1) + 1
    }

    /// Calls `take` with each run of neighbouring windows (their places in units) that have the anchor at the same place,
    /// and the anchor's hash.
    ///
    /// Time O(units) for a hash that an adversary does not steer, O(units × grams of a window) for one that he does.
    pub(super) fn for_each_run(&mut self, bytes: &[u8], mut take: impl FnMut(Range<usize>, u64)) {
        self.hash_grams(bytes);
        let mut run_start = 0;
        let mut anchor = usize::MAX;
        for (window, grams) in self.hashes.windows(self.grams_per_window).enumerate() {
            let newest = window + grams.len() - 1;
            let place = if anchor >= window && anchor != usize::MAX {
                if self.hashes[newest] <= self.hashes[anchor] { newest } else { anchor }
            } else {
                window + last_smallest(grams)
            };
            if place != anchor {
                if window > 0 {
                    take(run_start..window, self.hashes[anchor]);
                }
                run_start = window;
                anchor = place;
            }
        }
        let windows = (self.hashes.len() + 1).saturating_sub(self.grams_per_window);
        if windows > 0 {
            take(run_start..windows, self.hashes[anchor]);
        }
    }

    fn hash_grams(&mut self, bytes: &[u8]) {
        self.hashes.clear();
        match self.unit {
            Unit::Byte => self.roll(bytes.iter().map(|&byte| u64::from(byte))),
            Unit::Token16 => {
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

fn last_smallest(hashes: &[u64]) -> usize {
    let mut last = 0;
    for (at, hash) in hashes.iter().enumerate() {
        if *hash <= hashes[last] {
            last = at;
        }
    }
    last
}

fn mix(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(MIX)
}

/// Which anchors occur at two places or more. Some that do not are said to: those that share a slot with another one.
pub(super) struct AnchorCounts {
    /// 32 slots of two bits each: none, one, several.
    words: Vec<u64>,
}

const ONE: u64 = 0b01;
const SEVERAL: u64 = 0b10;

impl AnchorCounts {
    pub(super) fn new(len_bytes: usize) -> AnchorCounts {
        AnchorCounts { words: vec![0; len_bytes.div_ceil(8).max(1)] }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let (word, shift) = self.slot(hash);
        let count = (self.words[word] >> shift) & 0b11;
        self.words[word] |= if count == 0 { ONE << shift } else { SEVERAL << shift };
    }

    pub(super) fn is_repeated(&self, hash: u64) -> bool {
        let (word, shift) = self.slot(hash);
        (self.words[word] >> shift) & SEVERAL != 0
    }

    /// Mixed again: anchors are chosen for small hashes.
    fn slot(&self, hash: u64) -> (usize, u32) {
        let hash = mix(hash);
        let word = (u128::from(hash) * self.words.len() as u128) >> 64;
        (word as usize, (hash as u32 & 31) * 2)
    }
}
