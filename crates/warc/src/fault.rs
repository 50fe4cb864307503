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
    /// The next record begins among the header lines.
    #[error("the next record begins inside the header")]
    MalformedHeader,
    /// A header line over 1 MiB.
    #[error("a header line longer than 1 MiB")]
    HeaderLineTooLong,
    /// More than 10,000 header lines, or more than 4 MiB of them.
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
    /// An archive in a ZIP file, by its name there, is compressed by the ZIP file once more: its records have no place.
    #[error("{0} in the ZIP file is compressed once more; take it out of it")]
    CompressedInZip(String),
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

    /// Whether more is lost than the record at hand: the archive's end, or an archive.
    pub fn is_of_archive(&self) -> bool {
        matches!(self, RecordFault::ArchiveTruncated | RecordFault::CompressedInZip(_))
    }

    /// Damaged compressed data, in the decoder's words.
    pub(crate) fn compression(error: impl ToString) -> RecordFault {
        RecordFault::Compression(error.to_string())
    }
}
