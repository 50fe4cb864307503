//! State shared by the workers of one crawl: the list, which of its links are done, the hosts, the budget.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use url::Url;
use warc::read_frame_at;
use xxhash_rust::xxh3::xxh3_64;

use crate::address::PinnedResolver;
use crate::frontier::{Frontier, Site};
use crate::host_registry::{HostLimits, HostRegistry, origin_of};
use crate::journal::{Group, JournalEntry};
use crate::monitor::Monitor;
use crate::network::Network;
use crate::page_writer::unix_ms;
use crate::robots::{self, RobotsAnswer, RobotsRules};
use crate::settings::CrawlSettings;

/// Limits on one call of [`Fetcher::run`](crate::Fetcher::run). When one is reached, the crawl ends in good order, and
/// a later call continues it. Without limits by default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CrawlBudget {
    /// Pages to keep.
    pub pages: Option<u64>,
    /// Bytes of their bodies, as sent.
    pub bytes: Option<u64>,
    /// Time since the start of the call.
    pub time: Option<Duration>,
}

/// State shared by the workers of one crawl.
pub(crate) struct Shared<'c> {
    pub(crate) settings: &'c CrawlSettings,
    pub(crate) hosts: &'c HostRegistry,
    pub(crate) network: &'c Arc<Network>,
    pub(crate) resolver: &'c PinnedResolver,
    pub(crate) frontier: &'c Frontier,
    pub(crate) monitor: &'c Monitor,
    pub(crate) completed: CompletedSet,
    /// Links without an outcome, a fault of which was counted against their hosts by an earlier process.
    pub(crate) faulted: HashSet<u64>,
    pub(crate) workers: u32,
    pub(crate) next_site: AtomicUsize,
    pub(crate) journalled_robots: JournalledRobots,
    pub(crate) budget: CrawlBudget,
    pub(crate) started: Instant,
    pub(crate) pages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Bytes of bodies that are still arriving.
    pub(crate) arriving_bytes: AtomicU64,
    pub(crate) failed: AtomicBool,
    pub(crate) stop: &'c (dyn Fn() -> bool + Sync),
}

impl Shared<'_> {
    pub(crate) fn limits(&self) -> HostLimits {
        HostLimits {
            max_requests_per_domain: self.settings.max_requests_per_domain,
            max_requests_per_address: self.settings.max_requests_per_address,
            max_consecutive_faults: self.settings.max_consecutive_faults,
        }
    }

    /// Takes the next host of the list.
    pub(crate) fn next_site(&self) -> Option<Site> {
        self.frontier.sites().get(self.next_site.fetch_add(1, Relaxed)).copied()
    }

    /// Whether no new request may start.
    pub(crate) fn is_ending(&self) -> bool {
        self.failed.load(Relaxed) || (self.stop)() || self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.budget.pages.is_some_and(|max| self.pages.load(Relaxed) >= max)
            || self.budget.bytes.is_some_and(|max| self.bytes.load(Relaxed) >= max)
            || self.budget.time.is_some_and(|max| self.started.elapsed() >= max)
    }

    pub(crate) fn count_page(&self, len_bytes: u64) {
        self.pages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(len_bytes, Relaxed);
    }

    /// The rules of a URL's origin, if this process or an earlier one has read them and they are still valid.
    pub(crate) fn rules(&self, url: &Url) -> Option<Arc<RobotsRules>> {
        self.hosts.rules(url).or_else(|| {
            let (answer, asked_unix_s) = self.journalled_robots.find(origin_of(url))?;
            let age = Duration::from_secs((unix_ms() / 1000).saturating_sub(asked_unix_s));
            let left = robots::VALID_FOR.checked_sub(age)?;
            self.hosts.set_rules(url, RobotsRules::of(&answer), Instant::now() + left);
            self.hosts.rules(url)
        })
    }
}

/// The set of links that have an outcome: one bit each.
pub(crate) struct CompletedSet {
    bits: Vec<u64>,
    /// Links in the set.
    pub(crate) count: u64,
}

impl CompletedSet {
    /// An empty set, for links numbered from 0 to `links`.
    pub(crate) fn new(links: u64) -> CompletedSet {
        CompletedSet { bits: vec![0; links.div_ceil(64) as usize], count: 0 }
    }

    /// Adds a link; `false` if it was in the set already.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        let (word, bit) = ((id / 64) as usize, 1 << (id % 64));
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.bits[(id / 64) as usize] & (1 << (id % 64)) != 0
    }
}

/// Finds robots.txt answers in the journals of earlier processes, without holding them in memory.
#[derive(Default)]
pub(crate) struct JournalledRobots {
    pub(crate) journals: Vec<File>,
    /// By hash of the origin: journal, offset of the frame, time of the request in seconds since 1970.
    places: HashMap<u64, (u32, u64, u64)>,
}

impl JournalledRobots {
    /// Adds a frame that holds an origin's robots.txt; the latest one counts.
    pub(crate) fn note(&mut self, origin: &str, journal: u32, offset: u64, asked_unix_s: u64) {
        let here = (journal, offset, asked_unix_s);
        let latest = self.places.entry(xxh3_64(origin.as_bytes())).or_insert(here);
        if asked_unix_s >= latest.2 {
            *latest = here;
        }
    }

    fn find(&self, origin: &str) -> Option<(RobotsAnswer, u64)> {
        let (journal, offset, _) = self.places.get(&xxh3_64(origin.as_bytes()))?;
        // An unreadable answer is requested again.
        let group: Group = read_frame_at(&self.journals[*journal as usize], *offset).ok()?;
        group.0.into_iter().rev().find_map(|entry| match entry {
            JournalEntry::Robots { origin: found, answer, asked_unix_s } if found == origin => {
                Some((answer, asked_unix_s))
            }
            _ => None,
        })
    }
}
