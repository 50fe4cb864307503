//! The columnar index: Parquet files sorted by `url_surtkey`, read only where wanted hosts can be.
//!
//! Of a file the footer is read first; then the column of keys in each row group (and, where the file has a page index,
//! in each page) whose minimum and maximum key leave room for a wanted host; then the other columns, for the rows whose
//! host is wanted. Our own key is made from such a row's URL, and the row is taken if a link has that key.
//!
//! The order of a file only makes this fast. Statistics hold for any order, so a file that is sorted in another way, or
//! not at all, gives the same captures.

mod columns;
mod pruning;
mod range_reader;

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use futures_util::StreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use serde::{Deserialize, Serialize};
use store::table::TableWriter;
use user_error::count;

use self::columns::{KEY, NEEDED, OPTIONAL, check_columns, mark_hosts, take_captures};
use self::pruning::part_to_read;
use self::range_reader::RangeReader;
use crate::error::CommonCrawlError;
use crate::link_filter::LinkFilter;
use crate::remote::{self, RangedFile, RetryingHttpClient, Root};
use crate::settings::CommonCrawlSettings;

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;
/// Longest list of files, as text.
const MAX_LIST_BYTES: u64 = 64 << 20;

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
        let (captures, row_groups) = (count(self.captures, "capture"), count(self.row_groups, "row group"));
        write!(f, "{captures}; read {} of {row_groups}", self.row_groups_read)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int16Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
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
