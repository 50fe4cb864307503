#![doc = include_str!("../README.md")]

mod compress;
mod decompress;
mod documents;
mod error;
mod fields;
mod file_name;
mod foreign;
mod json_fields;
mod lines;
mod parquet_rows;
mod parquet_writer;
mod row_json;
mod row_writer;
mod rows;
mod source;

pub use compress::CompressedFile;
pub use decompress::{decompress, decompress_exactly};
pub use documents::{DEFAULT_MAX_TEXT_BYTES, DocumentOptions, Documents, TextDocument};
pub use error::{DocumentFault, Error, MalformedRecord, RecordPlace, RowError, WriteError};
pub use fields::{text_of_line, without_lone_surrogates};
pub use file_name::{Compression, TextFormat, check_header};
pub use foreign::ForeignFormat;
pub use lines::{Line, Lines};
pub use parquet_rows::{BatchRows, ParquetBatch, ParquetRow, ParquetRows};
pub use row_writer::{NoFields, RowWriter};
pub use rows::{DocumentRow, RowReader};
pub use source::{Source, records_in};
