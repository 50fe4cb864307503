//! Writes rows of documents into one Parquet file: from tables by selecting rows, from JSON through a temporary file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use atomic_file::AtomicFile;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::de::DeserializeOwned;
use serde::ser::{Error as _, Serialize, SerializeSeq, Serializer};
use serde_arrow::schema::{SchemaLike, TracingOptions};
use serde_json::Value;

use crate::json_fields::{JsonFields, OrderedFields};
use crate::row_writer::json_fields;
use crate::rows::RowFields;
use crate::{DocumentRow, WriteError};

/// Rows that are encoded at once, unless their texts exceed [`BATCH_BYTES`].
const BATCH_ROWS: usize = 1024;
/// Approximate bytes of texts that are encoded at once.
const BATCH_BYTES: usize = 8 << 20;
/// Approximate encoded bytes of a row group, which are held until the group is full.
const ROW_GROUP_BYTES: usize = 64 << 20;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Writes rows of one kind: JSON or table rows, as the first one is.
pub(crate) struct ParquetRowWriter<A> {
    path: PathBuf,
    added_fields: Vec<FieldRef>,
    rows: Rows<A>,
}

enum Rows<A> {
    /// No row yet. The file is created already, so that a path that cannot be written fails before any input is read.
    Undecided(Option<AtomicFile>),
    OfTables(Box<TableRows<A>>),
    OfJson(JsonRows),
}

impl<A: Serialize + DeserializeOwned> ParquetRowWriter<A> {
    pub(crate) fn create(path: &Path) -> Result<ParquetRowWriter<A>, WriteError> {
        let file = AtomicFile::create(path)?;
        let added_fields = Vec::<FieldRef>::from_type::<A>(tracing_options())
            .map_err(|source| WriteError::Row { path: path.to_path_buf(), source: source.into() })?;
        Ok(ParquetRowWriter { path: path.to_path_buf(), added_fields, rows: Rows::Undecided(Some(file)) })
    }

    pub(crate) fn push(&mut self, row: &DocumentRow, added: A) -> Result<(), WriteError> {
        if let Rows::Undecided(file) = &mut self.rows {
            let file = file.take().expect("taken once, with the first row");
            self.rows = self.begin(file, row).map_err(|source| self.row_error(source))?;
        }
        let pushed = match (&mut self.rows, &row.fields) {
            (Rows::OfTables(rows), RowFields::Table { batch, row: at }) if batch.schema() == rows.schema => {
                rows.push(batch, *at, row.text().len(), added)
            }
            (Rows::OfJson(rows), RowFields::Json(_)) => json_fields(row, &added).and_then(|fields| rows.push(&fields)),
            _ => {
                let (found, before) = (columns_of(&row.fields), self.columns());
                return Err(WriteError::OtherColumns { path: self.path.clone(), found, before });
            }
        };
        pushed.map_err(|source| self.row_error(source))
    }

    pub(crate) fn commit(self) -> Result<(), WriteError> {
        let ParquetRowWriter { path, added_fields, rows } = self;
        let file = match rows {
            Rows::Undecided(file) => write_empty(file.expect("no row has taken it"), added_fields),
            Rows::OfTables(rows) => rows.finish(),
            Rows::OfJson(rows) => rows.finish(),
        };
        file.map_err(|source| WriteError::Row { path, source })?.commit()?;
        Ok(())
    }

    fn begin(&self, file: AtomicFile, first: &DocumentRow) -> Result<Rows<A>, AnyError> {
        Ok(match &first.fields {
            RowFields::Table { batch, .. } => {
                Rows::OfTables(Box::new(TableRows::new(file, batch.schema(), self.added_fields.clone())?))
            }
            RowFields::Json(_) => Rows::OfJson(JsonRows::new(file, &self.path)?),
        })
    }

    fn columns(&self) -> Vec<String> {
        match &self.rows {
            Rows::OfTables(rows) => shown(&rows.schema),
            _ => vec!["JSON Lines".to_owned()],
        }
    }

    fn row_error(&self, source: AnyError) -> WriteError {
        WriteError::Row { path: self.path.clone(), source }
    }
}

fn columns_of(fields: &RowFields) -> Vec<String> {
    match fields {
        RowFields::Json(_) => vec!["JSON Lines".to_owned()],
        RowFields::Table { batch, .. } => shown(&batch.schema()),
    }
}

fn shown(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{} ({})", field.name(), field.data_type())).collect()
}

fn tracing_options() -> TracingOptions {
    TracingOptions::default()
        .enums_without_data_as_strings(true)
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false)
        .map_as_struct(true)
        .coerce_numbers(true)
        .allow_null_fields(true)
}

fn parquet_writer(file: AtomicFile, schema: SchemaRef) -> Result<ArrowWriter<AtomicFile>, AnyError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(None)
        .set_created_by("webtext".to_owned())
        .build();
    Ok(ArrowWriter::try_new(file, schema, Some(properties))?)
}

/// Writes rows, and closes the row group when it is large enough.
fn write_batch(writer: &mut ArrowWriter<AtomicFile>, batch: &RecordBatch) -> Result<(), AnyError> {
    writer.write(batch)?;
    if writer.in_progress_size() >= ROW_GROUP_BYTES {
        writer.flush()?;
    }
    Ok(())
}

/// A table without rows. Of its columns, only the text and those of the additions are known.
fn write_empty(file: AtomicFile, added_fields: Vec<FieldRef>) -> Result<AtomicFile, AnyError> {
    let mut fields = vec![Arc::new(Field::new("text", DataType::Utf8, true))];
    fields.extend(added_fields.into_iter().filter(|field| field.name() != "text"));
    Ok(parquet_writer(file, Arc::new(Schema::new(fields)))?.into_inner()?)
}

/// Rows of tables that have the same columns: they are selected from the batches that they were read in.
struct TableRows<A> {
    /// Schema of the inputs.
    schema: SchemaRef,
    added_fields: Vec<FieldRef>,
    written_schema: SchemaRef,
    writer: ArrowWriter<AtomicFile>,
    batches: Vec<Arc<RecordBatch>>,
    /// Batch, and row in it.
    picked: Vec<(usize, usize)>,
    added: Vec<A>,
    picked_bytes: usize,
}

impl<A: Serialize> TableRows<A> {
    fn new(file: AtomicFile, schema: SchemaRef, added_fields: Vec<FieldRef>) -> Result<TableRows<A>, AnyError> {
        let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
        replace_or_append(&mut fields, added_fields.iter().map(|field| (field.name(), field.clone())), &schema);
        let written_schema = Arc::new(Schema::new(fields));
        let writer = parquet_writer(file, written_schema.clone())?;
        let (batches, picked, added) = (Vec::new(), Vec::new(), Vec::new());
        Ok(TableRows { schema, added_fields, written_schema, writer, batches, picked, added, picked_bytes: 0 })
    }

    fn push(&mut self, batch: &Arc<RecordBatch>, row: usize, text_bytes: usize, added: A) -> Result<(), AnyError> {
        if self.batches.last().is_none_or(|last| !Arc::ptr_eq(last, batch)) {
            self.batches.push(batch.clone());
        }
        self.picked.push((self.batches.len() - 1, row));
        self.added.push(added);
        self.picked_bytes += text_bytes;
        if self.picked.len() >= BATCH_ROWS || self.picked_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), AnyError> {
        if self.picked.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().map(AsRef::as_ref).collect();
        let mut columns = interleave_record_batch(&batches, &self.picked)?.columns().to_vec();
        if !self.added_fields.is_empty() {
            let added = serde_arrow::to_record_batch(&self.added_fields, &self.added)?;
            let added = self.added_fields.iter().zip(added.columns());
            replace_or_append(&mut columns, added.map(|(field, column)| (field.name(), column.clone())), &self.schema);
        }
        write_batch(&mut self.writer, &RecordBatch::try_new(self.written_schema.clone(), columns)?)?;
        self.batches.clear();
        self.picked.clear();
        self.added.clear();
        self.picked_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<AtomicFile, AnyError> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }
}

/// Puts each addition in the place of the column with its name, or else after all.
fn replace_or_append<'n, T>(columns: &mut Vec<T>, added: impl Iterator<Item = (&'n String, T)>, schema: &Schema) {
    for (name, one) in added {
        match schema.index_of(name) {
            Ok(at) => columns[at] = one,
            Err(_) => columns.push(one),
        }
    }
}

/// Rows of JSON Lines. Their columns are known only after the last row, so until then rows are in an unnamed file.
struct JsonRows {
    file: AtomicFile,
    /// The position of each field in the order in which they first occurred.
    columns: HashMap<String, usize>,
    lines: zstd::Encoder<'static, File>,
}

impl JsonRows {
    fn new(file: AtomicFile, path: &Path) -> Result<JsonRows, AnyError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let lines = zstd::Encoder::new(tempfile::tempfile_in(folder)?, 1)?;
        Ok(JsonRows { file, columns: HashMap::new(), lines })
    }

    fn push(&mut self, fields: &JsonFields) -> Result<(), AnyError> {
        for name in fields.names() {
            if !self.columns.contains_key(name) {
                self.columns.insert(name.to_owned(), self.columns.len());
            }
        }
        Ok(self.lines.write_all(&fields.to_line()?)?)
    }

    fn finish(self) -> Result<AtomicFile, AnyError> {
        let lines = SpooledLines(self.lines.finish()?);
        let mut fields = Vec::<FieldRef>::from_samples(&lines, tracing_options())?;
        fields.sort_by_key(|field| self.columns.get(field.name()));
        let mut writer = parquet_writer(self.file, Arc::new(Schema::new(fields.clone())))?;
        let (mut rows, mut rows_bytes) = (Vec::new(), 0);
        lines.for_each(|row, len_bytes| {
            rows.push(row);
            rows_bytes += len_bytes;
            if rows.len() >= BATCH_ROWS || rows_bytes >= BATCH_BYTES {
                write_batch(&mut writer, &serde_arrow::to_record_batch(&fields, &rows)?)?;
                rows.clear();
                rows_bytes = 0;
            }
            Ok(())
        })?;
        if !rows.is_empty() {
            write_batch(&mut writer, &serde_arrow::to_record_batch(&fields, &rows)?)?;
        }
        Ok(writer.into_inner()?)
    }
}

/// The rows in the temporary file, which can be read any number of times.
struct SpooledLines(File);

impl SpooledLines {
    /// Calls `each` with every row, and the length of its line in bytes.
    fn for_each(
        &self,
        mut each: impl FnMut(OrderedFields<Value>, usize) -> Result<(), AnyError>,
    ) -> Result<(), AnyError> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        for line in zstd::Decoder::new(file).map(BufReader::new)?.lines() {
            let line = line?;
            each(serde_json::from_str(&line)?, line.len())?;
        }
        Ok(())
    }
}

impl Serialize for SpooledLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        self.for_each(|row, _| rows.serialize_element(&row).map_err(|error| error.to_string().into()))
            .map_err(S::Error::custom)?;
        rows.end()
    }
}
