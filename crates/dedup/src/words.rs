//! Normalised words, and the sets of shingles that are made of them.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

/// Calls `each` with every word of a text, its place and its letters: maximal runs of letters and digits, lower-cased.
pub(crate) fn for_each_word(text: &str, mut each: impl FnMut(Range<usize>, &[u8])) {
    // At once for the whole text, so that words of ASCII, the common case, need not be copied.
    let text = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let mut word = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if bytes.get(at).is_none_or(u8::is_ascii) {
            if at > start {
                each(start..at, &bytes[start..at]);
            }
            at += 1;
            continue;
        }
        at += text[at..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - at);
        if at > start {
            word.clear();
            word.extend(text[start..at].chars().flat_map(char::to_lowercase));
            each(start..at, word.as_bytes());
        }
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
}

/// XXH3-64 of the words of a text joined by single spaces: equal for exact duplicates.
///
/// ```
/// assert_eq!(dedup::text_hash("The tide, at noon."), dedup::text_hash("the tide at NOON"));
/// assert_ne!(dedup::text_hash("the tide"), dedup::text_hash("thetide"));
/// ```
pub fn text_hash(text: &str) -> u64 {
    let mut joined = Vec::with_capacity(text.len());
    for_each_word(text, |_, word| {
        if !joined.is_empty() {
            joined.push(b' ');
        }
        joined.extend_from_slice(word);
    });
    xxh3_64(&joined)
}

/// The set of hashes of `n` words in a row, sorted. A text of fewer words has one shingle: all of them.
///
/// A text without words has none. Time O(words · log words); memory 8 bytes per word.
///
/// # Panics
/// If `n` is 0.
pub fn shingles(text: &str, n: usize) -> Vec<u64> {
    assert!(n > 0, "a shingle has at least one word");
    let mut words = Vec::with_capacity(text.len() / 6);
    for_each_word(text, |_, word| words.push(xxh3_64(word)));
    if words.is_empty() {
        return Vec::new();
    }
    let mut shingles: Vec<u64> = words.windows(n.min(words.len())).map(hash_of_words).collect();
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// Mixes the hashes of the words in their order.
pub(crate) fn hash_of_words(words: &[u64]) -> u64 {
    let mixed = words.iter().fold(0u64, |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed ^ (mixed >> 31)
}

/// Jaccard similarity of two sorted sets: the size of their intersection over the size of their union.
///
/// 0 for two empty sets, which are no evidence of a copy.
pub fn jaccard(a: &[u64], b: &[u64]) -> f32 {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let both = a.len() + b.len() - shared;
    if both == 0 { 0.0 } else { shared as f32 / both as f32 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The readable twin: words by splitting, shingles as strings.
    fn twin(text: &str, n: usize) -> BTreeSet<String> {
        let lower: String = text
            .chars()
            .flat_map(|c| if c.is_alphanumeric() { c.to_lowercase().collect::<Vec<_>>() } else { vec!['\0'] })
            .collect();
        let words: Vec<&str> = lower.split('\0').filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return BTreeSet::new();
        }
        words.windows(n.min(words.len())).map(|w| w.join(" ")).collect()
    }

    proptest! {
        #[test]
        fn shingles_are_those_of_the_twin(a in "[a-cA-C éİ.,\n]{0,60}", b in "[a-c éß]{0,60}", n in 1usize..4) {
            let (x, y) = (twin(&a, n), twin(&b, n));
            prop_assert_eq!(shingles(&a, n).len(), x.len());
            let union = x.union(&y).count();
            let expected = if union == 0 { 0.0 } else { x.intersection(&y).count() as f32 / union as f32 };
            prop_assert_eq!(jaccard(&shingles(&a, n), &shingles(&b, n)), expected);
        }

        #[test]
        fn equal_hashes_mean_equal_words(a in "[aB .]{0,8}", b in "[Ab .]{0,8}") {
            let joined = |text: &str| twin(text, usize::MAX).into_iter().next();
            prop_assert_eq!(text_hash(&a) == text_hash(&b), joined(&a) == joined(&b));
        }
    }
}
