use serde::{Deserialize, Serialize};

use super::{Findings, Rule, Settings, fault_of_fraction};
use crate::About;
use crate::label_model::LabelModel;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;

/// Keeps texts to which a fastText classifier gives a label: those of DCLM (oh-eli5) and Ultra-FineWeb are public.
///
/// The measure `score` is fastText's probability of the label, newlines being spaces; 0 for a text of which the model
/// knows no word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastText {
    /// The file of the model, `.bin` or `.ftz`.
    pub model: String,
    /// The label, with `__label__` or without.
    pub label: String,
    /// Minimum probability of the label.
    pub min_score: Limit,
}

impl Settings for FastText {
    fn fault(&self) -> Option<String> {
        fault_of_fraction("min_score", self.min_score)
    }

    fn paths(&mut self) -> Vec<&mut String> {
        vec![&mut self.model]
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(OpenFastText { model: LabelModel::open(&self.model, &self.label)?, min_score: self.min_score }))
    }
}

struct OpenFastText {
    model: LabelModel,
    min_score: Limit,
}

impl Rule for OpenFastText {
    fn measures(&self) -> Vec<Measure> {
        let score = Measure::new("score", MeasureUnit::Fraction, "probability of the label by the model");
        vec![score.min("min_score", self.min_score, "low_score", "")]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        Findings::of(vec![f64::from(self.model.score(text.as_str()))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, RuleSettings};

    const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fasttext/tests/models/softmax-pruned.ftz");

    fn rule(label: &str, min_score: f64) -> RuleSettings {
        RuleSettings::FastText(FastText { model: MODEL.into(), label: label.into(), min_score: min_score.into() })
    }

    #[test]
    fn a_label_with_or_without_its_prefix() {
        for label in ["english", "__label__english"] {
            let filter = Filter::new(&[rule(label, 0.5)]).unwrap();
            let judgement = filter.judge("The ferry leaves at noon.", About::default());
            assert!(judgement.failure.is_none() && judgement.measures[0] > 0.5, "{judgement:?}");
            let judgement = filter.judge("", About::default());
            // As in fastText itself, a certain label has probability 1.00001.
            assert!(judgement.measures[0] < 1.001);
        }
        let filter = Filter::new(&[rule("english", 1.1)]).unwrap();
        let failure = filter.judge("The ferry leaves at noon.", About::default()).failure.unwrap();
        assert_eq!((failure.rule, failure.measure, failure.fault), ("fasttext", "score", "low_score"));
    }

    #[test]
    fn a_model_that_cannot_be_asked() {
        let message = Filter::new(&[rule("klingon", 0.5)]).unwrap_err().to_string();
        assert!(message.contains("klingon") && message.contains("english"), "{message}");
        let missing = FastText { model: "missing.bin".into(), label: "x".into(), min_score: 0.5.into() };
        assert!(Filter::new(&[RuleSettings::FastText(missing)]).unwrap_err().to_string().contains("missing.bin"));
    }
}
