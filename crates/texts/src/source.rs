//! Detects the format of a source by its content.

use std::fs::File;
use std::io::{BufRead, Read, Seek};
use std::path::Path;

use crate::Error;
use crate::decompress::{Peeked, decompress};

/// The first bytes of a Parquet file.
const PARQUET_MAGIC: &[u8] = b"PAR1";
/// Bytes in which the first one that is not white space is looked for.
const MAX_LOOK_BYTES: usize = 1024;

/// A source, opened in the format that its content has. Its name has no effect.
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
    /// [`Error::Read`] when not even the first byte can be read.
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
    /// As [`Source::open`], and [`Error::ParquetInPipe`].
    pub fn open_file(path: &Path) -> Result<Source<File>, Error> {
        let at_start = |source| Error::Read { line: 0, source };
        let file = File::open(path).map_err(at_start)?;
        if file.metadata().map_err(at_start)?.is_file() { Source::open(file) } else { Source::open_pipe(file) }
    }
}

impl<R> Source<R> {
    /// Looks at the beginning of a pipe, which can be read only once.
    ///
    /// # Errors
    /// As [`Source::open`], and [`Error::ParquetInPipe`].
    pub fn open_pipe(pipe: impl Read + Send + 'static) -> Result<Source<R>, Error> {
        let at_start = |source| Error::Read { line: 0, source };
        let reader = decompress(pipe).and_then(|reader| Peeked::new(reader, MAX_LOOK_BYTES)).map_err(at_start)?;
        match reader.head() {
            head if head.starts_with(PARQUET_MAGIC) => Err(Error::ParquetInPipe),
            head => match head.trim_ascii_start().first() {
                Some(b'{') | None => Ok(Source::JsonLines(Box::new(reader))),
                Some(_) => Ok(Source::PlainText(Box::new(reader))),
            },
        }
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
}
