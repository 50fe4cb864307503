//! The memory of words: pretokens that were met, with their ids. It grows to 16 MiB at most.
//!
//! Nine in ten pretokens of a text are among the few thousand that occur again and again. A word of at
//! most 15 bytes has its place in one cache line of two, by its hash; a newcomer takes the second place,
//! and a word that is met again in the second place changes with the first. So what is frequent stays.

use bytemuck::Zeroable;

use crate::simd::prefetch;

/// Longest word that is remembered: 15 bytes, and their number.
pub(crate) const WORD_MAX_BYTES: usize = 15;
/// Most ids of a word that is remembered.
pub(crate) const WORD_MAX_IDS: usize = 4;
/// Lines of two words to begin with: 2¹⁶ × 64 bytes = 4 MiB. Memory that is not needed costs the time in which
/// the system clears it.
const LINES_AT_FIRST: usize = 1 << 16;
/// Lines at most: 2¹⁸ × 64 bytes = 16 MiB.
const LINES_AT_MOST: usize = 1 << 18;
/// Where a key holds the word's length: the low half of its last byte.
const LEN_SHIFT: u32 = 56;
/// Where a remembered word's key holds the number of its ids: the high half of its last byte.
const COUNT_SHIFT: u32 = 60;

/// The bytes of a word of at most 15 bytes, zeros, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Zeroable, bytemuck::Pod)]
#[repr(C)]
pub(crate) struct Key {
    low: u64,
    high: u64,
}

/// A word and its ids.
#[derive(Clone, Copy, Zeroable, bytemuck::Pod)]
#[repr(C)]
struct Word {
    /// The key, and the number of ids in the high half of its last byte; 0 for no word.
    key: Key,
    ids: [u32; WORD_MAX_IDS],
}

#[derive(Clone, Copy, Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([Word; 2]);

/// The memory of one encoder.
pub(crate) struct Words {
    memory: memmap2::MmapMut,
    /// Words that were remembered since the memory had this size.
    remembered: usize,
}

/// The same, to be looked up in for the length of a text.
pub(crate) struct Lines<'w> {
    lines: &'w mut [Line],
    shift: u32,
    remembered: &'w mut usize,
}

impl Words {
    /// No words yet.
    pub(crate) fn new() -> Words {
        Words::of_lines(LINES_AT_FIRST)
    }

    /// The memory is asked for in huge pages, where the system has them.
    fn of_lines(lines: usize) -> Words {
        let memory = memmap2::MmapMut::map_anon(lines * size_of::<Line>()).expect("room for 16 MiB");
        #[cfg(target_os = "linux")]
        // Refused where the kernel has none: the small ones do.
        let _ = memory.advise(memmap2::Advice::HugePage);
        Words { memory, remembered: 0 }
    }

    /// A copy, with all words that are remembered.
    pub(crate) fn copy(&self) -> Words {
        let mut words = Words::of_lines(self.memory.len() / size_of::<Line>());
        words.memory.copy_from_slice(&self.memory);
        words.remembered = self.remembered;
        words
    }

    /// Takes four times the memory, up to the most, when more words were new than it can hold.
    pub(crate) fn grow_if_crowded(&mut self) {
        let lines = self.memory.len() / size_of::<Line>();
        if lines == LINES_AT_MOST || self.remembered < 2 * lines {
            return;
        }
        let mut larger = Words::of_lines(4 * lines);
        let mut to = larger.lines();
        for Line([first, second]) in self.lines().lines {
            for Word { key, ids } in [first, second] {
                let (key, count) = key.without_count();
                if count > 0 {
                    to.remember(key, to.line_of(key), *ids, count);
                }
            }
        }
        larger.remembered = 0;
        *self = larger;
    }

    #[inline]
    pub(crate) fn lines(&mut self) -> Lines<'_> {
        let lines: &mut [Line] = bytemuck::cast_slice_mut(&mut self.memory);
        let shift = 64 - lines.len().trailing_zeros();
        Lines { lines, shift, remembered: &mut self.remembered }
    }
}

impl Key {
    /// The key of no word.
    pub(crate) const NONE: Key = Key { low: 0, high: 0 };

    /// The key of the first `len` of 16 bytes: copying a length that the processor cannot foresee costs
    /// more than masking.
    #[inline(always)]
    pub(crate) fn of(from: [u8; 16], len: usize) -> Key {
        let [low, high] = MASKS[len & WORD_MAX_BYTES];
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = from;
        Key {
            low: u64::from_le_bytes([a, b, c, d, e, f, g, h]) & low,
            high: u64::from_le_bytes([i, j, k, l, m, n, o, p]) & high | (len as u64) << LEN_SHIFT,
        }
    }

    /// The key of a word of at most 15 bytes, wherever it stands.
    ///
    /// # Panics
    /// When the word is longer than 16 bytes.
    pub(crate) fn of_word(word: &[u8]) -> Key {
        let mut from = [0; 16];
        from[..word.len()].copy_from_slice(word);
        Key::of(from, word.len())
    }

    /// The word's bytes in the first of 16, and their number.
    #[inline(always)]
    pub(crate) fn bytes(self) -> ([u8; 16], usize) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.low.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        (bytes, (self.high >> LEN_SHIFT) as usize & WORD_MAX_BYTES)
    }

    /// A hash whose top bits are even: multilinear, with two odd multipliers.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        let low = self.low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        low.wrapping_add(self.high.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
    }

    /// The key as texts have it, and the number of ids that a remembered word has.
    fn without_count(self) -> (Key, usize) {
        let count = self.high >> COUNT_SHIFT;
        (Key { high: self.high & !(!0 << COUNT_SHIFT), ..self }, count as usize)
    }
}

impl Lines<'_> {
    /// The number of a word's line.
    #[inline(always)]
    pub(crate) fn line_of(&self, key: Key) -> u32 {
        (key.hash() >> self.shift) as u32
    }

    /// Asks for a line, to be looked up soon.
    #[inline(always)]
    pub(crate) fn ask_for(&self, line: u32) {
        prefetch(&self.lines[line as usize]);
    }

    /// The ids of a word and their number, if it is remembered in its line; ids behind that number are any.
    #[inline(always)]
    pub(crate) fn find(&mut self, key: Key, line: u32) -> Option<(&[u32; WORD_MAX_IDS], usize)> {
        let Line([first, second]) = &mut self.lines[line as usize];
        if !first.has(key) {
            if !second.has(key) {
                return None;
            }
            std::mem::swap(first, second);
        }
        Some((&first.ids, (first.key.high >> COUNT_SHIFT) as usize))
    }

    /// Remembers a word in its line, in the second place unless the first is free.
    #[inline(always)]
    pub(crate) fn remember(&mut self, key: Key, line: u32, ids: [u32; WORD_MAX_IDS], count: usize) {
        let Line([first, second]) = &mut self.lines[line as usize];
        let key = Key { high: key.high | (count as u64) << COUNT_SHIFT, ..key };
        *if first.key == Key::NONE { first } else { second } = Word { key, ids };
        *self.remembered += 1;
    }
}

impl Word {
    #[inline(always)]
    fn has(&self, key: Key) -> bool {
        // What is shifted out is the number of ids.
        (self.key.low ^ key.low) | (self.key.high ^ key.high) << (64 - COUNT_SHIFT) == 0
    }
}

/// What is kept of 16 bytes that begin with a word, by the word's length.
static MASKS: [[u64; 2]; WORD_MAX_BYTES + 1] = {
    let mut masks = [[0; 2]; WORD_MAX_BYTES + 1];
    let mut len = 0;
    while len <= WORD_MAX_BYTES {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = [mask as u64, (mask >> 64) as u64];
        len += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Key {
        let mut from = [0xff; 16];
        from[..word.len()].copy_from_slice(word.as_bytes());
        Key::of(from, word.len())
    }

    #[test]
    fn a_key_holds_its_word() {
        for word in ["", "a", " tide", "eight by", "\0\0", "fifteen bytes !"] {
            let (bytes, len) = key(word).bytes();
            assert_eq!(&bytes[..len], word.as_bytes());
        }
        assert_ne!(key("a"), key("a\0"));
    }

    #[test]
    fn a_crowded_memory_grows_and_keeps_its_words() {
        let mut words = Words::new();
        for i in 0..2 * LINES_AT_FIRST as u32 {
            let mut lines = words.lines();
            let key = key(&format!("w{i}"));
            lines.remember(key, lines.line_of(key), [i; 4], 3);
        }
        let before = words.memory.len();
        let held = |words: &mut Words| {
            let mut lines = words.lines();
            (0..2 * LINES_AT_FIRST as u32)
                .filter(|i| {
                    let key = key(&format!("w{i}"));
                    let line = lines.line_of(key);
                    lines.find(key, line).is_some_and(|found| found == (&[*i; 4], 3))
                })
                .count()
        };
        let kept = held(&mut words);
        words.grow_if_crowded();
        assert_eq!((words.memory.len(), held(&mut words)), (4 * before, kept));
        words.grow_if_crowded();
        assert_eq!(words.memory.len(), 4 * before);
    }

    #[test]
    fn of_three_words_in_a_line_the_one_met_again_stays() {
        let mut words = Words::new();
        let mut lines = words.lines();
        let [a, b, c] = ["a", "b", "c"].map(key);
        assert!(lines.find(a, 7).is_none());
        lines.remember(a, 7, [1; 4], 1);
        lines.remember(b, 7, [2, 3, 0, 0], 2);
        assert_eq!(lines.find(b, 7), Some((&[2, 3, 0, 0], 2)));
        lines.remember(c, 7, [4, 5, 6, 7], 4);
        assert!(lines.find(a, 7).is_none());
        assert_eq!(lines.find(c, 7), Some((&[4, 5, 6, 7], 4)));
        assert_eq!(lines.find(b, 7), Some((&[2, 3, 0, 0], 2)));
    }
}
