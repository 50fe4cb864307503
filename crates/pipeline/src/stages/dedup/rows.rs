//! The rows that stages of de-duplication exchange.

use std::cmp::Ordering;

use ::dedup::{BandHash, ExactPair, Jaccard, NearPair, Ranked, Sketch};
use serde::{Deserialize, Serialize};

use crate::recipe::MAX_KEEP_KEYS;

store::spill_rows!(
    ExactRow = 2,
    BandRow = 2,
    CandidatePair = 2,
    Candidate = 2,
    ExactEdge = 1,
    NearEdge = 1,
    ResolvedRow = 1,
    UnitRow = 1,
    CopyRow = 1,
    RangeRow = 1,
    FoundNgram = 1,
    NgramDocuments = 1,
    SetShare = 1
);

/// A kept document, in the order in which documents are preferred: by the values of the recipe's keys, then by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct DocumentRef {
    /// The values of the keys, each such that the smaller one is preferred; 0 where there are fewer keys.
    pub(in crate::stages) rank: [i64; MAX_KEEP_KEYS],
    /// The document's id as a number.
    pub(in crate::stages) id: u128,
    /// XXH3 of the name of its documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file, from 0; of an input of `webtext dedup`, the number of the line or row.
    pub(in crate::stages) row: u64,
}

/// The rank of documents of an earlier run, which are preferred to all others; no value of a key is so small.
pub(in crate::stages) const EARLIER: [i64; MAX_KEEP_KEYS] = [i64::MIN; MAX_KEEP_KEYS];

impl DocumentRef {
    /// Whether an earlier run has the document.
    pub(in crate::stages) fn is_earlier(&self) -> bool {
        self.rank == EARLIER
    }
}

impl Ranked for DocumentRef {
    fn place(&self) -> (u64, u64) {
        (self.file, self.row)
    }
}

/// A document, sorted by where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct ByPlace(pub(in crate::stages) DocumentRef);

impl Ord for ByPlace {
    fn cmp(&self, other: &ByPlace) -> Ordering {
        self.0.place().cmp(&other.0.place()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ByPlace {
    fn partial_cmp(&self, other: &ByPlace) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A document with the duplicate key of its page, for tables; sorted as the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct KeyedDocument {
    /// The document.
    pub(in crate::stages) document: DocumentRef,
    /// The key; empty for an input of `webtext dedup`.
    pub(in crate::stages) key: String,
}

impl Ranked for KeyedDocument {
    fn place(&self) -> (u64, u64) {
        self.document.place()
    }
}

/// A kept document under the hash of its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct ExactRow {
    /// The hash.
    pub(in crate::stages) text_hash: u64,
    /// The document.
    pub(in crate::stages) document: KeyedDocument,
}

/// A kept document under the hash of one band of its signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct BandRow {
    /// The hash.
    pub(in crate::stages) band: BandHash,
    /// The document.
    pub(in crate::stages) document: DocumentRef,
    /// The hash of the document's words.
    pub(in crate::stages) text_hash: u64,
    /// The sketch of its signature.
    #[serde(with = "serde_bytes")]
    pub(in crate::stages) sketch: Sketch,
}

/// Two documents that are compared. Sorted by the place of the one that comes first in the order of documents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct CandidatePair {
    /// The first document.
    pub(in crate::stages) earlier: ByPlace,
    /// The other one.
    pub(in crate::stages) later: DocumentRef,
}

/// A candidate pair with the shingles of the first document, for the task that reads the other one. Sorted by the place
/// of the latter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct Candidate {
    /// The other document.
    pub(in crate::stages) later: ByPlace,
    /// The first document.
    pub(in crate::stages) earlier: KeyedDocument,
    /// Its shingles, sorted.
    #[serde(with = "little_endian")]
    pub(in crate::stages) shingles: Vec<u64>,
}

/// Numbers as 8 bytes each: hashes are no shorter in another form, and this one is copied whole.
mod little_endian {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(numbers: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        serde_bytes::serialize(&bytes, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }
}

/// Two documents with the same words. Sorted by the first one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct ExactEdge {
    /// The first document with these words.
    pub(in crate::stages) earlier: KeyedDocument,
    /// Another one.
    pub(in crate::stages) later: KeyedDocument,
}

impl From<ExactEdge> for ExactPair<KeyedDocument> {
    fn from(ExactEdge { earlier, later }: ExactEdge) -> ExactPair<KeyedDocument> {
        ExactPair { earlier, later }
    }
}

/// A verified pair of near-duplicates. Sorted by the later document, then by the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct NearEdge {
    /// The one that comes second in the order of documents.
    pub(in crate::stages) later: KeyedDocument,
    /// The one that comes first.
    pub(in crate::stages) earlier: KeyedDocument,
    /// Shingles that both have.
    pub(in crate::stages) shared: u32,
    /// Shingles that either has.
    pub(in crate::stages) either: u32,
}

impl From<NearEdge> for NearPair<KeyedDocument> {
    fn from(NearEdge { later, earlier, shared, either }: NearEdge) -> NearPair<KeyedDocument> {
        NearPair { later, earlier, jaccard: Jaccard { shared, either } }
    }
}

/// What was decided about a row of a documents file. Sorted by file and row; other rows are kept and represent none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct ResolvedRow {
    /// XXH3 of the name of the documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file.
    pub(in crate::stages) row: u64,
    /// The decision.
    pub(in crate::stages) decision: Decision,
}

/// What was decided about a document that is in a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) enum Decision {
    /// It is dropped: it has the words of its representative.
    DropExact,
    /// It is dropped as a near-duplicate.
    DropNear,
    /// It is kept, and stands for so many documents that are dropped.
    KeepFor(u64),
}

/// A unit of a kept document under its hash. Sorted by hash, document and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct UnitRow {
    /// The hash; within a domain, mixed with the domain's.
    pub(in crate::stages) hash: u64,
    /// The document.
    pub(in crate::stages) document: DocumentRef,
    /// The number of the unit in it.
    pub(in crate::stages) unit: u64,
}

/// A unit that is cut. Sorted by file, row and unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct CopyRow {
    /// XXH3 of the name of the documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file.
    pub(in crate::stages) row: u64,
    /// The number of the unit in the document.
    pub(in crate::stages) unit: u64,
}

/// Bytes of a document that are cut. Sorted by file, row and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct RangeRow {
    /// XXH3 of the name of the documents file.
    pub(in crate::stages) file: u64,
    /// Row in that file.
    pub(in crate::stages) row: u64,
    /// The first byte.
    pub(in crate::stages) start: u64,
    /// The byte behind the last one.
    pub(in crate::stages) end: u64,
}

/// An n-gram that a document and an evaluation set have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct FoundNgram {
    /// Its hash.
    pub(in crate::stages) hash: u64,
}

/// The number of documents that hold an n-gram of an evaluation item. Sorted by hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct NgramDocuments {
    /// The hash of the n-gram.
    pub(in crate::stages) hash: u64,
    /// The documents.
    pub(in crate::stages) documents: u64,
}

/// How many n-grams of the documents of a file an evaluation set holds. Sorted by set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct SetShare {
    /// The number of the set.
    pub(in crate::stages) set: u32,
    /// N-grams of the documents.
    pub(in crate::stages) ngrams: u64,
    /// Those that the set holds.
    pub(in crate::stages) found: u64,
}
