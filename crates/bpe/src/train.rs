//! Trains merges from word counts.
//!
//! **Definition.** Count each pair of neighbouring tokens over all words, times the words' counts; merge
//! the pair with the highest count everywhere; repeat. Of equal counts, the pair with the smaller
//! (left id, right id) goes first, as in Hugging Face's `BpeTrainer` with its byte-level alphabet.
//!
//! **Consequence.** Only words that contain the merged pair change, so after the first count each merge touches only
//! those; a heap gives the next pair, and outdated entries are put back.

use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use crate::counts::WordCounts;
use crate::{Splitter, TokenId, Tokenizer};

/// Options of a training.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrainingOptions {
    /// Size of the vocabulary, the 256 bytes and special tokens included; at most [`Tokenizer::MAX_MERGES`]
    /// merges are made.
    pub vocab_size: usize,
    /// A pair with a lower count is not merged. Default: 2.
    pub min_frequency: u64,
    /// Special tokens; they take the last ids. Default: `<|endoftext|>`.
    pub specials: Vec<String>,
    /// The order of pairs with the same count. Default: [`Ties::Gpt2Bytes`].
    pub ties: Ties,
    /// How the words were split, which the tokenizer is told. Default: by GPT-2's pattern.
    pub splitter: Splitter,
}

impl TrainingOptions {
    /// A vocabulary of this size; the other options have their defaults.
    pub fn new(vocab_size: usize) -> TrainingOptions {
        let specials = vec![crate::END_OF_TEXT.to_owned()];
        let (ties, splitter) = (Ties::default(), Splitter::default());
        TrainingOptions { vocab_size, min_frequency: 2, specials, ties, splitter }
    }

    /// The same with another minimum count of a pair.
    pub fn with_min_frequency(self, min_frequency: u64) -> TrainingOptions {
        TrainingOptions { min_frequency, ..self }
    }

    /// The same with another order of pairs with the same count.
    pub fn with_ties(self, ties: Ties) -> TrainingOptions {
        TrainingOptions { ties, ..self }
    }

    /// The same for words that were split in another way.
    pub fn with_splitter(self, splitter: Splitter) -> TrainingOptions {
        TrainingOptions { splitter, ..self }
    }

    /// The same with other special tokens.
    pub fn with_specials(self, specials: Vec<String>) -> TrainingOptions {
        TrainingOptions { specials, ..self }
    }
}

/// The order of pairs with the same count: by (left id, right id), the smaller first, where merges have the ids from
/// 256 on and bytes those of the variant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Bytes in GPT-2's order, as in Hugging Face's trainer.
    #[default]
    Gpt2Bytes,
    /// Bytes from 0 to 255, as in rustbpe.
    RawBytes,
}

/// A pair and its count when it was pushed onto the heap; the greatest is popped first.
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

/// Trains a tokenizer. The order of the words does not matter.
///
/// There are fewer merges than requested if no pair is left that occurs often enough.
/// Time O(bytes of distinct words + merges × words they touch · log pairs); memory some 24 bytes for
/// each byte of the distinct words.
///
/// ```
/// use bpe::train::{TrainingOptions, WordCounts, train};
/// let mut words = WordCounts::new();
/// words.add_text("low lower lowest");
/// let options = TrainingOptions::new(259).with_min_frequency(1);
/// let tokenizer = train(&words.into_sorted(), &options);
/// assert_eq!(tokenizer.vocab_size(), 259);
/// assert_eq!(tokenizer.token(bpe::TokenId(257)), b"low");
/// ```
pub fn train(words: &[(Vec<u8>, u64)], options: &TrainingOptions) -> Tokenizer {
    let mut training = Training::new(words, options);
    while training.merge_next() {}
    training.tokenizer(None)
}

/// A training in progress, merge by merge.
///
/// The merges made so far are its whole state: [`Training::replay`] with them restores it, and it continues to the same
/// end.
pub struct Training {
    trainer: Trainer,
    options: TrainingOptions,
    /// The id in a tokenizer of each of the trainer's first 256 ids.
    byte_ids: [u32; 256],
    merges: Vec<(u32, u32)>,
    /// Tokens of the text before any merge, and after each.
    tokens: Vec<u64>,
}

impl Training {
    /// A training without merges.
    pub fn new(words: &[(Vec<u8>, u64)], options: &TrainingOptions) -> Training {
        let bytes = Tokenizer::bytes_only();
        let gpt2_id = |byte: u8| bytes.id_of_byte(byte).0;
        let (id_of_byte, byte_ids): ([u32; 256], [u32; 256]) = match options.ties {
            Ties::Gpt2Bytes => (std::array::from_fn(|byte| gpt2_id(byte as u8)), std::array::from_fn(|id| id as u32)),
            Ties::RawBytes => (std::array::from_fn(|byte| byte as u32), std::array::from_fn(|id| gpt2_id(id as u8))),
        };
        let text_bytes = words.iter().map(|(word, count)| word.len() as u64 * count).sum();
        let trainer = Trainer::new(words, &id_of_byte);
        Training { trainer, options: options.clone(), byte_ids, merges: Vec::new(), tokens: vec![text_bytes] }
    }

    /// Does the next merge; `false` when all requested ones are done, or no pair occurs often enough.
    pub fn merge_next(&mut self) -> bool {
        let wanted = self.options.vocab_size.saturating_sub(256 + self.options.specials.len());
        if self.merges.len() >= wanted.min(Tokenizer::MAX_MERGES) {
            return false;
        }
        let Some(pair) = self.trainer.next_pair(self.options.min_frequency.max(1)) else { return false };
        self.merge(pair);
        true
    }

    /// Repeats merges that [`Training::merges`] gave before; `false` when they are not those of a training with these
    /// words and options.
    pub fn replay(&mut self, merges: &[(u32, u32)]) -> bool {
        merges.iter().all(|&pair| {
            let is_next = self.trainer.next_pair(self.options.min_frequency.max(1)) == Some(pair);
            if is_next {
                self.merge(pair);
            }
            is_next
        })
    }

    fn merge(&mut self, pair: (u32, u32)) {
        let id = 256 + self.merges.len() as u32;
        let before = *self.tokens.last().expect("has the number before any merge");
        self.tokens.push(before - self.trainer.merge(pair, id));
        self.merges.push(pair);
    }

    /// The merges so far, in the ids of the training.
    pub fn merges(&self) -> &[(u32, u32)] {
        &self.merges
    }

    /// Tokens of the whole text with the first `merges` merges.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn tokens(&self, merges: usize) -> u64 {
        self.tokens[merges]
    }

    /// The tokenizer of the first merges, for a vocabulary of this size; with all merges for `None`.
    pub fn tokenizer(&self, vocab_size: Option<usize>) -> Tokenizer {
        let specials = &self.options.specials;
        let merges = vocab_size.map_or(self.merges.len(), |size| size.saturating_sub(256 + specials.len()));
        let id = |id: u32| TokenId(self.byte_ids.get(id as usize).copied().unwrap_or(id));
        let mut tokenizer = Tokenizer::bytes_only();
        for &(left, right) in self.merges.iter().take(merges) {
            let joined = [tokenizer.token(id(left)), tokenizer.token(id(right))].concat();
            tokenizer.push_merge(id(left), id(right), &joined);
        }
        tokenizer.push_specials(specials.iter().map(String::as_str));
        tokenizer.with_rules(self.options.splitter.rules().clone())
    }
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
    /// Words that contained the pair at some time; may have repeats, and words that no longer do.
    words: Vec<u32>,
}

impl Trainer {
    fn new(words: &[(Vec<u8>, u64)], id_of_byte: &[u32; 256]) -> Trainer {
        let mut pairs: HashMap<(u32, u32), Pair> = HashMap::new();
        let ids = |word: &[u8]| word.iter().map(|&byte| id_of_byte[byte as usize]).collect::<Vec<u32>>();
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

    /// Replaces the pair by `id` in every word that contains it, and corrects the counts of adjacent pairs. Returns by
    /// how many tokens the text is shorter.
    fn merge(&mut self, pair: (u32, u32), id: u32) -> u64 {
        let Some(merged) = self.pairs.remove(&pair) else { return 0 };
        let mut fewer = 0;
        let mut grown: HashSet<(u32, u32)> = HashSet::new();
        let mut last = None;
        for number in merged.words {
            // Lists are sorted, except for words that were added again later; those contain the pair no more.
            if last == Some(number) {
                continue;
            }
            last = Some(number);
            let count = self.word_counts[number as usize];
            let mut word = std::mem::take(&mut self.words[number as usize]);
            let len = word.len();
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
            fewer += (len - word.len()) as u64 * count;
            self.words[number as usize] = word;
        }
        let candidates =
            grown.into_iter().filter_map(|pair| Some(Candidate { count: self.pairs.get(&pair)?.count, pair }));
        self.heap.extend(candidates);
        fewer
    }
}

/// Replaces a pair in a word, from the left, and reports each adjacent pair that has changed.
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
    use crate::{Encoder, twin};

    fn check(words: &[(Vec<u8>, u64)], vocab_size: usize, min_frequency: u64) {
        for ties in [Ties::Gpt2Bytes, Ties::RawBytes] {
            let options = TrainingOptions {
                vocab_size,
                min_frequency,
                specials: Vec::new(),
                ties,
                splitter: Splitter::default(),
            };
            let mut training = Training::new(words, &options);
            while training.merge_next() {}
            let tokenizer = training.tokenizer(None);
            let merges: Vec<(TokenId, TokenId)> = tokenizer.merges().map(|(l, r, _)| (l, r)).collect();
            assert_eq!(merges, twin::train(words, vocab_size, min_frequency, ties));

            // Interrupted and continued, it ends with the same merges.
            let mut again = Training::new(words, &options);
            assert!(again.replay(&training.merges()[..merges.len() / 2]));
            while again.merge_next() {}
            assert_eq!(again.merges(), training.merges());

            let tokens: u64 = words
                .iter()
                .map(|(word, count)| {
                    Encoder::new(&tokenizer).encode(std::str::from_utf8(word).unwrap()).len() as u64 * count
                })
                .sum();
            assert_eq!(training.tokens(merges.len()), tokens);
        }
    }

    #[test]
    fn overlapping_pairs() {
        check(&[(b"aaaaaaa".to_vec(), 3), (b"aabaab".to_vec(), 2), (b"abababa".to_vec(), 5)], 280, 1);
    }

    #[test]
    fn ties_of_bytes_in_either_order() {
        // A space comes before `a` as a byte, and after it in GPT-2's order.
        let words = [(b" a".to_vec(), 2), (b"ab".to_vec(), 2)];
        let first = |ties| {
            let options = TrainingOptions {
                vocab_size: 257,
                min_frequency: 1,
                specials: Vec::new(),
                ties,
                splitter: Splitter::default(),
            };
            train(&words, &options).token(TokenId(256)).to_vec()
        };
        assert_eq!((first(Ties::Gpt2Bytes), first(Ties::RawBytes)), (b"ab".to_vec(), b" a".to_vec()));
    }

    #[test]
    fn foreign_merges_are_not_replayed() {
        let options = TrainingOptions::new(300).with_min_frequency(1);
        assert!(!Training::new(&[(b"abc".to_vec(), 1)], &options).replay(&[(1, 2)]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn merges_are_those_of_the_twin(
            words in proptest::collection::btree_map("[abc]{1,9}", 1u64..9, 0..8),
            merges in 0usize..24,
            min_frequency in 0u64..6,
        ) {
            let words: Vec<(Vec<u8>, u64)> = words.into_iter().map(|(w, c)| (w.into_bytes(), c)).collect();
            check(&words, 256 + merges, min_frequency);
        }
    }
}
