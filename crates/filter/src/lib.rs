#![doc = include_str!("../README.md")]

mod hash;
mod histogram;
mod label_model;
mod language;
mod list;
mod measure;
mod paragraphs;
mod repetition;
mod rules;
mod tally;
mod text;
mod uax29;
mod url_host;
mod words;

use std::borrow::Cow;

pub use histogram::Histogram;
pub use language::{detect_language, is_known_language};
pub use list::ListError;
pub use measure::{Bound, Limit, Measure, MeasureUnit, Side};
pub use paragraphs::{LanguageShares, MIN_PARAGRAPH_BYTES};
pub use rules::{
    C4BadWords, C4Dialect, C4Paragraph, C4Quality, DatatroveDialect, Dclm, FastText, FineWebQuality, GopherDialect,
    GopherQuality, GopherRepetition, InvalidRule, Language, LanguageModel, Length, Pii, RedPajamaSignals,
    RefinedWebLines, RuleSettings, SplitBy, UnigramLogProbability, Url, Wikipedia,
};
pub use tally::{FilterTally, MeasureTally, NamedLimit, RuleTally};

use rules::{Edit, Findings, Rule};
use text::Text;

/// What is known of a document other than its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// URL of the page.
    pub url: &'a str,
    /// Registrable domain of the page.
    pub domain: &'a str,
    /// Title of the page.
    pub title: &'a str,
    /// What the page says of its site, a line each; titles are given without the site's name.
    pub site: &'a str,
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
    /// The fault: `too_few_words`.
    pub fault: &'static str,
    /// The name of the fault in the code that the rule follows; empty if it has none, or no code is followed.
    pub upstream: &'static str,
    /// The value and the limit, as text for people.
    pub detail: String,
}

/// The result of applying all rules to a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement<'a> {
    /// Why the text is dropped, if it is: the first of `failures`.
    pub failure: Option<Failure>,
    /// For each rule, in order, why it would drop the text if it were the only rule; `None` if it would not.
    pub failures: Vec<Option<Failure>>,
    /// The values of [`Filter::measures`], in their order; NaN where one is not defined for the text.
    pub measures: Vec<f64>,
    /// The text as the last rule left it; borrowed if no rule changed it.
    pub text: Cow<'a, str>,
    /// Indices of the rules that edited the text.
    pub edited_by: Vec<usize>,
    /// What was cut or replaced, in order.
    pub cuts: Vec<Cut>,
}

/// Parts of a text that a rule cut or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The rule.
    pub rule: &'static str,
    /// The index of the rule in the filter, from 0.
    pub rule_index: usize,
    /// Name of the kind of parts.
    pub name: &'static str,
    /// How many.
    pub count: u64,
}

/// A measure of a rule of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterMeasure {
    /// The rule.
    pub rule: &'static str,
    /// The index of the rule in the filter, from 0.
    pub rule_index: usize,
    /// How many rules of the same name come before it.
    pub repeat: usize,
    /// The measure with its limits.
    pub measure: Measure,
}

impl FilterMeasure {
    /// `rule.measure`, unique in the filter: a second rule of the same name is `rule_2`.
    pub fn name(&self) -> String {
        format!("{}.{}", numbered(self.rule, self.repeat), self.measure.name)
    }
}

/// The name of a rule, given how many of the same name come before it.
fn numbered(rule: &str, repeat: usize) -> String {
    match repeat {
        0 => rule.to_owned(),
        repeat => format!("{rule}_{}", repeat + 1),
    }
}

/// The rules of a recipe, in its order, with the lists that they read.
#[derive(Default)]
pub struct Filter {
    rules: Vec<(&'static str, Box<dyn Rule>)>,
    measures: Vec<FilterMeasure>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|(name, _)| name)).finish()
    }
}

impl Filter {
    /// A filter with these rules; without any, every text passes.
    ///
    /// # Errors
    /// A list or model that a rule names cannot be read, or a model lacks the rule's label.
    pub fn new(settings: &[RuleSettings]) -> Result<Filter, ListError> {
        let mut filter = Filter::default();
        for settings in settings {
            let (name, rule) = (settings.name(), settings.open()?);
            let repeat = filter.rules.iter().filter(|(other, _)| *other == name).count();
            let rule_index = filter.rules.len();
            let of_filter = |measure| FilterMeasure { rule: name, rule_index, repeat, measure };
            filter.measures.extend(rule.measures().into_iter().map(of_filter));
            filter.rules.push((name, rule));
        }
        Ok(filter)
    }

    /// The names of the rules, unique in the filter: a second one of the same name is `rule_2`.
    pub fn rule_names(&self) -> impl Iterator<Item = String> {
        let before = |at: usize, name: &str| self.rules[..at].iter().filter(|(other, _)| *other == name).count();
        self.rules.iter().enumerate().map(move |(at, (name, _))| numbered(name, before(at, name)))
    }

    /// The measures of each rule, in order.
    pub fn measures(&self) -> &[FilterMeasure] {
        &self.measures
    }

    /// Judges a text. Time linear in its length.
    pub fn judge<'a>(&self, text: &'a str, about: About<'_>) -> Judgement<'a> {
        let mut text = Text::new(text.into());
        let (mut values, mut failures) = (Vec::with_capacity(self.measures.len()), Vec::new());
        let (mut edited_by, mut cuts) = (Vec::new(), Vec::new());
        for (rule_index, (rule, opened)) in self.rules.iter().enumerate() {
            let findings = opened.apply(&text, about);
            let measures = &self.measures[values.len()..values.len() + findings.values.len()];
            failures.push(failure(measures, &findings));
            values.extend(&findings.values);
            if let Some(Edit { text: edited, words, cuts: counts }) = findings.edit {
                let counts = counts.into_iter().filter(|(_, count)| *count > 0);
                cuts.extend(counts.map(|(name, count)| Cut { rule, rule_index, name, count: count as u64 }));
                edited_by.push(rule_index);
                text = match words {
                    Some(words) => Text::with_word_count(edited.into(), words),
                    None => Text::new(edited.into()),
                };
            }
        }
        let failure = failures.iter().flatten().next().cloned();
        Judgement { failure, failures, measures: values, text: text.into_str(), edited_by, cuts }
    }
}

/// The measure of a rule that is out of its limits: the first one, unless the rule says which.
fn failure(measures: &[FilterMeasure], findings: &Findings) -> Option<Failure> {
    let broken = |index: usize| {
        let of_filter = &measures[index];
        let bound = of_filter.measure.broken_bound(findings.values[index])?;
        Some((of_filter, findings.values[index], bound))
    };
    let (FilterMeasure { rule, measure, .. }, value, bound) =
        findings.first.and_then(broken).or_else(|| (0..measures.len()).find_map(broken))?;
    let detail = findings.detail.clone().unwrap_or_else(|| match (bound.key, bound.limit.number()) {
        ("", _) | (_, None) => format!("{} = {value}", measure.name),
        (key, Some(limit)) => format!("{} = {value}, {key} = {limit}", measure.name),
    });
    let (measure, fault, upstream) = (measure.name, bound.fault, bound.upstream);
    Some(Failure { rule, measure, fault, upstream, detail })
}

#[cfg(test)]
#[path = "../../../tests/support/share.rs"]
mod share;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share;

    const ENGLISH: &str = "The harbour master said that the old crane would be taken down before the winter storms, \
        and that nobody would be asked to pay for it.";

    fn filter() -> Filter {
        Filter::new(&[
            RuleSettings::Wikipedia(Wikipedia {}),
            // Length before language: the language of a few words cannot be detected with confidence.
            RuleSettings::Length(Length { min_words: 10, max_words: 1000 }),
            RuleSettings::Language(Language {
                model: LanguageModel::Whatlang,
                keep: "en".into(),
                min_confidence: 0.5,
                min_byte_fraction: Limit::NONE,
            }),
        ])
        .unwrap()
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
        check(ENGLISH, About { site: "Crane\nCrane - Wikipedia", ..About::default() }, wikipedia("title"));
        check(ENGLISH, About { site: "From Wikipedia, the free encyclopedia", ..About::default() }, wikipedia("text"));
        check(&text, About { generator: "MediaWiki 1.40", ..About::default() }, wikipedia("generator"));
        check(ENGLISH, About { generator: "MediaWiki 1.40", ..About::default() }, None);
    }

    #[test]
    fn a_judgement_measures_what_it_drops() {
        let judgement = filter().judge("Only a few English words here.", About::default());
        let measures = filter().measures().iter().map(FilterMeasure::name).zip(judgement.measures).collect::<Vec<_>>();
        assert!(measures.contains(&("length.words".to_owned(), 6.0)), "{measures:?}");
        assert_eq!(judgement.failures[1], judgement.failure);
        assert!(judgement.failure.unwrap().detail.contains("min_words = 10"));
        let judgement = Filter::default().judge("", About::default());
        assert_eq!((judgement.failure, judgement.text), (None, Cow::Borrowed("")));
    }

    /// FineWeb's rules, and all others that need no list.
    fn all_rules() -> Filter {
        let mut rules = vec![
            RuleSettings::GopherRepetition(GopherRepetition::default()),
            RuleSettings::GopherQuality(GopherQuality::default()),
            RuleSettings::C4Quality(C4Quality {
                split_by: SplitBy::Sentences,
                ..C4Quality::of_dialect(C4Dialect::Tfds)
            }),
            RuleSettings::C4Quality(C4Quality::of_dialect(C4Dialect::Datatrove0_10)),
            RuleSettings::FineWebQuality(FineWebQuality::default()),
            RuleSettings::C4Paragraph(C4Paragraph::default()),
            RuleSettings::Url(Url::default()),
            RuleSettings::Pii(Pii::default()),
            RuleSettings::Wikipedia(Wikipedia {}),
            RuleSettings::RedPajamaSignals(RedPajamaSignals::default()),
        ];
        rules.extend(dclm_rules());
        Filter::new(&rules).unwrap()
    }

    /// The signals come first, since a later rule edits the text.
    fn dclm_and_redpajama() -> Filter {
        let mut rules = vec![RuleSettings::RedPajamaSignals(RedPajamaSignals::default())];
        rules.extend(dclm_rules());
        Filter::new(&rules).unwrap()
    }

    fn dclm_rules() -> [RuleSettings; 3] {
        let dialect = GopherDialect::Dclm;
        [
            RuleSettings::GopherQuality(GopherQuality { dialect, ..GopherQuality::default() }),
            RuleSettings::GopherRepetition(GopherRepetition { dialect, ..GopherRepetition::default() }),
            RuleSettings::RefinedWebLines(RefinedWebLines::default()),
        ]
    }

    #[test]
    fn every_rule_measures_what_others_drop() {
        let filter = all_rules();
        let judgement = filter.judge(ENGLISH, About { url: "http://example.org/", ..About::default() });
        assert_eq!(judgement.measures.len(), filter.measures().len());
        assert_eq!(judgement.failures.len(), 13);
        assert!(judgement.failures.iter().flatten().count() > 1);
        let names: std::collections::BTreeSet<_> = filter.measures().iter().map(FilterMeasure::name).collect();
        assert_eq!(names.len(), filter.measures().len());
        assert!(names.contains("c4_quality.sentences") && names.contains("c4_quality_2.sentences"));
    }

    #[test]
    fn a_rule_measures_what_the_rule_before_it_left() {
        let filter = Filter::new(&[
            RuleSettings::C4Quality(C4Quality::of_dialect(C4Dialect::Datatrove0_10)),
            RuleSettings::FineWebQuality(FineWebQuality::default()),
        ])
        .unwrap();
        let judgement = filter.judge("Home\nThe tide is out.[1]\nAbout us", About::default());
        assert_eq!(judgement.text, "The tide is out.");
        let cut = |name, count| Cut { rule: "c4_quality", rule_index: 0, name, count };
        let expected = [cut("lines_without_terminal_punctuation", 2), cut("citations", 1)];
        assert_eq!(judgement.cuts, expected);
        let lines = filter.measures().iter().position(|measure| measure.name() == "fineweb_quality.lines").unwrap();
        assert_eq!(judgement.measures[lines], 1.0);
    }

    #[test]
    fn the_first_of_two_lines_that_drop_a_text_gives_the_verdict() {
        let c4 = RuleSettings::C4Quality(C4Quality::of_dialect(C4Dialect::Datatrove0_10));
        let filter = Filter::new(&[c4]).unwrap();
        let fault = |text| filter.judge(text, About::default()).failure.unwrap().fault;
        assert_eq!(fault("Code is { here.\nThen lorem ipsum dolor."), "curly_bracket");
        assert_eq!(fault("Then lorem ipsum dolor.\nCode is { here."), "lorem_ipsum");
    }

    #[test]
    fn texts_without_words_have_no_means() {
        let filter = dclm_and_redpajama();
        for (text, lines) in [("", 0.0), (" \n \u{2003}", 2.0), ("…#\n!", 2.0), ("\u{301}\u{200d}", 1.0)] {
            let judgement = filter.judge(text, About::default());
            let value = |name: &str| {
                let at = filter.measures().iter().position(|measure| measure.name() == name).unwrap();
                judgement.measures[at]
            };
            assert!(value("gopher_repetition.top_2_gram_char_fraction").is_nan(), "{text:?}");
            assert_eq!(value("gopher_quality.words"), 0.0);
            assert_eq!(value("redpajama_signals.lines"), lines);
            assert_eq!(value("redpajama_signals.rps_doc_frac_chars_top_2gram"), 0.0);
            assert_eq!(judgement.failures[0], None);
            assert!(judgement.failures[1].is_some());
            assert!(judgement.measures.iter().all(|value| !value.is_infinite()));
        }
    }

    #[test]
    fn many_lines() {
        let filter = dclm_and_redpajama();
        for line in ["\n", "a b\n", "•\u{301}…\n", "1'\u{301}\u{301}\u{301}"] {
            let text = line.repeat(1_000_000 / share::one_in(10));
            let judgement = filter.judge(&text, About::default());
            assert_eq!(judgement.measures.len(), filter.measures().len());
        }
    }

    #[test]
    fn hostile_texts() {
        let filter = all_rules();
        for part in [
            "",
            "a",
            "\n",
            " ",
            "a\n",
            "[",
            "[1",
            "{.",
            "a@",
            "a.",
            "1.1.1.",
            "-a",
            "...",
            "#",
            "é",
            "a b. ",
            "\u{85}",
            "1'\u{301}",
            "🇩🇪",
        ] {
            for count in [1, 2, 20_000] {
                let text = part.repeat(count);
                let judgement = filter.judge(&text, About { url: part, ..About::default() });
                assert_eq!(judgement.measures.len(), filter.measures().len());
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, n in 0usize..300) {
            filter().judge(&text.repeat(n), About::default());
            all_rules().judge(&text.repeat(n % 4), About { url: &text, ..About::default() });
        }
    }
}
