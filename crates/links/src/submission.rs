//! One record of a dump, in the forms that really occur.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// The fields of a submission that decide about its link.
///
/// Records of the link lists `{"url", "subreddit", "score", "month"}` are submissions, too.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Submission<'a> {
    /// Where the submission points; `url_overridden_by_dest` when there is one. Empty when missing.
    pub url: Cow<'a, str>,
    /// Score; 0 when missing.
    pub score: i64,
    /// Seconds since 1970 (UTC): an integer, a float or a string in the dump, or `month`'s first day.
    pub created_utc: Option<i64>,
    /// Whether it is a text post: by `is_self`, or by a `domain` of the form `self.…`.
    pub is_self: bool,
    /// Marked as over 18.
    pub over_18: bool,
    /// Subreddit, without `r/`.
    pub subreddit: Option<Cow<'a, str>>,
    /// Title.
    pub title: Option<Cow<'a, str>>,
}

/// Why a line is not a submission.
#[derive(Debug, thiserror::Error)]
#[error("the line is not a submission")]
pub struct Malformed(#[source] sonic_rs::Error);

impl<'a> Submission<'a> {
    /// Reads one line of a dump. Unknown fields are ignored.
    ///
    /// ```
    /// let line = br#"{"url":"http://a.example/?x=1&amp;y=2","score":"7","created_utc":1456790400.0}"#;
    /// let submission = links::Submission::parse(line).unwrap();
    /// assert_eq!(submission.url, "http://a.example/?x=1&y=2");
    /// assert_eq!((submission.score, submission.created_utc), (7, Some(1456790400)));
    /// ```
    ///
    /// # Errors
    /// When the line is not a JSON object, or a field that is used has none of its known shapes.
    pub fn parse(line: &'a [u8]) -> Result<Submission<'a>, Malformed> {
        sonic_rs::from_slice(line).map_err(Malformed)
    }
}

// Written by hand rather than derived: serde's derive copies a `Cow` inside an `Option`, and a
// field that occurs twice (as it does in some API samples) must not fail the record.
impl<'de> Deserialize<'de> for Submission<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SubmissionVisitor)
    }
}

struct SubmissionVisitor;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Url,
    UrlOverriddenByDest,
    Score,
    CreatedUtc,
    Month,
    IsSelf,
    Domain,
    #[serde(rename = "over_18")]
    Over18,
    Subreddit,
    Title,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for SubmissionVisitor {
    type Value = Submission<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a submission: a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Submission<'de>, A::Error> {
        let mut submission = Submission::default();
        let mut overridden = None;
        let mut month = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Url => submission.url = map.next_value::<Text>()?.0.unwrap_or_default(),
                Field::UrlOverriddenByDest => overridden = map.next_value::<Text>()?.0,
                Field::Score => submission.score = map.next_value::<Integer>()?.0.unwrap_or(0),
                Field::CreatedUtc => submission.created_utc = map.next_value::<Integer>()?.0,
                Field::Month => month = map.next_value::<Text>()?.0,
                Field::IsSelf => submission.is_self |= map.next_value::<Flag>()?.0,
                Field::Domain => {
                    let domain = map.next_value::<Text>()?.0;
                    submission.is_self |= domain.is_some_and(|d| d.starts_with("self."));
                }
                Field::Over18 => submission.over_18 = map.next_value::<Flag>()?.0,
                Field::Subreddit => submission.subreddit = map.next_value::<Text>()?.0,
                Field::Title => submission.title = map.next_value::<Text>()?.0,
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if let Some(url) = overridden.filter(|url| !url.is_empty()) {
            submission.url = url;
        }
        submission.url = unescape_html(submission.url);
        if submission.created_utc.is_none() {
            submission.created_utc = month.and_then(|month| first_of_month(&month));
        }
        Ok(submission)
    }
}

/// A string or null, borrowed from the line where it has no escapes.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or null")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            // Some early dumps hold `false` where a text is missing.
            fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// An integer, a float (truncated), a string of either, or null.
struct Integer(Option<i64>);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerVisitor;
        impl Visitor<'_> for IntegerVisitor {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a number in a string, or null")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Integer, E> {
                Ok(Integer(Some(n)))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Integer, E> {
                Ok(Integer(i64::try_from(n).ok()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Integer, E> {
                Ok(Integer(Some(n as i64)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Integer, E> {
                let text = text.trim();
                match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(n), _) => Ok(Integer(Some(n))),
                    (_, Ok(n)) if n.is_finite() => Ok(Integer(Some(n as i64))),
                    _ if text.is_empty() => Ok(Integer(None)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_unit<E>(self) -> Result<Integer, E> {
                Ok(Integer(None))
            }
        }
        deserializer.deserialize_any(IntegerVisitor)
    }
}

/// A boolean, 0 or 1, `"true"` or `"false"`, or null.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;
        impl Visitor<'_> for FlagVisitor {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean or null")
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Flag, E> {
                Ok(Flag(n != 0))
            }
            fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
                Ok(Flag(text.eq_ignore_ascii_case("true")))
            }
            fn visit_unit<E>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}

/// Undoes the HTML escaping of URLs in the dumps: `&amp;`, `&lt;`, `&gt;`, `&quot;`, `&#39;`.
fn unescape_html(url: Cow<'_, str>) -> Cow<'_, str> {
    if !url.contains('&') {
        return url;
    }
    const ESCAPES: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&#x27;", '\'')];
    let mut plain = String::with_capacity(url.len());
    let mut rest = &*url;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (escape, char) = ESCAPES.iter().find(|(e, _)| rest.starts_with(e)).unwrap_or(&("&", '&'));
        plain.push(*char);
        rest = &rest[escape.len()..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Seconds of the first day of `YYYY-MM`.
fn first_of_month(month: &str) -> Option<i64> {
    let (year, month) = month.split_once('-')?;
    seconds_of_date(year.parse().ok()?, month.parse().ok()?, 1)
}

/// Days of a month, 1 to 12, of the Gregorian calendar.
pub(crate) fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since 1970 of a day of the Gregorian calendar, at midnight UTC.
pub(crate) fn seconds_of_date(year: i64, month: i64, day: i64) -> Option<i64> {
    if !((1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day))
    {
        return None;
    }
    // Days from civil, Howard Hinnant's algorithm: years begin in March, so leap days come last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Submission<'_>) {
        assert_eq!(Submission::parse(line.as_bytes()).unwrap(), expected, "{line}");
    }

    fn bare(url: &str) -> Submission<'_> {
        Submission { url: url.into(), ..Submission::default() }
    }

    #[test]
    fn three_shapes_of_created_utc() {
        for shape in ["1456790400", "1456790400.0", "\"1456790400\"", "\"1456790400.0\""] {
            let line = format!(r#"{{"url":"u","created_utc":{shape}}}"#);
            check(&line, Submission { created_utc: Some(1_456_790_400), ..bare("u") });
        }
        check(r#"{"url":"u","created_utc":null}"#, bare("u"));
        check(r#"{"url":"u","month":"2016-03"}"#, Submission { created_utc: Some(1_456_790_400), ..bare("u") });
    }

    #[test]
    fn missing_and_null_fields() {
        check("{}", Submission::default());
        check(r#"{"url":null,"score":null,"is_self":null,"subreddit":null,"title":false}"#, Submission::default());
    }

    #[test]
    fn the_destination_overrides_the_url() {
        check(r#"{"url":"a","url_overridden_by_dest":"b"}"#, bare("b"));
        check(r#"{"url_overridden_by_dest":"","url":"a"}"#, bare("a"));
    }

    #[test]
    fn self_posts_by_flag_or_domain() {
        check(r#"{"url":"u","is_self":true}"#, Submission { is_self: true, ..bare("u") });
        check(r#"{"url":"u","domain":"self.rust"}"#, Submission { is_self: true, ..bare("u") });
        check(r#"{"url":"u","domain":"selfless.org"}"#, bare("u"));
    }

    #[test]
    fn html_escapes() {
        for (escaped, plain) in [
            ("http://a/?x&amp;y", "http://a/?x&y"),
            ("http://a/?x&y", "http://a/?x&y"),
            ("http://a/?&lt;&gt;&quot;&#39;&copy;", "http://a/?<>\"'&copy;"),
            ("&amp;amp;", "&amp;"),
        ] {
            assert_eq!(unescape_html(escaped.into()), plain);
        }
    }

    #[test]
    fn what_is_not_a_submission() {
        for line in ["", "[]", "{", "null", r#"{"score":"many"}"#, r#"{"url":{}}"#, "\u{fffd}"] {
            assert!(Submission::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(seconds_of_date(1970, 1, 1), Some(0));
        assert_eq!(seconds_of_date(2000, 2, 29), Some(951_782_400));
        assert_eq!(seconds_of_date(2017, 12, 31), Some(1_514_678_400));
        assert_eq!(seconds_of_date(2017, 13, 1), None);
        assert_eq!((seconds_of_date(2017, 2, 29), seconds_of_date(2017, 1, 45)), (None, None));
        assert_eq!(first_of_month("99999999999999999-01"), None);
    }
}
