//! A hash table of short texts, optimised for texts that are not in it: it is looked up for every word.
//!
//! The key of a text of up to 16 bytes is two numbers, its first and its last eight bytes, which mostly overlap;
//! together with the length they determine the text, so no strings are compared. A bit set over many hashes, which fits
//! into the L1 cache, rejects most texts before the table is read. Longer texts are few and kept in a list.

use super::tables::PhraseToken;

/// What is known of a text. Both are 0 for a text that is not in the lexicon.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    /// The special case with this text, counted from 1.
    pub special_case: u16,
    /// The token of a phrase with this text.
    pub phrase_token: PhraseToken,
}

/// Texts and what is known of them.
#[derive(Default)]
pub struct Lexicon {
    /// As they were added; after [`freeze`](Lexicon::freeze) those longer than a [`Key`].
    listed: Vec<(String, Entry)>,
    /// Open addressing with linear probing, at most half full; an empty slot has the key of the empty text.
    slots: Vec<(Key, Entry)>,
    /// A bit for each of [`FILTER_BITS`] hashes.
    filter: Vec<u64>,
    max_bytes: usize,
}

/// A text of up to [`MAX_KEY_BYTES`] bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Key {
    head: u64,
    tail: u64,
    len_bytes: u64,
}

const MAX_KEY_BYTES: usize = 16;

/// 1,500 texts set 5% of these bits, in 4 KiB.
const FILTER_BITS: usize = 1 << 15;

impl Lexicon {
    /// The entry of a text, added if there is none. Before [`freeze`](Lexicon::freeze) alone; time O(entries).
    pub fn entry(&mut self, text: &str) -> &mut Entry {
        assert!(self.slots.is_empty() && !text.is_empty());
        let at = self.listed.iter().position(|(known, _)| known == text).unwrap_or_else(|| {
            self.listed.push((text.to_owned(), Entry::default()));
            self.listed.len() - 1
        });
        &mut self.listed[at].1
    }

    /// Builds the table from the list.
    pub fn freeze(&mut self) {
        let (short, long): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.listed).into_iter().partition(|(text, _)| text.len() <= MAX_KEY_BYTES);
        self.max_bytes = short.iter().chain(&long).map(|(text, _)| text.len()).max().unwrap_or(0);
        self.slots = vec![Default::default(); (2 * short.len()).next_power_of_two()];
        self.filter = vec![0; FILTER_BITS / 64];
        self.listed = long;
        for (text, entry) in short {
            let key = Key::of(text.as_bytes());
            let bit = key.hash() as usize % FILTER_BITS;
            self.filter[bit / 64] |= 1 << (bit % 64);
            let mut at = self.slot(key);
            while self.slots[at].0 != Key::default() {
                at = (at + 1) % self.slots.len();
            }
            self.slots[at] = (key, entry);
        }
    }

    /// The entry of a text. Constant time.
    #[inline]
    pub fn get(&self, text: &str) -> Entry {
        if text.len() > MAX_KEY_BYTES || self.slots.is_empty() {
            return self.get_listed(text);
        }
        let key = Key::of(text.as_bytes());
        let bit = key.hash() as usize % FILTER_BITS;
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return Entry::default();
        }
        let mut at = self.slot(key);
        loop {
            let (known, entry) = self.slots[at];
            if known == key || known == Key::default() {
                return entry;
            }
            at = (at + 1) % self.slots.len();
        }
    }

    #[cold]
    fn get_listed(&self, text: &str) -> Entry {
        if !self.slots.is_empty() && text.len() > self.max_bytes {
            return Entry::default();
        }
        self.listed.iter().find(|(known, _)| known == text).map_or_else(Entry::default, |&(_, entry)| entry)
    }

    /// Where the search for a key begins, from other bits of the hash than the filter uses.
    fn slot(&self, key: Key) -> usize {
        (key.hash() >> 16) as usize % self.slots.len()
    }
}

impl Key {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let len = text.len();
        let (head, tail) = match len {
            0 => (0, 0),
            1..=3 => (u64::from(text[0]) | u64::from(text[len / 2]) << 8 | u64::from(text[len - 1]) << 16, 0),
            4..=7 => (four_bytes(text) | four_bytes(&text[len - 4..]) << 32, 0),
            _ => (eight_bytes(text), eight_bytes(&text[len - 8..])),
        };
        Self { head, tail, len_bytes: len as u64 }
    }

    /// Multiplies by the golden ratio and takes the upper half, which depends on all bits.
    #[inline]
    fn hash(self) -> u64 {
        let mixed = self.head ^ self.tail.rotate_left(23) ^ self.len_bytes << 56;
        mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}

#[inline]
fn four_bytes(text: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes([text[0], text[1], text[2], text[3]]))
}

#[inline]
fn eight_bytes(text: &[u8]) -> u64 {
    u64::from_le_bytes([text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_found_and_nothing_else() {
        let texts: Vec<String> = (1..40).map(|len| "abcdefghij".repeat(4)[..len].to_owned()).collect();
        let mut lexicon = Lexicon::default();
        for (n, text) in texts.iter().enumerate() {
            lexicon.entry(text).special_case = n as u16 + 1;
        }
        lexicon.freeze();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(usize::from(lexicon.get(text).special_case), n + 1);
            for at in 0..text.len() {
                let mut other = text.clone();
                other.replace_range(at..=at, "z");
                assert_eq!(lexicon.get(&other).special_case, 0, "{other}");
            }
        }
        assert_eq!(lexicon.get("").special_case, 0);
        assert_eq!(lexicon.get(&"abcdefghij".repeat(40)).special_case, 0);
    }
}
