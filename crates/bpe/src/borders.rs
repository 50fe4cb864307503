//! The borders of pretokens in 64 bytes at a time, for each known pattern but DeepSeek 3's.
//!
//! Each class of characters is a mask with a bit for each byte, and a border follows from the classes of the characters
//! beside it, so shifts and ands of masks give all borders of a block at once. What depends on more (an upper-case letter
//! behind letters without case, a run longer than the block) is *hard*: the block ends before it, and the scanners take
//! over for one pretoken. Property tests hold both against each other.

use crate::classes::{Traits, traits_table};
use crate::pattern::KnownPattern;
use crate::pretokenize::{contraction, decode_wide};
use crate::scan::{Scanner, contraction_of_any_case};
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

/// GPT-2's pattern.
struct Gpt2;

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
struct Cl100k<const BY_THREE: bool>;

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
struct O200k;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{WithKernel, each_kernel};

    /// Collects the pretokens of a text.
    struct Collected<'t> {
        text: &'t str,
        pattern: KnownPattern,
        pretokens: Vec<&'t str>,
        /// Pretokens that no block had.
        single: usize,
    }

    impl Visitor for &mut Collected<'_> {
        fn block(&mut self, at: usize, block: &[u8; BLOCK_BYTES], mut ends: u64) {
            assert_eq!(block, &self.text.as_bytes()[at..at + BLOCK_BYTES]);
            let mut start = at;
            while ends != 0 {
                let end = at + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                self.pretokens.push(&self.text[start..end]);
                start = end;
            }
        }

        fn single(&mut self, at: usize, pretoken: &[u8]) {
            self.single += 1;
            self.pretokens.push(&self.text[at..at + pretoken.len()]);
        }
    }

    impl WithKernel for &mut Collected<'_> {
        type Output = ();

        fn run<K: Kernel>(mut self) {
            self.pretokens.clear();
            self.single = 0;
            visit::<K>(self.pattern, self.text, &mut self);
        }
    }

    /// Compares with the scanners, with every kernel; returns the share of pretokens that blocks had.
    fn check(pattern: KnownPattern, text: &str) -> f64 {
        let (scanner, mut expected, mut at) = (Scanner::new(text), Vec::new(), 0);
        while at < text.len() {
            let end = scanner.end(pattern, at);
            expected.push(&text[at..end]);
            at = end;
        }
        let mut collected = Collected { text, pattern, pretokens: Vec::new(), single: 0 };
        each_kernel(&mut collected, |collected| assert_eq!(collected.pretokens, expected, "{pattern} on {text:?}"));
        1.0 - collected.single as f64 / expected.len().max(1) as f64
    }

    fn check_all(text: &str) {
        for pattern in KnownPattern::ALL {
            check(pattern, text);
        }
    }

    /// Each hard place at every distance from a block's end.
    #[test]
    fn hard_places_at_every_place_of_a_block() {
        for hard in [
            "don't'S 's's ''re '",
            "  x",
            "\n\nx",
            " \u{a0}x",
            "é",
            "\u{3000}\u{3000}a",
            "1a1",
            "a\n \n  b.\n\n c",
            ".\n/x",
            "12345678",
            "1²3²",
            "中文ABCd",
            "e\u{301}E",
            "❤\u{fe0f}",
            "aB.b..c .d",
            "HTTPServer's",
            "«été»",
            "  \n",
            "😀x",
        ] {
            for before in 0..80 {
                let text = "a ".repeat(before / 2) + &"b".repeat(before % 2) + hard + &" and so on".repeat(12);
                check_all(&text);
                check_all(&text.replace('b', "ю"));
            }
        }
    }

    /// Blocks are of no use if scanners do the work.
    #[test]
    fn blocks_have_nearly_all_pretokens() {
        let texts = [
            "The ferry didn't leave before 10:45, and nobody on board minded; \"why should they?\"\n\nIt rained.\n",
            "Паром не ушёл до 10:45, и никто на борту не возражал — почему бы и нет?\n\nШёл дождь.\n",
            "渡轮在10点45分之前没有离开，船上也没有人介意。为什么要介意呢？下雨了。\n",
            "नौका 10:45 से पहले नहीं निकली, और किसी को कोई आपत्ति नहीं थी। बारिश हो रही थी।\n",
            "    if let Some(x) = self.next() {\n        return Err(Error::new(x));\n    }\n",
        ];
        for text in texts {
            for pattern in KnownPattern::ALL.into_iter().filter(|&pattern| pattern != KnownPattern::DeepSeek3) {
                let share = check(pattern, &text.repeat(40));
                assert!(share > 0.95, "{pattern}: {share} of {text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn on_any_text(text in "\\PC{0,300}|(.|\n){100,300}") {
            check_all(&text);
        }

        #[test]
        fn on_text_of_few_characters(text in "[ a'slLrREvedSAZ\n\r1.é/\t\u{17f}\u{301}中ʰǅ\u{0}\u{a0}_²\u{3000}Ж»😀]{80,400}") {
            check_all(&text);
        }

        #[test]
        fn on_words(text in "(([ \n]|  |\r\n)?[A-Z]?[a-zж中ा]{0,9}('s|[.,]|\u{2019}t|[0-9]{1,7})?){20,60}") {
            check_all(&text);
        }
    }
}
