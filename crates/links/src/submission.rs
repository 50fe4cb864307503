//! One record of a dump, in the forms that occur in real dumps.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::period;

/// The fields of a submission that decide about its link.
///
/// Records of the link lists `{"url", "subreddit", "score", "month"}` are submissions, too, and so are the rows of a
/// table whose columns have these names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Submission<'a> {
    /// Where the submission points; `url_overridden_by_dest` when there is one. Empty when missing.
    pub url: Cow<'a, str>,
    /// Score, if the record has one.
    pub score: Option<i64>,
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

/// Why a record is not a submission.
#[derive(Debug, thiserror::Error)]
#[error("the record is not a submission")]
pub struct MalformedSubmission(#[source] Box<dyn std::error::Error + Send + Sync>);

impl<'a> Submission<'a> {
    /// Whether a field or column of this name is read.
    pub fn has_field(name: &str) -> bool {
        let name: de::value::StrDeserializer<'_, de::value::Error> = name.into_deserializer();
        !matches!(Field::deserialize(name), Ok(Field::Other) | Err(_))
    }

    /// Reads one line of a dump. Unknown fields are ignored.
    ///
    /// ```
    /// let line = br#"{"url":"http://a.example/?x=1&amp;y=2","score":"7","created_utc":1456790400.0}"#;
    /// let submission = links::Submission::parse(line).unwrap();
    /// assert_eq!(submission.url, "http://a.example/?x=1&y=2");
    /// assert_eq!((submission.score, submission.created_utc), (Some(7), Some(1456790400)));
    /// ```
    ///
    /// # Errors
    /// When the line is not a JSON object, or a field that is read has an unexpected type.
    pub fn parse(line: &'a [u8]) -> Result<Submission<'a>, MalformedSubmission> {
        sonic_rs::from_slice(line).map_err(|error| MalformedSubmission(error.into()))
    }

    /// Reads one row of a table whose columns have the names of the fields; a missing column is a missing field.
    ///
    /// # Errors
    /// When a column has a type that its field cannot have.
    pub fn of_row(row: texts::ParquetRow<'_, 'a>) -> Result<Submission<'a>, MalformedSubmission> {
        row.read().map_err(|error| MalformedSubmission(error.into()))
    }

    /// Reads one line of a list: a URL as it is, of which nothing else is known.
    ///
    /// # Errors
    /// When the line is not UTF-8.
    pub fn of_url(line: &'a [u8]) -> Result<Submission<'a>, MalformedSubmission> {
        let url = std::str::from_utf8(line).map_err(|error| MalformedSubmission(error.into()))?;
        Ok(Submission { url: url.into(), ..Submission::default() })
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
        f.write_str("a submission: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Submission<'de>, A::Error> {
        let mut submission = Submission::default();
        let mut overridden = None;
        let mut month = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Url => submission.url = map.next_value::<Text>()?.0.unwrap_or_default(),
                Field::UrlOverriddenByDest => overridden = map.next_value::<Text>()?.0,
                Field::Score => submission.score = map.next_value::<Integer>()?.0,
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
            submission.created_utc = month.and_then(|month| period(&month)).map(|month| month.start);
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
            // Tables of some writers hold texts in columns of bytes.
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                std::str::from_utf8(bytes).map_err(E::custom).and_then(|text| self.visit_str(text))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            fn visit_none<E>(self) -> Result<Text<'de>, E> {
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
            // Tables of some writers have NaN where a number is missing.
            fn visit_f64<E>(self, n: f64) -> Result<Integer, E> {
                Ok(Integer(n.is_finite().then_some(n as i64)))
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
            fn visit_none<E>(self) -> Result<Integer, E> {
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
            fn visit_i64<E>(self, n: i64) -> Result<Flag, E> {
                Ok(Flag(n != 0))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Flag, E> {
                Ok(Flag(n >= 1.0))
            }
            fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
                Ok(Flag(text.eq_ignore_ascii_case("true")))
            }
            fn visit_unit<E>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }
            fn visit_none<E>(self) -> Result<Flag, E> {
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
    fn scores_and_their_absence() {
        for (shape, score) in [("7", Some(7)), ("-2.0", Some(-2)), ("\"7\"", Some(7)), ("null", None), ("\"\"", None)] {
            let line = format!(r#"{{"url":"u","score":{shape}}}"#);
            check(&line, Submission { score, ..bare("u") });
        }
        assert!(Submission::has_field("score") && !Submission::has_field("ups"));
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
}
