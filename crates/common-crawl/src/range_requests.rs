//! Neighbouring captures of an archive become one range request.

use std::ops::Range;
use std::path::Path;

use store::table::TableReader;

use crate::CopyPlan;
use crate::choose::PlannedCapture;
use crate::error::CommonCrawlError;
use crate::settings::CommonCrawlSettings;

/// One range request: neighbouring members of one archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RangeRequest {
    pub(crate) range: Range<u64>,
    /// At least one, sorted by offset.
    pub(crate) rows: Vec<PlannedCapture>,
}

/// Coalesces the rows of a plan, which are sorted by archive and offset.
pub(crate) struct RangeRequests<I: Iterator> {
    rows: std::iter::Peekable<I>,
    max_gap_bytes: u64,
    max_request_bytes: u64,
}

impl<I: Iterator<Item = Result<PlannedCapture, store::Error>>> RangeRequests<I> {
    pub(crate) fn new(rows: I, settings: &CommonCrawlSettings) -> RangeRequests<I> {
        RangeRequests {
            rows: rows.peekable(),
            max_gap_bytes: settings.max_gap_bytes,
            max_request_bytes: settings.max_request_bytes,
        }
    }
}

impl<I: Iterator<Item = Result<PlannedCapture, store::Error>>> Iterator for RangeRequests<I> {
    type Item = Result<RangeRequest, store::Error>;

    fn next(&mut self) -> Option<Result<RangeRequest, store::Error>> {
        let first = match self.rows.next()? {
            Err(error) => return Some(Err(error)),
            Ok(row) => row,
        };
        let mut range = first.range();
        let mut rows = vec![first];
        while let Some(Ok(next)) = self.rows.next_if(|next| {
            next.as_ref().is_ok_and(|next| {
                let end = range.end.max(next.range().end);
                next.warc_filename == rows[0].warc_filename
                    && next.offset <= range.end.saturating_add(self.max_gap_bytes)
                    && end - range.start <= self.max_request_bytes
            })
        }) {
            range.end = range.end.max(next.range().end);
            rows.push(next);
        }
        Some(Ok(RangeRequest { range, rows }))
    }
}

/// Adds the number and the bytes of the requests that these settings need to a plan.
pub(crate) fn with_requests(
    mut plan: CopyPlan,
    settings: &CommonCrawlSettings,
    path: &Path,
) -> Result<CopyPlan, CommonCrawlError> {
    (plan.member_bytes, plan.archives, plan.requests, plan.request_bytes) = (0, 0, 0, 0);
    let mut last = String::new();
    for request in RangeRequests::new(TableReader::<PlannedCapture>::open(path)?, settings) {
        let request = request?;
        plan.requests += 1;
        plan.request_bytes += request.range.end - request.range.start;
        plan.member_bytes += request.rows.iter().map(|row| row.len_bytes).sum::<u64>();
        if request.rows[0].warc_filename != last {
            last.clone_from(&request.rows[0].warc_filename);
            plan.archives += 1;
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(file: &str, offset: u64, len_bytes: u64) -> PlannedCapture {
        PlannedCapture {
            warc_filename: file.into(),
            offset,
            len_bytes,
            link: 0,
            domain: String::new(),
            key: String::new(),
            url: String::new(),
            captured_url: String::new(),
            fetched_ms: 0,
            mime: None,
        }
    }

    fn check_requests(rows: &[PlannedCapture], expected: &[(u64, u64)]) {
        let settings =
            CommonCrawlSettings { max_gap_bytes: 10, max_request_bytes: 100, ..CommonCrawlSettings::default() };
        let requests = RangeRequests::new(rows.iter().cloned().map(Ok), &settings);
        let ranges: Vec<_> = requests.map(|request| request.unwrap().range).map(|r| (r.start, r.end)).collect();
        assert_eq!(ranges, expected);
    }

    #[test]
    fn neighbours_come_in_one_request() {
        check_requests(&[], &[]);
        let a = |offset, len| planned("a", offset, len);
        check_requests(&[a(0, 20), a(20, 20), a(50, 5)], &[(0, 55)]);
        check_requests(&[a(0, 20), a(31, 20)], &[(0, 20), (31, 51)]);
        check_requests(&[a(0, 20), planned("b", 20, 20)], &[(0, 20), (20, 40)]);
        // Over the cap a new request begins; a member longer than the cap is requested alone.
        check_requests(&[a(0, 60), a(60, 60), a(120, 40)], &[(0, 60), (60, 160)]);
        check_requests(&[a(0, 500), a(500, 10)], &[(0, 500), (500, 510)]);
        // Overlapping rows, which no archive has but a table may claim.
        check_requests(&[a(0, 50), a(10, 5), a(55, 5)], &[(0, 60)]);
    }
}
