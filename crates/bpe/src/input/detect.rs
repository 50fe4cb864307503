//! Opens a file in the format that the options, its name or its content give it.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;

use texts::{ForeignFormat, TextFormat};

use super::{Fault, InputOptions, Reader};

/// Bytes of the beginning that are looked at.
const HEAD_BYTES: u64 = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// A file that is opened in its format.
pub(crate) enum Opened {
    Lines(Reader),
    Plain(Reader),
    Table(File),
}

/// Where the bytes of an input come from. A pipe can be opened and read once, so what is known of it is known by looking
/// at its first bytes.
pub(crate) enum ByteSource {
    /// A regular file.
    File(File),
    /// Anything else: standard input, a pipe, a device.
    Pipe(Box<dyn Read + Send>),
}

impl ByteSource {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<ByteSource> {
        if path == Path::new("-") {
            return Ok(ByteSource::Pipe(Box::new(io::stdin())));
        }
        let file = File::open(path)?;
        Ok(if file.metadata()?.is_file() { ByteSource::File(file) } else { ByteSource::Pipe(Box::new(file)) })
    }

    /// As a table is read, from its end: what comes through a pipe is first written to an unnamed file.
    fn into_table(self) -> io::Result<File> {
        match self {
            ByteSource::File(file) => Ok(file),
            ByteSource::Pipe(pipe) => spooled(BufReader::new(pipe)),
        }
    }
}

/// Finds the format of an input: that of the options, of its name, or of its content.
pub(crate) fn open(path: &Path, source: ByteSource, options: &InputOptions) -> Result<Opened, Fault> {
    if let ByteSource::File(file) = &source {
        let len_bytes = file.metadata().map_err(Fault::of_file)?.len();
        texts::check_header(path, len_bytes).map_err(Fault::of_file)?;
    }
    let format = options.format.or_else(|| format_of_name(path));
    if format == Some(TextFormat::Parquet) {
        let mut table = source.into_table().map_err(Fault::of_file)?;
        let mut magic = Vec::new();
        table.by_ref().take(PARQUET_MAGIC.len() as u64).read_to_end(&mut magic).map_err(Fault::of_file)?;
        table.rewind().map_err(Fault::of_file)?;
        // By its name alone, a file is what it holds.
        if magic != PARQUET_MAGIC && options.format.is_some() {
            return Err(Fault::of_file("it is not Parquet"));
        }
        return Ok(Opened::Table(table));
    }
    // A byte order mark is part of a plain text, and has ids like other characters.
    let mut reader = match source {
        ByteSource::File(file) => texts::decompress_exactly(file),
        ByteSource::Pipe(pipe) => texts::decompress_exactly(pipe),
    }
    .map_err(Fault::of_file)?;
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(Fault::of_file)?;
    // Bytes that are called a text are one; others may be of a format that is none.
    if options.format != Some(TextFormat::PlainText)
        && let Some(format) = ForeignFormat::of_bytes(&head).filter(|format| format.hint().is_some())
    {
        return Err(Fault::of_file(texts::Error::Foreign(format)));
    }
    let found = format_of_head(&head);
    if found == TextFormat::Parquet && options.format.is_none() {
        return match format {
            // Also of what was compressed as a whole.
            None => spooled(Cursor::new(head).chain(reader)).map(Opened::Table).map_err(Fault::of_file),
            Some(_) => Err(Fault::of_file("it is Parquet, and its name does not end in .parquet")),
        };
    }
    if format.unwrap_or(found) == TextFormat::JsonLines {
        let head = head.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(head);
        return Ok(Opened::Lines(Box::new(Cursor::new(head).chain(reader))));
    }
    Ok(Opened::Plain(Box::new(Cursor::new(head).chain(reader))))
}

/// The format that a name says, if it says one.
fn format_of_name(path: &Path) -> Option<TextFormat> {
    let format = TextFormat::of_name(path);
    let name = path.to_string_lossy().to_ascii_lowercase();
    let is_text = [".txt", ".txt.gz", ".txt.zst", ".txt.xz", ".txt.bz2"].iter().any(|ending| name.ends_with(ending));
    (is_text || format != TextFormat::PlainText).then_some(format)
}

/// The format of a text that begins so.
fn format_of_head(head: &[u8]) -> TextFormat {
    if head.starts_with(PARQUET_MAGIC) {
        return TextFormat::Parquet;
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
    if begins_record(line) { TextFormat::JsonLines } else { TextFormat::PlainText }
}

/// Whether a line begins as a record does, `{"name":`, and is not the first of a value that is written over several lines.
/// A record may be malformed behind that: it is still one, and is to be named.
fn begins_record(line: &[u8]) -> bool {
    let is_empty = || line.trim_ascii_end().strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii() == b"}");
    let name = line.strip_prefix(b"{").and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\""));
    let Some(name) = name else { return is_empty() };
    let mut is_escaped = false;
    let end = name.iter().position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    let is_named = end.is_some_and(|end| name[end + 1..].trim_ascii_start().starts_with(b":"));
    is_named && !matches!(line.trim_ascii_end().last(), Some(b'{' | b'[' | b',' | b':'))
}

fn spooled(mut pipe: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: TextFormat) {
        assert_eq!(format_of_head(head), expected, "{:?}", String::from_utf8_lossy(head));
    }

    #[test]
    fn content_decides() {
        check(b"PAR1\x15", TextFormat::Parquet);
        check(b"{\"text\":\"one\"}\n{", TextFormat::JsonLines);
        check(b"\xef\xbb\xbf\n{\"text\":\"one\"}", TextFormat::JsonLines);
        check(
            format!("{{\"text\":\"{}", "x".repeat(1 << 16)).as_bytes().get(..1 << 16).unwrap(),
            TextFormat::JsonLines,
        );
        check(b"{ fn main() }\n", TextFormat::PlainText);
        check(b"{\n\"text\": 1}", TextFormat::PlainText);
        check(b"{\"a\": 1,\n\"b\": 2}", TextFormat::PlainText);
        check(b"{\"a\": [\n1]}", TextFormat::PlainText);
        check(b"{\"quoted\", she said}", TextFormat::PlainText);
        check(b"{}\n", TextFormat::JsonLines);
    }

    #[test]
    fn a_malformed_record_is_one() {
        for line in [
            r#"{"text":"cut \ud83d off"}"#,
            "{\"text\":\"a\ttab\"}",
            r#"{"text":"a","score":NaN}"#,
            r#"{"text":"a"} and more"#,
            r#"{"a \" b" : "cut o"#,
            r#"{ "text":"bytes \x"}"#,
        ] {
            check(format!("{line}\n{{\"text\":\"b\"}}\n").as_bytes(), TextFormat::JsonLines);
        }
        check(b"", TextFormat::PlainText);
    }
}
