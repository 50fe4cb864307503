//! What became of every link and every document, and the files that hold it.
//!
//! The ledger knows no stage. It has the [row types](rows) that stages exchange, the closed list of
//! [reasons](Reason) for which something is dropped, the [counts](Counts) that must reconcile, the
//! [manifest](manifest::Manifest) that makes a task's outputs valid, and four kinds of file:
//!
//! - [`AtomicFile`]: any output; visible under its name only when whole.
//! - [`table`]: Parquet, for rows that people and other tools read.
//! - [`buckets`]: rows routed by hash, written by many tasks and each bucket read by one.
//! - [`sort`]: an external merge sort, so that order never costs more memory than a setting allows.
//!
//! Left out on purpose: threads, clocks, recipes. Everything here is a function of its input.

pub mod atomic;
pub mod buckets;
mod counts;
mod error;
mod hash;
pub mod manifest;
mod reason;
pub mod rows;
pub mod sort;
pub mod table;

pub use atomic::AtomicFile;
pub use counts::Counts;
pub use error::{Error, IoContext, Result};
pub use hash::{bucket_of, checksum_file, checksum_hex, document_id};
pub use reason::Reason;
pub use rows::{Document, Duplicate, Link, Outcome};
