//! The plain bytes of an archive, and where in it each compressed member began.
//!
//! A gzip member that lies whole in the buffer is inflated in one call (libdeflate, which needs input and output whole,
//! and is faster for it); any other is inflated in a stream. Both check the trailer's checksum and length, and give the
//! same bytes.

mod gunzip;
mod parts;
mod plain;
mod unzstd;

use std::io;
use std::ops::Range;

use memchr::memmem;

use self::gunzip::{GZIP_MAGIC, Gunzip};
pub use self::parts::{ZIP_MAGIC, begins_archive, is_archive_name};
use self::parts::{ZipParts, archives_in_zip};
use self::unzstd::{Unzstd, ZSTD_MAGIC, read_dictionary};
use crate::fault::RecordFault;
use crate::raw::{Checksum, Raw, Source};
use crate::record::Location;

/// Plain bytes in which a record's first line is looked for, after blank ones.
const RECORD_START_BYTES: usize = 64;

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

impl Coding {
    /// How the members from here on are compressed, by their first bytes.
    fn of(raw: &mut Raw) -> io::Result<Coding> {
        let start = raw.position;
        match raw.peek(ZSTD_MAGIC.len())? {
            [0x1f, 0x8b, ..] => Ok(Coding::Gzip(Box::new(Gunzip::new()))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let dictionary = read_dictionary(raw)?;
                raw.seek_to(start)?;
                Ok(Coding::Zstd(Box::new(Unzstd::new(&dictionary)?)))
            }
            _ => Ok(Coding::Plain),
        }
    }
}

/// The plain bytes of an archive, member by member.
pub(crate) struct Members {
    coding: Coding,
    raw: Raw,
    /// The archives in a ZIP file, by their bytes in it; empty where the file is an archive itself.
    parts: Vec<Range<u64>>,
    /// The names of archives in the ZIP file that cannot be read in it.
    pub(crate) compressed_parts: Vec<String>,
    /// Where the current member begins in the archive.
    pub(crate) offset: u64,
    /// Plain bytes of the current member consumed so far.
    pub(crate) offset_in_member: u64,
}

impl Members {
    /// Looks at the first bytes to tell how the archive is compressed.
    pub(crate) fn new(source: Box<dyn Source>) -> io::Result<Members> {
        let mut raw = Raw::new(source);
        let is_zip = raw.peek(ZIP_MAGIC.len())?.starts_with(&ZIP_MAGIC);
        let zip = if is_zip { raw.with_source(archives_in_zip)? } else { ZipParts::default() };
        let ZipParts { stored: parts, compressed: compressed_parts } = zip;
        let mut members =
            Members { coding: Coding::Plain, raw, parts, compressed_parts, offset: 0, offset_in_member: 0 };
        match members.parts.first().cloned() {
            Some(first) => members.enter(first)?,
            None => members.coding = Coding::of(&mut members.raw)?,
        }
        Ok(members)
    }

    /// Begins an archive in a ZIP file.
    fn enter(&mut self, part: Range<u64>) -> io::Result<()> {
        self.raw.enter(part)?;
        self.coding = Coding::of(&mut self.raw)?;
        let position = self.raw.position;
        (self.offset, self.offset_in_member) = if self.is_plain() { (0, position) } else { (position, 0) };
        Ok(())
    }

    /// Begins the next archive of a ZIP file; `false` if there is none.
    fn enter_next_part(&mut self) -> io::Result<bool> {
        let next = self.parts.iter().find(|part| part.start >= self.raw.position && !part.is_empty()).cloned();
        match next {
            Some(part) => self.enter(part).map(|()| true),
            None => Ok(false),
        }
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
        if self.is_plain() && !self.raw.peek(1)?.is_empty() {
            // A plain archive is one member that was begun when it was opened or sought in.
            return Ok(true);
        }
        if self.is_plain() {
            return if self.enter_next_part()? { self.next_member() } else { Ok(false) };
        }
        let raw = &mut self.raw;
        while raw.peek(1)?.first() == Some(&0) {
            raw.consume(1); // Some writers pad members with zeros.
        }
        if raw.buffered().is_empty() {
            return if self.enter_next_part()? { self.next_member() } else { Ok(false) };
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
    pub(crate) fn peek(&mut self, min_bytes: usize) -> Result<&[u8], DecodeError> {
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

    /// Goes to the member of a location; in a plain archive, to the location itself.
    pub(crate) fn seek_to(&mut self, location: Location) -> io::Result<()> {
        // Only plain archives have locations in a member that begins at 0, since a ZIP file begins with its own bytes.
        let place = if location.offset == 0 { location.offset_in_member } else { location.offset };
        let part = self.parts.iter().find(|part| part.contains(&place)).cloned();
        if let Some(part) = part.filter(|part| *part != self.raw.part) {
            self.enter(part)?;
        }
        self.seek(if self.is_plain() { location.offset_in_member } else { location.offset })
    }

    /// Goes to the member that begins at `offset`; in a plain archive, to any byte.
    fn seek(&mut self, offset: u64) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::gunzip::{MAX_WHOLE_BYTES, MAX_WHOLE_PLAIN_BYTES};
    use super::plain::STREAM_BYTES;
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
