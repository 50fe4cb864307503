//! Evaluation data out of files: JSON Lines, plain or compressed, a row a line.
//!
//! A row that is not what its task expects ends the evaluation with file, line and the form that was expected:
//! a figure over part of the data is not comparable.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use texts::decompress_file;

use super::EvaluateError;

/// What a line of a task's file holds.
pub(super) trait Row: DeserializeOwned {
    /// The form, for messages: an example of a line.
    const FORM: &'static str;

    /// What no row of this form may be, beyond its fields' types.
    fn fault(&self) -> Option<&'static str> {
        None
    }
}

/// All rows of a file, or the first `limit`. Empty lines are none.
pub(super) fn read_rows<R: Row>(path: &Path, limit: Option<u64>) -> Result<Vec<R>, EvaluateError> {
    let file = decompress_file(path).map_err(|source| EvaluateError::Io { path: path.to_path_buf(), source })?;
    not_empty(path, parse_rows(path, file, limit)?)
}

/// The rows of an open file, or the first `limit`; `path` is for messages.
pub(super) fn parse_rows<R: Row>(path: &Path, file: impl Read, limit: Option<u64>) -> Result<Vec<R>, EvaluateError> {
    let mut rows = Vec::new();
    for (line, bytes) in (1..).zip(BufReader::new(file).split(b'\n')) {
        if limit.is_some_and(|limit| rows.len() as u64 >= limit) {
            break;
        }
        let bytes = bytes.map_err(|source| EvaluateError::Io { path: path.to_path_buf(), source })?;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let malformed = |what: String| EvaluateError::row(path, line, format!("{what}; expected {}", R::FORM));
        // The parser counts lines from here: its own are always the first.
        let row: R = serde_json::from_slice(&bytes)
            .map_err(|error| malformed(error.to_string().replace(" at line 1 column ", " at column ")))?;
        if let Some(fault) = row.fault() {
            return Err(malformed(fault.into()));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Whether a file's own name holds `part`; folders above it do not matter.
pub(super) fn is_named(path: &Path, part: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
}

/// The rows, or the error that there are none.
pub(super) fn not_empty<R>(path: &Path, rows: Vec<R>) -> Result<Vec<R>, EvaluateError> {
    if rows.is_empty() { Err(EvaluateError::Empty { path: path.to_path_buf() }) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Text {
        text: String,
    }

    impl Row for Text {
        const FORM: &'static str = r#"{"text": "…"}"#;

        fn fault(&self) -> Option<&'static str> {
            self.text.is_empty().then_some("the text is empty")
        }
    }

    fn check(content: &[u8], limit: Option<u64>, expected: Result<&[&str], &str>) {
        let rows: Result<Vec<Text>, _> = parse_rows(Path::new("a.jsonl"), content, limit);
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
