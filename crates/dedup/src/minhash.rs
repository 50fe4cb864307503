//! MinHash signatures and their bands.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seed of the permutations; part of what a signature means, so it never changes.
const SEED: u64 = 0x7765_6274_6578_7421;

/// XXH3-64 of one band of a signature, seeded with the band's number: bands at different positions do not match.
pub type BandHash = u64;

/// A family of `bands × rows` permutations.
#[derive(Debug, Clone)]
pub struct MinHash {
    rows: usize,
    multipliers: Vec<u64>,
    addends: Vec<u64>,
}

impl MinHash {
    /// The family with this many bands and rows; always the same one.
    ///
    /// # Panics
    /// If there is no band or no row.
    pub fn new(bands: usize, rows: usize) -> MinHash {
        assert!(bands > 0 && rows > 0, "a signature has a band and a row");
        let random = |i: usize, which: u64| xxh3_64_with_seed(&(i as u64).to_le_bytes(), SEED ^ which);
        MinHash {
            rows,
            multipliers: (0..bands * rows).map(|i| random(i, 1) | 1).collect(),
            addends: (0..bands * rows).map(|i| random(i, 2)).collect(),
        }
    }

    /// The signature of a set of shingles: for each permutation the smallest image.
    ///
    /// Time O(shingles × permutations). The share of places where two signatures agree estimates the
    /// Jaccard similarity, with a standard error of at most 0.5 / √permutations.
    pub fn signature(&self, shingles: &[u64]) -> Vec<u32> {
        let mut signature = vec![u32::MAX; self.multipliers.len()];
        for shingle in shingles {
            // Multiply-add-shift (Dietzfelbinger 1996) is strongly universal on 32-bit keys.
            let key = shingle >> 32 ^ shingle & 0xffff_ffff;
            let permutations = self.multipliers.iter().zip(&self.addends);
            for (least, (&multiplier, &addend)) in signature.iter_mut().zip(permutations) {
                let image = (multiplier.wrapping_mul(key).wrapping_add(addend) >> 32) as u32;
                *least = image.min(*least);
            }
        }
        signature
    }

    /// The hashes of a signature's bands, in their order.
    pub fn bands<'a>(&self, signature: &'a [u32]) -> impl Iterator<Item = BandHash> + use<'a> {
        signature.chunks_exact(self.rows).enumerate().map(|(band, rows)| {
            let bytes: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
            xxh3_64_with_seed(&bytes, band as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jaccard, shingles};

    /// `n` words, of which the first `changed` differ from those of another variant.
    fn text(n: usize, changed: usize, variant: &str) -> String {
        (0..n).map(|i| if i < changed { format!("{variant}{i} ") } else { format!("w{i} ") }).collect()
    }

    #[test]
    fn agreement_estimates_similarity() {
        let family = MinHash::new(64, 8);
        for changed in [0, 50, 200, 500, 1000] {
            let a = shingles(&text(1000, changed, "a"), 5);
            let b = shingles(&text(1000, changed, "b"), 5);
            let agree = family.signature(&a).iter().zip(family.signature(&b)).filter(|(x, y)| **x == *y).count();
            let estimate = agree as f32 / 512.0;
            assert!((estimate - jaccard(&a, &b)).abs() < 0.08, "{estimate} for {}", jaccard(&a, &b));
        }
    }

    #[test]
    fn bands_find_similar_texts_and_few_others() {
        let family = MinHash::new(14, 8);
        let shares_a_band = |changed: usize, i: usize| {
            let a = family.signature(&shingles(&text(400, changed, &format!("a{i}x")), 5));
            let b = family.signature(&shingles(&text(400, changed, &format!("b{i}x")), 5));
            family.bands(&a).zip(family.bands(&b)).any(|(x, y)| x == y)
        };
        let found = |changed| (0..50).filter(|&i| shares_a_band(changed, i)).count();
        assert!(found(10) >= 49, "of 0.95: {}", found(10)); // 1 − (1 − .95⁸)¹⁴ = 1.00
        assert!(found(270) <= 3, "of 0.2: {}", found(270)); // 1 − (1 − .2⁸)¹⁴ = 0.00004
    }
}
