//! What has been done, durably: frames ([`crate::frames`]), each a group of outcomes.
//!
//! Order of writes: the group's records, sync of the WARC file, the frame, sync of the journal. After a kill the WARC
//! file is cut to the length that the last whole frame gives.

use std::net::SocketAddr;

use records::Outcome;
use serde::{Deserialize, Serialize};

use crate::frames::{FrameReader, Magic};
use crate::robots;

/// What a journal begins with.
pub(crate) const MAGIC: Magic = *b"WTFETCH2";

/// The groups of a journal.
pub(crate) type Groups = FrameReader<Vec<Happened>>;

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Happened {
    /// The first of a journal: what it is of.
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
    /// A host is to be left in peace until then (milliseconds since 1970).
    Rest { host: String, until_unix_ms: u64, faults_in_a_row: u32 },
    /// An origin's robots.txt, and when it was asked for (seconds since 1970).
    Robots { origin: String, asked_unix_s: u64, answer: robots::Answer },
    /// The WARC file of this number is so long with the frame's records in it.
    Warc { number: u32, len_bytes: u64 },
    /// The WARC file of this number is closed; the next one follows.
    Sealed { number: u32 },
    /// Somebody answered at this address; one of each group, by which a later process can look at the network.
    Heard { address: SocketAddr },
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
