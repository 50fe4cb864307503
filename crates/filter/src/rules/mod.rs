//! The rules. Each rule is a file here and a line in `rules!`.

mod c4_bad_words;
mod c4_paragraph;
mod c4_quality;
mod dclm;
mod fasttext;
mod fineweb_quality;
mod gopher_quality;
mod gopher_repetition;
mod language;
mod length;
mod pii;
mod punctuation;
mod redpajama_signals;
mod refinedweb_lines;
mod unigram_log_probability;
mod url;
mod wikipedia;

use serde::{Deserialize, Serialize};
use user_error::nearest_name;

pub use c4_bad_words::C4BadWords;
pub use c4_paragraph::C4Paragraph;
pub use c4_quality::{C4Dialect, C4Quality, SplitBy};
pub use fasttext::FastText;
pub use fineweb_quality::FineWebQuality;
pub use gopher_quality::GopherQuality;
pub use gopher_repetition::GopherRepetition;
pub use language::{Language, LanguageModel};
pub use length::Length;
pub use pii::Pii;
pub use redpajama_signals::RedPajamaSignals;
pub use refinedweb_lines::{Dclm, RefinedWebLines};
pub use unigram_log_probability::UnigramLogProbability;
pub use url::Url;
pub use wikipedia::Wikipedia;

use crate::list::ListError;
use crate::text::Text;
use crate::{About, Limit, Measure};

/// The settings of a rule, as a recipe has them.
pub(crate) trait Settings {
    /// What is wrong with the numbers themselves, if anything.
    fn fault(&self) -> Option<String> {
        None
    }

    /// The files that the rule reads, for making relative ones absolute.
    fn paths(&mut self) -> Vec<&mut String> {
        Vec::new()
    }

    /// The rule, with its files read.
    fn open(&self) -> Result<Box<dyn Rule>, ListError>;
}

/// A rule with its files read.
pub(crate) trait Rule: Send + Sync {
    /// Its measures, in the order in which their limits are tested.
    fn measures(&self) -> Vec<Measure>;

    /// Measures a text, and may edit it.
    fn apply(&self, text: &Text<'_>, about: About<'_>) -> Findings;
}

/// The result of one rule for a text.
#[derive(Default)]
pub(crate) struct Findings {
    /// One value for each measure; NaN where it is not defined.
    pub values: Vec<f64>,
    /// The measure that gives the verdict, if it is not the first one out of its limits.
    pub first: Option<usize>,
    /// Detail of the verdict, if it is more than a value and a limit.
    pub detail: Option<String>,
    /// The edited text, if it was edited.
    pub edit: Option<Edit>,
}

impl Findings {
    /// Findings with values only.
    fn of(values: Vec<f64>) -> Findings {
        Findings { values, ..Findings::default() }
    }
}

/// A text that a rule changed.
pub(crate) struct Edit {
    /// The new text.
    pub text: String,
    /// Its number of words, if known.
    pub words: Option<usize>,
    /// Name and number of parts that were cut or replaced; those with a count of 0 may be left out.
    pub cuts: Vec<(&'static str, usize)>,
}

/// What is wrong with the minimum of a fraction that is at most 1, if anything.
fn fault_of_fraction(key: &str, min: Limit) -> Option<String> {
    let min = min.number().filter(|min| *min > 1.0)?;
    Some(format!("{key} = {min} is above 1, and the measure never is"))
}

/// A fraction; NaN where the whole is 0.
fn fraction(part: usize, whole: usize) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}

macro_rules! rules {
    ($($name:literal $rule:ident,)*) => {
        /// One entry of a recipe's `[[filter]]`: the rule's name under `rule`, and its settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "rule")]
        #[non_exhaustive]
        pub enum RuleSettings {
            $(#[doc = concat!("`rule = \"", $name, "\"`")] #[serde(rename = $name)] $rule($rule),)*
        }

        impl RuleSettings {
            /// The names of all rules.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// The name in recipes and reasons.
            pub fn name(&self) -> &'static str {
                match self { $(RuleSettings::$rule(_) => $name,)* }
            }

            fn settings(&self) -> &dyn Settings {
                match self { $(RuleSettings::$rule(settings) => settings,)* }
            }

            fn settings_mut(&mut self) -> &mut dyn Settings {
                match self { $(RuleSettings::$rule(settings) => settings,)* }
            }
        }
    };
}

rules! {
    "c4_bad_words" C4BadWords,
    "c4_paragraph" C4Paragraph,
    "c4_quality" C4Quality,
    "fasttext" FastText,
    "fineweb_quality" FineWebQuality,
    "gopher_quality" GopherQuality,
    "gopher_repetition" GopherRepetition,
    "language" Language,
    "length" Length,
    "pii" Pii,
    "redpajama_signals" RedPajamaSignals,
    "refinedweb_lines" RefinedWebLines,
    "unigram_log_probability" UnigramLogProbability,
    "url" Url,
    "wikipedia" Wikipedia,
}

impl RuleSettings {
    /// The rule of this name with its published limits; of `c4_quality` as FineWeb has it, without the rule on punctuation
    /// at the end of lines.
    ///
    /// # Errors
    /// There is no such rule, or it has no limits without settings.
    ///
    /// ```
    /// use filter::RuleSettings;
    /// assert_eq!(RuleSettings::published("gopher_quality")?.name(), "gopher_quality");
    /// let fault = RuleSettings::published("gopher_qualty").unwrap_err().to_string();
    /// assert_eq!(fault, "there is no rule gopher_qualty; did you mean gopher_quality?");
    /// # Ok::<(), filter::InvalidRule>(())
    /// ```
    pub fn published(name: &str) -> Result<RuleSettings, InvalidRule> {
        if name == "c4_quality" {
            let datatrove = C4Quality::of_dialect(C4Dialect::Datatrove0_10);
            return Ok(RuleSettings::C4Quality(C4Quality { require_terminal_punctuation: false, ..datatrove }));
        }
        RuleSettings::check_name(name)?;
        let without_settings = serde_json::from_value(serde_json::json!({"rule": name}));
        without_settings.map_err(|error| InvalidRule(format!("the rule {name} needs settings: {error}")))
    }

    /// Refuses a name that no rule has.
    ///
    /// # Errors
    /// A sentence that names the nearest rule, or all.
    pub fn check_name(name: &str) -> Result<(), InvalidRule> {
        if RuleSettings::NAMES.contains(&name) {
            return Ok(());
        }
        Err(InvalidRule(match nearest_name(name, RuleSettings::NAMES.iter().copied()) {
            Some(nearest) => format!("there is no rule {name}; did you mean {nearest}?"),
            None => format!("there is no rule {name}; the rules are {}", RuleSettings::NAMES.join(", ")),
        }))
    }

    /// Checks the settings. Files are not opened.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), InvalidRule> {
        let fault = self.settings().fault().or_else(|| self.impossible_limit());
        fault.map_or(Ok(()), |fault| Err(InvalidRule(fault)))
    }

    /// Limits that no text is within, whatever the rule: a minimum above its maximum, or one below 0 but of logarithms.
    fn impossible_limit(&self) -> Option<String> {
        let settings = serde_json::to_value(self).ok()?;
        let limits = settings.as_object()?.iter().filter_map(|(key, value)| Some((key, value.as_f64()?)));
        for (key, limit) in limits {
            let is_limit = key.starts_with("min_") || key.starts_with("max_");
            if is_limit && limit < 0.0 && !key.ends_with("log_probability") {
                return Some(format!("{key} = {limit} is below 0"));
            }
            let Some(of) = key.strip_prefix("min_") else { continue };
            let max = settings.get(format!("max_{of}")).and_then(serde_json::Value::as_f64);
            if let Some(max) = max.filter(|max| limit > *max) {
                return Some(format!("{key} = {limit} is more than max_{of} = {max}"));
            }
        }
        None
    }

    /// The files that the rule reads, lists and models, so that relative paths can be made absolute.
    pub fn paths(&mut self) -> Vec<&mut String> {
        self.settings_mut().paths()
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        self.settings().open()
    }
}

/// A rule has settings by which no text can be judged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(String);

/// The published code that a rule follows to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DatatroveDialect {
    /// datatrove 0.10, with English words as spaCy finds them.
    #[default]
    #[serde(rename = "datatrove-0.10")]
    V0_10,
}

/// The published code that [`GopherQuality`] and [`GopherRepetition`] follow to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GopherDialect {
    /// datatrove 0.10, with English words as spaCy finds them.
    #[default]
    #[serde(rename = "datatrove-0.10")]
    Datatrove0_10,
    /// DCLM's baseline.
    #[serde(rename = "dclm")]
    Dclm,
}
