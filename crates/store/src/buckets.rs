//! Rows routed by hash: one object per writing task, in which each bucket can be read alone.
//!
//! A wide step is two stages. Each task of the first writes one bucket file; each task of the second
//! reads one bucket out of every file: one range of its index, and the frames that the range names.
//! Layout (little-endian), see `docs/formats.md`:
//!
//! ```text
//! "WTBUCK02"
//! frames      zstd blocks of postcard rows, each row after its length (u32)
//! index       per frame, sorted by bucket: rows u32, stored bytes u32, plain bytes u32, 0 u32, offset u64, XXH3 u64
//! directory   per bucket: first frame u64, rows u64, digest u64; one more row that ends the last bucket
//! footer      offset of the index u64, offset of the directory u64, buckets u32, schema of the rows u32, "WTBUCKED"
//! ```
//!
//! A bucket's digest is XXH3 of its plain rows: it does not change when other buckets do.

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::path::Path;

use atomic_file::{AtomicFile, Written};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::store::{Blob, LocalBlob, Upload};
use crate::{Error, Result};

const HEAD: &[u8; 8] = b"WTBUCK02";
const TAIL: &[u8; 8] = b"WTBUCKED";
const INDEX_ROW_BYTES: u64 = 32;
const DIRECTORY_ROW_BYTES: u64 = 24;
const FOOTER_BYTES: u64 = 32;
/// A bucket's rows are compressed and written when they reach this size.
const FRAME_BYTES: usize = 64 << 10;
/// Memory for the rows of all buckets; when it is reached, the fullest bucket is written early.
const HELD_BYTES: usize = 32 << 20;
/// Bytes at the end of a file that are read at once: in a small file they hold the footer, the directory and the index.
const TAIL_BYTES: u64 = 16 << 10;

#[derive(Debug, Clone, Copy)]
struct Frame {
    rows: u32,
    stored_bytes: u32,
    plain_bytes: u32,
    offset: u64,
    checksum: u64,
}

/// A row of a bucket file. Its bytes do not describe its fields, so the type has a version number.
pub trait SpillRow: Serialize + DeserializeOwned {
    /// Raised with every change of the fields, so that rows of an older form are refused rather than misread.
    const SCHEMA: u32;
}

/// Implements [`SpillRow`] for row types, each with its version number.
#[macro_export]
macro_rules! spill_rows {
    ($($row:ty = $schema:literal),* $(,)?) => {
        $(impl $crate::buckets::SpillRow for $row { const SCHEMA: u32 = $schema; })*
    };
}

spill_rows!(u64 = 1, String = 1, (Vec<u8>, u64) = 1);

/// A bucket that is being filled.
#[derive(Default)]
struct Held {
    plain: Vec<u8>,
    rows: u32,
    total_rows: u64,
    frames: Vec<Frame>,
    /// Made with the first row: a hasher takes half a KiB, and many buckets stay empty.
    digest: Option<Box<Xxh3>>,
}

/// What a finished bucket file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketsWritten {
    /// The whole object.
    pub written: Written,
    /// Rows in all buckets.
    pub rows: u64,
    /// XXH3 of each bucket's rows, by its number; 0 for an empty one.
    pub digests: Vec<u64>,
}

/// Writes rows of type `T` into numbered buckets of one object.
pub struct BucketWriter<T> {
    shown: String,
    upload: Box<dyn Upload>,
    len_bytes: u64,
    held: Vec<Held>,
    held_bytes: usize,
    compressor: zstd::bulk::Compressor<'static>,
    row: PhantomData<fn(T)>,
}

impl<T: SpillRow> BucketWriter<T> {
    /// Starts the local file `path` with buckets `0..buckets`.
    pub fn create(path: &Path, buckets: u32) -> Result<BucketWriter<T>> {
        BucketWriter::new(Box::new(AtomicFile::create(path)?), path.display().to_string(), buckets)
    }

    /// Starts an object, which messages name as `shown`, with buckets `0..buckets`. Memory: at most 32 MiB and a row.
    pub fn new(mut upload: Box<dyn Upload>, shown: String, buckets: u32) -> Result<BucketWriter<T>> {
        upload.write_all(HEAD).map_err(|error| Error::io("write", &shown, error))?;
        let compressor = zstd::bulk::Compressor::new(1).map_err(|error| Error::io("compress", &shown, error))?;
        Ok(BucketWriter {
            shown,
            upload,
            len_bytes: HEAD.len() as u64,
            held: (0..buckets).map(|_| Held::default()).collect(),
            held_bytes: 0,
            compressor,
            row: PhantomData,
        })
    }

    /// Adds a row to a bucket.
    ///
    /// # Panics
    /// If the bucket's number is not below the number given at the start.
    pub fn push(&mut self, bucket: u32, row: &T) -> Result<()> {
        let held = &mut self.held[bucket as usize];
        let start = held.plain.len();
        held.plain.extend_from_slice(&[0; 4]);
        held.plain = postcard::to_extend(row, std::mem::take(&mut held.plain))
            .map_err(|source| Error::Row { object: self.shown.clone(), source: Box::new(source) })?;
        let row_bytes = held.plain.len() - start;
        held.plain[start..start + 4].copy_from_slice(&((row_bytes - 4) as u32).to_le_bytes());
        held.rows += 1;
        held.total_rows += 1;
        let is_full = held.plain.len() >= FRAME_BYTES;
        self.held_bytes += row_bytes;
        if is_full {
            self.write_frame(bucket as usize)
        } else if self.held_bytes >= HELD_BYTES {
            let sizes = self.held.iter().enumerate();
            let (fullest, _) = sizes.max_by_key(|(_, held)| held.plain.len()).expect("has buckets");
            self.write_frame(fullest)?;
            // The bucket was written early to make room: free its memory.
            self.held[fullest].plain = Vec::new();
            Ok(())
        } else {
            Ok(())
        }
    }

    fn write_frame(&mut self, bucket: usize) -> Result<()> {
        let held = &mut self.held[bucket];
        if held.rows == 0 {
            return Ok(());
        }
        held.digest.get_or_insert_with(|| Box::new(Xxh3::new())).update(&held.plain);
        let stored =
            self.compressor.compress(&held.plain).map_err(|error| Error::io("compress", &self.shown, error))?;
        held.frames.push(Frame {
            rows: held.rows,
            stored_bytes: stored.len() as u32,
            plain_bytes: held.plain.len() as u32,
            offset: self.len_bytes,
            checksum: xxh3_64(&stored),
        });
        self.held_bytes -= held.plain.len();
        held.plain.clear();
        held.plain.shrink_to(2 * FRAME_BYTES); // one long row must not be held for ever
        held.rows = 0;
        self.len_bytes += stored.len() as u64;
        self.upload.write_all(&stored).map_err(|error| Error::io("write", &self.shown, error))
    }

    /// Writes what is held, the index, the directory and the footer, and makes the object visible.
    pub fn finish(mut self) -> Result<BucketsWritten> {
        for bucket in 0..self.held.len() {
            self.write_frame(bucket)?;
        }
        let digests: Vec<u64> =
            self.held.iter().map(|held| held.digest.as_ref().map_or(0, |digest| digest.digest())).collect();
        let index_offset = self.len_bytes;
        let (mut index, mut directory) = (Vec::new(), Vec::new());
        let mut frames = 0u64;
        for (held, digest) in self.held.iter().zip(&digests) {
            push_directory_row(&mut directory, frames, held.total_rows, *digest);
            frames += held.frames.len() as u64;
            for frame in &held.frames {
                index.extend_from_slice(&frame.rows.to_le_bytes());
                index.extend_from_slice(&frame.stored_bytes.to_le_bytes());
                index.extend_from_slice(&frame.plain_bytes.to_le_bytes());
                index.extend_from_slice(&[0; 4]);
                index.extend_from_slice(&frame.offset.to_le_bytes());
                index.extend_from_slice(&frame.checksum.to_le_bytes());
            }
        }
        push_directory_row(&mut directory, frames, 0, 0);
        let directory_offset = index_offset + index.len() as u64;
        let mut tail = index;
        tail.extend_from_slice(&directory);
        tail.extend_from_slice(&index_offset.to_le_bytes());
        tail.extend_from_slice(&directory_offset.to_le_bytes());
        tail.extend_from_slice(&(self.held.len() as u32).to_le_bytes());
        tail.extend_from_slice(&T::SCHEMA.to_le_bytes());
        tail.extend_from_slice(TAIL);
        self.upload.write_all(&tail).map_err(|error| Error::io("write", &self.shown, error))?;
        let rows = self.held.iter().map(|held| held.total_rows).sum();
        Ok(BucketsWritten { written: self.upload.commit()?, rows, digests })
    }
}

fn push_directory_row(directory: &mut Vec<u8>, first_frame: u64, rows: u64, digest: u64) {
    directory.extend_from_slice(&first_frame.to_le_bytes());
    directory.extend_from_slice(&rows.to_le_bytes());
    directory.extend_from_slice(&digest.to_le_bytes());
}

/// Reads the rows of one bucket, in the order in which they were written.
pub struct BucketReader<T> {
    shown: String,
    blob: Box<dyn Blob>,
    frames: std::vec::IntoIter<Frame>,
    plain: Vec<u8>,
    at: usize,
    row: PhantomData<fn() -> T>,
}

impl<T: SpillRow> BucketReader<T> {
    /// Opens one bucket of the local file `path`.
    pub fn open(path: &Path, bucket: u32) -> Result<BucketReader<T>> {
        BucketReader::new(Box::new(LocalBlob::open(path)?), path.display().to_string(), bucket)
    }

    /// Opens one bucket of an object that messages name as `shown`. Memory: the bucket's part of the index and one
    /// frame.
    pub fn new(blob: Box<dyn Blob>, shown: String, bucket: u32) -> Result<BucketReader<T>> {
        let frames = read_frames(&*blob, &shown, bucket, T::SCHEMA)?.into_iter();
        Ok(BucketReader { shown, blob, frames, plain: Vec::new(), at: 0, row: PhantomData })
    }

    fn next_frame(&mut self) -> Result<bool> {
        let Some(frame) = self.frames.next() else { return Ok(false) };
        let mut stored = vec![0; frame.stored_bytes as usize];
        self.blob.read_at(frame.offset, &mut stored).map_err(|error| Error::io("read", &self.shown, error))?;
        if xxh3_64(&stored) != frame.checksum {
            return Err(self.damaged(frame.offset, "a frame's checksum differs"));
        }
        // Grows with what is there: the length that the index claims is only a limit.
        let limit_bytes = u64::from(frame.plain_bytes) + 1;
        self.plain.clear();
        zstd::Decoder::with_buffer(stored.as_slice())
            .and_then(|decoder| decoder.take(limit_bytes).read_to_end(&mut self.plain))
            .map_err(|error| Error::io("decompress", &self.shown, error))?;
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
        Error::Damaged { object: self.shown.clone(), offset, what: what.into() }
    }
}

impl<T: SpillRow> Iterator for BucketReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.next_row().transpose()
    }
}

/// The end of an object, kept in memory so that it is read only once.
struct Tail<'a> {
    blob: &'a dyn Blob,
    shown: &'a str,
    bytes: Vec<u8>,
    start: u64,
}

impl Tail<'_> {
    /// The bytes from `offset` on, which must lie below `end`.
    fn read(&self, offset: u64, len_bytes: u64, end: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len_bytes).is_none_or(|last| last > end) {
            return Err(damaged(self.shown, "what its footer names lies outside it"));
        }
        if let Some(from) = offset.checked_sub(self.start) {
            return Ok(self.bytes[from as usize..(from + len_bytes) as usize].to_vec());
        }
        let mut bytes = vec![0; len_bytes as usize];
        self.blob.read_at(offset, &mut bytes).map_err(|error| Error::io("read", self.shown, error))?;
        Ok(bytes)
    }
}

fn damaged(shown: &str, what: &str) -> Error {
    Error::Damaged { object: shown.to_owned(), offset: 0, what: what.to_owned() }
}

/// The frames of one bucket.
fn read_frames(blob: &dyn Blob, shown: &str, bucket: u32, schema: u32) -> Result<Vec<Frame>> {
    let len_bytes = blob.len_bytes();
    if len_bytes < HEAD.len() as u64 + DIRECTORY_ROW_BYTES + FOOTER_BYTES {
        return Err(damaged(shown, "shorter than its footer"));
    }
    let start = len_bytes.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; (len_bytes - start) as usize];
    blob.read_at(start, &mut bytes).map_err(|error| Error::io("read", shown, error))?;
    let footer = bytes[bytes.len() - FOOTER_BYTES as usize..].to_vec();
    let tail = Tail { blob, shown, bytes, start };
    let (index_offset, directory_offset) = (read_u64(&footer, 0), read_u64(&footer, 8));
    let (buckets, found_schema) = (u64::from(read_u32(&footer, 16)), read_u32(&footer, 20));
    let directory_end = buckets.checked_add(1).and_then(|rows| rows.checked_mul(DIRECTORY_ROW_BYTES));
    let directory_end = directory_end.and_then(|bytes| bytes.checked_add(directory_offset));
    if &footer[24..] != TAIL || directory_end != Some(len_bytes - FOOTER_BYTES) || index_offset > directory_offset {
        return Err(damaged(shown, "its footer is not one"));
    }
    if found_schema != schema {
        return Err(damaged(shown, &format!("its rows have form {found_schema}, and {schema} is read")));
    }
    if u64::from(bucket) >= buckets {
        return Err(damaged(shown, "it has fewer buckets"));
    }
    let place = directory_offset + u64::from(bucket) * DIRECTORY_ROW_BYTES;
    let rows = tail.read(place, 2 * DIRECTORY_ROW_BYTES, len_bytes)?;
    let (first, end) = (read_u64(&rows, 0), read_u64(&rows, DIRECTORY_ROW_BYTES as usize));
    let index_bytes = end.checked_sub(first).and_then(|frames| frames.checked_mul(INDEX_ROW_BYTES));
    let index_start = first.checked_mul(INDEX_ROW_BYTES).and_then(|bytes| bytes.checked_add(index_offset));
    let (Some(index_bytes), Some(index_start)) = (index_bytes, index_start) else {
        return Err(damaged(shown, "its directory is not one"));
    };
    let index = tail.read(index_start, index_bytes, directory_offset)?;
    let frames = index.chunks_exact(INDEX_ROW_BYTES as usize).map(|row| Frame {
        rows: read_u32(row, 0),
        stored_bytes: read_u32(row, 4),
        plain_bytes: read_u32(row, 8),
        offset: read_u64(row, 16),
        checksum: read_u64(row, 24),
    });
    let frames: Vec<Frame> = frames.collect();
    // The index has no checksum of its own: rows that are missing from it are noticed here.
    if frames.iter().map(|frame| u64::from(frame.rows)).sum::<u64>() != read_u64(&rows, 8) {
        return Err(damaged(shown, "its index and its directory differ"));
    }
    let lies_inside =
        |frame: &Frame| frame.offset.checked_add(u64::from(frame.stored_bytes)).is_some_and(|end| end <= index_offset);
    if frames.iter().all(lies_inside) { Ok(frames) } else { Err(damaged(shown, "a frame lies outside it")) }
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

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Numbered(u64, Vec<u8>);
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Renumbered(u64, Vec<u8>);
    spill_rows!(Numbered = 1, Renumbered = 2);

    #[test]
    fn rows_of_another_form_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.buckets");
        let mut writer = BucketWriter::create(&path, 1).unwrap();
        writer.push(0, &Numbered(1, vec![2])).unwrap();
        writer.finish().unwrap();
        assert_eq!(BucketReader::<Numbered>::open(&path, 0).unwrap().next().unwrap().unwrap(), Numbered(1, vec![2]));
        let refused = BucketReader::<Renumbered>::open(&path, 0).err().unwrap().to_string();
        assert!(refused.contains("form 1, and 2 is read"), "{refused}");
    }

    proptest! {
        #[test]
        fn each_bucket_gives_back_its_rows_in_order(rows: Vec<(u8, String)>) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.buckets");
            let mut writer = BucketWriter::create(&path, 5).unwrap();
            for (bucket, text) in &rows {
                writer.push(u32::from(bucket % 5), text).unwrap();
            }
            let filled = writer.finish().unwrap();
            prop_assert_eq!(filled.rows, rows.len() as u64);
            for b in 0..5u8 {
                let reader = BucketReader::<String>::open(&path, u32::from(b)).unwrap();
                let got: Vec<String> = reader.map(|r| r.unwrap()).collect();
                let want: Vec<String> =
                    rows.iter().filter(|(bucket, _)| bucket % 5 == b).map(|(_, t)| t.clone()).collect();
                prop_assert_eq!(got, want);
            }
        }

    }

    #[test]
    fn a_damaged_file_is_an_error_or_gives_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.buckets");
        let mut writer = BucketWriter::create(&path, 3).unwrap();
        let row = |i: u32| format!("row {i}");
        (0..40).for_each(|i| writer.push(i % 2, &row(i)).unwrap());
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let read = |bytes: &[u8], bucket: u32| -> Result<Vec<String>> {
            std::fs::write(&path, bytes).unwrap();
            BucketReader::open(&path, bucket)?.collect()
        };
        for bucket in 0..3 {
            let rows = read(&whole, bucket).unwrap();
            assert_eq!(rows, (0..40).filter(|i| i % 2 == bucket).map(row).collect::<Vec<_>>());
            for cut in 0..whole.len() {
                assert!(read(&whole[..cut], bucket).is_err(), "cut at {cut}");
            }
            for (at, by) in (0..whole.len()).flat_map(|at| [(at, 1), (at, 0xff)]) {
                let mut changed = whole.clone();
                changed[at] ^= by;
                assert!(read(&changed, bucket).map_or(true, |read| read == rows), "changed at {at}");
            }
        }
    }

    #[test]
    fn a_digest_speaks_of_its_bucket_alone() {
        let digests = |rows: &[(u32, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = BucketWriter::create(&folder.path().join("rows.buckets"), 3).unwrap();
            rows.iter().for_each(|(bucket, row)| writer.push(*bucket, &row.to_string()).unwrap());
            writer.finish().unwrap().digests
        };
        let one = digests(&[(0, "a"), (1, "b"), (0, "c")]);
        let other = digests(&[(1, "other"), (0, "a"), (0, "c"), (1, "b")]);
        assert_eq!((one[0], one[2]), (other[0], 0));
        assert_ne!(one[1], other[1]);
    }

    #[test]
    fn many_frames_and_an_index_longer_than_the_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.buckets");
        let mut writer = BucketWriter::create(&path, 700).unwrap();
        let row = |n: u64| Numbered(n, vec![n as u8; 1 + (n % 2000) as usize]);
        (0..40_000u64).for_each(|n| writer.push((n % 697) as u32, &row(n)).unwrap());
        writer.finish().unwrap();
        for bucket in [0u64, 350, 696, 699] {
            let got: Vec<Numbered> =
                BucketReader::open(&path, bucket as u32).unwrap().map(|row| row.unwrap()).collect();
            let wanted: Vec<_> = (0..40_000).filter(|n| n % 697 == bucket).map(row).collect();
            assert_eq!(got, wanted);
        }
        assert!(BucketReader::<String>::open(&path, 700).is_err());
    }
}
