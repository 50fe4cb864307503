//! The documents nearest to each limit of the rules, on both of its sides.
//!
//! They are drawn from those that every other rule keeps, so that a limit decides about nothing but what is shown.

use std::collections::BTreeMap;

use filter::{FilterTally, RuleTally, Side};

/// Documents on each side of a limit.
const MAX_DOCUMENTS: usize = 2;

/// A limit, with the documents nearest to it.
#[derive(Debug)]
pub struct NearLimit<D> {
    /// The place of the rule in the recipe.
    pub rule: usize,
    /// The place of the measure in the rule.
    pub measure: usize,
    /// The side of the measure on which the limit lies.
    pub side: Side,
    /// Documents that pass, the nearest first.
    pub within: Vec<(f64, D)>,
    /// Documents that are dropped for it, the nearest first.
    pub beyond: Vec<(f64, D)>,
}

impl<D> NearLimit<D> {
    /// The same with other documents.
    pub fn map<E>(self, of: impl Fn(D) -> E) -> NearLimit<E> {
        let each =
            |documents: Vec<(f64, D)>| documents.into_iter().map(|(value, document)| (value, of(document))).collect();
        let NearLimit { rule, measure, side, within, beyond } = self;
        NearLimit { rule, measure, side, within: each(within), beyond: each(beyond) }
    }
}

/// Collects the documents nearest to each limit; of those at the same distance, the ones with the smallest ids.
pub struct NearLimits<'t, D> {
    rules: &'t [RuleTally],
    limits: Vec<Drawn<D>>,
}

/// The documents nearest to a limit so far.
struct Drawn<D> {
    rule: usize,
    measure: usize,
    side: Side,
    limit: f64,
    within: Nearest<D>,
    beyond: Nearest<D>,
}

/// Documents with their values, by the bits of their distance and by their ids. The bits of numbers from 0 up are ordered
/// as the numbers are.
type Nearest<D> = BTreeMap<(u64, String), (f64, D)>;

impl<'t, D: Clone> NearLimits<'t, D> {
    /// All limits of these rules, with no documents.
    pub fn of(tally: &'t FilterTally) -> NearLimits<'t, D> {
        let rules = tally.rules();
        let mut limits = Vec::new();
        for (rule, of_rule) in rules.iter().enumerate() {
            for (measure, of_measure) in of_rule.measures.iter().enumerate() {
                for side in [Side::Min, Side::Max] {
                    let Some(limit) = of_measure.limit(side) else { continue };
                    limits.push(Drawn { rule, measure, side, limit, within: Nearest::new(), beyond: Nearest::new() });
                }
            }
        }
        NearLimits { rules, limits }
    }

    /// Takes a document into account, by the values of all measures in order.
    pub fn offer(&mut self, id: &str, values: &[f64], document: &D) {
        let mut values = values.iter();
        let values: Vec<Vec<f64>> =
            self.rules.iter().map(|rule| values.by_ref().take(rule.measures.len()).copied().collect()).collect();
        let fails = |rule: usize| {
            let of_rule = &self.rules[rule].measures;
            of_rule.iter().zip(&values[rule]).any(|(measure, &value)| measure.broken_side(value).is_some())
        };
        let failed: Vec<usize> = (0..values.len()).filter(|&rule| fails(rule)).collect();
        for near in &mut self.limits {
            if failed.iter().any(|&rule| rule != near.rule) {
                continue;
            }
            let value = values[near.rule].get(near.measure).copied().unwrap_or(f64::NAN);
            let broken = self.rules[near.rule].measures[near.measure].broken_side(value);
            let nearest = match broken {
                Some(side) if side == near.side => &mut near.beyond,
                None if !value.is_nan() && failed.is_empty() => &mut near.within,
                _ => continue,
            };
            offer(nearest, ((value - near.limit).abs().to_bits(), id), value, document);
        }
    }

    /// The limits with their documents.
    pub fn finish(self) -> Vec<NearLimit<D>> {
        let of_limit = |Drawn { rule, measure, side, within, beyond, .. }: Drawn<D>| NearLimit {
            rule,
            measure,
            side,
            within: within.into_values().collect(),
            beyond: beyond.into_values().collect(),
        };
        self.limits.into_iter().map(of_limit).collect()
    }
}

fn offer<D: Clone>(nearest: &mut Nearest<D>, (distance, id): (u64, &str), value: f64, document: &D) {
    let last = nearest.last_key_value().map(|((distance, id), _)| (*distance, id.as_str()));
    if nearest.len() == MAX_DOCUMENTS && last <= Some((distance, id)) {
        return;
    }
    nearest.insert((distance, id.to_owned()), (value, document.clone()));
    if nearest.len() > MAX_DOCUMENTS {
        nearest.pop_last();
    }
}

#[cfg(test)]
mod tests {
    use filter::{About, Filter, Length, RuleSettings};

    use super::*;

    #[test]
    fn the_nearest_of_those_that_other_rules_keep_are_drawn() {
        let length = |min_words, max_words| RuleSettings::Length(Length { min_words, max_words });
        let filter = Filter::new(&[length(3, 1000), length(1, 8)]).unwrap();
        let tally = FilterTally::of(&filter);
        let mut near = NearLimits::of(&tally);
        for words in [9, 1, 2, 3, 4, 5, 7, 20] {
            let text = "word ".repeat(words);
            let id = format!("{words:02}");
            near.offer(&id, &filter.judge(&text, About::default()).measures, &id);
        }
        let near = near.finish();
        let of_limit = |rule: usize, side: Side| {
            let limit = near.iter().find(|limit| (limit.rule, limit.side) == (rule, side)).unwrap();
            let names = |documents: &[(f64, String)]| documents.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
            (names(&limit.within), names(&limit.beyond))
        };
        let check = |rule, side, within: &[&str], beyond: &[&str]| {
            let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
            assert_eq!(of_limit(rule, side), (owned(within), owned(beyond)));
        };
        check(0, Side::Min, &["03", "04"], &["02", "01"]);
        check(1, Side::Max, &["07", "05"], &["09", "20"]);
        // What the first rule drops says nothing of the second one's limit.
        check(1, Side::Min, &["03", "04"], &[]);
    }
}
