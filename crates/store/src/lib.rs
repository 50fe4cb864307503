#![doc = include_str!("../README.md")]

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
