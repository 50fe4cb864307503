//! The queues of a worker: for each of its hosts the links to request, and a heap of hosts by when they are due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use url::Url;

use crate::frontier::{Cursor, FrontierRow, Site};
use crate::http_client::Reading;
use crate::refusal::Refusal;
use crate::shared::Shared;

/// Longest time after which a waiting worker checks whether it should stop.
pub(crate) const MAX_SLEEP: Duration = Duration::from_millis(200);
/// Pause before a host is tried again whose domain or address has its maximum of requests in flight. It doubles up to
/// `MAX_CROWDED_DOUBLINGS` times.
pub(crate) const CROWDED_PAUSE: Duration = Duration::from_millis(50);
const MAX_CROWDED_DOUBLINGS: u32 = 6;
/// With this many links to retry, a host begins no new ones.
const MAX_RETRIES_QUEUED: usize = 64;

/// A link in progress.
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) row: FrontierRow,
    /// The URL to request next.
    pub(crate) url: Url,
    /// The URLs that redirected, in order.
    pub(crate) via: Vec<Url>,
    /// Requests for `url`, or for its robots.txt before that.
    pub(crate) tries: u32,
    /// Why the last try gave no page.
    pub(crate) last: Option<Refusal>,
    /// Since when all tries have been silent.
    pub(crate) silent_since: Option<Instant>,
    /// How the answer to the next try is read.
    pub(crate) reading: Reading,
}

impl Job {
    /// A link before its first request.
    pub(crate) fn new(id: u64, row: FrontierRow, url: Url) -> Job {
        Job { id, row, url, via: Vec::new(), tries: 0, last: None, silent_since: None, reading: Reading::Library }
    }
}

/// The links to request of one host.
#[derive(Default)]
pub(crate) struct HostQueue {
    /// The first of its own links, which was read to learn the host's name.
    first_own: Option<(u64, FrontierRow)>,
    /// Its own links after that.
    own: Option<Cursor>,
    /// Links that come before all others: begun ones, and those that a redirect led here.
    pub(crate) first: VecDeque<Job>,
    /// Links to retry after all others.
    pub(crate) retries: VecDeque<Job>,
    /// How its answers are read.
    pub(crate) reading: Reading,
    /// How many times in a row the domain or address had its maximum of requests in flight.
    crowded: u32,
}

/// The next link of a host.
pub(crate) enum NextLink {
    /// A link in progress.
    Begun(Box<Job>),
    /// A link of the list that is not begun.
    New(u64, FrontierRow),
    /// None is left here, or all that are left are in flight.
    None,
}

/// The hosts of a worker, each either waiting until it is due or being requested.
pub(crate) struct HostQueues<'c> {
    shared: &'c Shared<'c>,
    queues: HashMap<Box<str>, HostQueue>,
    /// Waiting hosts by due time, then in the order in which they were put back.
    due: BinaryHeap<Reverse<(Instant, u64, Box<str>)>>,
    turn: u64,
}

impl<'c> HostQueues<'c> {
    pub(crate) fn new(shared: &'c Shared<'c>) -> HostQueues<'c> {
        HostQueues { shared, queues: HashMap::new(), due: BinaryHeap::new(), turn: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Begins a host of the list, unless all its links are done.
    pub(crate) fn begin(&mut self, site: Site) -> store::Result<()> {
        let mut cursor = self.shared.frontier.cursor(site);
        let Some((id, row)) = self.next_undone(&mut cursor)? else { return Ok(()) };
        let host = row.host.clone();
        let queue = self.queue(&host);
        queue.first_own = Some((id, row));
        queue.own = Some(cursor);
        Ok(())
    }

    /// The queue of a host; a new one is due at once.
    pub(crate) fn queue(&mut self, host: &str) -> &mut HostQueue {
        if !self.queues.contains_key(host) {
            self.queues.insert(host.into(), HostQueue::default());
            self.shared.hosts.enter(host);
            self.shared.monitor.hosts.fetch_add(1, Relaxed);
            self.put_back(host.into(), Instant::now());
        }
        self.queues.get_mut(host).expect("it was inserted above")
    }

    /// Makes a host due at a time.
    pub(crate) fn put_back(&mut self, host: Box<str>, at: Instant) {
        self.turn += 1;
        self.due.push(Reverse((at, self.turn, host)));
    }

    /// Puts a link and its host back, because the domain or address has its maximum of requests in flight.
    pub(crate) fn put_back_crowded(&mut self, host: Box<str>, job: Job) {
        let queue = self.queue(&host);
        queue.first.push_front(job);
        queue.crowded += 1;
        let wait = CROWDED_PAUSE * 2u32.pow(queue.crowded.min(MAX_CROWDED_DOUBLINGS) - 1);
        self.put_back(host, Instant::now() + wait);
    }

    /// Notes that a host was claimed: the next crowded pause is a short one again.
    pub(crate) fn note_claimed(&mut self, host: &str) {
        self.queue(host).crowded = 0;
    }

    /// When the first waiting host is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the host that is due first, if it is due now.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Box<str>> {
        self.next_due().filter(|at| *at <= now)?;
        self.due.pop().map(|Reverse((_, _, host))| host)
    }

    /// The next link of a host.
    pub(crate) fn next_link(&mut self, host: &str) -> store::Result<NextLink> {
        let queue = self.queue(host);
        if let Some(job) = queue.first.pop_front() {
            return Ok(NextLink::Begun(Box::new(job)));
        }
        if let Some((id, row)) = queue.first_own.take() {
            return Ok(NextLink::New(id, row));
        }
        if queue.retries.len() < MAX_RETRIES_QUEUED
            && let Some(mut cursor) = queue.own.take()
            && let Some((id, row)) = self.next_undone(&mut cursor)?
        {
            self.queue(host).own = Some(cursor);
            return Ok(NextLink::New(id, row));
        }
        Ok(self.queue(host).retries.pop_front().map_or(NextLink::None, |job| NextLink::Begun(Box::new(job))))
    }

    /// Removes a host that has no links left. Returns the hosts that may be forgotten with it.
    pub(crate) fn remove(&mut self, host: &str) -> Vec<Box<str>> {
        self.queues.remove(host);
        self.shared.monitor.hosts.fetch_sub(1, Relaxed);
        self.shared.hosts.leave(host)
    }

    /// Removes all hosts, with or without links left.
    pub(crate) fn remove_all(self) {
        for host in self.queues.keys() {
            self.shared.hosts.leave(host);
        }
        self.shared.monitor.hosts.fetch_sub(self.queues.len() as i64, Relaxed);
    }

    /// The next link of a host that has no outcome from an earlier process.
    fn next_undone(&self, cursor: &mut Cursor) -> store::Result<Option<(u64, FrontierRow)>> {
        for row in cursor {
            let (id, row) = row?;
            if !self.shared.completed.contains(id) {
                return Ok(Some((id, row)));
            }
        }
        Ok(None)
    }
}
