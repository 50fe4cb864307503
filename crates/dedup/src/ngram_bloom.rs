//! DCLM's Bloom filter over n-grams: paragraphs and documents whose n-grams came before are cut.
//!
//! Follows `dedup/bff` of <https://github.com/mlfoundations/dclm> with `--remove-type old-both`, which by its README the
//! data sets of the paper were made with (<https://arxiv.org/abs/2406.11794>). Tokens are the segments of UAX 29 that are
//! not white space, punctuation with them, as they are written; a paragraph is a line.
//!
//! **The order decides.** A paragraph is compared with what came before it, so another order of documents keeps others.
//! DCLM shuffles its files and runs many threads; here the caller feeds the documents in an order of its own, and the
//! same order gives the same result. Documents that are dropped have still added the n-grams of those of their
//! paragraphs that were new.
//!
//! **What is not equal.** DCLM's hashes are random, so its false positives differ in each run. It segments by the tables
//! of Unicode 15.1; here they are those of Unicode 17. The fields that it adds to documents are left out, and so are its
//! other modes.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use xxhash_rust::xxh3::xxh3_64;

use crate::bloom::BloomFilter;
use crate::spans::Edit;
use crate::words::hash_of_words;

/// The n-grams, and how many of them may have come before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NgramLimits {
    /// Minimum tokens of a paragraph that is compared. One of fewer stays, and adds nothing.
    pub min_ngram_tokens: usize,
    /// Tokens of an n-gram. A paragraph with fewer, but at least `min_ngram_tokens`, is a single n-gram.
    pub max_ngram_tokens: usize,
    /// A paragraph with a larger share of n-grams that came before is cut, and a document with one is dropped.
    pub max_contained: f64,
}

impl Default for NgramLimits {
    /// The paper's numbers, by the README of `dedup/bff`: 13, 13 and 0.8.
    fn default() -> NgramLimits {
        NgramLimits { min_ngram_tokens: 13, max_ngram_tokens: 13, max_contained: 0.8 }
    }
}

/// The n-grams of all documents so far.
///
/// ```
/// use dedup::bloom::BloomFilter;
/// use dedup::ngram_bloom::{NgramBloom, NgramLimits};
/// let limits = NgramLimits { min_ngram_tokens: 3, max_ngram_tokens: 3, ..NgramLimits::default() };
/// let mut seen = NgramBloom::new(limits, BloomFilter::new(1000, 0.01)?);
/// let first = "The tide is out.\nAll rights are reserved.";
/// assert_eq!(seen.judge(first).edit(first).text, first);
/// let second = "The boats are in the harbour now.\nAll rights are reserved.";
/// assert_eq!(seen.judge(second).edit(second).text, "The boats are in the harbour now.");
/// assert!(seen.judge(first).is_dropped);
/// # Ok::<(), dedup::bloom::BloomError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NgramBloom {
    limits: NgramLimits,
    seen: BloomFilter,
}

/// What a document has in common with those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramVerdict {
    /// The paragraphs to be cut, each with the line end before it, as bytes of the text.
    pub cut: Vec<Range<usize>>,
    /// N-grams of the document.
    pub ngrams: u64,
    /// Those that came before: in another document, or in an earlier paragraph.
    pub contained: u64,
    /// Whether the document goes: too many of its n-grams came before, or only white space would be left.
    pub is_dropped: bool,
}

impl NgramVerdict {
    /// The text without the paragraphs to be cut, of which those that touch are one range. Not for a dropped document.
    pub fn edit(&self, text: &str) -> Edit {
        Edit::without(text, self.cut.iter().cloned())
    }
}

impl NgramBloom {
    /// The filter of n-grams before the first document. It should expect all n-grams: about as many as tokens.
    ///
    /// # Panics
    /// If an n-gram has no token, or the maximum is below the minimum.
    pub fn new(limits: NgramLimits, seen: BloomFilter) -> NgramBloom {
        let NgramLimits { min_ngram_tokens, max_ngram_tokens, .. } = limits;
        assert!((1..=max_ngram_tokens).contains(&min_ngram_tokens), "an n-gram has a token, and min is at most max");
        NgramBloom { limits, seen }
    }

    /// Compares a document with those before it, and adds the n-grams of the paragraphs that are not cut.
    ///
    /// Time O(tokens · n), and a few cache misses per token; memory O(longest paragraph).
    pub fn judge(&mut self, text: &str) -> NgramVerdict {
        let mut verdict = NgramVerdict { cut: Vec::new(), ngrams: 0, contained: 0, is_dropped: false };
        let (mut tokens, mut ngrams) = (Vec::new(), Vec::new());
        for paragraph in paragraphs(text) {
            self.ngrams_of(&text[paragraph.clone()], &mut tokens, &mut ngrams);
            // An n-gram that is twice in a paragraph does not count against it.
            let contained = ngrams.iter().filter(|&&ngram| self.seen.contains(ngram)).count();
            verdict.ngrams += ngrams.len() as u64;
            verdict.contained += contained as u64;
            if self.is_too_much(contained as u64, ngrams.len() as u64) {
                verdict.cut.push(paragraph);
            } else {
                ngrams.iter().for_each(|&ngram| {
                    self.seen.insert(ngram);
                });
            }
        }
        verdict.is_dropped = self.is_too_much(verdict.contained, verdict.ngrams) || is_blank(text, &verdict.cut);
        verdict
    }

    /// The filter, with its present rate of false positives.
    pub fn seen(&self) -> &BloomFilter {
        &self.seen
    }

    fn is_too_much(&self, contained: u64, ngrams: u64) -> bool {
        ngrams > 0 && contained as f64 / ngrams as f64 > self.limits.max_contained
    }

    /// Puts the hashes of a paragraph's n-grams in place of what `ngrams` holds.
    fn ngrams_of(&self, paragraph: &str, tokens: &mut Vec<u64>, ngrams: &mut Vec<u64>) {
        let NgramLimits { min_ngram_tokens, max_ngram_tokens, .. } = self.limits;
        tokens.clear();
        let segments = paragraph.split_word_bounds().filter(|segment| !is_white(segment));
        tokens.extend(segments.map(|token| xxh3_64(token.as_bytes())));
        ngrams.clear();
        if tokens.len() >= min_ngram_tokens {
            ngrams.extend(tokens.windows(max_ngram_tokens.min(tokens.len())).map(hash_of_words));
        }
    }
}

/// The lines of a text; all but the first begin with the line feed before them.
fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let starts = text.match_indices('\n').map(|(at, _)| at).chain([text.len()]);
    starts.scan(0, |start, end| Some(std::mem::replace(start, end)..end))
}

/// Whether only white space is left without these ranges.
fn is_blank(text: &str, cut: &[Range<usize>]) -> bool {
    let ends = cut.iter().map(|range| range.start).chain([text.len()]);
    let starts = [0].into_iter().chain(cut.iter().map(|range| range.end));
    starts.zip(ends).all(|(start, end)| is_white(&text[start..end]))
}

fn is_white(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn small() -> NgramLimits {
        NgramLimits { min_ngram_tokens: 2, max_ngram_tokens: 3, max_contained: 0.5 }
    }

    /// The readable twin: n-grams as vectors of strings in an exact set.
    struct Twin {
        limits: NgramLimits,
        seen: HashSet<Vec<String>>,
    }

    impl Twin {
        /// The text that is left; none for a dropped document.
        fn judge(&mut self, text: &str) -> Option<String> {
            let (mut left, mut all, mut all_contained) = (String::new(), 0, 0);
            for (number, line) in text.split('\n').enumerate() {
                let tokens = line.unicode_words_and_marks();
                let n = self.limits.max_ngram_tokens;
                let mut ngrams: Vec<Vec<String>> = tokens.windows(n).map(<[String]>::to_vec).collect();
                if ngrams.is_empty() && tokens.len() >= self.limits.min_ngram_tokens {
                    ngrams.push(tokens);
                }
                let contained = ngrams.iter().filter(|ngram| self.seen.contains(*ngram)).count();
                all += ngrams.len();
                all_contained += contained;
                // 0 / 0 is not above the limit.
                if contained as f64 / ngrams.len() as f64 > self.limits.max_contained {
                    continue;
                }
                self.seen.extend(ngrams);
                left.push_str(if number > 0 { "\n" } else { "" });
                left.push_str(line);
            }
            let is_dropped = all_contained as f64 / all as f64 > self.limits.max_contained || left.trim().is_empty();
            (!is_dropped).then_some(left)
        }
    }

    trait Tokens {
        fn unicode_words_and_marks(&self) -> Vec<String>;
    }

    impl Tokens for str {
        fn unicode_words_and_marks(&self) -> Vec<String> {
            self.split_word_bounds().filter(|token| !token.trim().is_empty()).map(str::to_owned).collect()
        }
    }

    #[test]
    fn documents_without_text_are_dropped() {
        let mut seen = NgramBloom::new(small(), BloomFilter::new(100, 1e-9).unwrap());
        for text in ["", " \n\u{2003}\n"] {
            assert!(seen.judge(text).is_dropped, "{text:?}");
        }
        assert!(!seen.judge("short").is_dropped);
        assert!(!seen.judge("short").is_dropped, "too short to be compared");
        assert!(!seen.judge("a b a b a b a b").is_dropped, "what repeats within a paragraph");
    }

    proptest! {
        #[test]
        fn judged_as_the_twin_judges(texts in proptest::collection::vec("[ab., \n]{0,30}|([ab]{1,2}[ .]){0,9}\n[abé’]{0,9}", 0..20)) {
            let mut seen = NgramBloom::new(small(), BloomFilter::new(10_000, 1e-9).unwrap());
            let mut twin = Twin { limits: small(), seen: HashSet::new() };
            for text in &texts {
                let verdict = seen.judge(text);
                let left = (!verdict.is_dropped).then(|| verdict.edit(text).text);
                prop_assert_eq!(left, twin.judge(text));
                let edit = verdict.edit(text);
                let mut original = edit.text;
                edit.cut.iter().for_each(|range| original.insert_str(range.start, &text[range.clone()]));
                prop_assert_eq!(&original, text);
            }
        }
    }
}
