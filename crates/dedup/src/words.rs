//! Normalised words, and the sets of shingles that are made of them.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Distinguishes hashes of texts without words from those of words.
const WITHOUT_WORDS: u64 = 1;

/// The words of a text as de-duplication compares them, as hashes: maximal runs of letters and digits with their marks,
/// lower-cased, of which one at least is a letter or a digit; in scripts written [without spaces](words::is_unspaced),
/// each letter is a word.
///
/// ```
/// use dedup::NormalizedWords;
/// let hash = |text| NormalizedWords::of(text).text_hash();
/// assert_eq!(hash("The tide, at noon."), hash("the tide at NOON"));
/// assert_ne!(hash("the tide"), hash("thetide"));
/// assert_eq!(NormalizedWords::of("潮が満ちる").len(), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalizedWords {
    /// XXH3-64 of each word, in their order.
    hashes: Vec<u64>,
    /// XXH3-64 of a text without any.
    without_words: u64,
}

impl NormalizedWords {
    /// The words of a text. Time O(bytes); memory 8 bytes per word.
    pub fn of(text: &str) -> NormalizedWords {
        let mut hashes = Vec::with_capacity(text.len() / 6);
        for_each_word(text, |_, word| hashes.push(xxh3_64(word)));
        let is_empty = hashes.is_empty();
        let without_words = if is_empty { xxh3_64_with_seed(text.trim().as_bytes(), WITHOUT_WORDS) } else { 0 };
        NormalizedWords { hashes, without_words }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Equal for texts with the same words. Texts without words are equal if they are so apart from white space at
    /// both ends: "!!!" is no copy of "???".
    pub fn text_hash(&self) -> u64 {
        if self.hashes.is_empty() {
            return self.without_words;
        }
        let bytes: Vec<u8> = self.hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        xxh3_64(&bytes)
    }

    /// The hashes of all runs of `n` words, in their order. A text of fewer words has one shingle: all of them. A text
    /// without words has none.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn runs(&self, n: usize) -> Vec<u64> {
        assert!(n > 0, "a shingle has at least one word");
        if self.hashes.is_empty() {
            return Vec::new();
        }
        self.hashes.windows(n.min(self.hashes.len())).map(hash_of_words).collect()
    }

    /// The set of hashes of `n` words in a row, sorted. Time O(words · log words); memory 8 bytes per word.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn shingles(&self, n: usize) -> Vec<u64> {
        let mut shingles = self.runs(n);
        shingles.sort_unstable();
        shingles.dedup();
        shingles
    }
}

/// Raised whenever a text gets other hashes than before: in its words, its shingles or its own. Hashes that were stored
/// are compared with new ones only if the version is the same.
pub const HASH_VERSION: u32 = 2;

/// Equal for texts with the same words: [`NormalizedWords::text_hash`].
///
/// ```
/// assert_eq!(dedup::text_hash("The tide, at noon."), dedup::text_hash("the tide at NOON"));
/// ```
pub fn text_hash(text: &str) -> u64 {
    NormalizedWords::of(text).text_hash()
}

/// Calls `each` with every word of a text: its place, and its letters in lower case.
pub(crate) fn for_each_word(text: &str, mut each: impl FnMut(Range<usize>, &[u8])) {
    // At once for the whole text, so that words of ASCII, the common case, need not be copied.
    let text = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let mut word = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += plain_bytes(&bytes[at..]);
        if bytes.get(at).is_none_or(u8::is_ascii) {
            if at > start {
                each(start..at, &bytes[start..at]);
            }
            at += 1;
            continue;
        }
        at += text[at..].find(|letter: char| !is_spaced(letter)).unwrap_or(text.len() - at);
        // Marks alone are none: an emoji may have one.
        if text[start..at].contains(char::is_alphanumeric) {
            word.clear();
            word.extend(text[start..at].chars().flat_map(char::to_lowercase).map(same_in_capitals));
            each(start..at, word.as_bytes());
        }
        // What ends the word is one of its own, or none.
        let Some(next) = text[at..].chars().next() else { break };
        let mut end = at + next.len_utf8();
        if next.is_alphanumeric() {
            end += marks_bytes(&text[end..]);
            each(at..end, &bytes[at..end]);
        }
        at = end;
    }
}

/// Bytes at the beginning that are small letters and digits of ASCII. Eight at once: where a word ends cannot be
/// predicted, and a branch for each byte costs as much as the word's hash.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let others = !plain_letters(u64::from_le_bytes(*eight)) & HIGH_BITS;
        at += others.trailing_zeros() as usize / 8;
        if others != 0 {
            return at;
        }
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).count()
}

/// The high bit of each byte.
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The high bit of each byte that is a small letter or a digit of ASCII.
fn plain_letters(eight: u64) -> u64 {
    let low_bits = eight & !HIGH_BITS;
    // A sum has its high bit from the first byte of a range on; none carries into the next byte.
    let from = |first: u8| low_bits + u64::from_ne_bytes([0x80 - first; 8]);
    let is_in = |first: u8, last: u8| from(first) & !from(last + 1);
    (is_in(b'a', b'z') | is_in(b'0', b'9')) & !eight & HIGH_BITS
}

/// Greek has two forms of one small letter.
fn same_in_capitals(letter: char) -> char {
    if letter == 'ς' { 'σ' } else { letter }
}

/// Whether a letter, digit or combining mark is part of a word that may have several.
fn is_spaced(letter: char) -> bool {
    (letter.is_alphanumeric() || is_combining_mark(letter)) && !words::is_unspaced(letter)
}

/// Bytes of the combining marks that a text begins with: they belong to the letter in front.
fn marks_bytes(text: &str) -> usize {
    text.find(|c| !is_combining_mark(c)).unwrap_or(text.len())
}

/// Mixes the hashes of the words in their order.
pub(crate) fn hash_of_words(words: &[u64]) -> u64 {
    let mixed = words.iter().fold(0u64, |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed ^ (mixed >> 31)
}

/// A Jaccard similarity as the fraction that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jaccard {
    /// Elements in both sets.
    pub shared: u32,
    /// Elements in either.
    pub either: u32,
}

impl Jaccard {
    /// That of a set with itself.
    pub const EXACT: Jaccard = Jaccard { shared: 1, either: 1 };

    /// The similarity, 0 to 1. 0 for two empty sets, which are no evidence of a copy.
    pub fn value(self) -> f64 {
        if self.either == 0 { 0.0 } else { f64::from(self.shared) / f64::from(self.either) }
    }
}

/// Jaccard similarity of two sorted sets: the size of their intersection over the size of their union.
pub fn jaccard(a: &[u64], b: &[u64]) -> Jaccard {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    Jaccard { shared: shared as u32, either: (a.len() + b.len() - shared) as u32 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The readable twin: words by splitting.
    fn words_twin(text: &str) -> Vec<String> {
        let mut spaced = String::new();
        let mut is_alone = false;
        for letter in text.chars() {
            let (is_mark, is_unspaced) = (is_combining_mark(letter), words::is_unspaced(letter));
            if is_mark && is_alone {
                spaced.push(letter);
            } else if is_unspaced && letter.is_alphanumeric() {
                spaced.extend(['\0', letter]);
                is_alone = true;
            } else if is_mark && !is_unspaced || letter.is_alphanumeric() {
                spaced.push_str(if is_alone { "\0" } else { "" });
                spaced.extend(letter.to_lowercase().map(same_in_capitals));
                is_alone = false;
            } else {
                spaced.push('\0');
                is_alone = false;
            }
        }
        spaced.split('\0').filter(|word| word.contains(char::is_alphanumeric)).map(str::to_owned).collect()
    }

    fn shingles_twin(text: &str, n: usize) -> BTreeSet<String> {
        let words = words_twin(text);
        if words.is_empty() {
            BTreeSet::new()
        } else {
            words.windows(n.min(words.len())).map(|run| run.join(" ")).collect()
        }
    }

    #[test]
    fn words_of_every_script() {
        assert_eq!(words_twin("Über 12 km²: ÀÉ—x"), ["über", "12", "km²", "àé", "x"]);
        assert_eq!(words_twin("潮が満ちる ok"), ["潮", "が", "満", "ち", "る", "ok"]);
        for text in ["", " ", "Über 12 km²: ÀÉ—x", "潮が満ちる ok", "İstanbul ǅ", "a\u{301}b"] {
            assert_eq!(NormalizedWords::of(text).len(), words_twin(text).len(), "{text}");
        }
    }

    #[test]
    fn marks_belong_to_words() {
        let of = NormalizedWords::of;
        // Three words of Thai that differ by a tone mark, and an accent as a character of its own.
        assert_ne!(of("เก่า").text_hash(), of("เก้า").text_hash());
        assert_ne!(of("เก่า").text_hash(), of("เกา").text_hash());
        assert_eq!(of("cafe\u{301} au lait").len(), 3);
        assert_eq!(of("हिन्दी में").len(), 2);
    }

    #[test]
    fn case_makes_no_difference() {
        let lower = "οι ανθρωποι της πολης";
        assert_eq!(NormalizedWords::of(lower), NormalizedWords::of("ΟΙ ΑΝΘΡΩΠΟΙ ΤΗΣ ΠΟΛΗΣ"));
    }

    #[test]
    fn texts_without_words() {
        let of = NormalizedWords::of;
        assert_ne!(of("❤\u{fe0f}").text_hash(), of("☀\u{fe0f}").text_hash());
        assert_eq!(of("I love it ❤\u{fe0f} so").text_hash(), of("I love it ❤ so").text_hash());
        assert_eq!(of(" !!! ").text_hash(), of("!!!").text_hash());
        assert_ne!(of("!!!").text_hash(), of("???").text_hash());
        assert!(of("!!!").shingles(5).is_empty());
        assert_eq!(jaccard(&[], &[]).value(), 0.0);
    }

    #[test]
    fn any_byte_ends_a_word_or_does_not() {
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        for byte in 0..=u8::MAX {
            for length in 0..20 {
                let bytes = [vec![b'z'; length], vec![byte], vec![b'0'; 9]].concat();
                assert_eq!(plain_bytes(&bytes), bytes.iter().take_while(|byte| is_plain(byte)).count(), "{byte}");
                assert_eq!(plain_bytes(&bytes[..length]), length);
            }
        }
    }

    proptest! {
        #[test]
        fn hashes_agree_where_words_do(a in "[ -~éÉßςΣ潮ก\u{301}\u{e48}❤\u{fe0f}]{0,40}", b in "[ -~éÉßςΣ潮ก\u{301}\u{e48}❤\u{fe0f}]{0,40}", n in 1usize..5) {
            let (x, y) = (NormalizedWords::of(&a), NormalizedWords::of(&b));
            let (twin_x, twin_y) = (words_twin(&a), words_twin(&b));
            if !twin_x.is_empty() || !twin_y.is_empty() {
                prop_assert_eq!(x.text_hash() == y.text_hash(), twin_x == twin_y);
            }
            let (of_a, of_b) = (shingles_twin(&a, n), shingles_twin(&b, n));
            let expected = Jaccard {
                shared: of_a.intersection(&of_b).count() as u32,
                either: of_a.union(&of_b).count() as u32,
            };
            prop_assert_eq!(jaccard(&x.shingles(n), &y.shingles(n)), expected);
        }
    }
}
