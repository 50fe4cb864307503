//! Bloom filters (Bloom 1970): sets of hashes in a fixed number of bits, which sometimes hold what was never inserted.
//!
//! The bits of an item come from the generator SplitMix64 (Steele, Lea & Flood 2014), which starts from its hash. Nothing
//! is random: the same hashes give the same bits on every machine. Triple hashing, which costs three additions per bit,
//! failed: in a filter for fewer than some 10,000 items, false positives are far more frequent than 1e-8.
//!
//! Left out: what is hashed, which is in `ngrams` and `ngram_bloom`; removing; filters that grow.

use thiserror::Error;
use user_error::UserError;

/// A set of 64-bit hashes that answers "certainly not" or "probably".
///
/// The hashes must be well mixed, as those of XXH3 are. Two items with the same hash are one: among n items, another one
/// meets a hash with probability n / 2⁶⁴, which is 5e-10 for 10¹⁰ of them.
///
/// ```
/// use dedup::bloom::BloomFilter;
/// let mut filter = BloomFilter::new(1_000_000, 1e-8)?;
/// assert!(!filter.insert(7));
/// assert!(filter.insert(7) && filter.contains(7));
/// assert_eq!((filter.hashes(), filter.len_bytes()), (27, 4_792_904));
/// # Ok::<(), dedup::bloom::BloomError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BloomFilter {
    /// The bits, 64 in each word.
    words: Vec<u64>,
    /// Bits set for each item.
    hashes: u32,
}

/// Why there is no filter of these numbers.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum BloomError {
    /// The rate is no probability that bits can reach.
    #[error("a rate of false positives is above 0 and below 1, not {0}")]
    Rate(f64),
    /// The machine has not this much memory.
    #[error(
        "a Bloom filter for {items} items with false positives of {rate} needs {bytes} bytes of memory, which there are \
         not"
    )]
    Memory {
        /// Expected items.
        items: u64,
        /// False positives.
        rate: f64,
        /// Size in bytes; `u64::MAX` for what no number holds.
        bytes: u64,
    },
    /// Filters of different shapes have no union.
    #[error("only filters made for the same numbers of items and false positives can be joined")]
    Shape,
}

impl UserError for BloomError {
    fn hint(&self) -> Option<String> {
        match self {
            BloomError::Memory { .. } => Some("raise the rate, or divide the items among several runs".to_owned()),
            BloomError::Rate(_) | BloomError::Shape => None,
        }
    }
}

impl BloomFilter {
    /// An empty filter that, once it holds `expected_items`, has at most this rate of false positives.
    ///
    /// Bits per item: log₂(1/rate) / ln 2, which is 9.6 for 1% and 38.3 for 1e-8. With more items than expected the
    /// rate rises: see [`BloomFilter::false_positive_rate`].
    ///
    /// # Errors
    /// If the rate is not between 0 and 1, or there is no memory.
    pub fn new(expected_items: u64, false_positive_rate: f64) -> Result<BloomFilter, BloomError> {
        let bytes = BloomFilter::bytes_for(expected_items, false_positive_rate)?;
        let memory = || BloomError::Memory { items: expected_items, rate: false_positive_rate, bytes };
        let len = usize::try_from(bytes / 8).map_err(|_| memory())?;
        let mut words = Vec::new();
        words.try_reserve_exact(len).map_err(|_| memory())?;
        words.resize(len, 0);
        // The optimum is ln 2 · bits / items = log₂(1/rate), rounded to the nearest.
        let hashes = (-false_positive_rate.log2()).round().max(1.0) as u32;
        Ok(BloomFilter { words, hashes })
    }

    /// The size of the filter that [`BloomFilter::new`] would make.
    ///
    /// # Errors
    /// If the rate is not between 0 and 1.
    pub fn bytes_for(expected_items: u64, false_positive_rate: f64) -> Result<u64, BloomError> {
        if !(false_positive_rate > 0.0 && false_positive_rate < 1.0) {
            return Err(BloomError::Rate(false_positive_rate));
        }
        // Solved for the whole number of hashes k that is used: bits = −k · items / ln(1 − rate^(1/k)).
        let hashes = (-false_positive_rate.log2()).round().max(1.0);
        let per_item = -hashes / (-false_positive_rate.powf(1.0 / hashes)).ln_1p();
        let words = (expected_items.max(1) as f64 * per_item / 64.0).ceil() as u64;
        Ok(words.saturating_mul(8))
    }

    /// Adds a hash. Whether it, or others with its bits, had been added before.
    pub fn insert(&mut self, hash: u64) -> bool {
        let mut was_there = true;
        let len_bits = self.len_bits();
        for place in places(hash, len_bits).take(self.hashes as usize) {
            let word = &mut self.words[place / 64];
            let bit = 1 << (place % 64);
            was_there &= *word & bit != 0;
            *word |= bit;
        }
        was_there
    }

    /// Whether a hash was added: false is certain, true is wrong at the rate of false positives.
    pub fn contains(&self, hash: u64) -> bool {
        let mut places = places(hash, self.len_bits()).take(self.hashes as usize);
        places.all(|place| self.words[place / 64] & 1 << (place % 64) != 0)
    }

    /// Adds what another filter of the same shape holds, as if all its hashes had been inserted here.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn join(&mut self, other: &BloomFilter) -> Result<(), BloomError> {
        if (self.words.len(), self.hashes) != (other.words.len(), other.hashes) {
            return Err(BloomError::Shape);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, bits)| *word |= bits);
        Ok(())
    }

    /// The rate of false positives of the filter as it is now filled: (share of bits that are set)^hashes. O(bytes).
    pub fn false_positive_rate(&self) -> f64 {
        let set: u64 = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        (set as f64 / self.len_bits() as f64).powi(self.hashes as i32)
    }

    /// Bits that are set for each item.
    pub fn hashes(&self) -> u32 {
        self.hashes
    }

    /// Size in memory.
    pub fn len_bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    fn len_bits(&self) -> u64 {
        self.words.len() as u64 * 64
    }
}

/// The places of the bits of a hash, without end: those of SplitMix64's numbers.
fn places(hash: u64, len_bits: u64) -> impl Iterator<Item = usize> {
    let numbers = (1..).map(move |number: u64| mix(hash.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
    // The high part of a product maps a 64-bit number evenly to 0..len_bits (Lemire 2019).
    numbers.map(move |number| ((u128::from(number) * u128::from(len_bits)) >> 64) as usize)
}

/// SplitMix64's permutation of 64-bit numbers.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn hash(number: u64) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    /// The number of false positives among `tries` is within five standard deviations of what the rate says.
    fn check_rate(items: u64, rate: f64, tries: u64) {
        let mut filter = BloomFilter::new(items, rate).unwrap();
        (0..items).for_each(|i| {
            filter.insert(hash(i));
        });
        assert!((0..items).all(|i| filter.contains(hash(i))));
        let found = (items..items + tries).filter(|&i| filter.contains(hash(i))).count() as f64;
        let expected = tries as f64 * rate;
        assert!(found <= expected + 5.0 * expected.sqrt() + 1.0, "{found} false positives, not {expected}");
        assert!(found >= expected * 0.9 - 5.0 * expected.sqrt() - 1.0, "{found} false positives, not {expected}");
        let now = filter.false_positive_rate();
        assert!((now / rate).ln().abs() < 0.2, "{now} from the bits, not {rate}");
    }

    #[test]
    fn false_positives_are_as_frequent_as_said() {
        check_rate(100_000, 0.5, 100_000);
        check_rate(100_000, 0.01, 1_000_000);
        check_rate(50_000, 1e-4, 1_000_000);
        check_rate(1000, 1e-6, 1_000_000);
    }

    /// As the GPT-2 paper tells of its filters: none of a million random strings was found.
    #[test]
    fn none_of_a_million_is_found_at_1e_8() {
        check_rate(200_000, 1e-8, 1_000_000);
    }

    #[test]
    fn numbers_that_make_no_filter() {
        for rate in [0.0, 1.0, -0.1, 2.0, f64::NAN] {
            assert!(matches!(BloomFilter::new(10, rate), Err(BloomError::Rate(_))), "{rate}");
        }
        let too_large = BloomFilter::new(u64::MAX, 1e-8).unwrap_err();
        assert!(matches!(too_large, BloomError::Memory { .. }));
        assert!(too_large.hint().unwrap().starts_with("raise the rate"));
        let mut filter = BloomFilter::new(1000, 0.01).unwrap();
        assert_eq!(filter.join(&BloomFilter::new(2000, 0.01).unwrap()), Err(BloomError::Shape));
    }

    proptest! {
        /// The twin is an exact set.
        #[test]
        fn nothing_that_was_inserted_is_missing(items: Vec<u64>, others: Vec<u64>) {
            let mut filter = BloomFilter::new(items.len() as u64, 1e-9).unwrap();
            let mut exact = HashSet::new();
            for &item in &items {
                prop_assert_eq!(filter.insert(item), !exact.insert(item));
            }
            for &item in items.iter().chain(&others) {
                prop_assert_eq!(filter.contains(item), exact.contains(&item));
            }
        }

        #[test]
        fn a_union_is_as_if_inserted(items: Vec<u64>, others: Vec<u64>) {
            let filter_of = |items: &[u64]| {
                let mut filter = BloomFilter::new(100, 0.01).unwrap();
                items.iter().for_each(|&item| { filter.insert(item); });
                filter
            };
            let mut joined = filter_of(&items);
            joined.join(&filter_of(&others)).unwrap();
            prop_assert_eq!(joined, filter_of(&[items, others].concat()));
        }
    }
}
