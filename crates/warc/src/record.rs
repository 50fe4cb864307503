//! What a reader gives: records, where they begin, and what is no record.

use crate::capture::without_brackets;
use crate::fault::RecordFault;
use crate::headers::Headers;

/// Where a record begins: the compressed member's offset in the archive, and the record's offset in the plain bytes
/// of that member. A plain archive is one member at offset 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Where the compressed member begins in the archive, in bytes.
    pub offset: u64,
    /// How many plain bytes of the member come before the record; 0 where each record has its own member.
    pub offset_in_member: u64,
}

impl std::fmt::Display for Location {
    /// As people look for it: a byte of the archive, which is that of the plain bytes where it is all one member.
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.offset, self.offset_in_member) {
            (offset, 0) => write!(to, "byte {offset}"),
            (0, offset_in_member) => write!(to, "byte {offset_in_member}"),
            (offset, inside) => write!(to, "byte {offset}, and byte {inside} of what is compressed there"),
        }
    }
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `warcinfo`, or an ARC archive's `filedesc`.
    Warcinfo,
    /// A response; in ARC archives, a document that begins with an HTTP status line.
    Response,
    /// A resource: a payload without HTTP headers.
    Resource,
    /// A request.
    Request,
    /// A capture that refers to an earlier one.
    Revisit,
    /// What a crawler notes about another record.
    Metadata,
    /// Another form of a record's content, such as the plain text in Common Crawl's WET files.
    Conversion,
    /// A later part of a record that was written in segments.
    Continuation,
    /// A type that the standard does not have.
    Other,
}

impl Kind {
    /// The kind that `WARC-Type` names, in any case.
    pub(crate) fn named(name: &str) -> Kind {
        const NAMES: [(&str, Kind); 8] = [
            ("response", Kind::Response),
            ("request", Kind::Request),
            ("metadata", Kind::Metadata),
            ("revisit", Kind::Revisit),
            ("resource", Kind::Resource),
            ("warcinfo", Kind::Warcinfo),
            ("conversion", Kind::Conversion),
            ("continuation", Kind::Continuation),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(Kind::Other, |(_, kind)| *kind)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub location: Location,
    /// Its type, from `WARC-Type`.
    pub kind: Kind,
    /// Header fields in their order; an ARC record's fields are given WARC's names.
    pub headers: Headers,
    /// The block, cut at the reader's `max_block_bytes`.
    pub body: Vec<u8>,
    /// The block's length: as the record claims it, or as it is where the archive proves that wrong.
    pub len_bytes: u64,
    /// Whether the archive proves the claimed length wrong: the block goes up to the next record or the member's end.
    pub has_wrong_length: bool,
    /// Whether the archive, or the compressed member, ends before the block does by its claim: what there is of it is the
    /// body.
    pub is_truncated: bool,
}

impl Record {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// `WARC-Target-URI` without the angle brackets that some writers copied from the examples in WARC/1.0.
    pub fn target(&self) -> Option<&str> {
        self.header("WARC-Target-URI").map(without_brackets)
    }

    /// Whether the block was longer than the reader's limit.
    pub fn is_cut(&self) -> bool {
        (self.body.len() as u64) < self.len_bytes
    }

    /// What is to be told of a record that is not whole though it was read.
    pub fn fault(&self) -> Option<RecordFault> {
        self.is_truncated.then_some(RecordFault::ArchiveTruncated)
    }
}

/// What a reader finds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A record.
    Record(Record),
    /// Bytes that are not a record; reading continues after them.
    Malformed {
        /// Where they begin.
        location: Location,
        /// What is wrong.
        fault: RecordFault,
    },
}
