//! The two steps of the work: a dump to rows, and sorted rows to links.

use std::borrow::Cow;
use std::path::Path;

use records::{Counts, Link, Reason};

use crate::dump::{DumpError, Line, Lines};
use crate::{Policy, Row, Submission};

/// A line of a dump that is no link, and leaves no row.
#[derive(Debug)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: Reason,
    /// The line in the dump, from 1.
    pub line: u64,
    /// What a reader can judge the drop by: the line, the title, or the length.
    pub text: Cow<'a, str>,
}

/// Reads the dump with this number and calls `each` with what became of every line.
///
/// Returns the sum of all scores, by which a dump with immature ones is known. Lines over `limit_bytes`
/// are dropped. Memory: one line, and the decompressor's window.
///
/// # Errors
/// A [`DumpError`] when the dump cannot be opened or breaks off (what `each` got stays), or what `each` returns.
pub fn read_dump<E: From<DumpError>>(
    dump: &Path,
    number: u32,
    policy: &Policy,
    limit_bytes: usize,
    mut each: impl FnMut(Result<Row, Dropped<'_>>) -> Result<(), E>,
) -> Result<i64, E> {
    let mut lines = Lines::open(dump, limit_bytes)?;
    let mut scores = 0i64;
    while let Some((line, content)) = lines.next()? {
        let dropped = |reason, text| Err(Dropped { reason, line, text });
        match content {
            Line::TooLong(len_bytes) => each(dropped(Reason::RecordTooLong, format!("{len_bytes} bytes").into()))?,
            Line::Whole(bytes) => match Submission::parse(bytes) {
                Err(error) => each(dropped(Reason::MalformedRecord, describe(&error, bytes).into()))?,
                Ok(submission) => {
                    scores = scores.saturating_add(submission.score);
                    match policy.submission(&submission, number, line) {
                        Ok(row) => each(Ok(row))?,
                        Err(reason) => each(dropped(reason, submission.title.unwrap_or_default()))?,
                    }
                }
            },
        }
    }
    Ok(scores)
}

fn describe(error: &crate::Malformed, line: &[u8]) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{cause}: {}", String::from_utf8_lossy(line))
}

/// Makes links of rows in their order (all of one key side by side) and calls `each` with every link.
///
/// Every row is counted: one of each key by the link's verdict, the others as [`Reason::SameLink`].
/// `dumps` are the names of the dumps by number. Memory: the rows of one link.
///
/// # Errors
/// What the rows or `each` return.
pub fn merge_rows<E>(
    rows: impl IntoIterator<Item = Result<Row, E>>,
    policy: &Policy,
    dumps: &[String],
    counts: &mut Counts,
    mut each: impl FnMut(Link) -> Result<(), E>,
) -> Result<(), E> {
    let mut finish = |same: &mut Vec<Row>| {
        let link = policy.merge(same, dumps);
        (1..same.len()).for_each(|_| counts.drop(Reason::SameLink));
        counts.record(link.verdict);
        same.clear();
        each(link)
    };
    let mut same: Vec<Row> = Vec::new();
    for row in rows {
        let row = row?;
        if same.first().is_some_and(|first| (&first.domain, &first.key) != (&row.domain, &row.key)) {
            finish(&mut same)?;
        }
        same.push(row);
    }
    if same.is_empty() { Ok(()) } else { finish(&mut same) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{Karma, KarmaOf};

    const DUMP: &str = r#"{"url":"http://b.example/","score":2}
not json
{"url":"http://a.example/x","score":1}
{"url":"http://a.example/","score":7}
{"url":"https://www.b.example","score":5}
{"url":"u","is_self":true,"title":"a question","score":40}
"#;

    #[test]
    fn a_dump_becomes_links() {
        let policy = Policy {
            karma: Karma { at_least: 3, of: KarmaOf::AnySubmission },
            drop_over_18: true,
            from: None,
            before: None,
            drop_domains: Default::default(),
            drop_extensions: Default::default(),
            url_len_max_bytes: 2048,
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(DUMP.as_bytes()).unwrap();
        let (mut rows, mut dropped) = (Vec::new(), Vec::new());
        let scores = read_dump::<DumpError>(file.path(), 0, &policy, 1000, |line| {
            match line {
                Ok(row) => rows.push(row),
                Err(Dropped { reason, line, text }) => dropped.push((reason, line, text.into_owned())),
            }
            Ok(())
        });
        assert_eq!(scores.unwrap(), 55);
        assert_eq!((dropped[0].0, dropped[0].1), (Reason::MalformedRecord, 2));
        assert!(dropped[0].2.ends_with(": not json"), "{dropped:?}");
        assert_eq!(dropped[1], (Reason::SelfPost, 6, "a question".to_owned()));

        rows.sort();
        let (mut counts, mut links) = (Counts::default(), Vec::new());
        let rows = rows.into_iter().map(Ok::<_, DumpError>);
        merge_rows(rows, &policy, &["d".into()], &mut counts, |link| {
            links.push((link.key, link.karma, link.source, link.verdict));
            Ok(())
        })
        .unwrap();
        assert_eq!(
            links,
            [
                ("example,a)/".into(), 7, "d:4".into(), None),
                ("example,a)/x".into(), 1, "d:3".into(), Some(Reason::LowKarma)),
                ("example,b)/".into(), 5, "d:5".into(), None),
            ]
        );
        assert_eq!((counts.read, counts.kept, counts.dropped[&Reason::SameLink]), (4, 2, 1));
    }
}
