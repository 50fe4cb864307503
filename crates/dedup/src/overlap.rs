//! What evaluation sets and a corpus have in common.
//!
//! Two questions, with a type each:
//!
//! - *How much?* [`NgramFilter`], the study of the GPT-2 paper (section 4): a Bloom filter of one side's 8-grams, and the
//!   share of the other side's 8-grams that are in it. It needs no more memory than the filter, and says nothing about
//!   where.
//! - *Where?* [`ItemIndex`]: the n-grams of all evaluation items in memory, and the spans of each corpus document that
//!   match, with the item. N-grams that many corpus documents hold are quotations or templates, and do not count: so
//!   the corpus streams past twice, to count documents and to mark spans.
//!
//! Words are those of the crate: runs of letters and digits, lower-cased, joined by single spaces.
//!
//! **What is not seen**: an item of fewer words than n, a translation, a paraphrase; an item that has been copied to more
//! pages than the limit allows.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use crate::bloom::{BloomError, BloomFilter};
use crate::ngrams::for_each_ngram;
use crate::spans::paragraphs;

/// A Bloom filter of n-grams of texts.
///
/// The corpus goes in and an evaluation set is measured, or the other way round.
///
/// ```
/// use dedup::overlap::NgramFilter;
/// let mut corpus = NgramFilter::new(3, 1_000_000, NgramFilter::GPT2_FALSE_POSITIVE_RATE)?;
/// corpus.insert("The tide is out at noon.");
/// let share = corpus.share("At noon the TIDE IS OUT, he said.");
/// assert_eq!((share.found, share.ngrams), (2, 6));
/// # Ok::<(), dedup::bloom::BloomError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NgramFilter {
    n: usize,
    filter: BloomFilter,
}

/// How many n-grams of a text, or of a set, were found. Each counts as often as it occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NgramShare {
    /// All.
    pub ngrams: u64,
    /// Those that were found.
    pub found: u64,
}

impl NgramShare {
    /// `found / ngrams`; 0 without n-grams.
    pub fn share(&self) -> f64 {
        if self.ngrams == 0 { 0.0 } else { self.found as f64 / self.ngrams as f64 }
    }
}

impl std::ops::AddAssign for NgramShare {
    fn add_assign(&mut self, other: NgramShare) {
        self.ngrams += other.ngrams;
        self.found += other.found;
    }
}

impl NgramFilter {
    /// Words of the n-grams in the GPT-2 paper.
    pub const GPT2_WORDS: usize = 8;
    /// The paper's upper bound on false positives.
    pub const GPT2_FALSE_POSITIVE_RATE: f64 = 1e-8;

    /// An empty filter for n-grams of `n` words. It should expect as many as the texts to be inserted have words.
    ///
    /// # Errors
    /// As of [`BloomFilter::new`].
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn new(n: usize, expected_ngrams: u64, false_positive_rate: f64) -> Result<NgramFilter, BloomError> {
        assert!(n > 0, "an n-gram has at least one word");
        Ok(NgramFilter { n, filter: BloomFilter::new(expected_ngrams, false_positive_rate)? })
    }

    /// Adds the n-grams of a text; returns how many there are.
    pub fn insert(&mut self, text: &str) -> u64 {
        let mut ngrams = 0;
        for_each_ngram(text, self.n, |hash, _| {
            self.filter.insert(hash);
            ngrams += 1;
        });
        ngrams
    }

    /// How many n-grams of a text are in the filter. Sums over the texts of a set give the share of the set.
    pub fn share(&self, text: &str) -> NgramShare {
        self.share_and(text, |_| {})
    }

    /// The same, and notes the n-grams that are in the filter. If the filter holds an evaluation set, they are all that is
    /// needed for the share of the set that is in the corpus, so that the corpus streams past once.
    pub fn share_noting(&self, text: &str, found: &mut FoundNgrams) -> NgramShare {
        self.share_and(text, |hash| found.insert(hash))
    }

    fn share_and(&self, text: &str, mut each_found: impl FnMut(u64)) -> NgramShare {
        let mut share = NgramShare::default();
        for_each_ngram(text, self.n, |hash, _| {
            share.ngrams += 1;
            if self.filter.contains(hash) {
                share.found += 1;
                each_found(hash);
            }
        });
        share
    }

    /// Adds what a filter of other texts holds: parts of a corpus in any order give the same filter.
    ///
    /// # Errors
    /// If the two were made for different numbers.
    pub fn join(&mut self, other: &NgramFilter) -> Result<(), BloomError> {
        if self.n != other.n {
            return Err(BloomError::Shape);
        }
        self.filter.join(&other.filter)
    }

    /// The Bloom filter, with its size and its present rate of false positives.
    pub fn filter(&self) -> &BloomFilter {
        &self.filter
    }
}

/// Hashes of n-grams that both sides have: about as many as the smaller side has n-grams. Parts of a corpus in any order
/// give the same set.
///
/// ```
/// use dedup::overlap::{FoundNgrams, NgramFilter};
/// let (corpus, set) = ("At noon the tide is out, he said.", "The tide is out. Who said so?");
/// let mut of_set = NgramFilter::new(3, 100, NgramFilter::GPT2_FALSE_POSITIVE_RATE)?;
/// of_set.insert(set);
/// let mut found = FoundNgrams::default();
/// assert_eq!(of_set.share_noting(corpus, &mut found).found, 2);
/// let share = found.share(set, 3);
/// assert_eq!((share.found, share.ngrams), (2, 5));
/// # Ok::<(), dedup::bloom::BloomError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FoundNgrams(HashSet<u64, BuildHasherDefault<HashIsKey>>);

impl FoundNgrams {
    /// Adds an n-gram by its hash.
    pub fn insert(&mut self, hash: u64) {
        self.0.insert(hash);
    }

    /// How many n-grams of `n` words of a text are among them.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn share(&self, text: &str, n: usize) -> NgramShare {
        let mut share = NgramShare::default();
        for_each_ngram(text, n, |hash, _| {
            share.ngrams += 1;
            share.found += u64::from(self.0.contains(&hash));
        });
        share
    }

    /// The hashes, sorted.
    pub fn sorted(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.0.iter().copied().collect();
        hashes.sort_unstable();
        hashes
    }
}

/// The n-grams of evaluation items, each with the items that hold it. `K` names an item.
///
/// ```
/// use dedup::overlap::ItemIndex;
/// let mut index = ItemIndex::new(4);
/// index.add("a", "Who lives in a pineapple under the sea?\n\nTo be, or not to be, that is the question.");
/// let corpus = ["He asked who lives in a pineapple.", "To be or not to be.", "Say: to be or not to be!"];
/// let mut counts = index.counts();
/// corpus.iter().for_each(|text| counts.add(&index, text));
/// let matches = index.matches(corpus[0], &counts, 1);
/// assert_eq!(&corpus[0][matches[0].bytes.clone()], "who lives in a pineapple");
/// assert_eq!(*matches[0].item, "a");
/// assert!(index.matches(corpus[1], &counts, 1).is_empty(), "two documents quote it");
/// ```
#[derive(Debug, Clone)]
pub struct ItemIndex<K> {
    n: usize,
    items: Vec<K>,
    /// Numbers of n-grams by their hash, in the order in which they came.
    numbers: HashMap<u64, u32, BuildHasherDefault<HashIsKey>>,
    /// For each n-gram the items that hold it, by their numbers, in order.
    holders: Vec<Holders>,
    without_ngrams: u64,
}

/// Most n-grams are in one item.
#[derive(Debug, Clone)]
struct Holders {
    first: u32,
    others: Vec<u32>,
}

/// How many corpus documents hold each n-gram of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentCounts {
    /// By number of the n-gram.
    documents: Vec<u64>,
}

/// A span of a corpus document whose words are in an evaluation item, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'i, K> {
    /// From the first word to the last, in the document.
    pub bytes: Range<usize>,
    /// The item.
    pub item: &'i K,
    /// N-grams in a row that match.
    pub ngrams: u64,
}

impl<K> ItemIndex<K> {
    /// Words of the n-grams in GPT-3's and most later work (<https://arxiv.org/abs/2005.14165>, appendix C).
    pub const GPT3_WORDS: usize = 13;
    /// GPT-3's limit on the documents that hold an n-gram: those in more "contain common cultural phrases, legal
    /// boilerplate, or similar content that we likely do want the model to learn".
    pub const GPT3_MAX_DOCUMENTS: u64 = 10;

    /// An index of no items, for n-grams of `n` words.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn new(n: usize) -> ItemIndex<K> {
        assert!(n > 0, "an n-gram has at least one word");
        ItemIndex { n, items: Vec::new(), numbers: HashMap::default(), holders: Vec::new(), without_ngrams: 0 }
    }

    /// Adds the n-grams of an item. None goes across a blank line: what is between two stands for itself, as the
    /// paragraphs of a long text and the question and answers of a short one do.
    ///
    /// Some 40 bytes of memory for each new n-gram.
    ///
    /// # Panics
    /// With more than 2³² items or n-grams.
    pub fn add(&mut self, item: K, text: &str) {
        let number = u32::try_from(self.items.len()).expect("fewer than 2^32 items");
        self.items.push(item);
        let mut has_ngrams = false;
        for block in paragraphs(text) {
            for_each_ngram(&text[block], self.n, |hash, _| {
                has_ngrams = true;
                self.hold(hash, number);
            });
        }
        self.without_ngrams += u64::from(!has_ngrams);
    }

    /// Notes that an item, the last one, holds an n-gram.
    fn hold(&mut self, hash: u64, item: u32) {
        let next = u32::try_from(self.holders.len()).expect("fewer than 2^32 n-grams");
        let ngram = *self.numbers.entry(hash).or_insert(next);
        if ngram == next {
            self.holders.push(Holders { first: item, others: Vec::new() });
            return;
        }
        let holders = &mut self.holders[ngram as usize];
        if *holders.others.last().unwrap_or(&holders.first) != item {
            holders.others.push(item);
        }
    }

    /// Items without a block of n words, which are never found.
    pub fn without_ngrams(&self) -> u64 {
        self.without_ngrams
    }

    /// Different n-grams.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether there is no n-gram.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Counts of no documents, for the first pass.
    pub fn counts(&self) -> DocumentCounts {
        DocumentCounts { documents: vec![0; self.len()] }
    }

    /// The spans of a corpus document that match, in the order of their starts; the second pass.
    ///
    /// An n-gram that more than `max_documents` documents hold does not count. Matching n-grams that overlap make one
    /// span as long as one item holds them all: the first in the order of [`ItemIndex::add`] that holds the first n-gram,
    /// and where it ends, a new span begins. Time O(words · n), and where items share n-grams O(log items) for each.
    ///
    /// # Panics
    /// If the counts are those of another index.
    pub fn matches(&self, text: &str, counts: &DocumentCounts, max_documents: u64) -> Vec<Match<'_, K>> {
        assert_eq!(counts.documents.len(), self.len(), "the counts are of this index");
        let mut spans: Vec<(Range<usize>, u32, u64)> = Vec::new();
        for_each_ngram(text, self.n, |hash, bytes| {
            let Some(&ngram) = self.numbers.get(&hash) else { return };
            if counts.documents[ngram as usize] > max_documents {
                return;
            }
            let holders = &self.holders[ngram as usize];
            match spans.last_mut() {
                Some((span, item, ngrams)) if bytes.start < span.end && holders.contain(*item) => {
                    span.end = bytes.end;
                    *ngrams += 1;
                }
                _ => spans.push((bytes, holders.first, 1)),
            }
        });
        let of_span = |(bytes, item, ngrams)| Match { bytes, item: &self.items[item as usize], ngrams };
        spans.into_iter().map(of_span).collect()
    }
}

impl Holders {
    fn contain(&self, item: u32) -> bool {
        self.first == item || self.others.binary_search(&item).is_ok()
    }
}

impl DocumentCounts {
    /// Counts a document: each n-gram once, however often it occurs.
    ///
    /// # Panics
    /// If the counts are those of another index.
    pub fn add<K>(&mut self, index: &ItemIndex<K>, text: &str) {
        assert_eq!(self.documents.len(), index.len(), "the counts are of this index");
        let mut found: Vec<u32> = Vec::new();
        for_each_ngram(text, index.n, |hash, _| found.extend(index.numbers.get(&hash)));
        found.sort_unstable();
        found.dedup();
        found.into_iter().for_each(|ngram| self.documents[ngram as usize] += 1);
    }

    /// Adds so many documents that hold an n-gram of the index, by its hash; others are ignored.
    ///
    /// # Panics
    /// If the counts are those of another index.
    pub fn add_documents<K>(&mut self, index: &ItemIndex<K>, hash: u64, documents: u64) {
        assert_eq!(self.documents.len(), index.len(), "the counts are of this index");
        if let Some(&ngram) = index.numbers.get(&hash) {
            self.documents[ngram as usize] += documents;
        }
    }

    /// The n-grams that documents hold, by their hashes, with the number of documents; in no order.
    ///
    /// # Panics
    /// If the counts are those of another index.
    pub fn found<K>(&self, index: &ItemIndex<K>) -> impl Iterator<Item = (u64, u64)> {
        assert_eq!(self.documents.len(), index.len(), "the counts are of this index");
        let counts = index.numbers.iter().map(|(&hash, &ngram)| (hash, self.documents[ngram as usize]));
        counts.filter(|(_, documents)| *documents > 0)
    }

    /// Adds the counts of other documents.
    ///
    /// # Panics
    /// If they are those of another index.
    pub fn join(&mut self, other: &DocumentCounts) {
        assert_eq!(self.documents.len(), other.documents.len(), "the counts are of one index");
        self.documents.iter_mut().zip(&other.documents).for_each(|(count, more)| *count += more);
    }
}

/// Takes a key that is a hash already as its hash.
#[derive(Debug, Clone, Copy, Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are 64-bit hashes");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// N-grams as strings, with their places.
    fn ngrams(text: &str, n: usize) -> Vec<(String, Range<usize>)> {
        let mut words: Vec<Range<usize>> = Vec::new();
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
            match words.last_mut() {
                Some(word) if word.end == at => word.end += c.len_utf8(),
                _ => words.push(at..at + c.len_utf8()),
            }
        }
        let join = |ngram: &[Range<usize>]| {
            let words: Vec<String> = ngram.iter().map(|word| text[word.clone()].to_lowercase()).collect();
            (words.join(" "), ngram[0].start..ngram[n - 1].end)
        };
        words.windows(n).map(join).collect()
    }

    /// The readable twin of [`ItemIndex`]: looks for every n-gram in every item and every document.
    fn twin(items: &[String], corpus: &[String], n: usize, max: usize) -> Vec<Vec<(Range<usize>, usize, u64)>> {
        let set = |text: &str| ngrams(text, n).into_iter().map(|(ngram, _)| ngram).collect::<BTreeSet<_>>();
        let blocks = |item: &String| item.split("\n\n").flat_map(set).collect::<BTreeSet<_>>();
        let items: Vec<_> = items.iter().map(blocks).collect();
        let corpus_sets: Vec<_> = corpus.iter().map(|text| set(text)).collect();
        let spans = |text: &String| {
            let mut spans: Vec<(Range<usize>, usize, u64)> = Vec::new();
            for (ngram, bytes) in ngrams(text, n) {
                let Some(first) = items.iter().position(|item| item.contains(&ngram)) else { continue };
                if corpus_sets.iter().filter(|set| set.contains(&ngram)).count() > max {
                    continue;
                }
                match spans.last_mut() {
                    Some((span, item, count)) if bytes.start < span.end && items[*item].contains(&ngram) => {
                        *span = span.start..bytes.end;
                        *count += 1;
                    }
                    _ => spans.push((bytes, first, 1)),
                }
            }
            spans
        };
        corpus.iter().map(spans).collect()
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("([a-cA-C]{1}[ .]){0,12}(\n\n)?([a-c]{1}[ ,\n]){0,9}", 0..6)
    }

    proptest! {
        #[test]
        fn spans_are_those_of_the_twin(items in texts(), corpus in texts(), n in 1usize..4, max in 0usize..4) {
            let mut index = ItemIndex::new(n);
            items.iter().enumerate().for_each(|(number, text)| index.add(number, text));
            // In two parts, which are joined.
            let (mut counts, mut others) = (index.counts(), index.counts());
            for (number, text) in corpus.iter().enumerate() {
                if number % 2 == 0 { counts.add(&index, text) } else { others.add(&index, text) }
            }
            counts.join(&others);
            let expected = twin(&items, &corpus, n, max);
            for (text, expected) in corpus.iter().zip(expected) {
                let found = index.matches(text, &counts, max as u64);
                let found: Vec<_> = found.into_iter().map(|m| (m.bytes, *m.item, m.ngrams)).collect();
                prop_assert_eq!(found, expected);
            }
            let short = items.iter().filter(|item| item.split("\n\n").all(|block| ngrams(block, n).is_empty())).count();
            prop_assert_eq!(index.without_ngrams(), short as u64);
        }

        #[test]
        fn shares_are_those_of_an_exact_set(inserted in texts(), measured in texts(), n in 1usize..4) {
            let mut filter = NgramFilter::new(n, 1000, 1e-9).unwrap();
            let mut part = filter.clone();
            let mut exact = HashSet::new();
            for (number, text) in inserted.iter().enumerate() {
                let ngrams = ngrams(text, n);
                let count = if number % 2 == 0 { filter.insert(text) } else { part.insert(text) };
                prop_assert_eq!(count, ngrams.len() as u64);
                exact.extend(ngrams.into_iter().map(|(ngram, _)| ngram));
            }
            filter.join(&part).unwrap();
            let mut share = NgramShare::default();
            measured.iter().for_each(|text| share += filter.share(text));
            let all: Vec<String> = measured.iter().flat_map(|text| ngrams(text, n)).map(|(ngram, _)| ngram).collect();
            let found = all.iter().filter(|ngram| exact.contains(*ngram)).count() as u64;
            prop_assert_eq!(share, NgramShare { ngrams: all.len() as u64, found });
        }
    }

    #[test]
    fn nothing_is_no_share() {
        assert_eq!(NgramShare::default().share(), 0.0);
        assert_eq!(NgramShare { ngrams: 4, found: 1 }.share(), 0.25);
        let mut filter = NgramFilter::new(8, 100, 0.01).unwrap();
        assert_eq!(filter.join(&NgramFilter::new(9, 100, 0.01).unwrap()).err(), Some(BloomError::Shape));
    }
}
