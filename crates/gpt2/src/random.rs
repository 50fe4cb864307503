//! Random numbers as a function of (seed, stream, counter): no state to save, no order to keep.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a random number is for; numbers of different streams are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Weights = 1,
    Batches = 2,
    Samples = 3,
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
}
