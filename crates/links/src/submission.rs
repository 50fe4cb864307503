//! One record of a dump, in the forms that occur in real dumps.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::json::{Fields, JsonFault, RawValue};
use crate::period;
use crate::value::{Unclear, Value};

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
    /// Marked as over 18, or marked in a way that cannot be read.
    pub over_18: bool,
    /// Subreddit, without `r/`.
    pub subreddit: Option<Cow<'a, str>>,
    /// Title.
    pub title: Option<Cow<'a, str>>,
}

/// Why a record is not a submission.
#[derive(Debug, thiserror::Error)]
#[error("the record is not a submission")]
pub struct MalformedSubmission(#[from] pub(crate) RecordFault);

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordFault {
    #[error(transparent)]
    Json(#[from] JsonFault),
    #[error("its field {field:?} is {found} rather than {expected}")]
    Field { field: &'static str, found: String, expected: &'static str },
    #[error("it is a comment rather than a submission")]
    Comment,
    #[error("it holds other records in \"data\", as an answer of an API")]
    ApiAnswer,
    #[error("it is not UTF-8")]
    Utf8,
    #[error(transparent)]
    Row(#[from] texts::RowError),
}

impl<'a> Submission<'a> {
    /// Whether a field or column of this name is read.
    pub fn has_field(name: &str) -> bool {
        Field::of_name(name.as_bytes()).is_some()
    }

    /// Reads one line of a dump: an object with the fields of a submission, or one that has it in `data` beside the `kind`
    /// `t3`, as Reddit's API has them. Unknown fields are passed over without being parsed: what is wrong inside of
    /// these costs no record. If a field occurs twice, the last one counts, but one `true` is enough for a flag.
    ///
    /// Time: linear in the line. No allocation, unless a text has escapes.
    ///
    /// ```
    /// let line = br#"{"url":"http://a.example/?x=1&amp;y=2","score":"7","created_utc":1456790400.0}"#;
    /// let submission = links::Submission::parse(line).unwrap();
    /// assert_eq!(submission.url, "http://a.example/?x=1&y=2");
    /// assert_eq!((submission.score, submission.created_utc), (Some(7), Some(1456790400)));
    /// ```
    ///
    /// # Errors
    /// When the line is not a JSON object, when a field that decides about the link has a value whose meaning is not
    /// certain, or when the record is a comment.
    pub fn parse(line: &'a [u8]) -> Result<Submission<'a>, MalformedSubmission> {
        let record = Record::parse(without_mark(line))?;
        let inner = match (record.kind, record.data) {
            // What an envelope of Reddit's API says about a submission is inside of it.
            (Kind::Submission, Some(data)) => Record::parse(data)?,
            _ => record,
        };
        if inner.submission.has_url() {
            return Ok(inner.submission.finish());
        }
        match inner.kind {
            Kind::Comment => Err(RecordFault::Comment.into()),
            Kind::ApiAnswer => Err(RecordFault::ApiAnswer.into()),
            _ if inner.has_body && inner.has_link_id => Err(RecordFault::Comment.into()),
            _ => Ok(inner.submission.finish()),
        }
    }

    /// Reads one row of a table whose columns have the names of the fields; a missing column is a missing field.
    ///
    /// # Errors
    /// When a column has a type that its field cannot have.
    pub fn of_row(row: texts::ParquetRow<'_, 'a>) -> Result<Submission<'a>, MalformedSubmission> {
        let fields: SubmissionFields<'a> = row.read().map_err(RecordFault::Row)?;
        match fields.fault {
            Some(fault) => Err(fault.into()),
            None => Ok(fields.finish()),
        }
    }

    /// Reads one line of a list: a URL as it is, of which nothing else is known.
    ///
    /// # Errors
    /// When the line is not UTF-8.
    pub fn of_url(line: &'a [u8]) -> Result<Submission<'a>, MalformedSubmission> {
        let url = std::str::from_utf8(without_mark(line)).map_err(|_| RecordFault::Utf8)?;
        Ok(Submission { url: url.into(), ..Submission::default() })
    }
}

/// A line without a byte order mark, which stands inside a file where one was appended to another.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// A field of a submission that is read.
#[derive(Debug, Clone, Copy)]
enum Field {
    Url,
    UrlOverriddenByDest,
    Score,
    CreatedUtc,
    Month,
    IsSelf,
    Domain,
    Over18,
    Subreddit,
    Title,
}

impl Field {
    fn of_name(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"url" => Field::Url,
            b"url_overridden_by_dest" => Field::UrlOverriddenByDest,
            b"score" => Field::Score,
            b"created_utc" => Field::CreatedUtc,
            b"month" => Field::Month,
            b"is_self" => Field::IsSelf,
            b"domain" => Field::Domain,
            b"over_18" | b"over18" | b"nsfw" => Field::Over18,
            b"subreddit" => Field::Subreddit,
            b"title" => Field::Title,
            _ => return None,
        })
    }
}

/// What a record says it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    /// `t3`.
    Submission,
    /// `t1`.
    Comment,
    /// `Listing`, or `data` is a list.
    ApiAnswer,
}

/// Whether a name is as long as one of those that are read. Most fields of a record are told by that alone.
#[inline]
fn has_length_of_name(name: &[u8]) -> bool {
    const LENGTHS: u32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 11 | 1 << 22;
    name.len() < 32 && LENGTHS >> name.len() & 1 == 1
}

/// The fields of a line.
#[derive(Default)]
struct Record<'a> {
    submission: SubmissionFields<'a>,
    kind: Kind,
    /// The object in `data`.
    data: Option<&'a [u8]>,
    has_body: bool,
    has_link_id: bool,
}

impl<'a> Record<'a> {
    fn parse(line: &'a [u8]) -> Result<Record<'a>, RecordFault> {
        let mut record = Record::default();
        let mut fields = Fields::of(line)?;
        while let Some((name, value)) = fields.next()? {
            match name.plain() {
                Some(name) if !has_length_of_name(name) => {}
                Some(name) => record.set(name, value)?,
                None => record.set(name.decode().unwrap_or_default().as_bytes(), value)?,
            }
        }
        Ok(record)
    }

    #[inline]
    fn set(&mut self, name: &[u8], value: RawValue<'a>) -> Result<(), RecordFault> {
        if let Some(field) = Field::of_name(name) {
            return self.submission.set(field, Value::of_json(value));
        }
        match (name, value) {
            (b"kind", RawValue::Text(kind)) => {
                self.kind = match kind.plain() {
                    Some(b"t3") => Kind::Submission,
                    Some(b"t1") => Kind::Comment,
                    Some(b"Listing") => Kind::ApiAnswer,
                    _ => self.kind,
                }
            }
            (b"data", RawValue::Object(data)) => self.data = Some(data),
            (b"data", RawValue::Array(_)) => self.kind = Kind::ApiAnswer,
            (b"body", RawValue::Text(_)) => self.has_body = true,
            (b"link_id" | b"parent_id", RawValue::Text(_)) => self.has_link_id = true,
            _ => {}
        }
        Ok(())
    }
}

/// The fields of a submission as they come, in any order.
#[derive(Default)]
struct SubmissionFields<'a> {
    submission: Submission<'a>,
    overridden: Option<Cow<'a, str>>,
    month: Option<Cow<'a, str>>,
    /// The first fault, where reading cannot end at it.
    fault: Option<RecordFault>,
}

impl<'a> SubmissionFields<'a> {
    fn set(&mut self, field: Field, value: Value<'a>) -> Result<(), RecordFault> {
        let submission = &mut self.submission;
        match field {
            Field::Url => submission.url = url("url", value)?.unwrap_or_default(),
            Field::UrlOverriddenByDest => self.overridden = url("url_overridden_by_dest", value)?,
            Field::Score => {
                submission.score = value.integer().map_err(unclear("score", &value, "a whole number"))?;
            }
            Field::CreatedUtc => {
                submission.created_utc = value.seconds().map_err(unclear("created_utc", &value, "a time"))?;
            }
            Field::Month => self.month = value.label(),
            Field::IsSelf => {
                submission.is_self |= value.flag().map_err(unclear("is_self", &value, "true or false"))?;
            }
            Field::Domain => {
                let is_self = matches!(&value, Value::Text(domain) if domain.starts_with("self."));
                submission.is_self |= is_self;
            }
            // A mark that cannot be read must not let a page through the filter.
            Field::Over18 => submission.over_18 |= value.flag().unwrap_or(true),
            Field::Subreddit => submission.subreddit = value.label(),
            Field::Title => submission.title = value.label(),
        }
        Ok(())
    }

    fn has_url(&self) -> bool {
        !self.submission.url.is_empty() || self.overridden.as_ref().is_some_and(|url| !url.is_empty())
    }

    fn finish(self) -> Submission<'a> {
        let mut submission = self.submission;
        if let Some(url) = self.overridden.filter(|url| !url.is_empty()) {
            submission.url = url;
        }
        submission.url = unescape_html(submission.url);
        if submission.created_utc.is_none() {
            submission.created_utc = self.month.and_then(|month| period(&month)).map(|month| month.start);
        }
        submission
    }
}

fn url<'a>(field: &'static str, value: Value<'a>) -> Result<Option<Cow<'a, str>>, RecordFault> {
    match value {
        Value::Text(_) | Value::Missing | Value::Boolean(false) => Ok(value.text().unwrap_or_default()),
        other => Err(unclear(field, &other, "a text")(Unclear)),
    }
}

/// The fault of a field whose value's meaning is not certain.
fn unclear<'v>(
    field: &'static str,
    found: &'v Value<'_>,
    expected: &'static str,
) -> impl FnOnce(Unclear) -> RecordFault + 'v {
    move |_| RecordFault::Field { field, found: found.to_string(), expected }
}

// Rows of a table, and in tests the readable twin of `Record::parse`. Written by hand rather than derived, since a field
// may occur twice.
impl<'de> Deserialize<'de> for SubmissionFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = SubmissionFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a submission: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SubmissionFields<'de>, A::Error> {
        let mut fields = SubmissionFields::default();
        while let Some(FieldName(field)) = map.next_key()? {
            match field {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(field) => {
                    if let Err(fault) = fields.set(field, map.next_value()?) {
                        fields.fault.get_or_insert(fault);
                    }
                }
            }
        }
        Ok(fields)
    }
}

struct FieldName(Option<Field>);

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = FieldName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }
            fn visit_str<E>(self, name: &str) -> Result<FieldName, E> {
                Ok(FieldName(Field::of_name(name.as_bytes())))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

/// Undoes the HTML escaping of URLs in the dumps, once: references to characters by name or number, as browsers read
/// them, but only those that end in a semicolon. `&reg` without one is a parameter.
///
/// ```
/// assert_eq!(links::unescape_html("http://a.example/?x=1&amp;reg=2".into()), "http://a.example/?x=1&reg=2");
/// ```
pub fn unescape_html(url: Cow<'_, str>) -> Cow<'_, str> {
    if !url.contains('&') {
        return url;
    }
    let mut plain = String::with_capacity(url.len());
    let mut rest = &*url;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_of_reference = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let end = 1 + rest[1..].find(|c| !is_of_reference(c)).unwrap_or(rest.len() - 1);
        let reference = if rest[end..].starts_with(';') { &rest[..=end] } else { "&" };
        match reference {
            "&" => plain.push('&'),
            "&amp;" => plain.push('&'),
            other => plain.push_str(&htmlize::unescape_attribute(other)),
        }
        rest = &rest[reference.len()..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names that are read.
    const READ: [&str; 12] = [
        "url",
        "url_overridden_by_dest",
        "score",
        "created_utc",
        "month",
        "is_self",
        "domain",
        "over_18",
        "over18",
        "nsfw",
        "subreddit",
        "title",
    ];

    fn check(line: &str, expected: Submission<'_>) {
        assert_eq!(Submission::parse(line.as_bytes()).unwrap(), expected, "{line}");
    }

    fn check_fault(line: &[u8], expected: &str) {
        let MalformedSubmission(fault) = Submission::parse(line).unwrap_err();
        assert_eq!(fault.to_string(), expected, "{}", line.escape_ascii());
    }

    fn bare(url: &str) -> Submission<'_> {
        Submission { url: url.into(), ..Submission::default() }
    }

    #[test]
    fn shapes_of_created_utc() {
        for shape in [
            "1456790400",
            "1456790400.0",
            "1456790400000",
            "1456790400000000",
            "\"1456790400\"",
            "\"1456790400.0\"",
            "\"2016-03-01T00:00:00Z\"",
            "\"2016-03-01 00:00:00\"",
            "\"2016-03-01T01:00:00+01:00\"",
            "20160301",
            "\"20160301\"",
            "201603",
            "20160301000000",
            "\"201603010000\"",
            "16861",
        ] {
            let line = format!(r#"{{"url":"u","created_utc":{shape}}}"#);
            check(&line, Submission { created_utc: Some(1_456_790_400), ..bare("u") });
        }
        for (shape, moment) in
            [("\"2014\"", 1_388_534_400), ("20140513165320", 1_400_000_000), ("0", 0), ("20149999", 20_149_999)]
        {
            let line = format!(r#"{{"url":"u","created_utc":{shape}}}"#);
            check(&line, Submission { created_utc: Some(moment), ..bare("u") });
        }
        check(r#"{"url":"u","created_utc":null}"#, bare("u"));
        check(r#"{"url":"u","created_utc":NaN,"score":NaN}"#, bare("u"));
        check(r#"{"url":"u","month":"2016-03"}"#, Submission { created_utc: Some(1_456_790_400), ..bare("u") });
        check(r#"{"url":"u","month":"soon"}"#, bare("u"));
        let fault = r#"its field "created_utc" is "soon" rather than a time"#;
        check_fault(br#"{"url":"u","created_utc":"soon"}"#, fault);
    }

    #[test]
    fn scores_and_their_absence() {
        for (shape, score) in [
            ("7", Some(7)),
            ("-2.0", Some(-2)),
            ("\"7\"", Some(7)),
            ("\" 7 \"", Some(7)),
            ("null", None),
            ("\"\"", None),
            ("\"None\"", None),
        ] {
            let line = format!(r#"{{"url":"u","score":{shape}}}"#);
            check(&line, Submission { score, ..bare("u") });
        }
        for unclear in ["\"1.5k\"", "\"many\"", "true", "[7]", "Infinity", "99999999999999999999", "1e400"] {
            let line = format!(r#"{{"url":"u","score":{unclear}}}"#);
            assert!(Submission::parse(line.as_bytes()).is_err(), "{line}");
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
    fn a_crosspost_is_a_submission_of_its_own_url() {
        let line = r#"{"crosspost_parent":"t3_1","crosspost_parent_list":[{"url":"p","is_self":true,"over_18":true}],"url":"u"}"#;
        check(line, bare("u"));
        // The page of the submission itself is not what it links to.
        check(r#"{"permalink":"/r/rust/comments/1/"}"#, Submission::default());
    }

    #[test]
    fn self_posts_by_flag_or_domain() {
        let is_self = || Submission { is_self: true, ..bare("u") };
        for shape in ["true", "1", "1.0", "\"True\"", "\"1\"", "\"yes\""] {
            check(&format!(r#"{{"url":"u","is_self":{shape}}}"#), is_self());
        }
        for shape in ["false", "0", "null", "\"False\"", "\"0\"", "\"\""] {
            check(&format!(r#"{{"url":"u","is_self":{shape}}}"#), bare("u"));
        }
        check(r#"{"url":"u","domain":"self.rust"}"#, is_self());
        check(r#"{"url":"u","domain":"selfless.org"}"#, bare("u"));
        check_fault(br#"{"url":"u","is_self":"maybe"}"#, r#"its field "is_self" is "maybe" rather than true or false"#);
    }

    #[test]
    fn a_mark_that_cannot_be_read_counts_as_over_18() {
        for shape in
            ["true", "1", "\"1\"", "\"True\"", "\"yes\"", "\"nsfw\"", "{}", "[false]", "\"fal\\ud83dse\"", "tru"]
        {
            for name in ["over_18", "over18", "nsfw"] {
                let line = format!(r#"{{"url":"u","{name}":{shape}}}"#);
                check(&line, Submission { over_18: true, ..bare("u") });
            }
        }
        for shape in ["false", "0", "null", "\"0\"", "\"False\"", "\"no\"", "\"\"", "NaN"] {
            check(&format!(r#"{{"url":"u","over_18":{shape}}}"#), bare("u"));
        }
    }

    #[test]
    fn a_field_that_occurs_twice() {
        check(r#"{"url":"a","url":"b","score":1,"score":2}"#, Submission { score: Some(2), ..bare("b") });
        let line = r#"{"url":"a","over_18":true,"over_18":false,"is_self":true,"is_self":false}"#;
        check(line, Submission { over_18: true, is_self: true, ..bare("a") });
    }

    #[test]
    fn a_title_costs_no_record() {
        for (shape, title) in [
            ("\"half \\ud83d\"", Some("half \u{fffd}")),
            ("\"whole \\ud83d\\ude00\"", Some("whole 😀")),
            ("2012", Some("2012")),
            ("\"a\u{1}\tb\"", Some("a\u{1}\tb")),
            ("[]", None),
        ] {
            let line = format!(r#"{{"url":"u","title":{shape}}}"#);
            check(&line, Submission { title: title.map(Into::into), ..bare("u") });
        }
        let latin = b"{\"url\":\"u\",\"title\":\"caf\xe9\",\"selftext\":\"\xff\"}";
        assert_eq!(Submission::parse(latin).unwrap().title.as_deref(), Some("caf\u{fffd}"));
        let lossy = r#"its field "url" is "caf�", which is no valid text rather than a text"#;
        check_fault(b"{\"url\":\"caf\xe9\"}", lossy);
    }

    #[test]
    fn records_in_envelopes() {
        let inner = Submission { score: Some(7), ..bare("u") };
        check(r#"{"kind":"t3","data":{"url":"u","score":7}}"#, inner.clone());
        check(r#"{"data":{"url":"u","score":7,"media":{"url":"m"}},"kind":"t3"}"#, inner.clone());
        check(r#"{"url":"u","score":7,"data":{"url":"x"}}"#, inner);
        check_fault(br#"{"kind":"t1","data":{"body":"b"}}"#, "it is a comment rather than a submission");
        check_fault(br#"{"body":"b","link_id":"t3_1","score":7}"#, "it is a comment rather than a submission");
        let answer = r#"it holds other records in "data", as an answer of an API"#;
        check_fault(br#"{"kind":"Listing","data":{"children":[{"kind":"t3","data":{"url":"u"}}]}}"#, answer);
        check_fault(br#"{"data":[{"url":"u"}],"error":null}"#, answer);
        check_fault(br#"{"kind":"t3","data":{"url":7}}"#, r#"its field "url" is 7 rather than a text"#);
    }

    #[test]
    fn a_mark_inside_of_a_file() {
        check("\u{feff}{\"url\":\"u\"}", bare("u"));
        assert_eq!(Submission::of_url("\u{feff}http://a.example/".as_bytes()).unwrap().url, "http://a.example/");
    }

    #[test]
    fn html_escapes() {
        for (escaped, plain) in [
            ("http://a/?x&amp;y", "http://a/?x&y"),
            ("http://a/?x&y", "http://a/?x&y"),
            ("http://a/?&lt;&gt;&quot;&#39;&apos;", "http://a/?<>\"''"),
            ("http://a/?x&#38;y&#x26;z&#038;w&#X26;v", "http://a/?x&y&z&w&v"),
            ("http://a/?&copy;&eacute;", "http://a/?©é"),
            // Once, as they were escaped.
            ("&amp;amp;", "&amp;"),
            ("&amp;#38;", "&#38;"),
            // No reference: without a semicolon, or of no character that there is.
            ("http://a/?x&reg&copy=1&amp", "http://a/?x&reg&copy=1&amp"),
            ("http://a/?x&nothing;&;&#;&", "http://a/?x&nothing;&;&#;&"),
            ("http://a/?x&é;", "http://a/?x&é;"),
        ] {
            assert_eq!(unescape_html(escaped.into()), plain);
        }
        // The `/` of some programs' JSON.
        check(r#"{"url":"http:\/\/a.example\/?x&amp;y"}"#, bare("http://a.example/?x&y"));
    }

    #[test]
    fn lengths_of_names() {
        let others = ["kind", "data", "body", "link_id", "parent_id"];
        let mut read = 0;
        for len in 0..40 {
            let name = "x".repeat(len);
            read += u32::from(has_length_of_name(name.as_bytes()));
        }
        assert_eq!(read, 8);
        assert!(READ.iter().chain(&others).all(|name| has_length_of_name(name.as_bytes())));
    }

    #[test]
    fn what_is_not_a_submission() {
        for line in [
            "",
            "[]",
            "{",
            "null",
            r#"{"score":"many"}"#,
            r#"{"url":{}}"#,
            "\u{fffd}",
            "{'url':'u'}",
            r#"{"url":"u",}"#,
            r#"{"url":"u"}{"url":"v"}"#,
            r#"{"url":"u"} x"#,
        ] {
            assert!(Submission::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    /// The twin: a whole parser of JSON, and the fields as rows of tables have them.
    fn twin(line: &str) -> Option<Submission<'_>> {
        let fields: SubmissionFields<'_> = serde_json::from_str(line).ok()?;
        fields.fault.is_none().then(|| fields.finish())
    }

    #[test]
    fn a_negative_zero_is_what_a_whole_parser_says() {
        let line = r#"{"subreddit":-0,"score":-0}"#;
        assert_eq!(Submission::parse(line.as_bytes()).ok(), twin(line));
    }

    /// A text as JSON, some of its characters as escapes.
    fn quoted() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            4 => "[a-z0-9:/._&;#]",
            1 => "[\"\\\\\u{1}-\u{1f}é漢😀]",
            1 => Just("\\ud83d\\ude00".to_owned()),
        ];
        let escaped = |(text, is_escaped): (String, bool)| match text.chars().next() {
            _ if text.len() == 12 && text.starts_with("\\ud") => text,
            Some(c @ ('"' | '\\')) => format!("\\{c}"),
            Some('/') if is_escaped => "\\/".to_owned(),
            Some(c) if c < ' ' || is_escaped => {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
            }
            _ => text,
        };
        proptest::collection::vec((character, prop::bool::weighted(0.2)).prop_map(escaped), 0..12)
            .prop_map(|characters| format!("\"{}\"", characters.concat()))
    }

    fn name() -> impl Strategy<Value = String> {
        let escaped = |(name, at): (&str, usize)| match name.as_bytes().get(at) {
            Some(byte) => format!("\"{}\\u{byte:04x}{}\"", &name[..at], &name[at + 1..]),
            None => format!("\"{name}\""),
        };
        prop_oneof![
            4 => proptest::sample::select(&READ[..]).prop_map(|name| format!("\"{name}\"")),
            1 => (proptest::sample::select(&READ[..]), 0usize..30).prop_map(escaped),
            2 => quoted(),
        ]
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            2 => quoted(),
            1 => prop_oneof![Just("true"), Just("false"), Just("null"), Just("0"), Just("1"), Just("-0"), Just("1e3")].prop_map(str::to_owned),
            1 => any::<i64>().prop_map(|number| number.to_string()),
            1 => any::<u64>().prop_map(|number| number.to_string()),
            1 => (-1e20..1e20f64).prop_map(|number| format!("{number:?}")),
            1 => prop_oneof![
                Just("7"), Just("True"), Just("false"), Just(" 1 "), Just("2016-03-01T00:00:00Z"), Just("2016-03"), Just("self.x"),
                Just("1.5k"), Just("None"), Just("http:\\/\\/a.example\\/?x&amp;y"),
            ].prop_map(|text| format!("\"{text}\"")),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let field = (name(), inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(|entries| format!("[{}]", entries.join(","))),
                proptest::collection::vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(" , "))),
            ]
        })
    }

    /// An object of random fields, with white space where it may be.
    fn object() -> impl Strategy<Value = String> {
        let blank = || "[ \t]{0,1}";
        let field = (name(), blank(), blank(), value(), blank())
            .prop_map(|(name, a, b, value, c)| format!("{name}{a}:{b}{value}{c}"));
        (proptest::collection::vec(field, 0..8), blank())
            .prop_map(|(fields, blank)| format!("{{{blank}{}}}", fields.join(",")))
    }

    proptest! {
        #[test]
        fn valid_json_gives_what_a_whole_parser_gives(line in object()) {
            prop_assert_eq!(Submission::parse(line.as_bytes()).ok(), twin(&line), "{}", line);
        }

        /// Damage may be overlooked in what is passed over, but what a whole parser takes is read alike.
        #[test]
        fn damaged_json_that_is_valid_gives_what_a_whole_parser_gives(line in object(), at: usize, to in "[\"\\\\{}\\[\\]:, 1a]") {
            let mut damaged: Vec<char> = line.chars().collect();
            let at = at % damaged.len();
            damaged[at] = to.chars().next().unwrap_or(' ');
            let damaged: String = damaged.into_iter().collect();
            // The whole parser refuses half of a surrogate pair even in a name that nobody reads.
            let whole = twin(&damaged).filter(|_| serde_json::from_str::<IgnoredAny>(&damaged).is_ok());
            if whole.is_some() {
                prop_assert_eq!(Submission::parse(damaged.as_bytes()).ok(), whole, "{}", damaged);
            }
        }

        #[test]
        fn any_bytes_are_a_submission_or_malformed(bytes: Vec<u8>) {
            let _ = Submission::parse(&bytes);
        }
    }
}
