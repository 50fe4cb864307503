//! What earlier processes have left in the journals: finished links, resting hosts, rules, open archives.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::time::{Duration, Instant};

use atomic_file::IoContext;
use records::{Outcome, Reason};
use warc::JournalEnd;
use warc::cdxj::Entry;
use xxhash_rust::xxh3::xxh3_64;

use crate::Fetcher;
use crate::crawl::outcome_settings;
use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::journal::{self, Groups, JournalEntry};
use crate::page_writer::{index_entry, unix_ms};
use crate::paths::CrawlPaths;
use crate::shared::{CompletedSet, JournalledRobots};

/// What earlier processes have left.
pub(crate) struct ResumeState {
    pub(crate) completed: CompletedSet,
    /// Links without an outcome, a fault of which has been counted against their hosts.
    pub(crate) faulted: HashSet<u64>,
    pub(crate) journalled_robots: JournalledRobots,
    /// One entry per journal.
    pub(crate) workers_before: Vec<WorkerResume>,
    /// Hashes of the keys that have an outcome of another list.
    completed_keys: HashSet<u64>,
    /// Of each host, by the hash of its name, the end of its latest pause that was read (milliseconds since 1970).
    latest_rests: HashMap<u64, u64>,
}

/// What an earlier process has left of a worker's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerResume {
    /// Where the whole frames of the journal end.
    pub(crate) journal: JournalEnd,
    /// The index of the archive that was open.
    pub(crate) index: Vec<Entry>,
}

/// Reads all journals, and restores hosts and network of the fetcher.
///
/// # Errors
/// When a journal cannot be read or is damaged, or its outcomes were decided under other settings.
pub(crate) fn resume(fetcher: &Fetcher, frontier: &Frontier, paths: &CrawlPaths) -> Result<ResumeState, FetchError> {
    let mut state = ResumeState {
        completed: CompletedSet::new(frontier.links()),
        faulted: HashSet::new(),
        completed_keys: HashSet::new(),
        latest_rests: HashMap::new(),
        journalled_robots: JournalledRobots::default(),
        workers_before: Vec::new(),
    };
    for worker in 0.. {
        if !paths.journal(worker).exists() {
            break;
        }
        state.read_journal(fetcher, frontier, paths, worker)?;
    }
    if !state.workers_before.is_empty() {
        // The last requests of a killed process are not in its journal.
        fetcher.hosts.open_at(Instant::now() + fetcher.settings.min_delay());
    }
    state.find_completed_keys(frontier)?;
    state.faulted.retain(|&id| !state.completed.contains(id));
    state.latest_rests = HashMap::new();
    Ok(state)
}

impl ResumeState {
    fn read_journal(
        &mut self,
        fetcher: &Fetcher,
        frontier: &Frontier,
        paths: &CrawlPaths,
        worker: u32,
    ) -> Result<(), FetchError> {
        let path = paths.journal(worker);
        let mut groups = Groups::open(&path, &journal::MAGIC)?;
        let mut before = WorkerResume::default();
        let mut is_same_list = false;
        for group in &mut groups {
            let (offset, group) = group?;
            for entry in group.0 {
                match entry {
                    JournalEntry::Head { settings, frontier: list } => {
                        check_settings(fetcher, settings, paths)?;
                        is_same_list = list == frontier.checksum();
                    }
                    JournalEntry::Done { id, outcome, stored } => {
                        self.note_outcome(id, &outcome, is_same_list);
                        before.index.extend(stored.map(|stored| index_entry(&outcome, &stored)));
                    }
                    JournalEntry::Rest { host, until_unix_ms, consecutive_faults } => {
                        if self.is_latest_rest(&host, until_unix_ms) {
                            restore_host(fetcher, &host, until_unix_ms, consecutive_faults);
                        }
                    }
                    JournalEntry::Faulted { id } if is_same_list => drop(self.faulted.insert(id)),
                    JournalEntry::Robots { origin, asked_unix_s, .. } => {
                        self.journalled_robots.note(&origin, worker, offset, asked_unix_s);
                    }
                    JournalEntry::Sealed { .. } => before.index.clear(),
                    JournalEntry::Answered { address } => fetcher.network.answered_before(address),
                    // An id of another list tells nothing, and `JournalEnd` has the length of the archive.
                    JournalEntry::Faulted { .. } | JournalEntry::Warc { .. } => {}
                }
            }
        }
        before.journal = groups.end();
        self.journalled_robots.journals.push(File::open(&path).at("open", &path)?);
        self.workers_before.push(before);
        Ok(())
    }

    /// Whether this is the latest pause of a host so far. A host may have been another worker's in each process, and
    /// journals are read one after another.
    fn is_latest_rest(&mut self, host: &str, until_unix_ms: u64) -> bool {
        let latest = self.latest_rests.entry(xxh3_64(host.as_bytes())).or_insert(until_unix_ms);
        let is_latest = until_unix_ms >= *latest;
        *latest = until_unix_ms.max(*latest);
        is_latest
    }

    fn note_outcome(&mut self, id: u64, outcome: &Outcome, is_same_list: bool) {
        if is_same_list {
            self.completed.insert(id);
        } else if holds_in_any_list(outcome) {
            self.completed_keys.insert(xxh3_64(outcome.key.as_bytes()));
        }
    }

    /// If the list has changed, finds its links that have an outcome of an earlier list.
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

/// Whether an outcome holds for its link in other lists, too. A domain's share of pages belongs to one list.
pub(crate) fn holds_in_any_list(outcome: &Outcome) -> bool {
    outcome.verdict != Some(Reason::OverBudget)
}

/// Checks that outcomes were decided under the settings of this fetcher.
fn check_settings(fetcher: &Fetcher, before: String, paths: &CrawlPaths) -> Result<(), FetchError> {
    let now = outcome_settings(&fetcher.settings);
    if before == now {
        return Ok(());
    }
    Err(FetchError::OtherSettings { state_folder: paths.state_folder.clone(), before, now })
}

/// Restores a host's pause and its consecutive faults.
fn restore_host(fetcher: &Fetcher, host: &str, until_unix_ms: u64, consecutive_faults: u32) {
    let rest = Duration::from_millis(until_unix_ms.saturating_sub(unix_ms())).min(fetcher.settings.max_delay());
    fetcher.hosts.restore(host, Instant::now() + rest, consecutive_faults);
}

#[cfg(test)]
mod tests {
    use warc::ArchiveWriter;

    use super::*;
    use crate::CrawlSettings;
    use crate::frontier::tests::link;
    use crate::journal::Group;

    #[test]
    fn the_latest_pause_of_a_host_counts_in_whichever_journal_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let links = [Ok(link("http://a.example/1", 3)), Ok(link("http://b.example/1", 3))].into_iter();
        let frontier = Frontier::build(links, &folder.path().join("frontier"), "test", 0, 1 << 20).unwrap();
        let fetcher = Fetcher::new(CrawlSettings::for_contact("a@b.example")).unwrap();
        let paths = CrawlPaths::in_folder(folder.path());
        let rest = |host: &str, until_unix_ms, consecutive_faults| JournalEntry::Rest {
            host: host.into(),
            until_unix_ms,
            consecutive_faults,
        };
        // Two processes, of which the second gave each host to the other worker.
        let journals = [
            vec![rest("a.example", 1_000, 4), rest("b.example", 3_000, 6), rest("b.example", 4_000, 7)],
            vec![rest("b.example", 2_000, 5), rest("a.example", 5_000, 0)],
        ];
        for (worker, rests) in journals.into_iter().enumerate() {
            let (names, path) = (paths.archive_names(worker as u32), paths.journal(worker as u32));
            let mut archive = ArchiveWriter::open(names, &path, &journal::MAGIC, JournalEnd::default()).unwrap();
            let head =
                JournalEntry::Head { settings: outcome_settings(fetcher.settings()), frontier: frontier.checksum() };
            archive.commit(&Group(vec![head])).unwrap();
            archive.commit(&Group(rests)).unwrap();
        }
        resume(&fetcher, &frontier, &paths).unwrap();
        let faults = ["a.example", "b.example"].map(|host| fetcher.hosts.consecutive_faults(host));
        assert_eq!(faults, [0, 7]);
    }
}
