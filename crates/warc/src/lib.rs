//! Web archives: a reader for what crawlers really wrote, and a writer that validators accept.
//!
//! - [`Reader`] streams the records of `.warc`, `.warc.gz` (a member a record, or one for all),
//!   `.warc.zst` and `.arc(.gz)` files, and can go on from any [`Location`] it has given before.
//!   Malformed parts are reported and skipped.
//! - [`http`] takes the HTTP message inside a record apart.
//! - [`Writer`] writes WARC/1.1, one gzip member a record.
//!
//! Left out: zstd dictionaries, CDXJ, deduplicating `revisit` records.

mod headers;
pub mod http;
mod members;
mod reader;
mod writer;

pub use headers::Headers;
pub use reader::{BREAKS_OFF, Event, Kind, Location, Reader, Record, WarcError};
pub use writer::{Date, NewRecord, REVISIT_IDENTICAL_DIGEST, REVISIT_NOT_MODIFIED, Writer, payload_digest, record_id};
