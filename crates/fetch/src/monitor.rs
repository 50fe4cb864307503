//! What is going on, for those who watch: counters that workers add to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use records::Reason;
use serde::Serialize;

/// Counters of a fetch that is under way. Outcomes count when they are durable.
#[derive(Debug, Default)]
pub struct Monitor {
    pub(crate) links: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) hosts: AtomicI64,
    pub(crate) under_way: AtomicI64,
    dropped: Mutex<BTreeMap<Reason, u64>>,
    paused: Mutex<BTreeMap<Pauser, String>>,
    lines: Mutex<Vec<String>>,
}

/// What lets nothing be asked for; each ends its own pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pauser {
    /// The page writer of this worker cannot write.
    PageWriter(u32),
    /// No host can be reached.
    Network,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Links in all.
    pub links: u64,
    /// Links that have an outcome, those of earlier calls among them.
    pub done: u64,
    /// Pages kept in this call.
    pub pages: u64,
    /// Bytes of bodies received in this call, as sent.
    pub bytes: u64,
    /// Requests sent in this call, for robots.txt and redirects, too.
    pub requests: u64,
    /// Hosts that have links waiting.
    pub hosts: i64,
    /// Requests under way.
    pub under_way: i64,
    /// Links without a page in this call, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Why nothing is asked for at the moment, if nothing is.
    pub paused: Option<String>,
}

impl Monitor {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            links: self.links.load(Relaxed),
            done: self.done.load(Relaxed),
            pages: self.pages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            requests: self.requests.load(Relaxed),
            hosts: self.hosts.load(Relaxed),
            under_way: self.under_way.load(Relaxed),
            dropped: lock(&self.dropped).clone(),
            paused: lock(&self.paused).values().next().cloned(),
        }
    }

    /// Lines for people that have come up since the last call.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.lines))
    }

    pub(crate) fn count(&self, verdict: Option<Reason>) {
        self.done.fetch_add(1, Relaxed);
        match verdict {
            None => _ = self.pages.fetch_add(1, Relaxed),
            Some(reason) => *lock(&self.dropped).entry(reason).or_default() += 1,
        }
    }

    pub(crate) fn log(&self, line: String) {
        lock(&self.lines).push(line);
    }

    pub(crate) fn pause(&self, pauser: Pauser, why: String) {
        if lock(&self.paused).insert(pauser, why.clone()).as_ref() != Some(&why) {
            self.log(format!("paused: {why}"));
        }
    }

    pub(crate) fn unpause(&self, pauser: Pauser) {
        let mut paused = lock(&self.paused);
        if paused.remove(&pauser).is_some() && paused.is_empty() {
            self.log("going on".into());
        }
    }

    /// Whether a page writer cannot write; then nothing is to be asked for that would have to be kept.
    pub(crate) fn cannot_write(&self) -> bool {
        lock(&self.paused).keys().any(|pauser| matches!(pauser, Pauser::PageWriter(_)))
    }
}

impl Snapshot {
    /// How long the rest takes at the pace so far; none while nothing is known.
    pub fn left(&self, done_before: u64, took: Duration) -> Option<Duration> {
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
    fn each_ends_its_own_pause() {
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
        assert_eq!(monitor.take_lines(), ["paused: no room", "paused: no answer", "going on"]);
    }
}
