//! The rows that stages of de-duplication exchange.

use ::dedup::BandHash;
use serde::{Deserialize, Serialize};

store::spill_rows!(ExactRow = 1, BandRow = 1, CandidatePair = 1, Candidate = 1, EdgeRow = 1, DroppedRow = 1);

/// A kept document. The first document of a cluster in this order represents it: the highest karma first, then the
/// smallest id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct DocumentRef {
    /// Karma, negated; 1 for documents without any.
    pub(in crate::stages) rank: i64,
    /// The document's id as a number.
    pub(in crate::stages) id: u128,
    /// Duplicate key of its page.
    pub(in crate::stages) key: String,
    /// XXH3 of the name of its documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file, from 0.
    pub(in crate::stages) row: u64,
}

/// A kept document under the hash of its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct ExactRow {
    /// The hash.
    pub(in crate::stages) text_hash: u64,
    /// The document.
    pub(in crate::stages) document: DocumentRef,
}

/// A kept document under the hash of one band of its signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct BandRow {
    /// The hash.
    pub(in crate::stages) band: BandHash,
    /// The hash of the document's words.
    pub(in crate::stages) text_hash: u64,
    /// The document.
    pub(in crate::stages) document: DocumentRef,
}

/// Two documents that share a band; `a` comes first in the order of documents. Sorted by the place of `a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct CandidatePair {
    /// File and row of `a`.
    pub(in crate::stages) a_place: (u64, u64),
    /// The first document.
    pub(in crate::stages) a: DocumentRef,
    /// The other one.
    pub(in crate::stages) b: DocumentRef,
}

/// A candidate pair with the shingles of `a`, for the task that reads `b`. Sorted by the place of `b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct Candidate {
    /// File and row of `b`.
    pub(in crate::stages) b_place: (u64, u64),
    /// The other document.
    pub(in crate::stages) b: DocumentRef,
    /// The first document.
    pub(in crate::stages) a: DocumentRef,
    /// Its shingles, sorted.
    pub(in crate::stages) shingles: Vec<u64>,
}

/// A verified pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::stages) struct EdgeRow {
    /// One document.
    pub(in crate::stages) a: DocumentRef,
    /// The other.
    pub(in crate::stages) b: DocumentRef,
    /// Their similarity.
    pub(in crate::stages) jaccard: f32,
    /// Whether the words are the same.
    pub(in crate::stages) exact: bool,
}

/// A row of a documents file that is dropped. Sorted by file and row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct DroppedRow {
    /// XXH3 of the name of the documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file.
    pub(in crate::stages) row: u64,
    /// Whether it has the words of its representative; otherwise it is a near-duplicate.
    pub(in crate::stages) exact: bool,
}
