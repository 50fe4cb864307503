//! Exact and near-duplicates.
//!
//! **Definition.** The *words* of a text are its maximal runs of letters and digits, lower-cased. Two
//! texts are exact duplicates when their words are the same, and near-duplicates when the Jaccard
//! similarity of their sets of word *shingles* (n words in a row) reaches a threshold.
//!
//! **How pairs are found.** A MinHash [signature](MinHash) estimates that similarity; texts that agree in a whole band
//! of it become a candidate pair; the similarity of each candidate pair is then computed from the shingles themselves.
//! So no reported pair is false, but some pairs are missed: with b bands of r rows, a pair of similarity s is found
//! with probability 1 − (1 − sʳ)ᵇ.
//!
//! **What is kept.** Pairs are joined into [clusters], and of each cluster the member that comes
//! first in a given order stays. Nothing depends on the order in which texts or pairs arrive.
//!
//! Of [substrings] that occur twice, documents are not compared as wholes; that module stands by itself.

mod minhash;
pub mod substrings;
mod words;

pub use minhash::{BandHash, MinHash};
pub use words::{jaccard, shingles, text_hash};

use std::collections::BTreeMap;

/// A verified pair of duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge<K> {
    /// One document.
    pub a: K,
    /// The other.
    pub b: K,
    /// Their similarity; 1 for exact duplicates.
    pub jaccard: f32,
    /// Whether the words are the same, not only the set of shingles.
    pub exact: bool,
}

/// Largest group of which all pairs are compared.
const ALL_PAIRS_MAX: usize = 32;

/// The pairs of a group of `len` documents that share a band, as places `(a, b)` with `a < b`.
///
/// All pairs of a group of up to 32 documents. In a larger group, each document with the first and with the one before
/// it: groups of that size are copies of each other, and these pairs join them without a quadratic number of
/// comparisons.
pub fn candidate_pairs(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..len).flat_map(move |b| {
        let near = if len <= ALL_PAIRS_MAX { 0..b } else { b - 1..b };
        let first = (len > ALL_PAIRS_MAX && b > 1).then_some(0);
        first.into_iter().chain(near).map(move |a| (a, b))
    })
}

/// A document that another one represents.
#[derive(Debug, Clone, PartialEq)]
pub struct Member<K> {
    /// The document.
    pub document: K,
    /// The first of its cluster in the order of `K`.
    pub representative: K,
    /// The neighbour it is most similar to.
    pub similar_to: K,
    /// The similarity to that neighbour.
    pub jaccard: f32,
    /// Whether the document has the same words as its representative.
    pub exact: bool,
}

/// Joins pairs into clusters and names every member but the representative, in the order of `K`.
///
/// Time O(n log n) in the number of pairs; memory proportional to the documents that are in one.
///
/// ```
/// use dedup::{Edge, clusters};
/// let pairs = [Edge { a: 3, b: 1, jaccard: 0.8, exact: false }, Edge { a: 3, b: 7, jaccard: 0.9, exact: false }];
/// let members = clusters(pairs);
/// assert_eq!(members.iter().map(|m| (m.document, m.representative)).collect::<Vec<_>>(), [(3, 1), (7, 1)]);
/// ```
pub fn clusters<K: Ord + Clone>(edges: impl IntoIterator<Item = Edge<K>>) -> Vec<Member<K>> {
    let edges: Vec<Edge<K>> = edges.into_iter().filter(|edge| edge.a != edge.b).collect();
    let mut numbers: BTreeMap<&K, usize> = edges.iter().flat_map(|e| [(&e.a, 0), (&e.b, 0)]).collect();
    numbers.values_mut().enumerate().for_each(|(i, number)| *number = i);
    let keys: Vec<&K> = numbers.keys().copied().collect();
    // Two forests: of all pairs, and of exact pairs alone, which shows which members are exact copies.
    let mut all = Forest::new(keys.len());
    let mut exact = Forest::new(keys.len());
    let mut nearest: Vec<Option<(f32, usize)>> = vec![None; keys.len()];
    for edge in &edges {
        let (a, b) = (numbers[&edge.a], numbers[&edge.b]);
        all.join(a, b);
        if edge.exact {
            exact.join(a, b);
        }
        for (from, to) in [(a, b), (b, a)] {
            // Of equally similar neighbours, the first in the order.
            let better = nearest[from].is_none_or(|(j, n)| edge.jaccard > j || (edge.jaccard == j && to < n));
            if better {
                nearest[from] = Some((edge.jaccard, to));
            }
        }
    }
    let mut members = Vec::new();
    for number in 0..keys.len() {
        let root = all.root(number);
        let Some((jaccard, neighbour)) = nearest[number].filter(|_| root != number) else { continue };
        members.push(Member {
            document: keys[number].clone(),
            representative: keys[root].clone(),
            similar_to: keys[neighbour].clone(),
            jaccard,
            exact: exact.root(number) == exact.root(root),
        });
    }
    members
}

/// Disjoint sets whose root is always the smallest member.
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn new(len: usize) -> Forest {
        Forest { parents: (0..len).collect() }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_of_a_group() {
        assert_eq!(candidate_pairs(0).count() + candidate_pairs(1).count(), 0);
        assert_eq!(candidate_pairs(3).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(candidate_pairs(33).take(4).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(candidate_pairs(33).count(), 63);
    }

    proptest! {
        #[test]
        fn clusters_do_not_depend_on_the_order_of_pairs(pairs: Vec<(u8, u8, u8, bool)>, turn in 0usize..10) {
            let edge = |&(a, b, j, exact): &(u8, u8, u8, bool)| {
                Edge { a, b, jaccard: if exact { 1.0 } else { f32::from(j) / 300.0 }, exact }
            };
            let forward = clusters(pairs.iter().map(edge));
            let mut turned = pairs.clone();
            turned.rotate_left(turn % pairs.len().max(1));
            turned.reverse();
            let flipped = turned.iter().map(|&(a, b, j, exact)| edge(&(b, a, j, exact)));
            prop_assert_eq!(clusters(flipped), forward);
        }

        #[test]
        fn a_cluster_is_what_pairs_reach(pairs: Vec<(u8, u8)>) {
            let members = clusters(pairs.iter().map(|&(a, b)| Edge { a, b, jaccard: 0.5, exact: false }));
            let mut reached: Vec<u8> = (0..=255).collect();
            // The twin: spread the smallest label until nothing changes.
            loop {
                let before = reached.clone();
                for &(a, b) in &pairs {
                    let least = reached[a as usize].min(reached[b as usize]);
                    reached[a as usize] = least;
                    reached[b as usize] = least;
                }
                if reached == before { break; }
            }
            let expected: Vec<(u8, u8)> =
                (0..=255u8).filter(|&d| reached[d as usize] != d).map(|d| (d, reached[d as usize])).collect();
            let got: Vec<(u8, u8)> = members.iter().map(|m| (m.document, m.representative)).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
