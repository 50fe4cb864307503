//! The columnar index: Parquet files sorted by `url_surtkey`, read only where wanted hosts can be.
//!
//! Of a file the footer is read first; then the column of keys in each row group (and, where the file has a page index,
//! in each page) whose minimum and maximum key leave room for a wanted host; then the other columns, for the rows whose
//! host is wanted. Our own key is made from such a row's URL, and the row is taken if a link has that key.
//!
//! The order of a file only makes this fast. Statistics hold for any order, so a file that is sorted in another way, or
//! not at all, gives the same captures.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use object_store::GetRange;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, MetadataSuffixFetch};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use serde::{Deserialize, Serialize};
use store::table::TableWriter;

use crate::error::CommonCrawlError;
use crate::link_filter::LinkFilter;
use crate::remote::{self, RangedFile, ReadError, RetryingHttpClient, Root};
use crate::settings::CommonCrawlSettings;

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;
/// Read from the end of a file at first; footers of the real index fit.
const FOOTER_BYTES: usize = 256 << 10;
/// Parts of a file with a smaller gap than this are read in one request.
const COALESCE_BYTES: u64 = 1 << 20;
/// Longest list of files, as text.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// The column that files are sorted by.
const KEY: &str = "url_surtkey";
/// The columns that every file must have.
const NEEDED: &[&str] =
    &["url", "fetch_time", "fetch_status", "warc_filename", "warc_record_offset", "warc_record_length"];
/// Columns that older crawls do not have.
const OPTIONAL: &[&str] = &["content_mime_detected", "content_mime_type", "content_truncated"];

/// A row of the index that belongs to a link. Sorted by link, then by all other fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Capture {
    /// Number of the link among the kept ones.
    pub(crate) link: u32,
    /// Milliseconds since 1970.
    pub(crate) fetched_ms: i64,
    pub(crate) warc_filename: String,
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
    pub(crate) status: u16,
    /// As Common Crawl detected it, else as the server named it.
    pub(crate) mime: Option<String>,
    /// Why the archive holds only a part of the page, if so.
    pub(crate) truncated: Option<String>,
    pub(crate) url: String,
}

/// What was read of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMetrics {
    /// Rows, by the footers.
    pub rows: u64,
    /// Row groups, by the footers.
    pub row_groups: u64,
    /// Row groups that can hold a wanted host.
    pub row_groups_read: u64,
    /// Rows whose key was read.
    pub rows_read: u64,
    /// Rows of wanted hosts.
    pub rows_of_hosts: u64,
    /// Rows with a link's key.
    pub captures: u64,
    /// Rows of wanted hosts without a URL, or with an offset or length that no archive can have.
    pub malformed_rows: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl IndexMetrics {
    pub(crate) fn add(&mut self, other: &IndexMetrics) {
        self.rows += other.rows;
        self.row_groups += other.row_groups;
        self.row_groups_read += other.row_groups_read;
        self.rows_read += other.rows_read;
        self.rows_of_hosts += other.rows_of_hosts;
        self.captures += other.captures;
        self.malformed_rows += other.malformed_rows;
        self.bytes += other.bytes;
    }
}

impl std::fmt::Display for IndexMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let IndexMetrics { captures, row_groups_read, row_groups, .. } = self;
        write!(f, "{captures} captures; read {row_groups_read} of {row_groups} row groups")
    }
}

/// The Parquet files that the settings name, in order: files as they are, folders and lists as the files in them.
pub(crate) async fn files(settings: &CommonCrawlSettings) -> Result<Vec<String>, CommonCrawlError> {
    let client = RetryingHttpClient::new(settings)?;
    let mut files = Vec::new();
    for name in &settings.index {
        let before = files.len();
        if name.ends_with(".parquet") {
            files.push(name.clone());
        } else if [".gz", ".paths", ".txt"].iter().any(|ending| name.ends_with(ending)) {
            let bytes = remote::open_file(name, &client)?.read_whole().await.map_err(|error| error.of(name))?;
            let text = text_of_list(&bytes)
                .map_err(|error| CommonCrawlError::Index { name: name.clone(), what: error.to_string() })?;
            let data = settings.data.trim_end_matches('/');
            files.extend(
                text.lines().map(str::trim).filter(|line| is_of_pages(line)).map(|line| format!("{data}/{line}")),
            );
        } else if name.starts_with("http://") || name.starts_with("https://") {
            let what = "servers do not list folders; name its files, or the list cc-index-table.paths.gz".into();
            return Err(CommonCrawlError::Index { name: name.clone(), what });
        } else {
            let folder = name.trim_end_matches('/');
            let names = Root::open(name, &client)?.list().await?;
            files.extend(names.iter().filter(|name| is_of_pages(name)).map(|name| format!("{folder}/{name}")));
        }
        if files.len() == before {
            return Err(CommonCrawlError::Index { name: name.clone(), what: "it names no Parquet file".into() });
        }
    }
    Ok(files)
}

/// Whether a Parquet file is of the subset `warc`, or of no subset: others hold robots.txt files, and answers that are
/// no pages.
fn is_of_pages(path: &str) -> bool {
    path.ends_with(".parquet") && path.split('/').all(|part| !part.starts_with("subset=") || part == "subset=warc")
}

fn text_of_list(bytes: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    match bytes {
        [0x1f, 0x8b, ..] => {
            flate2::bufread::MultiGzDecoder::new(bytes).take(MAX_LIST_BYTES).read_to_string(&mut text)?
        }
        _ => bytes.take(MAX_LIST_BYTES).read_to_string(&mut text)?,
    };
    Ok(text)
}

/// Reads one file of the index and writes the captures of wanted keys to a table, in the file's order.
pub(crate) async fn read_file(
    file: &RangedFile,
    filter: &LinkFilter,
    captures: &Path,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<IndexMetrics, CommonCrawlError> {
    let mut metrics = IndexMetrics::default();
    let mut table = TableWriter::<Capture>::create(captures)?;
    let name = &file.name;
    let before = file.traffic.bytes.load(std::sync::atomic::Ordering::Relaxed);
    let failed = |error: ParquetError| index_error(name, error);

    let mut reader = RangeReader { file: file.clone() };
    let options = ArrowReaderOptions::new()
        // Types follow the Parquet schema alone, whatever wrote the file.
        .with_skip_arrow_metadata(true)
        .with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await.map_err(failed)?;
    check_columns(&metadata, name)?;
    let part = part_to_read(metadata.metadata(), filter);
    metrics.rows = metadata.metadata().file_metadata().num_rows().max(0) as u64;
    metrics.row_groups = metadata.metadata().num_row_groups() as u64;
    metrics.row_groups_read = part.row_groups.len() as u64;
    metrics.rows_read = part.rows;

    // A row group at a time: keys first, then the other columns of the rows whose host is wanted.
    for (row_group, selection) in part.row_groups {
        if stop() {
            return Err(CommonCrawlError::Stopped);
        }
        let schema = metadata.parquet_schema();
        let keys = ProjectionMask::columns(schema, [KEY]);
        let mut stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader.clone(), metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(vec![row_group])
            .with_projection(keys)
            .with_row_selection(selection.clone())
            .build()
            .map_err(failed)?;
        let mut of_hosts: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while let Some(batch) = stream.next().await {
            mark_hosts(&batch.map_err(failed)?, filter, &mut at, &mut of_hosts)
                .map_err(|what| CommonCrawlError::Index { name: name.clone(), what })?;
        }
        metrics.rows_of_hosts += of_hosts.iter().map(|range| range.len() as u64).sum::<u64>();
        if of_hosts.is_empty() {
            continue;
        }
        let selection = selection.and_then(&RowSelection::from_consecutive_ranges(of_hosts.into_iter(), at));
        let others = ProjectionMask::columns(schema, NEEDED.iter().chain(OPTIONAL).copied());
        let mut stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader.clone(), metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(vec![row_group])
            .with_projection(others)
            .with_row_selection(selection)
            .build()
            .map_err(failed)?;
        while let Some(batch) = stream.next().await {
            take_captures(&batch.map_err(failed)?, filter, &mut metrics, &mut table, name)?;
        }
    }
    metrics.bytes = file.traffic.bytes.load(std::sync::atomic::Ordering::Relaxed) - before;
    table.finish()?;
    Ok(metrics)
}

/// The row groups to read, each with its rows.
struct RowsToRead {
    row_groups: Vec<(usize, RowSelection)>,
    rows: u64,
}

/// The part of a file that can hold wanted hosts, by the statistics of row groups and pages; without statistics, all of
/// it.
fn part_to_read(metadata: &ParquetMetaData, filter: &LinkFilter) -> RowsToRead {
    let mut part = RowsToRead { row_groups: Vec::new(), rows: 0 };
    let schema = metadata.file_metadata().schema_descr();
    let column = schema.columns().iter().position(|column| column.path().parts() == [KEY]);
    let Some(column) = column else { return part };
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let statistics = group.column(column).statistics();
        // Deprecated statistics compare bytes in another order.
        let bounds = statistics.filter(|statistics| !statistics.is_min_max_deprecated());
        let bounds = bounds.and_then(|bounds| Some((bounds.min_bytes_opt()?, bounds.max_bytes_opt()?)));
        if bounds.is_some_and(|(min, max)| !filter.may_lie_between(min, max)) {
            continue;
        }
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = pages_to_read(metadata, number, column, rows, filter);
        let whole = 0..rows;
        let ranges = pages.unwrap_or_else(|| vec![whole]);
        let selected: usize = ranges.iter().map(Range::len).sum();
        if selected > 0 {
            part.rows += selected as u64;
            part.row_groups.push((number, RowSelection::from_consecutive_ranges(ranges.into_iter(), rows)));
        }
    }
    part
}

/// The rows of a row group's pages that can hold wanted hosts; `None` without a page index.
fn pages_to_read(
    metadata: &ParquetMetaData,
    row_group: usize,
    column: usize,
    rows: usize,
    filter: &LinkFilter,
) -> Option<Vec<Range<usize>>> {
    let index = metadata.page_index_for_row_group(row_group);
    let ColumnIndexMetaData::BYTE_ARRAY(bounds) = index.column_index(column)? else { return None };
    let pages = index.offset_index(column)?.page_locations();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let start = usize::try_from(page.first_row_index).ok()?;
        let end = match pages.get(number + 1) {
            Some(next) => usize::try_from(next.first_row_index).ok()?,
            None => rows,
        };
        // An index that does not fit the row group is ignored.
        if end < start || end > rows || number as u64 >= bounds.num_pages() {
            return None;
        }
        let apart = match (bounds.min_value(number), bounds.max_value(number)) {
            (Some(min), Some(max)) => !filter.may_lie_between(min, max),
            _ => false,
        };
        match ranges.last_mut() {
            _ if apart => {}
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    Some(ranges)
}

/// Appends the numbers of rows whose host is wanted, counted from `at`, which moves to the end of the batch.
fn mark_hosts(
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
fn take_captures(
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
        // A URL without a canonical form belongs to no link.
        let Ok(canonical) = links::Canonical::parse(url) else { continue };
        let text = |texts: &Option<Texts<'_>>| texts.as_ref()?.get(row).filter(|t| !t.is_empty()).map(str::to_owned);
        for &link in filter.links_of(&canonical.key) {
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

fn check_columns(metadata: &ArrowReaderMetadata, name: &str) -> Result<(), CommonCrawlError> {
    for column in [KEY].iter().chain(NEEDED) {
        if metadata.schema().column_with_name(column).is_none() {
            let what = format!("the column {column} is missing");
            return Err(CommonCrawlError::Index { name: name.to_owned(), what });
        }
    }
    Ok(())
}

/// Converts a Parquet error: a file that cannot be read is distinguished from one with the wrong content.
fn index_error(name: &str, error: ParquetError) -> CommonCrawlError {
    match error {
        ParquetError::External(source) => match source.downcast::<CommonCrawlError>() {
            Ok(error) => *error,
            Err(source) => CommonCrawlError::Read { name: name.to_owned(), source },
        },
        error => CommonCrawlError::Index { name: name.to_owned(), what: error.to_string() },
    }
}

/// A remote or local file as the Parquet library reads it.
#[derive(Clone)]
struct RangeReader {
    file: RangedFile,
}

impl RangeReader {
    async fn read(&self, range: GetRange) -> Result<Bytes, ParquetError> {
        let read = self.file.read(range).await;
        read.map_err(|error: ReadError| ParquetError::External(Box::new(error.of(&self.file.name))))
    }
}

impl AsyncFileReader for RangeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let len = range.end - range.start;
            let bytes = self.read(GetRange::Bounded(range)).await?;
            if bytes.len() as u64 != len {
                return Err(ParquetError::EOF("the file ends inside one of its own columns".into()));
            }
            Ok(bytes)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        // Columns and pages that lie near each other come in one request, the rest in several at once.
        let reader = self.clone();
        async move {
            let fetch = |range| {
                let mut reader = reader.clone();
                async move { reader.get_bytes(range).await }
            };
            object_store::coalesce_ranges(&ranges, fetch, COALESCE_BYTES).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let reader =
                ParquetMetaDataReader::new().with_arrow_reader_options(options).with_prefetch_hint(Some(FOOTER_BYTES));
            Ok(Arc::new(reader.load_via_suffix_and_finish(self).await?))
        }
        .boxed()
    }
}

impl MetadataSuffixFetch for &mut RangeReader {
    fn fetch_suffix(&mut self, suffix: usize) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move { self.read(GetRange::Suffix(suffix as u64)).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int16Array, Int32Array, StringArray, TimestampMillisecondArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};
    use proptest::prelude::*;
    use store::table::TableReader;

    use super::*;

    /// A file of the index with these hosts and pages, in this order.
    fn write(path: &Path, rows: &[(String, u8)], statistics: EnabledStatistics) {
        let surt = rows.iter().map(|(host, page)| format!("com,{host})/p{page}"));
        let url = rows.iter().map(|(host, page)| format!("https://www.{host}.com/P{page}/"));
        let n = rows.len();
        let columns: Vec<(&str, ArrayRef)> = vec![
            (KEY, Arc::new(StringArray::from_iter_values(surt))),
            ("url", Arc::new(StringArray::from_iter_values(url))),
            ("fetch_time", Arc::new(TimestampMillisecondArray::from(vec![5; n]))),
            ("fetch_status", Arc::new(Int16Array::from(vec![200; n]))),
            ("warc_filename", Arc::new(StringArray::from(vec!["a.warc.gz"; n]))),
            ("warc_record_offset", Arc::new(Int32Array::from_iter_values(0..n as i32))),
            ("warc_record_length", Arc::new(Int32Array::from(vec![1; n]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_statistics_enabled(statistics)
            .set_max_row_group_row_count(Some(16))
            .set_data_page_row_count_limit(4)
            .set_write_batch_size(2)
            .build();
        let file = std::fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Sorted or not, with statistics of pages, of row groups or none: the rows taken are those that comparing
        /// all keys with all rows would take.
        #[test]
        fn as_a_full_scan_would_read(
            // An h before it, since de.com is a public suffix, of which our keys keep the www.
            mut rows in prop::collection::vec(("h[a-e]{1,2}", 0u8..4), 1..80),
            hosts in prop::collection::vec(("h[a-e]{1,2}", 0u8..4), 1..6),
            is_sorted: bool,
            statistics in prop::sample::select(vec![
                EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page,
            ]),
        ) {
            if is_sorted {
                rows.sort();
            }
            let keys: std::collections::BTreeSet<String> =
                hosts.iter().map(|(host, page)| format!("com,{host})/P{page}")).collect();
            let filter = LinkFilter::of(keys.iter().map(String::as_str));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part.parquet");
            write(&path, &rows, statistics);
            let client = RetryingHttpClient::new(&CommonCrawlSettings::default()).unwrap();
            let file = remote::open_file(path.to_str().unwrap(), &client).unwrap();
            let captures = folder.path().join("captures.parquet");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let metrics = runtime.block_on(read_file(&file, &filter, &captures, &|| false)).unwrap();

            let found: Vec<(u32, u64)> = TableReader::<Capture>::open(&captures).unwrap()
                .map(|capture| capture.unwrap())
                .map(|capture| (capture.link, capture.offset))
                .collect();
            let expected: Vec<(u32, u64)> = rows.iter().enumerate().filter_map(|(at, (host, page))| {
                let link = keys.iter().position(|key| *key == format!("com,{host})/P{page}"))?;
                Some((link as u32, at as u64))
            }).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(metrics.captures, expected.len() as u64);
            prop_assert_eq!(metrics.rows, rows.len() as u64);
            prop_assert!(metrics.rows_read <= metrics.rows && metrics.rows_of_hosts <= metrics.rows_read);
        }
    }
}
