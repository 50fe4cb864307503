//! The part of a file that can hold wanted hosts, by the statistics of its row groups and pages.

use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::columns::KEY;
use crate::link_filter::LinkFilter;

/// The row groups to read, each with its rows.
pub(super) struct RowsToRead {
    pub(super) row_groups: Vec<(usize, RowSelection)>,
    pub(super) rows: u64,
}

/// The part of a file that can hold wanted hosts, by the statistics of row groups and pages; without statistics, all of
/// it.
pub(super) fn part_to_read(metadata: &ParquetMetaData, filter: &LinkFilter) -> RowsToRead {
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
