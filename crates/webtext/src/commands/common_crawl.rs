//! `webtext fetch --from common-crawl`: a table of links to a folder of WARC files, without crawling.

use std::path::Path;
use std::sync::atomic::Ordering;

use common_crawl::{CommonCrawlSettings, CopyPlan, CopyRun, LinkSource};
use console::{Exit, count};
use records::Counts;
use store::table::TableWriter;

use super::fetch::SharedLimits;
use super::stop_on_ctrl_c;

/// The settings as the flags give them.
fn settings(given: &CommonCrawlSettings, contact: Option<&str>, limits: &SharedLimits) -> CommonCrawlSettings {
    CommonCrawlSettings {
        contact: contact.map(str::to_owned),
        max_concurrent_requests: limits.max_concurrent_requests.unwrap_or(given.max_concurrent_requests),
        max_warc_bytes: limits.max_warc_bytes.unwrap_or(given.max_warc_bytes),
        max_tries: limits.max_tries.unwrap_or(given.max_tries),
        ..given.clone()
    }
}

/// What to print.
#[derive(Clone, Copy)]
pub struct Print {
    /// Print the plan, and fetch nothing.
    pub plan: bool,
    /// Counts as JSON on standard output.
    pub json: bool,
}

/// Prints the plan, or copies the captures and writes `outcomes.parquet`.
pub fn run(
    given: &CommonCrawlSettings,
    limits: &SharedLimits,
    links: &Path,
    folder: &Path,
    contact: Option<&str>,
    print: Print,
) -> anyhow::Result<Exit> {
    let settings = settings(given, contact, limits);
    let stop = stop_on_ctrl_c()?;
    let stop = || stop.load(Ordering::Relaxed);
    let run = CopyRun { folder, prefix: "pages", shown: "", stop: &stop, progress: &|line| tracing::info!("{line}") };
    let links = LinkSource::Table(links);
    if print.plan {
        let plan = common_crawl::plan(links, &settings, &run)?;
        return print_plan(&plan, print.json);
    }
    let mut counts = Counts::default();
    let outcomes = common_crawl::fetch(links, &settings, &run)?;
    let mut table = TableWriter::create(&folder.join("outcomes.parquet"))?;
    for outcome in outcomes {
        let outcome = outcome?;
        counts.record(outcome.verdict);
        table.push(outcome)?;
    }
    table.finish()?;
    super::print_counts(&counts, print.json)?;
    Ok(Exit::Complete)
}

fn print_plan(plan: &CopyPlan, json: bool) -> anyhow::Result<Exit> {
    if json {
        console::out!("{}", serde_json::to_string(plan)?)?;
        return Ok(Exit::Complete);
    }
    super::print_counts(&plan.counts, false)?;
    let (captures, archives) = (count(plan.counts.kept, "capture"), count(plan.archives, "archive"));
    tracing::info!("{:>12} bytes in {captures} of {archives}", plan.member_bytes);
    tracing::info!("{:>12} bytes in {}", plan.request_bytes, count(plan.requests, "request"));
    Ok(Exit::Complete)
}
