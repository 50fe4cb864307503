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
    if word.len() > 16 {
        return 0;
    }
    let mut key = 0;
    let mut at = 0;
    while at < word.len() {
        key |= (word[at].to_ascii_lowercase() as u128) << (8 * at);
        at += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_bits_of_their_groups() {
        let table = WordTable::of_groups(["the of", "of share"].into_iter());
        let bits = |word: &str| table.find(packed(word.as_bytes()));
        assert_eq!([bits("The"), bits("of"), bits("share"), bits("shared"), bits("")], [1, 3, 2, 0, 0]);
        assert_eq!(bits("a-word-of-more-than-16-bytes"), 0);
    }
}
