//! `pages.fetch`: one task per bucket of registrable domains, so that a domain has one caller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::fetch::{Budget, Ended, FetchError, Fetcher, Frontier, Monitor, Place, Settings};
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

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Where a task keeps its archives, its journal and its list of hosts.
const STATE: &str = "pages/{stage}/{name}";

/// Adds the stage.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let stage = flow.stage_of_source("pages.fetch", number, move |plan| {
        let settings = pages.fetch.clone().or_bug(|| "the recipe has no [pages.fetch]".to_owned())?;
        let links = left.of_buckets(plan, buckets)?.into_iter().enumerate();
        let task = |(bucket, links): (usize, LinksOfBucket)| {
            let task = FetchPages { links, settings: settings.clone(), sample: pages.sample, buckets };
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
    settings: Settings,
    sample: f64,
    buckets: u32,
}

impl FetchPages {
    const ARCHIVES: Product<FetchPages, File> = Product::new("archives", STATE);
    const INDEXES: Product<FetchPages, File> = Product::new("indexes", STATE);
    const SELECTED: Product<FetchPages, Buckets<Selected>> = Product::new("selected", "work/{stage}/{name}.selected");
    const OUTCOMES: Product<FetchPages, Table<Outcome>> =
        Product::new("outcomes", "pages/outcomes{suffix}-{name}.parquet");

    /// What a list of hosts is made of; one that was made of something else is made anew.
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
        let prefix = work.name().to_owned();
        let place = Place { archive: folder.clone(), state: folder, prefix, shown: state.key("") };
        match fetch_all(work, &fetcher, &frontier, &place) {
            // The recipe decides otherwise now; what was decided before does not fit beside it.
            Err(error @ FetchError::OtherSettings { .. }) => {
                tracing::warn!("{error}; its pages are removed and fetched again");
                forget(&place)?;
                fetch_all(work, &fetcher, &frontier, &place)?;
            }
            other => other?,
        }
        state.save()?;
        if work.is_stopping() {
            return Err(Error::Interrupted);
        }
        let answers = ::fetch::outcomes(&frontier, &place, work.sort_memory_bytes())?;
        let of_bucket = (&self.links, self.sample, self.buckets);
        requested::write_outcomes(work, of_bucket, answers, FetchPages::OUTCOMES, FetchPages::SELECTED)?;
        for name in names_in(&place.archive)? {
            if is_archive(&name) {
                work.register_state(FetchPages::ARCHIVES, &state, &name)?;
            } else if is_index(&name) {
                work.register_state(FetchPages::INDEXES, &state, &name)?;
            }
        }
        Ok(())
    }
}

/// The fetcher of these settings: one for all tasks of the process, so that they share what they know of hosts and
/// addresses, and how often these are asked.
fn fetcher(settings: &Settings) -> Result<Arc<Fetcher>> {
    static FETCHERS: Mutex<Vec<(Settings, Arc<Fetcher>)>> = Mutex::new(Vec::new());
    let mut fetchers = FETCHERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fetcher)) = fetchers.iter().find(|(known, _)| known == settings) {
        return Ok(fetcher.clone());
    }
    let fetcher = Arc::new(Fetcher::new(settings.clone())?);
    fetchers.push((settings.clone(), fetcher.clone()));
    Ok(fetcher)
}

/// Fetches until every link has its outcome, or the run is to stop.
fn fetch_all(work: &Work<'_>, fetcher: &Fetcher, frontier: &Frontier, place: &Place) -> Result<(), FetchError> {
    let (observer, monitor) = (work.observer(), Monitor::default());
    std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| fetcher.run(frontier, place, 1, Budget::default(), &monitor, &|| work.is_stopping()));
        while !fetching.is_finished() {
            std::thread::park_timeout(TOLD_EVERY / 10);
            let now = monitor.snapshot();
            for line in monitor.take_lines() {
                tracing::info!("    {line}");
            }
            observer.task_does(&format!("{} of {} links done, {} pages", now.done, now.links, now.pages));
        }
        let ended = fetching.join().expect("the fetcher does not panic")?;
        debug_assert!(ended != Ended::Budget, "there is none");
        Ok(())
    })
}

/// Removes what an earlier try has left, but not the list of hosts.
fn forget(place: &Place) -> Result<()> {
    for name in names_in(&place.archive)? {
        if is_archive(&name) || is_index(&name) || name.ends_with(".open") || name.starts_with("journal-") {
            let path = place.archive.join(name);
            std::fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

fn is_index(name: &str) -> bool {
    name.ends_with(".cdxj")
}
