//! Web archives: a reader for what crawlers really wrote, and a writer that validators accept.
//!
//! - [`Reader`] streams the records of WARC (any version) and ARC files: plain, gzip (a member a record, or one
//!   for all), and zstd, with its dictionary in the first frame or without. It can go on from any [`Location`]
//!   that it has given before. Malformed parts are reported and skipped.
//! - [`http`] takes the HTTP message inside a record apart.
//! - [`Writer`] writes WARC/1.1, one gzip member a record, with digests.
//! - [`ArchiveWriter`] writes archives of a given length, and goes on after a kill.
//! - [`cdxj`] writes the index beside an archive.
//!
//! Left out: testing the digests of records that are read, joining segmented records, resolving `revisit`
//! records, LZ4 and WACZ (both are named when met), and archives that are not files.

mod archive_writer;
pub mod cdxj;
mod date;
mod headers;
pub mod http;
mod members;
mod raw;
mod reader;
pub mod surt;
mod writer;

pub use archive_writer::{
    ArchiveError, ArchiveNames, ArchiveState, ArchiveWriter, JournalEnd, JournalFrame, JournalReader, Magic,
    read_frame_at,
};
pub use date::{Date, unix_seconds};
pub use headers::Headers;
pub use raw::Checksum;
pub use reader::{BREAKS_OFF, Error, Event, Kind, Location, Reader, Record};
pub use writer::{NewRecord, REVISIT_IDENTICAL_DIGEST, REVISIT_NOT_MODIFIED, Writer, payload_digest, record_id};
