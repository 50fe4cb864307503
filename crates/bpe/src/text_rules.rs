//! What a tokenizer does to a text before merging: normalise it and split it.

use std::borrow::Cow;

use serde_json::Value;

use crate::borders::{BLOCK_BYTES, Visitor, visit};
use crate::normalizer::NormalizerStep;
use crate::pattern::{KnownPattern, SplitRegex};
use crate::pretokenize::Cuts;
use crate::pretokenizer::{Pieces, Pretokenizer};
use crate::simd::{Kernel, WithKernel, with_kernel};

/// A normalizer and a pre-tokenizer. Equal if their JSON is.
#[derive(Debug, Clone)]
pub(crate) struct TextRules {
    normalizer: Vec<NormalizerStep>,
    pretokenizer: Pretokenizer,
    /// The entries `normalizer` and `pre_tokenizer` of a `tokenizer.json`.
    json: [Value; 2],
}

impl PartialEq for TextRules {
    fn eq(&self, other: &Self) -> bool {
        self.normalizer == other.normalizer && self.pretokenizer == other.pretokenizer
    }
}

impl Eq for TextRules {}

impl Default for TextRules {
    /// GPT-2's.
    fn default() -> TextRules {
        TextRules::of_known(KnownPattern::Gpt2)
    }
}

impl TextRules {
    /// Splits by a known pattern; nothing is normalised.
    pub(crate) fn of_known(pattern: KnownPattern) -> TextRules {
        let json = [Value::Null, Pretokenizer::json_of_known(pattern)];
        TextRules { normalizer: Vec::new(), pretokenizer: Pretokenizer::Known(pattern), json }
    }

    /// Splits by a pattern's name or a regular expression.
    ///
    /// # Errors
    /// What is wrong with the regular expression.
    pub(crate) fn of_pattern(pattern: &str) -> Result<TextRules, String> {
        if let Some(known) = KnownPattern::of_name(pattern).or_else(|| KnownPattern::of_regex(pattern)) {
            return Ok(TextRules::of_known(known));
        }
        let json = [Value::Null, Pretokenizer::json_of_regexes(&[pattern])];
        let pretokenizer = Pretokenizer::of_regex(SplitRegex::new(pattern)?);
        Ok(TextRules { normalizer: Vec::new(), pretokenizer, json })
    }

    /// The rules of a `tokenizer.json`.
    ///
    /// # Errors
    /// What of them is not known.
    pub(crate) fn parse(normalizer_json: &Value, pretokenizer_json: &Value) -> Result<TextRules, String> {
        let normalizer = NormalizerStep::parse_all(normalizer_json)?;
        let is_visible = normalizer.last() == Some(&NormalizerStep::ByteLevel);
        let pretokenizer = Pretokenizer::parse(pretokenizer_json, is_visible)?;
        let normalizer = normalizer.into_iter().filter(|step| *step != NormalizerStep::ByteLevel).collect();
        Ok(TextRules { normalizer, pretokenizer, json: [normalizer_json.clone(), pretokenizer_json.clone()] })
    }

    /// The entries `normalizer` and `pre_tokenizer` of a `tokenizer.json`.
    pub(crate) fn json(&self) -> &[Value; 2] {
        &self.json
    }

    /// The pattern, if there is nothing but one with a scanner.
    pub(crate) fn known_pattern(&self) -> Option<KnownPattern> {
        self.pattern_after_normalizer().filter(|_| self.normalizer.is_empty())
    }

    /// The pattern by which the normalised text is split, if it has a scanner.
    pub(crate) fn pattern_after_normalizer(&self) -> Option<KnownPattern> {
        match self.pretokenizer {
            Pretokenizer::Known(pattern) => Some(pattern),
            Pretokenizer::Steps(_) => None,
        }
    }

    /// The text in its normal form.
    pub(crate) fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.normalizer.iter().fold(Cow::Borrowed(text), |text, step| step.apply(text))
    }

    /// The pretokens of a normalised text that is not empty.
    pub(crate) fn pieces(&self, text: &str) -> Pieces {
        self.pretokenizer.pieces(text)
    }

    /// Whether a text has the same pretokens if it is cut before a blank that follows another character.
    pub(crate) fn allows_cuts(&self) -> bool {
        self.pretokenizer.allows_cuts() && self.normalizer.iter().all(NormalizerStep::allows_cuts)
    }

    /// A line for people for each of the normalizer and the pre-tokenizer.
    #[cfg(feature = "cli")]
    pub(crate) fn describe(&self) -> [String; 2] {
        let steps: Vec<String> = self.normalizer.iter().map(|step| format!("{step:?}")).collect();
        let normalizer = if steps.is_empty() { "none".to_owned() } else { steps.join(", then ") };
        [normalizer, self.pretokenizer.describe()]
    }
}

/// How texts are split for training: by a known pattern or a regular expression. Default: GPT-2's pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splitter(TextRules);

impl Splitter {
    /// Splits by the pattern of a name ([`crate::PATTERN_NAMES`]) or by a regular expression.
    ///
    /// # Errors
    /// What is wrong with the regular expression.
    pub fn of_pattern(pattern: &str) -> Result<Splitter, String> {
        TextRules::of_pattern(pattern).map(Splitter)
    }

    /// Where a text may be cut, so that its parts have the pretokens of the whole.
    pub fn cuts(&self) -> Cuts {
        self.0.known_pattern().map_or(Cuts::Never, Cuts::of_pattern)
    }

    /// The known pattern, if it is one.
    pub fn known_pattern(&self) -> Option<KnownPattern> {
        self.0.known_pattern()
    }

    /// Calls `each` with the pretokens of a text, in order.
    pub fn for_each_pretoken(&self, text: &str, mut each: impl FnMut(&[u8])) {
        if text.is_empty() {
            return;
        }
        if let Some(pattern) = self.0.known_pattern() {
            return with_kernel(EachPretoken { pattern, text, each });
        }
        let pieces = self.0.pieces(text);
        pieces.ranges.into_iter().for_each(|range| each(&pieces.bytes[range]));
    }

    pub(crate) fn rules(&self) -> &TextRules {
        &self.0
    }
}

/// Calls a function with the pretokens of a known pattern.
struct EachPretoken<'t, F> {
    pattern: KnownPattern,
    text: &'t str,
    each: F,
}

impl<F: FnMut(&[u8])> WithKernel for EachPretoken<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        visit::<K>(self.pattern, self.text, &mut self);
    }
}

impl<F: FnMut(&[u8])> Visitor for EachPretoken<'_, F> {
    #[inline(always)]
    fn block(&mut self, _: usize, block: &[u8; BLOCK_BYTES], mut ends: u64) {
        let mut start = 0;
        while ends != 0 {
            let end = ends.trailing_zeros() as usize;
            ends &= ends - 1;
            (self.each)(&block[start..end]);
            start = end;
        }
    }

    #[inline(always)]
    fn single(&mut self, _: usize, pretoken: &[u8]) {
        (self.each)(pretoken);
    }
}
