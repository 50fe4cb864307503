//! Rows routed by hash: one file a writing task, in which each bucket can be read alone.
//!
//! A wide step is two stages. Each task of the first writes one bucket file; each task of the second
//! reads one bucket out of every file. Layout (little-endian), see `docs/formats.md`:
//!
//! ```text
//! "WTBUCK01"
//! frames     zstd blocks of postcard rows, each row behind a u32 length
//! index      a row a frame: bucket u32, rows u32, offset u64, stored bytes u32, plain bytes u32, XXH3 u64
//! footer     offset of the index u64, frames u64, "WTBUCKED"
//! ```

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::atomic::Written;
use crate::{AtomicFile, Error, IoContext, Result};

const HEAD: &[u8; 8] = b"WTBUCK01";
const TAIL: &[u8; 8] = b"WTBUCKED";
const INDEX_ROW_BYTES: usize = 32;
const FOOTER_BYTES: u64 = 24;
/// A bucket's rows are compressed and written when they reach this size.
const FRAME_BYTES: usize = 64 << 10;
/// Memory over all buckets; the fullest is written early when it is reached.
const HELD_BYTES: usize = 64 << 20;

#[derive(Debug, Clone, Copy)]
struct Frame {
    bucket: u32,
    rows: u32,
    offset: u64,
    stored_bytes: u32,
    plain_bytes: u32,
    checksum: u64,
}

/// Writes rows of type `T` into numbered buckets of one file.
pub struct BucketWriter<T> {
    file: AtomicFile,
    held: Vec<(Vec<u8>, u32)>,
    held_bytes: usize,
    frames: Vec<Frame>,
    compressor: zstd::bulk::Compressor<'static>,
    row: PhantomData<T>,
}

impl<T: Serialize> BucketWriter<T> {
    /// Starts a file with buckets `0..buckets`. Memory: at most 64 MiB and one row.
    pub fn create(path: &Path, buckets: u32) -> Result<BucketWriter<T>> {
        let mut file = AtomicFile::create(path)?;
        file.write_all(HEAD).at("write", path)?;
        Ok(BucketWriter {
            file,
            held: vec![(Vec::new(), 0); buckets as usize],
            held_bytes: 0,
            frames: Vec::new(),
            compressor: zstd::bulk::Compressor::new(1).at("compress", path)?,
            row: PhantomData,
        })
    }

    /// Adds a row to a bucket.
    ///
    /// # Panics
    /// If the bucket's number is not below the number given to [`BucketWriter::create`].
    pub fn push(&mut self, bucket: u32, row: &T) -> Result<()> {
        let (bytes, rows) = &mut self.held[bucket as usize];
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        *bytes = postcard::to_extend(row, std::mem::take(bytes))
            .map_err(|source| Error::Row { path: self.file.path().to_path_buf(), source: Box::new(source) })?;
        let row_bytes = bytes.len() - start;
        let len = (row_bytes - 4) as u32;
        bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
        *rows += 1;
        let full = bytes.len() >= FRAME_BYTES;
        self.held_bytes += row_bytes;
        if full {
            self.write_frame(bucket)
        } else if self.held_bytes >= HELD_BYTES {
            let sizes = self.held.iter().enumerate();
            let (fullest, _) = sizes.max_by_key(|(_, (bytes, _))| bytes.len()).expect("has buckets");
            self.write_frame(fullest as u32)
        } else {
            Ok(())
        }
    }

    fn write_frame(&mut self, bucket: u32) -> Result<()> {
        let (bytes, rows) = &mut self.held[bucket as usize];
        if *rows == 0 {
            return Ok(());
        }
        let stored = self.compressor.compress(bytes).at("compress", self.file.path())?;
        self.frames.push(Frame {
            bucket,
            rows: *rows,
            offset: self.file.len_bytes(),
            stored_bytes: stored.len() as u32,
            plain_bytes: bytes.len() as u32,
            checksum: xxh3_64(&stored),
        });
        self.held_bytes -= bytes.len();
        bytes.clear();
        bytes.shrink_to(2 * FRAME_BYTES); // one long row must not be held for ever
        *rows = 0;
        let path = self.file.path().to_path_buf();
        self.file.write_all(&stored).at("write", &path)
    }

    /// Writes what is held, the index and the footer, and moves the file into place.
    pub fn finish(mut self) -> Result<Written> {
        for bucket in 0..self.held.len() as u32 {
            self.write_frame(bucket)?;
        }
        let index_offset = self.file.len_bytes();
        let mut tail = Vec::with_capacity(self.frames.len() * INDEX_ROW_BYTES + FOOTER_BYTES as usize);
        for frame in &self.frames {
            tail.extend_from_slice(&frame.bucket.to_le_bytes());
            tail.extend_from_slice(&frame.rows.to_le_bytes());
            tail.extend_from_slice(&frame.offset.to_le_bytes());
            tail.extend_from_slice(&frame.stored_bytes.to_le_bytes());
            tail.extend_from_slice(&frame.plain_bytes.to_le_bytes());
            tail.extend_from_slice(&frame.checksum.to_le_bytes());
        }
        tail.extend_from_slice(&index_offset.to_le_bytes());
        tail.extend_from_slice(&(self.frames.len() as u64).to_le_bytes());
        tail.extend_from_slice(TAIL);
        let path = self.file.path().to_path_buf();
        self.file.write_all(&tail).at("write", &path)?;
        self.file.commit()
    }
}

/// Reads the rows of one bucket, in the order in which they were written.
pub struct BucketReader<T> {
    path: PathBuf,
    file: File,
    frames: std::vec::IntoIter<Frame>,
    plain: Vec<u8>,
    at: usize,
    row: PhantomData<T>,
}

impl<T: DeserializeOwned> BucketReader<T> {
    /// Opens one bucket of a file. Memory: the file's index and one frame.
    pub fn open(path: &Path, bucket: u32) -> Result<BucketReader<T>> {
        let mut file = File::open(path).at("open", path)?;
        let mut frames = read_index(&mut file, path)?;
        frames.retain(|frame| frame.bucket == bucket);
        Ok(BucketReader {
            path: path.to_path_buf(),
            file,
            frames: frames.into_iter(),
            plain: Vec::new(),
            at: 0,
            row: PhantomData,
        })
    }

    fn next_frame(&mut self) -> Result<bool> {
        let Some(frame) = self.frames.next() else { return Ok(false) };
        let mut stored = vec![0; frame.stored_bytes as usize];
        self.file.seek(SeekFrom::Start(frame.offset)).at("seek in", &self.path)?;
        self.file.read_exact(&mut stored).at("read", &self.path)?;
        if xxh3_64(&stored) != frame.checksum {
            return Err(self.damaged(frame.offset, "a frame's checksum differs"));
        }
        // Grows with what is there: the length that the index claims is only a limit.
        let limit_bytes = u64::from(frame.plain_bytes) + 1;
        self.plain.clear();
        zstd::Decoder::with_buffer(stored.as_slice())
            .and_then(|decoder| decoder.take(limit_bytes).read_to_end(&mut self.plain))
            .at("decompress", &self.path)?;
        if self.plain.len() as u64 + 1 != limit_bytes {
            return Err(self.damaged(frame.offset, "a frame's length differs"));
        }
        self.at = 0;
        Ok(true)
    }

    fn next_row(&mut self) -> Result<Option<T>> {
        if self.at == self.plain.len() && !self.next_frame()? {
            return Ok(None);
        }
        let row = self.plain[self.at..].split_first_chunk::<4>().and_then(|(len, rest)| {
            let len = u32::from_le_bytes(*len) as usize;
            Some((len, postcard::from_bytes(rest.get(..len)?).ok()?))
        });
        let Some((len, row)) = row else {
            return Err(self.damaged(self.at as u64, "a row cannot be read"));
        };
        self.at += 4 + len;
        Ok(Some(row))
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::Damaged { path: self.path.clone(), offset, what: what.into() }
    }
}

impl<T: DeserializeOwned> Iterator for BucketReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.next_row().transpose()
    }
}

fn read_index(file: &mut File, path: &Path) -> Result<Vec<Frame>> {
    let damaged = |what: &str| Error::Damaged { path: path.to_path_buf(), offset: 0, what: what.into() };
    let len_bytes = file.metadata().at("look at", path)?.len();
    if len_bytes < 8 + FOOTER_BYTES {
        return Err(damaged("shorter than its footer"));
    }
    let mut footer = [0; FOOTER_BYTES as usize];
    file.seek(SeekFrom::Start(len_bytes - FOOTER_BYTES)).at("seek in", path)?;
    file.read_exact(&mut footer).at("read", path)?;
    let index_offset = read_u64(&footer, 0);
    let frames = read_u64(&footer, 8);
    let index_bytes = (len_bytes - FOOTER_BYTES).checked_sub(index_offset);
    if &footer[16..] != TAIL || index_bytes != frames.checked_mul(INDEX_ROW_BYTES as u64) {
        return Err(damaged("its footer is not one"));
    }
    let mut index = vec![0; len_bytes as usize - FOOTER_BYTES as usize - index_offset as usize];
    file.seek(SeekFrom::Start(index_offset)).at("seek in", path)?;
    file.read_exact(&mut index).at("read", path)?;
    let frame = |row: &[u8]| Frame {
        bucket: read_u32(row, 0),
        rows: read_u32(row, 4),
        offset: read_u64(row, 8),
        stored_bytes: read_u32(row, 16),
        plain_bytes: read_u32(row, 20),
        checksum: read_u64(row, 24),
    };
    let frames: Vec<Frame> = index.chunks_exact(INDEX_ROW_BYTES).map(frame).collect();
    let lies_inside =
        |frame: &Frame| frame.offset.checked_add(u64::from(frame.stored_bytes)).is_some_and(|end| end <= index_offset);
    if frames.iter().all(lies_inside) { Ok(frames) } else { Err(damaged("a frame lies outside the file")) }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_bucket_gives_back_its_rows_in_order(rows: Vec<(u8, String)>) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.buckets");
            let mut writer = BucketWriter::create(&path, 5).unwrap();
            for (bucket, text) in &rows {
                writer.push(u32::from(bucket % 5), text).unwrap();
            }
            writer.finish().unwrap();
            for b in 0..5u8 {
                let reader = BucketReader::<String>::open(&path, u32::from(b)).unwrap();
                let got: Vec<String> = reader.map(|r| r.unwrap()).collect();
                let want: Vec<String> =
                    rows.iter().filter(|(bucket, _)| bucket % 5 == b).map(|(_, t)| t.clone()).collect();
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn a_damaged_file_is_an_error_and_never_a_panic(at in 0usize..400, to: u8) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.buckets");
            let mut writer = BucketWriter::create(&path, 2).unwrap();
            for i in 0..40u32 {
                writer.push(i % 2, &format!("row {i}")).unwrap();
            }
            writer.finish().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            std::fs::write(&path, &bytes).unwrap();
            for bucket in 0..2 {
                if let Ok(reader) = BucketReader::<String>::open(&path, bucket) {
                    let _: Vec<_> = reader.take(1000).collect();
                }
            }
        }
    }
}
