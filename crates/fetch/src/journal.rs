//! What has been done, durably: a journal per worker, of which each frame is a group of entries.
//!
//! Order of writes: the group's records, sync of the WARC file, the frame, sync of the journal.

use std::net::SocketAddr;

use records::Outcome;
use serde::{Deserialize, Serialize};
use warc::{ArchiveState, JournalFrame, JournalReader, Magic};

use crate::robots;

/// What a journal begins with.
pub(crate) const MAGIC: Magic = *b"WTFETCH2";

/// The groups of a journal, each with its offset.
pub(crate) type Groups = JournalReader<Group>;

/// Entries that become durable at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Group(pub(crate) Vec<JournalEntry>);

/// Something that has happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum JournalEntry {
    /// The first of a process: what the entries that follow are of.
    Head {
        /// The settings that decide about outcomes, as JSON.
        settings: String,
        /// Checksum of the frontier that ids belong to.
        frontier: u64,
    },
    /// A link has its outcome.
    Done {
        id: u64,
        outcome: Box<Outcome>,
        /// The response's record, where one was written.
        stored: Option<Stored>,
    },
    /// A host is not to be asked until then (milliseconds since 1970).
    Rest { host: String, until_unix_ms: u64, consecutive_faults: u32 },
    /// An origin's robots.txt, and when it was asked for (seconds since 1970).
    Robots { origin: String, asked_unix_s: u64, answer: robots::Answer },
    /// The WARC file of this number is so long with the frame's records in it.
    Warc { number: u32, len_bytes: u64 },
    /// The WARC file of this number is sealed; the next one follows.
    Sealed { number: u32 },
    /// A host answered at this address; one per group, by which a later process can probe the network.
    Answered { address: SocketAddr },
}

/// Where a response's record lies, for the index of its WARC file.
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
