//! The steps of a `tokenizer.json`.

use serde_json::Value;

use super::{Behavior, Finder, SplitStep};
use crate::split::normalizer::parse_pattern;
use crate::split::pattern::{KnownPattern, SplitRegex};

/// The punctuation of Hugging Face's step: that of ASCII, and category P by Unicode 8, in which two characters were of it
/// that are now of others.
const PUNCTUATION: &str = r"[!-/:-@\[-`{-~[\p{P}&&\p{Age=8.0}]\u{166d}\u{111c9}]";

/// The known pattern that steps are.
pub(super) fn known(steps: &[SplitStep]) -> Option<KnownPattern> {
    let (SplitStep::ToVisible, splits) = steps.split_last()? else { return None };
    let mut patterns = Vec::new();
    for step in splits {
        let SplitStep::Split { finder, behavior, is_inverted } = step else { return None };
        if !matches!((behavior, is_inverted), (Behavior::Isolated, _) | (Behavior::Removed, true)) {
            return None;
        }
        patterns.push(finder);
    }
    match patterns.as_slice() {
        [Finder::Known(pattern)] => Some(*pattern),
        [Finder::Regex(a), Finder::Regex(b), Finder::Regex(c)] => {
            let isolates =
                splits.iter().all(|step| matches!(step, SplitStep::Split { behavior: Behavior::Isolated, .. }));
            let is_deepseek = [a, b, c].map(SplitRegex::source) == *KnownPattern::DeepSeek3.regexes();
            (is_deepseek && isolates).then_some(KnownPattern::DeepSeek3)
        }
        _ => None,
    }
}

pub(super) fn add_steps(json: &Value, steps: &mut Vec<SplitStep>) -> Result<(), String> {
    let kind = match json {
        Value::Null => return Ok(()),
        _ => json["type"].as_str().ok_or("its pre-tokenizer has no type")?,
    };
    let flag = |key: &str, default: Option<bool>| {
        json[key].as_bool().or(default).ok_or_else(|| format!("its pre-tokenizer {kind} has no {key}"))
    };
    let mut split = |finder, behavior, is_inverted| steps.push(SplitStep::Split { finder, behavior, is_inverted });
    match kind {
        "Sequence" => {
            let all = json["pretokenizers"].as_array().ok_or("its pre-tokenizer Sequence has no pretokenizers")?;
            return all.iter().try_for_each(|step| add_steps(step, steps));
        }
        "Split" => split(parse_finder(&json["pattern"])?, parse_behavior(&json["behavior"])?, flag("invert", None)?),
        "Digits" => {
            let behavior = if flag("individual_digits", None)? { Behavior::Isolated } else { Behavior::Contiguous };
            split(Finder::Numbers, behavior, false);
        }
        "Punctuation" => {
            let behavior =
                if json["behavior"].is_null() { Behavior::Isolated } else { parse_behavior(&json["behavior"])? };
            split(Finder::Regex(SplitRegex::of_rust(PUNCTUATION)), behavior, false);
        }
        "Whitespace" => split(Finder::Regex(SplitRegex::of_rust(r"\w+|[^\w\s]+")), Behavior::Removed, true),
        "WhitespaceSplit" => split(Finder::Spaces, Behavior::Removed, false),
        "CharDelimiterSplit" => {
            let char = json["delimiter"].as_str().and_then(|text| text.chars().next());
            split(Finder::Char(char.ok_or("its CharDelimiterSplit has no delimiter")?), Behavior::Removed, false);
        }
        "ByteLevel" => {
            if flag("add_prefix_space", None)? {
                steps.push(SplitStep::PrefixSpace);
            }
            if flag("use_regex", Some(true))? {
                let finder = Finder::Known(KnownPattern::Gpt2);
                steps.push(SplitStep::Split { finder, behavior: Behavior::Isolated, is_inverted: false });
            }
            steps.push(SplitStep::ToVisible);
        }
        other => return Err(format!("its pre-tokenizer {other} is not known")),
    }
    Ok(())
}

fn parse_finder(json: &Value) -> Result<Finder, String> {
    let known = json["Regex"].as_str().and_then(KnownPattern::of_regex);
    known.map_or_else(|| parse_pattern(json).map(Finder::Regex), |known| Ok(Finder::Known(known)))
}

fn parse_behavior(json: &Value) -> Result<Behavior, String> {
    Ok(match json.as_str() {
        Some("Removed") => Behavior::Removed,
        Some("Isolated") => Behavior::Isolated,
        Some("MergedWithPrevious") => Behavior::MergedWithPrevious,
        Some("MergedWithNext") => Behavior::MergedWithNext,
        Some("Contiguous") => Behavior::Contiguous,
        _ => return Err(format!("the behaviour {json} of its pre-tokenizer is not known")),
    })
}
