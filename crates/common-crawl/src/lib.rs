#![doc = include_str!("../README.md")]

mod choose;
mod copy;
mod error;
mod index;
mod journal;
mod link_filter;
mod member;
mod outcomes;
mod range_requests;
mod remote;
mod run;
mod settings;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use atomic_file::IoContext;
use records::Counts;
use serde::{Deserialize, Serialize};
use user_error::count;

pub use error::CommonCrawlError;
pub use index::IndexMetrics;
pub use outcomes::CopyOutcomes;
pub use run::{CopyRun, LinkSource};
pub use settings::{CommonCrawlSettings, DATA};

use link_filter::LinkFilter;
use remote::{RetryingHttpClient, Root};
use run::{RunState, read_json, write_json};

/// A plan in numbers, before anything is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopyPlan {
    /// Kept links.
    pub links: u64,
    /// Their outcomes as far as the index decides them: kept are those with a capture to copy.
    pub counts: Counts,
    /// Bytes of the members to copy.
    pub member_bytes: u64,
    /// Archives that hold them.
    pub archives: u64,
    /// Requests for them, under the settings of this call.
    pub requests: u64,
    /// Bytes of these requests, gaps included.
    pub request_bytes: u64,
    /// What was read of the index.
    pub index: IndexMetrics,
}

/// Finds a capture for each link, or loads the plan that is in the folder.
///
/// Memory: 12 bytes per link, 30 per host, one row group per index file that is read, and two sorts.
///
/// # Errors
/// When the settings are invalid or differ from those of the folder's run, links are not sorted, or the index cannot be
/// read.
pub fn plan(
    links: LinkSource<'_>,
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
) -> Result<CopyPlan, CommonCrawlError> {
    settings.check()?;
    make_plan(&RunState::open(links, run)?, settings, run)
}

/// Copies the captures of a plan, which is made first if there is none, into archives in the run's folder. Returns the
/// outcome of each link.
///
/// # Errors
/// As [`plan`]; and when an archive of Common Crawl cannot be read. A fault of a single page is an outcome.
pub fn fetch(
    links: LinkSource<'_>,
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
) -> Result<CopyOutcomes, CommonCrawlError> {
    settings.check()?;
    let state = RunState::open(links, run)?;
    let plan = make_plan(&state, settings, run)?;
    let runtime = runtime()?;
    let client = RetryingHttpClient::new(settings)?;
    let root = Root::open(&settings.data, &client)?;
    runtime.block_on(copy::copy(settings, run, &state, &root))?;
    let traffic = client.traffic();
    (run.progress)(&format!(
        "{}, {} of them again, {}",
        count(traffic.requests.load(Ordering::Relaxed), "request"),
        traffic.retries.load(Ordering::Relaxed),
        count(traffic.bytes.load(Ordering::Relaxed), "byte")
    ));
    CopyOutcomes::open(state, &plan, settings, run)
}

fn runtime() -> Result<tokio::runtime::Runtime, CommonCrawlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.at("start a runtime for", Path::new("requests"))?)
}

fn make_plan(
    state: &RunState,
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
) -> Result<CopyPlan, CommonCrawlError> {
    let files = state.identity(settings)?.files;
    let summary = state.path("plan.json");
    if let Some(found) = read_json::<CopyPlan>(&summary)? {
        return range_requests::with_requests(found, settings, &state.path("plan.parquet"));
    }
    (run.progress)("reading the links");
    let filter = LinkFilter::read(state.kept_links()?, settings.canonical())?;
    (run.progress)(&format!("{} of {}", count(filter.links() as u64, "link"), count(filter.hosts() as u64, "host")));
    let metrics = read_index(settings, run, state, &files, &filter)?;
    drop(filter);
    (run.progress)("choosing captures");
    let mut plan = choose::choose(settings, state, files.len())?;
    plan.index = metrics;
    // Written last: without the summary there is no plan.
    write_json(&summary, &plan)?;
    let captures = state.path("captures");
    fs::remove_dir_all(&captures).at("remove", &captures)?;
    range_requests::with_requests(plan, settings, &state.path("plan.parquet"))
}

/// Reads all files of the index that have not been read yet, one at a time per thread.
fn read_index(
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
    state: &RunState,
    files: &[String],
    filter: &LinkFilter,
) -> Result<IndexMetrics, CommonCrawlError> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let total = Mutex::new(IndexMetrics::default());
    let worker = || -> Result<(), CommonCrawlError> {
        let runtime = runtime()?;
        let client = RetryingHttpClient::new(settings)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = files.get(number) else { return Ok(()) };
            let captures = state.captures(number);
            let mark = captures.with_extension("json");
            let metrics = match read_json::<IndexMetrics>(&mark)? {
                Some(metrics) => metrics,
                None => {
                    let file = remote::open_file(name, &client)?;
                    let metrics = runtime.block_on(index::read_file(&file, filter, &captures, run.stop))?;
                    write_json(&mark, &metrics)?;
                    (run.progress)(&format!("index file {} of {}: {metrics}", number + 1, files.len()));
                    metrics
                }
            };
            total.lock().unwrap_or_else(PoisonError::into_inner).add(&metrics);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..settings.max_concurrent_index_files.max(1) {
            scope.spawn(|| {
                if let Err(error) = worker() {
                    // The other threads finish their current file and take no further one.
                    next.store(files.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
