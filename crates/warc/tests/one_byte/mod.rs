//! A source that gives one byte per read.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Gives at most one byte at a time.
pub struct OneByte(pub Cursor<Vec<u8>>);

impl Read for OneByte {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

impl Seek for OneByte {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
