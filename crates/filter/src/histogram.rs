//! Histograms of a measure's values. The bins depend on the unit alone, so that the histograms of parts add up to that
//! of the whole, in any order.
//!
//! | unit | bin *b* holds values from |
//! | --- | --- |
//! | count, chars | 0: from 0 to below 1; then 16 even bins for each doubling, so that each number up to 32 has its own |
//! | fraction | *b* / 200; the last one, 400, all from 2 on |
//! | log-probability | *b* / 4, from -1,024 to 0 |
//!
//! Left out: sums and extremes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::MeasureUnit;

/// Low bits of a double's mantissa that do not choose among the 16 bins of a doubling.
const REST_BITS: u32 = 52 - 4;
/// Exponent and upper mantissa bits of 1.0.
const ONE: i32 = 1023 << 4;
/// The last bin of counts: from 2⁵³ on, whole numbers are no longer exact.
const MAX_COUNT_BIN: i32 = 1 + 53 * 16;
const BINS_PER_WHOLE: f64 = 200.0;
const MAX_FRACTION_BIN: i32 = 400;
const BINS_PER_NAT: f64 = 4.0;
const MIN_LOG_BIN: i32 = -4096;

impl MeasureUnit {
    /// The bin of a value. A value beyond the first or last bin is counted in that bin.
    ///
    /// ```
    /// use filter::MeasureUnit;
    /// assert_eq!(MeasureUnit::Fraction.bin_of(0.3), 60);
    /// assert_eq!(MeasureUnit::Count.bin_range(MeasureUnit::Count.bin_of(50.0)), 50.0..52.0);
    /// ```
    pub fn bin_of(self, value: f64) -> i32 {
        match self {
            MeasureUnit::Count | MeasureUnit::Chars if value < 1.0 => 0,
            MeasureUnit::Count | MeasureUnit::Chars => {
                ((value.to_bits() >> REST_BITS) as i32 - ONE + 1).clamp(1, MAX_COUNT_BIN)
            }
            MeasureUnit::Fraction => {
                // A product may be rounded across the edge of its bin.
                let near = (value * BINS_PER_WHOLE).clamp(0.0, f64::from(MAX_FRACTION_BIN)) as i32;
                let Range { start, end } = self.bin_range(near);
                let bin = near + i32::from(value >= end) - i32::from(value < start);
                bin.clamp(0, MAX_FRACTION_BIN)
            }
            MeasureUnit::LogProbability => ((value * BINS_PER_NAT).floor() as i32).clamp(MIN_LOG_BIN, 0),
        }
    }

    /// The values that a bin holds.
    pub fn bin_range(self, bin: i32) -> Range<f64> {
        let start = |bin: i32| match self {
            MeasureUnit::Count | MeasureUnit::Chars if bin <= 0 => 0.0,
            MeasureUnit::Count | MeasureUnit::Chars => {
                f64::from_bits(((bin.min(MAX_COUNT_BIN + 1) - 1 + ONE) as u64) << REST_BITS)
            }
            MeasureUnit::Fraction => f64::from(bin) / BINS_PER_WHOLE,
            MeasureUnit::LogProbability => f64::from(bin) / BINS_PER_NAT,
        };
        start(bin)..start(bin + 1)
    }
}

/// How many values lie in each bin of their unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The first bin that has a value; 0 when there are none.
    pub first_bin: i32,
    /// Values of that bin and the following ones, up to the last that has one.
    pub counts: Vec<u64>,
    /// Texts for which the measure is not defined.
    pub undefined: u64,
}

impl Histogram {
    /// Counts a value; NaN counts as undefined.
    pub fn note(&mut self, unit: MeasureUnit, value: f64) {
        if value.is_nan() {
            self.undefined += 1;
        } else {
            let bin = unit.bin_of(value);
            *self.at(bin, bin) += 1;
        }
    }

    /// Adds another histogram of the same unit.
    pub fn merge(&mut self, other: &Histogram) {
        self.undefined += other.undefined;
        let Some(last) = other.bins().map(|(bin, _)| bin).last() else { return };
        self.at(other.first_bin, last);
        for (bin, count) in other.bins() {
            *self.at(bin, bin) += count;
        }
    }

    /// The bins from the first to the last that has a value, with how many each has.
    pub fn bins(&self) -> impl Iterator<Item = (i32, u64)> {
        (self.first_bin..).zip(self.counts.iter().copied())
    }

    /// Values of all bins.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The count of the first of two bins, after making room for both.
    fn at(&mut self, first: i32, last: i32) -> &mut u64 {
        if self.counts.is_empty() {
            self.first_bin = first;
        }
        if first < self.first_bin {
            let before = (self.first_bin - first) as usize;
            self.counts.splice(..0, std::iter::repeat_n(0, before));
            self.first_bin = first;
        }
        let needed = (last - self.first_bin) as usize + 1;
        self.counts.resize(self.counts.len().max(needed), 0);
        &mut self.counts[(first - self.first_bin) as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNITS: [MeasureUnit; 4] =
        [MeasureUnit::Count, MeasureUnit::Chars, MeasureUnit::Fraction, MeasureUnit::LogProbability];

    #[test]
    fn bins() {
        let check = |unit: MeasureUnit, value: f64, bin: i32, range: Range<f64>| {
            assert_eq!((unit.bin_of(value), unit.bin_range(bin)), (bin, range), "{unit:?} {value}");
        };
        check(MeasureUnit::Count, 0.0, 0, 0.0..1.0);
        check(MeasureUnit::Count, -0.0, 0, 0.0..1.0);
        check(MeasureUnit::Count, 1.0, 1, 1.0..1.0625);
        check(MeasureUnit::Count, 17.0, 66, 17.0..18.0);
        check(MeasureUnit::Chars, 3.1, 25, 3.0..3.125);
        check(MeasureUnit::Count, f64::INFINITY, MAX_COUNT_BIN, 2f64.powi(53)..2f64.powi(53) * 1.0625);
        check(MeasureUnit::Fraction, 0.29, 58, 0.29..0.295);
        check(MeasureUnit::Fraction, 1.0, 200, 1.0..1.005);
        check(MeasureUnit::Fraction, 70.0, 400, 2.0..2.005);
        check(MeasureUnit::LogProbability, -10.1, -41, -10.25..-10.0);
        check(MeasureUnit::LogProbability, f64::NEG_INFINITY, MIN_LOG_BIN, -1024.0..-1023.75);
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bin(part in 0u32..2000, of in 1u32..1000) {
            let value = f64::from(part) / f64::from(of);
            // Values beyond the last bins are counted in those, and so lie outside of them.
            let (log_probability, fraction) = ((-value).max(-1024.0), value.min(1.99));
            for (unit, value) in
                [(MeasureUnit::Count, value), (MeasureUnit::LogProbability, log_probability), (MeasureUnit::Fraction, fraction)]
            {
                let range = unit.bin_range(unit.bin_of(value));
                prop_assert!(range.contains(&value), "{unit:?} {value} {range:?}");
            }
        }

        #[test]
        fn parts_add_up_in_any_order(values: Vec<(f64, u8)>) {
            for unit in UNITS {
                let mut whole = Histogram::default();
                let mut parts = vec![Histogram::default(); 3];
                for (value, part) in &values {
                    whole.note(unit, *value);
                    parts[usize::from(*part) % 3].note(unit, *value);
                }
                for order in [[0, 1, 2], [2, 0, 1]] {
                    let mut sum = Histogram::default();
                    order.iter().for_each(|part| sum.merge(&parts[*part]));
                    prop_assert_eq!(&sum, &whole);
                }
                prop_assert_eq!(whole.total() + whole.undefined, values.len() as u64);
            }
        }
    }
}
