//! Records out of WARC and ARC files, malformed ones reported and skipped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::members::Members;

/// The longest header line, and the most header lines, that are believed.
const HEADER_LINE_MAX_BYTES: usize = 64 << 10;
const HEADER_LINES_MAX: usize = 256;
/// What [`Event::Malformed`] says of an archive that was cut off.
pub const BREAKS_OFF: &str = "the file ends in the middle of a record";

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
    /// Anything else: metadata, conversion, continuation, unknown types.
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
    pub headers: Vec<(String, String)>,
    /// The block, cut at the reader's limit.
    pub body: Vec<u8>,
    /// The block's length as the record claims it.
    pub len_bytes: u64,
}

impl Record {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
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

/// A streaming reader. Memory: one record up to the limit.
pub struct Reader {
    path: PathBuf,
    members: Members,
    limit_bytes: u64,
    /// Whether a member is open.
    open: bool,
    line: Vec<u8>,
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
        Ok(Reader { path: path.to_path_buf(), members, limit_bytes, open: false, line: Vec::new() })
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
        self.members.seek(offset)?;
        self.open = self.members.next_member()?;
        while self.open && self.members.within < within {
            let missing = within - self.members.within;
            let n = self.members.fill_buf()?.len();
            if n == 0 {
                break;
            }
            self.members.consume(n.min(usize::try_from(missing).unwrap_or(usize::MAX)));
        }
        Ok(())
    }

    /// The next record or malformed part; `None` at the end of the file.
    #[expect(clippy::should_implement_trait, reason = "an error ends the file, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Event>, WarcError> {
        let location = match self.start_of_record() {
            Ok(None) => return Ok(None),
            Ok(Some(location)) => location,
            Err(fault) => return self.recover(self.here(), fault).map(Some),
        };
        match self.read_record(location) {
            Ok(record) => Ok(Some(Event::Record(record))),
            Err(fault) => self.recover(location, fault).map(Some),
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

    fn read_record(&mut self, location: Location) -> Result<Record, Fault> {
        self.read_line()?;
        if self.line.starts_with(b"WARC/") { self.read_warc(location) } else { self.read_arc(location) }
    }

    fn read_warc(&mut self, location: Location) -> Result<Record, Fault> {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(12);
        let mut lines = 0;
        loop {
            self.read_line()?;
            if self.line.is_empty() {
                break;
            }
            lines += 1; // folded lines, too: they lengthen a value
            if lines > HEADER_LINES_MAX {
                return Err(Fault::Malformed("more header lines than any writer has".into()));
            }
            let line = String::from_utf8_lossy(&self.line);
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            } else {
                return Err(Fault::Malformed("a header line without a colon".into()));
            }
        }
        let find = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let len_bytes: u64 = find("Content-Length")
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| Fault::Malformed("no Content-Length that is a number".into()))?;
        let kind = match find("WARC-Type").unwrap_or("").to_ascii_lowercase().as_str() {
            "warcinfo" => Kind::Warcinfo,
            "response" => Kind::Response,
            "resource" => Kind::Resource,
            "request" => Kind::Request,
            "revisit" => Kind::Revisit,
            _ => Kind::Other,
        };
        let body = self.read_body(len_bytes)?;
        Ok(Record { location, kind, headers, body, len_bytes })
    }

    /// An ARC record: one line `URL IP date type length` (version 2 has five more before the length).
    fn read_arc(&mut self, location: Location) -> Result<Record, Fault> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        let fields: Vec<&str> = line.split(' ').collect();
        let len_bytes = fields.last().and_then(|len| len.trim().parse::<u64>().ok());
        let (true, Some(len_bytes)) = (matches!(fields.len(), 5 | 10) && fields[0].contains(':'), len_bytes) else {
            return Err(Fault::Malformed("neither a WARC nor an ARC record begins here".into()));
        };
        let body = self.read_body(len_bytes)?;
        let kind = match () {
            () if fields[0].starts_with("filedesc:") => Kind::Warcinfo,
            () if body.starts_with(b"HTTP/") => Kind::Response,
            () => Kind::Resource,
        };
        let headers = [
            ("WARC-Target-URI", fields[0]),
            ("WARC-IP-Address", fields[1]),
            ("WARC-Date", fields[2]),
            ("Content-Type", fields[3]),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Record { location, kind, headers, body, len_bytes })
    }

    /// Reads a line into `self.line`, without its end.
    fn read_line(&mut self) -> Result<(), Fault> {
        self.line.clear();
        loop {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let found = memchr::memchr(b'\n', bytes);
            let n = found.unwrap_or(bytes.len());
            self.line.extend_from_slice(&bytes[..n]);
            self.members.consume(n + usize::from(found.is_some()));
            if self.line.len() > HEADER_LINE_MAX_BYTES {
                return Err(Fault::Malformed("a header line longer than 64 KiB".into()));
            }
            if found.is_some() {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                return Ok(());
            }
        }
    }

    /// Reads a block of a claimed length; what is over the limit is read past but not held.
    fn read_body(&mut self, len_bytes: u64) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        let mut missing = len_bytes;
        while missing > 0 {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let n = bytes.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            let room = self.limit_bytes.saturating_sub(body.len() as u64);
            body.extend_from_slice(&bytes[..n.min(usize::try_from(room).unwrap_or(usize::MAX))]);
            self.members.consume(n);
            missing -= n as u64;
        }
        Ok(body)
    }

    /// Goes behind the damage: to the next member, or in plain files to the next line `WARC/`.
    fn recover(&mut self, location: Location, fault: Fault) -> Result<Event, WarcError> {
        let what = match fault {
            Fault::Io(source) => return Err(self.error(source)),
            Fault::Malformed(what) => what,
        };
        self.find_next_record(location).map_err(|source| self.error(source))?;
        Ok(Event::Malformed { location, what })
    }

    /// Goes to the next line `WARC/` behind the damaged record's first line: first inside its member, then
    /// to the next member. Damage of the compression itself ends the member.
    fn find_next_record(&mut self, location: Location) -> io::Result<()> {
        let start = if self.members.is_plain() { location.within } else { location.offset };
        let sought = self.try_seek(start, location.within).and_then(|()| self.skip_to_warc_line());
        match sought {
            Ok(true) => Ok(()),
            Err(error) if error.raw_os_error().is_some() => Err(error),
            // In a plain file the search has seen the rest of it.
            Ok(false) | Err(_) if self.members.is_plain() => Ok(()),
            Ok(false) | Err(_) => self.members.resynchronise(location.offset).map(|_| self.open = false),
        }
    }

    /// Skips the current line and all up to the next that begins with `WARC/`; `false` at the member's end.
    fn skip_to_warc_line(&mut self) -> io::Result<bool> {
        const MAGIC: &[u8] = b"WARC/";
        // How much of the magic the line's beginning has matched; none in the middle of a line.
        let mut matched: Option<usize> = None;
        loop {
            let bytes = self.members.fill_buf()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let mut n = 0;
            for &byte in bytes {
                n += 1;
                matched = match (byte, matched) {
                    (b'\n', _) => Some(0),
                    (_, Some(have)) if byte == MAGIC[have] => Some(have + 1),
                    _ => None,
                };
                if matched == Some(MAGIC.len()) {
                    break;
                }
            }
            self.members.consume(n);
            if matched == Some(MAGIC.len()) {
                // Back to the line's first byte, which may lie in the buffer before this one.
                let within = self.members.within - MAGIC.len() as u64;
                let offset = if self.members.is_plain() { within } else { self.members.offset };
                self.try_seek(offset, within)?;
                return Ok(true);
            }
        }
    }

    fn error(&self, source: io::Error) -> WarcError {
        WarcError { path: self.path.clone(), offset: self.position(), source }
    }
}
