//! The files that stages exchange, on local disk or in object storage behind one interface. It knows no row type and no
//! stage.
//!
//! - [`Store`] is a place for objects: ranged reads, whole or conditional puts, listings. [`LocalStore`] is a folder;
//!   [`open`] also opens buckets of object storage by their URL.
//! - [`table`]: Parquet, for rows that people and other tools read.
//! - [`numbers`]: Parquet of ids and numbers whose columns are known at run time.
//! - [`buckets`]: rows routed by hash, written by many tasks and each bucket read by one.
//! - [`catalogue`]: a header and numbered entries, each readable without the others, for plans and seals.
//! - [`sort`]: an external merge sort, so that order never costs more memory than a setting allows.
//! - [`lease`]: which process works in a run, by conditional puts rather than file locks.
//!
//! Left out: running threads, recipes, and any meaning of a row.

pub mod buckets;
pub mod catalogue;
mod error;
mod hash;
pub mod lease;
pub mod numbers;
mod remote;
pub mod sort;
mod store;
pub mod table;

pub use error::{Error, Result};
pub use hash::{bucket_of, checksum_file, checksum_hex};
pub use remote::{RemoteObject, is_remote, open, open_blob};
pub use store::{Blob, BlobReader, Condition, Listed, LocalBlob, LocalStore, PutOutcome, State, Store, Tag, Upload};
