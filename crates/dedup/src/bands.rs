//! The shape of signatures, and what follows from it.

/// Bands of a chosen shape, at most, if that leaves enough rows: a document has a row on the disk for each band.
const FEW_BANDS: usize = 32;
/// Bands that are accepted for the sake of [`ENOUGH_ROWS`].
const MANY_BANDS: usize = 128;
/// With fewer rows than these, texts meet in a band by a common phrase.
const ENOUGH_ROWS: usize = 4;
/// Rows of a chosen shape, at most: beyond these hardly any pair is a candidate in vain.
const MAX_ROWS: usize = 16;

/// Bands of a MinHash signature, and rows of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// Bands: a pair is a candidate if it agrees in one of them.
    pub bands: usize,
    /// Rows of a band, all of which must agree.
    pub rows: usize,
}

impl Bands {
    /// The shape that finds a pair of similarity `min_jaccard` with probability `recall`; more similar pairs are found
    /// with a higher one.
    ///
    /// Rows make dissimilar pairs rare among the candidates; bands cost time and disk space. So of all such shapes, this
    /// is the one with the most rows that needs at most 32 bands; if these are fewer than 4 rows, the one with the most
    /// rows up to 4 that needs at most 128 bands. `None` unless `min_jaccard` lies above 0 and is at most 1, and
    /// `recall` lies between 0 and 1.
    ///
    /// ```
    /// use dedup::Bands;
    /// let shape = Bands::for_recall(0.7, 0.99).unwrap();
    /// assert_eq!(shape, Bands { bands: 26, rows: 5 });
    /// assert!(shape.recall(0.7) >= 0.99 && shape.recall(0.8) > 0.9999 && shape.recall(0.2) < 0.01);
    /// ```
    pub fn for_recall(min_jaccard: f64, recall: f64) -> Option<Bands> {
        let is_possible = min_jaccard > 0.0 && min_jaccard <= 1.0 && recall > 0.0 && recall < 1.0;
        let with_rows = |rows: usize| Bands { bands: bands_for(min_jaccard, recall, rows), rows };
        let most_rows = |max_rows: usize, max_bands: usize| {
            (1..=max_rows).take_while(|&rows| with_rows(rows).bands <= max_bands).last().unwrap_or(1)
        };
        is_possible.then(|| with_rows(most_rows(MAX_ROWS, FEW_BANDS).max(most_rows(ENOUGH_ROWS, MANY_BANDS))))
    }

    /// The probability that a pair of this similarity is found: 1 − (1 − sʳ)ᵇ.
    pub fn recall(self, jaccard: f64) -> f64 {
        1.0 - (1.0 - jaccard.powi(self.rows as i32)).powi(self.bands as i32)
    }

    /// The similarity of pairs that are found with this probability: the inverse of [`Bands::recall`].
    pub fn jaccard_at(self, recall: f64) -> f64 {
        (1.0 - (1.0 - recall).powf(1.0 / self.bands as f64)).powf(1.0 / self.rows as f64)
    }
}

/// The fewest bands of `rows` rows that find a pair of this similarity with this probability.
fn bands_for(jaccard: f64, recall: f64, rows: usize) -> usize {
    let agrees = jaccard.powi(rows as i32);
    if agrees >= 1.0 {
        return 1;
    }
    ((1.0 - recall).ln() / (1.0 - agrees).ln()).ceil().max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_keeps_its_promise_with_as_few_bands_as_can_be() {
        for jaccard in [0.05, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.99, 1.0] {
            for recall in [0.5, 0.9, 0.99, 0.9999] {
                let shape = Bands::for_recall(jaccard, recall).unwrap();
                assert!((shape.recall(shape.jaccard_at(recall)) - recall).abs() < 1e-9, "{shape:?}");
                assert!(shape.recall(jaccard) >= recall - 1e-12, "{shape:?} at {jaccard}");
                let fewer = Bands { bands: shape.bands - 1, ..shape };
                assert!(shape.bands == 1 || fewer.recall(jaccard) < recall, "{shape:?} at {jaccard}");
            }
        }
    }

    #[test]
    fn low_limits_have_rows_enough() {
        let shape = |jaccard| Bands::for_recall(jaccard, 0.99).unwrap();
        assert_eq!(shape(0.8), Bands { bands: 32, rows: 9 });
        assert_eq!(shape(0.5), Bands { bands: 72, rows: 4 });
        assert_eq!(shape(0.3), Bands { bands: 49, rows: 2 });
    }

    #[test]
    fn what_cannot_be_is_none() {
        for (jaccard, recall) in [(0.0, 0.9), (1.1, 0.9), (f64::NAN, 0.9), (0.7, 0.0), (0.7, 1.0), (0.7, f64::NAN)] {
            assert_eq!(Bands::for_recall(jaccard, recall), None);
        }
    }
}
