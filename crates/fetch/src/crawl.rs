//! A crawl: workers over a frontier, continuing where an earlier process ended.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Instant;

use atomic_file::IoContext;
use serde::{Deserialize, Serialize};

use crate::HonouredSignals;
use crate::address::PinnedResolver;
use crate::backlog::Backlog;
use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::host_registry::HostRegistry;
use crate::monitor::Monitor;
use crate::network::Network;
use crate::page_writer::{PageWriter, WriterContext};
use crate::paths::CrawlPaths;
use crate::resume::{ResumeState, WorkerResume, resume};
use crate::settings::CrawlSettings;
use crate::shared::{CrawlBudget, Shared};
use crate::worker::Worker;

/// How a call of [`Fetcher::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrawlEnd {
    /// Every link has its outcome.
    Complete,
    /// The budget is spent; links are left.
    BudgetSpent,
    /// `stop` returned true; links are left.
    Stopped,
}

/// A crawler. Its runs share pauses, rules and addresses of hosts, so that several may run at the same time.
pub struct Fetcher {
    pub(crate) settings: CrawlSettings,
    pub(crate) hosts: HostRegistry,
    pub(crate) network: Arc<Network>,
    resolver: PinnedResolver,
}

impl Fetcher {
    /// A crawler with these settings.
    ///
    /// # Errors
    /// Those of [`CrawlSettings::check`].
    pub fn new(settings: CrawlSettings) -> Result<Fetcher, FetchError> {
        settings.check()?;
        // It fails if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = Arc::new(Network::new(settings.min_delay()));
        Ok(Fetcher { settings, hosts: HostRegistry::default(), network, resolver: PinnedResolver::default() })
    }

    /// The settings.
    pub fn settings(&self) -> &CrawlSettings {
        &self.settings
    }

    /// Crawls the links of a frontier, continuing where an earlier call with the same paths ended. `workers` is the
    /// number of threads that send requests; each has a second thread that writes. `stop` is polled, and ends the crawl
    /// after the requests in flight.
    ///
    /// When this returns, every page is in a WARC file and every outcome in a journal; [`outcomes`](crate::outcomes())
    /// reads them. The caller makes sure that no other process uses the same paths.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the journals are of other settings. Faults of hosts are outcomes.
    pub fn run(
        &self,
        frontier: &Frontier,
        paths: &CrawlPaths,
        workers: u32,
        budget: CrawlBudget,
        monitor: &Monitor,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<CrawlEnd, FetchError> {
        for folder in [&paths.archive_folder, &paths.state_folder] {
            std::fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let ResumeState { completed, faulted, journalled_robots, mut workers_before, .. } =
            resume(self, frontier, paths)?;
        monitor.links.store(frontier.links(), Relaxed);
        monitor.done.store(completed.count, Relaxed);
        // Each journal needs a worker to seal its archive, even when there were more workers before.
        let workers = workers.max(1).max(workers_before.len() as u32);
        workers_before.resize(workers as usize, WorkerResume::default());
        let shared = Shared {
            settings: &self.settings,
            hosts: &self.hosts,
            network: &self.network,
            resolver: &self.resolver,
            frontier,
            monitor,
            completed,
            faulted,
            workers,
            next_site: AtomicUsize::new(0),
            journalled_robots,
            budget,
            started: Instant::now(),
            pages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            arriving_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            stop,
        };
        run_workers(&shared, paths, workers_before)?;
        Ok(match () {
            () if monitor.snapshot().done >= frontier.links() => CrawlEnd::Complete,
            () if stop() => CrawlEnd::Stopped,
            () => CrawlEnd::BudgetSpent,
        })
    }
}

/// The settings that affect outcomes. Outcomes under different ones must not be mixed in one table.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OutcomeSettings {
    max_body_bytes: u64,
    max_decoded_bytes: u64,
    max_redirects: usize,
    honour: HonouredSignals,
}

/// The settings that affect outcomes, as JSON.
pub(crate) fn outcome_settings(settings: &CrawlSettings) -> String {
    let decisive = OutcomeSettings {
        max_body_bytes: settings.max_body_bytes,
        max_decoded_bytes: settings.max_decoded_bytes,
        max_redirects: settings.max_redirects,
        honour: settings.honour,
    };
    serde_json::to_string(&decisive).expect("numbers and names are JSON")
}

/// Runs all workers to their end. The first failure ends the others, and is returned.
fn run_workers(shared: &Shared<'_>, paths: &CrawlPaths, before: Vec<WorkerResume>) -> Result<(), FetchError> {
    let failure = Mutex::new(None);
    let all_are_ready = Barrier::new(before.len());
    // What a worker logs belongs to the task that crawls.
    let span = tracing::Span::current();
    std::thread::scope(|scope| {
        for (worker, before) in before.into_iter().enumerate() {
            let (failure, all_are_ready, span) = (&failure, &all_are_ready, &span);
            scope.spawn(move || {
                let _in_span = span.enter();
                if let Err(error) = run_worker(shared, paths, worker as u32, before, all_are_ready) {
                    shared.failed.store(true, Relaxed);
                    failure.lock().expect("no thread panics with it").get_or_insert(error);
                }
            });
        }
    });
    failure.into_inner().expect("no thread panics with it").map_or(Ok(()), Err)
}

/// Runs a worker on this thread and its page writer on another.
fn run_worker(
    shared: &Shared<'_>,
    paths: &CrawlPaths,
    worker: u32,
    before: WorkerResume,
    all_are_ready: &Barrier,
) -> Result<(), FetchError> {
    let (sender, receiver) = mpsc::channel();
    let backlog = Backlog::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FetchError::Runtime);
    let ready = runtime.and_then(|runtime| Ok((runtime, Worker::new(shared, sender, &backlog)?)));
    // A client reads the system's certificates when it is built: before another worker's requests take every file that
    // this process may open.
    all_are_ready.wait();
    let (runtime, worker_at_work) = ready?;
    let Shared { settings, monitor, stop, .. } = *shared;
    let context = WriterContext { paths, settings, monitor, backlog: &backlog, stop };
    let mut writer = PageWriter::open(context, worker, before)?;
    writer.write_head(&outcome_settings(shared.settings), shared.frontier.checksum())?;
    let span = tracing::Span::current();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let _in_span = span.enter();
            let result = writer.run(&receiver);
            if result.is_err() {
                shared.failed.store(true, Relaxed);
            }
            result
        });
        let crawled = runtime.block_on(worker_at_work.run());
        let written = writer.join().expect("the page writer does not panic");
        written.and(crawled)
    })
}
