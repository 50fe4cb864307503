//! A learned table of the words in classes and ids, beside the hand-written groups of [`crate::labels`].
//!
//! Templates share thousands of such words (`entry-content`, `sub-menu`, `dsq-comment`), too many to group by hand. For
//! each the table has the odds that the text of its elements is main text, and a score for each kind of page. `train/`
//! makes it from words that occur on several hosts; no word is specific to one site. Left out: the words of the text
//! itself, which gave little, and combinations of words.
//!
//! The table's bytes (all numbers little-endian):
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `WTWORDS1` |
//! | 4 | words |
//! | 4 for each kind of page | its score on a page without words, a float |
//! | then for each word: 4 | [`hash`] of the word |
//! | 1 | logarithm of its odds, in sixteenths, signed |
//! | 1 for each kind of page | its score for the kind, in eighths, signed |

use std::ops::Range;

use crate::PageKind;
use crate::class_words::{ATTRIBUTES, ByClass, ClassWord, class_words};
use crate::html::{NodeId, Tree};

/// A score for each kind of page.
pub type KindScores = [f32; PageKind::ALL.len()];

const MAGIC: &[u8; 8] = b"WTWORDS1";
const KINDS: usize = PageKind::ALL.len();
const WORD_BYTES: usize = 4 + 1 + KINDS;
const ODDS_PARTS: f32 = 16.0;
const KIND_PARTS: f32 = 8.0;

/// Bytes of one attribute that are read.
const MAX_ATTRIBUTE_BYTES: usize = 512;
/// Minimum letters of a word.
const MIN_LETTERS: usize = 2;
/// Minimum bytes of a whole name that is also a word.
const MIN_NAME_BYTES: usize = 4;
const MAX_NAME_BYTES: usize = 40;

/// A learned table of words.
#[derive(Debug, Default)]
pub struct Lexicon {
    /// Open-addressed by hash: index of a word plus one, 0 for none.
    slots: Vec<u32>,
    words: Vec<Word>,
    kinds_without: KindScores,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    hash: u32,
    odds: f32,
    kinds: [i8; KINDS],
}

/// The odds of the known words of an element, or of an element and those around it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClassOdds {
    /// Number of known words.
    pub words: u32,
    /// Sum of the logarithms of their odds.
    pub sum: f32,
    /// The smallest logarithm, at most 0.
    pub min: f32,
    /// The largest logarithm, at least 0.
    pub max: f32,
}

impl ClassOdds {
    /// The mean logarithm of the odds; 0 (even odds) without words.
    pub fn mean(&self) -> f32 {
        if self.words == 0 { 0.0 } else { self.sum / self.words as f32 }
    }

    fn add(&mut self, odds: f32) {
        self.words += 1;
        self.sum += odds;
        self.min = self.min.min(odds);
        self.max = self.max.max(odds);
    }

    /// The odds of an element's words together with those around it.
    pub fn inside(&self, around: &ClassOdds) -> ClassOdds {
        ClassOdds {
            words: self.words + around.words,
            sum: self.sum + around.sum,
            min: self.min.min(around.min),
            max: self.max.max(around.max),
        }
    }
}

/// The known words of a page.
#[derive(Debug, Default)]
pub struct SeenWords<'a> {
    is_seen: Vec<bool>,
    /// Each once.
    numbers: Vec<u32>,
    by_class: ByClass<'a, Range<usize>>,
    /// Those of each value of `by_class`.
    of_values: Vec<u32>,
}

impl Lexicon {
    /// Reads a table; `None` when the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Lexicon> {
        let (count, mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let mut lexicon = Lexicon::default();
        for kind in &mut lexicon.kinds_without {
            let (number, after) = rest.split_first_chunk()?;
            (*kind, rest) = (f32::from_le_bytes(*number), after);
        }
        if rest.len() != count.checked_mul(WORD_BYTES)? {
            return None;
        }
        lexicon.slots = vec![0; (count * 2 + 1).next_power_of_two()];
        for word in rest.chunks_exact(WORD_BYTES) {
            let (hash, numbers) = word.split_first_chunk()?;
            let hash = u32::from_le_bytes(*hash);
            let slot = lexicon.slot(hash);
            lexicon.slots[slot] = lexicon.words.len() as u32 + 1;
            let kinds = std::array::from_fn(|kind| numbers[1 + kind] as i8);
            lexicon.words.push(Word { hash, odds: f32::from(numbers[0] as i8) / ODDS_PARTS, kinds });
        }
        Some(lexicon)
    }

    /// The word's slot, or the free one where it would be.
    fn slot(&self, hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 && self.words[self.slots[slot] as usize - 1].hash != hash {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The odds of the words of an element, which are marked as seen.
    pub fn odds<'a>(&self, tree: &'a Tree, id: NodeId, seen: &mut SeenWords<'a>) -> ClassOdds {
        let mut odds = ClassOdds::default();
        if self.words.is_empty() {
            return odds;
        }
        let SeenWords { is_seen, numbers, by_class, of_values } = seen;
        is_seen.resize(self.words.len(), false);
        let read = |value: &str| {
            let start = of_values.len();
            words(value, |hash| {
                let Some(number) = self.slots[self.slot(hash)].checked_sub(1) else { return };
                of_values.push(number);
                if !std::mem::replace(&mut is_seen[number as usize], true) {
                    numbers.push(number);
                }
            });
            start..of_values.len()
        };
        let mut found = [const { 0..0 }; ATTRIBUTES.len()];
        let mut count = 0;
        by_class.each_attribute(tree, id, read, |range| {
            found[count] = range;
            count += 1;
        });
        for number in found.into_iter().flat_map(|range| &of_values[range]) {
            odds.add(self.words[*number as usize].odds);
        }
        odds
    }

    /// The scores of the words seen on a page for each kind of page.
    pub fn kinds(&self, seen: &SeenWords) -> KindScores {
        let mut sums = [0i32; KINDS];
        for &number in &seen.numbers {
            for (sum, kind) in sums.iter_mut().zip(self.words[number as usize].kinds) {
                *sum += i32::from(kind);
            }
        }
        // A page's words are normalised to a vector of length one.
        let length = (seen.numbers.len().max(1) as f32).sqrt();
        std::array::from_fn(|kind| self.kinds_without[kind] + sums[kind] as f32 / KIND_PARTS / length)
    }
}

/// Calls `each` with the hash of every word of an attribute's value. Names count with their numbers as `0`.
pub fn words(value: &str, mut each: impl FnMut(u32)) {
    class_words(value, MAX_ATTRIBUTE_BYTES, |word| match word {
        ClassWord::Part(part) if part.len() >= MIN_LETTERS => each(hash(part)),
        ClassWord::Name(name) if name.len() >= MIN_NAME_BYTES && !name.iter().all(u8::is_ascii_alphabetic) => {
            each(hash_of_name(&name[..name.len().min(MAX_NAME_BYTES)]));
        }
        _ => {}
    });
}

const HASH_START: u32 = 0x811c_9dc5;

/// FNV-1a of 32 bits over the word in lower case.
pub fn hash(word: &[u8]) -> u32 {
    word.iter().fold(HASH_START, |hash, byte| with(hash, byte.to_ascii_lowercase()))
}

/// The hash of a whole name: that of `=` and the name, a row of digits as one `0`.
fn hash_of_name(name: &[u8]) -> u32 {
    let mut state = with(HASH_START, b'=');
    let mut after_digit = false;
    for byte in name {
        let is_digit = byte.is_ascii_digit();
        if !(is_digit && after_digit) {
            state = with(state, if is_digit { b'0' } else { byte.to_ascii_lowercase() });
        }
        after_digit = is_digit;
    }
    state
}

fn with(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::{ParseOptions, ROOT, parse, tag};

    /// A table of words with odds (in sixteenths), which are also their scores for forums.
    fn table(words: &[(&str, i8)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((words.len() as u32).to_le_bytes());
        bytes.extend([0; 4 * KINDS]);
        for (word, odds) in words {
            bytes.extend(hash(word.as_bytes()).to_le_bytes());
            bytes.extend([*odds as u8, 0, *odds as u8, 0, 0, 0, 0]);
        }
        bytes
    }

    #[test]
    fn words_of_values() {
        let found = |value| {
            let mut found = Vec::new();
            words(value, |hash| found.push(hash));
            found
        };
        let hashes = |words: &[&str]| words.iter().map(|word| hash(word.as_bytes())).collect::<Vec<_>>();
        assert_eq!(found("siteNav  x"), hashes(&["site", "nav"]));
        assert_eq!(
            found("Entry-Content post-1234"),
            hashes(&["entry", "content", "=entry-content", "post", "=post-0"])
        );
        assert!(found("").is_empty());
    }

    #[test]
    fn meanings_add_up() {
        let lexicon = Lexicon::read(&table(&[("=sub-menu", -64), ("content", 32)])).unwrap();
        let tree = parse("<p class='content sub-menu unheard'><b class=content>", ParseOptions::default()).unwrap();
        let element = |name| tree.preorder(ROOT).find(|&id| tree.name(id) == name).unwrap();
        let mut seen = SeenWords::default();
        let own = lexicon.odds(&tree, element(tag::P), &mut seen);
        assert_eq!(own, ClassOdds { words: 2, sum: -2.0, min: -4.0, max: 2.0 });
        let around = lexicon.odds(&tree, element(tag::B), &mut seen);
        assert_eq!(own.inside(&around).mean(), 0.0);
        assert_eq!(lexicon.kinds(&seen)[1], (-64.0 + 32.0) / 8.0 / 2f32.sqrt());
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let good = table(&[("post", 1), ("menu", -1)]);
        assert!(Lexicon::read(&good).is_some());
        for len in 0..good.len() {
            assert!(Lexicon::read(&good[..len]).is_none(), "{len}");
        }
        let mut repeated = good.clone();
        repeated.splice(36..36, good[36..].iter().copied());
        assert!(Lexicon::read(&repeated).is_none());
    }
}
