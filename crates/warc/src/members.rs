//! The plain bytes of an archive, and where in the file each compressed member began.
//!
//! A gzip member that lies whole in the buffer is inflated in one call (libdeflate, which wants input and
//! output whole, and is the faster for it); any other is inflated in a stream. Both are held to the
//! trailer's checksum and length, and give the same bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Longest file name or comment in a gzip header that is believed.
const NAME_MAX_BYTES: usize = 4096;
/// Bytes asked of the system at once.
const CHUNK_BYTES: usize = 128 << 10;
/// A gzip member is inflated in one call when it has at most so many bytes, coded and plain. Larger ones
/// are rare among pages, and gain little.
const WHOLE_MAX_BYTES: usize = 1 << 20;
const WHOLE_PLAIN_MAX_BYTES: usize = 4 << 20;
/// Room behind the plain bytes, so that the decoder's fast loop can run to their end.
const SLACK_BYTES: usize = 512;
/// Plain bytes made at once in a stream.
const STREAM_BYTES: usize = 64 << 10;
/// The largest zstd dictionary that is believed, coded or plain; tools make some 100 KB.
const DICTIONARY_MAX_BYTES: u64 = 32 << 20;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The skippable frame that holds the dictionary of all others (IIPC, "Zstandard WARC", section 3).
const DICTIONARY_MAGIC: &[u8] = &[0x5d, 0x2a, 0x4d, 0x18];

/// A file that knows how far it was read.
pub(crate) struct Raw {
    file: File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Of `buffer[start]` in the file.
    pub(crate) position: u64,
}

impl Raw {
    fn new(file: File) -> Raw {
        Raw { file, buffer: vec![0; 2 * CHUNK_BYTES], start: 0, end: 0, position: 0 }
    }

    /// What is buffered.
    fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// What is buffered, or what a read brings; empty at the end of the file.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.fill_more()?;
        }
        Ok(self.buffered())
    }

    /// Reads more behind what is buffered; `false` at the end of the file.
    fn fill_more(&mut self) -> io::Result<bool> {
        if self.end + CHUNK_BYTES > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end + CHUNK_BYTES > self.buffer.len() {
            self.buffer.resize(self.end + CHUNK_BYTES, 0);
        }
        loop {
            match self.file.read(&mut self.buffer[self.end..self.end + CHUNK_BYTES]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        self.position += n as u64;
    }

    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        let back = self.start as u64;
        let buffered = (self.position - back)..=(self.position + (self.end - self.start) as u64);
        if buffered.contains(&offset) {
            self.start = (offset - buffered.start()) as usize;
        } else {
            self.file.seek(SeekFrom::Start(offset))?;
            (self.start, self.end) = (0, 0);
        }
        self.position = offset;
        Ok(())
    }
}

/// How a file's members are compressed.
enum Coding {
    /// One member: the file itself.
    Plain,
    Gzip(Box<Gunzip>),
    /// A member a frame.
    Zstd(Box<Unzstd>),
}

/// The plain bytes of a file, member by member.
pub(crate) struct Members {
    coding: Coding,
    raw: Raw,
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
            [0x1f, 0x8b, ..] => Coding::Gzip(Box::new(Gunzip::new())),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let dictionary = read_dictionary(&mut raw)?;
                raw.seek_to(0)?;
                Coding::Zstd(Box::new(Unzstd::new(&dictionary)?))
            }
            _ => Coding::Plain,
        };
        Ok(Members { coding, raw, offset: 0, within: 0 })
    }

    /// Whether every byte of the file is a plain one, at which reading can begin.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.coding, Coding::Plain)
    }

    /// How many bytes of the file have been taken in.
    pub(crate) fn position(&self) -> u64 {
        self.raw.position
    }

    /// How many bytes a plain file has behind the present one; `None` in compressed files.
    pub(crate) fn left(&self) -> Option<u64> {
        let len_bytes = if self.is_plain() { self.raw.file.metadata().ok()?.len() } else { return None };
        len_bytes.checked_sub(self.raw.position)
    }

    /// Begins the next member; `false` at the end of the file.
    pub(crate) fn next_member(&mut self) -> io::Result<bool> {
        let raw = &mut self.raw;
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
            Coding::Gzip(gunzip) => gunzip.begin(raw)?,
            Coding::Zstd(unzstd) => unzstd.begin()?,
        }
        Ok(true)
    }

    /// At the end of a member in the middle of a record: goes on in the next member as if it were the same one;
    /// `false` when there is none, or when a record begins there. A zstd record may have many frames (IIPC,
    /// "Zstandard WARC", section 4), and some tools have written a gzip member for the head and one for the block.
    pub(crate) fn continue_member(&mut self) -> io::Result<bool> {
        let (offset, within) = (self.offset, self.within);
        if self.is_plain() {
            return Ok(false);
        }
        while self.next_member()? {
            let bytes = self.fill_buf()?;
            let begins_record = bytes.trim_ascii_start().starts_with(b"WARC/");
            if !bytes.is_empty() {
                if !begins_record {
                    (self.offset, self.within) = (offset, within);
                }
                return Ok(!begins_record);
            }
        }
        Ok(false)
    }

    /// Plain bytes of the current member; empty at its end.
    pub(crate) fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.coding {
            Coding::Plain => self.raw.fill_buf(),
            Coding::Gzip(gunzip) => gunzip.fill(&mut self.raw),
            Coding::Zstd(unzstd) => unzstd.fill(&mut self.raw),
        }
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.within += n as u64;
        match &mut self.coding {
            Coding::Plain => self.raw.consume(n),
            Coding::Gzip(gunzip) => gunzip.plain.start += n,
            Coding::Zstd(unzstd) => unzstd.plain.start += n,
        }
    }

    /// Goes to the member that begins at `offset`. In a plain file, every byte begins one.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.raw.seek_to(offset)?;
        match &mut self.coding {
            Coding::Plain => {}
            Coding::Gzip(gunzip) => gunzip.plain.end_member(),
            Coding::Zstd(unzstd) => unzstd.plain.end_member(),
        }
        self.offset = if self.is_plain() { 0 } else { offset };
        self.within = if self.is_plain() { offset } else { 0 };
        Ok(())
    }

    /// After damage: goes to the next place, past `after`, that looks like the start of a member; at the
    /// end of the file when there is none.
    pub(crate) fn resynchronise(&mut self, after: u64) -> io::Result<()> {
        let magic = match self.coding {
            Coding::Gzip(_) => GZIP_MAGIC,
            Coding::Zstd(_) => ZSTD_MAGIC,
            Coding::Plain => return Ok(()),
        };
        self.seek(after + 1)?;
        loop {
            if let Some(at) = memmem::find(self.raw.buffered(), magic) {
                self.raw.consume(at);
                return self.seek(self.raw.position);
            }
            // All but a magic that may be cut by the buffer's end.
            self.raw.consume(self.raw.buffered().len().saturating_sub(magic.len() - 1));
            if !self.raw.fill_more()? {
                self.raw.consume(self.raw.buffered().len());
                return self.seek(self.raw.position);
            }
        }
    }
}

/// Plain bytes that were made and not yet taken.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the member has no more.
    ended: bool,
}

impl Plain {
    /// Room for at least so many bytes.
    fn room(&mut self, len_bytes: usize) {
        if self.bytes.len() < len_bytes {
            self.bytes.resize(len_bytes, 0);
        }
    }

    fn end_member(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, true);
    }
}

struct Gunzip {
    /// None in a test of the stream alone.
    whole: Option<libdeflater::Decompressor>,
    stream: Decompress,
    crc: libdeflater::Crc,
    len_bytes: u32,
    plain: Plain,
}

impl Gunzip {
    fn new() -> Gunzip {
        Gunzip {
            whole: Some(libdeflater::Decompressor::new()),
            stream: Decompress::new(false),
            crc: libdeflater::Crc::new(),
            len_bytes: 0,
            plain: Plain { ended: true, ..Plain::default() },
        }
    }

    /// Reads a member's header, and the whole member when it is a small one.
    fn begin(&mut self, raw: &mut Raw) -> io::Result<()> {
        self.plain.end_member();
        let header = loop {
            match gzip_header_len(raw.buffered())? {
                Some(len) => break len,
                None if raw.fill_more()? => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        if self.inflate_whole(raw, header)? {
            return Ok(());
        }
        raw.consume(header);
        self.plain.ended = false;
        self.plain.room(STREAM_BYTES);
        self.stream.reset(false);
        self.crc = libdeflater::Crc::new();
        self.len_bytes = 0;
        Ok(())
    }

    /// Inflates a member in one call if it lies whole in the buffer; `false`, with nothing consumed, if not.
    ///
    /// The decoder does not say where the coded bytes end, so the end is where the next member's magic
    /// stands, or the end of the file. That it is the end is proven by what stands before it: the checksum
    /// and the length of what was inflated. A magic that occurs by chance within the coded bytes, padding,
    /// and damage of any kind fail that test, and are left to the stream.
    fn inflate_whole(&mut self, raw: &mut Raw, header: usize) -> io::Result<bool> {
        let Some(decompressor) = &mut self.whole else { return Ok(false) };
        let mut searched = header;
        let end = loop {
            let bytes = raw.buffered();
            if let Some(at) = memmem::find(&bytes[searched..], GZIP_MAGIC) {
                break searched + at;
            }
            if bytes.len() > WHOLE_MAX_BYTES {
                return Ok(false);
            }
            searched = header.max(bytes.len() - (GZIP_MAGIC.len() - 1));
            if !raw.fill_more()? {
                break raw.buffered().len();
            }
        };
        let Some((coded, trailer)) = raw.buffered()[header..end].split_last_chunk::<8>() else { return Ok(false) };
        let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > WHOLE_PLAIN_MAX_BYTES {
            return Ok(false);
        }
        self.plain.room(len + SLACK_BYTES);
        let is_whole = decompressor.deflate_decompress(coded, &mut self.plain.bytes[..len + SLACK_BYTES]) == Ok(len)
            && libdeflater::crc32(&self.plain.bytes[..len]) == u32::from_le_bytes([c0, c1, c2, c3]);
        if is_whole {
            raw.consume(end);
            self.plain.end = len;
        }
        Ok(is_whole)
    }

    /// Inflates until there is a plain byte or the member has ended (its checksum and length tested).
    fn fill(&mut self, raw: &mut Raw) -> io::Result<&[u8]> {
        let plain = &mut self.plain;
        while plain.start == plain.end && !plain.ended {
            let input = raw.fill_buf()?;
            if input.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(input, &mut plain.bytes[..STREAM_BYTES], FlushDecompress::None)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            raw.consume((self.stream.total_in() - before_in) as usize);
            let n = (self.stream.total_out() - before_out) as usize;
            (plain.start, plain.end) = (0, n);
            self.crc.update(&plain.bytes[..n]);
            self.len_bytes = self.len_bytes.wrapping_add(n as u32);
            if status == Status::StreamEnd {
                plain.ended = true;
                while raw.buffered().len() < 8 {
                    if !raw.fill_more()? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                let trailer = [self.crc.sum().to_le_bytes(), self.len_bytes.to_le_bytes()].concat();
                let is_right = raw.buffered().starts_with(&trailer);
                raw.consume(8);
                if !is_right {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "gzip checksum or length differs"));
                }
            }
        }
        Ok(&plain.bytes[plain.start..plain.end])
    }
}

/// How long the header of the gzip member is (RFC 1952, section 2.3); `None` when it goes on behind `bytes`.
fn gzip_header_len(bytes: &[u8]) -> io::Result<Option<usize>> {
    let fault = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let magic = GZIP_MAGIC.len().min(bytes.len());
    if bytes[..magic] != GZIP_MAGIC[..magic] {
        return fault("no gzip member begins here");
    }
    let Some(&flags) = bytes.get(3) else { return Ok(None) };
    let mut len = 10;
    if flags & 4 != 0 {
        let Some(extra) = bytes.get(len..len + 2) else { return Ok(None) };
        len += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let rest = bytes.get(len..).unwrap_or(&[]);
            match memchr::memchr(0, &rest[..rest.len().min(NAME_MAX_BYTES + 1)]) {
                Some(end) => len += end + 1,
                None if rest.len() > NAME_MAX_BYTES => return fault("a gzip member's name has no end"),
                None => return Ok(None),
            }
        }
    }
    if flags & 2 != 0 {
        len += 2;
    }
    Ok((len <= bytes.len()).then_some(len))
}

struct Unzstd {
    decoder: Decoder<'static>,
    plain: Plain,
}

impl Unzstd {
    fn new(dictionary: &[u8]) -> io::Result<Unzstd> {
        // A dictionary that zstd refuses is none, too.
        let mut decoder = Decoder::with_dictionary(dictionary).or_else(|_| Decoder::new())?;
        decoder.set_parameter(DParameter::WindowLogMax(31))?;
        let mut plain = Plain { ended: true, ..Plain::default() };
        plain.room(2 * STREAM_BYTES);
        Ok(Unzstd { decoder, plain })
    }

    fn begin(&mut self) -> io::Result<()> {
        self.plain.end_member();
        self.plain.ended = false;
        // The dictionary stays.
        self.decoder.reinit()
    }

    /// Decodes until there is a plain byte or the frame has ended.
    fn fill(&mut self, raw: &mut Raw) -> io::Result<&[u8]> {
        let plain = &mut self.plain;
        while plain.start == plain.end && !plain.ended {
            let mut input = InBuffer::around(raw.fill_buf()?);
            let at_end = input.src.is_empty();
            let mut output = OutBuffer::around(&mut plain.bytes[..]);
            let missing = self.decoder.run(&mut input, &mut output)?;
            (plain.start, plain.end) = (0, output.pos());
            let taken = input.pos();
            raw.consume(taken);
            plain.ended = missing == 0;
            if at_end && plain.end == 0 && !plain.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&plain.bytes[plain.start..plain.end])
    }
}

/// The dictionary in the file's first frame, which may itself be coded; empty when there is none. A damaged
/// one is no dictionary either: the frames then say that they miss it.
fn read_dictionary(raw: &mut Raw) -> io::Result<Vec<u8>> {
    while raw.buffered().len() < 8 && raw.fill_more()? {}
    let head = raw.buffered();
    let (true, Some(len)) = (head.starts_with(DICTIONARY_MAGIC), head.get(4..8)) else { return Ok(Vec::new()) };
    let len_bytes = u64::from(u32::from_le_bytes([len[0], len[1], len[2], len[3]]));
    raw.consume(8);
    let mut stored = Vec::new();
    while (stored.len() as u64) < len_bytes.min(DICTIONARY_MAX_BYTES + 1) {
        let bytes = raw.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let n = bytes.len().min((len_bytes - stored.len() as u64) as usize);
        stored.extend_from_slice(&bytes[..n]);
        raw.consume(n);
    }
    if stored.len() as u64 != len_bytes {
        return Ok(Vec::new());
    }
    if !stored.starts_with(ZSTD_MAGIC) {
        return Ok(stored);
    }
    let mut plain = Vec::new();
    let decoded = zstd::Decoder::with_buffer(&stored[..])
        .and_then(|decoder| decoder.take(DICTIONARY_MAX_BYTES + 1).read_to_end(&mut plain));
    let is_sound = decoded.is_ok() && plain.len() as u64 <= DICTIONARY_MAX_BYTES;
    Ok(if is_sound { plain } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// The plain bytes of each member, or what is wrong with it, and where it begins.
    fn members(bytes: &[u8], in_one_call: bool) -> Vec<(u64, Result<Vec<u8>, String>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut members = Members::open(file).unwrap();
        if let (Coding::Gzip(gunzip), false) = (&mut members.coding, in_one_call) {
            gunzip.whole = None;
        }
        let mut found = Vec::new();
        loop {
            let begun = members.next_member();
            if let Ok(false) = begun {
                return found;
            }
            let plain = begun.and_then(|_| {
                let mut plain = Vec::new();
                loop {
                    let n = match members.fill_buf()? {
                        [] => return Ok(plain),
                        bytes => {
                            plain.extend_from_slice(bytes);
                            bytes.len()
                        }
                    };
                    members.consume(n);
                }
            });
            let offset = members.offset;
            if plain.is_err() {
                members.resynchronise(offset).unwrap();
            }
            found.push((offset, plain.map_err(|error| error.to_string())));
        }
    }

    fn gzip(plain: &[u8], level: u32, name: Option<&str>) -> Vec<u8> {
        let mut builder = flate2::GzBuilder::new();
        if let Some(name) = name {
            builder = builder.filename(name).extra(*b"sl").comment("c");
        }
        let mut encoder = builder.write(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_of_every_size_are_found() {
        let plain: Vec<u8> =
            (0..WHOLE_PLAIN_MAX_BYTES as u32 + 9).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        // Stored, so that the last two pass the limits, coded and plain; the third holds magics of its own.
        let inner = gzip(b"inner", 6, None).repeat(3);
        let parts =
            [&plain[..0], &plain[..1], &inner, &plain[..STREAM_BYTES], &plain[..WHOLE_MAX_BYTES + 9], &plain[..]];
        let file: Vec<u8> = parts.iter().flat_map(|part| gzip(part, 0, None)).collect();
        for in_one_call in [true, false] {
            let found = members(&file, in_one_call);
            let found: Vec<&[u8]> = found.iter().map(|(_, plain)| plain.as_deref().unwrap()).collect();
            assert!(found == parts, "in one call: {in_one_call}");
        }
    }

    proptest! {
        /// In one call and in a stream: the same bytes, the same faults, at the same places.
        #[test]
        fn one_call_is_as_the_stream(
            parts: Vec<(Vec<u8>, u16, bool)>,
            level in 0..10_u32,
            damage: Option<(prop::sample::Index, u8)>,
            padding in prop::collection::vec(0..2_u8, 0..4),
            cut in prop::option::of(0..40_usize),
        ) {
            let mut file = Vec::new();
            for (part, times, has_name) in &parts {
                let name = has_name.then_some("x.warc");
                file.extend_from_slice(&gzip(&part.repeat(usize::from(*times % 2000)), level, name));
            }
            file.extend_from_slice(&padding);
            if let (Some((place, by)), false) = (damage, file.is_empty()) {
                let place = place.index(file.len());
                file[place] ^= by;
            }
            file.truncate(file.len() - cut.unwrap_or(0).min(file.len()));
            prop_assert_eq!(members(&file, true), members(&file, false));
        }
    }
}
