//! Cuts a text without white space that is too long to be held: at the end of a word, or in a word where its encoding
//! has a token's end whatever follows.
//!
//! **Theorem** (of GitHub's `bpe` crate): a sequence of tokens is the encoding of its bytes if and only if each is
//! canonical and each two neighbours are a valid pair. So each part of an encoding is the encoding of its own bytes.
//!
//! **Consequence.** However a text goes on, one of its tokens ends among any *m* positions in sequence, where *m* is the
//! longest token's length; and what is before that end is the encoding of that prefix. So if all prefixes that end among
//! the last *m* positions held have a token's end at some place before, the whole text has it, too, and can be cut there.

use std::fmt;
use std::sync::Arc;

use super::canonical::PairMemo;
use super::model::{Merging, Model};
use crate::split::pattern::KnownPattern;
use crate::split::scan::Scanner;
use crate::{Specials, Tokenizer};

/// Shortest run of letters that is cut.
const MIN_RUN_BYTES: usize = 1 << 20;
/// Distances before the end at which a cut is tried.
const DISTANCES: [usize; 4] = [1 << 11, 1 << 13, 1 << 15, 1 << 17];

/// Cuts before what follows a word, and runs of ASCII letters of one case.
#[derive(Clone)]
pub struct RunCutter {
    model: Arc<Model>,
    pattern: KnownPattern,
    max_token_bytes: usize,
    /// Whether the merges keep the theorem's premises. Else texts are cut at ends of words alone.
    cuts_runs: bool,
}

impl fmt::Debug for RunCutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunCutter({})", self.pattern)
    }
}

impl RunCutter {
    /// A cutter for a tokenizer; none if its pattern has no scanner, or added tokens are to be found, which may lie across
    /// a cut.
    pub(crate) fn new(tokenizer: &Tokenizer, model: Arc<Model>, specials: Specials) -> Option<RunCutter> {
        if tokenizer.added_tokens().iter().any(|added| !added.special || specials != Specials::Ordinary) {
            return None;
        }
        let pattern = tokenizer.rules().pattern_after_normalizer().filter(|_| tokenizer.rules().allows_cuts())?;
        let max_token_bytes = tokenizer.vocabulary().map(|(_, token)| token.len()).max().unwrap_or(1);
        let cuts_runs = model.is_fast() && !model.has_whole() && max_token_bytes < DISTANCES[0];
        Some(RunCutter { model, pattern, max_token_bytes, cuts_runs })
    }

    /// Where a text, of which more follows, can be cut. The text begins at a pretoken, or at an earlier cut. In its first
    /// `searched` bytes no word ends.
    pub(crate) fn cut(&self, text: &[u8], searched: usize) -> Option<usize> {
        (searched.max(1)..text.len())
            .rev()
            .find(|&at| is_end_of_word(text[at - 1], text[at]))
            .or_else(|| self.cut_in_run(text))
    }

    fn cut_in_run(&self, text: &[u8]) -> Option<usize> {
        let is_same_case: fn(&u8) -> bool = match text.last()? {
            b'a'..=b'z' => u8::is_ascii_lowercase,
            b'A'..=b'Z' => u8::is_ascii_uppercase,
            _ => return None,
        };
        if !self.cuts_runs {
            return None;
        }
        let run = text.iter().rposition(|byte| !is_same_case(byte)).map_or(0, |at| at + 1);
        if text.len() - run < MIN_RUN_BYTES {
            return None;
        }
        let start = if run == 0 { 0 } else { self.last_pretoken(std::str::from_utf8(text).ok()?) };
        self.cut_of_pretoken(&text[start..]).map(|at| start + at)
    }

    /// Where the last pretoken begins.
    fn last_pretoken(&self, text: &str) -> usize {
        let (scanner, mut start) = (Scanner::new(text), 0);
        loop {
            let end = scanner.end(self.pattern, start);
            if end == text.len() {
                return start;
            }
            start = end;
        }
    }

    fn cut_of_pretoken(&self, pretoken: &[u8]) -> Option<usize> {
        let Merging::Fast { canonical, .. } = &self.model.merging else { return None };
        let (mut memo, mut ids) = (PairMemo::new(), Vec::new());
        canonical.encode(pretoken, &mut memo, &mut ids);
        let (mut end, mut after) = (pretoken.len(), ids.len());
        DISTANCES.into_iter().find_map(|distance| {
            while pretoken.len() - end < distance {
                after = after.checked_sub(1)?;
                end -= canonical.merges.len_of(ids[after]);
            }
            let left = ids[after.checked_sub(1)?];
            let mut ends = pretoken.len() - self.max_token_bytes..=pretoken.len();
            let mut right = Vec::new();
            let is_certain = ends.all(|prefix_end| {
                right.clear();
                canonical.encode(&pretoken[end..prefix_end], &mut memo, &mut right);
                memo.is_valid(&canonical.merges, left, right[0])
            });
            is_certain.then_some(end)
        })
    }
}

/// Whether a pretoken of every known pattern begins between two bytes: ASCII that is neither letter nor white space
/// follows a letter, and is not an apostrophe, which may begin a contraction.
fn is_end_of_word(before: u8, after: u8) -> bool {
    before.is_ascii_alphabetic() && after != b'\'' && (after.is_ascii_punctuation() || after.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoder;

    #[test]
    fn a_run_in_parts_has_the_ids_of_the_whole() {
        let tokenizer = Tokenizer::gpt2();
        let mut encoder = Encoder::new(&tokenizer);
        let cutter = encoder.run_cutter(Specials::Ordinary).unwrap();
        let mut state = 1u64;
        let mut letter = |letters: &[u8]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(letters[(state >> 33) as usize % letters.len()])
        };
        for letters in [&b"a"[..], b"ACGT", b"eisnrt"] {
            let text: String = " ".chars().chain((0..1_500_000).map(|_| letter(letters))).collect();
            let whole = encoder.encode(&text);
            let held = &text[..1_300_000];
            let cut = cutter.cut(held.as_bytes(), 0).unwrap();
            assert!(cut > 1_000_000, "{cut}");
            let parts = [encoder.encode(&text[..cut]), encoder.encode(&text[cut..])].concat();
            assert!(parts == whole, "{letters:?}");
        }
        assert_eq!(cutter.cut(b"short", 0), None);
        assert_eq!(cutter.cut(b"one,two'", 0), Some(3));
    }

    /// Merged by the definition: the end of a word is a cut, a place in a run is none.
    #[test]
    fn a_vocabulary_of_other_merges_is_cut_at_ends_of_words() {
        let tokenizer =
            crate::encode::model::tests::with_all_splits(&[(64, 64)], &["ab".into(), "abc".into(), "bc".into()]);
        let cutter = RunCutter::new(&tokenizer, tokenizer.model(), Specials::Ordinary).unwrap();
        let cutter = RunCutter { cuts_runs: false, ..cutter };
        assert_eq!(cutter.cut(b"one,two,three", 0), Some(7));
        assert_eq!(cutter.cut("a".repeat(2 << 20).as_bytes(), 0), None);
    }

    proptest::proptest! {
        #[test]
        fn pretokens_begin_at_ends_of_words(text in "[aZ's.,1 \n\u{e9}]{0,30}") {
            for pattern in KnownPattern::ALL {
                let (scanner, mut ends, mut at) = (Scanner::new(&text), vec![0], 0);
                while at < text.len() {
                    at = scanner.end(pattern, at);
                    ends.push(at);
                }
                for at in 1..text.len() {
                    let bytes = text.as_bytes();
                    proptest::prop_assert!(!is_end_of_word(bytes[at - 1], bytes[at]) || ends.contains(&at), "{} {:?} {}", pattern, text, at);
                }
            }
        }
    }
}
