//! Counts of pairs over words of ids, kept up to date merge by merge.

use std::collections::{BinaryHeap, HashMap, HashSet};

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

/// Words as ids, and the counts of their pairs.
#[derive(Default)]
pub(super) struct Trainer {
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
    /// The words, and how often each occurs.
    pub(super) fn new(words: Vec<Vec<u32>>, word_counts: Vec<u64>) -> Trainer {
        let mut pairs: HashMap<(u32, u32), Pair> = HashMap::new();
        for (number, (word, count)) in words.iter().zip(&word_counts).enumerate() {
            for two in word.windows(2) {
                let pair = pairs.entry((two[0], two[1])).or_default();
                pair.count += count;
                if pair.words.last() != Some(&(number as u32)) {
                    pair.words.push(number as u32);
                }
            }
        }
        let heap = pairs.iter().map(|(&pair, held)| Candidate { count: held.count, pair }).collect();
        Trainer { words, word_counts, pairs, heap }
    }

    /// Tokens of all words, times the words' counts.
    pub(super) fn tokens(&self) -> u64 {
        self.words.iter().zip(&self.word_counts).map(|(word, count)| word.len() as u64 * count).sum()
    }

    /// The pair with the highest count of those that `may_merge`, unless that is below `least`.
    pub(super) fn next_pair(&mut self, least: u64, may_merge: impl Fn((u32, u32)) -> bool) -> Option<(u32, u32)> {
        loop {
            let Candidate { count, pair } = self.heap.pop()?;
            let now = self.pairs.get(&pair).map_or(0, |held| held.count);
            if now != count {
                if now > 0 {
                    self.heap.push(Candidate { count: now, pair });
                }
            } else if count < least {
                return None;
            } else if may_merge(pair) {
                return Some(pair);
            }
        }
    }

    /// Replaces the pair by `id` in every word that contains it, and corrects the counts of adjacent pairs. Returns by
    /// how many tokens the text is shorter.
    pub(super) fn merge(&mut self, pair: (u32, u32), id: u32) -> u64 {
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
