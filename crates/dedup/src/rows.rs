//! The rows that documents become on their way through de-duplication in buckets.

use serde::{Deserialize, Serialize};

use crate::BandHash;

/// A kept document. The order decides which one of a cluster represents it: the highest karma first, then the smallest
/// id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentRef {
    /// Karma, negated; 1 for documents without any.
    pub rank: i64,
    /// The document's id as a number.
    pub id: u128,
    /// Duplicate key of its page.
    pub key: String,
    /// XXH3 of the name of its documents file.
    pub file: u64,
    /// Row in that file, from 0.
    pub row: u64,
}

/// A kept document under the hash of its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExactRow {
    /// The hash.
    pub text_hash: u64,
    /// The document.
    pub document: DocumentRef,
}

/// A kept document under the hash of one band of its signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BandRow {
    /// The hash.
    pub band: BandHash,
    /// The hash of the document's words.
    pub text_hash: u64,
    /// The document.
    pub document: DocumentRef,
}

/// Two documents that share a band; `a` comes first in the order of documents. Sorted by where `a` lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CandidatePair {
    /// File and row of `a`.
    pub a_place: (u64, u64),
    /// The first document.
    pub a: DocumentRef,
    /// The other one.
    pub b: DocumentRef,
}

/// A candidate pair with the shingles of `a`, on its way to `b`. Sorted by where `b` lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// File and row of `b`.
    pub b_place: (u64, u64),
    /// The other document.
    pub b: DocumentRef,
    /// The first document.
    pub a: DocumentRef,
    /// Its shingles, sorted.
    pub shingles: Vec<u64>,
}

/// A verified pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EdgeRow {
    /// One document.
    pub a: DocumentRef,
    /// The other.
    pub b: DocumentRef,
    /// Their similarity.
    pub jaccard: f32,
    /// Whether the words are the same.
    pub exact: bool,
}

/// A row of a documents file that is not to be kept. Sorted by file and row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DroppedRow {
    /// XXH3 of the name of the documents file.
    pub file: u64,
    /// Row in that file.
    pub row: u64,
    /// Whether it has the words of its representative; otherwise it is a near-duplicate.
    pub exact: bool,
}
