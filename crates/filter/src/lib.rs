//! Text → verdict, by rules that a recipe lists.
//!
//! A [rule](RuleSettings) has named measures and limits on them. Rules are tried in the recipe's order; the first one
//! of which a measure is out of its limits gives the verdict, as rule and measure, and says what exactly led to it.
//!
//! Left out: learned quality models, and any rule by the clock.
//!
//! ```
//! use filter::{About, Filter, Language, Length, RuleSettings};
//! let filter = Filter::new(vec![
//!     RuleSettings::Length(Length { min_words: 5, max_words: 100_000 }),
//!     RuleSettings::Language(Language { keep: "en".into(), min_confidence: 0.5 }),
//! ]);
//! let judgement = filter.judge("The ferry leaves at noon and comes back before dark.", About::default());
//! assert_eq!((judgement.failure, judgement.language), (None, Some("eng")));
//! let failure = filter.judge("Too short.", About::default()).failure.unwrap();
//! assert_eq!((failure.rule, failure.measure), ("length", "words"));
//! ```

mod paragraphs;
mod rules;
mod text;

pub use paragraphs::{LanguageShares, MIN_PARAGRAPH_BYTES};
pub use rules::{InvalidRule, Language, Length, RuleSettings, Wikipedia};
pub use text::{Text, is_known_language};

/// What is known of a document beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// Registrable domain of the page.
    pub domain: &'a str,
    /// Title of the page.
    pub title: &'a str,
    /// `<meta name="generator">` of the page.
    pub generator: &'a str,
}

/// A measure that was out of its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule.
    pub rule: &'static str,
    /// Its measure.
    pub measure: &'static str,
    /// The value and the limit, for people.
    pub detail: String,
}

/// What the rules say of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// ISO 639-3 code of the language; none when there are no letters to tell it from.
    pub language: Option<&'static str>,
    /// Confidence of the language, 0 to 1.
    pub language_confidence: Option<f32>,
    /// Words: runs without white space; where no spaces are written, two letters count as a word.
    pub words: u64,
    /// Why the text is dropped, if it is.
    pub failure: Option<Failure>,
}

/// The rules of a recipe, in its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    rules: Vec<RuleSettings>,
}

impl Filter {
    /// A filter by these rules; without any, every text passes.
    pub fn new(rules: Vec<RuleSettings>) -> Filter {
        Filter { rules }
    }

    /// Judges a text. Time linear in its length; the language is told from 2 KiB of it.
    pub fn judge(&self, text: &str, about: About<'_>) -> Judgement {
        let text = Text::new(text);
        let failure = self.rules.iter().find_map(|rule| {
            let (measure, detail) = rule.judge(&text, about)?;
            Some(Failure { rule: rule.name(), measure, detail })
        });
        let (language, language_confidence) = text.language().unzip();
        Judgement { language, language_confidence, words: text.words(), failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "The harbour master said that the old crane would be taken down before the winter storms, \
        and that nobody would be asked to pay for it.";

    fn filter() -> Filter {
        Filter::new(vec![
            RuleSettings::Wikipedia(Wikipedia {}),
            // Length before language: of a few words no language can be told with confidence.
            RuleSettings::Length(Length { min_words: 10, max_words: 1000 }),
            RuleSettings::Language(Language { keep: "en".into(), min_confidence: 0.5 }),
        ])
    }

    fn check(text: &str, about: About<'_>, expected: Option<(&str, &str)>) {
        let failure = filter().judge(text, about).failure;
        assert_eq!(failure.as_ref().map(|failure| (failure.rule, failure.measure)), expected, "{text}");
    }

    #[test]
    fn verdicts() {
        let none = About::default();
        check(ENGLISH, none, None);
        check("Only a few English words here.", none, Some(("length", "words")));
        check(&ENGLISH.repeat(60), none, Some(("length", "words")));
        check(
            "Der Hafenmeister sagte, dass der alte Kran noch vor den Stürmen des Winters abgebaut werde.",
            none,
            Some(("language", "code")),
        );
        check(&"12 34 56 78 ".repeat(5), none, Some(("language", "code")));
    }

    #[test]
    fn wikipedia_and_what_only_mentions_it() {
        let wikipedia = |measure| Some(("wikipedia", measure));
        check(ENGLISH, About { domain: "wikipedia.org", ..About::default() }, wikipedia("domain"));
        check(ENGLISH, About { title: "Crane - Wikipedia", ..About::default() }, wikipedia("title"));
        let text = format!("Crane\n\nFrom Wikipedia, the free encyclopedia\n\n{ENGLISH}");
        check(&text, About::default(), wikipedia("text"));
        let text = format!("{ENGLISH} I read it on Wikipedia.");
        check(&text, About { title: "Why I left Wikipedia behind", ..About::default() }, None);
        check(&text, About { generator: "MediaWiki 1.40", ..About::default() }, wikipedia("generator"));
        check(ENGLISH, About { generator: "MediaWiki 1.40", ..About::default() }, None);
    }

    #[test]
    fn a_judgement_measures_what_it_drops() {
        let judgement = filter().judge("Only a few English words here.", About::default());
        assert_eq!((judgement.words, judgement.language.is_some()), (6, true));
        assert!(judgement.failure.unwrap().detail.contains("min_words = 10"));
        assert_eq!(Filter::default().judge("", About::default()), Judgement::default());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, n in 0usize..300) {
            filter().judge(&text.repeat(n), About::default());
        }
    }
}
