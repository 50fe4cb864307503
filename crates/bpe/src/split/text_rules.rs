//! What a tokenizer does to a text before merging: normalise it and split it.

use std::borrow::Cow;

use serde_json::Value;

use super::normalizer::NormalizerStep;
use super::pattern::{KnownPattern, SplitRegex};
use super::pretokenize::Cuts;
use super::pretokenizer::{Pieces, Pretokenizer};

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
    /// For a name that is not known, and what of the regular expression is wrong or not followed.
    pub(crate) fn of_pattern(pattern: &str) -> Result<TextRules, String> {
        if let Some(known) = KnownPattern::of_given(pattern)? {
            return Ok(TextRules::of_known(known));
        }
        let json = [Value::Null, Pretokenizer::json_of_regexes(&[pattern])];
        let pretokenizer = Pretokenizer::of_regex(SplitRegex::new(pattern)?);
        Ok(TextRules { normalizer: Vec::new(), pretokenizer, json })
    }

    /// Splits by a pattern's name, or by the matches of a regular expression that is read as tiktoken reads it: what is
    /// between them has no tokens.
    ///
    /// # Errors
    /// For a name that is not known, and what of the regular expression is wrong.
    pub(crate) fn of_tiktoken_pattern(pattern: &str) -> Result<TextRules, String> {
        if let Some(known) = KnownPattern::of_given(pattern)? {
            return Ok(TextRules::of_known(known));
        }
        let json = [Value::Null, Pretokenizer::json_of_matches(pattern)];
        let pretokenizer = Pretokenizer::of_matches(SplitRegex::of_tiktoken(pattern)?);
        Ok(TextRules { normalizer: Vec::new(), pretokenizer, json })
    }

    /// Whether a `tokenizer.json` can say them: a regular expression may be read otherwise there.
    pub(crate) fn are_the_same_in_json(&self) -> bool {
        TextRules::parse(&self.json[0], &self.json[1]).is_ok_and(|read| read == *self)
    }

    /// Whether the normalizer's last step makes bytes visible, so that added tokens are looked for among these.
    pub(crate) fn normalizes_to_bytes(&self) -> bool {
        NormalizerStep::parse_all(&self.json[0]).is_ok_and(|steps| steps.last() == Some(&NormalizerStep::ByteLevel))
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

    /// The pattern's name or regular expression, if there is nothing but one.
    pub(crate) fn pattern_source(&self) -> Option<String> {
        if let Some(known) = self.known_pattern() {
            return Some(known.name().to_owned());
        }
        let source = self.json[1]["pretokenizers"][0]["pattern"]["Regex"].as_str()?;
        TextRules::of_pattern(source).is_ok_and(|rules| rules == *self).then(|| source.to_owned())
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

    /// The one regular expression by which a normalised text is split, if that is all, and whether what is between its
    /// matches is kept.
    pub(crate) fn only_regex(&self) -> Option<(&SplitRegex, bool)> {
        self.pretokenizer.only_regex()
    }

    /// The pretokens of a normalised text that is not empty.
    pub(crate) fn pieces(&self, text: &str) -> Pieces {
        self.pretokenizer.pieces(text)
    }

    /// Whether a text has the same pretokens if it is cut before a blank that follows another character.
    pub(crate) fn allows_cuts(&self) -> bool {
        self.pretokenizer.allows_cuts() && self.normalizer.iter().all(NormalizerStep::allows_cuts)
    }

    /// Where a text may be cut, so that its parts have the pretokens of the whole.
    pub(crate) fn cuts(&self) -> Cuts {
        let pattern = self.pattern_after_normalizer().filter(|_| self.allows_cuts());
        pattern.map_or(Cuts::Never, Cuts::of_pattern)
    }

    /// A line for people for each of the normalizer and the pre-tokenizer.
    #[cfg(feature = "cli")]
    pub(crate) fn describe(&self) -> [String; 2] {
        let steps: Vec<String> = self.normalizer.iter().map(|step| format!("{step:?}")).collect();
        let normalizer = if steps.is_empty() { "none".to_owned() } else { steps.join(", then ") };
        [normalizer, self.pretokenizer.describe()]
    }
}
