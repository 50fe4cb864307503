//! The rows of a Parquet file as serde types, out of any source that can seek.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use serde::de::{Deserialize, DeserializeSeed};
use serde_arrow::Deserializer;
use serde_arrow::deserializer::DeserializerItem;

use crate::{Error, RowError};

/// Rows that are decoded at once. Rows may be as long as books.
const BATCH_ROWS: usize = 64;

/// The rows of a Parquet file, of some of its columns. Memory: a page of each of these columns, and 64 rows.
///
/// Columns have the types of the Parquet schema, whatever Arrow types the writer stored beside it: a dictionary is read
/// as its values. Timestamps are whole seconds since 1970, rounded down.
pub struct ParquetRows {
    columns: Vec<String>,
    schema: Arc<Schema>,
    batches: ParquetRecordBatchReader,
    row: u64,
}

impl ParquetRows {
    /// Opens a Parquet file. Of its top-level columns, those with wanted names are read.
    ///
    /// # Errors
    /// [`Error::Parquet`] when it is damaged, or uses an unsupported feature.
    pub fn open<R: Read + Seek + Send + 'static>(
        source: R,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<ParquetRows, Error> {
        let as_stored = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        guarded(0, || {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(SeekChunks::new(source)?, as_stored)?;
            let columns: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            let wanted = (0..columns.len()).filter(|&at| is_wanted(&columns[at]));
            let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
            let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?;
            Ok(ParquetRows { columns, schema: batches.schema(), batches, row: 0 })
        })
    }

    /// The names of all columns at the top level, wanted or not.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Checks that the file has a column that was wanted.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], which names the columns that there are.
    pub fn require(&self, column: &str) -> Result<(), Error> {
        self.field(column).map(drop)
    }

    /// Checks that the file has a column of texts that was wanted.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] or [`Error::ColumnType`].
    pub fn require_texts(&self, column: &str) -> Result<(), Error> {
        match self.field(column)?.data_type() {
            DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Null => Ok(()),
            other => Err(Error::ColumnType { column: column.to_owned(), data_type: other.to_string() }),
        }
    }

    fn field(&self, column: &str) -> Result<&Field, Error> {
        self.schema
            .field_with_name(column)
            .map_err(|_| Error::MissingColumn { column: column.to_owned(), columns: self.columns.clone() })
    }

    /// The next rows, `None` at the end.
    ///
    /// # Errors
    /// [`Error::Parquet`] when the file is damaged; there are no more rows then.
    pub fn next_batch(&mut self) -> Result<Option<ParquetBatch>, Error> {
        let Some((first_row, stored)) = self.next_stored_batch()? else { return Ok(None) };
        let batch = guarded(self.row, || Ok(with_seconds(&stored)?))?;
        Ok(Some(ParquetBatch { first_row, batch }))
    }

    /// The next rows with every value as stored, and the number of the first; `None` at the end.
    pub(crate) fn next_stored_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, Error> {
        let batch = guarded(self.row, || Ok(self.batches.next().transpose()?))?;
        Ok(batch.map(|batch| {
            let first_row = self.row + 1;
            self.row += batch.num_rows() as u64;
            (first_row, batch)
        }))
    }
}

/// Some rows of a Parquet file, one after the other.
pub struct ParquetBatch {
    first_row: u64,
    batch: RecordBatch,
}

impl ParquetBatch {
    /// The rows, to be read one by one.
    ///
    /// # Errors
    /// [`Error::Parquet`] when a column has a type that serde cannot represent.
    pub fn rows(&self) -> Result<BatchRows<'_>, Error> {
        let first_row = self.first_row;
        match Deserializer::from_record_batch(&self.batch) {
            Ok(rows) => Ok(BatchRows { first_row, rows }),
            Err(source) => Err(Error::Parquet { row: first_row - 1, source: source.into() }),
        }
    }
}

/// The rows of a batch.
pub struct BatchRows<'de> {
    first_row: u64,
    rows: Deserializer<'de>,
}

impl<'de> BatchRows<'de> {
    /// Every row with its number in the file, from 1.
    pub fn iter(&self) -> impl Iterator<Item = (u64, ParquetRow<'_, 'de>)> {
        (self.first_row..).zip(self.rows.iter().map(ParquetRow))
    }
}

/// One row: a map from the names of its columns to their values.
pub struct ParquetRow<'batch, 'de>(DeserializerItem<'batch, 'de>);

impl<'de> ParquetRow<'_, 'de> {
    /// Reads the row as a type, which may borrow from it.
    ///
    /// # Errors
    /// When the row does not fit the type.
    pub fn read<T: Deserialize<'de>>(self) -> Result<T, RowError> {
        T::deserialize(self.0).map_err(RowError)
    }

    /// Reads the row by a seed, which can carry state that a type cannot.
    ///
    /// # Errors
    /// When the row does not fit.
    pub fn read_by<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, RowError> {
        seed.deserialize(self.0).map_err(RowError)
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Calls the Parquet library and turns its panics into errors: it panics at some damage, such as a chunk of negative
/// length in the footer.
fn guarded<T>(row: u64, read: impl FnOnce() -> Result<T, AnyError>) -> Result<T, Error> {
    let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<&str>().map(|what| (*what).to_owned());
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(format!("the decoder panicked: {what}").into())
    });
    result.map_err(|source| Error::Parquet { row, source })
}

/// The batch with its timestamps in seconds: a reader of numbers does not see the unit of a column.
fn with_seconds(batch: &RecordBatch) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = seconds(column).unwrap_or_else(|| column.clone());
        fields.push(field.as_ref().clone().with_data_type(column.data_type().clone()));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn seconds(column: &ArrayRef) -> Option<ArrayRef> {
    let seconds = match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => column.as_primitive::<TimestampSecondType>().unary(|time| time),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().unary(|time| time.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().unary(|time| time.div_euclid(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            column.as_primitive::<TimestampNanosecondType>().unary(|time| time.div_euclid(1_000_000_000))
        }
        _ => return None,
    };
    let seconds: arrow_array::PrimitiveArray<Int64Type> = seconds;
    Some(Arc::new(seconds))
}

/// A seekable source as the Parquet library reads it: at any offset, by several readers in turn.
struct SeekChunks<R> {
    source: Arc<Mutex<R>>,
    len_bytes: u64,
}

impl<R: Read + Seek> SeekChunks<R> {
    fn new(mut source: R) -> io::Result<SeekChunks<R>> {
        let len_bytes = source.seek(SeekFrom::End(0))?;
        Ok(SeekChunks { source: Arc::new(Mutex::new(source)), len_bytes })
    }

    fn from(&self, start: u64) -> SeekReader<R> {
        SeekReader { source: self.source.clone(), at: start }
    }
}

impl<R> Length for SeekChunks<R> {
    fn len(&self) -> u64 {
        self.len_bytes
    }
}

impl<R: Read + Seek + Send> ChunkReader for SeekChunks<R> {
    type T = BufReader<SeekReader<R>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(self.from(start)))
    }

    fn get_bytes(&self, start: u64, len_bytes: usize) -> Result<Bytes, ParquetError> {
        // A damaged footer may claim any length.
        if start.checked_add(len_bytes as u64).is_none_or(|end| end > self.len_bytes) {
            return Err(ParquetError::EOF(format!("{len_bytes} bytes at {start} are more than there are")));
        }
        let mut bytes = vec![0; len_bytes];
        self.from(start).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads from an offset of its own, whatever other readers do meanwhile.
struct SeekReader<R> {
    source: Arc<Mutex<R>>,
    at: u64,
}

impl<R: Read + Seek> Read for SeekReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.seek(SeekFrom::Start(self.at))?;
        let len_bytes = source.read(to)?;
        self.at += len_bytes as u64;
        Ok(len_bytes)
    }
}
