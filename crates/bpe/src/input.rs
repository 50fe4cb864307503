//! Texts out of files: plain text, JSON Lines or Parquet, compressed or not.
//!
//! | name ends in | documents |
//! | --- | --- |
//! | `.jsonl`, `.json`, `.ndjson` (also `.zst`, `.gz`, `.xz`, `.bz2`) | the `text` field of each line |
//! | `.parquet` | the `text` column |
//! | anything else | the file, or its parts between a separator |
//!
//! How a file is compressed is told by its content, see [`texts::decompress`].
//!
//! [`Batches`] reads and decompresses; a [`Batch`] is taken apart elsewhere, so that threads can share the
//! rest of the work. A document of any length comes in pieces that can be encoded one by one.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::pretokenize::last_border;

/// Bytes of a batch, about: enough that threads need not meet often.
const BATCH_BYTES: usize = 2 << 20;
/// Rows of a batch, at most: empty texts have no bytes.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// A text could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}{}", path.display(), place.as_deref().map(|p| format!(" at {p}")).unwrap_or_default())]
pub struct InputError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Option<String>,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// How files are read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cuts plain text into documents; the separator belongs to none.
    pub separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing with the byte's offset.
    pub lossy: bool,
    /// Longest line of JSON Lines. Default: 128 MiB.
    pub line_max_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { separator: None, lossy: false, line_max_bytes: 128 << 20 }
    }
}

/// A part of a file, of about 2 MiB, that can be taken apart without the others.
#[derive(Debug)]
pub struct Batch {
    path: Arc<PathBuf>,
    options: Arc<Options>,
    /// What tells the batch's first document from all others of the file.
    place: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Whole lines, the first of which has this number.
    Lines { bytes: Vec<u8>, first: u64 },
    /// Plain text from this byte on. `open`: its first piece goes on with a document; `ends`: the file ends here.
    Text { bytes: Vec<u8>, offset: u64, open: bool, ends: bool },
    /// Rows of a Parquet file.
    Rows(Vec<String>),
}

impl Batch {
    /// Calls `each` with the pieces in order, and whether a piece is the last of its document.
    ///
    /// Pieces of a document are cut where no pretoken lies across: encoded one by one they give the ids of
    /// the whole.
    ///
    /// # Errors
    /// [`InputError`] with the line or byte; or what `each` returns.
    pub fn for_each_piece<E: From<InputError>>(
        &self,
        mut each: impl FnMut(&str, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.content {
            Content::Rows(rows) => rows.iter().try_for_each(|text| each(text, true)),
            Content::Lines { bytes, first } => {
                for (number, line) in (*first..).zip(bytes.split(|&byte| byte == b'\n')) {
                    if !line.trim_ascii().is_empty() {
                        let text =
                            self.text_of_line(line).map_err(|source| self.fault(format!("line {number}"), source))?;
                        each(&text, true)?;
                    }
                }
                Ok(())
            }
            Content::Text { bytes, offset, open, ends } => self.pieces_of_text(bytes, *offset, *open, *ends, each),
        }
    }

    /// Whether the first piece goes on with the document that the batch before ended in.
    pub fn is_open(&self) -> bool {
        matches!(self.content, Content::Text { open: true, .. })
    }

    /// Bytes of the batch before it is taken apart.
    pub fn len_bytes(&self) -> usize {
        match &self.content {
            Content::Lines { bytes, .. } | Content::Text { bytes, .. } => bytes.len(),
            Content::Rows(rows) => rows.iter().map(String::len).sum(),
        }
    }

    /// The same for a share of the documents, 0 to 1, chosen by a hash of the file's name and their place in it:
    /// the line, the row of a batch, or the first byte.
    ///
    /// # Errors
    /// As [`Batch::for_each_piece`].
    pub fn for_each_sampled_piece<E: From<InputError>>(
        &self,
        share: f64,
        mut each: impl FnMut(&str, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        if share >= 1.0 {
            return self.for_each_piece(each);
        }
        let name = self.path.file_name().unwrap_or_default().as_encoded_bytes();
        let seed = xxhash_rust::xxh3::xxh3_64(name);
        let is_chosen = |place: u64| {
            let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&place.to_le_bytes(), seed);
            (hash as f64) < share * u64::MAX as f64
        };
        let mut place = self.place;
        let mut taken = is_chosen(place);
        self.for_each_piece(|piece, ends| {
            if taken {
                each(piece, ends)?;
            }
            if ends {
                place += 1;
                taken = is_chosen(place);
            }
            Ok(())
        })
    }

    fn text_of_line<'l>(&self, line: &'l [u8]) -> Result<Cow<'l, str>, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Row<'a> {
            #[serde(borrow)]
            text: Cow<'a, str>,
        }
        if self.options.lossy && std::str::from_utf8(line).is_err() {
            let line = String::from_utf8_lossy(line);
            return serde_json::from_str::<Row<'_>>(&line).map(|row| Cow::Owned(row.text.into_owned()));
        }
        serde_json::from_slice::<Row<'l>>(line).map(|row| row.text)
    }

    fn pieces_of_text<E: From<InputError>>(
        &self,
        bytes: &[u8],
        offset: u64,
        mut open: bool,
        ends: bool,
        mut each: impl FnMut(&str, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let separator = self.options.separator.as_deref().unwrap_or("").as_bytes();
        let mut at = 0;
        if !separator.is_empty() {
            for found in memchr::memmem::find_iter(bytes, separator) {
                each(&self.text(&bytes[at..found], offset + at as u64)?, true)?;
                at = found + separator.len();
                open = false;
            }
        }
        let rest = &bytes[at..];
        if !rest.is_empty() || (ends && open) {
            each(&self.text(rest, offset + at as u64)?, ends)?;
        }
        Ok(())
    }

    fn text<'b>(&self, bytes: &'b [u8], offset: u64) -> Result<Cow<'b, str>, InputError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) if self.options.lossy => Ok(String::from_utf8_lossy(bytes)),
            Err(error) => {
                let place = format!("byte {}", offset + error.valid_up_to() as u64);
                Err(self.fault(place, "invalid UTF-8; --lossy replaces it by U+FFFD"))
            }
        }
    }

    fn fault(&self, place: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InputError {
        InputError { path: self.path.to_path_buf(), place: Some(place), source: source.into() }
    }
}

/// The batches of one file, in order. Memory: two batches, or two of the longest line.
pub struct Batches {
    path: Arc<PathBuf>,
    options: Arc<Options>,
    source: Source,
}

enum Source {
    Lines {
        reader: Box<dyn BufRead + Send>,
        held: Vec<u8>,
        line: u64,
        ended: bool,
    },
    /// `begun` is the first byte of the document that is open.
    Text {
        reader: Box<dyn BufRead + Send>,
        held: Vec<u8>,
        offset: u64,
        open: bool,
        begun: u64,
        ended: bool,
    },
    Parquet {
        documents: texts::Documents,
        row: u64,
    },
}

impl Batches {
    /// Opens a file; its kind is told by its name, its compression by its first bytes.
    ///
    /// # Errors
    /// When it cannot be opened, or is no Parquet file with a column `text`.
    pub fn open(path: &Path, options: &Arc<Options>) -> Result<Batches, InputError> {
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| InputError {
            path: path.to_path_buf(),
            place: None,
            source,
        };
        let name = path.to_string_lossy();
        let packed = [".zst", ".gz", ".xz", ".bz2"];
        let name = packed.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        let source = if name.ends_with(".parquet") {
            let file = File::open(path).map_err(|e| fault(e.into()))?;
            let texts = texts::Options { text_field: "text".into(), url_field: None, max_text_bytes: usize::MAX };
            Source::Parquet { documents: texts::Documents::open(file, texts).map_err(|e| fault(e.into()))?, row: 0 }
        } else {
            if [".jsonl", ".json", ".ndjson"].iter().any(|ending| name.ends_with(ending)) {
                let reader = open_plain(path).map_err(|e| fault(e.into()))?;
                Source::Lines { reader, held: Vec::new(), line: 1, ended: false }
            } else {
                // A byte order mark is a part of a plain text, and has ids like any other.
                let reader = File::open(path).and_then(texts::decompress_exactly).map_err(|e| fault(e.into()))?;
                Source::Text { reader, held: Vec::new(), offset: 0, open: false, begun: 0, ended: false }
            }
        };
        Ok(Batches { path: Arc::new(path.to_path_buf()), options: options.clone(), source })
    }

    fn fault(&self, place: Option<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InputError {
        InputError { path: self.path.to_path_buf(), place, source: source.into() }
    }

    fn batch(&self, place: u64, content: Content) -> Option<Batch> {
        Some(Batch { path: self.path.clone(), options: self.options.clone(), place, content })
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, InputError> {
        match self.source {
            Source::Lines { .. } => self.next_lines(),
            Source::Text { .. } => self.next_text(),
            Source::Parquet { .. } => self.next_rows(),
        }
    }

    fn next_lines(&mut self) -> Result<Option<Batch>, InputError> {
        let Source::Lines { reader, held, line, ended } = &mut self.source else { unreachable!("called for lines") };
        let first = *line;
        let mut searched = 0;
        loop {
            let end = if *ended {
                Some(held.len())
            } else {
                memchr::memrchr(b'\n', &held[searched..]).map(|at| searched + at + 1)
            };
            if let Some(end) = end.filter(|&end| *ended || (end > 0 && held.len() >= BATCH_BYTES)) {
                if end == 0 {
                    return Ok(None);
                }
                let rest = held.split_off(end);
                let bytes = std::mem::replace(held, rest);
                *line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
                return Ok(self.batch(first, Content::Lines { bytes, first }));
            }
            // Only a line that has no end yet is searched further.
            searched = if end.is_none() { held.len() } else { 0 };
            if held.len() > self.options.line_max_bytes && end.is_none() {
                let what = format!("a line of more than {} bytes", self.options.line_max_bytes);
                return Err(self.fault(Some(format!("line {first}")), what));
            }
            match read_more(reader, held) {
                Ok(0) => *ended = true,
                Ok(_) => {}
                Err(error) => {
                    let line = first + memchr::memchr_iter(b'\n', held).count() as u64;
                    return Err(self.fault(Some(format!("line {line}")), error));
                }
            }
        }
    }

    fn next_text(&mut self) -> Result<Option<Batch>, InputError> {
        let separator = self.options.separator.clone().unwrap_or_default();
        let Source::Text { reader, held, offset, open, begun, ended } = &mut self.source else {
            unreachable!("called for text")
        };
        loop {
            if *ended {
                let (bytes, was_open) = (std::mem::take(held), std::mem::take(open));
                if bytes.is_empty() && !was_open {
                    return Ok(None);
                }
                let (at, place) = (*offset, if was_open { *begun } else { *offset });
                *offset += bytes.len() as u64;
                return Ok(self.batch(place, Content::Text { bytes, offset: at, open: was_open, ends: true }));
            }
            if held.len() >= BATCH_BYTES
                && let Some((end, in_document)) = end_of_batch(held, separator.as_bytes())
            {
                let rest = held.split_off(end);
                let bytes = std::mem::replace(held, rest);
                let (at, was_open) = (*offset, std::mem::replace(open, in_document));
                // A batch that ends inside a document holds no other.
                let place = if was_open { *begun } else { at };
                *begun = place;
                *offset += bytes.len() as u64;
                return Ok(self.batch(place, Content::Text { bytes, offset: at, open: was_open, ends: false }));
            }
            match read_more(reader, held) {
                Ok(0) => *ended = true,
                Ok(_) => {}
                Err(error) => {
                    let place = format!("byte {}", *offset + held.len() as u64);
                    return Err(self.fault(Some(place), error));
                }
            }
        }
    }

    fn next_rows(&mut self) -> Result<Option<Batch>, InputError> {
        let Source::Parquet { documents, row } = &mut self.source else { unreachable!("called for Parquet") };
        let (first, mut rows, mut rows_bytes) = (*row, Vec::new(), 0);
        while rows_bytes < BATCH_BYTES && rows.len() < MAX_BATCH_ROWS {
            match documents.next() {
                None => break,
                Some(Ok(texts::Event::Document(document))) => {
                    rows_bytes += document.text.len();
                    rows.push(document.text);
                }
                Some(Ok(texts::Event::Malformed { place, what })) => {
                    return Err(self.fault(Some(format!("row {place}")), what));
                }
                Some(Err(error)) => return Err(self.fault(None, error)),
            }
        }
        *row += rows.len() as u64;
        Ok(if rows.is_empty() { None } else { self.batch(first, Content::Rows(rows)) })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, InputError>;

    fn next(&mut self) -> Option<Result<Batch, InputError>> {
        self.next_batch().transpose()
    }
}

/// Where a batch of text can end, and whether that is inside a document: behind the last separator, or else
/// at the last border that lies before anything that may become a separator.
fn end_of_batch(held: &[u8], separator: &[u8]) -> Option<(usize, bool)> {
    if !separator.is_empty()
        && let Some(found) = memchr::memmem::rfind(held, separator)
    {
        return Some((found + separator.len(), false));
    }
    last_border(&held[..held.len().saturating_sub(separator.len())]).map(|end| (end, true))
}

/// Appends what the reader has at hand, up to about a quarter of a batch; returns how much that was.
fn read_more(reader: &mut Box<dyn BufRead + Send>, held: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(BATCH_BYTES as u64 / 4).read_to_end(held)
}

/// The documents of one file, in order, each whole. Memory: one document and one batch.
pub struct Documents {
    batches: Batches,
    ready: std::vec::IntoIter<String>,
    open: String,
}

impl Documents {
    /// Opens a file as [`Batches::open`] does.
    ///
    /// # Errors
    /// As [`Batches::open`].
    pub fn open(path: &Path, options: &Options) -> Result<Documents, InputError> {
        let batches = Batches::open(path, &Arc::new(options.clone()))?;
        Ok(Documents { batches, ready: Vec::new().into_iter(), open: String::new() })
    }
}

impl Iterator for Documents {
    type Item = Result<String, InputError>;

    fn next(&mut self) -> Option<Result<String, InputError>> {
        loop {
            if let Some(document) = self.ready.next() {
                return Some(Ok(document));
            }
            let batch = match self.batches.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            let mut ready = Vec::new();
            let taken = batch.for_each_piece(|piece, ends| -> Result<(), InputError> {
                self.open.push_str(piece);
                if ends {
                    ready.push(std::mem::take(&mut self.open));
                }
                Ok(())
            });
            if let Err(error) = taken {
                return Some(Err(error));
            }
            self.ready = ready.into_iter();
        }
    }
}

/// Opens a file, decompressing it as [`texts::decompress`] does.
///
/// # Errors
/// When it cannot be opened or its first bytes cannot be read.
pub fn open_plain(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    texts::decompress(File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], options: &Options, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let got: Vec<String> = Documents::open(&path, options)
            .and_then(Iterator::collect)
            .unwrap_or_else(|e| vec![format!("{e}: {}", e.source).replace(&*path.to_string_lossy(), "FILE")]);
        assert_eq!(got, expected, "{name}");
    }

    #[test]
    fn kinds_of_files() {
        let plain = Options::default();
        check("a.txt", b"one\ntwo", &plain, &["one\ntwo"]);
        check("a.txt", b"", &plain, &[]);
        check("a.jsonl", b"{\"text\":\"one\",\"x\":1}\n\n{\"text\":\"\"}", &plain, &["one", ""]);
        check("a.jsonl", b"", &plain, &[]);
        check("a.jsonl", b"\xef\xbb\xbf{\"text\":\"one\"}", &plain, &["one"]);
        check("a.jsonl.zst", &zstd::encode_all(&b"{\"text\":\"o\\\"ne\"}\n"[..], 1).unwrap(), &plain, &["o\"ne"]);
        let parts = Options { separator: Some("<|end|>".into()), ..Options::default() };
        check("a.txt", b"one<|end|>two<|e<|end|><|end|>", &parts, &["one", "two<|e", ""]);
    }

    fn table(rows: usize) -> Vec<u8> {
        let texts = (0..rows).map(|row| (row % 3 != 1).then(|| format!("{row} {}", "x".repeat(row % 50 * 100))));
        let column: arrow_array::ArrayRef = Arc::new(texts.collect::<arrow_array::StringArray>());
        let batch = arrow_array::RecordBatch::try_from_iter([("id", column.clone()), ("text", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn rows_of_parquet_come_in_batches_and_nulls_are_empty() {
        check("a.parquet", &table(3), &Options::default(), &["0 ", "", &format!("2 {}", "x".repeat(200))]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, table(5000)).unwrap();
        let batches: Vec<Batch> = Batches::open(&path, &Arc::default()).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(batches.len() > 1 && batches.iter().rev().skip(1).all(|batch| batch.len_bytes() >= BATCH_BYTES));
        let mut rows = 0;
        for batch in batches {
            assert_eq!(batch.place, rows);
            batch
                .for_each_piece(|_, ends| -> Result<(), InputError> {
                    rows += u64::from(ends);
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(rows, 5000);
    }

    #[test]
    fn faults_name_their_place() {
        let plain = Options::default();
        check(
            "a.txt",
            b"caf\xe9",
            &plain,
            &["cannot read FILE at byte 3: invalid UTF-8; --lossy replaces it by U+FFFD"],
        );
        check("a.txt", b"caf\xe9", &Options { lossy: true, ..plain.clone() }, &["caf\u{fffd}"]);
        check(
            "a.jsonl",
            b"{\"text\":\"one\"}\n{\"txt\":1}",
            &plain,
            &["cannot read FILE at line 2: missing field `text` at line 1 column 9"],
        );
        let short = Options { line_max_bytes: 100, ..plain };
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(BATCH_BYTES));
        check("a.jsonl", long.as_bytes(), &short, &["cannot read FILE at line 1: a line of more than 100 bytes"]);
    }

    /// Texts over many batches, in every form, come back whole.
    #[test]
    fn long_documents_come_in_pieces_and_are_put_together() {
        let long: String = (0..900_000).map(|i| format!("{i:x}é ")).collect();
        let documents = ["first", &long, "", "in between", &long[..BATCH_BYTES], "last"];
        let options = Options { separator: Some("<|end|>".into()), ..Options::default() };
        let joined: String = documents.iter().map(|d| format!("{d}<|end|>")).collect();
        check("a.txt", joined.as_bytes(), &options, &documents);
        check("a.txt.gz", &gzip(long.as_bytes()), &Options::default(), &[&long]);
        let lines: String = documents.iter().map(|d| format!("{{\"text\":\"{d}\"}}\n")).collect();
        check("a.jsonl", lines.as_bytes(), &Options::default(), &documents);
    }

    #[test]
    fn a_sample_is_of_whole_documents() {
        let folder = tempfile::tempdir().unwrap();
        let long: String = (0..900_000).map(|i| format!("{i:x} ")).collect();
        let documents: Vec<String> =
            (0..40).map(|i| if i % 20 == 7 { long.clone() } else { format!("short {i}") }).collect();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, documents.iter().map(|d| format!("{d}#")).collect::<String>()).unwrap();
        let options = Arc::new(Options { separator: Some("#".into()), ..Options::default() });
        let mut sample = vec![String::new()];
        for batch in Batches::open(&path, &options).unwrap() {
            let taken = batch.unwrap().for_each_sampled_piece(0.5, |piece, ends| -> Result<(), InputError> {
                sample.last_mut().unwrap().push_str(piece);
                if ends {
                    sample.push(String::new());
                }
                Ok(())
            });
            taken.unwrap();
        }
        assert_eq!(sample.pop().unwrap(), "");
        assert!((8..32).contains(&sample.len()) && sample.iter().all(|document| documents.contains(document)));
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
        let mut coded = Vec::new();
        encoder.read_to_end(&mut coded).unwrap();
        coded
    }
}
