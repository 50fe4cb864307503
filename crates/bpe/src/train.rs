//! Merges out of word counts.
//!
//! **Definition.** Count each pair of neighbouring tokens over all words, times the words' counts; merge
//! the pair with the highest count everywhere; repeat. Of equal counts, the pair with the smaller
//! (left id, right id) goes first, as in Hugging Face's `BpeTrainer` with its byte-level alphabet.
//!
//! **Consequence.** Only words that hold the merged pair change, so after the first count each merge
//! touches just those; a heap gives the next pair, and entries that are out of date are put back.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

use crate::pretokenize::pretokens;
use crate::{TokenId, Tokenizer};

/// Counts of pretokens. Counts are u64: web-scale corpora overflow 32 bits.
#[derive(Debug, Clone, Default)]
pub struct WordCounts {
    counts: HashMap<Box<[u8]>, u64, Xxh3State>,
}

/// Hashes words with XXH3: the standard hasher costs more than counting does.
#[derive(Debug, Clone, Default)]
struct Xxh3State;

struct WordHasher(u64);

impl BuildHasher for Xxh3State {
    type Hasher = WordHasher;
    fn build_hasher(&self) -> WordHasher {
        WordHasher(0)
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

impl WordCounts {
    /// No words.
    pub fn new() -> WordCounts {
        WordCounts::default()
    }

    /// Counts the pretokens of a text.
    pub fn add_text(&mut self, text: &str) {
        for pretoken in pretokens(text) {
            self.add(pretoken.as_bytes(), 1);
        }
    }

    /// Counts a word `count` times.
    pub fn add(&mut self, word: &[u8], count: u64) {
        match self.counts.get_mut(word) {
            Some(held) => *held += count,
            None => drop(self.counts.insert(word.into(), count)),
        }
    }

    /// Adds the counts of another set of texts.
    pub fn merge(&mut self, other: WordCounts) {
        if self.counts.is_empty() {
            self.counts = other.counts;
        } else {
            other.counts.into_iter().for_each(|(word, count)| self.add(&word, count));
        }
    }

    /// Number of distinct words.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The words and their counts, in the order of their bytes.
    pub fn into_sorted(self) -> Vec<(Vec<u8>, u64)> {
        let mut words: Vec<(Vec<u8>, u64)> = self.counts.into_iter().map(|(w, c)| (w.into_vec(), c)).collect();
        words.sort_unstable();
        words
    }
}

/// What is trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Size of the vocabulary, the 256 bytes and special tokens included.
    pub vocab_size: usize,
    /// A pair with a lower count is not merged.
    pub min_frequency: u64,
    /// Special tokens; they take the last ids.
    pub specials: Vec<String>,
}

/// A pair and its count when it was put into the heap; the greatest comes out first.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    count: u64,
    pair: (u32, u32),
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.count.cmp(&other.count).then_with(|| other.pair.cmp(&self.pair))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Trains a tokenizer. The words' order does not matter.
///
/// There may be fewer merges than asked for: the text ran out of pairs that occur often enough.
/// Time O(bytes of distinct words + merges × words they touch · log pairs); memory some 24 bytes for
/// each byte of the distinct words.
///
/// ```
/// use bpe::train::{Options, WordCounts, train};
/// let mut words = WordCounts::new();
/// words.add_text("low lower lowest");
/// let options = Options { vocab_size: 259, min_frequency: 1, specials: vec!["<|endoftext|>".into()] };
/// let tokenizer = train(&words.into_sorted(), &options);
/// assert_eq!(tokenizer.vocab_size(), 259);
/// assert_eq!(tokenizer.token(bpe::TokenId(257)), b"low");
/// ```
pub fn train(words: &[(Vec<u8>, u64)], options: &Options) -> Tokenizer {
    let bytes = Tokenizer::bytes_only();
    let mut trainer = Trainer::new(words, &bytes);
    let wanted = options.vocab_size.saturating_sub(256 + options.specials.len());
    let mut tokenizer = bytes;
    while tokenizer.merges().len() < wanted {
        let Some((left, right)) = trainer.next_pair(options.min_frequency.max(1)) else { break };
        let id = 256 + tokenizer.merges().len() as u32;
        let joined = [tokenizer.token(TokenId(left)), tokenizer.token(TokenId(right))].concat();
        tokenizer.push_merge(TokenId(left), TokenId(right), &joined);
        trainer.merge((left, right), id);
    }
    tokenizer.set_specials(options.specials.clone());
    tokenizer
}

struct Trainer {
    words: Vec<Vec<u32>>,
    word_counts: Vec<u64>,
    pairs: HashMap<(u32, u32), Pair>,
    heap: BinaryHeap<Candidate>,
}

#[derive(Default)]
struct Pair {
    count: u64,
    /// Words that held the pair at some time; perhaps with repeats, perhaps no longer.
    words: Vec<u32>,
}

impl Trainer {
    fn new(words: &[(Vec<u8>, u64)], bytes: &Tokenizer) -> Trainer {
        let mut pairs: HashMap<(u32, u32), Pair> = HashMap::new();
        let ids = |word: &[u8]| word.iter().map(|&byte| bytes.id_of_byte(byte).0).collect::<Vec<u32>>();
        let split: Vec<Vec<u32>> = words.iter().map(|(word, _)| ids(word)).collect();
        for (number, (word, (_, count))) in split.iter().zip(words).enumerate() {
            for two in word.windows(2) {
                let pair = pairs.entry((two[0], two[1])).or_default();
                pair.count += count;
                if pair.words.last() != Some(&(number as u32)) {
                    pair.words.push(number as u32);
                }
            }
        }
        let heap = pairs.iter().map(|(&pair, held)| Candidate { count: held.count, pair }).collect();
        Trainer { words: split, word_counts: words.iter().map(|(_, count)| *count).collect(), pairs, heap }
    }

    /// The pair with the highest count, unless that is below `least`.
    fn next_pair(&mut self, least: u64) -> Option<(u32, u32)> {
        loop {
            let Candidate { count, pair } = self.heap.pop()?;
            let now = self.pairs.get(&pair).map_or(0, |held| held.count);
            if now == count {
                return (count >= least).then_some(pair);
            }
            if now > 0 {
                self.heap.push(Candidate { count: now, pair });
            }
        }
    }

    /// Replaces the pair by `id` in every word that holds it, and corrects the counts around it.
    fn merge(&mut self, pair: (u32, u32), id: u32) {
        let Some(merged) = self.pairs.remove(&pair) else { return };
        let mut grown: HashSet<(u32, u32)> = HashSet::new();
        let mut last = None;
        for number in merged.words {
            // Lists are in order, apart from words that came in again later; those find nothing.
            if last == Some(number) {
                continue;
            }
            last = Some(number);
            let count = self.word_counts[number as usize];
            let mut word = std::mem::take(&mut self.words[number as usize]);
            replace_pair(&mut word, pair, id, |from, to| {
                if from != pair
                    && let Some(held) = self.pairs.get_mut(&from)
                {
                    held.count -= count;
                }
                let held = self.pairs.entry(to).or_default();
                held.count += count;
                if held.words.last() != Some(&number) {
                    held.words.push(number);
                }
                grown.insert(to);
            });
            self.words[number as usize] = word;
        }
        let candidates =
            grown.into_iter().filter_map(|pair| Some(Candidate { count: self.pairs.get(&pair)?.count, pair }));
        self.heap.extend(candidates);
    }
}

/// Replaces a pair in a word, from the left, and reports each neighbouring pair that became another.
fn replace_pair(word: &mut Vec<u32>, pair: (u32, u32), id: u32, mut changed: impl FnMut((u32, u32), (u32, u32))) {
    let mut to = 0;
    let mut from = 0;
    while from < word.len() {
        if from + 1 < word.len() && (word[from], word[from + 1]) == pair {
            if to > 0 {
                changed((word[to - 1], pair.0), (word[to - 1], id));
            }
            if from + 2 < word.len() {
                changed((pair.1, word[from + 2]), (id, word[from + 2]));
            }
            word[to] = id;
            from += 2;
        } else {
            word[to] = word[from];
            from += 1;
        }
        to += 1;
    }
    word.truncate(to);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::twin;

    fn check(words: &[(Vec<u8>, u64)], vocab_size: usize, min_frequency: u64) {
        let options = Options { vocab_size, min_frequency, specials: Vec::new() };
        let tokenizer = train(words, &options);
        let merges: Vec<(TokenId, TokenId)> = tokenizer.merges().map(|(l, r, _)| (l, r)).collect();
        assert_eq!(merges, twin::train(words, vocab_size, min_frequency));
    }

    #[test]
    fn overlapping_pairs() {
        check(&[(b"aaaaaaa".to_vec(), 3), (b"aabaab".to_vec(), 2), (b"abababa".to_vec(), 5)], 280, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn merges_are_those_of_the_twin(
            words in proptest::collection::btree_map("[abc]{1,9}", 1u64..9, 0..12),
            merges in 0usize..24,
            min_frequency in 0u64..6,
        ) {
            let words: Vec<(Vec<u8>, u64)> = words.into_iter().map(|(w, c)| (w.into_bytes(), c)).collect();
            check(&words, 256 + merges, min_frequency);
        }
    }
}
