//! The plain bytes of an archive, and where in it each compressed member began.
//!
//! A gzip member that lies whole in the buffer is inflated in one call (libdeflate, which needs input and output whole,
//! and is faster for it); any other is inflated in a stream. Both check the trailer's checksum and length, and give the
//! same bytes.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::fault::RecordFault;
use crate::raw::{Checksum, Raw, Source};

/// Longest file name or comment in a gzip header that is accepted.
const MAX_NAME_BYTES: usize = 4096;
/// A gzip member is inflated in one call when it has at most this many bytes, coded and plain. Larger ones
/// are rare among pages, and gain little.
const MAX_WHOLE_BYTES: usize = 1 << 20;
const MAX_WHOLE_PLAIN_BYTES: usize = 4 << 20;
/// Room after the plain bytes, so that the decoder's fast loop can run to their end.
const SLACK_BYTES: usize = 512;
/// Plain bytes made at once in a stream.
const STREAM_BYTES: usize = 64 << 10;
/// The largest zstd dictionary that is accepted, coded or plain; tools make some 100 KB.
const MAX_DICTIONARY_BYTES: u64 = 32 << 20;
/// Plain bytes in which a record's first line is looked for, after blank ones.
const RECORD_START_BYTES: usize = 64;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The skippable frame that holds the dictionary of all others (IIPC, "Zstandard WARC", section 3).
const DICTIONARY_MAGIC: &[u8] = &[0x5d, 0x2a, 0x4d, 0x18];

/// Why the next bytes or the next record could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The archive's content is damaged.
    #[error(transparent)]
    Malformed(#[from] RecordFault),
    /// The source failed, and reading cannot go on.
    #[error(transparent)]
    Source(#[from] io::Error),
}

impl DecodeError {
    /// Damaged compressed data, in the decoder's words.
    pub(crate) fn compression(error: impl ToString) -> DecodeError {
        RecordFault::compression(error).into()
    }
}

/// How an archive's members are compressed.
enum Coding {
    /// One member: the archive itself.
    Plain,
    Gzip(Box<Gunzip>),
    /// Each frame is a member.
    Zstd(Box<Unzstd>),
}

/// The plain bytes of an archive, member by member.
pub(crate) struct Members {
    coding: Coding,
    raw: Raw,
    /// Where the current member begins in the archive.
    pub(crate) offset: u64,
    /// Plain bytes of the current member consumed so far.
    pub(crate) offset_in_member: u64,
}

impl Members {
    /// Looks at the first bytes to tell how the archive is compressed.
    pub(crate) fn new(source: Box<dyn Source>) -> io::Result<Members> {
        let mut raw = Raw::new(source);
        let coding = match raw.peek(ZSTD_MAGIC.len())? {
            [0x1f, 0x8b, ..] => Coding::Gzip(Box::new(Gunzip::new())),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let dictionary = read_dictionary(&mut raw)?;
                raw.seek_to(0)?;
                Coding::Zstd(Box::new(Unzstd::new(&dictionary)?))
            }
            _ => Coding::Plain,
        };
        Ok(Members { coding, raw, offset: 0, offset_in_member: 0 })
    }

    /// Whether the archive is not compressed, so that reading can begin at any byte.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.coding, Coding::Plain)
    }

    /// How many bytes of the archive have been read.
    pub(crate) fn position(&self) -> u64 {
        self.raw.position
    }

    /// How many bytes a plain archive has from here on; `None` in compressed ones.
    pub(crate) fn remaining_bytes(&mut self) -> io::Result<Option<u64>> {
        if self.is_plain() { self.raw.remaining_bytes() } else { Ok(None) }
    }

    /// Reads what was not read yet, and gives length and checksum of the archive as it is stored.
    pub(crate) fn finish(&mut self) -> io::Result<Checksum> {
        self.raw.finish()
    }

    /// Begins the next member; `false` at the end of the archive.
    pub(crate) fn next_member(&mut self) -> Result<bool, DecodeError> {
        let raw = &mut self.raw;
        if matches!(self.coding, Coding::Plain) {
            // A plain archive is one member that was begun when it was opened or sought in.
            return Ok(!raw.peek(1)?.is_empty());
        }
        while raw.peek(1)?.first() == Some(&0) {
            raw.consume(1); // Some writers pad members with zeros.
        }
        if raw.buffered().is_empty() {
            return Ok(false);
        }
        self.offset = raw.position;
        self.offset_in_member = 0;
        match &mut self.coding {
            Coding::Plain => {}
            Coding::Gzip(gunzip) => gunzip.begin(raw)?,
            Coding::Zstd(unzstd) => unzstd.begin()?,
        }
        Ok(true)
    }

    /// At the end of a member in the middle of a record: continues in the next member as if it were the same one;
    /// `false` when there is none, or when a record begins there. A zstd record may have many frames (IIPC, "Zstandard
    /// WARC", section 4), and some tools have written a gzip member for the head and one for the block.
    pub(crate) fn continue_member(&mut self) -> Result<bool, DecodeError> {
        let (offset, offset_in_member) = (self.offset, self.offset_in_member);
        if self.is_plain() {
            return Ok(false);
        }
        while self.next_member()? {
            let bytes = self.peek(RECORD_START_BYTES)?;
            let begins_record = bytes.trim_ascii_start().starts_with(b"WARC/");
            if !bytes.is_empty() {
                if !begins_record {
                    (self.offset, self.offset_in_member) = (offset, offset_in_member);
                }
                return Ok(!begins_record);
            }
        }
        Ok(false)
    }

    /// Plain bytes of the current member; empty at its end.
    pub(crate) fn fill_buf(&mut self) -> Result<&[u8], DecodeError> {
        self.peek(1)
    }

    /// At least `min_bytes` plain bytes of the current member, or all that it has left.
    fn peek(&mut self, min_bytes: usize) -> Result<&[u8], DecodeError> {
        match &mut self.coding {
            Coding::Plain => Ok(self.raw.peek(min_bytes)?),
            Coding::Gzip(gunzip) => gunzip.peek(&mut self.raw, min_bytes),
            Coding::Zstd(unzstd) => unzstd.peek(&mut self.raw, min_bytes),
        }
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.offset_in_member += n as u64;
        match &mut self.coding {
            Coding::Plain => self.raw.consume(n),
            Coding::Gzip(gunzip) => gunzip.plain.start += n,
            Coding::Zstd(unzstd) => unzstd.plain.start += n,
        }
    }

    /// Goes to the member that begins at `offset`; in a plain archive, to any byte.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.raw.seek_to(offset)?;
        match &mut self.coding {
            Coding::Plain => {}
            Coding::Gzip(gunzip) => gunzip.plain.end_member(),
            Coding::Zstd(unzstd) => unzstd.plain.end_member(),
        }
        self.offset = if self.is_plain() { 0 } else { offset };
        self.offset_in_member = if self.is_plain() { offset } else { 0 };
        Ok(())
    }

    /// After damage: goes to the next place, past `after`, that looks like the start of a member; to the
    /// end of the archive when there is none.
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

/// Decoded bytes that are not all consumed.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the member has no more bytes.
    ended: bool,
}

impl Plain {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves the unconsumed bytes to the front, so that more can be decoded after them.
    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Makes room for at least this many bytes.
    fn reserve(&mut self, len_bytes: usize) {
        if self.bytes.len() < len_bytes {
            self.bytes.resize(len_bytes, 0);
        }
    }

    fn end_member(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, true);
    }
}

struct Gunzip {
    /// `None` in a test of the stream alone.
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
    fn begin(&mut self, raw: &mut Raw) -> Result<(), DecodeError> {
        self.plain.end_member();
        let header = loop {
            match gzip_header_len(raw.buffered())? {
                Some(len) => break len,
                None if raw.fill_more()? => {}
                None => return Err(RecordFault::ArchiveTruncated.into()),
            }
        };
        if self.inflate_whole(raw, header)? {
            return Ok(());
        }
        raw.consume(header);
        self.plain.ended = false;
        self.plain.reserve(STREAM_BYTES);
        self.stream.reset(false);
        self.crc = libdeflater::Crc::new();
        self.len_bytes = 0;
        Ok(())
    }

    /// Inflates a member in one call if it lies whole in the buffer; `false`, with nothing consumed, if not.
    ///
    /// The decoder does not return where the coded bytes end, so the end is taken to be before the next member's magic,
    /// or at the end of the archive. The trailer before it proves the end: the checksum and the length of what was
    /// inflated. A magic that occurs by chance within the coded bytes, padding, and damage of any kind fail that test,
    /// and are left to the stream.
    fn inflate_whole(&mut self, raw: &mut Raw, header: usize) -> io::Result<bool> {
        let Some(decompressor) = &mut self.whole else { return Ok(false) };
        let mut searched = header;
        let end = loop {
            let bytes = raw.buffered();
            if let Some(at) = memmem::find(&bytes[searched..], GZIP_MAGIC) {
                break searched + at;
            }
            if bytes.len() > MAX_WHOLE_BYTES {
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
        if len > MAX_WHOLE_PLAIN_BYTES {
            return Ok(false);
        }
        self.plain.reserve(len + SLACK_BYTES);
        let is_whole = decompressor.deflate_decompress(coded, &mut self.plain.bytes[..len + SLACK_BYTES]) == Ok(len)
            && libdeflater::crc32(&self.plain.bytes[..len]) == u32::from_le_bytes([c0, c1, c2, c3]);
        if is_whole {
            raw.consume(end);
            self.plain.end = len;
        }
        Ok(is_whole)
    }

    /// Inflates until there are `min_bytes` plain bytes or the member has ended, its checksum and length tested.
    fn peek(&mut self, raw: &mut Raw, min_bytes: usize) -> Result<&[u8], DecodeError> {
        let plain = &mut self.plain;
        while plain.len() < min_bytes && !plain.ended {
            plain.compact();
            let input = raw.peek(1)?;
            if input.is_empty() {
                return Err(RecordFault::ArchiveTruncated.into());
            }
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let output = &mut plain.bytes[plain.end..STREAM_BYTES];
            let status =
                self.stream.decompress(input, output, FlushDecompress::None).map_err(DecodeError::compression)?;
            let n = (self.stream.total_out() - before_out) as usize;
            self.crc.update(&output[..n]);
            self.len_bytes = self.len_bytes.wrapping_add(n as u32);
            plain.end += n;
            raw.consume((self.stream.total_in() - before_in) as usize);
            if status == Status::StreamEnd {
                plain.ended = true;
                check_trailer(raw, self.crc.sum(), self.len_bytes)?;
            }
        }
        Ok(self.plain.unread())
    }
}

/// Reads the trailer of a gzip member, and compares it with what was inflated.
fn check_trailer(raw: &mut Raw, crc32: u32, len_bytes: u32) -> Result<(), DecodeError> {
    let trailer = [crc32.to_le_bytes(), len_bytes.to_le_bytes()].concat();
    let stored = raw.peek(trailer.len())?;
    if stored.len() < trailer.len() {
        return Err(RecordFault::ArchiveTruncated.into());
    }
    let is_right = stored.starts_with(&trailer);
    raw.consume(trailer.len());
    if is_right { Ok(()) } else { Err(DecodeError::compression("gzip checksum or length differs")) }
}

/// Length of the header of the gzip member (RFC 1952, section 2.3); `None` when it continues after `bytes`.
fn gzip_header_len(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let magic = GZIP_MAGIC.len().min(bytes.len());
    if bytes[..magic] != GZIP_MAGIC[..magic] {
        return Err(DecodeError::compression("no gzip member begins here"));
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
            match memchr::memchr(0, &rest[..rest.len().min(MAX_NAME_BYTES + 1)]) {
                Some(end) => len += end + 1,
                None if rest.len() > MAX_NAME_BYTES => {
                    return Err(DecodeError::compression("a gzip member's name has no end"));
                }
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
        // A dictionary that zstd refuses counts as none, too.
        let mut decoder = Decoder::with_dictionary(dictionary).or_else(|_| Decoder::new())?;
        decoder.set_parameter(DParameter::WindowLogMax(31))?;
        let mut plain = Plain { ended: true, ..Plain::default() };
        plain.reserve(2 * STREAM_BYTES);
        Ok(Unzstd { decoder, plain })
    }

    fn begin(&mut self) -> Result<(), DecodeError> {
        self.plain.end_member();
        self.plain.ended = false;
        // The dictionary stays.
        self.decoder.reinit().map_err(DecodeError::compression)
    }

    /// Decodes until there are `min_bytes` plain bytes or the frame has ended.
    fn peek(&mut self, raw: &mut Raw, min_bytes: usize) -> Result<&[u8], DecodeError> {
        let plain = &mut self.plain;
        while plain.len() < min_bytes && !plain.ended {
            plain.compact();
            let mut input = InBuffer::around(raw.peek(1)?);
            let at_end = input.src.is_empty();
            let mut output = OutBuffer::around(&mut plain.bytes[plain.end..]);
            let missing_bytes = self.decoder.run(&mut input, &mut output).map_err(DecodeError::compression)?;
            let made_bytes = output.pos();
            plain.end += made_bytes;
            plain.ended = missing_bytes == 0;
            let taken_bytes = input.pos();
            raw.consume(taken_bytes);
            if at_end && made_bytes == 0 && !plain.ended {
                return Err(RecordFault::ArchiveTruncated.into());
            }
        }
        Ok(plain.unread())
    }
}

/// The dictionary in the archive's first frame, which may itself be compressed; empty when there is none. A damaged
/// one counts as none: decoding the frames that need it then fails with an error about it.
fn read_dictionary(raw: &mut Raw) -> io::Result<Vec<u8>> {
    let head = raw.peek(8)?;
    let (true, Some(len)) = (head.starts_with(DICTIONARY_MAGIC), head.get(4..8)) else { return Ok(Vec::new()) };
    let len_bytes = u64::from(u32::from_le_bytes([len[0], len[1], len[2], len[3]]));
    raw.consume(8);
    let mut stored = Vec::new();
    while (stored.len() as u64) < len_bytes.min(MAX_DICTIONARY_BYTES + 1) {
        let bytes = raw.peek(1)?;
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
        .and_then(|decoder| decoder.take(MAX_DICTIONARY_BYTES + 1).read_to_end(&mut plain));
    let is_sound = decoded.is_ok() && plain.len() as u64 <= MAX_DICTIONARY_BYTES;
    Ok(if is_sound { plain } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// The plain bytes of each member, or what is wrong with it, and where it begins.
    fn members(bytes: &[u8], in_one_call: bool) -> Vec<(u64, Result<Vec<u8>, String>)> {
        let mut members = Members::new(Box::new(io::Cursor::new(bytes.to_vec()))).unwrap();
        if let (Coding::Gzip(gunzip), false) = (&mut members.coding, in_one_call) {
            gunzip.whole = None;
        }
        let mut found = Vec::new();
        loop {
            let begun = members.next_member();
            if let Ok(false) = begun {
                return found;
            }
            let plain: Result<Vec<u8>, DecodeError> = begun.and_then(|_| {
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
            (0..MAX_WHOLE_PLAIN_BYTES as u32 + 9).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        // Stored, so that the last two pass the limits, coded and plain; the third holds magics of its own.
        let inner = gzip(b"inner", 6, None).repeat(3);
        let parts =
            [&plain[..0], &plain[..1], &inner, &plain[..STREAM_BYTES], &plain[..MAX_WHOLE_BYTES + 9], &plain[..]];
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
