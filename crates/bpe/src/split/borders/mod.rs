//! The borders of pretokens in 64 bytes at a time, for each known pattern but DeepSeek 3's.
//!
//! Each class of characters is a mask with a bit for each byte, and a border follows from the classes of the characters
//! beside it, so shifts and ands of masks give all borders of a block at once. What depends on more (an upper-case letter
//! behind letters without case, a run longer than the block) is *hard*: the block ends before it, and the scanners take
//! over for one pretoken. Property tests hold both against each other.

mod patterns;
#[cfg(test)]
mod tests;

use patterns::{Cl100k, Gpt2, O200k};

use super::classes::{Traits, traits_table};
use super::pattern::KnownPattern;
use super::pretokenize::decode_wide;
use super::scan::Scanner;
use crate::simd::{Kernel, Masks, prefetch};

/// Bytes of a block: 64 whose borders are found, and those that a border or a load may look at after them.
pub(crate) const BLOCK_BYTES: usize = 80;

/// Receives the pretokens of a text.
pub(crate) trait Visitor {
    /// Takes the pretokens that are completely in a block, the first of which begins at byte `at` of the text and at
    /// the first byte of the block; each bit is the end of one.
    fn block(&mut self, at: usize, block: &[u8; BLOCK_BYTES], ends: u64);
    /// Takes a single pretoken that begins at byte `at` of the text.
    fn single(&mut self, at: usize, pretoken: &[u8]);
}

/// Passes the pretokens of a text to a visitor, in order. Inlined where the kernel is known.
#[inline(always)]
pub(crate) fn visit<K: Kernel>(pattern: KnownPattern, text: &str, visitor: &mut impl Visitor) {
    match pattern {
        KnownPattern::Gpt2 => visit_blocks::<K, Gpt2>(pattern, text, visitor),
        KnownPattern::Cl100k | KnownPattern::Llama3 => visit_blocks::<K, Cl100k<true>>(pattern, text, visitor),
        KnownPattern::Qwen2 => visit_blocks::<K, Cl100k<false>>(pattern, text, visitor),
        KnownPattern::O200k => visit_blocks::<K, O200k>(pattern, text, visitor),
        KnownPattern::DeepSeek3 => visit_from(pattern, text, 0, visitor),
    }
}

/// A pattern whose borders follow from masks. Methods, since closures are not compiled for the kernel.
trait MaskedPattern {
    /// The ends of the pretokens that are completely in a block that begins with one.
    fn ends_in_block(block: &[u8; BLOCK_BYTES], classes: &Classes) -> u64;
}

#[inline(always)]
fn visit_blocks<K: Kernel, P: MaskedPattern>(pattern: KnownPattern, text: &str, visitor: &mut impl Visitor) {
    let (bytes, scanner, traits) = (text.as_bytes(), Scanner::new(text), traits_table());
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<BLOCK_BYTES>() {
        if let Some(ahead) = bytes.get(at + 1024) {
            prefetch(ahead);
        }
        let ends = P::ends_in_block(block, &Classes::new::<K>(block, traits));
        if ends == 0 {
            let end = end_of_letters::<K>(pattern, bytes, at, traits).unwrap_or_else(|| scanner.end(pattern, at));
            visitor.single(at, &bytes[at..end]);
            at = end;
        } else {
            visitor.block(at, block, ends);
            at += 63 - ends.leading_zeros() as usize;
        }
    }
    visit_from(pattern, text, at, visitor);
}

/// The end of a pretoken that is longer than a block, if it is of letters alone: of one case or none, for GPT-4o's.
#[inline(always)]
fn end_of_letters<K: Kernel>(pattern: KnownPattern, bytes: &[u8], start: usize, traits: &[Traits]) -> Option<usize> {
    let mut at = start;
    loop {
        let block = bytes[at..].first_chunk::<BLOCK_BYTES>()?;
        let classes = Classes::new::<K>(block, traits);
        let run = match pattern {
            KnownPattern::O200k => classes.letters & !classes.upper & !classes.lower,
            _ => classes.letters,
        };
        // What ends a word of GPT-4o's pattern is more than another class.
        let others = !run & (classes.known << 1 | 1);
        if others == 0 {
            at += classes.known.count_ones() as usize;
        } else if pattern == KnownPattern::O200k || at == start {
            return None;
        } else {
            return Some(at + others.trailing_zeros() as usize);
        }
    }
}

/// The same, one by one.
#[inline(always)]
fn visit_from(pattern: KnownPattern, text: &str, mut at: usize, visitor: &mut impl Visitor) {
    let scanner = Scanner::new(text);
    while at < text.len() {
        let end = scanner.end(pattern, at);
        visitor.single(at, &text.as_bytes()[at..end]);
        at = end;
    }
}

/// The classes of the characters in a block. All bytes of a character have its bits.
struct Classes {
    /// `\p{L}`
    letters: u64,
    /// `\p{N}`
    numbers: u64,
    /// `\s`
    spaces: u64,
    /// `[\p{Lu}\p{Lt}]`
    upper: u64,
    /// `\p{Ll}`
    lower: u64,
    /// `\p{M}`
    marks: u64,
    /// The first bytes of characters of one, two, three and four bytes.
    starts: [u64; 4],
    ascii: Masks,
    /// The bytes before the last character that is whole: a border there depends on characters in the block alone.
    known: u64,
}

impl Classes {
    #[inline(always)]
    fn new<K: Kernel>(block: &[u8; BLOCK_BYTES], traits: &[Traits]) -> Classes {
        let (head, _) = block.split_first_chunk::<64>().expect("a block is longer");
        let ascii = K::masks(head);
        let mut classes = Classes {
            letters: ascii.letters,
            numbers: ascii.numbers,
            spaces: ascii.spaces,
            upper: ascii.capitals,
            lower: ascii.letters & !ascii.capitals,
            marks: 0,
            starts: [!ascii.wide, 0, 0, 0],
            ascii,
            known: !0 >> 1,
        };
        if ascii.wide != 0 {
            classes.add_wide(block, traits);
        }
        classes
    }

    /// Adds the characters beyond ASCII.
    #[inline(always)]
    fn add_wide(&mut self, block: &[u8; BLOCK_BYTES], traits: &[Traits]) {
        let mut leads = self.ascii.leads;
        while leads != 0 {
            let place = leads.trailing_zeros() as usize;
            leads &= leads - 1;
            let (code, len) = decode_wide(&block[place..]);
            let of = traits[code as usize];
            let bytes = ((1 << len) - 1) << place;
            let bytes_if = |is: bool| if is { bytes } else { 0 };
            self.letters |= bytes_if(of.any(Traits::LETTER));
            self.numbers |= bytes_if(of.any(Traits::NUMBER));
            self.spaces |= bytes_if(of.any(Traits::SPACE));
            self.upper |= bytes_if(of.any(Traits::UPPER) && !of.any(Traits::LOWER));
            self.lower |= bytes_if(of.any(Traits::LOWER) && !of.any(Traits::UPPER));
            self.marks |= bytes_if(of.any(Traits::MARK));
            self.starts[len - 1] |= 1 << place;
        }
        let [one, two, three, four] = self.starts;
        let whole = one | two & !(1 << 63) | three & !(3 << 62) | four & !(7 << 61);
        self.known = below(63 - whole.leading_zeros());
    }

    /// From the first bytes of characters to the bytes after them.
    #[inline(always)]
    fn after(&self, starts: u64) -> u64 {
        let [one, two, three, four] = self.starts;
        (starts & one) << 1 | (starts & two) << 2 | (starts & three) << 3 | (starts & four) << 4
    }

    /// The first bytes of the characters of `class` that one outside of `run` follows.
    #[inline(always)]
    fn last_before(&self, class: u64, run: u64) -> u64 {
        let [one, two, three, _] = self.starts;
        class & (one & !(run >> 1) | two & !(run >> 2) | three & !(run >> 3))
    }

    /// Ends of numbers of three digits, in runs of them.
    #[inline(always)]
    fn thirds(&self) -> u64 {
        let numbers = self.ascii.numbers;
        let mut long = numbers & numbers >> 1 & numbers >> 2 & numbers >> 3;
        let mut ends = 0;
        while long != 0 {
            let end = long.trailing_zeros() + 3;
            ends |= 1 << end;
            long &= !below(end);
        }
        ends
    }
}

/// The bits below a number of at most 63.
#[inline(always)]
fn below(bit: u32) -> u64 {
    (1 << bit) - 1
}

/// Bits below the lowest of `bits`; all if there is none.
#[inline(always)]
fn below_lowest(bits: u64) -> u64 {
    !bits & bits.wrapping_sub(1)
}

/// Where runs of a class begin.
#[inline(always)]
fn begins(class: u64) -> u64 {
    class & !(class << 1)
}
