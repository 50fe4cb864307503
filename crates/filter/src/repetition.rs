//! How much of a text repeats itself: equal lines and paragraphs, the most frequent n-gram, n-grams seen before.
//!
//! Published codes count differently: datatrove the copies after the first, DCLM and RedPajama all copies. Each fast path
//! has a twin in the tests that reads like the original. No n-gram is joined into a string: it is identified by the
//! number of its first n - 1 words and its last word, or by its position in the text's words written without white
//! space.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::hash::{hash, hash_12_bytes_at, hash_pair};
use crate::words::Words;
use words::python;

/// Counts of elements that occur more than once in a list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Duplicates {
    /// How many elements the list has.
    pub elements: usize,
    /// How many equal an earlier one.
    pub duplicates: usize,
    /// Code points of these.
    pub duplicate_chars: usize,
    /// How many are equal to a later one and to no earlier one; together with `duplicates`, all copies.
    pub originals: usize,
    /// Code points of these.
    pub original_chars: usize,
}

/// Counts elements that occur more than once. Time O(bytes).
pub fn duplicates<'t>(elements: impl Iterator<Item = &'t str>) -> Duplicates {
    // Each element, and whether it has been seen again.
    let mut seen: HashTable<(&str, bool)> = HashTable::new();
    let mut counted = Duplicates::default();
    for element in elements {
        counted.elements += 1;
        match seen.entry(hash(element.as_bytes()), |(other, _)| *other == element, |(other, _)| hash(other.as_bytes()))
        {
            Entry::Vacant(entry) => {
                entry.insert((element, false));
            }
            Entry::Occupied(mut entry) => {
                let chars = python::len(element);
                counted.duplicates += 1;
                counted.duplicate_chars += chars;
                if !std::mem::replace(&mut entry.get_mut().1, true) {
                    counted.originals += 1;
                    counted.original_chars += chars;
                }
            }
        }
    }
    counted
}

/// The n of [`top_ngram_chars`].
pub const TOP_N: [usize; 3] = [2, 3, 4];

/// Code points of all occurrences of the most frequent n-gram of words, joined with spaces, for n of 2, 3 and 4. Of
/// equally frequent n-grams, the first in the text counts. 0 if the text has fewer than n words. Time O(words).
pub fn top_ngram_chars(words: &Words) -> [usize; 3] {
    let chars = |n: usize, ngram: Ngram| (ngram_chars(words, n, ngram.first) + n - 1) * ngram.count;
    // If none is repeated, all occur once, and the first one in the text counts.
    let single = Ngram { first: 0, count: 1 };
    let mut top = TOP_N.map(|n| if words.len() < n { 0 } else { chars(n, single) });
    for_each_repeated(words, TOP_N[2], |n, ngrams, _| {
        if let Some(ngram) = most_frequent(ngrams) {
            top[n - TOP_N[0]] = chars(n, ngram);
        }
    });
    top
}

/// Which of several equally frequent n-grams counts as the most frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The first in the text.
    First,
    /// The one with the most code points.
    Longest,
}

/// Code points of n-grams that occur more than once, all copies included, without the spaces between their words.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedNgrams {
    /// For each n of [`TOP_N`], all occurrences of the most frequent n-gram; 0 if none occurs twice.
    pub top: [usize; 3],
    /// For each n of [`DUPLICATE_N`], the words that are in any repeated n-gram, each counted once.
    pub covered: [usize; 6],
}

/// Counts n-grams that occur more than once. n-grams are equal if their words are. Time O(words) for each n.
pub fn repeated_ngrams(words: &Words, tie: Tie) -> RepeatedNgrams {
    let mut repeated = RepeatedNgrams::default();
    for_each_repeated(words, DUPLICATE_N[5], |n, ngrams, places| {
        let chars = |first: usize| ngram_chars(words, n, first);
        if n >= DUPLICATE_N[0] {
            repeated.covered[n - DUPLICATE_N[0]] = covered_chars(words, n, places);
        } else if let Some(top) = most_frequent(ngrams) {
            let ties = ngrams.iter().filter(|ngram| ngram.count == top.count).map(|ngram| chars(ngram.first));
            let longest = match tie {
                Tie::First => chars(top.first),
                Tie::Longest => ties.max().unwrap_or(0),
            };
            repeated.top[n - TOP_N[0]] = longest * top.count;
        }
    });
    repeated
}

/// Code points of the words of an n-gram.
fn ngram_chars(words: &Words, n: usize, first: usize) -> usize {
    (first..first + n).map(|at| words.word(at).chars).sum()
}

/// Code points of the words covered by the n-grams at these positions, which are in ascending order.
fn covered_chars(words: &Words, n: usize, places: &[usize]) -> usize {
    let mut next = 0;
    let mut chars = 0;
    for &at in places {
        chars += (at.max(next)..at + n).map(|at| words.word(at).chars).sum::<usize>();
        next = at + n;
    }
    chars
}

/// The first of the most frequent n-grams, if any occurs more than once.
fn most_frequent(ngrams: &[Ngram]) -> Option<Ngram> {
    let first_of_most = |top: Ngram, ngram: &Ngram| if ngram.count > top.count { *ngram } else { top };
    let top = ngrams.iter().fold(Ngram { first: 0, count: 1 }, first_of_most);
    (top.count > 1).then_some(top)
}

/// Calls back for each n from 2 to `max_n`, until none repeats, with n-grams in the order of their first occurrence,
/// which include all that occur more than once, and with the positions of the latter.
///
/// Time O(words) for each n: an n-gram can only repeat where its first n - 1 words do, so few are left to count for each
/// next n.
fn for_each_repeated(words: &Words, max_n: usize, mut each: impl FnMut(usize, &[Ngram], &[usize])) {
    let mut class: Vec<u32> = words.ids.clone();
    let mut repeated: Vec<usize> = (0..words.len()).filter(|&at| words.word(at).count > 1).collect();
    for n in 2..=max_n {
        repeated.retain(|&at| at + n <= words.len());
        let ngrams = count_ngrams(&mut class, &repeated, |at| words.ids[at + n - 1]);
        repeated.retain(|&at| ngrams[class[at] as usize].count > 1);
        each(n, &ngrams, &repeated);
        if repeated.is_empty() {
            return;
        }
    }
}

/// An n-gram: its first position, and its count.
#[derive(Clone, Copy)]
struct Ngram {
    first: usize,
    count: usize,
}

/// Counts the n-grams at some positions. `class` numbers those of one word less, and is changed to their own numbers.
fn count_ngrams(class: &mut [u32], places: &[usize], last_word: impl Fn(usize) -> u32) -> Vec<Ngram> {
    let mut ngrams: Vec<Ngram> = Vec::new();
    let mut numbers: HashTable<(u32, u32, u32)> = HashTable::with_capacity(places.len());
    for &at in places {
        let pair = (class[at], last_word(at));
        let number = match numbers.entry(
            hash_pair(pair.0, pair.1),
            |&(first, last, _)| (first, last) == pair,
            |&(first, last, _)| hash_pair(first, last),
        ) {
            Entry::Occupied(entry) => entry.get().2,
            Entry::Vacant(entry) => {
                let number = ngrams.len() as u32;
                entry.insert((pair.0, pair.1, number));
                ngrams.push(Ngram { first: at, count: 0 });
                number
            }
        };
        ngrams[number as usize].count += 1;
        class[at] = number;
    }
    ngrams
}

/// The n of [`duplicate_ngram_chars`].
pub const DUPLICATE_N: [usize; 6] = [5, 6, 7, 8, 9, 10];

/// Code points of n-grams that occurred before, their words joined without spaces, for n from 5 to 10. After one that
/// did, the next one begins n words later; after one that did not, one word later.
///
/// N-grams of the same letters are equal, even if they are split into words differently. Time O(bytes): only positions
/// whose first bytes occur twice are compared.
pub fn duplicate_ngram_chars(text: &str, words: &Words) -> [usize; 6] {
    let joined = Joined::new(text, words);
    let candidates = joined.candidates();
    DUPLICATE_N.map(|n| joined.duplicate_chars(words, &candidates, n))
}

/// The words of a text, concatenated.
struct Joined {
    /// The bytes, and [`ANCHOR_BYTES`] more.
    bytes: Vec<u8>,
    /// Where each word starts, and where the last ends.
    starts: Vec<usize>,
}

/// First bytes of an n-gram, by which those that occur once are excluded.
const ANCHOR_BYTES: usize = 12;

impl Joined {
    fn new(text: &str, words: &Words) -> Joined {
        let mut bytes = Vec::with_capacity(text.len() + ANCHOR_BYTES);
        let mut starts = Vec::with_capacity(words.len() + 1);
        for at in 0..words.len() {
            starts.push(bytes.len());
            bytes.extend_from_slice(&text.as_bytes()[words.span(at)]);
        }
        starts.push(bytes.len());
        bytes.resize(bytes.len() + ANCHOR_BYTES, 0);
        Joined { bytes, starts }
    }

    /// Words at which an n-gram that occurs twice can begin, for any n from 5: those whose first bytes occur twice, and
    /// those whose n-gram may have fewer bytes than that.
    ///
    /// A table of hashes that counts to two finds them, so a few too many are returned.
    fn candidates(&self) -> Vec<usize> {
        let shortest = DUPLICATE_N[0];
        let ngrams = self.starts.len().saturating_sub(shortest);
        let mut counts = vec![0u8; (ngrams * 8).next_power_of_two()];
        let slot = |at: usize, mask: usize| hash_12_bytes_at(&self.bytes, self.starts[at]) as usize & mask;
        let mask = counts.len() - 1;
        for at in 0..ngrams {
            let count = &mut counts[slot(at, mask)];
            *count = count.saturating_add(1).min(2);
        }
        let is_short = |at: usize| self.starts[at + shortest] - self.starts[at] < ANCHOR_BYTES;
        (0..ngrams).filter(|&at| counts[slot(at, mask)] > 1 || is_short(at)).collect()
    }

    fn duplicate_chars(&self, words: &Words, candidates: &[usize], n: usize) -> usize {
        let ngram = |at: usize| &self.bytes[self.starts[at]..self.starts[at + n]];
        let mut seen: HashTable<usize> = HashTable::with_capacity(candidates.len());
        let mut next = 0;
        let mut chars = 0;
        for &at in candidates {
            if at < next || at + n > words.len() {
                continue;
            }
            match seen.entry(hash(ngram(at)), |&other| ngram(other) == ngram(at), |&other| hash(ngram(other))) {
                Entry::Vacant(entry) => {
                    entry.insert(at);
                }
                Entry::Occupied(_) => {
                    chars += (at..at + n).map(|at| words.word(at).chars).sum::<usize>();
                    next = at + n;
                }
            }
        }
        chars
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn spelled<'t>(text: &'t str, words: &Words) -> Vec<&'t str> {
        (0..words.len()).map(|at| &text[words.span(at)]).collect()
    }

    /// The twin of [`top_ngram_chars`].
    fn top_by_strings(words: &[&str], n: usize) -> usize {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for (at, ngram) in words.windows(n).enumerate() {
            counts.entry(ngram.join(" ")).or_insert((at, 0)).1 += 1;
        }
        let top = counts.iter().max_by_key(|(_, (first, count))| (*count, std::cmp::Reverse(*first)));
        top.map_or(0, |(ngram, (_, count))| ngram.chars().count() * count)
    }

    /// The twin of [`duplicate_ngram_chars`].
    fn duplicates_by_strings(words: &[&str], n: usize) -> usize {
        let mut seen = HashSet::new();
        let (mut at, mut chars) = (0, 0);
        while at + n <= words.len() {
            let ngram = words[at..at + n].concat();
            if seen.contains(&ngram) {
                chars += ngram.chars().count();
                at += n;
            } else {
                seen.insert(ngram);
                at += 1;
            }
        }
        chars
    }

    /// The twin of [`repeated_ngrams`].
    fn repeated_by_strings(words: &[&str], tie: Tie) -> RepeatedNgrams {
        let len = |word: &&str| word.chars().count();
        let counts = |n: usize| {
            let mut counts: HashMap<&[&str], usize> = HashMap::new();
            words.windows(n).for_each(|ngram| *counts.entry(ngram).or_default() += 1);
            counts
        };
        let top = |n: usize| {
            let counts = counts(n);
            let most = counts.values().copied().max().unwrap_or(0);
            let mut chars =
                words.windows(n).filter(|ngram| counts[ngram] == most).map(|ngram| ngram.iter().map(len).sum());
            let chars: Option<usize> = if tie == Tie::First { chars.next() } else { chars.max() };
            if most > 1 { chars.unwrap_or(0) * most } else { 0 }
        };
        let covered = |n: usize| {
            let counts = counts(n);
            let is_in_repeated = |at: usize| {
                (at.saturating_sub(n - 1)..=at)
                    .any(|first| words.get(first..first + n).is_some_and(|ngram| counts[ngram] > 1))
            };
            words.iter().enumerate().filter(|&(at, _)| is_in_repeated(at)).map(|(_, word)| len(word)).sum()
        };
        RepeatedNgrams { top: TOP_N.map(top), covered: DUPLICATE_N.map(covered) }
    }

    proptest! {
        #[test]
        fn repeated_ngrams_are_counted_as_strings_are(text in "((a|b|aa|ab|é|the|sea) ){0,60}") {
            let words = Words::of(&text);
            let spelled = spelled(&text, &words);
            for tie in [Tie::First, Tie::Longest] {
                prop_assert_eq!(repeated_ngrams(&words, tie), repeated_by_strings(&spelled, tie));
            }
        }

        #[test]
        fn ngrams_are_counted_as_strings_are(text in "((a|b|aa|ab|é|the|sea) ){0,60}") {
            let words = Words::of(&text);
            let spelled = spelled(&text, &words);
            prop_assert_eq!(top_ngram_chars(&words), TOP_N.map(|n| top_by_strings(&spelled, n)));
            let expected = DUPLICATE_N.map(|n| duplicates_by_strings(&spelled, n));
            prop_assert_eq!(duplicate_ngram_chars(&text, &words), expected);
        }

        #[test]
        fn longer_words_that_differ_late(text in "((shipwrecked|shipwright|ship) ){0,60}") {
            let words = Words::of(&text);
            let expected = DUPLICATE_N.map(|n| duplicates_by_strings(&spelled(&text, &words), n));
            prop_assert_eq!(duplicate_ngram_chars(&text, &words), expected);
        }
    }

    #[test]
    fn elements_after_the_first_are_duplicates() {
        let counted = duplicates(["é!", "b", "é!", "é!", ""].into_iter());
        let expected = Duplicates { elements: 5, duplicates: 2, duplicate_chars: 4, originals: 1, original_chars: 2 };
        assert_eq!(counted, expected);
    }
}
