//! The bytes of an archive as they are stored: buffered, seekable, and each hashed once.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

/// Bytes requested from the source at once.
const CHUNK_BYTES: usize = 128 << 10;

/// What an archive can be read from.
pub(crate) trait Source: Read + Seek + Send {}

impl<S: Read + Seek + Send> Source for S {}

/// Length and checksum of all bytes of an archive, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3-64 of the bytes.
    pub xxh3: u64,
}

/// A buffered source that knows how far it was read.
pub(crate) struct Raw {
    source: Box<dyn Source>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[start]` in the source.
    pub(crate) position: u64,
    /// The part of the source that is read; its end is like that of the source.
    pub(crate) part: Range<u64>,
    hasher: Box<Xxh3>,
    /// The hasher has seen the source up to this offset.
    hashed_bytes: u64,
}

impl Raw {
    /// A source at its beginning.
    pub(crate) fn new(source: Box<dyn Source>) -> Raw {
        let buffer = vec![0; 2 * CHUNK_BYTES];
        Raw {
            source,
            buffer,
            start: 0,
            end: 0,
            position: 0,
            part: 0..u64::MAX,
            hasher: Box::default(),
            hashed_bytes: 0,
        }
    }

    /// What is buffered.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// At least `min_bytes`, or all that the source has left.
    pub(crate) fn peek(&mut self, min_bytes: usize) -> io::Result<&[u8]> {
        while self.buffered().len() < min_bytes && self.fill_more()? {}
        Ok(self.buffered())
    }

    /// Reads a chunk after what is buffered; `false` at the end of the source.
    ///
    /// The chunk is filled, however little the source gives at a time: what is found in an archive must not depend
    /// on where its source splits it.
    pub(crate) fn fill_more(&mut self) -> io::Result<bool> {
        self.make_room();
        let left = usize::try_from(self.part.end.saturating_sub(self.buffered_to())).unwrap_or(usize::MAX);
        let chunk = self.end..self.end + CHUNK_BYTES.min(left);
        while self.end < chunk.end {
            match self.source.read(&mut self.buffer[self.end..chunk.end]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What came before the error is used first; the next call meets the error again.
                Err(_) if self.end > chunk.start => break,
                Err(error) => return Err(error),
            }
        }
        self.hash_new_bytes(chunk.start);
        Ok(self.end > chunk.start)
    }

    /// Makes room for a chunk after what is buffered.
    fn make_room(&mut self) {
        if self.start > 0 && self.end + CHUNK_BYTES > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end + CHUNK_BYTES > self.buffer.len() {
            self.buffer.resize(self.end + CHUNK_BYTES, 0);
        }
    }

    /// Hashes those bytes of `buffer[read_from..end]` that continue what is hashed already. None do when a jump left
    /// a gap before them; [`Raw::finish`] closes it.
    fn hash_new_bytes(&mut self, read_from: usize) {
        let end = self.buffered_to();
        let start = end - (self.end - read_from) as u64;
        if (start..end).contains(&self.hashed_bytes) {
            let len = (end - self.hashed_bytes) as usize;
            self.hasher.update(&self.buffer[self.end - len..self.end]);
            self.hashed_bytes = end;
        }
    }

    /// Offset in the source of the first byte after the buffer.
    fn buffered_to(&self) -> u64 {
        self.position + self.buffered().len() as u64
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        self.position += n as u64;
    }

    pub(crate) fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        let buffered_from = self.position - self.start as u64;
        if (buffered_from..=self.buffered_to()).contains(&offset) {
            self.start = (offset - buffered_from) as usize;
        } else {
            self.source.seek(SeekFrom::Start(offset))?;
            (self.start, self.end) = (0, 0);
        }
        self.position = offset;
        Ok(())
    }

    /// Goes to a part of the source, and ends there. Nothing behind it stays buffered.
    pub(crate) fn enter(&mut self, part: Range<u64>) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(part.start))?;
        (self.start, self.end) = (0, 0);
        self.position = part.start;
        self.part = part;
        Ok(())
    }

    /// Lets the source be read by other means; reading goes on where it was.
    pub(crate) fn with_source<T>(&mut self, read: impl FnOnce(&mut dyn Source) -> io::Result<T>) -> io::Result<T> {
        let found = read(&mut *self.source);
        self.source.seek(SeekFrom::Start(self.buffered_to()))?;
        found
    }

    /// How many bytes the source has from `position` on; `None` if it is unknown, as for a pipe.
    pub(crate) fn remaining_bytes(&mut self) -> io::Result<Option<u64>> {
        let Ok(len_bytes) = self.source.seek(SeekFrom::End(0)) else { return Ok(None) };
        self.source.seek(SeekFrom::Start(self.buffered_to()))?;
        Ok(len_bytes.min(self.part.end).checked_sub(self.position))
    }

    /// Reads what was not read yet, and gives length and checksum of the whole source.
    pub(crate) fn finish(&mut self) -> io::Result<Checksum> {
        self.part = 0..u64::MAX;
        self.seek_to(self.hashed_bytes)?;
        loop {
            self.consume(self.buffered().len());
            if !self.fill_more()? {
                return Ok(Checksum { len_bytes: self.hashed_bytes, xxh3: self.hasher.digest() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    /// A source that gives at most `step_bytes` at a time, fails at each third read, and counts what it gave.
    struct Trickle {
        bytes: io::Cursor<Vec<u8>>,
        step_bytes: usize,
        reads: u32,
    }

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            if self.reads.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = buffer.len().min(self.step_bytes);
            self.bytes.read(&mut buffer[..n])
        }
    }

    impl Seek for Trickle {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    proptest! {
        /// However a source is read, its checksum is that of its bytes, and every byte is the one at its position.
        #[test]
        fn any_way_of_reading_gives_the_same_checksum(
            len_bytes in 0..4 * CHUNK_BYTES,
            step_bytes in prop_oneof![1..9_usize, Just(CHUNK_BYTES)],
            moves in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8), 0..20),
        ) {
            let bytes: Vec<u8> = (0..len_bytes as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let source = Trickle { bytes: io::Cursor::new(bytes.clone()), step_bytes, reads: 0 };
            let mut raw = Raw::new(Box::new(source));
            for (index, what) in moves {
                match what {
                    0 => raw.seek_to(index.index(len_bytes + 1) as u64).unwrap(),
                    1 => prop_assert_eq!(raw.remaining_bytes().unwrap(), Some(len_bytes as u64 - raw.position)),
                    _ => {
                        raw.fill_more().unwrap();
                        prop_assert!(bytes[raw.position as usize..].starts_with(raw.buffered()));
                        raw.consume(index.index(raw.buffered().len() + 1));
                    }
                }
            }
            let expected = Checksum { len_bytes: len_bytes as u64, xxh3: xxh3_64(&bytes) };
            prop_assert_eq!(raw.finish().unwrap(), expected);
        }
    }

    #[test]
    fn what_came_before_an_error_is_used_first() {
        struct Broken(u32);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 1 {
                    return Err(io::Error::other("the disk is broken"));
                }
                buffer[..3].copy_from_slice(b"abc");
                Ok(3)
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Err(io::ErrorKind::NotSeekable.into())
            }
        }
        let mut raw = Raw::new(Box::new(Broken(0)));
        assert_eq!(raw.peek(1).unwrap(), b"abc");
        assert!(raw.fill_more().is_err());
        assert_eq!(raw.remaining_bytes().unwrap(), None);
    }
}
