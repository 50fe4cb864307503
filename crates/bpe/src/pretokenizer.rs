//! How a tokenizer splits a text into pretokens: by a known pattern, or by the steps of a `tokenizer.json`, followed as
//! Hugging Face's tokenizers follow them.

use std::ops::Range;

use serde_json::{Value, json};

use crate::byte_order::to_visible;
use crate::classes::{CharClass, class_of};
use crate::normalizer::parse_pattern;
use crate::pattern::{KnownPattern, SplitRegex};
use crate::scan::Scanner;

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
    /// Each character of Unicode's category N.
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

/// A text in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// The text, with what was put in.
    pub(crate) bytes: Vec<u8>,
    pub(crate) ranges: Vec<Range<usize>>,
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
        let mut steps: Vec<Value> = regexes.iter().map(split).collect();
        steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
        json!({"type": "Sequence", "pretokenizers": steps})
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

/// The known pattern that steps are.
fn known(steps: &[SplitStep]) -> Option<KnownPattern> {
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

fn add_steps(json: &Value, steps: &mut Vec<SplitStep>) -> Result<(), String> {
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
            // As Hugging Face's: ASCII's punctuation, and Unicode's category P.
            split(Finder::Regex(SplitRegex::new(r"[!-/:-@\[-`{-~\p{P}]")?), behavior, false);
        }
        "Whitespace" => split(Finder::Regex(SplitRegex::new(r"\w+|[^\w\s]+")?), Behavior::Removed, true),
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

impl Finder {
    /// The matches in a text and what is between them, which are all of it, and whether each is a match.
    fn find(&self, text: &str) -> Vec<(Range<usize>, bool)> {
        let (mut found, mut at) = (Vec::new(), 0);
        let mut push = |matched: Range<usize>| {
            if at < matched.start {
                found.push((at..matched.start, false));
            }
            at = matched.end;
            found.push((matched, true));
        };
        let mut push_chars = |is_one: &dyn Fn(char) -> bool| {
            text.char_indices().filter(|&(_, char)| is_one(char)).for_each(|(at, char)| push(at..at + char.len_utf8()));
        };
        match self {
            Finder::Known(pattern) => {
                let (scanner, mut start) = (Scanner::new(text), 0);
                while start < text.len() {
                    let end = scanner.end(*pattern, start);
                    push(start..end);
                    start = end;
                }
            }
            Finder::Regex(regex) => regex.find_iter(text).for_each(push),
            Finder::Numbers => push_chars(&|char| class_of(char) == CharClass::Number),
            Finder::Spaces => push_chars(&char::is_whitespace),
            Finder::Char(one) => push_chars(&|char| char == *one),
        }
        if at < text.len() {
            found.push((at..text.len(), false));
        }
        found
    }
}

/// What a behaviour makes of matches and what is between them.
fn behave(found: Vec<(Range<usize>, bool)>, behavior: Behavior) -> Vec<Range<usize>> {
    match behavior {
        Behavior::Removed => found.into_iter().filter(|(_, is_match)| !is_match).map(|(range, _)| range).collect(),
        Behavior::Isolated => found.into_iter().map(|(range, _)| range).collect(),
        Behavior::Contiguous => join(found.into_iter(), |is_match, was_match| is_match == was_match),
        Behavior::MergedWithPrevious => join(found.into_iter(), |is_match, was_match| is_match && !was_match),
        Behavior::MergedWithNext => {
            let mut pieces = join(found.into_iter().rev(), |is_match, was_match| is_match && !was_match);
            pieces.reverse();
            pieces
        }
    }
}

/// Joins a piece to the one before it, whichever way they are read, where `joins` says so.
fn join(found: impl Iterator<Item = (Range<usize>, bool)>, joins: impl Fn(bool, bool) -> bool) -> Vec<Range<usize>> {
    let (mut pieces, mut was_match) = (Vec::<Range<usize>>::new(), false);
    for (range, is_match) in found {
        match pieces.last_mut().filter(|_| joins(is_match, was_match)) {
            Some(last) => *last = last.start.min(range.start)..last.end.max(range.end),
            None => pieces.push(range),
        }
        was_match = is_match;
    }
    pieces
}

impl Pieces {
    fn split(&mut self, finder: &Finder, behavior: Behavior, is_inverted: bool, is_visible: bool) {
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let bytes = &self.bytes[range.clone()];
            let visible = if is_visible { to_visible(bytes) } else { String::new() };
            let text =
                if is_visible { &visible } else { std::str::from_utf8(bytes).expect("not yet split into bytes") };
            let mut found = finder.find(text);
            found.iter_mut().for_each(|(_, is_match)| *is_match ^= is_inverted);
            let offset = byte_offsets(text, is_visible);
            let pieces = behave(found, behavior).into_iter().filter(|piece| !piece.is_empty());
            ranges.extend(pieces.map(|piece| range.start + offset(piece.start)..range.start + offset(piece.end)));
        }
        self.ranges = ranges;
    }

    /// Puts a space before each piece that does not begin with one.
    fn prefix_spaces(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + self.ranges.len());
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let piece = &self.bytes[range.clone()];
            let start = bytes.len();
            if piece.first() != Some(&b' ') {
                bytes.push(b' ');
            }
            bytes.extend_from_slice(piece);
            ranges.push(start..bytes.len());
        }
        *self = Pieces { bytes, ranges };
    }
}

/// From offsets in a text to offsets in its bytes: the same, or one byte for each visible character.
fn byte_offsets(text: &str, is_visible: bool) -> impl Fn(usize) -> usize {
    let mut chars_before = Vec::new();
    if is_visible {
        chars_before = vec![0; text.len() + 1];
        text.char_indices().enumerate().for_each(|(count, (at, _))| chars_before[at] = count);
        chars_before[text.len()] = text.chars().count();
    }
    move |at| if is_visible { chars_before[at] } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: Value, text: &str, expected: &[&str]) {
        let pieces = Pretokenizer::parse(&json, false).unwrap().pieces(text);
        let shown: Vec<_> =
            pieces.ranges.iter().map(|range| String::from_utf8_lossy(&pieces.bytes[range.clone()])).collect();
        assert_eq!(shown, expected, "{json}");
    }

    fn sequence(steps: Value) -> Value {
        let mut steps: Vec<Value> = steps.as_array().unwrap().clone();
        steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}));
        json!({"type": "Sequence", "pretokenizers": steps})
    }

    #[test]
    fn what_becomes_of_matches() {
        let split = |behavior: &str, invert: bool| {
            sequence(json!([{"type": "Split", "pattern": {"String": "-"}, "behavior": behavior, "invert": invert}]))
        };
        let text = "a--b-c";
        check(split("Removed", false), text, &["a", "b", "c"]);
        check(split("Removed", true), text, &["-", "-", "-"]);
        check(split("Isolated", false), text, &["a", "-", "-", "b", "-", "c"]);
        check(split("MergedWithPrevious", false), text, &["a-", "-", "b-", "c"]);
        check(split("MergedWithNext", false), text, &["a", "-", "-b", "-c"]);
        check(split("Contiguous", false), text, &["a", "--", "b", "-", "c"]);
        check(sequence(json!([{"type": "Digits", "individual_digits": true}])), "a12", &["a", "1", "2"]);
        check(sequence(json!([{"type": "Digits", "individual_digits": false}])), "a12²b", &["a", "12²", "b"]);
        check(sequence(json!([{"type": "Punctuation"}])), "a+b—c", &["a", "+", "b", "—", "c"]);
    }

    #[test]
    fn spaces_before_pieces_and_steps_after_bytes() {
        let prefix = json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true});
        check(prefix.clone(), "It's", &[" It", "'s"]);
        check(prefix, " It", &[" It"]);
        // The second byte of `ò` is visible as `²`, a number.
        let after =
            json!([{"type": "ByteLevel", "add_prefix_space": false}, {"type": "Digits", "individual_digits": true}]);
        check(json!({"type": "Sequence", "pretokenizers": after}), "xò1", &["x\u{fffd}", "\u{fffd}", "1"]);
    }

    #[test]
    fn what_is_known_is_recognised() {
        for pattern in KnownPattern::ALL {
            let json = Pretokenizer::json_of_known(pattern);
            assert_eq!(Pretokenizer::parse(&json, false).unwrap(), Pretokenizer::Known(pattern));
        }
        let refused = |json: Value| Pretokenizer::parse(&json, false).unwrap_err();
        assert_eq!(refused(json!({"type": "Metaspace"})), "its pre-tokenizer Metaspace is not known");
        assert!(refused(Value::Null).contains("not byte-level"));
    }
}
