//! Small sets of words, looked up without strings: each word of up to 16 bytes is one number.

/// A map from packed words to bits, in an open-addressed table.
pub(crate) struct WordTable {
    slots: Vec<(u128, u32)>,
}

impl WordTable {
    /// The table of groups of words separated by spaces; the words of group `n` have bit `n`.
    pub(crate) fn of_groups<'a>(groups: impl Iterator<Item = &'a str> + Clone) -> WordTable {
        let words = groups.clone().map(|group| group.split_whitespace().count()).sum::<usize>();
        let mut table = WordTable { slots: vec![(0, 0); (words * 3).next_power_of_two()] };
        for (number, group) in groups.enumerate() {
            for word in group.split_whitespace() {
                let key = packed(word.as_bytes());
                assert!(key != 0, "{word} is too long for a table of words");
                let slot = table.slot(key);
                table.slots[slot].0 = key;
                table.slots[slot].1 |= 1 << number;
            }
        }
        table
    }

    /// The bits of a word, 0 for others.
    #[inline]
    pub(crate) fn find(&self, key: u128) -> u32 {
        self.slots[self.slot(key)].1
    }

    /// The word's slot, or the free one where it would be.
    #[inline]
    fn slot(&self, key: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(key) as usize & mask;
        while self.slots[slot].0 != key && self.slots[slot].0 != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// A pseudo-random permutation of numbers.
#[inline]
pub(crate) const fn hash(key: u128) -> u64 {
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29);
    let product = ((folded ^ 0x51_7c_c1_b7_27_22_0a_95) as u128) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

/// A word of up to 16 bytes in one number, ASCII letters lower-cased, the first byte lowest; 0 for longer ones.
#[inline]
pub(crate) const fn packed(word: &[u8]) -> u128 {
    let len = word.len() as u32;
    // The first and the last bytes, which overlap: a byte in both has the same place in both.
    let key = match len {
        17.. => return 0,
        8.. => match (word.first_chunk(), word.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from_le_bytes(*first) as u128 | (u64::from_le_bytes(*last) as u128) << (8 * (len - 8))
            }
            _ => 0,
        },
        4.. => match (word.first_chunk(), word.last_chunk()) {
            (Some(first), Some(last)) => {
                u32::from_le_bytes(*first) as u128 | (u32::from_le_bytes(*last) as u128) << (8 * (len - 4))
            }
            _ => 0,
        },
        1.. => {
            word[0] as u128
                | (word[word.len() / 2] as u128) << (8 * (len / 2))
                | (word[word.len() - 1] as u128) << (8 * (len - 1))
        }
        0 => 0,
    };
    with_small_letters(key)
}

/// Each byte that is a capital of ASCII as its small letter.
const fn with_small_letters(key: u128) -> u128 {
    const EACH: u128 = u128::MAX / 255;
    let low = key & (EACH * 0x7f);
    // The upper bit of each byte that is at least `A`, and of each that is above `Z`.
    let from_a = low + EACH * (0x80 - b'A' as u128);
    let above_z = low + EACH * (0x80 - b'Z' as u128 - 1);
    let capitals = (from_a & !above_z & !key) & (EACH * 0x80);
    key | capitals >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`packed`], byte by byte.
    fn packed_plainly(word: &[u8]) -> u128 {
        let bytes = word.iter().rev().fold(0, |key, byte| key << 8 | u128::from(byte.to_ascii_lowercase()));
        if word.len() > 16 { 0 } else { bytes }
    }

    proptest::proptest! {
        #[test]
        fn words_are_packed_as_byte_by_byte(word in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20)) {
            proptest::prop_assert_eq!(packed(&word), packed_plainly(&word));
        }
    }

    #[test]
    fn words_have_the_bits_of_their_groups() {
        let table = WordTable::of_groups(["the of", "of share"].into_iter());
        let bits = |word: &str| table.find(packed(word.as_bytes()));
        assert_eq!([bits("The"), bits("of"), bits("share"), bits("shared"), bits("")], [1, 3, 2, 0, 0]);
        assert_eq!(bits("a-word-of-more-than-16-bytes"), 0);
    }
}
