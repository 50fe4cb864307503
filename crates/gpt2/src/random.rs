//! Random numbers as a function of (seed, stream, counter): no state to save, no order to keep.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a random number is for; numbers of different streams are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Weights = 1,
    Batches = 2,
    Samples = 3,
    Dropout = 4,
    HeadWeights = 20,
    ExampleOrder = 21,
    HeldOut = 22,
}

/// 64 random bits.
pub(crate) fn bits(seed: u64, stream: Stream, counter: u64) -> u64 {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(stream as u64).to_le_bytes());
    key[8..].copy_from_slice(&counter.to_le_bytes());
    xxh3_64_with_seed(&key, seed)
}

/// Uniform in [0, 1).
pub(crate) fn uniform(seed: u64, stream: Stream, counter: u64) -> f64 {
    (bits(seed, stream, counter) >> 11) as f64 / (1u64 << 53) as f64
}

/// Standard normal, by Box and Muller.
pub(crate) fn normal(seed: u64, stream: Stream, counter: u64) -> f32 {
    let radius = (-2.0 * (1.0 - uniform(seed, stream, 2 * counter)).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(seed, stream, 2 * counter + 1);
    (radius * angle.cos()) as f32
}

/// Dropout in one pass over a batch: which elements fall, as a function of seed, step, place and element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dropout {
    /// Share of the elements that become 0.
    pub(crate) probability: f32,
    pub(crate) seed: u64,
    /// A number of its own for each pass of a training.
    pub(crate) pass: u64,
}

impl Dropout {
    /// The mask of one place in the model, such as "layer 3, after attention".
    pub(crate) fn mask(&self, place: u64) -> Mask {
        let key = bits(self.seed, Stream::Dropout, (self.pass << 16) | place);
        let fall_below = (f64::from(self.probability) * 2f64.powi(32)) as u32;
        Mask { key: (key as u32, (key >> 32) as u32), fall_below, kept: 1.0 / (1.0 - self.probability) }
    }
}

/// A mask for any number of elements, never stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    key: (u32, u32),
    fall_below: u32,
    kept: f32,
}

impl Mask {
    /// 0, or what keeps the mean: 1/(1 − probability). A hash of 32 bits, so that loops become vector code.
    #[inline(always)]
    pub(crate) fn at(&self, element: u32) -> f32 {
        let mut x = element.wrapping_add(self.key.0);
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15) ^ self.key.1).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.fall_below { 0.0 } else { self.kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let numbers: Vec<f32> = (0..20_000).map(|i| normal(7, Stream::Weights, i)).collect();
        let mean = numbers.iter().sum::<f32>() / 20_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn masks_keep_the_mean_and_differ_by_place() {
        let dropout = Dropout { probability: 0.1, seed: 1, pass: 3 };
        let (one, other) = (dropout.mask(1), dropout.mask(2));
        let mean = (0..50_000).map(|i| one.at(i)).sum::<f32>() / 50_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let both = (0..50_000).filter(|&i| one.at(i) == 0.0 && other.at(i) == 0.0).count();
        assert!((300..700).contains(&both), "{both} of 500 fall in both");
    }
}
