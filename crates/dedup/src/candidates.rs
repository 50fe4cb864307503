//! Which documents of one band are compared.

use std::collections::VecDeque;

use crate::minhash::MAX_SKETCH_BYTES;
use crate::{Bands, Sketch};

/// Documents of a group that are compared with every earlier one.
const MAX_PAIRED_DOCUMENTS: usize = 32;
/// Of a larger group, the documents that later ones look for resemblance among: so many from its start, and as many
/// that came last.
const WINDOW: usize = 512;
/// Of those that resemble a document by their sketches, it is compared with the first ones …
const FIRST: usize = 4;
/// … and with the most similar ones.
const MOST_SIMILAR: usize = 12;

/// The documents that share a band, in their order, and the pairs of them that are compared.
///
/// Up to 32 documents, all pairs are. In a larger group, whose documents are copies of each other or share a template, a
/// document is compared with the first 4 and the 12 most similar ones of those that resemble it by their sketches,
/// among the first 512 documents and the last 512 before it. So the number of comparisons grows with the documents, not
/// with their square. Memory: 1,024 documents.
#[derive(Debug, Clone)]
pub struct BandGroup<D> {
    min_agreement: usize,
    first: Vec<(D, Sketch)>,
    recent: VecDeque<(D, Sketch)>,
    len: u64,
    skipped: u64,
}

impl<D> BandGroup<D> {
    /// An empty group, for signatures of this shape.
    pub fn new(shape: Bands) -> BandGroup<D> {
        // Documents resemble each other if their sketches may be those of a pair that is as likely found as not.
        let bytes = shape.bands.min(MAX_SKETCH_BYTES) as f64;
        let similarity = shape.jaccard_at(0.5);
        let deviation = (bytes * similarity * (1.0 - similarity)).sqrt();
        let min_agreement = (bytes * similarity - 2.0 * deviation).max(1.0) as usize;
        BandGroup { min_agreement, first: Vec::new(), recent: VecDeque::new(), len: 0, skipped: 0 }
    }

    /// Adds the next document in order, and calls `compare` with each earlier one that it is to be compared with.
    /// Documents of one group come without exact copies.
    pub fn push<E>(
        &mut self,
        document: D,
        sketch: Sketch,
        mut compare: impl FnMut(&D, &D) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut compared = 0;
        if self.first.len() < MAX_PAIRED_DOCUMENTS {
            for (earlier, _) in &self.first {
                compare(earlier, &document)?;
                compared += 1;
            }
        } else {
            for earlier in self.resembling(&sketch) {
                compare(earlier, &document)?;
                compared += 1;
            }
        }
        self.skipped += self.len - compared;
        self.len += 1;
        if self.first.len() < WINDOW {
            self.first.push((document, sketch));
        } else {
            if self.recent.len() == WINDOW {
                self.recent.pop_front();
            }
            self.recent.push_back((document, sketch));
        }
        Ok(())
    }

    /// Ends the group, and returns how many pairs of it were not compared.
    pub fn end(&mut self) -> u64 {
        self.first.clear();
        self.recent.clear();
        self.len = 0;
        std::mem::take(&mut self.skipped)
    }

    fn resembling(&self, sketch: &[u8]) -> Vec<&D> {
        let window = self.first.iter().chain(&self.recent);
        let agreements = window.map(|(document, other)| (agreement(sketch, other), document));
        let similar: Vec<(usize, &D)> = agreements.filter(|(agreement, _)| *agreement >= self.min_agreement).collect();
        let (first, rest) = similar.split_at(similar.len().min(FIRST));
        let mut rest = rest.to_vec();
        rest.sort_by_key(|(agreement, _)| std::cmp::Reverse(*agreement));
        first.iter().chain(rest.iter().take(MOST_SIMILAR)).map(|(_, document)| *document).collect()
    }
}

/// Bytes that agree.
fn agreement(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).map(|(x, y)| usize::from(x == y)).sum()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use super::*;
    use crate::share;

    const SHAPE: Bands = Bands { bands: 26, rows: 5 };

    /// The pairs of a group of documents with these sketches, and how many were skipped.
    fn pairs(sketches: impl IntoIterator<Item = Sketch>) -> (Vec<(usize, usize)>, u64) {
        let mut group = BandGroup::new(SHAPE);
        let mut pairs = Vec::new();
        for (number, sketch) in sketches.into_iter().enumerate() {
            let compare = |a: &usize, b: &usize| {
                pairs.push((*a, *b));
                Ok::<(), Infallible>(())
            };
            group.push(number, sketch, compare).unwrap();
        }
        (pairs, group.end())
    }

    fn sketch(variant: usize) -> Sketch {
        (0..26u64).map(|place| xxh3_64_with_seed(&(variant as u64).to_le_bytes(), place) as u8).collect()
    }

    #[test]
    fn all_pairs_of_a_small_group() {
        assert_eq!(pairs([]), (vec![], 0));
        assert_eq!(pairs((0..3).map(sketch)), (vec![(0, 1), (0, 2), (1, 2)], 0));
        assert_eq!(pairs((0..32).map(sketch)).0.len(), 32 * 31 / 2);
    }

    #[test]
    fn a_large_group_costs_as_much_as_it_has_documents() {
        let documents = 20_000 / share::one_in(5);
        let (found, skipped) = pairs((0..documents).map(|_| sketch(7)));
        assert!(found.len() < documents * 17, "{}", found.len());
        assert_eq!(found.len() as u64 + skipped, (documents * (documents - 1) / 2) as u64);
        assert!(found.contains(&(0, documents - 1)), "copies meet the first");
        // Documents that share the band and nothing else are not compared.
        let (found, _) = pairs((0..documents).map(sketch));
        assert!(found.len() < documents, "{}", found.len());
    }

    #[test]
    fn the_most_similar_of_a_large_group_are_compared() {
        let twins = (0..2_000).map(|number| if number == 1_999 { sketch(1_900) } else { sketch(number) });
        let (found, _) = pairs(twins);
        assert!(found.contains(&(1_900, 1_999)));
    }
}
