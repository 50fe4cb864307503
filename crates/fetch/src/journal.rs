//! The journal of a worker: what has been done, durably. Each frame is a group of entries.
//!
//! Order of writes: the group's records, sync of the WARC file, the frame, sync of the journal.

use std::net::SocketAddr;

use records::Outcome;
use serde::{Deserialize, Serialize};
use warc::{ArchiveState, JournalFrame, JournalReader, Magic};

use crate::robots::RobotsAnswer;

/// First bytes of a journal file: kind and version.
pub(crate) const MAGIC: Magic = *b"WTFETCH2";

/// Reads the groups of a journal, each with its offset.
pub(crate) type Groups = JournalReader<Group>;

/// Entries that become durable together.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Group(pub(crate) Vec<JournalEntry>);

/// One fact in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum JournalEntry {
    /// First entry of a process: what the following entries belong to.
    Head {
        /// The settings that decide about outcomes, as JSON.
        settings: String,
        /// Checksum of the frontier that `id`s refer to.
        frontier: u64,
    },
    /// A link has its outcome.
    Done {
        id: u64,
        outcome: Box<Outcome>,
        /// The response's record, where one was written.
        stored: Option<Stored>,
    },
    /// A host must not be requested before this time (milliseconds since 1970).
    Rest { host: String, until_unix_ms: u64, consecutive_faults: u32 },
    /// An origin's robots.txt, and when it was requested (seconds since 1970).
    Robots { origin: String, asked_unix_s: u64, answer: RobotsAnswer },
    /// Length of the open WARC file, this frame's records included.
    Warc { number: u32, len_bytes: u64 },
    /// The WARC file of this number is complete; the next one follows.
    Sealed { number: u32 },
    /// A host answered at this address. One per group; a later process probes the network with it.
    Answered { address: SocketAddr },
    /// A fault of this link has been counted against its host.
    Faulted { id: u64 },
}

/// Where a response's record is, for the index of its WARC file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) warc: u32,
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
    pub(crate) digest: String,
    pub(crate) is_revisit: bool,
}

impl JournalFrame for Group {
    fn apply(&self, state: &mut ArchiveState) {
        for entry in &self.0 {
            match *entry {
                JournalEntry::Warc { number, len_bytes } => {
                    *state = ArchiveState { number, len_bytes, is_sealed: false };
                }
                JournalEntry::Sealed { number } => (state.number, state.is_sealed) = (number, true),
                _ => {}
            }
        }
    }
}
