//! Members of gzip: inflated in one call where a member lies whole in the buffer, else in a stream.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;

use super::DecodeError;
use super::plain::{Plain, STREAM_BYTES};
use crate::fault::RecordFault;
use crate::raw::Raw;

/// Longest file name or comment in a gzip header that is accepted.
const MAX_NAME_BYTES: usize = 4096;
/// A gzip member is inflated in one call when it has at most this many bytes, coded and plain. Larger ones
/// are rare among pages, and gain little.
pub(super) const MAX_WHOLE_BYTES: usize = 1 << 20;
pub(super) const MAX_WHOLE_PLAIN_BYTES: usize = 4 << 20;
/// Room after the plain bytes, so that the decoder's fast loop can run to their end.
const SLACK_BYTES: usize = 512;

pub(super) const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];

/// The decoder of gzip members, one after another.
pub(super) struct Gunzip {
    /// `None` in a test of the stream alone.
    pub(super) whole: Option<libdeflater::Decompressor>,
    stream: Decompress,
    crc: libdeflater::Crc,
    len_bytes: u32,
    pub(super) plain: Plain,
}

impl Gunzip {
    pub(super) fn new() -> Gunzip {
        Gunzip {
            whole: Some(libdeflater::Decompressor::new()),
            stream: Decompress::new(false),
            crc: libdeflater::Crc::new(),
            len_bytes: 0,
            plain: Plain { ended: true, ..Plain::default() },
        }
    }

    /// Reads a member's header, and the whole member when it is a small one.
    pub(super) fn begin(&mut self, raw: &mut Raw) -> Result<(), DecodeError> {
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
    pub(super) fn peek(&mut self, raw: &mut Raw, min_bytes: usize) -> Result<&[u8], DecodeError> {
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
