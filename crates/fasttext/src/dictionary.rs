//! Text → rows of the input matrix: words, character n-grams and word n-grams, hashed as fastText hashes them.
//!
//! Subwords of known words are hashed again each time, where fastText holds a list for each word: that list is several
//! times the dictionary. Left out: counts of words, which only training needs.

use std::io::Read;
use std::ops::Range;

use crate::loss::MAX_LABEL_COUNT;
use crate::reader::Reader;
use crate::{LABEL_PREFIX, ReadError};

/// fastText's replacement of a newline: the end of each text that it predicts from.
const END_OF_LINE: &[u8] = b"</s>";

/// Minimum bytes of an entry in a file: a NUL, a count, a type.
const MIN_ENTRY_BYTES: u64 = 10;

const FNV_OFFSET: u32 = 2_166_136_261;
const FNV_PRIME: u32 = 16_777_619;

/// fastText's factor for hashes of word n-grams.
const WORD_NGRAM_FACTOR: u64 = 116_049_371;

/// How n-grams are made and hashed; the names are those of fastText's settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NgramSettings {
    /// Longest word n-gram; 1 for none.
    pub word_ngrams: usize,
    /// Shortest character n-gram.
    pub minn: usize,
    /// Longest character n-gram; 0 for none.
    pub maxn: usize,
    /// Number of hash buckets.
    pub bucket: u32,
}

/// Words and n-grams with their rows, and the labels.
#[derive(Debug)]
pub(crate) struct Dictionary {
    words: Words,
    word_count: u32,
    labels: Vec<Box<str>>,
    label_counts: Vec<i64>,
    settings: NgramSettings,
    buckets: Buckets,
}

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct DictionaryScratch {
    /// A word as `<word>`.
    bracketed: Vec<u8>,
    /// Hashes of the words of a text, if there are word n-grams.
    hashes: Vec<u32>,
}

impl Dictionary {
    pub(crate) fn read<R: Read>(reader: &mut Reader<R>, settings: NgramSettings) -> Result<Dictionary, ReadError> {
        let size = reader.setting("size", 0..=i32::MAX)?;
        let word_count = reader.setting("nwords", 0..=size)?;
        let label_count = reader.setting("nlabels", size - word_count..=size - word_count)?;
        if label_count == 0 {
            return Err(ReadError::NoLabels);
        }
        let _tokens = reader.i64()?;
        let offset = reader.offset();
        let pruned_len = reader.i64()?;
        if pruned_len > i64::from(i32::MAX) {
            return Err(ReadError::Setting { name: "pruneidx_size", value: pruned_len, offset });
        }
        let mut words = Words::with_capacity(reader.announced(size as u64, MIN_ENTRY_BYTES)?);
        let mut label_counts = Vec::with_capacity(label_count as usize);
        for index in 0..size {
            reader.until_nul(&mut words.bytes)?;
            let count_offset = reader.offset();
            let count = reader.i64()?;
            let offset = reader.offset();
            let kind = reader.u8()?;
            if kind != u8::from(index >= word_count) {
                return Err(ReadError::Setting { name: "type of entry", value: kind.into(), offset });
            }
            words.finish_word();
            if index >= word_count {
                if !(0..MAX_LABEL_COUNT).contains(&count) {
                    return Err(ReadError::Setting { name: "count of a label", value: count, offset: count_offset });
                }
                label_counts.push(count);
            }
        }
        let labels = (word_count as usize..size as usize)
            .map(|index| Ok(std::str::from_utf8(words.word(index))?.into()))
            .collect::<Result<Vec<_>, std::str::Utf8Error>>();
        let labels = labels.map_err(|_| {
            let broken = |&index: &usize| std::str::from_utf8(words.word(word_count as usize + index)).is_err();
            ReadError::LabelNotUtf8 { index: (0..label_count as usize).find(broken).unwrap_or_default() }
        })?;
        let buckets = Buckets::read(reader, pruned_len, settings.bucket)?;
        words.build_index();
        Ok(Dictionary { words, word_count: word_count as u32, labels, label_counts, settings, buckets })
    }

    /// Rows that the input matrix must have.
    pub(crate) fn rows(&self) -> u64 {
        u64::from(self.word_count) + self.buckets.rows()
    }

    /// Whether rows of n-grams were left out of the input matrix.
    pub(crate) fn is_pruned(&self) -> bool {
        !matches!(self.buckets, Buckets::All { .. })
    }

    pub(crate) fn labels(&self) -> &[Box<str>] {
        &self.labels
    }

    /// How often each label occurred in the training data; this decides the tree of a hierarchical softmax.
    pub(crate) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    /// Calls `take` with the rows of a text's words and n-grams, in fastText's order. Newlines count as spaces, and the
    /// text ends with [`END_OF_LINE`], or at a word equal to it. Time O(bytes × `maxn`).
    pub(crate) fn rows_of(&self, text: &str, scratch: &mut DictionaryScratch, mut take: impl FnMut(u32)) {
        scratch.hashes.clear();
        for word in words_of(text.as_bytes()).chain([END_OF_LINE]) {
            self.rows_of_word(word, scratch, &mut take);
            if word == END_OF_LINE {
                break;
            }
        }
        self.rows_of_word_ngrams(&scratch.hashes, &mut take);
    }

    fn rows_of_word(&self, word: &[u8], scratch: &mut DictionaryScratch, take: &mut impl FnMut(u32)) {
        let hash = fnv1a(word);
        match self.words.find(word, hash) {
            Some(id) if id < self.word_count => take(id),
            Some(_) => return,
            None if word.starts_with(LABEL_PREFIX.as_bytes()) => return,
            None => {}
        }
        if self.settings.word_ngrams > 1 {
            scratch.hashes.push(hash);
        }
        if self.settings.maxn > 0 && word != END_OF_LINE {
            let bracketed = &mut scratch.bracketed;
            bracketed.clear();
            bracketed.push(b'<');
            bracketed.extend_from_slice(word);
            bracketed.push(b'>');
            char_ngrams(bracketed, self.settings.minn, self.settings.maxn, |hash| {
                if let Some(row) = self.buckets.row(hash) {
                    take(self.word_count + row);
                }
            });
        }
    }

    /// Hashes are sign-extended to 64 bits, as fastText keeps them in signed integers.
    fn rows_of_word_ngrams(&self, hashes: &[u32], take: &mut impl FnMut(u32)) {
        let extended = |hash: u32| i64::from(hash as i32) as u64;
        for (first, &hash) in hashes.iter().enumerate() {
            let mut hash = extended(hash);
            for &next in hashes[first + 1..].iter().take(self.settings.word_ngrams - 1) {
                hash = hash.wrapping_mul(WORD_NGRAM_FACTOR).wrapping_add(extended(next));
                if let Some(row) = self.buckets.row_of_wide(hash) {
                    take(self.word_count + row);
                }
            }
        }
    }
}

/// FNV-1a over *signed* bytes: a byte over 127 flips the upper 24 bits, too. Models are trained so.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_OFFSET, |hash, &byte| fnv1a_step(hash, byte))
}

fn fnv1a_step(hash: u32, byte: u8) -> u32 {
    (hash ^ i32::from(byte as i8) as u32).wrapping_mul(FNV_PRIME)
}

/// fastText's white space, NUL included, and no other of Unicode's.
const IS_SPACE: [bool; 256] = {
    let mut is_space = [false; 256];
    let spaces = b" \n\r\t\x0b\x0c\0";
    let mut index = 0;
    while index < spaces.len() {
        is_space[spaces[index] as usize] = true;
        index += 1;
    }
    is_space
};

/// The runs of bytes between white space.
fn words_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| IS_SPACE[usize::from(byte)]).filter(|word| !word.is_empty())
}

/// Calls `take` with the hash of each run of `minn` to `maxn` characters of `<word>`, except `<` and `>` alone.
///
/// The hash of a run extends that of the run one character shorter.
fn char_ngrams(bracketed: &[u8], minn: usize, maxn: usize, mut take: impl FnMut(u32)) {
    let is_inner = |byte: u8| byte & 0xc0 == 0x80;
    for start in 0..bracketed.len() {
        if is_inner(bracketed[start]) {
            continue;
        }
        let mut hash = FNV_OFFSET;
        let mut end = start;
        for chars in 1..=maxn {
            if end == bracketed.len() {
                break;
            }
            hash = fnv1a_step(hash, bracketed[end]);
            end += 1;
            while end < bracketed.len() && is_inner(bracketed[end]) {
                hash = fnv1a_step(hash, bracketed[end]);
                end += 1;
            }
            if chars >= minn && !(chars == 1 && (start == 0 || end == bracketed.len())) {
                take(hash);
            }
        }
    }
}

/// The words and labels of a model, found by their hashes.
#[derive(Debug)]
struct Words {
    /// All of them, one after another.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Open addressing over a power of two: the place of a word plus 1, or 0.
    slots: Vec<u32>,
}

impl Words {
    fn with_capacity(count: usize) -> Words {
        Words { bytes: Vec::new(), ends: Vec::with_capacity(count), slots: Vec::new() }
    }

    fn finish_word(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn range(&self, index: usize) -> Range<usize> {
        index.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[index]
    }

    fn word(&self, index: usize) -> &[u8] {
        &self.bytes[self.range(index)]
    }

    /// Of equal words, the last one is found.
    fn build_index(&mut self) {
        self.bytes.shrink_to_fit();
        self.slots = vec![0; (2 * self.ends.len()).next_power_of_two()];
        for index in 0..self.ends.len() {
            let slot = self.slot(self.word(index), fnv1a(self.word(index)));
            self.slots[slot] = index as u32 + 1;
        }
    }

    fn find(&self, word: &[u8], hash: u32) -> Option<u32> {
        self.slots[self.slot(word, hash)].checked_sub(1)
    }

    /// The slot of a word, or the empty one where it would go. Half of the slots are empty, so this ends.
    fn slot(&self, word: &[u8], hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(index) = self.slots[slot].checked_sub(1) {
            if self.word(index as usize) == word {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Hash buckets of n-grams with their rows, counted from the row after the last word.
#[derive(Debug)]
enum Buckets {
    /// A row for each bucket; there may be none.
    All { modulo: Modulo },
    /// Rows for some buckets; a quantised model was cut down to its largest.
    Some { modulo: Modulo, rows: BucketRows, len: u32 },
    /// Rows for words alone.
    None,
}

impl Buckets {
    /// Reads the list of buckets that were kept: a length below 0 means all.
    fn read<R: Read>(reader: &mut Reader<R>, len: i64, bucket: u32) -> Result<Buckets, ReadError> {
        let modulo = Modulo::new(bucket);
        if len < 0 {
            return Ok(Buckets::All { modulo });
        }
        if len == 0 {
            return Ok(Buckets::None);
        }
        let mut rows = BucketRows::with_capacity(reader.announced(len as u64, 8)?);
        for _ in 0..len {
            let bucket = reader.u32()?;
            let row = reader.setting("row of a bucket", 0..=len as i32 - 1)?;
            rows.insert(bucket, row as u32);
        }
        Ok(Buckets::Some { modulo, rows, len: len as u32 })
    }

    fn rows(&self) -> u64 {
        match self {
            Buckets::All { modulo } => modulo.divisor.into(),
            Buckets::Some { len, .. } => u64::from(*len),
            Buckets::None => 0,
        }
    }

    fn row(&self, hash: u32) -> Option<u32> {
        match self {
            Buckets::All { modulo } => Some(modulo.of(hash)),
            Buckets::Some { modulo, rows, .. } => rows.get(modulo.of(hash)),
            Buckets::None => None,
        }
    }

    fn row_of_wide(&self, hash: u64) -> Option<u32> {
        match self {
            Buckets::All { modulo } => Some(modulo.of_wide(hash)),
            Buckets::Some { modulo, rows, .. } => rows.get(modulo.of_wide(hash)),
            Buckets::None => None,
        }
    }
}

/// Remainders by one divisor with two multiplications in place of a division (Lemire, Kaser, Kurz 2019, "Faster
/// remainder by direct computation").
#[derive(Debug, Clone, Copy)]
struct Modulo {
    divisor: u32,
    inverse: u64,
}

impl Modulo {
    /// A divisor of 0 is for models without n-grams; nothing is divided by it.
    fn new(divisor: u32) -> Modulo {
        Modulo { divisor, inverse: if divisor == 0 { 0 } else { (u64::MAX / u64::from(divisor)).wrapping_add(1) } }
    }

    fn of(self, number: u32) -> u32 {
        let fraction = self.inverse.wrapping_mul(u64::from(number));
        ((u128::from(fraction) * u128::from(self.divisor)) >> 64) as u32
    }

    fn of_wide(self, number: u64) -> u32 {
        (number % u64::from(self.divisor)) as u32
    }
}

/// A map from bucket to row by open addressing, for some ten thousand buckets; it is looked up for each character.
#[derive(Debug)]
struct BucketRows {
    /// Bucket, and row plus 1; 0 where there is none.
    slots: Vec<(u32, u32)>,
    shift: u32,
}

impl BucketRows {
    fn with_capacity(count: usize) -> BucketRows {
        let len = (2 * count).next_power_of_two();
        BucketRows { slots: vec![(0, 0); len], shift: 32 - len.trailing_zeros() }
    }

    fn slot(&self, bucket: u32) -> usize {
        // Fibonacci hashing: the upper bits of a product with 2^32 / φ.
        let mut slot = (bucket.wrapping_mul(0x9e37_79b9) >> self.shift) as usize;
        while self.slots[slot].1 != 0 && self.slots[slot].0 != bucket {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    fn insert(&mut self, bucket: u32, row: u32) {
        let slot = self.slot(bucket);
        self.slots[slot] = (bucket, row + 1);
    }

    fn get(&self, bucket: u32) -> Option<u32> {
        self.slots[self.slot(bucket)].1.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each run of characters cut out and hashed on its own: the definition.
    fn char_ngrams_by_definition(word: &str, minn: usize, maxn: usize) -> Vec<u32> {
        let chars: Vec<char> = format!("<{word}>").chars().collect();
        let mut hashes = Vec::new();
        for start in 0..chars.len() {
            for len in minn.max(1)..=maxn.min(chars.len() - start) {
                let is_border = start == 0 || start + len == chars.len();
                if len > 1 || !is_border {
                    hashes.push(fnv1a(chars[start..start + len].iter().collect::<String>().as_bytes()));
                }
            }
        }
        hashes
    }

    #[test]
    fn bytes_are_signed_in_hashes() {
        // FNV-1a's published vectors for bytes below 128; above them, the sign reaches the upper bits.
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
        assert_eq!(fnv1a(b"\xff"), (0x811c_9dc5 ^ u32::MAX).wrapping_mul(FNV_PRIME));
    }

    #[test]
    fn words_end_at_the_spaces_of_fasttext_alone() {
        let words: Vec<&[u8]> = words_of("\0a\u{a0}b\tc\u{85}\r\n\x0bd\x0c\u{2028}e ".as_bytes()).collect();
        assert_eq!(words, ["a\u{a0}b", "c\u{85}", "d", "\u{2028}e"].map(str::as_bytes));
    }

    proptest! {
        #[test]
        fn ngrams_are_those_of_the_definition(word in "\\PC{0,12}", minn in 0usize..5, maxn in 0usize..8) {
            let mut hashes = Vec::new();
            char_ngrams(format!("<{word}>").as_bytes(), minn, maxn, |hash| hashes.push(hash));
            prop_assert_eq!(hashes, char_ngrams_by_definition(&word, minn, maxn));
        }

        #[test]
        fn remainders_are_exact(number: u32, divisor in 1u32..) {
            prop_assert_eq!(Modulo::new(divisor).of(number), number % divisor);
        }

        #[test]
        fn rows_of_buckets_are_found(buckets in prop::collection::hash_map(0u32..1000, 0u32..1000, 1..200)) {
            let mut rows = BucketRows::with_capacity(buckets.len());
            for (&bucket, &row) in &buckets {
                rows.insert(bucket, row);
            }
            for bucket in 0..1000 {
                prop_assert_eq!(rows.get(bucket), buckets.get(&bucket).copied());
            }
        }
    }
}
