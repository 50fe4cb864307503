//! The values of a dump's fields, in the forms that occur: the same for lines of JSON and rows of a table.
//!
//! Programs between Reddit and a dump write numbers and booleans as texts, and what is missing in several ways. A form
//! whose meaning is certain is read. One whose meaning is not is [`Unclear`], and the field decides what then.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dates;
use crate::json::RawValue;

/// Numbers from here on are no seconds since 1970 (that would be the year 5138) but milliseconds, and by the same
/// factor microseconds and nanoseconds.
const MIN_MILLISECONDS: u64 = 100_000_000_000;
/// Days since 1970 that are in the years 2002 to 2106; as seconds they would be in the first day of 1970.
const DAYS: Range<i64> = 12_000..50_000;
/// Texts of programs that have none: pandas, Python, SQL.
const MISSING: [&str; 5] = ["", "null", "none", "nan", "n/a"];
const TRUE: [&str; 5] = ["true", "t", "yes", "y", "on"];
const FALSE: [&str; 5] = ["false", "f", "no", "n", "off"];

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// Null, or NaN, which tables of some writers hold where a number is missing.
    Missing,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// A text with U+FFFD for what is no character.
    BrokenText(String),
    /// What else there is, for a message.
    Other(&'static str),
}

/// The value's meaning in its field is not certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear;

impl<'a> Value<'a> {
    /// The value that is written in a line of JSON.
    pub(crate) fn of_json(raw: RawValue<'a>) -> Value<'a> {
        match raw {
            RawValue::Text(text) => text.decode().map_or_else(Value::BrokenText, Value::Text),
            RawValue::Literal(b"true") => Value::Boolean(true),
            RawValue::Literal(b"false") => Value::Boolean(false),
            RawValue::Literal(b"null" | b"NaN") => Value::Missing,
            RawValue::Literal(bytes) => number(bytes).unwrap_or(Value::Other("no value of JSON")),
            RawValue::Object(_) => Value::Other("an object"),
            RawValue::Array(_) => Value::Other("a list"),
        }
    }

    fn of_float(number: f64) -> Value<'a> {
        if number.is_nan() { Value::Missing } else { Value::Float(number) }
    }

    /// A text that something is done with. Some early dumps hold `false` where there is none.
    pub(crate) fn text(self) -> Result<Option<Cow<'a, str>>, Unclear> {
        match self {
            Value::Text(text) => Ok(Some(text)),
            Value::Missing | Value::Boolean(false) => Ok(None),
            _ => Err(Unclear),
        }
    }

    /// A text that people read: whatever can be shown, and nothing else.
    pub(crate) fn label(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(text) => Some(text),
            Value::BrokenText(text) => Some(text.into()),
            Value::Integer(number) => Some(number.to_string().into()),
            Value::Float(number) => Some(number.to_string().into()),
            Value::Missing | Value::Boolean(_) | Value::Other(_) => None,
        }
    }

    /// A whole number, or its text; a fraction is cut off. `1.5k` and `1,024` are not certain.
    pub(crate) fn integer(&self) -> Result<Option<i64>, Unclear> {
        match self {
            Value::Missing => Ok(None),
            Value::Integer(number) => Ok(Some(*number)),
            Value::Float(number) => truncated(*number).map(Some),
            Value::Text(text) if is_missing(text) => Ok(None),
            Value::Text(text) => number_in(text).ok_or(Unclear).and_then(|number| number.integer()),
            Value::Boolean(_) | Value::BrokenText(_) | Value::Other(_) => Err(Unclear),
        }
    }

    /// A boolean, a number, or a text of either; what is missing is false.
    pub(crate) fn flag(&self) -> Result<bool, Unclear> {
        match self {
            Value::Missing => Ok(false),
            Value::Boolean(flag) => Ok(*flag),
            Value::Integer(number) => Ok(*number != 0),
            Value::Float(number) => Ok(*number != 0.0),
            Value::Text(text) if is_missing(text) => Ok(false),
            Value::Text(text) if is_one_of(text, &TRUE) => Ok(true),
            Value::Text(text) if is_one_of(text, &FALSE) => Ok(false),
            Value::Text(text) => number_in(text).ok_or(Unclear).and_then(|number| number.flag()),
            Value::BrokenText(_) | Value::Other(_) => Err(Unclear),
        }
    }

    /// Seconds since 1970 (UTC) of a time: seconds, or by their size milliseconds and less, or days; a date by its digits
    /// (`20160301`); a text of a number; or a date with or without a time, in UTC unless it says otherwise.
    pub(crate) fn seconds(&self) -> Result<Option<i64>, Unclear> {
        match self {
            Value::Text(text) if !is_missing(text) => match number_in(text) {
                Some(number) => number.seconds(),
                None => dates::moment(text.trim()).ok_or(Unclear).map(Some),
            },
            other => Ok(other.integer()?.map(in_seconds)),
        }
    }
}

/// As a message shows it.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Missing => f.write_str("null"),
            Value::Boolean(flag) => write!(f, "{flag}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::BrokenText(text) => write!(f, "{text:?}, which is no valid text"),
            Value::Other(what) => f.write_str(what),
        }
    }
}

/// A number of JSON.
fn number<'a>(bytes: &[u8]) -> Option<Value<'a>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_number = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    match text {
        // It is no integer to parsers of JSON.
        "-0" => Some(Value::of_float(-0.0)),
        _ if is_number => number_in(text),
        _ => None,
    }
}

/// The number that a text holds, as Rust writes numbers; not a number and infinity are none.
fn number_in<'a>(text: &str) -> Option<Value<'a>> {
    let text = text.trim();
    match text.parse() {
        Ok(number) => Some(Value::Integer(number)),
        Err(_) => text.parse().ok().filter(|number: &f64| !number.is_nan()).map(Value::Float),
    }
}

/// Without its fraction, if that fits.
fn truncated(number: f64) -> Result<i64, Unclear> {
    // 2⁶³ itself is the first number that does not fit.
    let fits = (-(2f64.powi(63))..2f64.powi(63)).contains(&number);
    if fits { Ok(number as i64) } else { Err(Unclear) }
}

/// No link was submitted in 1970, so small numbers are other ways to write a time: a date by its digits, or days, as
/// the dates of tables are.
fn in_seconds(time: i64) -> i64 {
    if let Some(moment) = dates::of_digits(time) {
        return moment;
    }
    if DAYS.contains(&time) {
        return time * 86_400;
    }
    let mut per_second = 1;
    while time.unsigned_abs() / per_second >= MIN_MILLISECONDS {
        per_second *= 1000;
    }
    time.div_euclid(per_second as i64)
}

fn is_missing(text: &str) -> bool {
    is_one_of(text, &MISSING)
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    let text = text.trim();
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Boolean(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::of_float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text.to_owned().into()))
    }

    // Tables of some writers hold texts in columns of bytes.
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value<'de>, E> {
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned().into()),
            Err(_) => Value::BrokenText(String::from_utf8_lossy(bytes).into_owned()),
        })
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Missing)
    }

    fn visit_none<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Missing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value<'de>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    fn check_integer(value: Value<'_>, expected: Result<Option<i64>, Unclear>) {
        assert_eq!(value.integer(), expected, "{value}");
    }

    #[test]
    fn integers() {
        for (value, expected) in [
            (Value::Integer(7), Some(7)),
            (Value::Float(-2.9), Some(-2)),
            (text("7"), Some(7)),
            (text(" +7 "), Some(7)),
            (text("7.0"), Some(7)),
            (text("1e3"), Some(1000)),
            (text("None"), None),
            (text(" "), None),
            (Value::Missing, None),
            (text("NaN"), None),
        ] {
            check_integer(value, Ok(expected));
        }
        for unclear in ["many", "1.5k", "1,024", "1 024", "0x10", "inf", "99999999999999999999", "•", "7 points"] {
            check_integer(text(unclear), Err(Unclear));
        }
        for unclear in [Value::Boolean(true), Value::Float(f64::INFINITY), Value::Float(1e300), Value::Other("a list")]
        {
            check_integer(unclear, Err(Unclear));
        }
    }

    #[test]
    fn flags() {
        for value in [Value::Boolean(true), Value::Integer(1), Value::Integer(-1), Value::Float(1.0), Value::Float(0.5)]
        {
            assert_eq!(value.flag(), Ok(true), "{value}");
        }
        for value in [Value::Boolean(false), Value::Missing, Value::Integer(0), Value::Float(0.0)] {
            assert_eq!(value.flag(), Ok(false), "{value}");
        }
        for yes in ["1", "True", "TRUE", " true", "yes", "Y", "t", "on", "1.0", "2"] {
            assert_eq!(text(yes).flag(), Ok(true), "{yes}");
        }
        for no in ["0", "False", "no", "N", "f", "off", "0.0", "", "null", "None", "nan"] {
            assert_eq!(text(no).flag(), Ok(false), "{no}");
        }
        for unclear in
            [text("nsfw"), text("maybe"), text("-"), Value::Other("an object"), Value::BrokenText("1".into())]
        {
            assert_eq!(unclear.flag(), Err(Unclear), "{unclear}");
        }
    }

    #[test]
    fn times_in_every_unit_and_form() {
        const MOMENT: i64 = 1_456_790_400;
        for value in [
            Value::Integer(MOMENT),
            Value::Float(1_456_790_400.75),
            Value::Integer(MOMENT * 1_000 + 999),
            Value::Integer(MOMENT * 1_000_000),
            Value::Integer(MOMENT * 1_000_000_000),
            Value::Float(1.456_790_4e12),
            text("1456790400"),
            text("1456790400.0"),
            text("1456790400000"),
            text(" 2016-03-01T00:00:00Z "),
            text("2016-03-01"),
        ] {
            assert_eq!(value.seconds(), Ok(Some(MOMENT)), "{value}");
        }
        assert_eq!(Value::Integer(-5).seconds(), Ok(Some(-5)));
        assert_eq!(Value::Integer(i64::MIN).seconds(), Ok(Some(-9_223_372_037)));
        assert_eq!([text(""), text("nan"), Value::Missing].map(|value| value.seconds()), [Ok(None); 3]);
        for unclear in [text("soon"), text("2016-13-01"), Value::Boolean(true), Value::Float(f64::INFINITY)] {
            assert_eq!(unclear.seconds(), Err(Unclear), "{unclear}");
        }
    }

    #[test]
    fn what_stands_for_a_text() {
        assert_eq!(
            [text("x"), Value::Missing, Value::Boolean(false)].map(Value::text),
            [Ok(Some("x".into())), Ok(None), Ok(None)]
        );
        for unclear in [Value::Boolean(true), Value::Integer(7), Value::Other("a list"), Value::BrokenText("x".into())]
        {
            assert_eq!(unclear.text(), Err(Unclear));
        }
        assert_eq!(Value::Integer(2012).label().as_deref(), Some("2012"));
        assert_eq!(Value::BrokenText("x\u{fffd}".into()).label().as_deref(), Some("x\u{fffd}"));
        assert_eq!([Value::Boolean(true), Value::Other("a list")].map(Value::label), [None, None]);
    }
}
