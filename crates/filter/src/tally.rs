//! The effect of rules on many texts: how many each dropped, and histograms of its measures.
//!
//! Left out: the texts themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::broken_side;
use crate::{Bound, Filter, Histogram, Judgement, Limit, MeasureUnit, Side};

/// The tally of each rule of a filter, in order. Tallies of parts add up to that of the whole, in any order.
///
/// ```
/// use filter::{About, Filter, FilterTally, Length, RuleSettings};
/// let filter = Filter::new(&[RuleSettings::Length(Length { min_words: 3, max_words: 1000 })])?;
/// let mut tally = FilterTally::of(&filter);
/// for text in ["The tide is out.", "Out."] {
///     tally.note(&filter.judge(text, About::default()));
/// }
/// let length = &tally.rules()[0];
/// assert_eq!((length.rule.as_str(), length.dropped, length.measures[0].all.total()), ("length", 1, 2));
/// # Ok::<(), filter::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilterTally(Vec<RuleTally>);

/// The tally of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleTally {
    /// The rule, unique in the filter: a second one of the same name is `rule_2`.
    pub rule: String,
    /// Texts that it dropped, and no rule before it.
    pub dropped: u64,
    /// Texts that it would have dropped if it were the only rule.
    pub dropped_alone: u64,
    /// Kept texts that it edited.
    pub edited: u64,
    /// Parts that it cut or replaced in kept texts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cuts: BTreeMap<String, u64>,
    /// Its measures.
    pub measures: Vec<MeasureTally>,
}

/// The tally of one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureTally {
    /// The measure, unique in its rule.
    pub measure: String,
    /// Its unit.
    pub unit: MeasureUnit,
    /// Description, for people.
    pub doc: String,
    /// The least that passes; `None` where no rule of this kind has such a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<NamedLimit>,
    /// The most that passes; `None` where no rule of this kind has such a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<NamedLimit>,
    /// Whether 0 always passes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zero_passes: bool,
    /// The values of all texts.
    pub all: Histogram,
    /// The values of texts that every other rule keeps.
    pub kept_by_others: Histogram,
}

/// A limit with its key in recipes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedLimit {
    /// The key; empty where the limit is the rule itself.
    pub key: String,
    /// The limit, or none; a value that is equal to it passes.
    pub limit: Limit,
}

impl NamedLimit {
    fn of(bound: &Bound) -> NamedLimit {
        NamedLimit { key: bound.key.to_owned(), limit: bound.limit }
    }
}

impl MeasureTally {
    /// The limit of a side, if there is one.
    pub fn limit(&self, side: Side) -> Option<f64> {
        let bound = match side {
            Side::Min => self.min.as_ref(),
            Side::Max => self.max.as_ref(),
        };
        bound.and_then(|bound| bound.limit.number())
    }

    /// The side on which a value is out of limits. One that is not defined (NaN) is on none.
    pub fn broken_side(&self, value: f64) -> Option<Side> {
        broken_side(value, [Side::Min, Side::Max].map(|side| self.limit(side)), self.zero_passes)
    }
}

impl FilterTally {
    /// The tally of a filter that has judged nothing.
    pub fn of(filter: &Filter) -> FilterTally {
        let mut rules: Vec<RuleTally> = filter.rule_names().map(RuleTally::of).collect();
        for of_filter in filter.measures() {
            let measure = &of_filter.measure;
            rules[of_filter.rule_index].measures.push(MeasureTally {
                measure: measure.name.to_owned(),
                unit: measure.unit,
                doc: measure.doc.to_owned(),
                min: measure.min.as_ref().map(NamedLimit::of),
                max: measure.max.as_ref().map(NamedLimit::of),
                zero_passes: measure.zero_passes,
                all: Histogram::default(),
                kept_by_others: Histogram::default(),
            });
        }
        FilterTally(rules)
    }

    /// What each rule did.
    pub fn rules(&self) -> &[RuleTally] {
        &self.0
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the judgement of a text.
    pub fn note(&mut self, judgement: &Judgement<'_>) {
        let failed = judgement.failures.iter().flatten().count();
        let first = judgement.failures.iter().position(Option::is_some);
        let mut values = judgement.measures.iter();
        for (index, rule) in self.0.iter_mut().enumerate() {
            let fails = judgement.failures[index].is_some();
            rule.dropped += u64::from(first == Some(index));
            rule.dropped_alone += u64::from(fails);
            let others_keep = failed == usize::from(fails);
            for (measure, &value) in rule.measures.iter_mut().zip(&mut values) {
                measure.all.note(measure.unit, value);
                if others_keep {
                    measure.kept_by_others.note(measure.unit, value);
                }
            }
        }
        if first.is_none() {
            judgement.edited_by.iter().for_each(|&rule| self.0[rule].edited += 1);
            for cut in &judgement.cuts {
                *self.0[cut.rule_index].cuts.entry(cut.name.to_owned()).or_default() += cut.count;
            }
        }
    }

    /// Adds the tally of another part, by the same rules.
    ///
    /// # Panics
    /// When both have rules, and not the same.
    pub fn merge(&mut self, other: &FilterTally) {
        if self.is_empty() {
            self.clone_from(other);
        } else if !other.is_empty() {
            assert_eq!(self.0.len(), other.0.len(), "tallies of the same rules");
            self.0.iter_mut().zip(&other.0).for_each(|(rule, more)| rule.merge(more));
        }
    }
}

impl RuleTally {
    fn of(rule: String) -> RuleTally {
        RuleTally { rule, dropped: 0, dropped_alone: 0, edited: 0, cuts: BTreeMap::new(), measures: Vec::new() }
    }

    fn merge(&mut self, other: &RuleTally) {
        assert_eq!(self.rule, other.rule, "tallies of the same rules");
        self.dropped += other.dropped;
        self.dropped_alone += other.dropped_alone;
        self.edited += other.edited;
        other.cuts.iter().for_each(|(name, count)| *self.cuts.entry(name.clone()).or_default() += count);
        for (measure, more) in self.measures.iter_mut().zip(&other.measures) {
            measure.all.merge(&more.all);
            measure.kept_by_others.merge(&more.kept_by_others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{About, C4Dialect, C4Quality, Length, RuleSettings};

    fn filter() -> Filter {
        let c4 = C4Quality { min_sentences: 1.0.into(), ..C4Quality::of_dialect(C4Dialect::Datatrove0_10) };
        let length = |min_words| RuleSettings::Length(Length { min_words, max_words: 12 });
        Filter::new(&[length(3), RuleSettings::C4Quality(c4), length(6)]).unwrap()
    }

    const TEXTS: [&str; 5] = [
        "Two words.",
        "The tide is out.",
        "The tide is out and the boats are aground.",
        "The tide is out and the boats are aground.[1]\nMenu",
        "No mark at the end, and none in this line of too many words, of which none is a sentence",
    ];

    #[test]
    fn drops_are_of_the_first_rule_and_of_each_alone() {
        let filter = filter();
        let mut tally = FilterTally::of(&filter);
        TEXTS.iter().for_each(|text| tally.note(&filter.judge(text, About::default())));
        let of_rules = |of: fn(&RuleTally) -> u64| tally.rules().iter().map(of).collect::<Vec<_>>();
        assert_eq!(of_rules(|rule| rule.dropped), [2, 0, 1]);
        assert_eq!(of_rules(|rule| rule.dropped_alone), [2, 2, 3]);
        assert_eq!(of_rules(|rule| rule.edited), [0, 1, 0]);
        assert_eq!(tally.rules()[1].cuts["citations"], 1);
        assert_eq!(tally.rules()[2].rule, "length_2");
        // Of the words of the last rule, those of texts that both others keep.
        let words = &tally.rules()[2].measures[0];
        assert_eq!((words.all.total(), words.kept_by_others.total()), (5, 3));
        assert_eq!(words.kept_by_others.first_bin, MeasureUnit::Count.bin_of(4.0));
        assert_eq!(words.min.as_ref().map(|min| (min.key.as_str(), min.limit)), Some(("min_words", 6.0.into())));
    }

    #[test]
    fn parts_add_up() {
        let filter = filter();
        let tally_of = |texts: &[&str]| {
            let mut tally = FilterTally::of(&filter);
            texts.iter().for_each(|text| tally.note(&filter.judge(text, About::default())));
            tally
        };
        let whole = tally_of(&TEXTS);
        for at in 0..=TEXTS.len() {
            for parts in [[&TEXTS[..at], &TEXTS[at..]], [&TEXTS[at..], &TEXTS[..at]]] {
                let mut sum = FilterTally::default();
                parts.iter().for_each(|texts| sum.merge(&tally_of(texts)));
                assert_eq!(sum, whole);
            }
        }
        let json = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<FilterTally>(&json).unwrap(), whole);
    }
}
