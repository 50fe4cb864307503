//! Messages from workers to their page writers, and a count of those that are not durable yet.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use url::Url;

use crate::CrawlSettings;
use crate::frontier::FrontierRow;
use crate::page::Page;
use crate::refusal::Refusal;
use crate::robots::RobotsAnswer;

/// A group is also complete when its bodies reach this size.
pub(crate) const MAX_GROUP_BYTES: u64 = 64 << 20;

/// A message from a worker to its page writer.
pub(crate) enum Note {
    /// A link has its outcome.
    Finished(Box<Finished>),
    /// A host must not be requested before this time.
    Rest { host: Box<str>, until: Instant, consecutive_faults: u32 },
    /// A fault of this link has been counted against its host.
    Faulted { id: u64 },
    /// An origin's robots.txt was requested just now.
    Robots { origin: String, answer: RobotsAnswer },
}

/// A link and its result.
pub(crate) struct Finished {
    pub(crate) id: u64,
    pub(crate) row: FrontierRow,
    /// The last URL requested; `None` when the link's own URL does not parse.
    pub(crate) url: Option<Url>,
    pub(crate) result: Result<Page, Refusal>,
    /// The URLs that redirected here, the link's own first; empty without redirects.
    pub(crate) via: Vec<Url>,
    /// Signals against use for training, as the host wrote them.
    pub(crate) signals: Vec<String>,
}

impl Note {
    fn links(&self) -> u64 {
        u64::from(matches!(self, Note::Finished(_)))
    }

    /// The address that a page came from.
    pub(crate) fn answered_at(&self) -> Option<SocketAddr> {
        match self {
            Note::Finished(finished) => finished.result.as_ref().ok()?.address,
            Note::Rest { .. } | Note::Faulted { .. } | Note::Robots { .. } => None,
        }
    }

    /// Approximate memory of the message.
    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Note::Finished(finished) => 1024 + finished.result.as_ref().map_or(0, |page| page.body.len() as u64),
            Note::Rest { .. } => 128,
            Note::Faulted { .. } => 32,
            Note::Robots { answer: RobotsAnswer::Text(text), .. } => 256 + text.len() as u64,
            Note::Robots { .. } => 256,
        }
    }
}

/// Counts what a worker has sent and its page writer has not made durable: a kill loses it.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicU64,
    links: AtomicU64,
}

impl Backlog {
    pub(crate) fn add(&self, note: &Note) {
        self.bytes.fetch_add(note.len_bytes(), Relaxed);
        self.links.fetch_add(note.links(), Relaxed);
    }

    pub(crate) fn remove(&self, group: &[Note]) {
        for note in group {
            self.bytes.fetch_sub(note.len_bytes(), Relaxed);
            self.links.fetch_sub(note.links(), Relaxed);
        }
    }

    /// Whether a whole group is waiting to become durable. Until it is, no new request starts.
    pub(crate) fn is_full(&self, settings: &CrawlSettings) -> bool {
        self.bytes.load(Relaxed) >= MAX_GROUP_BYTES || self.links.load(Relaxed) >= settings.max_group_pages as u64
    }
}
