//! What workers hand to their page writers, and how much of it is not durable yet.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use url::Url;

use crate::Settings;
use crate::exchange::{Page, Refusal};
use crate::frontier::Row;
use crate::robots;

/// A group also ends when its bodies have so many bytes.
pub(crate) const MAX_GROUP_BYTES: u64 = 64 << 20;

/// What a worker hands to its page writer.
pub(crate) enum Note {
    /// A link has its outcome.
    Finished(Box<Finished>),
    /// A host is not to be asked until then.
    Rest { host: Box<str>, until: Instant, consecutive_faults: u32 },
    /// An origin's robots.txt was asked for just now.
    Robots { origin: String, answer: robots::Answer },
}

/// A link at its end.
pub(crate) struct Finished {
    pub(crate) id: u64,
    pub(crate) row: Row,
    /// The URL that was asked for last; none when the link's own was not one.
    pub(crate) url: Option<Url>,
    pub(crate) result: Result<Page, Refusal>,
    /// The URLs that led here by redirects, the link's own first; empty without redirects.
    pub(crate) via: Vec<Url>,
    /// Signals against use for training, as the host words them.
    pub(crate) signals: Vec<String>,
}

impl Note {
    fn links(&self) -> u64 {
        u64::from(matches!(self, Note::Finished(_)))
    }

    /// Where a page came from.
    pub(crate) fn answered_at(&self) -> Option<SocketAddr> {
        match self {
            Note::Finished(finished) => finished.result.as_ref().ok()?.address,
            Note::Rest { .. } | Note::Robots { .. } => None,
        }
    }

    /// Bytes that wait in memory.
    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Note::Finished(finished) => 1024 + finished.result.as_ref().map_or(0, |page| page.body.len() as u64),
            Note::Rest { .. } => 128,
            Note::Robots { answer: robots::Answer::Text(text), .. } => 256 + text.len() as u64,
            Note::Robots { .. } => 256,
        }
    }
}

/// What a worker has handed over and its page writer has not made durable: a kill loses it.
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

    /// Whether a whole group is not durable; then nothing new is to be asked for.
    pub(crate) fn is_full(&self, settings: &Settings) -> bool {
        self.bytes.load(Relaxed) >= MAX_GROUP_BYTES || self.links.load(Relaxed) >= settings.group_pages as u64
    }
}
