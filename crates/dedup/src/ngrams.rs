//! N-grams of a text's words: hashes of n words in a row, with their places.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::words::{for_each_word, hash_of_words};

/// Calls `each` with the hash of every `n` words in a row and the bytes from the first to the last of them, in order.
///
/// Words are those of the crate: runs of letters and digits, lower-cased. So two n-grams have the same hash when their
/// words joined by single spaces are the same string, and others with a probability of 2⁻⁶⁴. A text of fewer words has
/// none. Time O(words · n), memory O(n).
///
/// ```
/// let text = "The tide, at noon.";
/// let mut ngrams = Vec::new();
/// dedup::for_each_ngram(text, 2, |_, bytes| ngrams.push(&text[bytes]));
/// assert_eq!(ngrams, ["The tide", "tide, at", "at noon"]);
/// ```
///
/// # Panics
/// If `n` is 0.
pub fn for_each_ngram(text: &str, n: usize, mut each: impl FnMut(u64, Range<usize>)) {
    assert!(n > 0, "an n-gram has at least one word");
    // The last n words, the oldest first.
    let (mut hashes, mut starts) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for_each_word(text, |bytes, word| {
        if hashes.len() == n {
            hashes.rotate_left(1);
            starts.rotate_left(1);
            hashes.truncate(n - 1);
            starts.truncate(n - 1);
        }
        hashes.push(xxh3_64(word));
        starts.push(bytes.start);
        if hashes.len() == n {
            each(hash_of_words(&hashes), starts[0]..bytes.end);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The readable twin: words as strings, joined by single spaces.
    fn twin(text: &str, n: usize) -> Vec<(String, Range<usize>)> {
        let is_word = |c: char| c.is_alphanumeric();
        let words_of_one = |text: &str| text.chars().any(words::is_unspaced);
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, c) in text.char_indices().filter(|&(_, c)| is_word(c)) {
            match found.last_mut() {
                Some(word) if word.end == at && !words_of_one(&text[word.start..at + c.len_utf8()]) => {
                    word.end += c.len_utf8();
                }
                _ => found.push(at..at + c.len_utf8()),
            }
        }
        let lower = |word: &Range<usize>| text[word.clone()].chars().flat_map(char::to_lowercase).collect::<String>();
        let join = |ngram: &[Range<usize>]| {
            (ngram.iter().map(lower).collect::<Vec<_>>().join(" "), ngram[0].start..ngram[n - 1].end)
        };
        found.windows(n).map(join).collect()
    }

    proptest! {
        #[test]
        fn ngrams_are_those_of_the_twin(text in "[a-cA-C éİß潮.,\n]{0,60}", n in 1usize..5) {
            let mut found = Vec::new();
            for_each_ngram(&text, n, |hash, bytes| found.push((hash, bytes)));
            let expected = twin(&text, n);
            prop_assert_eq!(found.len(), expected.len());
            let mut strings: HashMap<u64, String> = HashMap::new();
            for ((hash, bytes), (string, place)) in found.into_iter().zip(expected) {
                prop_assert_eq!(bytes, place);
                prop_assert_eq!(strings.entry(hash).or_insert_with(|| string.clone()), &string);
            }
            let distinct: std::collections::HashSet<&String> = strings.values().collect();
            prop_assert_eq!(distinct.len(), strings.len());
        }
    }
}
