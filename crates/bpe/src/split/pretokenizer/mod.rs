//! How a tokenizer splits a text into pretokens: by a known pattern, or by the steps of a `tokenizer.json`, followed as
//! Hugging Face's tokenizers follow them.

#[cfg(test)]
mod parity;
mod parse;
mod pieces;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::pattern::{KnownPattern, SplitRegex};
use parse::{add_steps, known};
pub(crate) use pieces::Pieces;

/// A tokenizer's way of splitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pretokenizer {
    Known(KnownPattern),
    Steps(Vec<SplitStep>),
}

/// One step; each splits what the one before left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SplitStep {
    Split {
        finder: Finder,
        behavior: Behavior,
        is_inverted: bool,
    },
    /// A space before each piece that does not begin with one.
    PrefixSpace,
    /// From here on, patterns see the characters that stand for bytes.
    ToVisible,
}

/// What finds the matches of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finder {
    Known(KnownPattern),
    Regex(SplitRegex),
    /// Each digit and number.
    Numbers,
    /// Each character of white space.
    Spaces,
    /// One character.
    Char(char),
}

/// What becomes of the matches of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

impl Pretokenizer {
    /// The entry `pre_tokenizer` of a `tokenizer.json`. `is_visible`: whether the normalizer made bytes visible already.
    ///
    /// # Errors
    /// What of it is not known.
    pub(crate) fn parse(json: &Value, is_visible: bool) -> Result<Pretokenizer, String> {
        let mut steps = Vec::new();
        if is_visible {
            steps.push(SplitStep::ToVisible);
        }
        add_steps(json, &mut steps)?;
        match steps.iter().filter(|step| **step == SplitStep::ToVisible).count() {
            0 => return Err("it is not byte-level: it has no ByteLevel, neither pre-tokenizer nor normalizer".into()),
            1 => {}
            _ => return Err("it has ByteLevel more than once, which makes bytes of bytes".into()),
        }
        Ok(known(&steps).map_or(Pretokenizer::Steps(steps), Pretokenizer::Known))
    }

    /// A pre-tokenizer that splits by a pattern alone.
    pub(crate) fn of_regex(regex: SplitRegex) -> Pretokenizer {
        let finder = Finder::Regex(regex);
        let split = SplitStep::Split { finder, behavior: Behavior::Isolated, is_inverted: false };
        Pretokenizer::Steps(vec![split, SplitStep::ToVisible])
    }

    /// A pre-tokenizer that takes the matches of a pattern, as tiktoken does, and drops what is between them.
    pub(crate) fn of_matches(regex: SplitRegex) -> Pretokenizer {
        let finder = Finder::Regex(regex);
        let split = SplitStep::Split { finder, behavior: Behavior::Removed, is_inverted: true };
        Pretokenizer::Steps(vec![split, SplitStep::ToVisible])
    }

    /// What is written as `pre_tokenizer` for a known pattern.
    pub(crate) fn json_of_known(pattern: KnownPattern) -> Value {
        if pattern == KnownPattern::Gpt2 {
            return json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        }
        Pretokenizer::json_of_regexes(pattern.regexes())
    }

    /// What is written as `pre_tokenizer` for regular expressions, each of which splits what the one before left.
    pub(crate) fn json_of_regexes(regexes: &[&str]) -> Value {
        let split = |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        Pretokenizer::json_of_splits(regexes.iter().map(split).collect())
    }

    /// The same for [`of_matches`](Pretokenizer::of_matches).
    pub(crate) fn json_of_matches(regex: &str) -> Value {
        let split = json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Removed", "invert": true});
        Pretokenizer::json_of_splits(vec![split])
    }

    fn json_of_splits(mut steps: Vec<Value>) -> Value {
        steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
        json!({"type": "Sequence", "pretokenizers": steps})
    }

    /// The one regular expression by which texts are split, if that is all, and whether what is between its matches is
    /// kept.
    pub(crate) fn only_regex(&self) -> Option<(&SplitRegex, bool)> {
        let Pretokenizer::Steps(steps) = self else { return None };
        let [SplitStep::Split { finder: Finder::Regex(regex), behavior, is_inverted }, SplitStep::ToVisible] =
            steps.as_slice()
        else {
            return None;
        };
        match (behavior, is_inverted) {
            (Behavior::Isolated, _) => Some((regex, true)),
            (Behavior::Removed, true) => Some((regex, false)),
            _ => None,
        }
    }

    /// The pieces of a text that is not empty.
    pub(crate) fn pieces(&self, text: &str) -> Pieces {
        let mut pieces = Pieces { bytes: text.as_bytes().to_vec(), ranges: std::iter::once(0..text.len()).collect() };
        match self {
            Pretokenizer::Known(pattern) => pieces.split(&Finder::Known(*pattern), Behavior::Isolated, false, false),
            Pretokenizer::Steps(steps) => {
                let mut is_visible = false;
                for step in steps {
                    match step {
                        SplitStep::PrefixSpace => pieces.prefix_spaces(),
                        SplitStep::ToVisible => is_visible = true,
                        SplitStep::Split { finder, behavior, is_inverted } => {
                            pieces.split(finder, *behavior, *is_inverted, is_visible);
                        }
                    }
                }
            }
        }
        pieces
    }

    /// Whether a text has the same pieces if it is cut before a blank that follows another character.
    pub(crate) fn allows_cuts(&self) -> bool {
        matches!(self, Pretokenizer::Known(_))
    }

    /// One line for people.
    #[cfg(feature = "cli")]
    pub(crate) fn describe(&self) -> String {
        match self {
            Pretokenizer::Known(pattern) => format!("the pattern of {pattern}"),
            Pretokenizer::Steps(steps) => steps.iter().map(SplitStep::describe).collect::<Vec<_>>().join(", then "),
        }
    }
}

#[cfg(feature = "cli")]
impl SplitStep {
    fn describe(&self) -> String {
        match self {
            SplitStep::PrefixSpace => "a space before each piece that has none".to_owned(),
            SplitStep::ToVisible => "bytes".to_owned(),
            SplitStep::Split { finder, behavior, is_inverted } => {
                let what = match finder {
                    Finder::Known(pattern) => format!("the pattern of {pattern}"),
                    Finder::Regex(regex) => format!("the pattern {regex:?}"),
                    Finder::Numbers => "each digit".to_owned(),
                    Finder::Spaces => "white space".to_owned(),
                    Finder::Char(char) => format!("{char:?}"),
                };
                let inverted = if *is_inverted { ", inverted" } else { "" };
                format!("split by {what} ({behavior:?}{inverted})")
            }
        }
    }
}
