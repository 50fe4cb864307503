//! The two steps: a dump to rows, and sorted rows to links.

use std::borrow::Cow;
use std::io::{BufRead, Read, Seek};

use records::{Counts, Link, Reason};
use texts::{Line, Lines, ParquetRows, Source};

use crate::{Canonical, KarmaRule, MalformedSubmission, Submission, SubmissionRow, SubmissionRules};

/// A dump cannot be opened, or breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the dump {name} is unreadable")]
pub struct DumpError {
    /// The dump.
    pub name: String,
    /// Where and why.
    #[source]
    pub source: texts::Error,
}

/// A record of a dump that is dropped without a row.
#[derive(Debug)]
pub struct DroppedRecord<'a> {
    /// Why.
    pub reason: Reason,
    /// The line or row in the dump, from 1.
    pub line: u64,
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
/// Lines over `max_record_bytes` are dropped; the rows of a Parquet file have no such limit. Memory: one line and the
/// decompressor's window, or a page of each column and 64 rows.
///
/// # Errors
/// A [`DumpError`] when the dump cannot be opened or breaks off (what `each` got stays), when it is a Parquet file
/// without a column of URLs, or what `each` returns.
pub fn read_dump<E: From<DumpError>>(
    source: impl Read + Seek + Send + 'static,
    name: &str,
    rules: &SubmissionRules,
    max_record_bytes: usize,
    each: impl FnMut(Result<SubmissionRow, DroppedRecord<'_>>) -> Result<(), E>,
) -> Result<DumpScores, E> {
    let mut dump = Dump { name, rules, scores: DumpScores::default(), each };
    match Source::open(source).map_err(|source| dump.broken(source))? {
        Source::JsonLines(reader) | Source::PlainText(reader) => {
            dump.read_lines(Lines::new(reader, max_record_bytes))?
        }
        Source::Parquet(source) => dump.read_rows(source)?,
    }
    Ok(dump.scores)
}

/// A dump that is being read.
struct Dump<'a, F> {
    name: &'a str,
    rules: &'a SubmissionRules,
    scores: DumpScores,
    each: F,
}

impl<E: From<DumpError>, F: FnMut(Result<SubmissionRow, DroppedRecord<'_>>) -> Result<(), E>> Dump<'_, F> {
    fn read_lines(&mut self, mut lines: Lines<impl BufRead>) -> Result<(), E> {
        let mut are_urls = None;
        while let Some((line, content)) = lines.next().map_err(|source| self.broken(source))? {
            match content {
                Line::TooLong(len_bytes) => {
                    let text = format!("{len_bytes} bytes").into();
                    (self.each)(Err(DroppedRecord { reason: Reason::RecordTooLong, line, text }))?;
                }
                Line::Whole(bytes) => {
                    let parse = match *are_urls.get_or_insert_with(|| is_url_alone(bytes)) {
                        true => Submission::of_url,
                        false => Submission::parse,
                    };
                    self.take(line, parse(bytes), bytes)?;
                }
            }
        }
        Ok(())
    }

    fn read_rows(&mut self, source: impl Read + Seek + Send + 'static) -> Result<(), E> {
        let mut rows = ParquetRows::open(source, Submission::has_field).map_err(|source| self.broken(source))?;
        // Without either column every row would be dropped, and no message would say why.
        rows.require("url_overridden_by_dest")
            .or_else(|_| rows.require("url"))
            .map_err(|source| self.broken(source))?;
        while let Some(batch) = rows.next_batch().map_err(|source| self.broken(source))? {
            for (number, row) in batch.rows().map_err(|source| self.broken(source))?.iter() {
                self.take(number, Submission::of_row(row), b"")?;
            }
        }
        Ok(())
    }

    /// Passes on the result for one record. `shown` is reported for a malformed one.
    fn take(&mut self, line: u64, parsed: Result<Submission<'_>, MalformedSubmission>, shown: &[u8]) -> Result<(), E> {
        let submission = match parsed {
            Ok(submission) => submission,
            Err(error) => {
                let text = describe(&error, shown).into();
                return (self.each)(Err(DroppedRecord { reason: Reason::MalformedRecord, line, text }));
            }
        };
        self.scores.add(submission.score);
        match self.rules.submission(&submission, self.name, line) {
            Ok(row) => (self.each)(Ok(row)),
            Err(reason) => (self.each)(Err(DroppedRecord { reason, line, text: submission.title.unwrap_or_default() })),
        }
    }

    fn broken(&self, source: texts::Error) -> DumpError {
        DumpError { name: self.name.to_owned(), source }
    }
}

/// Whether a line is a URL and nothing else, as in a plain list.
fn is_url_alone(line: &[u8]) -> bool {
    let is_url = |text: &str| text.contains("://") || Canonical::parse(text).is_ok();
    std::str::from_utf8(line)
        .is_ok_and(|text| !text.starts_with(['{', '[', '"']) && !text.contains(char::is_whitespace) && is_url(text))
}

fn describe(error: &MalformedSubmission, shown: &[u8]) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if shown.is_empty() { cause } else { format!("{cause}: {}", String::from_utf8_lossy(shown)) }
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
                Err(DroppedRecord { reason, line, text }) => dropped.push((reason, line, text.into_owned())),
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
    fn what_begins_with_anything_else_is_lines_of_json() {
        for first in ["not a url", "word", "[\"http://a.example/\"]", "\"http://a.example/\"", "null"] {
            let read = read(format!("{first}\n{{\"url\":\"http://a.example/\"}}\n"), "d").unwrap();
            assert_eq!((read.rows.len(), read.dropped.len()), (1, 1), "{first}");
            assert_eq!((read.dropped[0].0, read.dropped[0].1), (Reason::MalformedRecord, 1), "{first}");
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
        assert_eq!((read.dropped[2].0, read.dropped[2].1), (Reason::MalformedRecord, 4));
        assert_eq!(read.rows.len(), 1);
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
