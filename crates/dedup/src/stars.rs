//! Which documents stay: stars around kept documents, or whole clusters of pairs.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;

use crate::Jaccard;

/// A document as the choice of what stays sees it. Its order is that in which documents are preferred: the first of
/// two duplicates stays.
pub trait Ranked: Ord + Clone {
    /// Where the document lies: a file, and a row of it.
    fn place(&self) -> (u64, u64);
}

/// A verified pair of near-duplicates. Sorted by the later document, then by the earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearPair<D> {
    /// The one that comes second in the order of documents.
    pub later: D,
    /// The one that comes first.
    pub earlier: D,
    /// Their similarity, which reaches the limit.
    pub jaccard: Jaccard,
}

/// A document with the same words as an earlier one. Sorted by the earlier one. Of documents with the same words, only
/// the first is in pairs of near-duplicates; it is the `earlier` one of all the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactPair<D> {
    /// The first document with these words.
    pub earlier: D,
    /// Another one.
    pub later: D,
}

/// A document that is dropped, and the one that stays for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Represented<D> {
    /// The dropped document.
    pub document: D,
    /// The kept document that represents it.
    pub representative: D,
    /// The document that it is most similar to, of those that it was compared with. In a star, the representative.
    pub similar_to: D,
    /// The similarity to that document.
    pub jaccard: Jaccard,
    /// Whether the document has the words of its representative.
    pub is_exact: bool,
}

/// Documents by their places, a bit for each row up to the last one of a file.
#[derive(Debug, Default)]
struct PlaceSet {
    files: HashMap<u64, Vec<u64>>,
}

impl PlaceSet {
    fn insert(&mut self, (file, row): (u64, u64)) {
        let words = self.files.entry(file).or_default();
        let word = (row / 64) as usize;
        words.resize(words.len().max(word + 1), 0);
        words[word] |= 1 << (row % 64);
    }

    fn contains(&self, (file, row): (u64, u64)) -> bool {
        let word = self.files.get(&file).and_then(|words| words.get((row / 64) as usize));
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// Drops each document that is similar to a *kept* one that comes before it, and names the most similar of these. Exact
/// copies of a dropped document are dropped for what represents it.
///
/// Documents are decided in their order, so that among the kept ones no given pair remains, and no document is dropped
/// for one that it does not resemble: A ~ B ~ C keeps A and C. Both inputs must be sorted, as their types say. Time
/// O(pairs); memory a bit for each row up to the last dropped one of a file.
///
/// ```
/// use dedup::{ExactPair, Jaccard, NearPair, Ranked, Stars};
/// #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
/// struct Document(u64);
/// impl Ranked for Document {
///     fn place(&self) -> (u64, u64) {
///         (0, self.0)
///     }
/// }
/// let pair = |earlier, later| {
///     Ok::<_, ()>(NearPair { earlier: Document(earlier), later: Document(later), jaccard: Jaccard { shared: 3, either: 4 } })
/// };
/// // 1 ~ 2 ~ 3: 2 is dropped for 1; 3 resembles no kept document, and stays.
/// let near = [pair(1, 2), pair(2, 3)];
/// let exact: [Result<ExactPair<Document>, ()>; 0] = [];
/// let dropped: Vec<_> = Stars::new(near.into_iter(), exact.into_iter()).map(|dropped| dropped.unwrap()).collect();
/// assert_eq!(dropped.len(), 1);
/// assert_eq!((&dropped[0].document, &dropped[0].representative), (&Document(2), &Document(1)));
/// ```
pub struct Stars<D, N: Iterator, X: Iterator> {
    near: Peekable<N>,
    exact: Peekable<X>,
    dropped: PlaceSet,
    /// The last document that was dropped as a near-duplicate, whose exact copies follow it.
    last: Option<Represented<D>>,
}

impl<D, E, N, X> Stars<D, N, X>
where
    D: Ranked,
    N: Iterator<Item = Result<NearPair<D>, E>>,
    X: Iterator<Item = Result<ExactPair<D>, E>>,
{
    /// The stars of these pairs.
    pub fn new(near: N, exact: X) -> Stars<D, N, X> {
        Stars { near: near.peekable(), exact: exact.peekable(), dropped: PlaceSet::default(), last: None }
    }

    /// The copy of a document that comes before the next one with near pairs.
    fn next_copy(&mut self) -> Option<Result<Represented<D>, E>> {
        let next = match self.near.peek() {
            Some(Ok(pair)) => Some(&pair.later),
            _ => None,
        };
        let pair = self.exact.next_if(|pair| match (pair, next) {
            (Ok(pair), Some(next)) => pair.earlier < *next,
            _ => true,
        })?;
        Some(pair.map(|ExactPair { earlier, later }| match &self.last {
            // What represents the first of several copies represents them all: their similarity to it is the same.
            Some(last) if last.document == earlier => Represented { document: later, ..last.clone() },
            _ => Represented {
                document: later,
                representative: earlier.clone(),
                similar_to: earlier,
                jaccard: Jaccard::EXACT,
                is_exact: true,
            },
        }))
    }

    /// Decides the next document with near pairs.
    fn next_near(&mut self) -> Option<Result<Option<Represented<D>>, E>> {
        let mut best: Option<NearPair<D>> = None;
        let mut later: Option<D> = None;
        while let Some(pair) = self.near.next_if(|pair| match (pair, &later) {
            (Ok(pair), Some(later)) => pair.later == *later,
            _ => later.is_none(),
        }) {
            let pair = match pair {
                Ok(pair) => pair,
                Err(error) => return Some(Err(error)),
            };
            later.get_or_insert_with(|| pair.later.clone());
            let is_better = best.as_ref().is_none_or(|best| pair.jaccard.value() > best.jaccard.value());
            if is_better && !self.dropped.contains(pair.earlier.place()) {
                best = Some(pair);
            }
        }
        later?;
        Some(Ok(best.map(|NearPair { later, earlier, jaccard }| {
            self.dropped.insert(later.place());
            let representative = earlier.clone();
            Represented { document: later, representative, similar_to: earlier, jaccard, is_exact: false }
        })))
    }
}

impl<D, E, N, X> Iterator for Stars<D, N, X>
where
    D: Ranked,
    N: Iterator<Item = Result<NearPair<D>, E>>,
    X: Iterator<Item = Result<ExactPair<D>, E>>,
{
    type Item = Result<Represented<D>, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(copy) = self.next_copy() {
                return Some(copy);
            }
            match self.next_near()? {
                Ok(Some(dropped)) => {
                    self.last = Some(dropped.clone());
                    return Some(Ok(dropped));
                }
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Joins pairs into clusters, keeps the first document of each, and drops every other one.
///
/// A cluster is all that pairs connect: in A ~ B ~ C, C is dropped for A, which it need not resemble. The result, in the
/// order of documents, does not depend on the order of pairs. Time O(pairs · log documents); memory for the documents
/// that are in a pair.
pub fn transitive_clusters<D: Ranked, E>(
    near: impl Iterator<Item = Result<NearPair<D>, E>>,
    exact: impl Iterator<Item = Result<ExactPair<D>, E>>,
) -> Result<Vec<Represented<D>>, E> {
    let mut clusters = Clusters::default();
    for pair in near {
        let NearPair { later, earlier, jaccard } = pair?;
        clusters.join(earlier, later, jaccard, false);
    }
    for pair in exact {
        let ExactPair { earlier, later } = pair?;
        clusters.join(earlier, later, Jaccard::EXACT, true);
    }
    Ok(clusters.represented())
}

/// The documents that are in pairs, numbered as they came.
struct Clusters<D> {
    numbers: BTreeMap<D, usize>,
    documents: Vec<D>,
    /// Two forests: of all pairs, and of exact pairs alone, which shows which members are exact copies.
    all: Forest,
    exact: Forest,
    /// For each document the most similar one that it was compared with.
    nearest: Vec<Option<(Jaccard, usize)>>,
}

impl<D> Default for Clusters<D> {
    fn default() -> Clusters<D> {
        let (all, exact) = (Forest::default(), Forest::default());
        Clusters { numbers: BTreeMap::new(), documents: Vec::new(), all, exact, nearest: Vec::new() }
    }
}

impl<D: Ranked> Clusters<D> {
    fn number(&mut self, document: D) -> usize {
        let next = self.documents.len();
        let number = *self.numbers.entry(document.clone()).or_insert(next);
        if number == next {
            self.documents.push(document);
            self.all.add();
            self.exact.add();
            self.nearest.push(None);
        }
        number
    }

    fn join(&mut self, earlier: D, later: D, jaccard: Jaccard, is_exact: bool) {
        let (a, b) = (self.number(earlier), self.number(later));
        self.all.join(a, b, &self.documents);
        if is_exact {
            self.exact.join(a, b, &self.documents);
        }
        for (from, to) in [(a, b), (b, a)] {
            // Of equally similar neighbours, the first in the order.
            let is_better = self.nearest[from].is_none_or(|(best, nearest)| {
                let (new, best) = (jaccard.value(), best.value());
                new > best || new == best && self.documents[to] < self.documents[nearest]
            });
            if is_better {
                self.nearest[from] = Some((jaccard, to));
            }
        }
    }

    fn represented(mut self) -> Vec<Represented<D>> {
        let mut represented = Vec::new();
        for (document, number) in std::mem::take(&mut self.numbers) {
            let root = self.all.root(number);
            let Some((jaccard, nearest)) = self.nearest[number].filter(|_| root != number) else { continue };
            represented.push(Represented {
                document,
                representative: self.documents[root].clone(),
                similar_to: self.documents[nearest].clone(),
                jaccard,
                is_exact: self.exact.root(number) == self.exact.root(root),
            });
        }
        represented
    }
}

/// Disjoint sets whose root is always the first member in the order of documents.
#[derive(Default)]
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn add(&mut self) {
        self.parents.push(self.parents.len());
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join<D: Ord>(&mut self, a: usize, b: usize, documents: &[D]) {
        let (a, b) = (self.root(a), self.root(b));
        let (first, second) = if documents[a] <= documents[b] { (a, b) } else { (b, a) };
        self.parents[second] = first;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    impl Ranked for u16 {
        fn place(&self) -> (u64, u64) {
            (u64::from(self % 3), u64::from(self / 3))
        }
    }

    type Near = NearPair<u16>;
    type Exact = ExactPair<u16>;

    /// Texts as numbers: documents with the same text are exact copies; texts are similar by a given symmetric relation.
    #[derive(Debug, Clone)]
    struct Corpus {
        texts: Vec<u8>,
        similar: Vec<(u8, u8, u32)>,
    }

    fn corpora() -> impl Strategy<Value = Corpus> {
        let texts = prop::collection::vec(0u8..20, 1..60);
        let similar = prop::collection::vec((0u8..20, 0u8..20, 70u32..100), 0..40);
        (texts, similar).prop_map(|(texts, similar)| Corpus { texts, similar })
    }

    impl Corpus {
        fn similarity(&self, a: u8, b: u8) -> Option<Jaccard> {
            let found = self.similar.iter().find(|(x, y, _)| (*x, *y) == (a.min(b), a.max(b)) && a != b);
            found.map(|&(_, _, shared)| Jaccard { shared, either: 100 })
        }

        /// The sorted pairs, as the stages before find them: near pairs of the first document of each text.
        fn pairs(&self) -> (Vec<Near>, Vec<Exact>) {
            let (mut near, mut exact) = (Vec::new(), Vec::new());
            let first = |text: u8| self.texts.iter().position(|&other| other == text).unwrap() as u16;
            for (later, &text) in (0u16..).zip(&self.texts) {
                if first(text) != later {
                    exact.push(Exact { earlier: first(text), later });
                    continue;
                }
                for (earlier, &other) in (0..later).zip(&self.texts) {
                    if let Some(jaccard) = self.similarity(text, other).filter(|_| first(other) == earlier) {
                        near.push(Near { later, earlier, jaccard });
                    }
                }
            }
            exact.sort_by_key(|pair| (pair.earlier, pair.later));
            (near, exact)
        }
    }

    fn ok<T>(rows: Vec<T>) -> impl Iterator<Item = Result<T, Infallible>> {
        rows.into_iter().map(Ok)
    }

    proptest! {
        /// The twin compares every document with every kept one before it.
        #[test]
        fn a_document_is_dropped_if_it_resembles_a_kept_one(corpus in corpora()) {
            let (near, exact) = corpus.pairs();
            let dropped: Vec<_> = Stars::new(ok(near), ok(exact)).map(|dropped| dropped.unwrap()).collect();
            let mut kept: Vec<u16> = Vec::new();
            let mut expected = BTreeSet::new();
            for (document, &text) in (0u16..).zip(&corpus.texts) {
                let resembles = kept.iter().any(|&other| {
                    let other = corpus.texts[usize::from(other)];
                    other == text || corpus.similarity(text, other).is_some()
                });
                if resembles { expected.insert(document); } else { kept.push(document); }
            }
            prop_assert_eq!(dropped.iter().map(|row| row.document).collect::<BTreeSet<_>>(), expected);
            prop_assert_eq!(dropped.iter().map(|row| row.document).collect::<BTreeSet<_>>().len(), dropped.len());
            for row in &dropped {
                prop_assert!(kept.contains(&row.representative), "{row:?}");
                let (text, other) = (corpus.texts[usize::from(row.document)], corpus.texts[usize::from(row.representative)]);
                let similarity = if text == other { Some(Jaccard::EXACT) } else { corpus.similarity(text, other) };
                prop_assert_eq!(similarity, Some(row.jaccard));
                prop_assert_eq!(row.is_exact, text == other);
                // No kept document that comes before it is more similar; a copy follows its original.
                let best = kept.iter().filter(|&&other| other < row.document).filter_map(|&other| {
                    let other = corpus.texts[usize::from(other)];
                    if other == text { Some(Jaccard::EXACT) } else { corpus.similarity(text, other) }
                });
                let best = best.map(|jaccard| jaccard.value()).fold(0.0, f64::max);
                let is_copy = corpus.texts[..usize::from(row.document)].contains(&text);
                prop_assert!(is_copy || row.jaccard.value() == best, "{row:?}, best {best}");
            }
        }

        #[test]
        fn a_cluster_is_what_pairs_reach(corpus in corpora(), turn in 0usize..10) {
            let (mut near, exact) = corpus.pairs();
            let forward = transitive_clusters(ok(near.clone()), ok(exact.clone())).unwrap();
            let turn = turn % near.len().max(1);
            near.rotate_left(turn);
            near.reverse();
            prop_assert_eq!(&transitive_clusters(ok(near.clone()), ok(exact.clone())).unwrap(), &forward);
            let mut reached: Vec<u16> = (0..corpus.texts.len() as u16).collect();
            // The twin: spread the smallest label until nothing changes.
            loop {
                let before = reached.clone();
                let pairs = near.iter().map(|p| (p.earlier, p.later)).chain(exact.iter().map(|p| (p.earlier, p.later)));
                for (a, b) in pairs {
                    let (a, b) = (usize::from(a), usize::from(b));
                    let least = reached[a].min(reached[b]);
                    (reached[a], reached[b]) = (least, least);
                }
                if reached == before { break; }
            }
            let expected: Vec<(u16, u16)> =
                (0u16..).zip(&reached).filter(|(d, r)| d != *r).map(|(d, &r)| (d, r)).collect();
            let found: Vec<(u16, u16)> = forward.iter().map(|row| (row.document, row.representative)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_error_of_either_input_ends_the_stars() {
        let near: Vec<Result<Near, &str>> = vec![Err("near")];
        let mut stars = Stars::new(near.into_iter(), std::iter::empty::<Result<Exact, &str>>());
        assert_eq!(stars.next(), Some(Err("near")));
        let exact: Vec<Result<Exact, &str>> = vec![Err("exact")];
        let mut stars = Stars::new(std::iter::empty::<Result<Near, &str>>(), exact.into_iter());
        assert_eq!(stars.next(), Some(Err("exact")));
    }
}
