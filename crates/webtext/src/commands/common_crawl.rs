//! `webtext fetch --from common-crawl`: a table of links to a folder of WARC files, without crawling.

use std::path::Path;
use std::sync::atomic::Ordering;

use fetch::common_crawl::{self, CommonCrawlError, Plan, Run, Settings};

use super::{Usage, stop_on_ctrl_c};
use crate::Ending;

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
    /// Requests for archives under way.
    #[arg(long, value_name = "N", default_value_t = Settings::default().requests_at_once)]
    copies_at_once: usize,
    /// Files of the index read at once; each takes a thread.
    #[arg(long, value_name = "N", default_value_t = Settings::default().index_files_at_once)]
    index_files_at_once: usize,
    /// Captures of an archive that lie at most so far apart come in one request.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().gap_max_bytes)]
    gap_max_bytes: u64,
    /// Longest of these requests.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().request_max_bytes)]
    request_max_bytes: u64,
    /// Tries of a request before the command gives up; a later call goes on.
    #[arg(long, value_name = "N", default_value_t = Settings::default().tries)]
    tries: u32,
    /// Wait after the first try; it doubles with every further one.
    #[arg(long, value_name = "MS", default_value_t = Settings::default().first_wait_ms)]
    first_wait_ms: u64,
    /// Longest page, stored and decompressed.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().page_max_bytes)]
    page_max_bytes: u64,
    /// An archive is closed at this length.
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().archive_len_bytes)]
    archive_len_bytes: u64,
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

pub fn run(
    arguments: &Arguments,
    links: &Path,
    folder: &Path,
    contact: Option<&str>,
    print: Print,
) -> anyhow::Result<Ending> {
    let settings = Settings {
        contact: contact.map(str::to_owned),
        index: arguments.index.clone(),
        data: arguments.data.clone(),
        gap_max_bytes: arguments.gap_max_bytes,
        request_max_bytes: arguments.request_max_bytes,
        requests_at_once: arguments.copies_at_once,
        index_files_at_once: arguments.index_files_at_once,
        page_max_bytes: arguments.page_max_bytes,
        archive_len_bytes: arguments.archive_len_bytes,
        tries: arguments.tries,
        first_wait_ms: arguments.first_wait_ms,
        ..Settings::default()
    };
    let stop = stop_on_ctrl_c()?;
    let tell = |line: &str| {
        if !print.quiet {
            eprintln!("{line}");
        }
    };
    let run = Run { links, folder, stop: &|| stop.load(Ordering::Relaxed), tell: &tell };
    if print.plan {
        let plan = common_crawl::plan(&settings, &run).map_err(in_words)?;
        return print_plan(&plan, print.json);
    }
    let counts = common_crawl::fetch(&settings, &run).map_err(in_words)?;
    if print.json || !print.quiet {
        super::print_counts(&counts, print.json)?;
    }
    Ok(Ending::Complete)
}

/// Gives errors the form by which the binary chooses its exit code, and their hint.
fn in_words(error: CommonCrawlError) -> anyhow::Error {
    match error {
        CommonCrawlError::Settings(what) => Usage(what).into(),
        CommonCrawlError::Stopped => pipeline::Interrupted.into(),
        // The binary finds the hints of the store's errors by itself.
        CommonCrawlError::Store(error) => error.into(),
        error => {
            let hint = error.hint();
            let error = anyhow::Error::from(error);
            match hint {
                Some(hint) => anyhow::anyhow!("{error:#}\n\nhint: {hint}"),
                None => error,
            }
        }
    }
}

fn print_plan(plan: &Plan, json: bool) -> anyhow::Result<Ending> {
    if json {
        println!("{}", serde_json::to_string(plan)?);
        return Ok(Ending::Complete);
    }
    super::print_counts(&plan.counts, false)?;
    eprintln!("{:>12} bytes in {} captures of {} archives", plan.member_bytes, plan.counts.kept, plan.archives);
    eprintln!("{:>12} bytes in {} requests", plan.request_bytes, plan.requests);
    Ok(Ending::Complete)
}
