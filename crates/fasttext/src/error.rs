//! Why a file is not a usable model.

use std::path::PathBuf;

/// A model file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the fastText model {}", path.display())]
#[non_exhaustive]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub source: ReadError,
}

/// What is wrong with the bytes of a model. Offsets count from the first byte.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused.
    #[error("reading failed")]
    Io(#[from] std::io::Error),
    /// The first four bytes are not those of a fastText model.
    #[error("not a fastText model: it begins with {found:#010x}, not {:#010x}", crate::model::MAGIC)]
    Magic {
        /// The first four bytes, little-endian.
        found: u32,
    },
    /// A format that is not known.
    #[error("format version {found}; versions 11 and 12 are known")]
    Version {
        /// The version that the file states.
        found: i32,
    },
    /// The file ends before what it announces.
    #[error("cut off at byte {len_bytes}: {needed_bytes} bytes from byte {offset} on were announced")]
    CutOff {
        /// Length of the file.
        len_bytes: u64,
        /// Where the announced part begins.
        offset: u64,
        /// Its length.
        needed_bytes: u64,
    },
    /// The file continues after the model.
    #[error("the model ends at byte {offset}, the file at byte {len_bytes}")]
    TrailingBytes {
        /// Where the model ends.
        offset: u64,
        /// Length of the file.
        len_bytes: u64,
    },
    /// Word vectors without labels.
    #[error("a {} model, not a supervised one", if *model == 1 { "cbow" } else { "skip-gram" })]
    NotSupervised {
        /// 1 for cbow, 2 for skip-gram.
        model: i32,
    },
    /// A supervised model with nothing to predict.
    #[error("the model has no labels")]
    NoLabels,
    /// A number that is out of the range of fastText's models.
    #[error("{name} is {value} at byte {offset}")]
    Setting {
        /// Name of the setting, as fastText's.
        name: &'static str,
        /// Its value.
        value: i64,
        /// Its first byte.
        offset: u64,
    },
    /// A matrix that does not fit the dictionary or the dimension.
    #[error(
        "the {matrix} matrix at byte {offset} is of {rows} × {columns} numbers, not {expected_rows} × {expected_columns}"
    )]
    Dimensions {
        /// `input` or `output`.
        matrix: &'static str,
        /// Rows that the file states.
        rows: i64,
        /// Columns that the file states.
        columns: i64,
        /// Rows that the dictionary requires.
        expected_rows: u64,
        /// The dimension in the header.
        expected_columns: u64,
        /// Where the matrix begins.
        offset: u64,
    },
    /// A weight that is no number, or larger than a million: the training diverged, and sums would overflow.
    #[error("the weight at byte {offset} is {value}")]
    Weight {
        /// Its first byte.
        offset: u64,
        /// Its value.
        value: f32,
    },
    /// A label that is no text.
    #[error("label {index} is not valid UTF-8")]
    LabelNotUtf8 {
        /// Its place among the labels, from 0.
        index: usize,
    },
}
