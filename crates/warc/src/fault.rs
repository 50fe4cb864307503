//! What can be wrong with a part of an archive.

/// Why a part of an archive is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The archive ends inside the record: it was truncated.
    #[error("the archive ends in the middle of a record")]
    ArchiveTruncated,
    /// The compressed member ends inside the record, and the member itself is whole.
    #[error("the compressed member ends in the middle of a record")]
    MemberTruncated,
    /// A header line without a colon.
    #[error("a header line without a colon")]
    MalformedHeader,
    /// A header line over 64 KiB.
    #[error("a header line longer than 64 KiB")]
    HeaderLineTooLong,
    /// More than 256 header lines.
    #[error("more header lines than any writer has")]
    TooManyHeaderLines,
    /// `Content-Length` is missing or not a number.
    #[error("no Content-Length that is a number")]
    NoContentLength,
    /// There is neither a WARC nor an ARC record.
    #[error("neither a WARC nor an ARC record begins here")]
    NoRecord,
    /// In an ARC archive, the next record is not an ARC record.
    #[error("no ARC record begins here")]
    NoArcRecord,
    /// The file is a ZIP file without archives.
    #[error("a ZIP file that holds no archive")]
    ZipFile,
    /// The file is compressed with LZ4, which is not supported.
    #[error("an LZ4 file, which is not read")]
    Lz4File,
    /// The file is of another format: its media type, as its content tells.
    #[error("no archive but a file of type {0}")]
    OtherFile(&'static str),
    /// The block does not end where its length says, and is too long to be searched for its end.
    #[error("the record does not end where its length says")]
    WrongLength,
    /// Compressed data is damaged.
    #[error("{0}")]
    Compression(String),
}

impl RecordFault {
    /// Whether the bytes end inside a record that is whole up to there.
    pub(crate) fn is_early_end(&self) -> bool {
        matches!(self, RecordFault::ArchiveTruncated | RecordFault::MemberTruncated)
    }

    /// Damaged compressed data, in the decoder's words.
    pub(crate) fn compression(error: impl ToString) -> RecordFault {
        RecordFault::Compression(error.to_string())
    }
}
