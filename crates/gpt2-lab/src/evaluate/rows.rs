//! Evaluation data from files: JSON Lines, plain or compressed, one row per line.
//!
//! A row that does not have its task's form ends the evaluation, with file, line and the expected form: metrics over
//! part of the data are not comparable.

use std::fs::File;
use std::io::BufRead;
use std::path::Path;

use serde::de::DeserializeOwned;
use texts::{Line, Lines, Source};

use super::EvalError;

/// Longest line; the longest article of the published sets has less than a tenth of this.
const MAX_LINE_BYTES: usize = 16 << 20;

/// What a line of a task's file holds.
pub(super) trait EvalRow: DeserializeOwned {
    /// The form, for messages: an example of a line.
    const FORM: &'static str;

    /// Why a row of this form cannot be used, beyond its fields' types.
    fn fault(&self) -> Option<&'static str> {
        None
    }
}

/// Opens a file in the format that its content has: JSON Lines, Parquet or plain text, compressed or not.
pub(super) fn open(path: &Path) -> Result<Source<File>, EvalError> {
    Source::open_file(path).map_err(|source| EvalError::Source { path: path.to_path_buf(), source })
}

/// All rows of a file, or the first `limit`. Blank lines are skipped.
pub(super) fn read_rows<R: EvalRow>(path: &Path, limit: Option<u64>) -> Result<Vec<R>, EvalError> {
    let reader = match open(path)? {
        Source::JsonLines(reader) | Source::PlainText(reader) => reader,
        Source::Parquet(_) => {
            return Err(EvalError::row(path, 1, format!("it is Parquet; expected lines like {}", R::FORM)));
        }
    };
    not_empty(path, parse_rows(path, reader, limit)?)
}

/// The rows of an open file, or the first `limit`; `path` is for messages.
pub(super) fn parse_rows<R: EvalRow>(
    path: &Path,
    reader: impl BufRead,
    limit: Option<u64>,
) -> Result<Vec<R>, EvalError> {
    let mut rows = Vec::new();
    let mut lines = Lines::new(reader, MAX_LINE_BYTES);
    while limit.is_none_or(|limit| (rows.len() as u64) < limit) {
        let line = lines.next().map_err(|source| EvalError::Source { path: path.to_path_buf(), source })?;
        let Some((number, line)) = line else { break };
        rows.push(parse_row(line).map_err(|what| EvalError::row(path, number, what))?);
    }
    Ok(rows)
}

fn parse_row<R: EvalRow>(line: Line<'_>) -> Result<R, String> {
    let malformed = |what: &str| format!("{what}; expected {}", R::FORM);
    let bytes = match line {
        Line::Whole(bytes) => bytes,
        Line::TooLong(len_bytes) => return Err(malformed(&format!("the line has {len_bytes} bytes"))),
    };
    // The parser counts lines from here: its own are always the first.
    let row: R = serde_json::from_slice(bytes)
        .map_err(|error| malformed(&error.to_string().replace(" at line 1 column ", " at column ")))?;
    row.fault().map_or(Ok(row), |fault| Err(malformed(fault)))
}

/// The rows, or the error that there are none.
pub(super) fn not_empty<R>(path: &Path, rows: Vec<R>) -> Result<Vec<R>, EvalError> {
    if rows.is_empty() { Err(EvalError::Empty { path: path.to_path_buf() }) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct TextRow {
        text: String,
    }

    impl EvalRow for TextRow {
        const FORM: &'static str = r#"{"text": "…"}"#;

        fn fault(&self) -> Option<&'static str> {
            self.text.is_empty().then_some("the text is empty")
        }
    }

    fn check(content: &[u8], limit: Option<u64>, expected: Result<&[&str], &str>) {
        let rows: Result<Vec<TextRow>, _> = parse_rows(Path::new("a.jsonl"), content, limit);
        match (rows, expected) {
            (Ok(rows), Ok(texts)) => assert_eq!(rows.iter().map(|row| &row.text[..]).collect::<Vec<_>>(), texts),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_and_their_faults() {
        let two = b"{\"text\": \"a\"}\n\n{\"text\": \"b\", \"more\": 1}\n";
        check(two, None, Ok(&["a", "b"]));
        check(two, Some(1), Ok(&["a"]));
        check(b"{\"text\": \"a\"}\n{\"txt\": 1}", None, Err("a.jsonl, line 2: missing field `text`"));
        check(b"{\"text\": \"a\"}\n{\"txt\": 1}", None, Err(r#"expected {"text": "…"}"#));
        check(b"\n{\"text\": \"\"}", None, Err("line 2: the text is empty"));
        check(b"\xff\xfe\x00", None, Err("line 1"));
        check(b"{\"text\": \"\xff\"}", None, Err("line 1"));
    }
}
