#![doc = include_str!("../README.md")]

mod decompress;
mod documents;
mod error;
mod lines;
mod parquet_rows;
mod source;

pub use decompress::decompress;
pub use documents::{Document, Documents, Event, Options};
pub use error::{Error, RowError};
pub use lines::{Line, Lines};
pub use parquet_rows::{ParquetRows, Row, RowBatch, Rows};
pub use source::Source;
