//! Leases: which process works in a run.
//!
//! A lease is a small object that its holder renews every few seconds. A process that finds one waits to see whether it
//! is renewed, by its own clock alone: clocks of different machines are never compared, so a clock that jumps does no
//! harm. A holder on this machine whose process is gone is noticed at once.
//!
//! Leases are advisory: a holder that was stopped for minutes may find that another process has taken over
//! ([`Lease::is_lost`]). Tasks are safe to run twice, so nothing is damaged then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Condition, Error, PutOutcome, Result, Store, Tag};

/// How often leases are renewed, and when they expire.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two renewals.
    pub renew_every: Duration,
    /// A lease of another machine that was not renewed for this long is free.
    pub expires_after: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { renew_every: Duration::from_secs(5), expires_after: Duration::from_secs(30) }
    }
}

/// The process that holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Boot id of the machine and its process namespace: a process number is unique only within both.
    boot: String,
    /// Process number.
    pub process: u32,
    /// When the process started, in ticks since the machine did: process numbers are reused.
    started: u64,
}

impl Holder {
    /// This process.
    pub fn this_process() -> Holder {
        let process = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // Containers on one machine number their processes independently.
        let numbers = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Holder {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot: format!("{} {}", boot.trim(), numbers.display()).trim().to_owned(),
            process,
            started: process_started(process).unwrap_or(0),
        }
    }

    /// Boot id of the machine, without the namespace of a container.
    fn boot_id(&self) -> &str {
        self.boot.split(' ').next().unwrap_or("")
    }

    /// Whether the holder ran on this machine and is gone.
    fn is_gone(&self) -> bool {
        let this = Holder::this_process();
        self.host == this.host
            && !self.boot.is_empty()
            && match self.boot == this.boot {
                true => process_started(self.process) != Some(self.started),
                false => self.boot_id() != this.boot_id(),
            }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.process, self.host)
    }
}

/// When a process started, in ticks since the machine did; `None` when there is none of this number.
fn process_started(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; field 22 is the 20th after it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None; // killed, and not yet waited for
    }
    fields.nth(18)?.parse().ok()
}

#[derive(Serialize, Deserialize)]
struct Content {
    holder: Holder,
    renewed: u64,
}

/// A lease that this process holds, until it is dropped.
pub struct Lease {
    store: Arc<dyn Store>,
    key: String,
    shared: Arc<Shared>,
    renewing: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: Mutex<bool>,
    wake: Condvar,
    lost: AtomicBool,
}

impl Lease {
    /// Takes the lease at `key`. `wait` is called repeatedly while it is not known whether a holder on another machine
    /// is still at work; when it returns false, the lease counts as held.
    ///
    /// # Errors
    /// [`Error::Held`] when another process holds it, and errors of the store.
    pub fn take(store: Arc<dyn Store>, key: &str, pace: Pace, wait: &dyn Fn(&Holder) -> bool) -> Result<Lease> {
        let holder = Holder::this_process();
        let first = content(&holder, 0);
        let tag = loop {
            let condition = match store.get(key)? {
                None => Condition::IfAbsent,
                Some(found) => Condition::IfUnchanged(wait_until_free(&*store, key, found, pace, wait)?),
            };
            if let PutOutcome::Put(tag) = store.put(key, &first, condition)? {
                break tag;
            }
        };
        let shared = Arc::new(Shared::default());
        let renewing = {
            let (store, key, shared) = (store.clone(), key.to_owned(), shared.clone());
            std::thread::spawn(move || renew(&*store, &key, &holder, tag, &shared, pace))
        };
        Ok(Lease { store, key: key.to_owned(), shared, renewing: Some(renewing) })
    }

    /// The holder of the lease at `key`; `None` when there is none, or its process is gone.
    pub fn holder(store: &dyn Store, key: &str, pace: Pace, wait: &dyn Fn(&Holder) -> bool) -> Result<Option<Holder>> {
        let Some(found) = store.get(key)? else { return Ok(None) };
        match wait_until_free(store, key, found, pace, wait) {
            Ok(_) => Ok(None),
            Err(Error::Held { holder, .. }) => Ok(Some(*holder)),
            Err(error) => Err(error),
        }
    }

    /// Whether another process has taken over, because this one could not renew for too long.
    pub fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        let found = self.store.get(&self.key).ok().flatten();
        let is_ours = |bytes: &[u8]| {
            serde_json::from_slice::<Content>(bytes).is_ok_and(|content| content.holder == Holder::this_process())
        };
        if !self.is_lost() && found.is_some_and(|(bytes, _)| is_ours(&bytes)) {
            // If it cannot be deleted, others will see that its process is gone.
            let _ = self.store.delete(&self.key);
        }
    }
}

fn content(holder: &Holder, renewed: u64) -> Vec<u8> {
    serde_json::to_vec(&Content { holder: holder.clone(), renewed }).expect("a lease is plain data")
}

/// Returns the tag of a lease that its holder does not renew.
fn wait_until_free(
    store: &dyn Store,
    key: &str,
    found: (Vec<u8>, Tag),
    pace: Pace,
    wait: &dyn Fn(&Holder) -> bool,
) -> Result<Tag> {
    let (bytes, tag) = found;
    let Ok(Content { holder, .. }) = serde_json::from_slice(&bytes) else {
        return Ok(tag); // cut off by a kill in the middle of a copy; nobody can renew that
    };
    let held = || Error::Held { object: store.shown(key), holder: Box::new(holder.clone()) };
    if holder.is_gone() {
        return Ok(tag);
    }
    let this = Holder::this_process();
    if holder.host == this.host && holder.boot == this.boot && !this.boot.is_empty() {
        return Err(held());
    }
    let seen = Instant::now();
    while seen.elapsed() < pace.expires_after {
        if !wait(&holder) {
            return Err(held());
        }
        std::thread::sleep(pace.renew_every / 4);
        match store.get(key)? {
            Some((_, now)) if now == tag => {}
            Some(_) => return Err(held()),
            None => return Ok(tag),
        }
    }
    Ok(tag)
}

/// Renews a lease until it ends, or another process has taken it.
fn renew(store: &dyn Store, key: &str, holder: &Holder, mut tag: Tag, shared: &Shared, pace: Pace) {
    for renewed in 1.. {
        let ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = shared.wake.wait_timeout_while(ended, pace.renew_every, |ended| !*ended);
        if *ended.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
        match store.put(key, &content(holder, renewed), Condition::IfUnchanged(tag)) {
            Ok(PutOutcome::Put(now)) => tag = now,
            Ok(PutOutcome::Lost) => return shared.lost.store(true, Ordering::Relaxed),
            // A full disk or a slow store: the next attempt may succeed.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalStore;

    const FAST: Pace = Pace { renew_every: Duration::from_millis(40), expires_after: Duration::from_millis(400) };

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::new(folder.path()));
        (folder, store)
    }

    fn other(host: &str, process: u32) -> Holder {
        Holder { host: host.into(), process, started: 1, ..Holder::this_process() }
    }

    #[test]
    fn one_holder_at_a_time() {
        let (_folder, store) = store();
        let lease = Lease::take(store.clone(), "lease", FAST, &|_| true).unwrap();
        assert!(matches!(Lease::take(store.clone(), "lease", FAST, &|_| true), Err(Error::Held { .. })));
        assert_eq!(Lease::holder(&*store, "lease", FAST, &|_| true).unwrap(), Some(Holder::this_process()));
        drop(lease);
        assert_eq!(Lease::holder(&*store, "lease", FAST, &|_| true).unwrap(), None);
        drop(Lease::take(store.clone(), "lease", FAST, &|_| true).unwrap());
    }

    #[test]
    fn a_process_of_this_machine_that_is_gone_holds_nothing() {
        let (_folder, store) = store();
        // Process 1 is there, but did not start at this tick.
        let gone = other(&Holder::this_process().host, 1);
        store.put("lease", &content(&gone, 7), Condition::Always).unwrap();
        drop(Lease::take(store.clone(), "lease", FAST, &|_| true).unwrap());
    }

    #[test]
    fn another_machine_is_waited_for_and_then_taken_over() {
        let (_folder, store) = store();
        let away = other("another-machine", 1);
        store.put("lease", &content(&away, 7), Condition::Always).unwrap();
        let lease = Lease::take(store.clone(), "lease", FAST, &|_| true).unwrap();
        // It comes back, as after a pause of the whole machine, and we see that we have lost it.
        store.put("lease", &content(&away, 8), Condition::Always).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !lease.is_lost() && Instant::now() < deadline {
            std::thread::sleep(FAST.renew_every);
        }
        assert!(lease.is_lost());
        drop(lease);
        assert!(store.get("lease").unwrap().is_some(), "what is another's is not deleted");
    }

    #[test]
    fn another_machine_that_renews_is_left_alone() {
        let (_folder, store) = store();
        let away = other("another-machine", 1);
        store.put("lease", &content(&away, 0), Condition::Always).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn({
                let (store, ended) = (store.clone(), &ended);
                move || {
                    for n in 1.. {
                        std::thread::sleep(FAST.renew_every);
                        store.put("lease", &content(&away, n), Condition::Always).unwrap();
                        if ended.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                }
            });
            let taken = Lease::take(store.clone(), "lease", FAST, &|_| true);
            ended.store(true, Ordering::Relaxed);
            assert!(matches!(taken, Err(Error::Held { .. })));
        });
    }
}
