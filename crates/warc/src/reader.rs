//! Records out of WARC and ARC archives; malformed ones are reported and skipped.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use crate::arc::ArcLine;
use crate::fault::RecordFault;
use crate::headers::Headers;
use crate::http::{begins_as_html, begins_message, binary_type};
use crate::members::{DecodeError, Members};
use crate::raw::Checksum;
use crate::record::{Event, Kind, Location, Record};

/// The longest header line, and the most header lines, that are accepted: more than other readers do.
const MAX_HEADER_LINE_BYTES: usize = 1 << 20;
const MAX_HEADER_LINES: usize = 10_000;
const MAX_HEADER_BYTES: usize = 4 << 20;
/// How often a search for the next record may begin again inside one compressed member; each search inflates it anew.
const MAX_SEARCHES_PER_MEMBER: u32 = 100;
/// Bytes that lying lengths of a plain archive may have read twice, before a longer block than this is a fault unread.
const MAX_REREAD_BYTES: u64 = 4 << 30;
const MAX_BLOCK_BYTES_AFTER_REREADS: u64 = 64 << 10;
/// Bytes at the start of a file by which it is named if it is no archive: tar has its signature behind the first name.
const FILE_TYPE_BYTES: usize = 512;
const RECORD_END: &[u8] = b"\r\n\r\n";
/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Bytes behind a block in which the next record's first line must begin.
const NEXT_LINE_BYTES: usize = 4096;
/// A block of a plain archive that claims more than this is first compared with the archive's length.
const MAX_TRUSTED_CLAIM_BYTES: u64 = 1 << 20;

/// An archive could not be opened or read; malformed content is an [`Event`] instead.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {archive} at byte {offset}")]
#[non_exhaustive]
pub struct ReadError {
    /// The archive: its path, or the name that [`Reader::new`] was given.
    pub archive: String,
    /// How far it was read.
    pub offset: u64,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// A streaming reader. Memory: one record up to `max_block_bytes`, and some megabytes of buffers.
pub struct Reader {
    archive: String,
    members: Members,
    max_block_bytes: u64,
    /// Whether a member is open.
    open: bool,
    /// The current line, and the header lines of a record.
    line: Vec<u8>,
    head: Vec<u8>,
    /// A record whose first line is in `line` already: the search for it ended there.
    found: Option<Location>,
    /// Whether the archive has had ARC records, so that damage may be followed by some.
    is_arc: bool,
    /// What the file is where it is no archive, as its first bytes tell.
    other_file: Option<RecordFault>,
    /// How many searches for a record began inside the member at this offset.
    searches: (u64, u32),
    /// Bytes of blocks that were read again, since a record began in them.
    reread_bytes: u64,
}

impl Reader {
    /// Opens an archive that is a file; longer blocks than `max_block_bytes` are cut there.
    pub fn open(path: &Path, max_block_bytes: u64) -> Result<Reader, ReadError> {
        let archive = path.display().to_string();
        match File::open(path) {
            Ok(file) => Reader::new(file, archive, max_block_bytes),
            Err(source) => Err(ReadError { archive, offset: 0, source }),
        }
    }

    /// Reads an archive from a source at its beginning; errors name it as `archive`.
    ///
    /// The reader buffers: a source needs no buffer of its own. It is sought in only for damage,
    /// [`seek`](Reader::seek), a large zstd dictionary, and blocks of plain archives that claim more than 1 MiB.
    pub fn new(
        source: impl Read + Seek + Send + 'static,
        archive: String,
        max_block_bytes: u64,
    ) -> Result<Reader, ReadError> {
        match Members::new(Box::new(source)) {
            Ok(members) => Ok(Reader {
                archive,
                members,
                max_block_bytes,
                open: false,
                line: Vec::new(),
                head: Vec::new(),
                found: None,
                is_arc: false,
                other_file: None,
                searches: (0, 0),
                reread_bytes: 0,
            }),
            Err(source) => Err(ReadError { archive, offset: 0, source }),
        }
    }

    /// The next record or malformed part; `None` at the end of the archive. After an error, only a
    /// [`seek`](Reader::seek) leads on.
    #[expect(clippy::should_implement_trait, reason = "an error ends the archive, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Event>, ReadError> {
        if let Some(location) = self.found.take() {
            return self.record_or_malformed(location).map(Some);
        }
        if let Some(name) = self.members.compressed_parts.pop() {
            let location = Location { offset: 0, offset_in_member: 0 };
            return Ok(Some(Event::Malformed { location, fault: RecordFault::CompressedInZip(name) }));
        }
        let location = match self.start_of_record() {
            Ok(None) => return Ok(None),
            Ok(Some(location)) => location,
            Err(error) => return self.recover(self.here(), error).map(Some),
        };
        if self.is_at_beginning() {
            self.other_file = self.members.peek(FILE_TYPE_BYTES).ok().and_then(other_file);
        }
        match self.read_header_line() {
            Ok(()) => self.record_or_malformed(location).map(Some),
            Err(error) => self.recover(location, error).map(Some),
        }
    }

    /// How many bytes of the archive have been read, for progress.
    pub fn position(&self) -> u64 {
        self.members.position()
    }

    /// Goes to a location that was given before: [`next`](Reader::next) gives what is there. Fails where nothing can be
    /// decoded up to it, which means that the location is of another archive.
    pub fn seek(&mut self, location: Location) -> Result<(), ReadError> {
        // A caller that looks for one record needs no list of the archives that the ZIP file compresses.
        self.members.compressed_parts.clear();
        self.try_seek(location).map_err(|error| match error {
            DecodeError::Source(source) => self.error(source),
            DecodeError::Malformed(fault) => self.error(io::Error::new(io::ErrorKind::InvalidData, fault)),
        })
    }

    /// Length and checksum of the whole archive as it is stored.
    ///
    /// Bytes are hashed as they are read, each once, so that at the end of the archive nothing is left to do. What was
    /// not read, because the reader stopped early or a [`seek`](Reader::seek) jumped over it, is read now.
    pub fn finish(mut self) -> Result<Checksum, ReadError> {
        self.members.finish().map_err(|source| self.error(source))
    }

    fn try_seek(&mut self, location: Location) -> Result<(), DecodeError> {
        self.found = None;
        self.members.seek_to(location)?;
        self.open = false;
        self.open = self.members.next_member()?;
        while self.open && self.members.offset_in_member < location.offset_in_member {
            let missing = location.offset_in_member - self.members.offset_in_member;
            let n = self.members.fill_buf()?.len();
            if n == 0 && !self.members.continue_member()? {
                break;
            }
            self.members.consume(n.min(usize::try_from(missing).unwrap_or(usize::MAX)));
        }
        Ok(())
    }

    /// The record at `location`, whose first line is read.
    fn record_or_malformed(&mut self, location: Location) -> Result<Event, ReadError> {
        let result = if is_warc(&self.line) { self.read_warc(location) } else { self.read_arc(location) };
        match result {
            Ok(record) => Ok(Event::Record(record)),
            Err(error) => self.recover(location, error),
        }
    }

    fn is_at_beginning(&self) -> bool {
        self.here() == Location { offset: 0, offset_in_member: 0 }
    }

    fn here(&self) -> Location {
        Location { offset: self.members.offset, offset_in_member: self.members.offset_in_member }
    }

    /// Skips what is blank between records, and goes to the next member where one ends.
    fn start_of_record(&mut self) -> Result<Option<Location>, DecodeError> {
        loop {
            if !self.open {
                self.open = self.members.next_member()?;
                if !self.open {
                    return Ok(None);
                }
            }
            if self.is_at_beginning() && self.members.peek(BYTE_ORDER_MARK.len())?.starts_with(BYTE_ORDER_MARK) {
                self.members.consume(BYTE_ORDER_MARK.len());
                continue;
            }
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                self.open = false;
                continue;
            }
            let blank = bytes.iter().take_while(|byte| is_blank(**byte)).count();
            if blank == 0 {
                return Ok(Some(self.here()));
            }
            self.members.consume(blank);
        }
    }

    fn read_warc(&mut self, location: Location) -> Result<Record, DecodeError> {
        self.head.clear();
        let mut lines = 0;
        loop {
            self.read_header_line()?;
            if self.line.is_empty() {
                break;
            }
            lines += 1; // folded lines, too: they lengthen a value
            if lines > MAX_HEADER_LINES || self.head.len() > MAX_HEADER_BYTES {
                return Err(RecordFault::TooManyHeaderLines.into());
            }
            if self.begins_record() {
                return Err(RecordFault::MalformedHeader.into());
            }
            self.head.extend_from_slice(&self.line);
            self.head.push(b'\n');
        }
        let headers = Headers::parse(&self.head);
        let len_bytes: u64 = headers
            .get("Content-Length")
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| DecodeError::from(RecordFault::NoContentLength))?;
        let kind = Kind::named(headers.get("WARC-Type").unwrap_or(""));
        let block = self.read_block(location, len_bytes)?;
        self.with_true_length(Record { location, kind, headers, ..block })
    }

    fn read_arc(&mut self, location: Location) -> Result<Record, DecodeError> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        let Some(arc) = ArcLine::parse(&line) else {
            return Err(self.no_record(location).into());
        };
        self.is_arc = true;
        let len_bytes = arc.len_bytes;
        let block = self.read_block(location, len_bytes)?;
        let kind = match () {
            () if arc.target.starts_with("filedesc:") => Kind::Warcinfo,
            () if begins_message(&block.body) => Kind::Response,
            () => Kind::Resource,
        };
        let headers = [
            ("WARC-Target-URI", arc.target),
            ("WARC-IP-Address", arc.address),
            ("WARC-Date", arc.date),
            ("Content-Type", arc.content_type),
        ];
        let headers = headers.into_iter().collect();
        self.with_true_length(Record { location, kind, headers, ..block })
    }

    /// The record, cut before the next one if its length reaches into that: the text of one page is never in another,
    /// and no record is lost.
    ///
    /// A block may hold an archive, so a record inside it proves nothing as long as one, or the end, is behind it.
    /// A block that is longer than it claims is followed by something malformed.
    fn with_true_length(&mut self, record: Record) -> Result<Record, DecodeError> {
        if !record.is_truncated && self.ends_here()? {
            return Ok(record);
        }
        let Some(end) = self.record_inside(&record.body).or_else(|| self.record_begun_in(&record.body)) else {
            return match record.is_truncated {
                true => Ok(without_record_end(record)),
                false if record.is_cut() => Err(RecordFault::WrongLength.into()),
                false => Ok(record),
            };
        };
        self.count_search(record.location);
        if !self.members.is_plain() && self.searches.1 > MAX_SEARCHES_PER_MEMBER {
            return Err(RecordFault::WrongLength.into());
        }
        let here = self.here();
        self.reread_bytes += record.len_bytes - end as u64;
        let next = here.offset_in_member - record.len_bytes + end as u64;
        self.try_seek(Location { offset: record.location.offset, offset_in_member: next })?;
        let mut body = record.body;
        body.truncate(end);
        for line_end in [&b"\n"[..], b"\r", b"\n", b"\r"] {
            if body.ends_with(line_end) {
                body.truncate(body.len() - 1);
            }
        }
        Ok(Record { len_bytes: body.len() as u64, body, has_wrong_length: true, is_truncated: false, ..record })
    }

    /// Whether the member ends here or a record begins, blank lines aside.
    fn ends_here(&mut self) -> Result<bool, DecodeError> {
        let is_arc = self.is_arc;
        // Damaged compression is reported where it is.
        let Ok(bytes) = self.members.peek(NEXT_LINE_BYTES) else { return Ok(true) };
        let bytes = &bytes[..bytes.len().min(NEXT_LINE_BYTES)];
        let blank = bytes.iter().take_while(|byte| is_blank(**byte)).count();
        let rest = &bytes[blank..];
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        Ok(rest.is_empty() || is_warc(line) || is_arc && ArcLine::parse(&String::from_utf8_lossy(line)).is_some())
    }

    /// Where in a block a line begins that can only be the first of a record.
    fn record_inside(&self, block: &[u8]) -> Option<usize> {
        let mut starts = memchr::memchr_iter(b'\n', block).map(|end| end + 1);
        starts.find(|&start| {
            let rest = &block[start..];
            if self.is_arc {
                memchr::memchr(b'\n', rest).is_some_and(|end| ArcLine::is_certain(&rest[..end]))
            } else {
                begins_warc(rest)
            }
        })
    }

    /// Where at the end of a block, whose next bytes are not read yet, a record begins that goes on behind it.
    fn record_begun_in(&mut self, block: &[u8]) -> Option<usize> {
        let from = block.len().saturating_sub(NEXT_LINE_BYTES);
        let behind = self.members.peek(NEXT_LINE_BYTES).ok()?;
        let around = [&block[from..], &behind[..behind.len().min(NEXT_LINE_BYTES)]].concat();
        self.record_inside(&around).map(|at| from + at).filter(|&at| at < block.len())
    }

    /// Counts the searches inside the member of a record.
    fn count_search(&mut self, location: Location) {
        if self.searches.0 != location.offset {
            self.searches = (location.offset, 0);
        }
        self.searches.1 += 1;
    }

    /// What is found where a record should begin.
    fn no_record(&self, location: Location) -> RecordFault {
        let is_first = location == Location { offset: 0, offset_in_member: 0 };
        match &self.other_file {
            Some(fault) if is_first => fault.clone(),
            _ if self.is_arc => RecordFault::NoArcRecord,
            _ => RecordFault::NoRecord,
        }
    }

    /// Reads a header line into `self.line`, without its end.
    fn read_header_line(&mut self) -> Result<(), DecodeError> {
        if self.read_line()? { Ok(()) } else { Err(RecordFault::HeaderLineTooLong.into()) }
    }

    /// Reads a line into `self.line`, without its end; `false` when it is too long, with its rest not yet read.
    fn read_line(&mut self) -> Result<bool, DecodeError> {
        self.line.clear();
        loop {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                self.continue_record()?;
                continue;
            }
            let end = memchr::memchr(b'\n', bytes);
            let n = end.unwrap_or(bytes.len());
            if self.line.len() + n > MAX_HEADER_LINE_BYTES {
                return Ok(false);
            }
            self.line.extend_from_slice(&bytes[..n]);
            self.members.consume(n + usize::from(end.is_some()));
            if end.is_some() {
                // One is the standard's; a few archives went through tools that added another.
                while self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                return Ok(true);
            }
        }
    }

    /// Reads a block of a claimed length, as a record without headers; what is over the limit is read past but not held.
    /// What there is of a block that the end cuts off is the block.
    fn read_block(&mut self, location: Location, claimed_bytes: u64) -> Result<Record, DecodeError> {
        let is_distrusted = self.members.is_plain() && self.reread_bytes > MAX_REREAD_BYTES;
        if is_distrusted && claimed_bytes > MAX_BLOCK_BYTES_AFTER_REREADS {
            return Err(RecordFault::WrongLength.into());
        }
        let mut wanted_bytes = claimed_bytes;
        if claimed_bytes > MAX_TRUSTED_CLAIM_BYTES
            && let Some(remaining_bytes) = self.members.remaining_bytes()?
            && remaining_bytes < claimed_bytes
        {
            self.count_search(location);
            if self.searches.1 > MAX_SEARCHES_PER_MEMBER {
                return Err(RecordFault::ArchiveTruncated.into());
            }
            wanted_bytes = remaining_bytes;
        }
        let mut body = Vec::new();
        let mut read_bytes = 0;
        while read_bytes < wanted_bytes {
            let bytes = match self.members.fill_buf() {
                Err(DecodeError::Malformed(fault)) if fault.is_early_end() && read_bytes > 0 => break,
                other => other?,
            };
            if bytes.is_empty() {
                match self.continue_record() {
                    Err(DecodeError::Malformed(fault)) if fault.is_early_end() && read_bytes > 0 => break,
                    other => other?,
                }
                continue;
            }
            let n = bytes.len().min(usize::try_from(wanted_bytes - read_bytes).unwrap_or(usize::MAX));
            let room = self.max_block_bytes.saturating_sub(body.len() as u64);
            body.extend_from_slice(&bytes[..n.min(usize::try_from(room).unwrap_or(usize::MAX))]);
            self.members.consume(n);
            read_bytes += n as u64;
        }
        let is_truncated = read_bytes < claimed_bytes;
        Ok(Record {
            location,
            kind: Kind::Other,
            headers: Headers::default(),
            body,
            len_bytes: read_bytes,
            has_wrong_length: is_truncated,
            is_truncated,
        })
    }

    /// Goes past the damage, to the next record or member.
    fn recover(&mut self, location: Location, error: DecodeError) -> Result<Event, ReadError> {
        let fault = match error {
            DecodeError::Source(source) => return Err(self.error(source)),
            DecodeError::Malformed(fault) => fault,
        };
        self.find_next_record(location).map_err(|source| self.error(source))?;
        Ok(Event::Malformed { location, fault })
    }

    /// Goes to the next line that begins a record, after the damaged record's first line: first inside its member, then
    /// in the next one. Damage of the compression itself ends the member.
    fn find_next_record(&mut self, location: Location) -> io::Result<()> {
        let is_plain = self.members.is_plain();
        self.count_search(location);
        let is_found = if is_plain || self.searches.1 <= MAX_SEARCHES_PER_MEMBER {
            self.try_seek(location).and_then(|()| self.skip_to_record())
        } else {
            Ok(false)
        };
        match is_found {
            Ok(true) => Ok(()),
            Err(DecodeError::Source(error)) => Err(error),
            // In a plain archive the search has seen the rest of it.
            Ok(false) | Err(DecodeError::Malformed(_)) if is_plain => Ok(()),
            Ok(false) | Err(DecodeError::Malformed(_)) => {
                self.open = false;
                self.members.resynchronise(location.offset)
            }
        }
    }

    /// Skips the current line and all further ones up to one that begins a record, which is left in `self.line`;
    /// `false` at the member's end.
    fn skip_to_record(&mut self) -> Result<bool, DecodeError> {
        let mut location = self.here();
        let mut is_first = true;
        loop {
            let is_whole = self.read_line()?;
            if !is_first && is_whole && self.begins_record() {
                self.found = Some(location);
                return Ok(true);
            }
            if !is_whole && !self.skip_line()? {
                return Ok(false);
            }
            location = self.here();
            is_first = false;
        }
    }

    fn begins_record(&self) -> bool {
        is_warc(&self.line) && self.line.get(5).is_some_and(u8::is_ascii_digit)
            || self.is_arc && ArcLine::is_certain(&self.line)
    }

    /// Skips past the line's end; `false` at the member's end.
    fn skip_line(&mut self) -> Result<bool, DecodeError> {
        loop {
            let bytes = self.members.fill_buf()?;
            let end = memchr::memchr(b'\n', bytes);
            let n = end.map_or(bytes.len(), |end| end + 1);
            self.members.consume(n);
            if n == 0 || end.is_some() {
                return Ok(n > 0);
            }
        }
    }

    /// At the end of a member, where the record should have more.
    fn continue_record(&mut self) -> Result<(), DecodeError> {
        if self.members.is_plain() {
            return Err(RecordFault::ArchiveTruncated.into());
        }
        if !self.is_arc && self.members.continue_member()? {
            return Ok(());
        }
        Err(RecordFault::MemberTruncated.into())
    }

    fn error(&self, source: io::Error) -> ReadError {
        ReadError { archive: self.archive.clone(), offset: self.position(), source }
    }
}

/// A record that was cut off, unless its block ends as a record does: then only its length is wrong.
fn without_record_end(mut record: Record) -> Record {
    if record.body.ends_with(RECORD_END) {
        record.body.truncate(record.body.len() - RECORD_END.len());
        record.len_bytes = record.body.len() as u64;
        record.is_truncated = false;
    }
    record
}

/// Whether a byte stands for nothing between two records: lines without content, and the zeros of a hole that a writer
/// reserved.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// Whether a line is the first of a WARC record: `WARC/1.0`.
fn is_warc(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|magic| magic.eq_ignore_ascii_case(b"WARC/"))
}

/// Whether bytes begin with a WARC record: its version alone on a line, and a field.
fn begins_warc(bytes: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(16)]) else { return false };
    let line = bytes[..end].trim_ascii_end();
    let is_version = is_warc(line) && line[5..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let name = &bytes[end + 1..];
    let name_len = name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    is_version
        && line.len() > 5
        && name_len > 0
        && name[name_len..].trim_ascii_start().first().is_none_or(|byte| *byte == b':')
}

/// What a file is that is no archive; `None` where its first bytes do not tell.
fn other_file(start: &[u8]) -> Option<RecordFault> {
    match binary_type(start) {
        Some("application/zip") => Some(RecordFault::ZipFile),
        Some("application/x-lz4") => Some(RecordFault::Lz4File),
        Some(media_type) => Some(RecordFault::OtherFile(media_type)),
        None => begins_as_html(start).then_some(RecordFault::OtherFile("text/html")),
    }
}
