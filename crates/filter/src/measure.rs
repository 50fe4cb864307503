//! The measures of rules, and the limits on them.
//!
//! Left out: the values, which are plain numbers in the order of the measures.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The unit of a measure, which also decides the bins of its histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureUnit {
    /// A whole number from 0 up, or a mean or entropy without a better unit; bins grow by powers.
    Count,
    /// A length in code points, or a mean of lengths; bins grow by powers.
    Chars,
    /// A share from 0 to 1; even bins. Above 1 where the parts can exceed the whole.
    Fraction,
    /// A natural logarithm of a probability, 0 or below; even bins.
    LogProbability,
}

/// A minimum or maximum of a measure, or none. In recipes a number, or `"none"`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limit(Option<f64>);

impl Limit {
    /// No limit.
    pub const NONE: Limit = Limit(None);

    /// A limit at a number; infinity means no limit.
    pub const fn at(limit: f64) -> Limit {
        Limit(if limit.is_finite() { Some(limit) } else { None })
    }

    /// The number, if there is a limit.
    pub const fn number(self) -> Option<f64> {
        self.0
    }
}

impl From<f64> for Limit {
    fn from(limit: f64) -> Limit {
        Limit::at(limit)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // As people write it: 50, not 50.0.
            Some(limit) if limit.fract() == 0.0 && limit.abs() < 1e15 => serializer.serialize_i64(limit as i64),
            Some(limit) => serializer.serialize_f64(limit),
            None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        struct NumberOrNone;
        impl Visitor<'_> for NumberOrNone {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or \"none\"")
            }
            fn visit_f64<E: Error>(self, limit: f64) -> Result<Limit, E> {
                if limit.is_nan() { Err(E::invalid_value(Unexpected::Float(limit), &self)) } else { Ok(limit.into()) }
            }
            fn visit_i64<E: Error>(self, limit: i64) -> Result<Limit, E> {
                Ok((limit as f64).into())
            }
            fn visit_u64<E: Error>(self, limit: u64) -> Result<Limit, E> {
                Ok((limit as f64).into())
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
                if text == "none" { Ok(Limit::NONE) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
            }
        }
        deserializer.deserialize_any(NumberOrNone)
    }
}

/// One side of a measure that has a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The key of the limit in recipes; empty where the limit is the rule itself.
    pub key: &'static str,
    /// The limit.
    pub limit: Limit,
    /// Name of the fault of a value on the wrong side: `too_few_words`.
    pub fault: &'static str,
    /// Name of that fault in the followed code: `gopher_short_doc`; empty if it has none.
    pub upstream: &'static str,
}

/// A side of a measure on which a limit can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Values below are out of limits.
    Min,
    /// Values above are out of limits.
    Max,
}

/// The side on which a value is out of its minimum and maximum. One that is not defined (NaN) is on none.
pub(crate) fn broken_side(value: f64, [min, max]: [Option<f64>; 2], zero_passes: bool) -> Option<Side> {
    if value == 0.0 && zero_passes {
        return None;
    }
    let is_below = min.is_some_and(|limit| value < limit);
    let is_above = max.is_some_and(|limit| value > limit);
    is_below.then_some(Side::Min).or(is_above.then_some(Side::Max))
}

/// A number that a rule computes for each document.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The name, unique in its rule.
    pub name: &'static str,
    /// Its unit.
    pub unit: MeasureUnit,
    /// Description, for people.
    pub doc: &'static str,
    /// Values below are out of limits.
    pub min: Option<Bound>,
    /// Values above are out of limits.
    pub max: Option<Bound>,
    /// Whether 0 is always within the limits.
    pub zero_passes: bool,
}

impl Measure {
    pub(crate) const fn new(name: &'static str, unit: MeasureUnit, doc: &'static str) -> Measure {
        Measure { name, unit, doc, min: None, max: None, zero_passes: false }
    }

    pub(crate) fn min(self, key: &'static str, limit: Limit, fault: &'static str, upstream: &'static str) -> Measure {
        Measure { min: Some(Bound { key, limit, fault, upstream }), ..self }
    }

    pub(crate) fn max(self, key: &'static str, limit: Limit, fault: &'static str, upstream: &'static str) -> Measure {
        Measure { max: Some(Bound { key, limit, fault, upstream }), ..self }
    }

    /// The bound that a value violates. A value that is not defined (NaN) violates none.
    pub fn broken_bound(&self, value: f64) -> Option<&Bound> {
        let limit = |bound: &Option<Bound>| bound.as_ref().and_then(|bound| bound.limit.number());
        match broken_side(value, [limit(&self.min), limit(&self.max)], self.zero_passes)? {
            Side::Min => self.min.as_ref(),
            Side::Max => self.max.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        for (json, limit) in
            [("50", 50.0.into()), ("0.3", 0.3.into()), ("-10", (-10.0).into()), ("\"none\"", Limit::NONE)]
        {
            assert_eq!(serde_json::from_str::<Limit>(json).unwrap(), limit);
            assert_eq!(serde_json::to_string(&limit).unwrap(), json);
        }
        assert!(serde_json::from_str::<Limit>("\"many\"").unwrap_err().to_string().contains("a number or \"none\""));
        assert_eq!(Limit::at(f64::INFINITY), Limit::NONE);
    }

    #[test]
    fn bounds_are_part_of_what_is_allowed() {
        let measure = Measure::new("words", MeasureUnit::Count, "")
            .min("min_words", Limit::at(2.0), "too_few_words", "")
            .max("max_words", Limit::at(4.0), "too_many_words", "");
        let fault = |value| measure.broken_bound(value).map(|bound| bound.fault);
        assert_eq!([1.0, 2.0, 4.0, f64::NAN].map(fault), [Some("too_few_words"), None, None, None]);
        assert_eq!(fault(5.0), Some("too_many_words"));
    }
}
