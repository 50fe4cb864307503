//! What the workers of one fetch share: the list and what of it is completed, the hosts, the budget.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use url::Url;
use warc::read_frame_at;
use xxhash_rust::xxh3::xxh3_64;

use crate::address::Names;
use crate::frontier::{Frontier, Site};
use crate::hosts::{HostLimits, Hosts, origin_of};
use crate::journal::{Group, JournalEntry};
use crate::monitor::Monitor;
use crate::network::Network;
use crate::page_writer::unix_ms;
use crate::robots::{self, Rules};
use crate::settings::Settings;

/// After how much a fetch stops in order; a later call goes on. By default there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Pages kept.
    pub pages: Option<u64>,
    /// Bytes of their bodies, as sent.
    pub bytes: Option<u64>,
    /// Time.
    pub time: Option<Duration>,
}

/// What the workers of one fetch share.
pub(crate) struct Shared<'c> {
    pub(crate) settings: &'c Settings,
    pub(crate) hosts: &'c Hosts,
    pub(crate) network: &'c Arc<Network>,
    pub(crate) names: &'c Names,
    pub(crate) frontier: &'c Frontier,
    pub(crate) monitor: &'c Monitor,
    pub(crate) completed: CompletedSet,
    pub(crate) workers: u32,
    pub(crate) next_site: AtomicUsize,
    pub(crate) robots_before: RobotsBefore,
    pub(crate) budget: Budget,
    pub(crate) started: Instant,
    pub(crate) pages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Bytes of bodies that are not whole yet.
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

    /// The next host of the list.
    pub(crate) fn next_site(&self) -> Option<Site> {
        self.frontier.sites().get(self.next_site.fetch_add(1, Relaxed)).copied()
    }

    /// Whether nothing new is to be begun.
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

    /// The rules of a URL's origin, as this process or one before it has read them.
    pub(crate) fn rules(&self, url: &Url) -> Option<Arc<Rules>> {
        self.hosts.rules(url).or_else(|| {
            let (answer, asked_unix_s) = self.robots_before.find(origin_of(url))?;
            let age = Duration::from_secs((unix_ms() / 1000).saturating_sub(asked_unix_s));
            let left = robots::BELIEVED_FOR.checked_sub(age)?;
            self.hosts.set_rules(url, Rules::of(&answer), Instant::now() + left);
            self.hosts.rules(url)
        })
    }
}

/// The links that have an outcome: one bit each.
pub(crate) struct CompletedSet {
    bits: Vec<u64>,
    /// Links in it.
    pub(crate) count: u64,
}

impl CompletedSet {
    /// An empty set, for links numbered from 0 to `links`.
    pub(crate) fn new(links: u64) -> CompletedSet {
        CompletedSet { bits: vec![0; links.div_ceil(64) as usize], count: 0 }
    }

    /// Adds a link; `false` when it was there already.
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

/// Where each origin's robots.txt is in the journals of earlier processes.
#[derive(Default)]
pub(crate) struct RobotsBefore {
    pub(crate) journals: Vec<File>,
    /// By the hash of the origin: journal, offset of the frame, when it was asked for.
    places: HashMap<u64, (u32, u64, u64)>,
}

impl RobotsBefore {
    /// Notes a frame that has an origin's robots.txt, if it is the latest.
    pub(crate) fn note(&mut self, origin: &str, journal: u32, offset: u64, asked_unix_s: u64) {
        let here = (journal, offset, asked_unix_s);
        let latest = self.places.entry(xxh3_64(origin.as_bytes())).or_insert(here);
        if asked_unix_s >= latest.2 {
            *latest = here;
        }
    }

    fn find(&self, origin: &str) -> Option<(robots::Answer, u64)> {
        let (journal, offset, _) = self.places.get(&xxh3_64(origin.as_bytes()))?;
        // What cannot be read again is asked for again.
        let group: Group = read_frame_at(&self.journals[*journal as usize], *offset).ok()?;
        group.0.into_iter().rev().find_map(|entry| match entry {
            JournalEntry::Robots { origin: found, answer, asked_unix_s } if found == origin => {
                Some((answer, asked_unix_s))
            }
            _ => None,
        })
    }
}
