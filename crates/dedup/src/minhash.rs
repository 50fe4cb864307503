//! MinHash signatures and their bands.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Bands;

/// Seed of the permutations; part of what a signature means, so it never changes.
const SEED: u64 = 0x7765_6274_6578_7421;
/// Longest signature, in bands × rows.
pub const MAX_PERMUTATIONS: usize = 65_536;
/// Permutations of one pass over the shingles: their minima stay in vector registers, on any processor.
const LANES: usize = 32;
/// Bytes of a [`Sketch`], at most.
pub(crate) const MAX_SKETCH_BYTES: usize = 32;

/// XXH3-64 of one band of a signature, seeded with the band's number: bands at different positions do not match.
pub type BandHash = u64;

/// One byte for each of the first 32 bands of a signature: the lowest of the band's first row. The share of bytes that
/// agree estimates the similarity, at a glance.
pub type Sketch = Box<[u8]>;

/// A family of permutations of the 32-bit numbers, one for each row of each band.
#[derive(Debug, Clone)]
pub struct MinHash {
    shape: Bands,
    /// For each permutation, padded to whole passes: what a key is changed by, then multiplied with.
    offsets: Vec<[u32; LANES]>,
    multipliers: Vec<[u32; LANES]>,
}

impl MinHash {
    /// The family of this shape; always the same one.
    ///
    /// # Panics
    /// If there is no band or no row.
    pub fn new(shape: Bands) -> MinHash {
        assert!(shape.bands > 0 && shape.rows > 0, "a signature has a band and a row");
        let random = |i: usize, which: u64| xxh3_64_with_seed(&(i as u64).to_le_bytes(), SEED ^ which) as u32;
        let passes = (shape.bands * shape.rows).div_ceil(LANES);
        let of_pass = |number: fn(u32) -> u32, which: u64| {
            let pass = move |pass: usize| std::array::from_fn(|lane| number(random(pass * LANES + lane, which)));
            (0..passes).map(pass).collect()
        };
        MinHash { shape, offsets: of_pass(|n| n, 1), multipliers: of_pass(|n| n | 1, 2) }
    }

    /// The signature of a set of shingles, in any order: for each permutation the smallest image.
    ///
    /// Time O(shingles × permutations). The share of places where two signatures agree estimates the
    /// Jaccard similarity, with a standard error of at most 0.5 / √permutations.
    pub fn signature(&self, shingles: &[u64]) -> Vec<u32> {
        let keys: Vec<u32> = shingles.iter().map(|shingle| (shingle >> 32 ^ shingle) as u32).collect();
        let mut signature = Vec::with_capacity(self.offsets.len() * LANES);
        // Compiled for the widest vectors that this processor has.
        pulp::Arch::new().dispatch(|| {
            for (offsets, multipliers) in self.offsets.iter().zip(&self.multipliers) {
                signature.extend_from_slice(&least_images(&keys, offsets, multipliers));
            }
        });
        signature.truncate(self.shape.bands * self.shape.rows);
        signature
    }

    /// The hashes of a signature's bands, in their order.
    pub fn bands<'a>(&self, signature: &'a [u32]) -> impl Iterator<Item = BandHash> + use<'a> {
        let mut bytes = Vec::with_capacity(self.shape.rows * 4);
        signature.chunks_exact(self.shape.rows).enumerate().map(move |(band, rows)| {
            bytes.clear();
            rows.iter().for_each(|row| bytes.extend_from_slice(&row.to_le_bytes()));
            xxh3_64_with_seed(&bytes, band as u64)
        })
    }

    /// The sketch of a signature.
    pub fn sketch(&self, signature: &[u32]) -> Sketch {
        signature.chunks_exact(self.shape.rows).take(MAX_SKETCH_BYTES).map(|rows| rows[0] as u8).collect()
    }
}

/// The smallest image of the keys under each of some permutations: x ↦ ((x ⊕ offset) · multiplier), whose high half is
/// mixed into the low one, times an odd constant. Each step is a bijection of the 32-bit numbers.
#[inline(always)]
fn least_images(keys: &[u32], offsets: &[u32; LANES], multipliers: &[u32; LANES]) -> [u32; LANES] {
    let mut least = [u32::MAX; LANES];
    for &key in keys {
        for lane in 0..LANES {
            let image = (key ^ offsets[lane]).wrapping_mul(multipliers[lane]);
            let image = (image ^ image >> 16).wrapping_mul(0x85eb_ca6b);
            least[lane] = least[lane].min(image);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NormalizedWords, jaccard};

    /// `n` words, of which the first `changed` differ from those of another variant.
    fn text(n: usize, changed: usize, variant: &str) -> String {
        (0..n).map(|i| if i < changed { format!("{variant}{i} ") } else { format!("w{i} ") }).collect()
    }

    fn shingles(text: &str) -> Vec<u64> {
        NormalizedWords::of(text).shingles(5)
    }

    #[test]
    fn agreement_estimates_similarity() {
        let family = MinHash::new(Bands { bands: 256, rows: 8 });
        for changed in [0, 50, 200, 500, 1000] {
            let (a, b) = (shingles(&text(1000, changed, "a")), shingles(&text(1000, changed, "b")));
            let agree = family.signature(&a).iter().zip(family.signature(&b)).filter(|(x, y)| **x == *y).count();
            let (estimate, similarity) = (agree as f64 / 2048.0, jaccard(&a, &b).value());
            assert!((estimate - similarity).abs() < 0.04, "{estimate} for {similarity}");
        }
    }

    #[test]
    fn a_signature_is_that_of_the_set() {
        let family = MinHash::new(Bands { bands: 3, rows: 5 });
        let mut set = shingles("one two three four five six seven eight");
        let signature = family.signature(&set);
        set.reverse();
        set.push(set[0]);
        assert_eq!(family.signature(&set), signature);
        assert_eq!((signature.len(), family.bands(&signature).count(), family.sketch(&signature).len()), (15, 3, 3));
        // The twin: one permutation after the other.
        let twin = (0..15).map(|i| {
            let (pass, lane) = (i / LANES, i % LANES);
            let image = |shingle: &u64| {
                let key = (shingle >> 32) as u32 ^ *shingle as u32;
                let image = (key ^ family.offsets[pass][lane]).wrapping_mul(family.multipliers[pass][lane]);
                (image ^ image >> 16).wrapping_mul(0x85eb_ca6b)
            };
            set.iter().map(image).min().unwrap()
        });
        assert_eq!(twin.collect::<Vec<_>>(), signature);
    }

    #[test]
    fn pairs_are_found_as_often_as_the_shape_says() {
        let shape = Bands::for_recall(0.7, 0.9).unwrap();
        let family = MinHash::new(shape);
        // 400 words of which the first `changed` differ: 396 shingles each, `changed + 4` of them their own.
        for (changed, pairs) in [(66, 1000), (150, 1000)] {
            let (mut found, mut similarity) = (0, 0.0);
            for i in 0..pairs {
                let a = shingles(&text(400, changed, &format!("a{i}x")).replace('w', &format!("v{i}x")));
                let b = shingles(&text(400, changed, &format!("b{i}x")).replace('w', &format!("v{i}x")));
                similarity = jaccard(&a, &b).value();
                let (a, b) = (family.signature(&a), family.signature(&b));
                found += usize::from(family.bands(&a).zip(family.bands(&b)).any(|(x, y)| x == y));
            }
            let (measured, expected) = (found as f64 / f64::from(pairs), shape.recall(similarity));
            assert!((measured - expected).abs() < 0.05, "{measured} of {expected} at {similarity}");
        }
    }
}
