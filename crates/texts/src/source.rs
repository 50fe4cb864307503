//! Detects the format of a source by its content.

use std::fs::File;
use std::io::{BufRead, Read, Seek};
use std::path::Path;

use crate::decompress::{Peeked, decompress};
use crate::foreign::HEAD_BYTES;
use crate::{Error, ForeignFormat, check_header};

/// The first bytes of a Parquet file.
const PARQUET_MAGIC: &[u8] = b"PAR1";
/// A source, opened in the format that its content has. Its name has no effect.
///
/// The first `fill_buf` of a reader of text gives the first 4 KiB, or all there is, so that a caller can look further:
/// [`records_in`] does so for callers that want a record on each line.
pub enum Source<R> {
    /// JSON Lines: the first byte that is not white space is `{`, or there is none.
    JsonLines(Box<dyn BufRead + Send>),
    /// A Parquet file, from its beginning; [`crate::ParquetRows`] reads it.
    Parquet(R),
    /// Anything else.
    PlainText(Box<dyn BufRead + Send>),
}

impl<R: Read + Seek + Send + 'static> Source<R> {
    /// Looks at the beginning of a source, decompressed if it is compressed. It is read from its first byte, whatever
    /// its position. A Parquet file that is compressed as a whole does not count as Parquet: it cannot be read from its
    /// end.
    ///
    /// # Errors
    /// [`Error::Read`] when not even the first byte can be read, and [`Error::Foreign`] when it is known to hold no text.
    pub fn open(mut source: R) -> Result<Source<R>, Error> {
        let at_start = |source| Error::Read { line: 0, source };
        source.rewind().map_err(at_start)?;
        let mut magic = Vec::new();
        source.by_ref().take(PARQUET_MAGIC.len() as u64).read_to_end(&mut magic).map_err(at_start)?;
        source.rewind().map_err(at_start)?;
        if magic == PARQUET_MAGIC {
            return Ok(Source::Parquet(source));
        }
        Source::open_pipe(source)
    }
}

impl Source<File> {
    /// Opens a file. A pipe, such as `/dev/stdin` may be, is read in order.
    ///
    /// # Errors
    /// [`Error::Open`]; as [`Source::open`], [`Error::ParquetInPipe`] and [`Error::NoHeader`].
    pub fn open_file(path: &Path) -> Result<Source<File>, Error> {
        let at_start = |source| Error::Read { line: 0, source };
        tracing::debug!("reading {}", path.display());
        let file = File::open(path).map_err(Error::Open)?;
        let metadata = file.metadata().map_err(at_start)?;
        if !metadata.is_file() {
            return Source::open_pipe(file);
        }
        check_header(path, metadata.len())?;
        Source::open(file)
    }
}

impl<R> Source<R> {
    /// Looks at the beginning of a pipe, which can be read only once.
    ///
    /// # Errors
    /// As [`Source::open`], and [`Error::ParquetInPipe`].
    pub fn open_pipe(pipe: impl Read + Send + 'static) -> Result<Source<R>, Error> {
        let at_start = |source| Error::Read { line: 0, source };
        let reader = decompress(pipe).and_then(|reader| Peeked::new(reader, HEAD_BYTES)).map_err(at_start)?;
        let head = reader.head();
        if head.starts_with(PARQUET_MAGIC) {
            return Err(Error::ParquetInPipe);
        }
        if let Some(format) = ForeignFormat::of_bytes(head) {
            return Err(Error::Foreign(format));
        }
        Ok(match head.trim_ascii_start().first() {
            Some(b'{') | None => Source::JsonLines(Box::new(reader)),
            Some(_) => Source::PlainText(Box::new(reader)),
        })
    }
}

/// Checks that a text whose first byte is next may hold a record on each line, and returns its beginning, at most 4 KiB:
/// the bytes that [`Source`] has looked at.
///
/// # Errors
/// [`Error::Foreign`] when it is known for something else, and [`Error::Read`].
pub fn records_in(reader: &mut dyn BufRead) -> Result<&[u8], Error> {
    let head = reader.fill_buf().map_err(|source| Error::Read { line: 0, source })?;
    match ForeignFormat::of_text(head) {
        Some(format) => Err(Error::Foreign(format)),
        None => Ok(head),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::decompress::tests::in_every_compression;

    fn kind_and_text(bytes: Vec<u8>) -> (&'static str, String) {
        let mut source = Cursor::new(bytes);
        source.set_position(2);
        let mut text = String::new();
        let kind = match Source::open(source).unwrap() {
            Source::JsonLines(mut reader) => reader.read_to_string(&mut text).map(|_| "JSON Lines"),
            Source::Parquet(mut source) => source.read_to_string(&mut text).map(|_| "Parquet"),
            Source::PlainText(mut reader) => reader.read_to_string(&mut text).map(|_| "plain text"),
        };
        (kind.unwrap(), text)
    }

    fn check(text: &str, kind: &'static str) {
        for bytes in in_every_compression(text.as_bytes()) {
            assert_eq!(kind_and_text(bytes), (kind, text.to_owned()));
        }
    }

    #[test]
    fn a_source_is_known_by_its_first_bytes() {
        check("", "JSON Lines");
        check("\r\n  \n{\"text\":\"one\"}\n", "JSON Lines");
        check("The tide is out.", "plain text");
        check("[1, 2]", "plain text");
        assert_eq!(kind_and_text(b"PAR1....PAR1".to_vec()), ("Parquet", "PAR1....PAR1".to_owned()));
        assert_eq!(kind_and_text("\u{feff}{}".into()), ("JSON Lines", "{}".to_owned()));
    }

    fn check_foreign(bytes: Vec<u8>, expected: &str) {
        let error = Source::open(Cursor::new(bytes)).err().expect("it is foreign");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_holds_no_text_is_named_also_where_it_is_compressed() {
        let zip = b"PK\x03\x04\x14\0\0\0\x08\0".to_vec();
        for bytes in in_every_compression(&zip) {
            check_foreign(bytes, "it is a ZIP archive");
        }
        let twice = in_every_compression(&in_every_compression(b"{}\n")[2]).swap_remove(2);
        check_foreign(twice, "it is compressed twice");
        check_foreign(vec![7, 0, 7, 1, 2], "it is no text: it begins with the bytes 07 00 07 01");
    }

    #[test]
    fn a_text_that_has_no_record_on_each_line_is_named_for_those_who_want_one() {
        let records = |text: &str| match Source::open(Cursor::new(text.to_owned())).unwrap() {
            Source::JsonLines(mut reader) | Source::PlainText(mut reader) => {
                records_in(&mut reader).map(<[u8]>::to_vec).map_err(|error| error.to_string())
            }
            Source::Parquet(_) => unreachable!("it is text"),
        };
        assert_eq!(records("<html>"), Err("it is a web page (HTML)".to_owned()));
        assert_eq!(
            records("{\n\"data\": []}"),
            Err("it is one JSON document over several lines rather than a record on each".to_owned())
        );
        assert_eq!(records("The tide is out."), Ok(b"The tide is out.".to_vec()));
    }
}
