//! The borders of each pattern, from the classes of the characters in a block.

use super::{BLOCK_BYTES, Classes, MaskedPattern, begins, below, below_lowest};
use crate::split::pretokenize::contraction;
use crate::split::scan::contraction_of_any_case;

/// GPT-2's pattern.
pub(super) struct Gpt2;

impl MaskedPattern for Gpt2 {
    #[inline(always)]
    fn ends_in_block(block: &[u8; BLOCK_BYTES], classes: &Classes) -> u64 {
        let &Classes { letters, numbers, spaces, mut known, .. } = classes;
        let others = !(letters | numbers | spaces);
        // If a blank is before a run, the pretoken begins there instead.
        let unprefixed = !(classes.ascii.blanks << 1);
        let others_begin = begins(others) & unprefixed;
        let words = (begins(letters) | begins(numbers)) & unprefixed | others_begin;
        // White space: the run begins a pretoken, and its last character, which is left to the next one.
        let mut borders = words | begins(spaces) | classes.last_before(spaces, spaces);
        let mut contractions = others_begin & classes.ascii.apostrophes & known;
        while contractions != 0 {
            let place = contractions.trailing_zeros() as usize;
            contractions &= contractions - 1;
            if let Some(len) = contraction(&block[place + 1..]) {
                let end = place + 1 + len;
                if end >= 63 || known >> end & 1 == 0 {
                    // Its end may be beyond the known bytes: it is left to the next block.
                    known &= (2 << place) - 1;
                    break;
                }
                borders = borders & !(2 << place) | 1 << end;
            }
        }
        borders & known & !1
    }
}

/// What the later patterns have in common: signs take a blank before them and line ends behind them, and white space up
/// to its last line end is one pretoken.
struct SignsAndSpaces {
    /// Where signs begin a pretoken.
    signs_begin: u64,
    /// Where white space does.
    spaces_begin: u64,
    /// White space without line ends: the last of it, before a word, begins the word's pretoken.
    blanks: u64,
    /// Line ends that belong to the signs before them.
    of_signs: u64,
    /// Where a word begins behind a sign that stands alone, which begins its pretoken.
    behind_sign: u64,
    known: u64,
}

impl SignsAndSpaces {
    #[inline(always)]
    fn new(classes: &Classes, signs: u64) -> SignsAndSpaces {
        let &Classes { spaces, mut known, .. } = classes;
        let line_ends = classes.ascii.line_ends;
        let signs_begin = begins(signs) & !(classes.ascii.blanks << 1);
        // Line ends behind signs are theirs: adding a bit to the first of a run clears the run.
        let of_signs = line_ends & !line_ends.wrapping_add(line_ends & signs << 1);
        let spaces = spaces & !of_signs;
        let blanks = spaces & !line_ends;
        // Blanks behind a line end begin a pretoken, unless another line end follows them: that is hard.
        let behind_line_end = begins(blanks) & (spaces & line_ends) << 1;
        let behind_those = blanks.wrapping_add(behind_line_end) & !blanks;
        let before_line_end = behind_those & line_ends;
        if before_line_end != 0 {
            let begin = behind_line_end & below_lowest(before_line_end);
            known &= below(63 - begin.leading_zeros());
        }
        // So are those whose end is not known.
        if blanks & known.wrapping_add(1) != 0 {
            let begin = begins(blanks) & (known << 1 | 1);
            known &= below(63 - begin.leading_zeros());
        }
        SignsAndSpaces {
            signs_begin,
            spaces_begin: begins(spaces) | behind_line_end | classes.last_before(blanks, classes.spaces),
            blanks,
            of_signs,
            behind_sign: classes.after(signs_begin),
            known,
        }
    }
}

/// The patterns of GPT-4 and Llama 3 (numbers by three), and of Qwen (single digits).
pub(super) struct Cl100k<const BY_THREE: bool>;

impl<const BY_THREE: bool> MaskedPattern for Cl100k<BY_THREE> {
    #[inline(always)]
    fn ends_in_block(block: &[u8; BLOCK_BYTES], classes: &Classes) -> u64 {
        let &Classes { letters, numbers, spaces, ascii, .. } = classes;
        let common = SignsAndSpaces::new(classes, !(letters | numbers | spaces));
        let mut known = common.known;
        let number_ends = if BY_THREE {
            known &= below_lowest(numbers & ascii.wide);
            begins(numbers) | classes.thirds()
        } else {
            numbers & (!ascii.wide | ascii.leads)
        };
        let words_begin = begins(letters) & !(common.blanks << 1) & !common.behind_sign;
        let mut borders = common.signs_begin | common.spaces_begin | number_ends | words_begin;
        let mut contractions = common.signs_begin & ascii.apostrophes & known;
        while contractions != 0 {
            let place = contractions.trailing_zeros() as usize;
            contractions &= contractions - 1;
            let len = contraction_of_any_case(&block[place..]);
            if len > 0 {
                let end = place + len;
                if end >= 63 || known >> end & 1 == 0 {
                    known &= (2 << place) - 1;
                    break;
                }
                borders |= 1 << end;
            }
        }
        borders & known & !1
    }
}

/// GPT-4o's pattern.
pub(super) struct O200k;

impl MaskedPattern for O200k {
    #[inline(always)]
    fn ends_in_block(block: &[u8; BLOCK_BYTES], classes: &Classes) -> u64 {
        let &Classes { letters, numbers, spaces, upper, lower, marks, ascii, .. } = classes;
        let word = letters | marks;
        let common = SignsAndSpaces::new(classes, !(word | numbers | spaces));
        let starts = !ascii.wide | ascii.leads;
        let without_case = word & !upper & !lower;
        // An upper-case letter behind letters without case, a mark behind none, a slash behind the line ends of signs, and
        // numbers beyond ASCII.
        let hard = upper & starts & without_case << 1
            | marks & starts & !(word << 1)
            | ascii.slashes & common.of_signs << 1
            | numbers & ascii.wide;
        let mut known = common.known & below_lowest(hard);
        let words_begin = begins(word) & !(common.blanks << 1) & !common.behind_sign | upper & starts & lower << 1;
        let numbers_begin = begins(numbers) | classes.thirds();
        let mut borders = common.signs_begin | common.spaces_begin | numbers_begin | words_begin;
        let mut contractions = common.signs_begin & ascii.apostrophes & word << 1 & known;
        let mut end_of_last = 0;
        while contractions != 0 {
            let place = contractions.trailing_zeros() as usize;
            contractions &= contractions - 1;
            let len = contraction_of_any_case(&block[place..]);
            if len > 0 {
                let end = place + len;
                // Behind a contraction, no word is open that another could belong to.
                if place == end_of_last || end >= 63 || known >> end & 1 == 0 {
                    known &= below(place as u32);
                    break;
                }
                borders = borders & !(below(end as u32) & !below(place as u32)) | 1 << end;
                end_of_last = end;
            }
        }
        borders & known & !1
    }
}
