use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Findings, Rule, Settings, fault_of_fraction};
use crate::About;
use crate::label_model::LabelModel;
use crate::language::{detect_language, is_known_language, iso_639_3};
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::paragraphs::{LanguageShares, MIN_PARAGRAPH_BYTES};
use crate::text::Text;

/// Prefix of a fastText model's path in recipes.
const FASTTEXT: &str = "fasttext:";

/// Keeps texts in one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// The model that detects the language. Default: `whatlang`.
    #[serde(default)]
    pub model: LanguageModel,
    /// The language that is kept: for `whatlang` an ISO 639-1 or 639-3 code, `en` or `eng`; else a label of the model.
    pub keep: String,
    /// Minimum confidence, 0 to 1.
    pub min_confidence: f64,
    /// Minimum share of the language among paragraphs, 0 to 1. Without a limit it is not measured, since that takes
    /// about as long as everything else; 0 measures it and drops nothing.
    #[serde(default)]
    pub min_byte_fraction: Limit,
}

/// A model that detects languages: in recipes `"whatlang"`, or `"fasttext:"` and the path of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LanguageModel {
    /// Trigrams of a sample of 2 KiB.
    #[default]
    Whatlang,
    /// A fastText model, such as lid.176: its file, `.bin` or `.ftz`.
    FastText(String),
}

impl FromStr for LanguageModel {
    type Err = String;

    fn from_str(name: &str) -> Result<LanguageModel, String> {
        match name.strip_prefix(FASTTEXT) {
            Some(path) if !path.is_empty() => Ok(LanguageModel::FastText(path.to_owned())),
            _ if name == "whatlang" => Ok(LanguageModel::Whatlang),
            _ => Err(format!("{name:?} is neither \"whatlang\" nor \"fasttext:\" and the path of a model")),
        }
    }
}

impl fmt::Display for LanguageModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LanguageModel::Whatlang => f.write_str("whatlang"),
            LanguageModel::FastText(path) => write!(f, "{FASTTEXT}{path}"),
        }
    }
}

impl Serialize for LanguageModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LanguageModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LanguageModel, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Settings for Language {
    fn fault(&self) -> Option<String> {
        if self.model == LanguageModel::Whatlang && !is_known_language(&self.keep) {
            let what = "is not known; languages have the codes of ISO 639, as \"en\" or \"eng\"";
            return Some(format!("keep: the language {:?} {what}", self.keep));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Some("min_confidence lies between 0 and 1".to_owned());
        }
        fault_of_fraction("min_byte_fraction", self.min_byte_fraction)
    }

    fn paths(&mut self) -> Vec<&mut String> {
        match &mut self.model {
            LanguageModel::Whatlang => Vec::new(),
            LanguageModel::FastText(path) => vec![path],
        }
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        let model = match &self.model {
            LanguageModel::Whatlang => OpenModel::Whatlang(iso_639_3(&self.keep).to_owned()),
            LanguageModel::FastText(path) => OpenModel::FastText(LabelModel::open(path, &self.keep)?),
        };
        Ok(Box::new(OpenLanguage { settings: self.clone(), model }))
    }
}

/// A model, and the label that is kept.
enum OpenModel {
    Whatlang(String),
    FastText(LabelModel),
}

impl OpenModel {
    /// The label that is kept.
    fn label(&self) -> &str {
        match self {
            OpenModel::Whatlang(label) => label,
            OpenModel::FastText(model) => model.label(),
        }
    }

    fn detect(&self, text: &str) -> Option<(&str, f32)> {
        match self {
            OpenModel::Whatlang(_) => detect_language(text),
            OpenModel::FastText(model) => model.best(text),
        }
    }
}

struct OpenLanguage {
    settings: Language,
    model: OpenModel,
}

impl Rule for OpenLanguage {
    fn measures(&self) -> Vec<Measure> {
        let Language { min_confidence, min_byte_fraction, .. } = self.settings;
        let code = Measure::new("code", MeasureUnit::Count, "1 where the language is the one that is kept");
        let confidence =
            Measure::new("confidence", MeasureUnit::Fraction, "confidence of the language, whichever it is");
        let share = Measure::new(
            "byte_fraction",
            MeasureUnit::Fraction,
            "share of the language that is kept, by bytes of paragraphs",
        );
        vec![
            code.min("keep", Limit::at(1.0), "other_language", ""),
            confidence.min("min_confidence", Limit::at(min_confidence), "too_unsure", ""),
            share.min("min_byte_fraction", min_byte_fraction, "other_languages_beside", ""),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let share = self.share(text.as_str());
        let Some((code, confidence)) = self.model.detect(text.as_str()) else {
            let detail = Some("no letters to tell a language from".to_owned());
            return Findings { detail, ..Findings::of(vec![0.0, f64::NAN, share]) };
        };
        let is_kept = code == self.model.label();
        let confidence = f64::from(confidence);
        let Language { keep, min_confidence, .. } = &self.settings;
        // The detail of the share is its value and its limit.
        let limit = match is_kept {
            false => Some(format!("keep = {keep:?}")),
            true => (confidence < *min_confidence).then(|| format!("min_confidence = {min_confidence}")),
        };
        let detail = limit.map(|limit| format!("{code} with confidence {confidence:.2}, {limit}"));
        Findings { detail, ..Findings::of(vec![f64::from(u8::from(is_kept)), confidence, share]) }
    }
}

impl OpenLanguage {
    /// The share of the language that is kept, if there is a limit on it.
    fn share(&self, text: &str) -> f64 {
        if self.settings.min_byte_fraction == Limit::NONE {
            return f64::NAN;
        }
        LanguageShares::measure(text, MIN_PARAGRAPH_BYTES, |text| self.model.detect(text)).share_of(&self.model.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, RuleSettings};

    const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fasttext/tests/models/softmax-pruned.ftz");
    const ENGLISH: &str = "The harbour master said that the old crane would be taken down before the winter storms, and \
        that nobody would be asked to pay for it. The ferry leaves at noon, and comes back with the tide in the evening.";
    const GERMAN: &str = "Der Hafenmeister sagte, dass der alte Kran noch vor den Stürmen des Winters abgebaut werde, und \
        dass niemand dafür zahlen müsse. Die Fähre fährt am Mittag ab und kommt am Abend mit der Flut zurück.";

    fn judge(
        model: LanguageModel,
        keep: &str,
        min_byte_fraction: Limit,
        text: &str,
    ) -> (Option<&'static str>, Vec<f64>) {
        let rule = Language { model, keep: keep.into(), min_confidence: 0.0, min_byte_fraction };
        let filter = Filter::new(&[RuleSettings::Language(rule)]).unwrap();
        let judgement = filter.judge(text, About::default());
        (judgement.failure.map(|failure| failure.measure), judgement.measures.clone())
    }

    #[test]
    fn a_text_half_in_another_language_is_seen() {
        let text = format!("{ENGLISH}\n\n{GERMAN}");
        let (failure, measures) = judge(LanguageModel::Whatlang, "en", Limit::NONE, ENGLISH);
        assert!(failure.is_none() && measures[2].is_nan(), "{measures:?}");
        let (failure, measures) = judge(LanguageModel::Whatlang, "en", 0.9.into(), ENGLISH);
        assert_eq!((failure, measures[2]), (None, 1.0));
        for keep in ["en", "de"] {
            let (failure, measures) = judge(LanguageModel::Whatlang, keep, 0.9.into(), &text);
            assert!(failure.is_some() && (0.4..0.6).contains(&measures[2]), "{failure:?} {measures:?}");
        }
    }

    #[test]
    fn by_a_model_of_fasttext() {
        let model = || LanguageModel::FastText(MODEL.to_owned());
        let (failure, measures) = judge(model(), "english", 0.0.into(), ENGLISH);
        assert!(failure.is_none() && measures[0] == 1.0 && measures[2] == 1.0, "{measures:?}");
        let rule = Language { model: model(), keep: "xx".into(), min_confidence: 0.5, min_byte_fraction: Limit::NONE };
        assert!(Filter::new(&[RuleSettings::Language(rule)]).is_err());
    }

    #[test]
    fn lid_176_knows_english_and_german() {
        let Some(path) = std::env::var_os("WEBTEXT_LID_176") else {
            eprintln!("skipped: lid_176_knows_english_and_german: WEBTEXT_LID_176 names no lid.176.ftz");
            return;
        };
        let model = || LanguageModel::FastText(path.to_str().unwrap().to_owned());
        let text = format!("{ENGLISH}\n\n{GERMAN}");
        assert_eq!(judge(model(), "en", Limit::NONE, ENGLISH).0, None);
        assert_eq!(judge(model(), "en", Limit::NONE, GERMAN).0, Some("code"));
        let (_, measures) = judge(model(), "en", 0.0.into(), &text);
        assert!((0.4..0.6).contains(&measures[2]), "{measures:?}");
    }

    #[test]
    fn a_model_by_its_name() {
        let parse = |name: &str| name.parse::<LanguageModel>();
        assert_eq!(parse("whatlang"), Ok(LanguageModel::Whatlang));
        assert_eq!(parse("fasttext:a/b.ftz").unwrap().to_string(), "fasttext:a/b.ftz");
        assert!(parse("fasttext:").is_err() && parse("cld3").unwrap_err().contains("cld3"));
    }
}
