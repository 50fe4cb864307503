//! The vocabulary of a data set: what a link, a capture and a document are, and why one is dropped.
//!
//! - [`Link`], [`Outcome`], [`DocumentText`], [`Document`], [`EditedText`], [`Duplicate`], [`CutSpans`], [`Exclusion`]: the rows of the
//!   tables that people read. A field's documentation is the column's.
//! - [`Reason`]: why something was dropped; [`Counts`]: how many records were read, kept, and dropped for each reason.
//! - [`PageKey`]: domain and duplicate key, which identify a page in all of them.
//!
//! Left out: files, stages, and any rule that decides.

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
