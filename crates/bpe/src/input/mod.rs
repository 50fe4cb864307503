//! Reads texts in batches that threads can share, cut where no pretoken lies across.
//!
//! | name ends in | documents |
//! | --- | --- |
//! | `.jsonl`, `.json`, `.ndjson` (also `.zst`, `.gz`, `.xz`, `.bz2`) | the text field of each line |
//! | `.parquet` | the text column |
//! | `.txt` (also compressed) | the text, or its parts between a separator |
//! | anything else, `-` for standard input | by its content: Parquet; JSON Lines, if the first line is an object; or text |
//!
//! Case does not matter. The compression of a file is detected from its content, see [`texts::decompress`]. A null text is an empty document.
//!
//! [`Batches`] reads and decompresses; a [`Batch`] is parsed by another thread, so that threads share the work. A
//! document of any length comes in pieces that can be encoded one by one.

mod bad_rows;
mod detect;
mod lines;
mod plain_text;
mod table;

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use texts::TextFormat;
use user_error::UserError;

use crate::RunCutter;
use crate::pretokenize::Cuts;
pub use bad_rows::SkippedRows;
use detect::Opened;
pub use detect::format_of;
use lines::{LineBatch, LineBatches};
use plain_text::{PlainBatch, PlainBatches};
use table::TableBatches;

/// Approximate bytes of a batch: large enough that threads rarely synchronise.
const BATCH_BYTES: usize = 2 << 20;

/// Why a text could not be read.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A text could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}{}", path.display(), place.as_deref().map(|place| format!(" at {place}")).unwrap_or_default())]
#[non_exhaustive]
pub struct InputError {
    /// The file; `-` for standard input.
    pub path: PathBuf,
    /// Where in it: `line 7`, `row 7`, `byte 7`.
    pub place: Option<String>,
    /// Why.
    #[source]
    pub source: AnyError,
}

/// Bytes that are not valid text.
#[derive(Debug, thiserror::Error)]
#[error("invalid UTF-8")]
struct InvalidUtf8;

impl UserError for InputError {
    fn hint(&self) -> Option<String> {
        let text = self.source.to_string();
        let is_utf8_fault =
            self.source.is::<InvalidUtf8>() || text.contains("surrogate") || text.to_lowercase().contains("utf-8");
        is_utf8_fault.then(|| "--lossy replaces invalid UTF-8 by U+FFFD".to_owned())
    }
}

/// An error and its place, in a file that the caller knows.
struct Fault {
    place: Option<String>,
    source: AnyError,
}

impl Fault {
    fn at(place: String, source: impl Into<AnyError>) -> Fault {
        Fault { place: Some(place), source: source.into() }
    }

    fn of_file(source: impl Into<AnyError>) -> Fault {
        Fault { place: None, source: source.into() }
    }

    fn in_file(self, path: &Path) -> InputError {
        InputError { path: path.to_path_buf(), place: self.place, source: self.source }
    }
}

/// How files are read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InputOptions {
    /// The format of all files. Default: by each file's name, or else its content.
    pub format: Option<TextFormat>,
    /// The field or column of the text. Default: `text`.
    pub text_field: String,
    /// Splits plain text into documents; the separator is part of none. Default: a file is one document.
    pub separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing with the byte's offset. Default: `false`.
    pub lossy: bool,
    /// Longest line of JSON Lines, in bytes. Default: 128 MiB.
    pub max_line_bytes: usize,
    /// Where a plain text may be cut. Default: where GPT-2's pattern allows it.
    pub cuts: Cuts,
    /// Cuts pretokens of a plain text that are too long to be held. Default: none, a pretoken is held whole.
    pub run_cutter: Option<RunCutter>,
    /// Counts rows without a text, which are left out. Default: such a row is an error.
    skipped: Option<SkippedRows>,
}

impl Default for InputOptions {
    fn default() -> InputOptions {
        let max_line_bytes = texts::DEFAULT_MAX_TEXT_BYTES;
        let (text_field, cuts) = ("text".to_owned(), Cuts::default());
        InputOptions {
            format: None,
            text_field,
            separator: None,
            lossy: false,
            max_line_bytes,
            cuts,
            run_cutter: None,
            skipped: None,
        }
    }
}

impl InputOptions {
    /// The same with documents that end at a separator.
    pub fn with_separator(self, separator: impl Into<String>) -> InputOptions {
        InputOptions { separator: Some(separator.into()), ..self }
    }

    /// The same for another format, whatever the names say.
    pub fn with_format(self, format: TextFormat) -> InputOptions {
        InputOptions { format: Some(format), ..self }
    }

    /// The same for texts of another field.
    pub fn with_text_field(self, text_field: impl Into<String>) -> InputOptions {
        InputOptions { text_field: text_field.into(), ..self }
    }

    /// The same with invalid UTF-8 replaced, or not.
    pub fn with_lossy(self, lossy: bool) -> InputOptions {
        InputOptions { lossy, ..self }
    }

    /// The same with rows that have no text left out and counted.
    pub fn with_bad_rows_skipped(self) -> InputOptions {
        InputOptions { skipped: Some(SkippedRows::default()), ..self }
    }

    /// The rows that were left out so far, if they are.
    pub fn skipped_rows(&self) -> Option<&SkippedRows> {
        self.skipped.as_ref()
    }

    /// The same with long pretokens cut.
    pub fn with_run_cutter(self, run_cutter: Option<RunCutter>) -> InputOptions {
        InputOptions { run_cutter, ..self }
    }

    /// The same with texts cut where a tokenizer allows it.
    pub fn with_cuts(self, cuts: Cuts) -> InputOptions {
        InputOptions { cuts, ..self }
    }

    /// The same with another limit on a line's length.
    pub fn with_max_line_bytes(self, max_line_bytes: usize) -> InputOptions {
        InputOptions { max_line_bytes, ..self }
    }
}

/// A part of a file, of about 2 MiB, that can be processed without the others.
#[derive(Debug)]
pub struct Batch {
    path: Arc<PathBuf>,
    options: Arc<InputOptions>,
    /// Identifies the batch's first document among all of the file.
    place: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Lines(LineBatch),
    Plain(PlainBatch),
    /// Rows of a table.
    Rows(Vec<String>),
}

impl Batch {
    /// Calls `each` with the pieces in order, and whether a piece is the last of its document.
    ///
    /// Pieces of a document are cut where no pretoken lies across: encoded one by one they give the same ids as the
    /// whole document.
    ///
    /// # Errors
    /// [`InputError`] with the line or byte; or what `each` returns.
    pub fn for_each_piece<E: From<InputError>>(
        &self,
        mut each: impl FnMut(&str, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |fault: Fault| E::from(fault.in_file(&self.path));
        match &self.content {
            Content::Rows(rows) => rows.iter().try_for_each(|text| each(text, true)),
            Content::Lines(lines) => {
                lines.texts(&self.options).try_for_each(|text| match (text, &self.options.skipped) {
                    (Ok(text), _) => each(&text, true),
                    (Err(fault), Some(skipped)) => {
                        skipped.add(&fault.in_file(&self.path));
                        Ok(())
                    }
                    (Err(fault), None) => Err(failed(fault)),
                })
            }
            Content::Plain(plain) => plain.pieces(&self.options).try_for_each(|piece| {
                let (text, ends) = piece.map_err(failed)?;
                each(&text, ends)
            }),
        }
    }

    /// Whether the first piece continues the document in which the batch before ended.
    pub fn is_continuation(&self) -> bool {
        matches!(self.content, Content::Plain(PlainBatch { is_continuation: true, .. }))
    }

    /// Bytes of the batch before it is parsed.
    pub fn len_bytes(&self) -> usize {
        match &self.content {
            Content::Lines(lines) => lines.bytes.len(),
            Content::Plain(plain) => plain.bytes.len(),
            Content::Rows(rows) => rows.iter().map(String::len).sum(),
        }
    }

    /// As [`Batch::for_each_piece`] for a share of the documents, 0 to 1, chosen by a hash of the file's name and their
    /// place in it: the line, the row, or the first byte.
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
}

/// The batches of one file, in order. Memory: two batches, or two of the longest line.
pub struct Batches {
    path: Arc<PathBuf>,
    options: Arc<InputOptions>,
    source: BatchSource,
}

enum BatchSource {
    Lines(LineBatches),
    Plain(PlainBatches),
    Table(Box<TableBatches>),
}

/// A decompressed stream.
type Reader = Box<dyn BufRead + Send>;

impl Batches {
    /// Opens a file, or standard input for `-`. Its format is that of its name, unless the options give one; its
    /// compression is detected from its first bytes.
    ///
    /// # Errors
    /// When it cannot be opened, is not a Parquet file with the text column, or is Parquet under another name.
    pub fn open(path: &Path, options: &Arc<InputOptions>) -> Result<Batches, InputError> {
        let source = match detect::open(path, options).map_err(|fault| fault.in_file(path))? {
            Opened::Table(file) => TableBatches::open(path, file, options).map(Box::new).map(BatchSource::Table),
            Opened::Lines(reader) => Ok(BatchSource::Lines(LineBatches::new(path, reader))),
            Opened::Plain(reader) => Ok(BatchSource::Plain(PlainBatches::new(reader))),
        };
        let source = source.map_err(|fault| fault.in_file(path))?;
        Ok(Batches { path: Arc::new(path.to_path_buf()), options: options.clone(), source })
    }

    fn next_batch(&mut self) -> Result<Option<(u64, Content)>, Fault> {
        Ok(match &mut self.source {
            BatchSource::Lines(lines) => {
                lines.next(&self.options)?.map(|batch| (batch.first_line, Content::Lines(batch)))
            }
            BatchSource::Plain(plain) => plain.next(&self.options)?.map(|batch| (batch.place, Content::Plain(batch))),
            BatchSource::Table(table) => table.next()?.map(|(row, texts)| (row, Content::Rows(texts))),
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, InputError>;

    fn next(&mut self) -> Option<Result<Batch, InputError>> {
        let (path, options) = (self.path.clone(), self.options.clone());
        match self.next_batch() {
            Ok(batch) => batch.map(|(place, content)| Ok(Batch { path, options, place, content })),
            Err(fault) => Some(Err(fault.in_file(&path))),
        }
    }
}

/// Appends the bytes that the reader has buffered, up to about a quarter of a batch; returns how many.
fn read_more(reader: &mut Reader, held: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(BATCH_BYTES as u64 / 4).read_to_end(held)
}

/// The documents of one file, in order and whole. Memory: one document and one batch.
pub struct WholeDocuments {
    batches: Batches,
    ready: std::vec::IntoIter<String>,
    unfinished: String,
}

impl WholeDocuments {
    /// Opens a file as [`Batches::open`] does.
    ///
    /// # Errors
    /// As [`Batches::open`].
    pub fn open(path: &Path, options: &InputOptions) -> Result<WholeDocuments, InputError> {
        let batches = Batches::open(path, &Arc::new(options.clone()))?;
        Ok(WholeDocuments { batches, ready: Vec::new().into_iter(), unfinished: String::new() })
    }
}

impl Iterator for WholeDocuments {
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
                self.unfinished.push_str(piece);
                if ends {
                    ready.push(std::mem::take(&mut self.unfinished));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], options: &InputOptions, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let got: Vec<String> = WholeDocuments::open(&path, options)
            .and_then(Iterator::collect)
            .unwrap_or_else(|e| vec![format!("{e}: {}", e.source).replace(&*path.to_string_lossy(), "FILE")]);
        assert_eq!(got, expected, "{name}");
    }

    #[test]
    fn kinds_of_files() {
        let plain = InputOptions::default();
        check("a.txt", b"one\ntwo", &plain, &["one\ntwo"]);
        check("a.txt", b"", &plain, &[]);
        check("a.jsonl", b"{\"text\":\"one\",\"x\":1}\n\n{\"text\":\"\"}", &plain, &["one", ""]);
        check("a.jsonl", b"", &plain, &[]);
        check("a.jsonl", b"\xef\xbb\xbf{\"text\":\"one\"}", &plain, &["one"]);
        check("a.jsonl.zst", &zstd::encode_all(&b"{\"text\":\"o\\\"ne\"}\n"[..], 1).unwrap(), &plain, &["o\"ne"]);
        let parts = InputOptions::default().with_separator("<|end|>");
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
        check("a.parquet", &table(3), &InputOptions::default(), &["0 ", "", &format!("2 {}", "x".repeat(200))]);
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
        let plain = InputOptions::default();
        check("a.txt", b"caf\xe9", &plain, &["cannot read FILE at byte 3: invalid UTF-8"]);
        check("a.txt", b"caf\xe9", &plain.clone().with_lossy(true), &["caf\u{fffd}"]);
        check(
            "a.jsonl",
            b"{\"text\":\"one\"}\n{\"txt\":1}",
            &plain,
            &["cannot read FILE at line 2: it has no field \"text\"; its fields are txt"],
        );
        let short = plain.with_max_line_bytes(100);
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(BATCH_BYTES));
        check("a.jsonl", long.as_bytes(), &short, &["cannot read FILE at line 1: a line of more than 100 bytes"]);
    }

    #[test]
    fn a_line_that_is_too_long_may_be_left_out() {
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(2 * BATCH_BYTES));
        let lines = format!("{{\"text\":\"one\"}}\n{long}\n{{\"text\":\"two\"}}\n{long}");
        let options = InputOptions::default().with_max_line_bytes(100).with_bad_rows_skipped();
        check("a.jsonl", lines.as_bytes(), &options, &["one", "two"]);
        let skipped = options.skipped_rows().unwrap();
        assert_eq!(skipped.rows(), 2);
        assert!(skipped.first().unwrap().contains("at line 2"));
    }

    /// Texts over many batches, in every format, are returned whole.
    #[test]
    fn long_documents_come_in_pieces_and_are_put_together() {
        let long: String = (0..900_000).map(|i| format!("{i:x}é ")).collect();
        let documents = ["first", &long, "", "in between", &long[..BATCH_BYTES], "last"];
        let options = InputOptions::default().with_separator("<|end|>");
        let joined: String = documents.iter().map(|d| format!("{d}<|end|>")).collect();
        check("a.txt", joined.as_bytes(), &options, &documents);
        check("a.txt.gz", &gzip(long.as_bytes()), &InputOptions::default(), &[&long]);
        let lines: String = documents.iter().map(|d| format!("{{\"text\":\"{d}\"}}\n")).collect();
        check("a.jsonl", lines.as_bytes(), &InputOptions::default(), &documents);
    }

    #[test]
    fn a_sample_is_of_whole_documents() {
        let folder = tempfile::tempdir().unwrap();
        let long: String = (0..900_000).map(|i| format!("{i:x} ")).collect();
        let documents: Vec<String> =
            (0..40).map(|i| if i % 20 == 7 { long.clone() } else { format!("short {i}") }).collect();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, documents.iter().map(|d| format!("{d}#")).collect::<String>()).unwrap();
        let options = Arc::new(InputOptions::default().with_separator("#"));
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
