#![doc = include_str!("../README.md")]

mod counts;
mod reason;
mod rows;

pub use counts::Counts;
pub use reason::Reason;
pub use rows::{
    CaptureChoice, CutSpans, Document, DocumentText, Duplicate, EditedText, Exclusion, Fingerprint, Link, Outcome,
    OverlapMatch, OverlapSet, PageKey,
};

use xxhash_rust::xxh3::xxh3_128;

/// The id of the document with this duplicate key: its XXH3-128 as 32 hexadecimal digits.
///
/// ```
/// let id = records::document_id("example,com)/a");
/// assert_eq!(id.len(), 32);
/// assert_eq!(id, records::document_id("example,com)/a"));
/// ```
pub fn document_id(key: &str) -> String {
    format!("{:032x}", xxh3_128(key.as_bytes()))
}
