//! Parquet tables of serde rows, streamed in both directions.
//!
//! A row group is closed by its bytes rather than its rows, so that memory does not follow the input.
//! The same rows give the same bytes: row groups depend on the rows alone, and no clock is written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::atomic::Written;
use crate::{AtomicFile, Error, IoContext, Result};

/// Rows buffered before they become an Arrow batch.
const BATCH_ROWS: usize = 1024;
/// A batch is also closed at this size, for rows as long as documents.
const BATCH_BYTES: usize = 4 << 20;
/// A row group is closed at this size, before compression.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Writes rows of type `T` to a Parquet file that appears when it is finished.
pub struct TableWriter<T> {
    path: PathBuf,
    fields: Vec<FieldRef>,
    writer: ArrowWriter<AtomicFile>,
    rows: Vec<T>,
    rows_bytes: usize,
    group_bytes: usize,
}

/// A type that can be a table row: serde both ways, and a rough size for the memory bound.
pub trait Row: Serialize + DeserializeOwned {
    /// Bytes this row takes in memory, to within a factor of two.
    fn size_bytes(&self) -> usize {
        256
    }
}

impl Row for crate::Link {}
impl Row for crate::Outcome {}
impl Row for crate::Duplicate {}
impl Row for crate::Document {
    fn size_bytes(&self) -> usize {
        512 + self.text.len()
    }
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

impl<T: Row> TableWriter<T> {
    /// Starts the table that will be at `path`.
    pub fn create(path: &Path) -> Result<TableWriter<T>> {
        let file = AtomicFile::create(path)?;
        let fields = fields_of::<T>().map_err(|e| table_error("lay out", path, e))?;
        let schema = Arc::new(Schema::new(fields.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a level")))
            .set_max_row_group_row_count(None)
            .set_created_by(format!("webtext {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|e| table_error("start", path, e))?;
        Ok(TableWriter { path: path.to_path_buf(), fields, writer, rows: Vec::new(), rows_bytes: 0, group_bytes: 0 })
    }

    /// Appends a row.
    pub fn push(&mut self, row: T) -> Result<()> {
        self.rows_bytes += row.size_bytes();
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
            serde_arrow::to_record_batch(&self.fields, &self.rows).map_err(|e| table_error("fill", &self.path, e))?;
        self.writer.write(&batch).map_err(|e| table_error("write", &self.path, e))?;
        self.group_bytes += self.rows_bytes;
        self.rows.clear();
        self.rows_bytes = 0;
        if self.group_bytes >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| table_error("write", &self.path, e))?;
            self.group_bytes = 0;
        }
        Ok(())
    }

    /// Writes the footer and moves the file into place.
    pub fn finish(mut self) -> Result<Written> {
        self.flush_batch()?;
        let path = self.path;
        let mut file = self.writer.into_inner().map_err(|e| table_error("finish", &path, e))?;
        file.flush().at("write", &path)?;
        file.commit()
    }
}

/// Reads the rows of a Parquet file in order.
pub struct TableReader<T> {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    rows: std::vec::IntoIter<T>,
}

impl<T: Row> TableReader<T> {
    /// Opens a table that [`TableWriter`] wrote, or one with the same columns.
    pub fn open(path: &Path) -> Result<TableReader<T>> {
        let file = File::open(path).at("open", path)?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(256).build())
            .map_err(|e| table_error("read", path, e))?;
        Ok(TableReader { path: path.to_path_buf(), batches, rows: Vec::new().into_iter() })
    }

    fn decode(&self, batch: &RecordBatch) -> Result<Vec<T>> {
        serde_arrow::from_record_batch(batch).map_err(|e| table_error("decode", &self.path, e))
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
                Err(e) => return Some(Err(table_error("read", &self.path, e))),
                Ok(batch) => match self.decode(&batch) {
                    Err(e) => return Some(Err(e)),
                    Ok(rows) => self.rows = rows.into_iter(),
                },
            }
        }
    }
}

fn table_error<E>(action: &'static str, path: &Path, source: E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let source = source.into();
    // A full disk reaches us wrapped by the Parquet writer; give it back its name.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let source = std::io::Error::new(io.kind(), io.to_string());
            return Error::Io { action, path: path.to_path_buf(), source };
        }
        cause = error.source();
    }
    Error::Table { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Link, Reason};

    fn link(i: u32) -> Link {
        Link {
            domain: "example.com".into(),
            key: format!("com,example)/{i}"),
            url: format!("https://example.com/{i}"),
            karma: i64::from(i) - 3,
            submissions: 1,
            subreddit: i.is_multiple_of(2).then(|| "test".into()),
            title: None,
            created_utc: i.is_multiple_of(3).then_some(1_400_000_000),
            source: "dump:1".into(),
            verdict: i.is_multiple_of(5).then_some(Reason::LowKarma),
        }
    }

    #[test]
    fn rows_come_back_and_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Link> = (0..3000).map(link).collect();
        let mut checksums = Vec::new();
        for name in ["a.parquet", "b.parquet"] {
            let path = folder.path().join(name);
            let mut writer = TableWriter::create(&path).unwrap();
            for row in &rows {
                writer.push(row.clone()).unwrap();
            }
            checksums.push(writer.finish().unwrap().checksum);
            let back: Vec<Link> = TableReader::open(&path).unwrap().map(|r| r.unwrap()).collect();
            assert_eq!(back, rows);
        }
        assert_eq!(checksums[0], checksums[1]);
    }

    #[test]
    fn an_empty_table_is_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.parquet");
        TableWriter::<Document>::create(&path).unwrap().finish().unwrap();
        assert_eq!(TableReader::<Document>::open(&path).unwrap().count(), 0);
    }
}
