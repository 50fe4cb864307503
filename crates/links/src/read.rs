//! The two steps: a dump to rows, and sorted rows to links.

use std::borrow::Cow;
use std::io::{BufRead, Read, Seek};

use records::{Counts, Link, Reason};
use texts::{Line, Lines, ParquetRows, Source};
use user_error::{Exit, UserError};

use crate::json::{Fields, RawValue};
use crate::submission::{RecordFault, without_mark};
use crate::unescape_html;
use crate::{Canonical, KarmaRule, MalformedSubmission, Submission, SubmissionRow, SubmissionRules};

/// Fields that a message about a record lists at most.
const MAX_FIELDS_SHOWN: usize = 20;

/// A dump cannot be opened, breaks off, or is none.
#[derive(Debug, thiserror::Error)]
#[error("the dump {name} is unreadable")]
#[non_exhaustive]
pub struct DumpError {
    /// The dump.
    pub name: String,
    /// Where and why.
    #[source]
    pub source: DumpFault,
}

/// Why a dump cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpFault {
    /// It breaks off, is of another format, or lacks the column of URLs.
    #[error(transparent)]
    Source(#[from] texts::Error),
    /// Its last line is the beginning of a record, without an end.
    #[error("it breaks off in its last line")]
    CutOff,
    /// There is no byte in it, or nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Its first lines are neither objects of JSON nor URLs.
    #[error("it is plain text, and its lines are neither objects of JSON nor URLs")]
    PlainText,
    /// Its first record is a comment.
    #[error("it is a dump of comments, and links are read from submissions")]
    Comments,
    /// Its first record holds the submissions, as an answer of an API does.
    #[error("it is an answer of an API: its first line holds many records")]
    ApiAnswer,
    /// It holds records, and none has a URL or is a text post.
    #[error("no record of it is a submission ({records} read); the first {first}")]
    NoSubmission {
        /// The number of records.
        records: u64,
        /// What the first is instead.
        first: String,
    },
}

impl UserError for DumpError {
    fn hint(&self) -> Option<String> {
        let hint = match &self.source {
            DumpFault::Source(error) => return error.hint(),
            DumpFault::Empty | DumpFault::CutOff => "download it again, or leave it out",
            DumpFault::PlainText | DumpFault::NoSubmission { .. } => {
                "a dump has a record with the field \"url\" on each line, a column of that name, or a URL alone on each line"
            }
            DumpFault::Comments => "the dumps of submissions have names like RS_2016-03.zst",
            DumpFault::ApiAnswer => "make a line of each record: jq -c '.data.children[]', or jq -c '.data[]'",
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match &self.source {
            DumpFault::Source(error) => error.exit(),
            DumpFault::CutOff => Exit::SomeUnreadable,
            _ => Exit::Failed,
        }
    }
}

/// A record of a dump that is dropped without a row.
#[derive(Debug)]
pub struct DroppedRecord<'a> {
    /// Why.
    pub reason: Reason,
    /// The line or row in the dump, from 1.
    pub line: u64,
    /// Where it points, if it could be read and points anywhere.
    pub url: Option<Cow<'a, str>>,
    /// Shown in reports of the drop: the record, the title, or the length.
    pub text: Cow<'a, str>,
}

/// The scores of a dump. Reddit's scores grow for some days: a low mean shows a dump that was made too early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DumpScores {
    /// Submissions that have a score, text posts among them.
    pub submissions: u64,
    /// The sum of their scores.
    pub sum: i64,
}

impl DumpScores {
    /// The mean score; none where no submission has one.
    pub fn mean(&self) -> Option<f64> {
        (self.submissions > 0).then(|| self.sum as f64 / self.submissions as f64)
    }

    fn add(&mut self, score: Option<i64>) {
        self.submissions += u64::from(score.is_some());
        self.sum = self.sum.saturating_add(score.unwrap_or(0));
    }
}

/// Reads a dump and calls `each` with what became of every record: JSON Lines, the rows of a Parquet file, or a plain
/// list with a URL on each line. `name` is what the rows and errors call the dump.
///
/// What begins with `{` is an object, and a comma behind it is passed over; a URL with its scheme is one. The first such
/// line decides what the others are.
///
/// Lines over `max_record_bytes` are dropped; the rows of a Parquet file have no such limit. Memory: one line and the
/// decompressor's window, or a page of each column and 64 rows.
///
/// # Errors
/// A [`DumpError`] when the dump cannot be opened or breaks off (what `each` got stays); when it is known by its beginning
/// for something else (`each` gets nothing); when none of its records is a submission (`each` got all of them); or what
/// `each` returns.
pub fn read_dump<E: From<DumpError>>(
    source: impl Read + Seek + Send + 'static,
    name: &str,
    rules: &SubmissionRules,
    max_record_bytes: usize,
    each: impl FnMut(Result<SubmissionRow, DroppedRecord<'_>>) -> Result<(), E>,
) -> Result<DumpScores, E> {
    let mut dump = Dump {
        name,
        rules,
        scores: DumpScores::default(),
        records: 0,
        submissions: 0,
        first: None,
        is_last_broken: false,
        each,
    };
    match Source::open(source).map_err(|error| dump.broken(error))? {
        Source::JsonLines(reader) | Source::PlainText(reader) => dump.read_lines(reader, max_record_bytes)?,
        Source::Parquet(source) => dump.read_rows(source)?,
    }
    dump.finish()
}

/// A dump that is being read.
struct Dump<'a, F> {
    name: &'a str,
    rules: &'a SubmissionRules,
    scores: DumpScores,
    records: u64,
    /// Records that have a URL or are text posts.
    submissions: u64,
    /// What the first record is, if it is no submission.
    first: Option<String>,
    /// Whether the last record is no JSON.
    is_last_broken: bool,
    each: F,
}

/// What the lines of a dump are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Record,
    Url,
}

impl<E: From<DumpError>, F: FnMut(Result<SubmissionRow, DroppedRecord<'_>>) -> Result<(), E>> Dump<'_, F> {
    fn read_lines(&mut self, mut reader: Box<dyn BufRead + Send>, max_record_bytes: usize) -> Result<(), E> {
        let head = texts::records_in(&mut reader).map_err(|error| self.broken(error))?;
        let kind = LineKind::of_beginning(head).map_err(|fault| self.broken(fault))?;
        let mut lines = Lines::new(reader, max_record_bytes);
        while let Some((line, content)) = lines.next().map_err(|error| self.broken(error))? {
            match content {
                Line::TooLong(len_bytes) => {
                    let text = format!("{len_bytes} bytes");
                    self.note_no_submission(|| format!("is {text} long"));
                    (self.each)(Err(DroppedRecord {
                        reason: Reason::RecordTooLong,
                        line,
                        url: None,
                        text: text.into(),
                    }))?;
                }
                Line::Whole(bytes) => {
                    let parsed = match without_mark(bytes) {
                        // Lines that were an array have a comma behind each record.
                        [b'{', ..] => Submission::parse(bytes.strip_suffix(b",").unwrap_or(bytes)),
                        line if kind == LineKind::Url || is_certain_url(line) => Submission::of_url(bytes),
                        _ => Submission::parse(bytes),
                    };
                    self.take(line, parsed, bytes)?;
                }
            }
        }
        let is_cut_off = self.is_last_broken && !lines.has_last_end() && self.submissions > 0;
        if is_cut_off { Err(self.broken(DumpFault::CutOff).into()) } else { Ok(()) }
    }

    fn read_rows(&mut self, source: impl Read + Seek + Send + 'static) -> Result<(), E> {
        let mut rows = ParquetRows::open(source, Submission::has_field).map_err(|error| self.broken(error))?;
        // Without either column every row would be dropped, and no message would say why.
        rows.require("url_overridden_by_dest").or_else(|_| rows.require("url")).map_err(|error| self.broken(error))?;
        while let Some(batch) = rows.next_batch().map_err(|error| self.broken(error))? {
            for (number, row) in batch.rows().map_err(|error| self.broken(error))?.iter() {
                self.take(number, Submission::of_row(row), b"")?;
            }
        }
        Ok(())
    }

    /// Passes on the result for one record. `shown` is reported for a malformed one.
    fn take(&mut self, line: u64, parsed: Result<Submission<'_>, MalformedSubmission>, shown: &[u8]) -> Result<(), E> {
        self.is_last_broken = matches!(parsed, Err(MalformedSubmission(RecordFault::Json(_))));
        let submission = match parsed {
            Ok(submission) => submission,
            Err(MalformedSubmission(fault)) => {
                match fault {
                    RecordFault::Comment if self.records == 0 => return Err(self.broken(DumpFault::Comments).into()),
                    RecordFault::ApiAnswer if self.records == 0 => {
                        return Err(self.broken(DumpFault::ApiAnswer).into());
                    }
                    _ => self.note_no_submission(|| format!("is malformed: {fault}")),
                }
                let text = described(&fault, shown).into();
                let url = url_of_malformed(shown);
                return (self.each)(Err(DroppedRecord { reason: Reason::MalformedRecord, line, url, text }));
            }
        };
        self.scores.add(submission.score);
        let judged = self.rules.submission(&submission, self.name, line);
        match judged {
            Err(Reason::MissingUrl) => self.note_no_submission(|| fields_shown(shown)),
            _ => (self.records, self.submissions) = (self.records + 1, self.submissions + 1),
        }
        match judged {
            Ok(row) => (self.each)(Ok(row)),
            Err(reason) => {
                let url = Some(submission.url).filter(|url| !url.is_empty());
                (self.each)(Err(DroppedRecord { reason, line, url, text: submission.title.unwrap_or_default() }))
            }
        }
    }

    /// Counts a record that is no submission, and keeps what the first one is.
    fn note_no_submission(&mut self, what: impl FnOnce() -> String) {
        if self.records == 0 {
            self.first = Some(what());
        }
        self.records += 1;
    }

    fn finish(self) -> Result<DumpScores, E> {
        match (self.records, self.submissions) {
            (0, _) => Err(self.broken(DumpFault::Empty).into()),
            (records, 0) => {
                let first = self.first.clone().unwrap_or_default();
                Err(self.broken(DumpFault::NoSubmission { records, first }).into())
            }
            _ => Ok(self.scores),
        }
    }

    fn broken(&self, fault: impl Into<DumpFault>) -> DumpError {
        DumpError { name: self.name.to_owned(), source: fault.into() }
    }
}

impl LineKind {
    /// The kind of the lines of a text with this beginning, whose last line may be cut off.
    fn of_beginning(head: &[u8]) -> Result<LineKind, DumpFault> {
        let mut lines = head.split(|&byte| byte == b'\n').map(|line| without_mark(line.trim_ascii()));
        let kind_of = |line: &[u8]| match line.first() {
            Some(b'{') => Some(LineKind::Record),
            _ => is_url_alone(line).then_some(LineKind::Url),
        };
        match lines.find_map(kind_of) {
            Some(kind) => Ok(kind),
            None if head.trim_ascii().is_empty() => Ok(LineKind::Record),
            // The rest of a record, as where a file was cut into parts: its lines are longer than what is seen here.
            None if !head.contains(&b'\n') && head.contains(&b'"') => Ok(LineKind::Record),
            None => Err(DumpFault::PlainText),
        }
    }
}

/// Whether a line is a URL and nothing else, as in a plain list.
fn is_url_alone(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_url = |text: &str| match text.split_once("://") {
        Some((scheme, _)) => is_scheme(scheme),
        None => Canonical::parse(text).is_ok(),
    };
    !text.is_empty() && !text.starts_with(['{', '[', '"']) && !text.contains(char::is_whitespace) && is_url(&text)
}

/// Whether a line between records is a URL, not a part of one.
fn is_certain_url(line: &[u8]) -> bool {
    let is_http =
        |scheme: &str| line.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()));
    (is_http("http://") || is_http("https://"))
        && !line.iter().any(|byte| b"\"{}[]".contains(byte))
        && is_url_alone(line)
}

/// The URL of a record that is malformed elsewhere: of its fields as far as they can be read.
fn url_of_malformed(record: &[u8]) -> Option<Cow<'static, str>> {
    let mut url = None;
    let mut fields = Fields::of(without_mark(record)).ok()?;
    while let Ok(Some((name, value))) = fields.next() {
        let (Some(name), RawValue::Text(text)) = (name.plain(), value) else { continue };
        if name == b"url_overridden_by_dest" || name == b"url" && url.is_none() {
            url = text.decode().ok().filter(|text| !text.is_empty()).map(Cow::into_owned).or(url);
        }
    }
    url.map(|url| unescape_html(url.into()))
}

fn described(fault: &RecordFault, shown: &[u8]) -> String {
    let cause = match fault {
        // Its own text says no more than that the row does not fit.
        RecordFault::Row(error) => std::error::Error::source(error).map(ToString::to_string).unwrap_or_default(),
        other => other.to_string(),
    };
    if shown.is_empty() { cause } else { format!("{cause}: {}", String::from_utf8_lossy(shown)) }
}

/// The names of a record's fields, as the end of a sentence.
fn fields_shown(record: &[u8]) -> String {
    let mut names = Vec::new();
    let mut fields = Fields::of(without_mark(record)).ok();
    while let Some(Ok(Some((name, _)))) = fields.as_mut().map(Fields::next) {
        names.push(name.decode().unwrap_or_else(|lossy| lossy.into()));
    }
    match names.len() {
        0 => "has no field".to_owned(),
        len => format!(
            "has no URL, but {}{}",
            names[..len.min(MAX_FIELDS_SHOWN)].join(", "),
            if len > MAX_FIELDS_SHOWN { ", …" } else { "" }
        ),
    }
}

/// Merges sorted rows into links, all rows of a page being adjacent, and calls `each` with every link.
///
/// Every row is counted: one per page by the link's verdict, the others as [`Reason::SameLink`]. Memory: the rows of
/// one link.
///
/// # Errors
/// What the rows or `each` return.
pub fn merge_rows<E>(
    rows: impl IntoIterator<Item = Result<SubmissionRow, E>>,
    karma: &KarmaRule,
    counts: &mut Counts,
    mut each: impl FnMut(Link) -> Result<(), E>,
) -> Result<(), E> {
    let mut finish = |same: &mut Vec<SubmissionRow>| {
        let link = karma.merge(same);
        (1..same.len()).for_each(|_| counts.drop(Reason::SameLink));
        counts.record(link.verdict);
        same.clear();
        each(link)
    };
    let mut same: Vec<SubmissionRow> = Vec::new();
    for row in rows {
        let row = row?;
        if same.first().is_some_and(|first| first.page != row.page) {
            finish(&mut same)?;
        }
        same.push(row);
    }
    if same.is_empty() { Ok(()) } else { finish(&mut same) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray,
    };

    use super::*;
    use crate::{KarmaOf, WithoutKarma};

    fn rules() -> SubmissionRules {
        SubmissionRules {
            drop_over_18: true,
            from: None,
            before: None,
            drop_domains: Default::default(),
            drop_extensions: Default::default(),
            max_url_bytes: 2048,
            canonical: crate::CanonicalRules::default(),
        }
    }

    const KARMA: KarmaRule =
        KarmaRule { min_karma: 3, karma_of: KarmaOf::AnySubmission, without_karma: WithoutKarma::Keep };

    /// What a dump holds: its rows, sorted; reason, line and text of what was dropped; its scores.
    struct Read {
        rows: Vec<SubmissionRow>,
        dropped: Vec<(Reason, u64, String)>,
        scores: DumpScores,
    }

    fn read(bytes: impl Into<Vec<u8>>, name: &str) -> Result<Read, DumpError> {
        let (mut rows, mut dropped) = (Vec::new(), Vec::new());
        let scores = read_dump::<DumpError>(Cursor::new(bytes.into()), name, &rules(), 1000, |record| {
            match record {
                Ok(row) => rows.push(row),
                Err(DroppedRecord { reason, line, text, .. }) => dropped.push((reason, line, text.into_owned())),
            }
            Ok(())
        })?;
        rows.sort();
        Ok(Read { rows, dropped, scores })
    }

    fn merged(rows: Vec<SubmissionRow>) -> (Vec<String>, Counts) {
        let (mut counts, mut links) = (Counts::default(), Vec::new());
        merge_rows(rows.into_iter().map(Ok::<_, DumpError>), &KARMA, &mut counts, |link| {
            links.push(format!("{} {:?} {} {:?}", link.key, link.karma, link.source, link.verdict));
            Ok(())
        })
        .unwrap();
        (links, counts)
    }

    fn table(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)));
        let batch = batch.unwrap();
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn a_dump_becomes_links() {
        let dump = r#"{"url":"http://b.example/","score":2}
not json
{"url":"http://a.example/x","score":1}
{"url":"http://a.example/","score":7}
{"url":"https://www.b.example","score":5}
{"url":"u","is_self":true,"title":"a question","score":40}
"#;
        let read = read(zstd::encode_all(dump.as_bytes(), 1).unwrap(), "d").unwrap();
        assert_eq!(read.scores, DumpScores { submissions: 5, sum: 55 });
        assert_eq!((read.dropped[0].0, read.dropped[0].1), (Reason::MalformedRecord, 2));
        assert!(read.dropped[0].2.ends_with(": not json"), "{:?}", read.dropped);
        assert_eq!(read.dropped[1], (Reason::SelfPost, 6, "a question".to_owned()));

        let (links, counts) = merged(read.rows);
        assert_eq!(
            links,
            ["example,a)/ Some(7) d:4 None", "example,a)/x Some(1) d:3 Some(LowKarma)", "example,b)/ Some(5) d:5 None"]
        );
        assert_eq!((counts.read, counts.kept, counts.dropped[&Reason::SameLink]), (4, 2, 1));
    }

    #[test]
    fn a_plain_list_is_known_by_its_first_line() {
        let read = read("\nhttp://a.example/?x&amp;y\nb.example/page\n\nno url\ncaf\u{e9}://\n", "list").unwrap();
        assert_eq!(read.scores, DumpScores::default());
        let seen: Vec<_> = read.rows.iter().map(|row| (row.url.as_str(), row.line, row.score, row.verdict)).collect();
        assert_eq!(
            seen,
            [
                ("caf\u{e9}://", 6, None, Some(Reason::MalformedUrl)),
                ("no url", 5, None, Some(Reason::MalformedUrl)),
                ("http://a.example/?x&amp;y", 2, None, None),
                ("http://b.example/page", 3, None, None),
            ]
        );
        assert_eq!(merged(read.rows).0[2], "example,a)/?amp;y&x None list:2 None");
    }

    #[test]
    fn a_record_in_a_list_and_one_with_a_comma_are_records() {
        let record = "{\"url\":\"http://a.example/\"}";
        let list = format!("http://b.example/\n{record}\n");
        for dump in
            [list, format!("{record},\nhttp://b.example/\n"), format!("{record},\n{record}\n").replacen('a', "b", 1)]
        {
            let read = read(dump, "d").unwrap();
            let urls: Vec<_> = read.rows.iter().map(|row| row.url.as_str()).collect();
            assert_eq!((urls, read.dropped.len()), (vec!["http://a.example/", "http://b.example/"], 0));
        }
    }

    #[test]
    fn what_begins_with_a_bad_line_is_what_its_first_good_line_is() {
        for first in ["not a url", "word", "[\"http", "[\"http://a.example/\"]", "\"http://a.example/\"", "null"] {
            let read = read(format!("{first}\n{{\"url\":\"http://a.example/\"}}\n"), "d").unwrap();
            assert_eq!((read.rows.len(), read.dropped.len()), (1, 1), "{first}");
            assert_eq!((read.dropped[0].0, read.dropped[0].1), (Reason::MalformedRecord, 1), "{first}");
        }
    }

    fn check_fault(bytes: impl Into<Vec<u8>>, expected: &str, exit: Exit) {
        let error = read(bytes, "d").err().expect("it is no dump");
        assert_eq!((error.source.to_string().as_str(), error.exit()), (expected, exit));
        assert!(exit == Exit::SomeUnreadable || error.hint().is_some(), "{expected}");
    }

    #[test]
    fn what_is_no_dump_is_named() {
        check_fault(b"PK\x03\x04\x14\0\0\0\x08\0", "it is a ZIP archive", Exit::Failed);
        check_fault("<html><title>404 Not Found</title>", "it is a web page (HTML)", Exit::Failed);
        check_fault("url,score\nhttp://a.example/,7\n", "it is a table of text (CSV, TSV)", Exit::Failed);
        check_fault("[{\"url\":\"u\"}]", "it is one array of JSON rather than a record on each line", Exit::Failed);
        check_fault(
            "{\n  \"data\": [\n    {\"url\": \"u\"}\n  ]\n}\n",
            "it is one JSON document over several lines rather than a record on each",
            Exit::Failed,
        );
        let utf16: Vec<u8> = "\u{feff}http://a.example/".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check_fault(utf16, "it is text in UTF-16", Exit::Failed);
        for empty in ["", "\n \n", "\u{feff}"] {
            check_fault(empty, "it is empty", Exit::Failed);
        }
        check_fault(zstd::encode_all(&b""[..], 1).unwrap(), "it is empty", Exit::Failed);
        let prose = "it is plain text, and its lines are neither objects of JSON nor URLs";
        check_fault("The tide is out.\nThe boats lie on the sand.\n", prose, Exit::Failed);
        // The rows of a table without a header are no URLs, though there is one in each.
        check_fault("7,http://a.example/,t\n8,http://b.example/,t\n", prose, Exit::Failed);
        check_fault("\"http://a.example/\",\"t\"\n", prose, Exit::Failed);
        let comments = "{\"body\":\"b\",\"link_id\":\"t3_1\",\"score\":7}\n";
        check_fault(comments.repeat(3), "it is a dump of comments, and links are read from submissions", Exit::Failed);
        check_fault(
            "{\"kind\":\"Listing\",\"data\":{\"children\":[]}}\n",
            "it is an answer of an API: its first line holds many records",
            Exit::Failed,
        );
    }

    #[test]
    fn a_dump_of_anything_else_says_what_its_first_record_is() {
        check_fault(
            "{\"text\":\"one\",\"id\":7}\n{\"text\":\"two\"}\nx\n",
            "no record of it is a submission (3 read); the first has no URL, but text, id",
            Exit::Failed,
        );
        check_fault(
            "{'url': 'http://a.example/'}\n",
            "no record of it is a submission (1 read); the first is malformed: it is no object of JSON: a name in quotes is \
             missing at byte 2",
            Exit::Failed,
        );
        check_fault(
            format!("{{{}}}\n", " ".repeat(2000)),
            "no record of it is a submission (1 read); the first is 2003 bytes long",
            Exit::Failed,
        );
        // One text post is a dump, and so is one bad URL.
        assert_eq!(read("{}\n{\"is_self\":true}\n", "d").unwrap().dropped.len(), 2);
        assert_eq!(read("{}\n{\"url\":\"[deleted]\"}\n", "d").unwrap().rows[0].verdict, Some(Reason::MalformedUrl));
    }

    #[test]
    fn a_comment_among_submissions_is_malformed() {
        let read = read("{\"url\":\"http://a.example/\"}\n{\"body\":\"b\",\"link_id\":\"t3_1\"}\n", "d").unwrap();
        assert_eq!((read.rows.len(), read.dropped[0].0, read.dropped[0].1), (1, Reason::MalformedRecord, 2));
        assert!(read.dropped[0].2.starts_with("it is a comment rather than a submission: {"), "{:?}", read.dropped);
    }

    #[test]
    fn the_rest_of_a_record_at_the_beginning_is_one_malformed_line() {
        let rest = format!("{}\",\"ups\":1}}\n", "x".repeat(900));
        let read = read(format!("{rest}{{\"url\":\"http://a.example/\"}}\n"), "d").unwrap();
        assert_eq!((read.rows.len(), read.dropped.len()), (1, 1));
    }

    #[test]
    fn adult_posts_do_not_pass_in_another_form() {
        for mark in ["true", "1", "\"1\"", "\"True\"", "\"yes\"", "\"maybe\""] {
            let read = read(format!("{{\"url\":\"http://a.example/\",\"over_18\":{mark}}}"), "d").unwrap();
            assert_eq!(read.rows[0].verdict, Some(Reason::AdultOnly), "{mark}");
        }
    }

    #[test]
    fn a_table_is_a_dump() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "url",
                Arc::new(StringArray::from(vec![
                    Some("http://a.example/?x&amp;y"),
                    None,
                    Some("u"),
                    Some("http://b.example/"),
                ])),
            ),
            ("score", Arc::new(Float64Array::from(vec![Some(7.0), Some(2.0), None, Some(f64::NAN)]))),
            ("created_utc", Arc::new(TimestampMillisecondArray::from(vec![1_456_790_400_999, 0, -1, 1]))),
            ("is_self", Arc::new(BooleanArray::from(vec![None, Some(false), Some(true), Some(false)]))),
            ("over_18", Arc::new(Int64Array::from(vec![0, 0, 0, 1]))),
            ("title", Arc::new(BinaryArray::from(vec![&b"one"[..], b"two", b"three", b"caf\xe9"]))),
            ("ups", Arc::new(StringArray::from(vec!["not", "looked", "at", "!"]))),
        ];
        let read = read(table(columns), "table").unwrap();
        assert_eq!(read.scores, DumpScores { submissions: 2, sum: 9 });
        assert_eq!(read.dropped[0], (Reason::MissingUrl, 2, "two".into()));
        assert_eq!(read.dropped[1], (Reason::SelfPost, 3, "three".into()));
        // A title that is no UTF-8 costs no record.
        assert_eq!((read.rows.len(), read.dropped.len()), (2, 2));
        assert_eq!(read.rows[1].verdict, Some(Reason::AdultOnly));
        let row = &read.rows[0];
        assert_eq!((row.url.as_str(), row.score, row.line), ("http://a.example/?x&y", Some(7), 1));
        assert_eq!((row.created_utc, row.title.as_deref()), (Some(1_456_790_400), Some("one")));
    }

    #[test]
    fn a_table_may_have_urls_alone_and_must_have_them() {
        let urls: ArrayRef = Arc::new(StringArray::from(vec!["http://a.example/"]));
        let whole = read(table(vec![("url", urls.clone())]), "table").unwrap();
        assert_eq!(merged(whole.rows).0, ["example,a)/ None table:1 None"]);
        let error = read(table(vec![("link", urls)]), "table").err().unwrap();
        assert_eq!(error.to_string(), "the dump table is unreadable");
        assert_eq!(error.source.to_string(), "it has no column \"url\"; its columns are link");
    }

    #[test]
    fn two_dumps_are_one_in_any_order() {
        let both = |first: &str, second: &str| {
            let line = |score| format!("{{\"url\":\"http://a.example/\",\"score\":{score}}}\n");
            let dumps = [("one", line(5)), ("two", line(5)), ("three", line(4))];
            let bytes = |name| dumps.iter().find(|dump| dump.0 == name).unwrap().1.clone();
            let mut rows = read(bytes(first), first).unwrap().rows;
            rows.extend(read(bytes(second), second).unwrap().rows);
            rows.sort();
            merged(rows).0
        };
        assert_eq!(both("one", "two"), ["example,a)/ Some(5) one:1 None"]);
        assert_eq!(both("two", "one"), both("one", "two"));
        assert_eq!(both("three", "two"), ["example,a)/ Some(5) two:1 None"]);
    }

    #[test]
    fn a_dump_that_ends_within_a_record_breaks_off() {
        let record = "{\"url\":\"http://a.example/\"}";
        for (dump, breaks_off) in [
            (format!("{record}\n{{\"url\":\"http"), true),
            (format!("{record}\n{{\"url\":\"http\n"), false),
            (format!("{record}\n{record}"), false),
        ] {
            let error = read(dump.clone(), "d").err().map(|error| (error.source.to_string(), error.exit()));
            let expected = ("it breaks off in its last line".to_owned(), Exit::SomeUnreadable);
            assert_eq!(error, breaks_off.then_some(expected), "{dump}");
        }
    }

    #[test]
    fn a_dump_that_breaks_off_keeps_its_rows() {
        let lines: String = (0..9999).map(|i| format!("{{\"url\":\"http://a.example/{i}\"}}\n")).collect();
        let mut bytes = zstd::encode_all(lines.as_bytes(), 1).unwrap();
        bytes.truncate(bytes.len() - 10);
        let mut rows = 0u64;
        let error = read_dump::<DumpError>(Cursor::new(bytes), "cut", &rules(), 1000, |_| {
            rows += 1;
            Ok(())
        });
        let error = error.unwrap_err();
        assert!(rows > 0);
        assert_eq!(error.source.to_string(), format!("it cannot be read past line {rows}"));
    }
}
