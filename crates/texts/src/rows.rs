//! Rows of documents with all their fields, for callers that pass documents on.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{BufRead, Read, Seek};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow_schema::DataType;

use crate::documents::too_long;
use crate::fields::{check_depth, no_field};
use crate::json_fields::JsonFields;
use crate::{
    DocumentFault, DocumentOptions, Error, Line, Lines, MalformedRecord, ParquetRows, RecordPlace, Source, records_in,
};

/// A document with all fields of its line or row, known or not. [`RowWriter`](crate::RowWriter) writes it again.
#[derive(Debug, Clone)]
pub struct DocumentRow {
    text: String,
    text_field: Arc<str>,
    place: RecordPlace,
    pub(crate) fields: RowFields,
}

#[derive(Debug, Clone)]
pub(crate) enum RowFields {
    Json(JsonFields),
    /// A row of a table; its fields are decoded when they are first read.
    Table {
        batch: Arc<RecordBatch>,
        row: usize,
    },
}

impl DocumentRow {
    /// The text; empty where the source has a null.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the row is in its source.
    pub fn place(&self) -> RecordPlace {
        self.place
    }

    /// The text in another field; `None` if there is no such field, or it is not a text.
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.fields {
            RowFields::Json(fields) => serde_json::from_str::<String>(fields.get(name)?).ok().map(Cow::Owned),
            RowFields::Table { batch, row } => {
                text_at(batch.column_by_name(name)?, *row).ok().flatten().map(Cow::Borrowed)
            }
        }
    }

    /// The row with another text in its field or column, everything else as it is.
    ///
    /// # Errors
    /// When the column cannot hold the text: it is one of bytes of a fixed number.
    pub fn with_text(&self, text: String) -> Result<DocumentRow, MalformedRecord> {
        let fields = match &self.fields {
            RowFields::Json(fields) => match fields.with_text(&self.text_field, &text) {
                Ok(fields) => Ok(RowFields::Json(fields)),
                Err(error) => Err(error.to_string()),
            },
            RowFields::Table { batch, row } => table_row_with(batch, *row, &self.text_field, &text),
        };
        let fields = fields.map_err(|what| MalformedRecord { place: self.place, fault: what.into() })?;
        Ok(DocumentRow { text, text_field: self.text_field.clone(), place: self.place, fields })
    }

    /// The text or the digits of a whole number in another field, which identifies the row; `None` if it is neither.
    pub fn identifier(&self, name: &str) -> Option<Cow<'_, str>> {
        self.field(name).or_else(|| match &self.fields {
            RowFields::Json(fields) => {
                let number: serde_json::Number = serde_json::from_str(fields.get(name)?).ok()?;
                (number.is_i64() || number.is_u64()).then(|| number.to_string().into())
            }
            RowFields::Table { batch, row } => Some(whole_number_at(batch.column_by_name(name)?, *row)?.into()),
        })
    }
}

/// The rows of one source, in order. Memory: one line of JSON, or a page of each column of Parquet and 64 rows.
///
/// ```
/// use std::io::Cursor;
/// use texts::{DocumentOptions, RowReader};
///
/// let lines = "{\"id\": 7, \"text\": \"The tide is out.\", \"title\": \"Tides\"}\n{\"id\": 8}\n";
/// let mut rows = RowReader::open(Cursor::new(lines), DocumentOptions::default())?;
/// let row = rows.next().expect("two lines")??;
/// assert_eq!((row.text(), row.field("title").as_deref()), ("The tide is out.", Some("Tides")));
/// let malformed = rows.next().expect("two lines")?.unwrap_err();
/// assert_eq!(malformed.to_string(), "line 2: it has no field \"text\"; its fields are id");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RowReader {
    options: DocumentOptions,
    text_field: Arc<str>,
    records: RowSource,
    /// Decoded rows that are not returned yet.
    ready: VecDeque<Record>,
    is_broken: bool,
}

/// A line or row: a document, or why it is none.
type Record = Result<DocumentRow, MalformedRecord>;

enum RowSource {
    Lines(Lines<Box<dyn BufRead + Send>>),
    Parquet(Box<ParquetRows>),
}

impl RowReader {
    /// Opens JSON Lines, compressed or not, or Parquet; the source's content tells which, see [`Source::open`]. All
    /// fields are read: [`DocumentOptions::url_field`] has no effect.
    ///
    /// # Errors
    /// When the source cannot be read, is neither of the two, or lacks the column of the text.
    pub fn open<R: Read + Seek + Send + 'static>(source: R, options: DocumentOptions) -> Result<RowReader, Error> {
        RowReader::of_source(Source::open(source)?, options)
    }

    /// The rows of an open source.
    ///
    /// # Errors
    /// As [`RowReader::open`].
    pub fn of_source<R: Read + Seek + Send + 'static>(
        source: Source<R>,
        options: DocumentOptions,
    ) -> Result<RowReader, Error> {
        let records = match source {
            Source::PlainText(mut reader) => return Err(records_in(&mut reader).err().unwrap_or(Error::PlainText)),
            Source::JsonLines(mut reader) => {
                records_in(&mut reader)?;
                RowSource::Lines(Lines::new(reader, options.max_line_bytes()))
            }
            Source::Parquet(source) => {
                let rows = ParquetRows::open(source, |_| true)?;
                rows.require_texts(&options.text_field)?;
                RowSource::Parquet(Box::new(rows))
            }
        };
        let text_field = Arc::from(&*options.text_field);
        Ok(RowReader { options, text_field, records, ready: VecDeque::new(), is_broken: false })
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            let (options, text_field) = (&self.options, &self.text_field);
            match &mut self.records {
                RowSource::Lines(lines) => {
                    return Ok(lines.next()?.map(|(number, line)| row_of_line(number, line, options, text_field)));
                }
                RowSource::Parquet(rows) => match rows.next_stored_batch()? {
                    None => return Ok(None),
                    Some((first_row, batch)) => self.ready = rows_of_batch(first_row, batch, options, text_field),
                },
            }
        }
    }
}

impl Iterator for RowReader {
    type Item = Result<Result<DocumentRow, MalformedRecord>, Error>;

    /// The next line or row that is not blank. After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let record = self.next_record().transpose();
        self.is_broken = matches!(record, Some(Err(_)));
        record
    }
}

fn row_of_line(number: u64, line: Line<'_>, options: &DocumentOptions, text_field: &Arc<str>) -> Record {
    let place = RecordPlace::Line(number);
    let line = match line {
        Line::Whole(line) => line,
        Line::TooLong(len_bytes) => return Err(too_long(place, len_bytes)),
    };
    let row = check_depth(line).and_then(|()| Ok(JsonFields::parse(line)?)).and_then(|fields| {
        let json = fields.get(text_field).ok_or_else(|| no_field(text_field, &fields.names()))?;
        let text: Option<String> =
            serde_json::from_str(json).map_err(|error| format!("its field {text_field:?} is no text: {error}"))?;
        let text = text.unwrap_or_default();
        options.check_length(&text)?;
        Ok(DocumentRow { text, text_field: text_field.clone(), place, fields: RowFields::Json(fields) })
    });
    row.map_err(|fault| MalformedRecord { place, fault })
}

fn rows_of_batch(
    first_row: u64,
    batch: RecordBatch,
    options: &DocumentOptions,
    text_field: &Arc<str>,
) -> VecDeque<Record> {
    let batch = Arc::new(batch);
    let column = batch.column_by_name(text_field).expect("required when the file was opened");
    let row_of = |(number, row): (u64, usize)| {
        let place = RecordPlace::Row(number);
        let text = text_at(column, row).and_then(|text| {
            let text = text.unwrap_or_default();
            options.check_length(text).map(|()| text.to_owned())
        });
        let fields = RowFields::Table { batch: batch.clone(), row };
        match text {
            Ok(text) => Ok(DocumentRow { text, text_field: text_field.clone(), place, fields }),
            Err(fault) => Err(MalformedRecord { place, fault }),
        }
    };
    (first_row..).zip(0..batch.num_rows()).map(row_of).collect()
}

/// A row of a table with another text in one of its columns: a table of that row.
fn table_row_with(batch: &RecordBatch, row: usize, column: &str, text: &str) -> Result<RowFields, String> {
    let at = batch.schema().index_of(column).map_err(|error| error.to_string())?;
    let replaced: ArrayRef = match batch.column(at).data_type() {
        DataType::Utf8 => Arc::new(StringArray::from_iter_values([text])),
        DataType::Binary => Arc::new(BinaryArray::from_iter_values([text])),
        other => return Err(format!("a column of {other} cannot hold another text")),
    };
    let mut columns = batch.slice(row, 1).columns().to_vec();
    columns[at] = replaced;
    let batch = RecordBatch::try_new(batch.schema(), columns).map_err(|error| error.to_string())?;
    Ok(RowFields::Table { batch: Arc::new(batch), row: 0 })
}

/// The digits of a whole number in a column of such.
fn whole_number_at(column: &dyn Array, row: usize) -> Option<String> {
    macro_rules! digits {
        ($type:ty) => {
            column.as_primitive::<$type>().value(row).to_string()
        };
    }
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Int8 => digits!(Int8Type),
        DataType::Int16 => digits!(Int16Type),
        DataType::Int32 => digits!(Int32Type),
        DataType::Int64 => digits!(Int64Type),
        DataType::UInt8 => digits!(UInt8Type),
        DataType::UInt16 => digits!(UInt16Type),
        DataType::UInt32 => digits!(UInt32Type),
        DataType::UInt64 => digits!(UInt64Type),
        _ => return None,
    })
}

/// The text in a row of a column; `None` for a null.
fn text_at(column: &dyn Array, row: usize) -> Result<Option<&str>, DocumentFault> {
    if matches!(column.data_type(), DataType::Null) || column.is_null(row) {
        return Ok(None);
    }
    let bytes = match column.data_type() {
        DataType::Utf8 => return Ok(Some(column.as_string::<i32>().value(row))),
        DataType::Binary => column.as_binary::<i32>().value(row),
        DataType::FixedSizeBinary(_) => column.as_fixed_size_binary().value(row),
        other => return Err(format!("the column holds {other} rather than texts").into()),
    };
    Ok(Some(std::str::from_utf8(bytes)?))
}
