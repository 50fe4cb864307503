//! The rules. A rule is a file here and a line in `rules!`.

mod language;
mod length;
mod wikipedia;

use serde::{Deserialize, Serialize};

pub use language::Language;
pub use length::Length;
pub use wikipedia::Wikipedia;

use crate::{About, Text};

/// A rule with its numbers.
trait Rule {
    /// What is wrong with the numbers themselves, if anything.
    fn fault(&self) -> Option<String> {
        None
    }

    /// The first measure that is out of its limits, and what exactly is wrong; none when the text passes.
    fn judge(&self, text: &Text<'_>, about: About<'_>) -> Option<(&'static str, String)>;
}

macro_rules! rules {
    ($($name:literal $rule:ident,)*) => {
        /// One entry of a recipe's `[[filter]]`: the rule's name under `rule`, and its numbers beside it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "rule")]
        pub enum RuleSettings {
            $(#[doc = concat!("`rule = \"", $name, "\"`")] #[serde(rename = $name)] $rule($rule),)*
        }

        impl RuleSettings {
            /// The name in recipes and reasons.
            pub fn name(&self) -> &'static str {
                match self { $(RuleSettings::$rule(_) => $name,)* }
            }

            fn rule(&self) -> &dyn Rule {
                match self { $(RuleSettings::$rule(rule) => rule,)* }
            }
        }
    };
}

rules! {
    "language" Language,
    "length" Length,
    "wikipedia" Wikipedia,
}

impl RuleSettings {
    /// Checks the numbers.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), InvalidRule> {
        self.rule().fault().map_or(Ok(()), |fault| Err(InvalidRule(fault)))
    }

    pub(crate) fn judge(&self, text: &Text<'_>, about: About<'_>) -> Option<(&'static str, String)> {
        self.rule().judge(text, about)
    }
}

/// A rule has numbers that no text can be judged by.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(String);
