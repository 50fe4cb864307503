use std::io;

/// A source that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source cannot be opened or breaks off.
    #[error("it cannot be read past line {line}")]
    Read {
        /// Whole lines read before the fault.
        line: u64,
        /// The decompressor's or the system's answer.
        #[source]
        source: io::Error,
    },
    /// The source is neither JSON Lines nor Parquet.
    #[error("it is plain text, and documents are read from JSON Lines or Parquet")]
    PlainText,
    /// The Parquet file is damaged, or made in a way that is not known.
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

/// A row that does not fit the type that it was to be read as.
#[derive(Debug, thiserror::Error)]
#[error("the row does not fit")]
pub struct RowError(#[source] pub(crate) serde_arrow::Error);
