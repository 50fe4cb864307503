use serde::{Deserialize, Serialize};

use super::Rule;
use crate::text::{is_known_language, iso_639_3};
use crate::{About, Text};

/// Texts of one language. Measures: `code`, `confidence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// ISO 639-1 or 639-3 code of the language that is kept: `en` or `eng`.
    pub keep: String,
    /// The least confidence, 0 to 1.
    pub min_confidence: f64,
}

impl Rule for Language {
    fn fault(&self) -> Option<String> {
        if !is_known_language(&self.keep) {
            return Some(format!("keep: the language {:?} is not known", self.keep));
        }
        (!(0.0..=1.0).contains(&self.min_confidence)).then(|| "min_confidence lies between 0 and 1".to_owned())
    }

    fn judge(&self, text: &Text<'_>, _: About<'_>) -> Option<(&'static str, String)> {
        let Some((code, confidence)) = text.language() else {
            return Some(("code", "no letters to tell a language from".to_owned()));
        };
        let confidence = f64::from(confidence);
        if code != iso_639_3(&self.keep) {
            return Some(("code", format!("{code} with confidence {confidence:.2}, keep = {:?}", self.keep)));
        }
        (confidence < self.min_confidence).then(|| {
            let limit = self.min_confidence;
            ("confidence", format!("{code} with confidence {confidence:.2}, min_confidence = {limit}"))
        })
    }
}
