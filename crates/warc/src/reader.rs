//! Records out of WARC and ARC files, malformed ones reported and skipped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::headers::Headers;
use crate::members::Members;

/// The longest header line, and the most header lines, that are believed.
const HEADER_LINE_MAX_BYTES: usize = 64 << 10;
const HEADER_LINES_MAX: usize = 256;
/// How often a search for the next record may begin again inside one compressed member; each inflates it anew.
const RETURNS_MAX: u32 = 100;
/// A block of a plain file that claims more than this is first held against the file's length.
const CLAIM_BYTES: u64 = 1 << 20;
/// What [`Event::Malformed`] says of an archive that was cut off.
pub const BREAKS_OFF: &str = "the file ends in the middle of a record";
/// The same of a compressed member that is itself whole.
const MEMBER_BREAKS_OFF: &str = "the compressed member ends in the middle of a record";

/// The archive could not be opened or read; malformed content is an [`Event`] instead.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {} at byte {offset}", path.display())]
pub struct WarcError {
    /// The archive.
    pub path: PathBuf,
    /// How far it was read.
    pub offset: u64,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// Where a record begins: the compressed member's offset in the file, and the plain bytes before the
/// record inside that member (0 where each record has its own member; the offset itself in plain files).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Byte of the file.
    pub offset: u64,
    /// Plain bytes of the member before the record.
    pub within: u64,
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `warcinfo`, or an ARC file's `filedesc`.
    Warcinfo,
    /// A response; in ARC files, every document.
    Response,
    /// A resource: a payload without an HTTP head.
    Resource,
    /// A request.
    Request,
    /// A capture that refers to an earlier one.
    Revisit,
    /// What a crawler notes about another record.
    Metadata,
    /// Another form of a record's content, such as the plain text in WET files.
    Conversion,
    /// A later part of a record that was written in segments.
    Continuation,
    /// A type that the standard does not have.
    Other,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it begins.
    pub location: Location,
    /// Its type.
    pub kind: Kind,
    /// Header fields in their order; an ARC record's are given WARC names.
    pub headers: Headers,
    /// The block, cut at the reader's limit.
    pub body: Vec<u8>,
    /// The block's length as the record claims it.
    pub len_bytes: u64,
}

impl Record {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// `WARC-Target-URI` without the angle brackets that WARC/1.0 examples led some writers to.
    pub fn target(&self) -> Option<&str> {
        let target = self.header("WARC-Target-URI")?;
        Some(target.trim_start_matches('<').trim_end_matches('>'))
    }

    /// Whether the block was longer than the reader's limit.
    pub fn is_cut(&self) -> bool {
        (self.body.len() as u64) < self.len_bytes
    }
}

/// What a reader finds next.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record.
    Record(Record),
    /// Bytes that are none; reading goes on behind them.
    Malformed {
        /// Where they begin.
        location: Location,
        /// What is wrong.
        what: String,
    },
}

/// A streaming reader. Memory: one record up to the limit, and some megabytes of buffers.
pub struct Reader {
    path: PathBuf,
    members: Members,
    limit_bytes: u64,
    /// Whether a member is open.
    open: bool,
    /// The current line, and the header lines of a record.
    line: Vec<u8>,
    head: Vec<u8>,
    /// A record whose first line is in `line` already: the search for it ended there.
    found: Option<Location>,
    /// Whether the file has had ARC records, so that damage may be followed by some.
    is_arc: bool,
    /// Searches that began again inside the member at this offset.
    returns: (u64, u32),
}

/// Why a record could not be read.
enum Fault {
    Malformed(String),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Malformed(BREAKS_OFF.into()),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Fault::Malformed(error.to_string()),
            // zstd reports damage as an error without a kind of its own.
            io::ErrorKind::Other if error.raw_os_error().is_none() => Fault::Malformed(error.to_string()),
            _ => Fault::Io(error),
        }
    }
}

impl Reader {
    /// Opens an archive; blocks are held up to `limit_bytes` and cut there.
    pub fn open(path: &Path, limit_bytes: u64) -> Result<Reader, WarcError> {
        let members = File::open(path).and_then(Members::open).map_err(|source| WarcError {
            path: path.to_path_buf(),
            offset: 0,
            source,
        })?;
        Ok(Reader {
            path: path.to_path_buf(),
            members,
            limit_bytes,
            open: false,
            line: Vec::new(),
            head: Vec::new(),
            found: None,
            is_arc: false,
            returns: (0, 0),
        })
    }

    /// Bytes of the file taken in so far, for progress.
    pub fn position(&self) -> u64 {
        self.members.position()
    }

    /// Goes to a record that was given before.
    pub fn seek(&mut self, location: Location) -> Result<(), WarcError> {
        let offset = if self.members.is_plain() { location.within } else { location.offset };
        self.try_seek(offset, location.within).map_err(|source| self.error(source))
    }

    fn try_seek(&mut self, offset: u64, within: u64) -> io::Result<()> {
        self.found = None;
        self.members.seek(offset)?;
        self.open = self.members.next_member()?;
        while self.open && self.members.within < within {
            let missing = within - self.members.within;
            let n = self.members.fill_buf()?.len();
            if n == 0 && !self.members.continue_member()? {
                break;
            }
            self.members.consume(n.min(usize::try_from(missing).unwrap_or(usize::MAX)));
        }
        Ok(())
    }

    /// The next record or malformed part; `None` at the end of the file.
    #[expect(clippy::should_implement_trait, reason = "an error ends the file, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Event>, WarcError> {
        if let Some(location) = self.found.take() {
            return self.record_or_fault(location).map(Some);
        }
        let location = match self.start_of_record() {
            Ok(None) => return Ok(None),
            Ok(Some(location)) => location,
            Err(fault) => return self.recover(self.here(), fault).map(Some),
        };
        match self.read_header_line() {
            Ok(()) => self.record_or_fault(location).map(Some),
            Err(fault) => self.recover(location, fault).map(Some),
        }
    }

    /// The record at `location`, whose first line is read.
    fn record_or_fault(&mut self, location: Location) -> Result<Event, WarcError> {
        let result = if is_warc(&self.line) { self.read_warc(location) } else { self.read_arc(location) };
        match result {
            Ok(record) => Ok(Event::Record(record)),
            Err(fault) => self.recover(location, fault),
        }
    }

    fn here(&self) -> Location {
        Location { offset: self.members.offset, within: self.members.within }
    }

    /// Skips the blank lines between records, and goes to the next member where one ends.
    fn start_of_record(&mut self) -> Result<Option<Location>, Fault> {
        loop {
            if !self.open {
                self.open = self.members.next_member()?;
                if !self.open {
                    return Ok(None);
                }
            }
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                self.open = false;
                if self.members.is_plain() {
                    return Ok(None);
                }
                continue;
            }
            let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if blank == 0 {
                return Ok(Some(self.here()));
            }
            self.members.consume(blank);
        }
    }

    fn read_warc(&mut self, location: Location) -> Result<Record, Fault> {
        self.head.clear();
        let mut lines = 0;
        loop {
            self.read_header_line()?;
            if self.line.is_empty() {
                break;
            }
            lines += 1; // folded lines, too: they lengthen a value
            if lines > HEADER_LINES_MAX {
                return Err(Fault::Malformed("more header lines than any writer has".into()));
            }
            if !self.line.starts_with(b" ") && !self.line.starts_with(b"\t") && !self.line.contains(&b':') {
                return Err(Fault::Malformed("a header line without a colon".into()));
            }
            self.head.extend_from_slice(&self.line);
            self.head.push(b'\n');
        }
        let headers = Headers::parse(&self.head);
        let len_bytes: u64 = headers
            .get("Content-Length")
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| Fault::Malformed("no Content-Length that is a number".into()))?;
        let kind = Kind::named(headers.get("WARC-Type").unwrap_or(""));
        let body = self.read_body(len_bytes)?;
        Ok(Record { location, kind, headers, body, len_bytes })
    }

    fn read_arc(&mut self, location: Location) -> Result<Record, Fault> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.is_arc |= line.starts_with("filedesc:");
        let Some(arc) = ArcLine::parse(&line) else {
            return Err(Fault::Malformed(self.not_a_record(location)));
        };
        let len_bytes = arc.len_bytes;
        let body = self.read_body(len_bytes)?;
        let kind = match () {
            () if arc.target.starts_with("filedesc:") => Kind::Warcinfo,
            () if body.starts_with(b"HTTP/") => Kind::Response,
            () => Kind::Resource,
        };
        let headers = [
            ("WARC-Target-URI", arc.target),
            ("WARC-IP-Address", arc.address),
            ("WARC-Date", arc.date),
            ("Content-Type", arc.content_type),
        ];
        Ok(Record { location, kind, headers: headers.into_iter().collect(), body, len_bytes })
    }

    /// What stands at a place where a record should begin.
    fn not_a_record(&self, location: Location) -> String {
        let what = match self.line.as_slice() {
            [b'P', b'K', 3, 4, ..] if location.within == 0 => {
                "a ZIP file, such as a WACZ, whose archives must be taken out"
            }
            [4, 0x22, 0x4d, 0x18, ..] if location.within == 0 => "an LZ4 file, which is not read",
            _ if self.is_arc => "no ARC record begins here",
            _ => "neither a WARC nor an ARC record begins here",
        };
        what.to_owned()
    }

    /// Reads a header line into `self.line`, without its end.
    fn read_header_line(&mut self) -> Result<(), Fault> {
        if self.read_line()? { Ok(()) } else { Err(Fault::Malformed("a header line longer than 64 KiB".into())) }
    }

    /// Reads a line into `self.line`, without its end; `false` when it is too long, and its rest still to be read.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        loop {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                self.continue_record()?;
                continue;
            }
            let end = memchr::memchr(b'\n', bytes);
            let n = end.unwrap_or(bytes.len());
            if self.line.len() + n > HEADER_LINE_MAX_BYTES {
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

    /// Reads a block of a claimed length; what is over the limit is read past but not held.
    fn read_body(&mut self, len_bytes: u64) -> Result<Vec<u8>, Fault> {
        if len_bytes > CLAIM_BYTES && self.members.left().is_some_and(|left| left < len_bytes) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut body = Vec::new();
        let mut missing = len_bytes;
        while missing > 0 {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                self.continue_record()?;
                continue;
            }
            let n = bytes.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            let room = self.limit_bytes.saturating_sub(body.len() as u64);
            body.extend_from_slice(&bytes[..n.min(usize::try_from(room).unwrap_or(usize::MAX))]);
            self.members.consume(n);
            missing -= n as u64;
        }
        Ok(body)
    }

    /// Goes behind the damage, to the next record or member.
    fn recover(&mut self, location: Location, fault: Fault) -> Result<Event, WarcError> {
        let what = match fault {
            Fault::Io(source) => return Err(self.error(source)),
            Fault::Malformed(what) => what,
        };
        self.find_next_record(location).map_err(|source| self.error(source))?;
        Ok(Event::Malformed { location, what })
    }

    /// Goes to the next line that begins a record, behind the damaged record's first line: first inside its
    /// member, then to the next member. Damage of the compression itself ends the member.
    fn find_next_record(&mut self, location: Location) -> io::Result<()> {
        let is_plain = self.members.is_plain();
        if self.returns.0 != location.offset {
            self.returns = (location.offset, 0);
        }
        self.returns.1 += 1;
        let sought = if is_plain || self.returns.1 <= RETURNS_MAX {
            let start = if is_plain { location.within } else { location.offset };
            self.try_seek(start, location.within).and_then(|()| self.skip_to_record())
        } else {
            Ok(false)
        };
        match sought {
            Ok(true) => Ok(()),
            Err(error) if error.raw_os_error().is_some() => Err(error),
            // In a plain file the search has seen the rest of it.
            Ok(false) | Err(_) if is_plain => Ok(()),
            Ok(false) | Err(_) => {
                self.open = false;
                self.members.resynchronise(location.offset)
            }
        }
    }

    /// Skips the current line and all up to one that begins a record, which is left in `self.line`; `false` at
    /// the member's end.
    fn skip_to_record(&mut self) -> io::Result<bool> {
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
            || self.is_arc && std::str::from_utf8(&self.line).is_ok_and(|line| ArcLine::parse(line).is_some())
    }

    /// Skips to behind the line's end; `false` at the member's.
    fn skip_line(&mut self) -> io::Result<bool> {
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
    fn continue_record(&mut self) -> io::Result<()> {
        if self.members.is_plain() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !self.is_arc && self.members.continue_member()? {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, MEMBER_BREAKS_OFF))
    }

    fn error(&self, source: io::Error) -> WarcError {
        WarcError { path: self.path.clone(), offset: self.position(), source }
    }
}

/// Whether a line is the first of a WARC record: `WARC/1.0`.
fn is_warc(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|magic| magic.eq_ignore_ascii_case(b"WARC/"))
}

impl Kind {
    /// The kind that `WARC-Type` names, in any case.
    fn named(name: &str) -> Kind {
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

/// The line before an ARC record: `URL IP date type length`; version 2 has five more fields before the length.
struct ArcLine<'a> {
    target: &'a str,
    address: &'a str,
    date: &'a str,
    content_type: &'a str,
    len_bytes: u64,
}

impl ArcLine<'_> {
    /// Fields are counted from the line's end: some writers left spaces in URLs as they were.
    fn parse(line: &str) -> Option<ArcLine<'_>> {
        let (rest, len) = line.trim_end().rsplit_once(' ')?;
        let len_bytes = len.parse().ok()?;
        [5, 0].into_iter().find_map(|more| {
            let mut fields = rest.rsplitn(more + 4, ' ');
            let content_type = fields.nth(more)?;
            let (date, address, target) = (fields.next()?, fields.next()?, fields.next()?);
            let is_date = (8..=17).contains(&date.len()) && date.bytes().all(|b| b.is_ascii_digit());
            (is_date && target.contains(':')).then_some(ArcLine { target, address, date, content_type, len_bytes })
        })
    }
}
