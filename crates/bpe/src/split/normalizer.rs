//! What is done to a text before it is split, as Hugging Face's tokenizers do it.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde_json::Value;
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use super::classes::ranges;
use super::pattern::SplitRegex;
use crate::byte_order::to_visible;

/// One step of normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NormalizerStep {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    /// Replaces every match.
    Replace(SplitRegex, String),
    /// Before a text that is not empty.
    Prepend(String),
    /// White space at the left, at the right.
    Strip(bool, bool),
    /// Bytes as the characters that stand for them; nothing but the split follows.
    ByteLevel,
}

impl NormalizerStep {
    /// The steps of the entry `normalizer` of a `tokenizer.json`.
    ///
    /// # Errors
    /// What of it is not known.
    pub(crate) fn parse_all(json: &Value) -> Result<Vec<NormalizerStep>, String> {
        let mut steps = Vec::new();
        add_steps(json, &mut steps)?;
        if steps.iter().rev().skip(1).any(|step| *step == NormalizerStep::ByteLevel) {
            return Err("its normalizer ByteLevel is not the last one".to_owned());
        }
        Ok(steps)
    }

    /// The text after this step.
    pub(crate) fn apply<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self {
            NormalizerStep::Nfc => by_parts(text, |part| is_nfc_quick(part.chars()), |part, to| to.extend(part.nfc())),
            NormalizerStep::Nfd => by_parts(text, |part| is_nfd_quick(part.chars()), |part, to| to.extend(part.nfd())),
            NormalizerStep::Nfkc => {
                by_parts(text, |part| is_nfkc_quick(part.chars()), |part, to| to.extend(part.nfkc()))
            }
            NormalizerStep::Nfkd => {
                by_parts(text, |part| is_nfkd_quick(part.chars()), |part, to| to.extend(part.nfkd()))
            }
            NormalizerStep::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            NormalizerStep::Replace(regex, by) => replace(text, regex, by),
            NormalizerStep::Prepend(prefix) if !text.is_empty() => format!("{prefix}{text}").into(),
            NormalizerStep::Prepend(_) => text,
            NormalizerStep::Strip(left, right) => strip(&text, *left, *right).to_owned().into(),
            NormalizerStep::ByteLevel => to_visible(text.as_bytes()).into(),
        }
    }

    /// Whether a text may be cut before a blank that follows another character, and normalised in parts.
    pub(crate) fn allows_cuts(&self) -> bool {
        matches!(self, NormalizerStep::Nfc | NormalizerStep::Nfd | NormalizerStep::Nfkc | NormalizerStep::Nfkd)
    }
}

fn add_steps(json: &Value, steps: &mut Vec<NormalizerStep>) -> Result<(), String> {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let missing = |key: &str| format!("its normalizer {} has no {key}", json["type"]);
    let kind = match json {
        Value::Null => return Ok(()),
        _ => json["type"].as_str().ok_or("its normalizer has no type")?,
    };
    steps.push(match kind {
        "Sequence" => {
            let steps_of = json["normalizers"].as_array().ok_or_else(|| missing("normalizers"))?;
            return steps_of.iter().try_for_each(|step| add_steps(step, steps));
        }
        "NFC" => NormalizerStep::Nfc,
        "NFD" => NormalizerStep::Nfd,
        "NFKC" => NormalizerStep::Nfkc,
        "NFKD" => NormalizerStep::Nfkd,
        "Lowercase" => NormalizerStep::Lowercase,
        "Replace" => {
            let regex = parse_pattern(&json["pattern"])?;
            // Hugging Face writes what is put at a place twice, or not at all, or ends with a fault.
            if regex.may_be_empty() {
                return Err(format!("its normalizer Replace matches nothing, too, by {:?}", regex.source()));
            }
            NormalizerStep::Replace(regex, text("content").ok_or_else(|| missing("content"))?)
        }
        "Prepend" => match text("prepend").ok_or_else(|| missing("prepend"))? {
            // Hugging Face then writes the first character twice.
            prefix if prefix.is_empty() => {
                return Err("its normalizer Prepend has nothing to put before a text".to_owned());
            }
            prefix => NormalizerStep::Prepend(prefix),
        },
        "Strip" => {
            let side = |key: &str| json[key].as_bool().ok_or_else(|| missing(key));
            NormalizerStep::Strip(side("strip_left")?, side("strip_right")?)
        }
        "ByteLevel" => NormalizerStep::ByteLevel,
        other => return Err(format!("its normalizer {other} is not known")),
    });
    Ok(())
}

/// A pattern as `tokenizer.json` has it: `{"String": …}` or `{"Regex": …}`.
pub(crate) fn parse_pattern(json: &Value) -> Result<SplitRegex, String> {
    match (json["String"].as_str(), json["Regex"].as_str()) {
        (Some(text), _) => Ok(SplitRegex::literal(text)),
        (_, Some(regex)) => SplitRegex::new(regex),
        _ => Err(format!("the pattern {json} is neither a string nor a regular expression")),
    }
}

fn replace<'t>(text: Cow<'t, str>, regex: &SplitRegex, by: &str) -> Cow<'t, str> {
    let (mut replaced, mut at) = (String::new(), 0);
    for found in regex.find_iter(&text) {
        replaced.push_str(&text[at..found.start]);
        replaced.push_str(by);
        at = found.end;
    }
    if at == 0 && replaced.is_empty() {
        return text;
    }
    replaced.push_str(&text[at..]);
    replaced.into()
}

fn strip(text: &str, left: bool, right: bool) -> &str {
    let text = if left { text.trim_start() } else { text };
    if right { text.trim_end() } else { text }
}

/// Normalises the runs of characters beyond ASCII, each with the character before it, which its marks may change; ASCII
/// otherwise stays as it is in every form. Most runs are in the form, which takes less time to see than to make.
fn by_parts<'t>(
    text: Cow<'t, str>,
    is_quick: impl Fn(&str) -> IsNormalized,
    normalize: impl Fn(&str, &mut String),
) -> Cow<'t, str> {
    let bytes = text.as_bytes();
    let (mut normalized, mut done, mut at) = (String::new(), 0, 0);
    while let Some(wide) = bytes[at..].iter().position(|byte| !byte.is_ascii()) {
        let start = (at + wide).saturating_sub(1);
        let run = &bytes[at + wide..];
        at += wide + run.iter().position(u8::is_ascii).unwrap_or(run.len());
        let part = &text[start..at];
        if is_quick(part) != IsNormalized::Yes {
            normalized.push_str(&text[done..start]);
            normalized.push_str(&by_unicode_9(part, &normalize));
            done = at;
        }
    }
    if done == 0 {
        return text;
    }
    normalized.push_str(&text[done..]);
    normalized.into()
}

/// Normalises what is between characters that are newer than Unicode 9, which stay as they are: Hugging Face's
/// normalizers have the tables of that version, in which such a character neither changes nor combines.
fn by_unicode_9(text: &str, normalize: &impl Fn(&str, &mut String)) -> String {
    let mut normalized = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, newer)) = rest.char_indices().find(|&(_, char)| is_newer(char)) {
        normalize(&rest[..at], &mut normalized);
        normalized.push(newer);
        rest = &rest[at + newer.len_utf8()..];
    }
    normalize(rest, &mut normalized);
    normalized
}

/// Whether a character was not yet assigned in Unicode 9.
fn is_newer(char: char) -> bool {
    static NEWER: OnceLock<Vec<(char, char)>> = OnceLock::new();
    let newer = NEWER.get_or_init(|| ranges(r"\P{Age=9.0}"));
    let after = newer.partition_point(|&(first, _)| first <= char);
    after > 0 && newer[after - 1].1 >= char
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(normalizer: Value, text: &str, expected: &str) {
        let steps = NormalizerStep::parse_all(&normalizer).unwrap();
        let normalized = steps.iter().fold(Cow::Borrowed(text), |text, step| step.apply(text));
        assert_eq!(normalized, expected, "{normalizer}");
    }

    #[test]
    fn each_kind() {
        check(json!(null), "e\u{301}", "e\u{301}");
        check(json!({"type": "NFC"}), "cafe\u{301} \u{212b}", "café Å");
        check(json!({"type": "NFD"}), "é", "e\u{301}");
        check(json!({"type": "NFKC"}), "ﬁ ①", "fi 1");
        // Newer than Unicode 9: SQUARE ERA NAME REIWA.
        check(json!({"type": "NFKC"}), "①\u{32ff}①", "1\u{32ff}1");
        check(json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), "a  b", "a▁▁b");
        check(json!({"type": "Replace", "pattern": {"Regex": " +"}, "content": ""}), " a  b", "ab");
        check(json!({"type": "Lowercase"}), "ÀB", "àb");
        check(json!({"type": "Strip", "strip_left": true, "strip_right": false}), " a ", "a ");
        let steps = json!([{"type": "Prepend", "prepend": "_"}, {"type": "ByteLevel"}]);
        check(json!({"type": "Sequence", "normalizers": steps}), "é a", "_Ã©Ġa");
        assert_eq!(NormalizerStep::parse_all(&json!({"type": "Nmt"})).unwrap_err(), "its normalizer Nmt is not known");
    }

    proptest::proptest! {
        /// In parts or as a whole.
        #[test]
        fn parts_are_normalised_as_the_whole(text in "([ a1]|\u{e9}|\u{301}|\u{323}|\u{212b}|\u{1100}\u{1161}|\u{11a8}|\u{fb01}|\u{32ff}|\u{338}|<){0,12}") {
            let whole = |normalize: &dyn Fn(&str, &mut String)| by_unicode_9(&text, &normalize);
            for (step, expected) in [
                (NormalizerStep::Nfc, whole(&|part, to| to.extend(part.nfc()))),
                (NormalizerStep::Nfd, whole(&|part, to| to.extend(part.nfd()))),
                (NormalizerStep::Nfkc, whole(&|part, to| to.extend(part.nfkc()))),
                (NormalizerStep::Nfkd, whole(&|part, to| to.extend(part.nfkd()))),
            ] {
                proptest::prop_assert_eq!(step.apply(Cow::Borrowed(&text)), expected, "{:?}", step);
            }
        }
    }
}
