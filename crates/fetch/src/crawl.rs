//! A whole fetch: workers over a frontier, taking up what an earlier process has left.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use records::{Outcome, PageKey, Reason};
use serde::{Deserialize, Serialize};
use store::sort::Sorter;
use xxhash_rust::xxh3::xxh3_64;

use crate::address::Names;
use crate::backlog::Backlog;
use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::hosts::Hosts;
use crate::journal::{self, Groups, JournalEntry};
use crate::monitor::Monitor;
use crate::network::Network;
use crate::page_writer::{Left, PageWriter, index_entry, unix_ms};
use crate::place::Place;
use crate::settings::Settings;
use crate::shared::{Budget, CompletedSet, RobotsBefore, Shared};
use crate::worker::Worker;

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every link has its outcome.
    Complete,
    /// The budget is spent.
    Budget,
    /// The user asked to stop.
    Stopped,
}

/// Fetches for any number of tasks; what is known of hosts is shared among them.
pub struct Fetcher {
    settings: Settings,
    hosts: Hosts,
    network: Arc<Network>,
    names: Names,
}

/// What earlier processes have left in a folder.
struct Before {
    completed: CompletedSet,
    /// Hashes of the keys that have an outcome of another list.
    completed_keys: HashSet<u64>,
    robots: RobotsBefore,
    /// For each worker that there was.
    left: Vec<Left>,
}

impl Before {
    fn note_outcome(&mut self, id: u64, outcome: &Outcome, is_same_list: bool) {
        if is_same_list {
            self.completed.insert(id);
        } else if is_of_any_list(outcome) {
            self.completed_keys.insert(xxh3_64(outcome.key.as_bytes()));
        }
    }

    /// After the list of links has changed: finds those that have an outcome of the list before.
    fn find_completed_keys(&mut self, frontier: &Frontier) -> Result<(), FetchError> {
        if self.completed_keys.is_empty() {
            return Ok(());
        }
        for row in frontier.rows() {
            let (id, row) = row?;
            if self.completed_keys.contains(&xxh3_64(row.key.as_bytes())) {
                self.completed.insert(id);
            }
        }
        Ok(())
    }
}

/// The settings that decide about outcomes. Outcomes under others stand beside each other in no table.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Decisive {
    max_body_bytes: u64,
    max_decoded_bytes: u64,
    max_redirects: usize,
    honour: crate::Honour,
}

impl Decisive {
    fn of(settings: &Settings) -> String {
        let decisive = Decisive {
            max_body_bytes: settings.max_body_bytes,
            max_decoded_bytes: settings.max_decoded_bytes,
            max_redirects: settings.max_redirects,
            honour: settings.honour,
        };
        serde_json::to_string(&decisive).expect("numbers and names are JSON")
    }
}

impl Fetcher {
    /// A fetcher with these settings.
    ///
    /// # Errors
    /// When the contact is no address or page, or a limit lets nothing through.
    pub fn new(settings: Settings) -> Result<Fetcher, FetchError> {
        if let Some(fault) = settings.fault() {
            return Err(FetchError::Settings(fault));
        }
        // A second fetcher in the process finds the provider installed; that is what it wants.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = Arc::new(Network::new(settings.min_delay()));
        Ok(Fetcher { settings, hosts: Hosts::default(), network, names: Names::default() })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Fetches the links of a frontier, going on where an earlier call with the same place ended.
    ///
    /// Every page is in a WARC file of the place, and every outcome in a journal, when this returns; [`outcomes`]
    /// reads them. `stop` ends it after what is under way.
    ///
    /// # Errors
    /// When a file cannot be written or read. Whatever a host does is an outcome.
    pub fn run(
        &self,
        frontier: &Frontier,
        place: &Place,
        workers: u32,
        budget: Budget,
        monitor: &Monitor,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ended, FetchError> {
        for folder in [&place.archive, &place.state] {
            std::fs::create_dir_all(folder).map_err(FetchError::at("create the folder", folder))?;
        }
        let before = self.take_up(frontier, place)?;
        monitor.links.store(frontier.links(), Relaxed);
        monitor.done.store(before.completed.count, Relaxed);
        let mut left = before.left;
        // A journal that has no worker any more gets one, which finds nothing to ask for and closes its file.
        let workers_now = workers.max(1).max(left.len() as u32);
        left.resize(workers_now as usize, Left::default());
        let shared = Shared {
            settings: &self.settings,
            hosts: &self.hosts,
            network: &self.network,
            names: &self.names,
            frontier,
            monitor,
            completed: before.completed,
            workers: workers_now,
            next_site: AtomicUsize::new(0),
            robots_before: before.robots,
            budget,
            started: Instant::now(),
            pages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            arriving_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            stop,
        };
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for (worker, left) in left.into_iter().enumerate() {
                let (shared, failure) = (&shared, &failure);
                scope.spawn(move || {
                    if let Err(error) = work(shared, place, worker as u32, left) {
                        shared.failed.store(true, Relaxed);
                        failure.lock().expect("no thread panics with it").get_or_insert(error);
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().expect("no thread panics with it") {
            return Err(error);
        }
        Ok(match () {
            () if monitor.snapshot().done >= frontier.links() => Ended::Complete,
            () if stop() => Ended::Stopped,
            () => Ended::Budget,
        })
    }

    /// Reads the journals of earlier processes: what is completed, which hosts rest, how long files are.
    fn take_up(&self, frontier: &Frontier, place: &Place) -> Result<Before, FetchError> {
        let mut before = Before {
            completed: CompletedSet::new(frontier.links()),
            completed_keys: HashSet::new(),
            robots: RobotsBefore::default(),
            left: Vec::new(),
        };
        for worker in 0.. {
            if !place.journal(worker).exists() {
                break;
            }
            self.read_journal(worker, frontier, place, &mut before)?;
        }
        if !before.left.is_empty() {
            // What a killed process asked last is not in its journal.
            self.hosts.open_at(Instant::now() + self.settings.min_delay());
        }
        before.find_completed_keys(frontier)?;
        Ok(before)
    }

    fn read_journal(
        &self,
        worker: u32,
        frontier: &Frontier,
        place: &Place,
        before: &mut Before,
    ) -> Result<(), FetchError> {
        let path = place.journal(worker);
        let mut groups = Groups::open(&path, &journal::MAGIC)?;
        let mut left = Left::default();
        let mut is_same_list = false;
        for group in &mut groups {
            let (offset, group) = group?;
            for entry in group.0 {
                match entry {
                    JournalEntry::Head { settings, frontier: of } => {
                        self.check_settings(settings, place)?;
                        is_same_list = of == frontier.checksum();
                    }
                    JournalEntry::Done { id, outcome, stored } => {
                        before.note_outcome(id, &outcome, is_same_list);
                        left.index.extend(stored.map(|stored| index_entry(&outcome, &stored)));
                    }
                    JournalEntry::Rest { host, until_unix_ms, consecutive_faults } => {
                        self.restore(&host, until_unix_ms, consecutive_faults);
                    }
                    JournalEntry::Robots { origin, asked_unix_s, .. } => {
                        before.robots.note(&origin, worker, offset, asked_unix_s);
                    }
                    JournalEntry::Sealed { .. } => left.index.clear(),
                    JournalEntry::Answered { address } => self.network.answered_before(address),
                    // The end of the journal has it.
                    JournalEntry::Warc { .. } => {}
                }
            }
        }
        left.journal = groups.end();
        before.robots.journals.push(File::open(&path).map_err(FetchError::at("open", &path))?);
        before.left.push(left);
        Ok(())
    }

    /// Whether outcomes were decided by the settings of this fetcher.
    fn check_settings(&self, before: String, place: &Place) -> Result<(), FetchError> {
        let now = Decisive::of(&self.settings);
        if before == now {
            return Ok(());
        }
        Err(FetchError::OtherSettings { state: place.state.clone(), before, now })
    }

    /// A host's pause and its faults go on from an earlier process.
    fn restore(&self, host: &str, until_unix_ms: u64, consecutive_faults: u32) {
        let rest = Duration::from_millis(until_unix_ms.saturating_sub(unix_ms())).min(self.settings.max_delay());
        self.hosts.restore(host, Instant::now() + rest, consecutive_faults);
    }
}

/// Whether an outcome holds for its link in other lists, too; a share of pages is that of one list.
fn is_of_any_list(outcome: &Outcome) -> bool {
    outcome.verdict != Some(Reason::OverBudget)
}

/// A worker's two threads: this one asks, the other writes.
fn work(shared: &Shared<'_>, place: &Place, worker: u32, left: Left) -> Result<(), FetchError> {
    let (sender, receiver) = mpsc::channel();
    let backlog = Backlog::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(FetchError::at("start a runtime for", &place.state))?;
    let mut writer = PageWriter::open(place, worker, shared.settings, shared.monitor, &backlog, shared.stop, left)?;
    writer.head(&Decisive::of(shared.settings), shared.frontier.checksum())?;
    std::thread::scope(|scope| {
        let archive = scope.spawn(move || {
            let result = writer.run(&receiver);
            if result.is_err() {
                shared.failed.store(true, Relaxed);
            }
            result
        });
        let asked = Worker::new(shared, sender, &backlog).and_then(|worker| runtime.block_on(worker.run()));
        let written = archive.join().expect("the page writer does not panic");
        written.and(asked)
    })
}

/// The outcomes of a fetch, one for each link of its list, sorted by domain and key. `memory_bytes` bounds the sort.
///
/// # Errors
/// When a journal cannot be read, or a link has no outcome.
pub fn outcomes(
    frontier: &Frontier,
    place: &Place,
    memory_bytes: usize,
) -> Result<impl Iterator<Item = Result<Outcome, FetchError>>, FetchError> {
    let (count, outcomes) = outcomes_so_far(frontier, place, memory_bytes)?;
    if count != frontier.links() {
        return Err(FetchError::Damaged {
            path: place.state.clone(),
            what: format!("{} links have no outcome", frontier.links() - count),
        });
    }
    Ok(outcomes)
}

/// The outcomes of a fetch that has not come to its end, and how many they are; otherwise as [`outcomes`].
///
/// # Errors
/// When a journal cannot be read.
pub fn outcomes_so_far(
    frontier: &Frontier,
    place: &Place,
    memory_bytes: usize,
) -> Result<(u64, impl Iterator<Item = Result<Outcome, FetchError>>), FetchError> {
    let mut wanted = None;
    let mut sorter = Sorter::<(PageKey, Vec<u8>)>::new(&place.state, memory_bytes);
    let mut seen = CompletedSet::new(frontier.links());
    for worker in 0.. {
        let path = place.journal(worker);
        if !path.exists() {
            break;
        }
        let mut is_same_list = false;
        for group in Groups::open(&path, &journal::MAGIC)? {
            let (_, group) = group?;
            for entry in group.0 {
                match entry {
                    JournalEntry::Head { frontier: of, .. } => is_same_list = of == frontier.checksum(),
                    JournalEntry::Done { id, outcome, .. } => {
                        let is_new = if is_same_list {
                            seen.insert(id)
                        } else if !is_of_any_list(&outcome) {
                            false
                        } else {
                            // Of a list that has changed since: by its key, if it is asked for at all.
                            let ids = match &wanted {
                                Some(ids) => ids,
                                None => wanted.insert(ids_by_key(frontier)?),
                            };
                            ids.get(&xxh3_64(outcome.key.as_bytes())).is_some_and(|&id| seen.insert(id))
                        };
                        if is_new {
                            let bytes = postcard::to_stdvec(&outcome).expect("an outcome is serialisable");
                            sorter.push((PageKey { domain: outcome.domain, key: outcome.key }, bytes))?;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    let sorted = sorter.finish()?;
    let sorted = sorted.map(|row| {
        let (_, bytes) = row?;
        Ok(postcard::from_bytes(&bytes).expect("it was serialised above"))
    });
    Ok((seen.count, sorted))
}

fn ids_by_key(frontier: &Frontier) -> Result<HashMap<u64, u64>, FetchError> {
    frontier
        .rows()
        .map(|row| row.map(|(id, row)| (xxh3_64(row.key.as_bytes()), id)).map_err(FetchError::from))
        .collect()
}
