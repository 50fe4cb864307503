//! What the workers of one fetch share: the list and what of it is done, the hosts, the budget.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use crate::address::Names;
use crate::archive::unix_ms;
use crate::frames::frame_at;
use crate::frontier::{Frontier, Site};
use crate::hosts::{Hosts, Shares, origin_of};
use crate::journal::Happened;
use crate::monitor::Monitor;
use crate::network::Network;
use crate::robots::{self, Rules};
use crate::settings::Settings;

/// After how much a fetch stops, cleanly and to be gone on with; nothing is a limit by default.
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
    pub(crate) done: Done,
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
    pub(crate) fn shares(&self) -> Shares {
        Shares {
            a_domain: self.settings.requests_a_domain,
            an_address: self.settings.requests_an_address,
            faults_in_a_row_max: self.settings.faults_in_a_row_max,
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
        self.budget.pages.is_some_and(|most| self.pages.load(Relaxed) >= most)
            || self.budget.bytes.is_some_and(|most| self.bytes.load(Relaxed) >= most)
            || self.budget.time.is_some_and(|most| self.started.elapsed() >= most)
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

/// Which links have an outcome already: a bit each.
pub(crate) struct Done {
    bits: Vec<u64>,
    pub(crate) count: u64,
}

impl Done {
    pub(crate) fn new(links: u64) -> Done {
        Done { bits: vec![0; links.div_ceil(64) as usize], count: 0 }
    }

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

/// Where each origin's robots.txt stands in the journals of earlier processes.
#[derive(Default)]
pub(crate) struct RobotsBefore {
    pub(crate) journals: Vec<File>,
    /// By the hash of the origin: journal, offset of the frame, when it was asked for.
    pub(crate) places: HashMap<u64, (u32, u64, u64)>,
}

impl RobotsBefore {
    fn find(&self, origin: &str) -> Option<(robots::Answer, u64)> {
        let (journal, offset, _) = self.places.get(&xxh3_64(origin.as_bytes()))?;
        // What cannot be read again is asked for again.
        let entries: Vec<Happened> = frame_at(&self.journals[*journal as usize], *offset).ok()?;
        entries.into_iter().rev().find_map(|entry| match entry {
            Happened::Robots { origin: found, answer, asked_unix_s } if found == origin => Some((answer, asked_unix_s)),
            _ => None,
        })
    }
}
