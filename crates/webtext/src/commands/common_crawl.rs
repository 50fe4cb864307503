//! `webtext fetch --from common-crawl`: a table of links to a folder of WARC files, without crawling.

use std::path::Path;
use std::sync::atomic::Ordering;

use common_crawl::{LinkSource, Plan, Run, Settings};
use console::Exit;
use records::{CaptureChoice, Counts};
use store::table::TableWriter;

use super::fetch::SharedLimits;
use super::stop_on_ctrl_c;

/// Flags of `webtext fetch --from common-crawl`, beside those of every `webtext fetch`.
#[derive(clap::Args)]
// The flags that it is flattened into have the group of that name.
#[group(skip)]
pub struct Arguments {
    /// Common Crawl's columnar index: Parquet files, folders of them, or lists (cc-index-table.paths.gz); paths,
    /// http(s):// or s3:// URLs.
    #[arg(long, value_name = "PATH-OR-URL", num_args = 1..)]
    index: Vec<String>,
    /// Root of the archives that the index names: a folder or a URL.
    #[arg(long, value_name = "PATH-OR-URL", default_value = common_crawl::DATA)]
    data: String,
    /// Which of several captures is copied: the earliest, the latest, or the nearest to the link's first submission.
    #[arg(long, value_name = "WHICH", default_value = "nearest", value_parser = capture_choice)]
    capture: CaptureChoice,
    /// Files of the index read at the same time; each takes a thread.
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_concurrent_index_files)]
    max_concurrent_index_files: usize,
    /// Captures of an archive that lie at most so far apart come in one request.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().max_gap_bytes)]
    max_gap_bytes: u64,
    /// Longest of these requests.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().max_request_bytes)]
    max_request_bytes: u64,
    /// Wait after the first try of a request; it doubles with every further one.
    #[arg(long, value_name = "MS", default_value_t = Settings::default().min_wait_ms)]
    min_wait_ms: u64,
    /// Longest of these waits.
    #[arg(long, value_name = "MS", default_value_t = Settings::default().max_wait_ms)]
    max_wait_ms: u64,
    /// Longest page, stored and decompressed.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().max_page_bytes)]
    max_page_bytes: u64,
}

impl Arguments {
    fn settings(&self, contact: Option<&str>, limits: &SharedLimits) -> Settings {
        let default = Settings::default();
        Settings {
            contact: contact.map(str::to_owned),
            index: self.index.clone(),
            data: self.data.clone(),
            capture: self.capture,
            max_gap_bytes: self.max_gap_bytes,
            max_request_bytes: self.max_request_bytes,
            max_concurrent_requests: limits.max_concurrent_requests.unwrap_or(default.max_concurrent_requests),
            max_concurrent_index_files: self.max_concurrent_index_files,
            max_page_bytes: self.max_page_bytes,
            max_warc_bytes: limits.max_warc_bytes.unwrap_or(default.max_warc_bytes),
            max_tries: limits.max_tries.unwrap_or(default.max_tries),
            min_wait_ms: self.min_wait_ms,
            max_wait_ms: self.max_wait_ms,
            ..default
        }
    }
}

/// A choice by the name that recipes have for it.
fn capture_choice(name: &str) -> Result<CaptureChoice, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

/// What is printed.
#[derive(Clone, Copy)]
pub struct Print {
    /// The plan, and nothing is fetched.
    pub plan: bool,
    /// Counts as JSON on standard output.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
}

/// Prints the plan, or copies the captures and writes `outcomes.parquet`.
pub fn run(
    arguments: &Arguments,
    limits: &SharedLimits,
    links: &Path,
    folder: &Path,
    contact: Option<&str>,
    print: Print,
) -> anyhow::Result<Exit> {
    let settings = arguments.settings(contact, limits);
    let stop = stop_on_ctrl_c()?;
    let log = |line: &str| {
        if !print.quiet {
            eprintln!("{line}");
        }
    };
    let run = Run { folder, prefix: "pages", shown: "", stop: &|| stop.load(Ordering::Relaxed), log: &log };
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
    if print.json || !print.quiet {
        super::print_counts(&counts, print.json)?;
    }
    Ok(Exit::Complete)
}

fn print_plan(plan: &Plan, json: bool) -> anyhow::Result<Exit> {
    if json {
        println!("{}", serde_json::to_string(plan)?);
        return Ok(Exit::Complete);
    }
    super::print_counts(&plan.counts, false)?;
    eprintln!("{:>12} bytes in {} captures of {} archives", plan.member_bytes, plan.counts.kept, plan.archives);
    eprintln!("{:>12} bytes in {} requests", plan.request_bytes, plan.requests);
    Ok(Exit::Complete)
}
