//! Parquet tables of numbers whose columns are known at run time: a text `id` and any number of doubles per row.
//!
//! A number that is not defined is NaN here and null in the file, so that other tools leave it out of means and
//! histograms. The same rows give the same bytes, as in [`table`](crate::table). Left out: any other type of column.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array as _, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use atomic_file::{AtomicFile, Written};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::store::{Blob, LocalBlob, Upload};
use crate::table::{BATCH_ROWS, Chunks, READ_ROWS, ROW_GROUP_BYTES, finish_table, start_table, table_error};
use crate::{Error, Result};

/// The first column.
const ID: &str = "id";

/// A row of a table of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct NumbersRow {
    /// Id of the document that the numbers describe.
    pub id: String,
    /// A number for each column; NaN where it is not defined.
    pub values: Vec<f64>,
}

/// Writes a table of numbers that appears when it is finished. Memory: the rows of a row group, compressed, 32 MiB at
/// most before compression.
pub struct NumbersWriter {
    shown: String,
    schema: Arc<Schema>,
    writer: ArrowWriter<Box<dyn Upload>>,
    ids: Vec<String>,
    columns: Vec<Vec<Option<f64>>>,
    group_bytes: usize,
}

impl NumbersWriter {
    /// Starts the table that will be the local file `path`.
    ///
    /// # Errors
    /// As [`NumbersWriter::new`].
    pub fn create(path: &Path, columns: &[String]) -> Result<NumbersWriter> {
        NumbersWriter::new(Box::new(AtomicFile::create(path)?), path.display().to_string(), columns)
    }

    /// Starts a table in an object that messages name as `shown`, with these columns after `id`.
    ///
    /// # Errors
    /// When the object cannot be written.
    pub fn new(upload: Box<dyn Upload>, shown: String, columns: &[String]) -> Result<NumbersWriter> {
        let numbers = columns.iter().map(|name| Field::new(name, DataType::Float64, true));
        let fields: Vec<Field> = std::iter::once(Field::new(ID, DataType::Utf8, false)).chain(numbers).collect();
        let schema = Arc::new(Schema::new(fields));
        let writer = start_table(upload, &shown, schema.clone())?;
        let columns = vec![Vec::new(); columns.len()];
        Ok(NumbersWriter { shown, schema, writer, ids: Vec::new(), columns, group_bytes: 0 })
    }

    /// Appends a row, with a value for each column; NaN for one that is not defined.
    ///
    /// # Errors
    /// When the object cannot be written.
    ///
    /// # Panics
    /// When there are more or fewer values than columns.
    pub fn push(&mut self, id: String, values: &[f64]) -> Result<()> {
        assert_eq!(values.len(), self.columns.len(), "a value for each column");
        self.group_bytes += id.len() + size_of_val(values);
        self.ids.push(id);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(Some(*value).filter(|value| !value.is_nan()));
        }
        if self.ids.len() >= BATCH_ROWS {
            self.flush_batch()?;
        }
        Ok(())
    }

    fn flush_batch(&mut self) -> Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let ids: ArrayRef = Arc::new(StringArray::from(std::mem::take(&mut self.ids)));
        let numbers = self.columns.iter_mut().map(|column| {
            let numbers: ArrayRef = Arc::new(Float64Array::from(std::mem::take(column)));
            numbers
        });
        let batch = RecordBatch::try_new(self.schema.clone(), std::iter::once(ids).chain(numbers).collect())
            .map_err(|e| table_error("fill", &self.shown, e))?;
        self.writer.write(&batch).map_err(|e| table_error("write", &self.shown, e))?;
        if self.group_bytes >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| table_error("write", &self.shown, e))?;
            self.group_bytes = 0;
        }
        Ok(())
    }

    /// Writes the footer and makes the object visible.
    ///
    /// # Errors
    /// When the object cannot be written.
    pub fn finish(mut self) -> Result<Written> {
        self.flush_batch()?;
        finish_table(self.writer, &self.shown)
    }
}

/// Reads the rows of a table of numbers in order.
///
/// ```
/// use store::numbers::{NumbersReader, NumbersWriter};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("measures.parquet");
/// let mut writer = NumbersWriter::create(&path, &["length.words".to_owned()])?;
/// writer.push("a".to_owned(), &[7.0])?;
/// writer.finish()?;
/// let mut reader = NumbersReader::open(&path)?;
/// assert_eq!(reader.columns(), ["length.words"]);
/// assert_eq!(reader.next().unwrap()?.values, [7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NumbersReader {
    shown: String,
    columns: Vec<String>,
    batches: ParquetRecordBatchReader,
    rows: std::vec::IntoIter<NumbersRow>,
}

impl NumbersReader {
    /// Opens the local file `path`.
    ///
    /// # Errors
    /// As [`NumbersReader::new`].
    pub fn open(path: &Path) -> Result<NumbersReader> {
        NumbersReader::new(Box::new(LocalBlob::open(path)?), path.display().to_string())
    }

    /// Opens a table that messages name as `shown`. Memory: the footer and 256 rows.
    ///
    /// # Errors
    /// When it is no Parquet, or has other columns than a text `id` and doubles.
    pub fn new(blob: Box<dyn Blob>, shown: String) -> Result<NumbersReader> {
        let read_error = |e| table_error("read", &shown, e);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Chunks(blob.into())).map_err(read_error)?;
        let fields = builder.schema().fields().clone();
        let columns = match fields.split_first() {
            Some((id, numbers))
                if id.name() == ID
                    && *id.data_type() == DataType::Utf8
                    && numbers.iter().all(|field| *field.data_type() == DataType::Float64) =>
            {
                numbers.iter().map(|field| field.name().clone()).collect()
            }
            _ => {
                let source = "its columns are not a text `id` and doubles".into();
                return Err(Error::Table { action: "read", object: shown, source });
            }
        };
        let batches = builder.with_batch_size(READ_ROWS).build().map_err(read_error)?;
        Ok(NumbersReader { shown, columns, batches, rows: Vec::new().into_iter() })
    }

    /// The names of the numbers, in the order of [`NumbersRow::values`].
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

impl Iterator for NumbersReader {
    type Item = Result<NumbersRow>;

    fn next(&mut self) -> Option<Result<NumbersRow>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            match self.batches.next()? {
                Err(e) => return Some(Err(table_error("read", &self.shown, e))),
                Ok(batch) => self.rows = rows_of(&batch).into_iter(),
            }
        }
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<NumbersRow> {
    let ids = batch.column(0).as_string::<i32>();
    let numbers: Vec<&Float64Array> =
        batch.columns()[1..].iter().map(|column| column.as_primitive::<Float64Type>()).collect();
    let value = |column: &&Float64Array, row| if column.is_null(row) { f64::NAN } else { column.value(row) };
    let row = |row| NumbersRow {
        id: ids.value(row).to_owned(),
        values: numbers.iter().map(|column| value(column, row)).collect(),
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableWriter;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_come_back_and_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let values = |row: u32| [f64::from(row) / 3.0, if row.is_multiple_of(5) { f64::NAN } else { -1.0 }];
        let mut checksums = Vec::new();
        for name in ["a.parquet", "b.parquet"] {
            let path = folder.path().join(name);
            let mut writer = NumbersWriter::create(&path, &names(&["a.share", "b"])).unwrap();
            (0..3000).for_each(|row| writer.push(format!("id {row}"), &values(row)).unwrap());
            checksums.push(writer.finish().unwrap().checksum);
            let reader = NumbersReader::open(&path).unwrap();
            assert_eq!(reader.columns(), ["a.share", "b"]);
            let rows: Vec<NumbersRow> = reader.map(|row| row.unwrap()).collect();
            assert_eq!(rows.len(), 3000);
            for (row, NumbersRow { id, values: found }) in rows.into_iter().enumerate() {
                assert_eq!(id, format!("id {row}"));
                let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&found), bits(&values(row as u32)));
            }
        }
        assert_eq!(checksums[0], checksums[1]);
    }

    #[test]
    fn a_table_without_rows_or_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        NumbersWriter::create(&path, &names(&["a"])).unwrap().finish().unwrap();
        assert_eq!(NumbersReader::open(&path).unwrap().count(), 0);
        let mut writer = NumbersWriter::create(&path, &[]).unwrap();
        writer.push("a".into(), &[]).unwrap();
        writer.finish().unwrap();
        let rows: Vec<_> = NumbersReader::open(&path).unwrap().map(|row| row.unwrap()).collect();
        assert_eq!(rows, [NumbersRow { id: "a".into(), values: Vec::new() }]);
    }

    #[test]
    fn another_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut writer = TableWriter::<(String, u64)>::create(&path).unwrap();
        writer.push(("a".into(), 1)).unwrap();
        writer.finish().unwrap();
        let error = NumbersReader::open(&path).err().unwrap();
        assert!(matches!(error, Error::Table { .. }), "{error}");
    }
}
