#![doc = include_str!("../README.md")]

mod arc;
mod archive_writer;
mod capture;
pub mod cdxj;
mod date;
mod digest;
mod fault;
mod headers;
pub mod http;
mod members;
mod raw;
mod reader;
mod record;
pub mod surt;
mod writer;

pub use archive_writer::{
    ArchiveError, ArchiveNames, ArchiveState, ArchiveWriter, JournalEnd, JournalFrame, JournalReader, Magic,
    read_frame_at,
};
pub use capture::{Capture, NoCapture, Revisit};
pub use date::{Date, unix_microseconds, unix_seconds};
pub use digest::Digest;
pub use fault::RecordFault;
pub use headers::Headers;
pub use members::{ZIP_MAGIC, begins_archive, is_archive_name};
pub use raw::Checksum;
pub use reader::{ReadError, Reader};
pub use record::{Event, Kind, Location, Record};
pub use writer::{NewRecord, REVISIT_IDENTICAL_DIGEST, REVISIT_NOT_MODIFIED, Writer, payload_digest, record_id};
