//! The columns of the index: which hosts and which captures their rows hold.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use store::table::TableWriter;

use super::{Capture, IndexMetrics};
use crate::error::CommonCrawlError;
use crate::link_filter::LinkFilter;

/// The column that files are sorted by.
pub(super) const KEY: &str = "url_surtkey";
/// The columns that every file must have.
pub(super) const NEEDED: &[&str] =
    &["url", "fetch_time", "fetch_status", "warc_filename", "warc_record_offset", "warc_record_length"];
/// Columns that older crawls do not have.
pub(super) const OPTIONAL: &[&str] = &["content_mime_detected", "content_mime_type", "content_truncated"];

/// Appends the numbers of rows whose host is wanted, counted from `at`, which moves to the end of the batch.
pub(super) fn mark_hosts(
    batch: &RecordBatch,
    filter: &LinkFilter,
    at: &mut usize,
    marked: &mut Vec<Range<usize>>,
) -> Result<(), String> {
    let keys = Texts::of(batch, KEY)?.ok_or_else(|| format!("the column {KEY} is missing"))?;
    // Rows of a host are adjacent: the result for one row holds for the next.
    let mut last: Option<(&[u8], bool)> = None;
    for row in 0..batch.num_rows() {
        let key = keys.get(row).unwrap_or("").as_bytes();
        let is_wanted = match last {
            Some((host, answer)) if key.starts_with(host) => answer,
            _ => {
                let answer = filter.has_host_of(key);
                let end = key.iter().position(|&byte| byte == b')');
                last = end.map(|end| (&key[..=end], answer));
                answer
            }
        };
        if is_wanted {
            match marked.last_mut() {
                Some(range) if range.end == *at => range.end += 1,
                _ => marked.push(*at..*at + 1),
            }
        }
        *at += 1;
    }
    Ok(())
}

/// Pushes the captures of wanted keys.
pub(super) fn take_captures(
    batch: &RecordBatch,
    filter: &LinkFilter,
    metrics: &mut IndexMetrics,
    table: &mut TableWriter<Capture>,
    name: &str,
) -> Result<(), CommonCrawlError> {
    let wrong = |what: String| CommonCrawlError::Index { name: name.to_owned(), what };
    let missing = |column: &str| wrong(format!("the column {column} is missing"));
    let texts = |column: &str| Texts::of(batch, column).map_err(wrong);
    let url = texts("url")?.ok_or_else(|| missing("url"))?;
    let file = texts("warc_filename")?.ok_or_else(|| missing("warc_filename"))?;
    let (detected, mime) = (texts("content_mime_detected")?, texts("content_mime_type")?);
    let truncated = texts("content_truncated")?;
    let number = |column: &str| numbers(batch, column).map_err(wrong);
    let time = number("fetch_time")?;
    let status = number("fetch_status")?;
    let (offset, len) = (number("warc_record_offset")?, number("warc_record_length")?);
    for row in 0..batch.num_rows() {
        let parts = || {
            let place = (u64::try_from(offset(row)?).ok()?, u64::try_from(len(row)?).ok()?);
            place.0.checked_add(place.1).filter(|_| place.1 > 0)?;
            Some((url.get(row)?, file.get(row)?, time(row)?, place))
        };
        let Some((url, file, fetched_ms, (offset, len_bytes))) = parts() else {
            metrics.malformed_rows += 1;
            continue;
        };
        let text = |texts: &Option<Texts<'_>>| texts.as_ref()?.get(row).filter(|t| !t.is_empty()).map(str::to_owned);
        for &link in filter.links_of(url) {
            metrics.captures += 1;
            table.push(Capture {
                link,
                fetched_ms,
                warc_filename: file.to_owned(),
                offset,
                len_bytes,
                status: status(row).and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
                mime: text(&detected).or_else(|| text(&mime)),
                truncated: text(&truncated),
                url: url.to_owned(),
            })?;
        }
    }
    Ok(())
}

/// A column of texts.
struct Texts<'a>(&'a arrow_array::StringArray);

impl<'a> Texts<'a> {
    /// The column of this name, if there is one.
    fn of(batch: &'a RecordBatch, name: &str) -> Result<Option<Texts<'a>>, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(None) };
        let texts = column.as_string_opt::<i32>();
        texts.map(|texts| Some(Texts(texts))).ok_or_else(|| wrong_type(name, "text", column.data_type()))
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

fn wrong_type(column: &str, expected: &str, found: &DataType) -> String {
    format!("the column {column} is {found}, not {expected}")
}

/// A column of whole numbers of any width, or of times, which become milliseconds.
fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<Box<dyn Fn(usize) -> Option<i64> + 'a>, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("the column {name} is missing"))?;
    macro_rules! read {
        ($type:ty, $convert:expr) => {{
            let values = column.as_primitive::<$type>();
            Box::new(move |row| if values.is_valid(row) { $convert(values.value(row)) } else { None })
        }};
    }
    fn whole<T: TryInto<i64>>(value: T) -> Option<i64> {
        value.try_into().ok()
    }
    let is_time = matches!(column.data_type(), DataType::Timestamp(..));
    if is_time != (name == "fetch_time") {
        return Err(wrong_type(name, if is_time { "a number" } else { "a time" }, column.data_type()));
    }
    Ok(match column.data_type() {
        DataType::Int8 => read!(Int8Type, whole),
        DataType::Int16 => read!(Int16Type, whole),
        DataType::Int32 => read!(Int32Type, whole),
        DataType::Int64 => read!(Int64Type, whole),
        DataType::UInt8 => read!(UInt8Type, whole),
        DataType::UInt16 => read!(UInt16Type, whole),
        DataType::UInt32 => read!(UInt32Type, whole),
        DataType::UInt64 => read!(UInt64Type, whole),
        DataType::Timestamp(TimeUnit::Second, _) => read!(TimestampSecondType, |value: i64| value.checked_mul(1000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => read!(TimestampMillisecondType, Some),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            read!(TimestampMicrosecondType, |value: i64| Some(value.div_euclid(1000)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            read!(TimestampNanosecondType, |value: i64| Some(value.div_euclid(1_000_000)))
        }
        other => return Err(wrong_type(name, "a number", other)),
    })
}

/// Names the first column that a file must have and has not.
pub(super) fn check_columns(metadata: &ArrowReaderMetadata, name: &str) -> Result<(), CommonCrawlError> {
    for column in [KEY].iter().chain(NEEDED) {
        if metadata.schema().column_with_name(column).is_none() {
            let what = format!("the column {column} is missing");
            return Err(CommonCrawlError::Index { name: name.to_owned(), what });
        }
    }
    Ok(())
}
