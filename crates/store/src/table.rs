//! Parquet tables of serde rows, streamed in both directions.
//!
//! A row type is its own schema, and reading a table by a type reads the columns of that type alone. A row group is
//! closed by its bytes rather than its rows, so that memory does not follow the input. The same rows give the same
//! bytes: row groups depend on the rows alone, and neither a clock nor a version is written.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, Schema};
use atomic_file::{AtomicFile, Written};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, Length};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::store::{Blob, BlobReader, LocalBlob, Upload};
use crate::{Error, Result};

/// Rows buffered before they become an Arrow batch.
pub(crate) const BATCH_ROWS: usize = 1024;
/// A batch is also closed at this size, for rows as long as documents.
const BATCH_BYTES: usize = 4 << 20;
/// A row group is closed at this size, before compression.
pub(crate) const ROW_GROUP_BYTES: usize = 32 << 20;
/// Rows that are decoded at once.
pub(crate) const READ_ROWS: usize = 256;

/// A type that can be a table row.
pub trait Row: Serialize + DeserializeOwned {}
impl<T: Serialize + DeserializeOwned> Row for T {}

/// Writes rows of type `T` to a Parquet object that appears when it is finished.
pub struct TableWriter<T> {
    shown: String,
    fields: Vec<FieldRef>,
    writer: ArrowWriter<Box<dyn Upload>>,
    rows: Vec<T>,
    rows_bytes: usize,
    group_bytes: usize,
}

/// The Arrow fields of a row type: reasons as strings, everything else as serde names it.
fn fields_of<T: Row>() -> Result<Vec<FieldRef>, serde_arrow::Error> {
    // Enums without data become strings, so that readers see `low_karma` and not a dictionary code.
    let options = TracingOptions::default()
        .enums_without_data_as_strings(true)
        .strings_as_large_utf8(false)
        .allow_null_fields(true);
    Vec::<FieldRef>::from_type::<T>(options)
}

/// A Parquet writer whose bytes depend on the rows alone, and whose row groups end where the caller decides.
pub(crate) fn start_table(
    upload: Box<dyn Upload>,
    shown: &str,
    schema: Arc<Schema>,
) -> Result<ArrowWriter<Box<dyn Upload>>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a level")))
        .set_max_row_group_row_count(None)
        .set_created_by("webtext".to_owned())
        .build();
    ArrowWriter::try_new(upload, schema, Some(properties)).map_err(|e| table_error("start", shown, e))
}

/// Writes the footer of a table and makes its object visible.
pub(crate) fn finish_table(writer: ArrowWriter<Box<dyn Upload>>, shown: &str) -> Result<Written> {
    let mut upload = writer.into_inner().map_err(|e| table_error("finish", shown, e))?;
    upload.flush().map_err(|e| table_error("write", shown, e))?;
    upload.commit()
}

impl<T: Row> TableWriter<T> {
    /// Starts the table that will be the local file `path`.
    pub fn create(path: &Path) -> Result<TableWriter<T>> {
        TableWriter::new(Box::new(AtomicFile::create(path)?), path.display().to_string())
    }

    /// Starts a table in an object that messages name as `shown`.
    pub fn new(upload: Box<dyn Upload>, shown: String) -> Result<TableWriter<T>> {
        let fields = fields_of::<T>().map_err(|e| table_error("lay out", &shown, e))?;
        let schema = Arc::new(Schema::new(fields.clone()));
        let writer = start_table(upload, &shown, schema)?;
        Ok(TableWriter { shown, fields, writer, rows: Vec::new(), rows_bytes: 0, group_bytes: 0 })
    }

    /// Appends a row.
    pub fn push(&mut self, row: T) -> Result<()> {
        let row_bytes = postcard::serialize_with_flavor(&row, postcard::ser_flavors::Size::default())
            .map_err(|source| Error::Row { object: self.shown.clone(), source: Box::new(source) })?;
        self.rows_bytes += row_bytes + std::mem::size_of::<T>();
        self.rows.push(row);
        if self.rows.len() >= BATCH_ROWS || self.rows_bytes >= BATCH_BYTES {
            self.flush_batch()?;
        }
        Ok(())
    }

    fn flush_batch(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch =
            serde_arrow::to_record_batch(&self.fields, &self.rows).map_err(|e| table_error("fill", &self.shown, e))?;
        self.writer.write(&batch).map_err(|e| table_error("write", &self.shown, e))?;
        self.group_bytes += self.rows_bytes;
        self.rows.clear();
        self.rows_bytes = 0;
        if self.group_bytes >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| table_error("write", &self.shown, e))?;
            self.group_bytes = 0;
        }
        Ok(())
    }

    /// Writes the footer and makes the object visible.
    pub fn finish(mut self) -> Result<Written> {
        self.flush_batch()?;
        finish_table(self.writer, &self.shown)
    }
}

/// Reads the rows of a Parquet object in order, and of its columns those that `T` has.
pub struct TableReader<T> {
    shown: String,
    batches: ParquetRecordBatchReader,
    rows: std::vec::IntoIter<T>,
}

impl<T: Row> TableReader<T> {
    /// Opens the local file `path`, which [`TableWriter`] wrote, or one with the same columns.
    pub fn open(path: &Path) -> Result<TableReader<T>> {
        TableReader::new(Box::new(LocalBlob::open(path)?), path.display().to_string())
    }

    /// Opens a table that messages name as `shown`. Memory: the footer and 256 rows.
    ///
    /// # Errors
    /// When it is no Parquet, or lacks a column that `T` has and that is no `Option`.
    pub fn new(blob: Box<dyn Blob>, shown: String) -> Result<TableReader<T>> {
        let fields = fields_of::<T>().map_err(|e| table_error("lay out", &shown, e))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(Chunks(blob.into()))
            .map_err(|e| table_error("read", &shown, e))?;
        let missing: Vec<&str> = fields
            .iter()
            .filter(|field| !field.is_nullable() && builder.schema().column_with_name(field.name()).is_none())
            .map(|field| field.name().as_str())
            .collect();
        if !missing.is_empty() {
            let there: Vec<&str> = builder.schema().fields().iter().map(|field| field.name().as_str()).collect();
            let what = format!("it has no column {}, but {}", missing.join(", "), there.join(", "));
            return Err(table_error("read", &shown, what));
        }
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let columns = ProjectionMask::columns(builder.parquet_schema(), names);
        let batches = builder
            .with_projection(columns)
            .with_batch_size(READ_ROWS)
            .build()
            .map_err(|e| table_error("read", &shown, e))?;
        Ok(TableReader { shown, batches, rows: Vec::new().into_iter() })
    }

    fn decode(&self, batch: &RecordBatch) -> Result<Vec<T>> {
        serde_arrow::from_record_batch(batch).map_err(|e| table_error("decode", &self.shown, e))
    }
}

impl<T: Row> Iterator for TableReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            match self.batches.next()? {
                Err(e) => return Some(Err(table_error("read", &self.shown, e))),
                Ok(batch) => match self.decode(&batch) {
                    Err(e) => return Some(Err(e)),
                    Ok(rows) => self.rows = rows.into_iter(),
                },
            }
        }
    }
}

/// A blob as the Parquet library reads it.
pub(crate) struct Chunks(pub(crate) Arc<dyn Blob>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len_bytes()
    }
}

impl ChunkReader for Chunks {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Box<dyn Read>> {
        let mut reader = BlobReader::new(Box::new(Shared(self.0.clone())));
        std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(start))?;
        Ok(Box::new(reader))
    }

    fn get_bytes(&self, start: u64, len: usize) -> parquet::errors::Result<Bytes> {
        // A damaged footer may claim any length.
        if start.checked_add(len as u64).is_none_or(|end| end > self.0.len_bytes()) {
            return Err(parquet::errors::ParquetError::EOF(format!("{len} bytes at {start} are more than there are")));
        }
        let mut bytes = vec![0; len];
        self.0.read_at(start, &mut bytes)?;
        Ok(bytes.into())
    }
}

struct Shared(Arc<dyn Blob>);

impl Blob for Shared {
    fn len_bytes(&self) -> u64 {
        self.0.len_bytes()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, bytes)
    }
}

pub(crate) fn table_error<E>(action: &'static str, shown: &str, source: E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let source = source.into();
    // The Parquet writer wraps I/O errors: report a full disk as such.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Error::io(action, shown, std::io::Error::new(io.kind(), io.to_string()));
        }
        cause = error.source();
    }
    Error::Table { action, object: shown.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Wide {
        name: String,
        number: i64,
        note: Option<String>,
        share: f32,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Narrow {
        number: i64,
        name: String,
    }

    fn wide(i: u32) -> Wide {
        let note = i.is_multiple_of(2).then(|| format!("note {i}"));
        Wide { name: format!("row {i}"), number: i64::from(i) - 3, note, share: i as f32 / 7.0 }
    }

    #[test]
    fn rows_come_back_and_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Wide> = (0..3000).map(wide).collect();
        let mut checksums = Vec::new();
        for name in ["a.parquet", "b.parquet"] {
            let path = folder.path().join(name);
            let mut writer = TableWriter::create(&path).unwrap();
            for row in &rows {
                writer.push(row.clone()).unwrap();
            }
            checksums.push(writer.finish().unwrap().checksum);
            let back: Vec<Wide> = TableReader::open(&path).unwrap().map(|r| r.unwrap()).collect();
            assert_eq!(back, rows);
        }
        assert_eq!(checksums[0], checksums[1]);
        // A type with fewer fields reads only their columns, in any order.
        let narrow: Vec<Narrow> =
            TableReader::open(&folder.path().join("a.parquet")).unwrap().map(|r| r.unwrap()).collect();
        assert_eq!(narrow.len(), rows.len());
        assert_eq!(narrow[7], Narrow { number: 4, name: "row 7".into() });
    }

    #[test]
    fn an_empty_table_is_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.parquet");
        TableWriter::<Wide>::create(&path).unwrap().finish().unwrap();
        assert_eq!(TableReader::<Wide>::open(&path).unwrap().count(), 0);
    }

    #[test]
    fn a_table_of_other_rows_names_what_is_missing() {
        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct Other {
            name: String,
            place: String,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.parquet");
        TableWriter::<Other>::create(&path).unwrap().finish().unwrap();
        let error = TableReader::<Wide>::open(&path).err().expect("columns are missing");
        // `note` may be missing: it is none in every row.
        let said = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(said, "it has no column number, share, but name, place");
    }

    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        let mut writer = TableWriter::create(&path).unwrap();
        (0..100).for_each(|i| writer.push(wide(i)).unwrap());
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(TableReader::<Wide>::open(&path).is_err(), "{cut}");
        }
    }
}
