//! Little-endian numbers from a stream of known length. Lengths in the file are compared with the remaining bytes
//! before memory is allocated for them.

use std::io::Read;

use crate::ReadError;

/// Floats are converted by this many at a time.
const FLOATS_PER_CHUNK: usize = 4096;

/// Largest weight that is accepted, so that no sum of a prediction can overflow.
const MAX_WEIGHT: f32 = 1e6;

/// A stream with its position.
pub(crate) struct Reader<R> {
    stream: R,
    offset: u64,
    len_bytes: u64,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of a stream of `len_bytes`.
    pub(crate) fn new(stream: R, len_bytes: u64) -> Reader<R> {
        Reader { stream, offset: 0, len_bytes }
    }

    /// Bytes that have been read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Checks that `count` items of `bytes_each` can follow, and returns the count as a length in memory.
    pub(crate) fn announced(&self, count: u64, bytes_each: u64) -> Result<usize, ReadError> {
        let needed_bytes = count.saturating_mul(bytes_each);
        if needed_bytes > self.len_bytes - self.offset {
            return Err(self.cut_off(needed_bytes));
        }
        usize::try_from(count).map_err(|_| self.cut_off(needed_bytes))
    }

    /// Checks that the stream ends here.
    pub(crate) fn finish(self) -> Result<(), ReadError> {
        if self.offset < self.len_bytes {
            return Err(ReadError::TrailingBytes { offset: self.offset, len_bytes: self.len_bytes });
        }
        Ok(())
    }

    fn cut_off(&self, needed_bytes: u64) -> ReadError {
        ReadError::CutOff { len_bytes: self.len_bytes, offset: self.offset, needed_bytes }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.announced(buffer.len() as u64, 1)?;
        self.stream.read_exact(buffer)?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ReadError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, ReadError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        self.array().map(|[byte]| byte)
    }

    /// A byte that is 0 or 1.
    pub(crate) fn bool(&mut self, name: &'static str) -> Result<bool, ReadError> {
        let offset = self.offset;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(ReadError::Setting { name, value: value.into(), offset }),
        }
    }

    /// An i32 that lies in a range.
    pub(crate) fn setting(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<i32>,
    ) -> Result<i32, ReadError> {
        let offset = self.offset;
        let value = self.i32()?;
        if !range.contains(&value) {
            return Err(ReadError::Setting { name, value: value.into(), offset });
        }
        Ok(value)
    }

    /// Appends the bytes before the next NUL, and steps over it.
    pub(crate) fn until_nul(&mut self, text: &mut Vec<u8>) -> Result<(), ReadError> {
        loop {
            match self.u8()? {
                0 => return Ok(()),
                byte => text.push(byte),
            }
        }
    }

    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; self.announced(count, 1)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Weights, each a finite number that is not too large.
    pub(crate) fn weights(&mut self, count: u64) -> Result<Vec<f32>, ReadError> {
        let count = self.announced(count, 4)?;
        let mut weights = Vec::with_capacity(count);
        let mut chunk = [0; 4 * FLOATS_PER_CHUNK];
        while weights.len() < count {
            let chunk = &mut chunk[..4 * FLOATS_PER_CHUNK.min(count - weights.len())];
            let chunk_offset = self.offset;
            self.fill(chunk)?;
            for (index, bytes) in chunk.as_chunks::<4>().0.iter().enumerate() {
                let value = f32::from_le_bytes(*bytes);
                if value.is_nan() || value.abs() > MAX_WEIGHT {
                    return Err(ReadError::Weight { offset: chunk_offset + 4 * index as u64, value });
                }
                weights.push(value);
            }
        }
        Ok(weights)
    }
}
