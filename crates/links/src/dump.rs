//! Lines of a dump, whatever it is compressed with.
//!
//! The format is told by the first bytes, never by the name: `.zst` (with the 2 GiB window that the
//! Reddit dumps need, and several frames in a row), `.xz`, `.bz2`, `.gz`, plain text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest window a zstd frame may ask for: 2³¹ bytes, as `zstd --long=31` writes.
const ZSTD_WINDOW_LOG_MAX: u32 = 31;

/// A dump could not be opened, or breaks off.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read past line {line}", path.display())]
pub struct DumpError {
    /// The dump.
    pub path: PathBuf,
    /// Whole lines read before the fault.
    pub line: u64,
    /// The decompressor's or the system's answer.
    #[source]
    pub source: io::Error,
}

/// A line, or the length of one that was too long to hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line without its end.
    Whole(&'a [u8]),
    /// A line over the limit: its length in bytes. Its bytes were skipped.
    TooLong(u64),
}

/// The lines of one dump, in order. Memory: the limit of a line, and the decompressor's window.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    limit_bytes: usize,
    number: u64,
}

impl Lines {
    /// Opens a dump; lines over `limit_bytes` are skipped and reported.
    pub fn open(path: &Path, limit_bytes: usize) -> Result<Lines, DumpError> {
        let reader = File::open(path).and_then(decoder).map_err(|source| DumpError {
            path: path.to_path_buf(),
            line: 0,
            source,
        })?;
        Ok(Lines { path: path.to_path_buf(), reader, buffer: Vec::new(), limit_bytes, number: 0 })
    }

    /// The next line that is not empty, and its number from 1; `None` at the end.
    ///
    /// A last line without a line end is a line. After an error there are no more lines.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, DumpError> {
        loop {
            let len_bytes = self.fill_line()?;
            if len_bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            if len_bytes > self.limit_bytes as u64 {
                return Ok(Some((self.number, Line::TooLong(len_bytes))));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Whole(self.buffer.trim_ascii()))));
            }
        }
    }

    /// Reads one line into the buffer, at most one byte over the limit; returns its whole length.
    fn fill_line(&mut self) -> Result<u64, DumpError> {
        self.buffer.clear();
        let mut len_bytes = 0;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let path = self.path.clone();
                    return Err(DumpError { path, line: self.number, source });
                }
            };
            let end = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
            let done = end == 0 || chunk[end - 1] == b'\n';
            let room = (self.limit_bytes + 1).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&chunk[..end.min(room)]);
            self.reader.consume(end);
            len_bytes += end as u64;
            if done {
                return Ok(len_bytes);
            }
        }
    }
}

/// A reader of the plain bytes behind whatever `file` is compressed with.
fn decoder(file: File) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut magic = [0; 6];
    let mut have = 0;
    // Small reads are legal for pipes; ask until there is enough to tell.
    while have < magic.len() {
        match file.get_mut().read(&mut magic[have..])? {
            0 => break,
            n => have += n,
        }
    }
    let head = io::Cursor::new(magic[..have].to_vec());
    let whole = BufReader::with_capacity(1 << 18, head.chain(file));
    Ok(match &magic[..have] {
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut zstd = zstd::Decoder::with_buffer(whole)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(BufReader::with_capacity(1 << 18, zstd))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => buffered(liblzma::bufread::XzDecoder::new_multi_decoder(whole)),
        [b'B', b'Z', b'h', ..] => buffered(bzip2::bufread::MultiBzDecoder::new(whole)),
        [0x1f, 0x8b, ..] => buffered(flate2::bufread::MultiGzDecoder::new(whole)),
        _ => Box::new(whole),
    })
}

fn buffered(reader: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(1 << 18, reader))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"one\n\n  two \r\nlonger than ten\nlast";

    fn check(bytes: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::open(file.path(), 10).unwrap();
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            seen.push(match line {
                Line::Whole(line) => format!("{number} {}", String::from_utf8_lossy(line)),
                Line::TooLong(len) => format!("{number} <{len}>"),
            });
        }
        assert_eq!(seen, ["1 one", "3 two", "4 <16>", "5 last"]);
    }

    #[test]
    fn every_compression_gives_the_same_lines() {
        check(TEXT);
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zstd.window_log(27).unwrap();
        zstd.long_distance_matching(true).unwrap();
        zstd.write_all(TEXT).unwrap();
        check(&zstd.finish().unwrap());
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(TEXT).unwrap();
        check(&gz.finish().unwrap());
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(TEXT).unwrap();
        check(&bz2.finish().unwrap());
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(TEXT).unwrap();
        check(&xz.finish().unwrap());
    }

    #[test]
    fn frames_in_a_row_are_one_dump() {
        let half = TEXT.len() / 2;
        let mut bytes = zstd::encode_all(&TEXT[..half], 1).unwrap();
        bytes.extend(zstd::encode_all(&TEXT[half..], 1).unwrap());
        check(&bytes);
    }

    #[test]
    fn a_truncated_dump_gives_its_lines_and_then_an_error() {
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let mut bytes = zstd::encode_all(&text[..], 1).unwrap();
        bytes.truncate(bytes.len() - 10);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let mut lines = Lines::open(file.path(), 100).unwrap();
        let error = loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the fault went unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("cannot be read past line"), "{error}");
    }

    #[test]
    fn an_empty_dump_has_no_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Lines::open(file.path(), 10).unwrap().next().unwrap(), None);
    }
}
