//! `pages.fetch`: one task per bucket of registrable domains, so that only one task sends requests to a domain.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::fetch::{CrawlBudget, CrawlEnd, CrawlPaths, CrawlSettings, FetchError, Fetcher, Frontier, Monitor};
use atomic_file::IoContext;
use records::Outcome;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::requested::{self, is_archive, names_in};
use super::selected::Selected;
use super::{Archive, Captured, LinksLeft, LinksOfBucket, store_error};
use crate::engine::{Buckets, File, Flow, Planner, Product, Table, Task, Work};
use crate::error::{Error, OrBug as _, Result};
use crate::recipe::Pages;
use crate::stages::bucket_name;

/// Time between two progress messages.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// Where a task keeps its archives, its journal and its frontier.
const STATE: &str = "pages/{stage}/{name}";

/// Adds the stage.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let stage = flow.stage_of_source("pages.fetch", number, move |plan| {
        let settings = pages.fetch.clone().or_bug(|| "the recipe has no [pages.fetch]".to_owned())?;
        let links = left.of_buckets(plan, buckets)?.into_iter().enumerate();
        let task = |(bucket, links): (usize, LinksOfBucket)| {
            let task = FetchPages { links, settings: settings.clone(), sample: pages.sample_fraction, buckets };
            (bucket_name(bucket as u32), task)
        };
        Ok(links.map(task).collect())
    });
    let archives = stage.product(FetchPages::ARCHIVES);
    Captured {
        selected: stage.product(FetchPages::SELECTED),
        outcomes: stage.product(FetchPages::OUTCOMES),
        archives: Arc::new(move |plan: &Planner<'_>| {
            Ok(plan.files(archives)?.into_iter().map(|(_, file)| Archive::own(file)).collect())
        }),
    }
}

/// Fetches the pages of one bucket's links.
#[derive(Serialize, Deserialize)]
struct FetchPages {
    links: LinksOfBucket,
    settings: CrawlSettings,
    sample: f64,
    buckets: u32,
}

impl FetchPages {
    const ARCHIVES: Product<FetchPages, File> = Product::new("archives", STATE);
    const INDEXES: Product<FetchPages, File> = Product::new("indexes", STATE);
    const SELECTED: Product<FetchPages, Buckets<Selected>> = Product::new("selected", "work/{stage}/{name}.selected");
    const OUTCOMES: Product<FetchPages, Table<Outcome>> =
        Product::new("outcomes", "pages/outcomes{suffix}-{name}.parquet");

    /// Identifies the links that a frontier is made from; one of other links is made again.
    fn source_of_frontier(&self) -> Result<String> {
        Ok(format!("{:016x}", xxh3_64(&serde_json::to_vec(&(&self.links, self.sample))?)))
    }
}

impl Task for FetchPages {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let fetcher = fetcher(&self.settings)?;
        let state = work.state(STATE)?;
        let max_pages_per_domain = self.settings.max_pages_per_domain;
        let source = self.source_of_frontier()?;
        let frontier = match Frontier::open(state.folder(), &source, max_pages_per_domain)? {
            Some(frontier) => frontier,
            None => {
                let links = requested::wanted(work, &self.links, self.sample)?.map(|link| link.map_err(store_error));
                let memory = work.sort_memory_bytes();
                Frontier::build(links, state.folder(), &source, max_pages_per_domain, memory)?
            }
        };
        let folder = state.folder().to_path_buf();
        let paths = CrawlPaths {
            archive_folder: folder.clone(),
            state_folder: folder,
            archive_prefix: work.name().to_owned(),
            outcome_prefix: state.key(""),
        };
        match fetch_all(work, &fetcher, &frontier, &paths) {
            // The settings that decide outcomes have changed; earlier outcomes must not be mixed with new ones.
            Err(error @ FetchError::OtherSettings { .. }) => {
                tracing::warn!("{error}; its pages are removed and fetched again");
                forget(&paths)?;
                fetch_all(work, &fetcher, &frontier, &paths)?;
            }
            other => other?,
        }
        state.save()?;
        if work.is_stopping() {
            return Err(Error::Interrupted);
        }
        let answers = ::fetch::outcomes(&frontier, &paths, work.sort_memory_bytes())?;
        let of_bucket = (&self.links, self.sample, self.buckets);
        requested::write_outcomes(work, of_bucket, answers, FetchPages::OUTCOMES, FetchPages::SELECTED)?;
        for name in names_in(&paths.archive_folder)? {
            if is_archive(&name) {
                work.register_state(FetchPages::ARCHIVES, &state, &name)?;
            } else if is_index(&name) {
                work.register_state(FetchPages::INDEXES, &state, &name)?;
            }
        }
        Ok(())
    }
}

/// The fetcher for these settings: one for all tasks of the process, so that they share pauses, rules and addresses of
/// hosts, and the limits on requests.
fn fetcher(settings: &CrawlSettings) -> Result<Arc<Fetcher>> {
    static FETCHERS: Mutex<Vec<(CrawlSettings, Arc<Fetcher>)>> = Mutex::new(Vec::new());
    let mut fetchers = FETCHERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fetcher)) = fetchers.iter().find(|(known, _)| known == settings) {
        return Ok(fetcher.clone());
    }
    let fetcher = Arc::new(Fetcher::new(settings.clone())?);
    fetchers.push((settings.clone(), fetcher.clone()));
    Ok(fetcher)
}

/// Crawls until every link has its outcome, or the run is asked to stop.
fn fetch_all(work: &Work<'_>, fetcher: &Fetcher, frontier: &Frontier, paths: &CrawlPaths) -> Result<(), FetchError> {
    let (observer, monitor) = (work.observer(), Monitor::default());
    let is_stopping = || work.is_stopping();
    let crawl = || fetcher.run(frontier, paths, 1, CrawlBudget::default(), &monitor, &is_stopping);
    // What the crawl logs is this task's.
    let span = tracing::Span::current();
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| span.in_scope(crawl));
        while !fetching.is_finished() {
            std::thread::park_timeout(LOG_INTERVAL / 10);
            let now = monitor.snapshot();
            observer.task_does(&format!("{} of {} links done, {} pages", now.done, now.links, now.pages));
        }
        let ended = fetching.join().expect("the fetcher does not panic")?;
        debug_assert!(ended != CrawlEnd::BudgetSpent, "there is none");
        Ok(())
    })
}

/// Removes archives and journals of an earlier attempt, but not the frontier.
fn forget(paths: &CrawlPaths) -> Result<()> {
    for name in names_in(&paths.archive_folder)? {
        if is_archive(&name) || is_index(&name) || name.ends_with(".open") || name.starts_with("journal-") {
            let path = paths.archive_folder.join(name);
            std::fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

fn is_index(name: &str) -> bool {
    name.ends_with(".cdxj")
}
