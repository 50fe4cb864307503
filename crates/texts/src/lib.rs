#![doc = include_str!("../README.md")]

mod decompress;
mod documents;
mod error;
mod lines;
mod parquet_rows;
mod source;

pub use decompress::{decompress, decompress_exactly};
pub use documents::{Document, Documents, Event, Options};
pub use error::{Error, RowError};
pub use lines::{Line, Lines};
pub use parquet_rows::{BatchRows, ParquetBatch, ParquetRow, ParquetRows};
pub use source::Source;
