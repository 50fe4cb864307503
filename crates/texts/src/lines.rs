//! Lines of any length, in bounded memory.

use std::io::{self, BufRead};

use crate::Error;

/// A line, or the length of one that was too long to hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line without white space at its ends.
    Whole(&'a [u8]),
    /// A line over the limit: its length in bytes. Its bytes were skipped.
    TooLong(u64),
}

/// The lines of a reader, in order. Memory: the longest line up to the limit.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    max_line_bytes: usize,
    number: u64,
    /// Bytes of the line that was lent out of the reader's own buffer; they are consumed before the next one.
    lent_bytes: usize,
    has_last_end: bool,
}

impl<R: BufRead> Lines<R> {
    /// Lines over `max_line_bytes`, line end included, are skipped and reported with their length.
    pub fn new(reader: R, max_line_bytes: usize) -> Lines<R> {
        Lines { reader, buffer: Vec::new(), max_line_bytes, number: 0, lent_bytes: 0, has_last_end: true }
    }

    /// Whether the last line that was given has a line end: where it has none, it may be cut off.
    pub fn has_last_end(&self) -> bool {
        self.has_last_end
    }

    /// The next line that is not blank, and its number from 1; `None` at the end.
    ///
    /// A last line without a line end is a line.
    ///
    /// # Errors
    /// [`Error::Read`] when the reader fails; the line in which it failed is lost, and there are no more lines.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, Error> {
        loop {
            // Most lines lie in the reader's buffer as a whole, and need not be copied out of it.
            if let Some((len_bytes, is_blank)) =
                self.next_in_buffer().map_err(|source| Error::Read { line: self.number, source })?
            {
                self.number += 1;
                self.lent_bytes = len_bytes;
                if is_blank {
                    continue;
                }
                let bytes = self.reader.fill_buf().map_err(|source| Error::Read { line: self.number - 1, source })?;
                return Ok(Some((self.number, Line::Whole(bytes[..len_bytes].trim_ascii()))));
            }
            let len_bytes = self.fill_line().map_err(|source| Error::Read { line: self.number, source })?;
            if len_bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            if len_bytes > self.max_line_bytes as u64 {
                return Ok(Some((self.number, Line::TooLong(len_bytes))));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Whole(self.buffer.trim_ascii()))));
            }
        }
    }

    /// The length of the next line, and whether it is blank, if it is within the limit and ends in the reader's buffer.
    fn next_in_buffer(&mut self) -> io::Result<Option<(usize, bool)>> {
        self.reader.consume(std::mem::take(&mut self.lent_bytes));
        let bytes = loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1).filter(|&end| end <= self.max_line_bytes);
        Ok(end.map(|end| (end, bytes[..end].trim_ascii().is_empty())))
    }

    /// Reads one line into the buffer, at most one byte over the limit; returns its whole length.
    fn fill_line(&mut self) -> io::Result<u64> {
        self.buffer.clear();
        let mut len_bytes = 0;
        loop {
            let chunk = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let end = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
            let is_whole = end == 0 || chunk[end - 1] == b'\n';
            self.has_last_end = end > 0 && is_whole || end == 0 && self.has_last_end;
            let room = self.max_line_bytes.saturating_add(1).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&chunk[..end.min(room)]);
            self.reader.consume(end);
            len_bytes += end as u64;
            if is_whole {
                return Ok(len_bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;

    use super::*;
    use crate::decompress;
    use crate::decompress::tests::in_every_compression;

    fn shown<R: BufRead>(mut lines: Lines<R>) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            seen.push(match line {
                Line::Whole(line) => format!("{number} {}", String::from_utf8_lossy(line)),
                Line::TooLong(len_bytes) => format!("{number} <{len_bytes}>"),
            });
        }
        seen
    }

    #[test]
    fn blank_lines_are_counted_and_long_ones_reported() {
        for bytes in in_every_compression(b"one\n\n  two \r\nlonger than ten\nlast") {
            let lines = Lines::new(decompress(Cursor::new(bytes)).unwrap(), 10);
            assert_eq!(shown(lines), ["1 one", "3 two", "4 <16>", "5 last"]);
        }
        assert_eq!(shown(Lines::new(&b""[..], 10)), [""; 0]);
        assert_eq!(shown(Lines::new(&b"one\n"[..], usize::MAX)), ["1 one"]);
    }

    #[test]
    fn a_truncated_source_gives_its_lines_and_then_an_error() {
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let mut bytes = zstd::encode_all(&text[..], 1).unwrap();
        bytes.truncate(bytes.len() - 10);
        let mut lines = Lines::new(decompress(Cursor::new(bytes)).unwrap(), 100);
        let mut seen = 0;
        let error = loop {
            match lines.next() {
                Ok(Some(_)) => seen += 1,
                Ok(None) => panic!("the fault went unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(seen > 0);
        assert_eq!(error.to_string(), format!("it cannot be read past line {seen}"));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_twin(text in "[ab \n]{0,60}", buffer_bytes in 1usize..9, max_line_bytes in 0usize..9) {
            let twin: Vec<String> = (1..)
                .zip(text.split_inclusive('\n'))
                .filter_map(|(number, line)| match line.trim() {
                    _ if line.len() > max_line_bytes => Some(format!("{number} <{}>", line.len())),
                    "" => None,
                    whole => Some(format!("{number} {whole}")),
                })
                .collect();
            let reader = BufReader::with_capacity(buffer_bytes, text.as_bytes());
            prop_assert_eq!(shown(Lines::new(reader, max_line_bytes)), twin);
        }
    }
}
