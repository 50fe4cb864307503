//! The tables that a crawl ends with: outcomes by link, and outcomes by host.

use std::path::Path;

use fetch::{CrawlPaths, Frontier};
use records::Counts;
use store::table::TableWriter;

use super::SORT_BYTES;
use super::host_report::HostReport;

/// Writes `outcomes.parquet` and `hosts.tsv` of a complete crawl, and returns the counts.
pub(super) fn write_tables(frontier: &Frontier, paths: &CrawlPaths, folder: &Path) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut table = TableWriter::create(&folder.join("outcomes.parquet"))?;
    let mut hosts = HostReport::create(&folder.join("hosts.tsv"))?;
    for outcome in fetch::outcomes(frontier, paths, SORT_BYTES)? {
        let outcome = outcome?;
        counts.record(outcome.verdict);
        hosts.push(&outcome)?;
        table.push(outcome)?;
    }
    table.finish()?;
    hosts.finish()?;
    Ok(counts)
}

/// Writes `hosts.tsv` of a crawl that was stopped, with the outcomes so far.
pub(super) fn write_hosts(frontier: &Frontier, paths: &CrawlPaths, folder: &Path) -> anyhow::Result<()> {
    let mut hosts = HostReport::create(&folder.join("hosts.tsv"))?;
    let (_, outcomes) = fetch::outcomes_so_far(frontier, paths, SORT_BYTES)?;
    for outcome in outcomes {
        hosts.push(&outcome?)?;
    }
    hosts.finish()
}
