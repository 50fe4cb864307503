use serde::{Deserialize, Serialize};

use super::{Findings, Rule, Settings};
use crate::About;
use crate::language::{detect_language, is_known_language, iso_639_3};
use crate::list::ListError;
use crate::measure::{Limit, Measure, Unit};
use crate::text::Text;

/// Texts of one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// ISO 639-1 or 639-3 code of the language that is kept: `en` or `eng`.
    pub keep: String,
    /// The least confidence, 0 to 1.
    pub min_confidence: f64,
}

impl Settings for Language {
    fn fault(&self) -> Option<String> {
        if !is_known_language(&self.keep) {
            return Some(format!("keep: the language {:?} is not known", self.keep));
        }
        (!(0.0..=1.0).contains(&self.min_confidence)).then(|| "min_confidence lies between 0 and 1".to_owned())
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for Language {
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("code", Unit::Count, "1 where the language is the one that is kept").min(
                "keep",
                Limit::at(1.0),
                "other_language",
                "",
            ),
            Measure::new("confidence", Unit::Fraction, "confidence of the language, whichever it is").min(
                "min_confidence",
                Limit::at(self.min_confidence),
                "too_unsure",
                "",
            ),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let Some((code, confidence)) = detect_language(text.as_str()) else {
            let detail = Some("no letters to tell a language from".to_owned());
            return Findings { detail, ..Findings::of(vec![0.0, f64::NAN]) };
        };
        let is_kept = code == iso_639_3(&self.keep);
        let limit = if is_kept {
            format!("min_confidence = {}", self.min_confidence)
        } else {
            format!("keep = {:?}", self.keep)
        };
        let detail = Some(format!("{code} with confidence {confidence:.2}, {limit}"));
        Findings { detail, ..Findings::of(vec![f64::from(u8::from(is_kept)), f64::from(confidence)]) }
    }
}
