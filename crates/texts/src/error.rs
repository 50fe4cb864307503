//! The errors of reading a source, of a record in it, and of writing a file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::Utf8Error;

use user_error::{Exit, UserError};

use crate::ForeignFormat;

fn past_line(line: u64) -> String {
    if line > 0 { format!(" past line {line}") } else { String::new() }
}

/// A source that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file, or it may not be read.
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    /// The source breaks off.
    #[error("it cannot be read{}", past_line(*line))]
    Read {
        /// Whole lines read before the fault.
        line: u64,
        /// The decompressor's or the system's answer.
        #[source]
        source: io::Error,
    },
    /// The file has no bytes, and is of a kind of which even one without a text has some.
    #[error("it is empty: not even the header of such a file is there")]
    NoHeader,
    /// Parquet is read from its end, which a pipe does not give first.
    #[error("it is Parquet, which cannot be read from a pipe")]
    ParquetInPipe,
    /// The source is of a format that is not read here.
    #[error("it is {0}")]
    Foreign(ForeignFormat),
    /// The source is neither JSON Lines nor Parquet.
    #[error("it is plain text, and documents are read from JSON Lines or Parquet")]
    PlainText,
    /// The Parquet file is damaged, or uses an unsupported feature.
    #[error("it cannot be read as Parquet past row {row}")]
    Parquet {
        /// Rows read before the fault.
        row: u64,
        /// The decoder's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The Parquet file lacks a column that is needed.
    #[error("it has no column {column:?}; its columns are {}", columns.join(", "))]
    MissingColumn {
        /// The column that is needed.
        column: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A column does not hold texts.
    #[error("its column {column:?} holds {data_type} rather than texts")]
    ColumnType {
        /// The column.
        column: String,
        /// What it holds, as Arrow names the type.
        data_type: String,
    },
}

impl UserError for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Foreign(format) => format.hint().map(str::to_owned),
            Error::NoHeader => Some("write or download it again, or leave it out".to_owned()),
            Error::ParquetInPipe => Some("write it to a file first".to_owned()),
            _ => None,
        }
    }

    /// Of a source that breaks off, something was read; of any other, nothing.
    fn exit(&self) -> Exit {
        match self {
            Error::Read { line: 1.., .. } | Error::Parquet { row: 1.., .. } => Exit::SomeUnreadable,
            _ => Exit::Failed,
        }
    }
}

/// A row that does not fit the type that it is read as.
#[derive(Debug, thiserror::Error)]
#[error("the row does not fit")]
pub struct RowError(#[source] pub(crate) serde_arrow::Error);

/// A line or row that holds no document. Reading goes on after it; callers count it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
#[non_exhaustive]
pub struct MalformedRecord {
    /// Where it is.
    pub place: RecordPlace,
    /// What is wrong with it.
    pub fault: DocumentFault,
}

/// Why a line or row holds no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentFault {
    /// Its bytes are not UTF-8.
    #[error(transparent)]
    InvalidUtf8(#[from] Utf8Error),
    /// Its JSON escapes half of a surrogate pair, which is no character; the parser's sentence.
    #[error("{0}")]
    LoneSurrogate(String),
    /// It is not of the form that is read: no JSON, no such field, a value that is no text, a text that is too long.
    #[error("{0}")]
    OtherForm(String),
}

impl From<String> for DocumentFault {
    fn from(what: String) -> DocumentFault {
        DocumentFault::OtherForm(what)
    }
}

/// Where a record is in its source, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPlace {
    /// The line of a file; blank lines count.
    Line(u64),
    /// The row of a table.
    Row(u64),
}

impl RecordPlace {
    /// The number of the line or row.
    pub fn number(self) -> u64 {
        match self {
            RecordPlace::Line(number) | RecordPlace::Row(number) => number,
        }
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordPlace::Line(number) => write!(f, "line {number}"),
            RecordPlace::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// Rows that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file cannot be created, or not be moved into place.
    #[error(transparent)]
    File(#[from] atomic_file::Error),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The compressor's or the system's answer.
        #[source]
        source: io::Error,
    },
    /// The name asks for a Parquet file that is compressed as a whole.
    #[error("{} cannot be written: Parquet compresses its pages itself, so its name ends in .parquet", path.display())]
    CompressedParquet {
        /// The file.
        path: PathBuf,
    },
    /// The name asks for a format that is not written.
    #[error(
        "{} cannot be written: rows are written as JSON Lines (.jsonl, also .jsonl.zst and .jsonl.gz) and as .parquet",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
    },
    /// Rows of different columns: a table has the same ones in all its rows.
    #[error(
        "{} cannot hold rows of inputs that differ in their columns: {} here, {} before; JSON Lines can",
        path.display(), found.join(", "), before.join(", ")
    )]
    OtherColumns {
        /// The file.
        path: PathBuf,
        /// The columns of the row that does not fit.
        found: Vec<String>,
        /// The columns of the rows before it.
        before: Vec<String>,
    },
    /// A row has a value that the file's format cannot hold, or that differs in type from other rows.
    #[error("a row cannot be written to {}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The encoder's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
