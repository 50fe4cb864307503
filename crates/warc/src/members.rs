//! The plain bytes of an archive, and where in the file each compressed member began.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Longest file name or comment in a gzip header that is believed.
const NAME_MAX_BYTES: usize = 4096;

/// A file that knows how far it was read.
pub(crate) struct Raw {
    reader: BufReader<File>,
    pub(crate) position: u64,
}

impl Raw {
    pub(crate) fn new(file: File) -> Raw {
        Raw { reader: BufReader::with_capacity(1 << 17, file), position: 0 }
    }

    pub(crate) fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        // seek_relative keeps the buffer when the target lies in it, as it does between neighbours.
        self.reader.seek_relative(offset as i64 - self.position as i64)?;
        self.position = offset;
        Ok(())
    }

    fn read_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl Read for Raw {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(bytes)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl BufRead for Raw {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
        self.position += n as u64;
    }
}

impl Seek for Raw {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.reader.seek(to)?;
        Ok(self.position)
    }
}

/// How a file's members are compressed.
enum Coding {
    /// One member: the file itself.
    Plain,
    Gzip(Box<Inflater>),
    /// Frames; the decoder owns the file while a frame is open.
    Zstd,
}

struct Inflater {
    inflate: Decompress,
    crc: Crc,
    plain: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

/// The plain bytes of a file, member by member.
pub(crate) struct Members {
    coding: Coding,
    raw: Option<Raw>,
    frame: Option<BufReader<zstd::Decoder<'static, Raw>>>,
    /// Where the current member begins in the file.
    pub(crate) offset: u64,
    /// Plain bytes of the current member consumed so far.
    pub(crate) within: u64,
}

impl Members {
    /// Looks at the first bytes of the file to tell how it is compressed.
    pub(crate) fn open(file: File) -> io::Result<Members> {
        let mut raw = Raw::new(file);
        let coding = match raw.fill_buf()? {
            [0x1f, 0x8b, ..] => Coding::Gzip(Box::new(Inflater {
                inflate: Decompress::new(false),
                crc: Crc::new(),
                plain: vec![0; 1 << 16],
                start: 0,
                end: 0,
                ended: true,
            })),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Coding::Zstd,
            _ => Coding::Plain,
        };
        Ok(Members { coding, raw: Some(raw), frame: None, offset: 0, within: 0 })
    }

    /// Whether records can be found only by reading from a member's start.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.coding, Coding::Plain)
    }

    /// How many bytes of the file have been taken in.
    pub(crate) fn position(&self) -> u64 {
        match (&self.raw, &self.frame) {
            (Some(raw), _) => raw.position,
            (None, Some(frame)) => frame.get_ref().get_ref().position,
            (None, None) => 0,
        }
    }

    /// Begins the next member; `false` at the end of the file.
    pub(crate) fn next_member(&mut self) -> io::Result<bool> {
        let raw = match self.frame.take() {
            Some(frame) => self.raw.insert(frame.into_inner().finish()),
            None => self.raw.as_mut().expect("the file is here between frames"),
        };
        if matches!(self.coding, Coding::Plain) {
            // A plain file is one member that was begun when it was opened or sought in.
            return Ok(!raw.fill_buf()?.is_empty());
        }
        while raw.fill_buf()?.first() == Some(&0) {
            raw.consume(1); // Some writers pad members with zeros.
        }
        if raw.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.offset = raw.position;
        self.within = 0;
        match &mut self.coding {
            Coding::Plain => {}
            Coding::Gzip(inflater) => {
                read_gzip_header(raw)?;
                inflater.inflate.reset(false);
                inflater.crc.reset();
                (inflater.start, inflater.end, inflater.ended) = (0, 0, false);
            }
            Coding::Zstd => {
                let raw = self.raw.take().expect("the file is here between frames");
                let mut decoder = zstd::Decoder::with_buffer(raw)?.single_frame();
                decoder.window_log_max(31)?;
                self.frame = Some(BufReader::with_capacity(1 << 16, decoder));
            }
        }
        Ok(true)
    }

    /// Plain bytes of the current member; empty at its end.
    pub(crate) fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.coding {
            Coding::Plain => self.raw.as_mut().expect("plain files stay here").fill_buf(),
            Coding::Gzip(inflater) => {
                inflater.fill(self.raw.as_mut().expect("gzip files stay here"))?;
                Ok(&inflater.plain[inflater.start..inflater.end])
            }
            Coding::Zstd => match &mut self.frame {
                Some(frame) => frame.fill_buf(),
                None => Ok(&[]),
            },
        }
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.within += n as u64;
        match &mut self.coding {
            Coding::Plain => self.raw.as_mut().expect("plain files stay here").consume(n),
            Coding::Gzip(inflater) => inflater.start += n,
            Coding::Zstd => {
                if let Some(frame) = &mut self.frame {
                    frame.consume(n);
                }
            }
        }
    }

    /// Goes to the member that begins at `offset`. In a plain file, every byte begins one.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        if let Some(frame) = self.frame.take() {
            self.raw = Some(frame.into_inner().finish());
        }
        let raw = self.raw.as_mut().expect("the file is here between frames");
        raw.seek_to(offset)?;
        if let Coding::Gzip(inflater) = &mut self.coding {
            (inflater.start, inflater.end, inflater.ended) = (0, 0, true);
        }
        self.offset = if self.is_plain() { 0 } else { offset };
        self.within = if self.is_plain() { offset } else { 0 };
        Ok(())
    }

    /// After damage: goes to the next place, past `after`, that looks like the start of a member.
    pub(crate) fn resynchronise(&mut self, after: u64) -> io::Result<bool> {
        let magic: &[u8] = match self.coding {
            Coding::Gzip(_) => &[0x1f, 0x8b, 0x08],
            Coding::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Coding::Plain => return Ok(false),
        };
        self.seek(after + 1)?;
        let raw = self.raw.as_mut().expect("the file is here after a seek");
        let mut matched = 0;
        loop {
            let byte = match raw.read_byte() {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                other => other?,
            };
            matched = if byte == magic[matched] { matched + 1 } else { usize::from(byte == magic[0]) };
            if matched == magic.len() {
                let start = raw.position - magic.len() as u64;
                self.seek(start)?;
                return Ok(true);
            }
        }
    }
}

impl Inflater {
    /// Inflates until there is a plain byte or the member has ended (its CRC and length checked).
    fn fill(&mut self, raw: &mut Raw) -> io::Result<()> {
        while self.start == self.end && !self.ended {
            let input = raw.fill_buf()?;
            if input.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(input, &mut self.plain, FlushDecompress::None)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            raw.consume((self.inflate.total_in() - before_in) as usize);
            let n = (self.inflate.total_out() - before_out) as usize;
            (self.start, self.end) = (0, n);
            self.crc.update(&self.plain[..n]);
            if status == Status::StreamEnd {
                self.ended = true;
                let mut trailer = [0; 8];
                raw.read_exact(&mut trailer)?;
                if trailer[..4] != self.crc.sum().to_le_bytes() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "gzip checksum differs"));
                }
            }
        }
        Ok(())
    }
}

/// Reads a gzip member's header (RFC 1952, section 2.3).
fn read_gzip_header(raw: &mut Raw) -> io::Result<()> {
    let mut head = [0; 10];
    raw.read_exact(&mut head)?;
    if head[..3] != [0x1f, 0x8b, 8] {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no gzip member begins here"));
    }
    let flags = head[3];
    if flags & 4 != 0 {
        let len = u16::from_le_bytes([raw.read_byte()?, raw.read_byte()?]);
        for _ in 0..len {
            raw.read_byte()?;
        }
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let mut len = 0;
            while raw.read_byte()? != 0 {
                len += 1;
                if len > NAME_MAX_BYTES {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a gzip member's name has no end"));
                }
            }
        }
    }
    if flags & 2 != 0 {
        raw.read_exact(&mut [0; 2])?;
    }
    Ok(())
}
