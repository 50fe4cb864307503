//! How texts are split into words for training.

use std::convert::Infallible;
use std::sync::Arc;

use super::borders::{BLOCK_BYTES, Visitor, visit};
use super::pretokenize::Cuts;
use super::sections::{Section, for_each_section};
use super::text_rules::TextRules;
use crate::simd::{Kernel, WithKernel, with_kernel};
use crate::{KnownPattern, Specials, Tokenizer};

/// How texts are split for training: by a known pattern, a regular expression, or as a tokenizer splits them. Default:
/// GPT-2's pattern.
#[derive(Debug, Clone, Default)]
pub struct Splitter {
    rules: TextRules,
    /// Cuts out its added tokens; none if it has no ordinary ones.
    tokenizer: Option<Arc<Tokenizer>>,
}

impl PartialEq for Splitter {
    fn eq(&self, other: &Self) -> bool {
        let added = |splitter: &Self| splitter.tokenizer.as_ref().map(|tokenizer| tokenizer.added_tokens().to_vec());
        self.rules == other.rules && added(self) == added(other)
    }
}

impl Eq for Splitter {}

impl Splitter {
    /// Splits by the pattern of a name ([`crate::PATTERN_NAMES`]) or by a regular expression.
    ///
    /// # Errors
    /// What is wrong with the regular expression.
    pub fn of_pattern(pattern: &str) -> Result<Splitter, String> {
        Ok(Splitter { rules: TextRules::of_pattern(pattern)?, tokenizer: None })
    }

    /// Splits as a tokenizer does when it encodes: texts are normalised, and added tokens are no words. Special tokens
    /// are ordinary text.
    pub fn of_tokenizer(tokenizer: &Tokenizer) -> Splitter {
        let has_ordinary = tokenizer.added_tokens().iter().any(|added| !added.special);
        let rules = tokenizer.rules().clone();
        Splitter { rules, tokenizer: has_ordinary.then(|| Arc::new(tokenizer.clone())) }
    }

    /// What says how texts are split: a pattern's name or regular expression, or all that a tokenizer does to them.
    pub fn name(&self) -> String {
        match (self.rules.pattern_source(), &self.tokenizer) {
            (Some(pattern), None) => pattern,
            (_, tokenizer) => {
                let added = tokenizer.as_ref().map(|tokenizer| tokenizer.added_tokens());
                serde_json::json!([self.rules.json(), added]).to_string()
            }
        }
    }

    /// Where a text may be cut, so that its parts have the pretokens of the whole.
    pub fn cuts(&self) -> Cuts {
        match &self.tokenizer {
            Some(tokenizer) => tokenizer.cuts(Specials::Ordinary),
            None => self.rules.cuts(),
        }
    }

    /// The known pattern, if there is nothing else.
    pub fn known_pattern(&self) -> Option<KnownPattern> {
        self.rules.known_pattern().filter(|_| self.tokenizer.is_none())
    }

    /// Calls `each` with the pretokens of a text, in order.
    pub fn for_each_pretoken(&self, text: &str, mut each: impl FnMut(&[u8])) {
        let matchers = self.tokenizer.as_ref().map_or(&[None, None], |tokenizer| tokenizer.matchers());
        let result = for_each_section(&self.rules, matchers, text, Specials::Ordinary, &mut |section| {
            match section {
                Section::Added { .. } | Section::Text { normalized: "", .. } => {}
                Section::Text { normalized, .. } => self.split(normalized, &mut each),
            }
            Ok(())
        });
        let Ok(()): Result<(), Infallible> = result;
    }

    /// The pretokens of a normalised text that is not empty.
    fn split(&self, text: &str, each: &mut impl FnMut(&[u8])) {
        if let Some(pattern) = self.rules.pattern_after_normalizer() {
            return with_kernel(EachPretoken { pattern, text, each });
        }
        if let Some((regex, keeps_between)) = self.rules.only_regex() {
            return regex.pieces(text, keeps_between).for_each(|range| each(&text.as_bytes()[range]));
        }
        let pieces = self.rules.pieces(text);
        pieces.ranges.into_iter().for_each(|range| each(&pieces.bytes[range]));
    }

    pub(crate) fn rules(&self) -> &TextRules {
        &self.rules
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tokenizer_json;

    fn pretokens(splitter: &Splitter, text: &str) -> Vec<String> {
        let mut pretokens = Vec::new();
        splitter.for_each_pretoken(text, |pretoken| pretokens.push(String::from_utf8_lossy(pretoken).into_owned()));
        pretokens
    }

    #[test]
    fn words_are_those_that_the_tokenizer_merges() {
        let json = tokenizer_json::write(&Tokenizer::gpt2());
        let tool = r#"{"id":50257,"content":"<tool>","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":false}"#;
        let json = json.replacen("\"added_tokens\":[", &format!("\"added_tokens\":[{tool},"), 1);
        let json = json.replacen("\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}", 1);
        let tokenizer = tokenizer_json::parse(&json).unwrap();
        let splitter = Splitter::of_tokenizer(&tokenizer);
        assert_eq!(pretokens(&splitter, "It IS <tool> so<|x|>"), ["it", " is", " so", "<|", "x", "|>"]);
        assert_eq!((splitter.known_pattern(), splitter.cuts()), (None, tokenizer.cuts(Specials::Ordinary)));
        let gpt2 = Splitter::of_tokenizer(&Tokenizer::gpt2());
        assert!(gpt2 == Splitter::default() && gpt2 != splitter && gpt2.cuts() == Cuts::BeforeSpaces);
    }
}
