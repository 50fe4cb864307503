//! Random numbers as a function of (seed, stream, counter): no state to save, no order to keep.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a random number is for; numbers of different streams are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// Initial weights of a model.
    pub const WEIGHTS: Stream = Stream(1);
    /// Order and offsets of the sequences that are trained on.
    pub const BATCHES: Stream = Stream(2);
    /// Choices among tokens while sampling.
    pub const SAMPLES: Stream = Stream(3);
    /// Keys of dropout masks.
    pub const DROPOUT: Stream = Stream(4);

    /// A stream of a caller's own. Numbers up to 15 are this crate's.
    pub const fn new(number: u64) -> Stream {
        assert!(number > 15, "streams up to 15 are taken");
        Stream(number)
    }
}

/// 64 random bits.
///
/// ```
/// use gpt2::random::{Stream, bits};
///
/// const MINE: Stream = Stream::new(16);
/// assert_eq!(bits(1, MINE, 7), bits(1, MINE, 7));
/// assert_ne!(bits(1, MINE, 7), bits(1, Stream::WEIGHTS, 7));
/// ```
pub fn bits(seed: u64, stream: Stream, counter: u64) -> u64 {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&stream.0.to_le_bytes());
    key[8..].copy_from_slice(&counter.to_le_bytes());
    xxh3_64_with_seed(&key, seed)
}

/// Uniform in [0, 1).
pub fn uniform(seed: u64, stream: Stream, counter: u64) -> f64 {
    (bits(seed, stream, counter) >> 11) as f64 / (1u64 << 53) as f64
}

/// Standard normal, by the method of Box and Muller.
pub fn normal(seed: u64, stream: Stream, counter: u64) -> f32 {
    let radius = (-2.0 * (1.0 - uniform(seed, stream, 2 * counter)).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(seed, stream, 2 * counter + 1);
    (radius * angle.cos()) as f32
}

/// Dropout in one pass over a batch: which elements are dropped, as a function of seed, pass, site and element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that an element becomes 0; at least 0 and below 1.
    pub probability: f32,
    /// The training's seed.
    pub seed: u64,
    /// A number of its own for each pass of a training, below 2⁴⁸.
    pub pass: u64,
}

impl Dropout {
    /// The mask of one site, a number below 65,536. A model of L blocks has the sites 0 to 3·L.
    pub fn mask(&self, site: u64) -> DropoutMask {
        let key = bits(self.seed, Stream::DROPOUT, (self.pass << 16) | site);
        let drop_below = (f64::from(self.probability) * 2f64.powi(32)) as u32;
        DropoutMask { key: (key as u32, (key >> 32) as u32), drop_below, kept: 1.0 / (1.0 - self.probability) }
    }
}

/// A mask for any number of elements, computed and never stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutMask {
    key: (u32, u32),
    drop_below: u32,
    kept: f32,
}

impl DropoutMask {
    /// The factor of an element: 0, or 1/(1 − probability), which keeps the mean. A hash of 32 bits, so that loops
    /// become vector code.
    #[inline(always)]
    pub fn at(&self, element: u32) -> f32 {
        let mut x = element.wrapping_add(self.key.0);
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15) ^ self.key.1).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.drop_below { 0.0 } else { self.kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let numbers: Vec<f32> = (0..20_000).map(|i| normal(7, Stream::WEIGHTS, i)).collect();
        let mean = numbers.iter().sum::<f32>() / 20_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn masks_keep_the_mean_and_differ_by_site() {
        let dropout = Dropout { probability: 0.1, seed: 1, pass: 3 };
        let (one, other) = (dropout.mask(1), dropout.mask(2));
        let mean = (0..50_000).map(|i| one.at(i)).sum::<f32>() / 50_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let both = (0..50_000).filter(|&i| one.at(i) == 0.0 && other.at(i) == 0.0).count();
        assert!((300..700).contains(&both), "{both} of 500 are dropped by both");
    }
}
