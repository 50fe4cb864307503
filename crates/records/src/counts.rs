//! Counts that must reconcile: what was read is what was kept plus what was dropped, by reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Reason;

/// What a task, a stage or a run did with its records.
///
/// ```
/// use records::{Counts, Reason};
/// let mut counts = Counts::default();
/// counts.keep();
/// counts.drop(Reason::SelfPost);
/// assert_eq!((counts.read, counts.kept, counts.dropped_total()), (2, 1, 1));
/// assert!(counts.reconcile());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records that went on.
    pub kept: u64,
    /// Records that did not, by reason.
    pub dropped: BTreeMap<Reason, u64>,
}

impl Counts {
    /// Counts one record that is kept.
    pub fn keep(&mut self) {
        self.read += 1;
        self.kept += 1;
    }

    /// Counts one record that is dropped.
    pub fn drop(&mut self, reason: Reason) {
        self.read += 1;
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Counts one record by its verdict: `None` keeps it.
    pub fn record(&mut self, verdict: Option<Reason>) {
        match verdict {
            None => self.keep(),
            Some(reason) => self.drop(reason),
        }
    }

    /// Records dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether `read == kept + Σ dropped`.
    pub fn reconcile(&self) -> bool {
        self.read == self.kept + self.dropped_total()
    }

    /// Adds another task's counts to these.
    pub fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.kept += other.kept;
        for (&reason, &n) in &other.dropped {
            *self.dropped.entry(reason).or_default() += n;
        }
    }
}
