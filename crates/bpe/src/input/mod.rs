//! Reads texts in batches that threads can share, cut where no pretoken lies across.
//!
//! | name ends in | documents |
//! | --- | --- |
//! | `.jsonl`, `.json`, `.ndjson` (also `.zst`, `.gz`, `.xz`, `.bz2`) | the text field of each line |
//! | `.parquet` | the text column |
//! | `.txt` (also compressed) | the text, or its parts between a separator |
//! | anything else, `-` for standard input | by its content: Parquet; JSON Lines, if the first line begins as an object does and is no part of a longer one; or text |
//!
//! Case does not matter. The compression of a file is detected from its content, see [`texts::decompress`]. A null text is an empty document.
//!
//! [`Batches`] reads and decompresses; a [`Batch`] is parsed by another thread, so that threads share the work. A
//! document of any length comes in pieces that can be encoded one by one.

mod bad_rows;
mod detect;
mod documents;
mod error;
mod lines;
mod lossy_table;
mod options;
mod plain_text;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use bad_rows::SkippedRows;
pub(crate) use detect::{ByteSource, Opened};
pub use documents::WholeDocuments;
pub use error::InputError;
use error::{Fault, InvalidUtf8};
use lines::{LineBatch, LineBatches};
pub use options::InputOptions;
use plain_text::{PlainBatch, PlainBatches};
use table::TableBatches;

/// Approximate bytes of a batch: large enough that threads rarely synchronise.
const BATCH_BYTES: usize = 2 << 20;

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

/// Opens an input in its format.
///
/// # Errors
/// When it cannot be read, or is Parquet under another name.
#[cfg(feature = "cli")]
pub(crate) fn open(path: &Path, options: &InputOptions) -> Result<Opened, InputError> {
    let opened = ByteSource::open(path).map_err(Fault::of_file).and_then(|source| detect::open(path, source, options));
    opened.map_err(|fault| fault.in_file(path))
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
        let fault = |error: io::Error| Fault::of_file(error).in_file(path);
        Batches::of_source(path, ByteSource::open(path).map_err(fault)?, options)
    }

    /// The same for an input that is open already.
    pub(crate) fn of_source(
        path: &Path,
        source: ByteSource,
        options: &Arc<InputOptions>,
    ) -> Result<Batches, InputError> {
        let opened = detect::open(path, source, options).map_err(|fault| fault.in_file(path))?;
        Batches::of_opened(path, opened, options)
    }

    /// The same for one whose format is known.
    pub(crate) fn of_opened(path: &Path, opened: Opened, options: &Arc<InputOptions>) -> Result<Batches, InputError> {
        let source = match opened {
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
