//! Counters of a crawl in progress, and what has paused it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use records::Reason;
use serde::Serialize;

/// Counters of a crawl in progress; any thread may read them. Outcomes count once they are durable.
#[derive(Debug, Default)]
pub struct Monitor {
    pub(crate) links: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) hosts: AtomicI64,
    pub(crate) in_flight: AtomicI64,
    dropped: Mutex<BTreeMap<Reason, u64>>,
    paused: Mutex<BTreeMap<Pauser, String>>,
}

/// What has paused the crawl. Each ends its own pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pauser {
    /// The page writer of this worker, which cannot write.
    PageWriter(u32),
    /// The network probe: no host can be reached.
    Network,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CrawlSnapshot {
    /// Links of the list.
    pub links: u64,
    /// Links that have an outcome, including those from earlier calls.
    pub done: u64,
    /// Pages kept in this call.
    pub pages: u64,
    /// Bytes of bodies received in this call, as sent.
    pub bytes: u64,
    /// Requests sent in this call, including those for robots.txt and redirects.
    pub requests: u64,
    /// Hosts with links in memory.
    pub hosts: i64,
    /// Requests in flight.
    pub under_way: i64,
    /// Links without a page in this call, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Why the crawl is paused, if it is.
    pub paused: Option<String>,
}

impl Monitor {
    /// The current counters.
    pub fn snapshot(&self) -> CrawlSnapshot {
        CrawlSnapshot {
            links: self.links.load(Relaxed),
            done: self.done.load(Relaxed),
            pages: self.pages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            requests: self.requests.load(Relaxed),
            hosts: self.hosts.load(Relaxed),
            under_way: self.in_flight.load(Relaxed),
            dropped: lock(&self.dropped).clone(),
            paused: lock(&self.paused).values().next().cloned(),
        }
    }

    pub(crate) fn count(&self, verdict: Option<Reason>) {
        self.done.fetch_add(1, Relaxed);
        match verdict {
            None => _ = self.pages.fetch_add(1, Relaxed),
            Some(reason) => *lock(&self.dropped).entry(reason).or_default() += 1,
        }
    }

    pub(crate) fn pause(&self, pauser: Pauser, why: String) {
        if lock(&self.paused).insert(pauser, why.clone()).as_ref() != Some(&why) {
            tracing::warn!("paused: {why}");
        }
    }

    pub(crate) fn unpause(&self, pauser: Pauser) {
        let mut paused = lock(&self.paused);
        if paused.remove(&pauser).is_some() && paused.is_empty() {
            tracing::info!("resumed");
        }
    }

    /// Whether a page writer cannot write. Until it can, no request starts, since its page could not be kept.
    pub(crate) fn cannot_write(&self) -> bool {
        lock(&self.paused).keys().any(|pauser| matches!(pauser, Pauser::PageWriter(_)))
    }
}

impl CrawlSnapshot {
    /// Time to completion at the rate since `done_before` links were done, `took` ago; `None` if none was done since.
    pub fn time_left(&self, done_before: u64, took: Duration) -> Option<Duration> {
        let done_now = self.done.saturating_sub(done_before);
        let left = self.links.saturating_sub(self.done);
        (done_now > 0).then(|| took.mul_f64(left as f64 / done_now as f64))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_its_own_pauser() {
        let monitor = Monitor::default();
        monitor.pause(Pauser::PageWriter(0), "no room".into());
        monitor.pause(Pauser::PageWriter(0), "no room".into());
        monitor.pause(Pauser::Network, "no answer".into());
        assert!(monitor.cannot_write());
        monitor.unpause(Pauser::PageWriter(0));
        monitor.unpause(Pauser::PageWriter(1));
        assert!(!monitor.cannot_write());
        assert_eq!(monitor.snapshot().paused.as_deref(), Some("no answer"));
        monitor.unpause(Pauser::Network);
        assert_eq!(monitor.snapshot().paused, None);
    }
}
