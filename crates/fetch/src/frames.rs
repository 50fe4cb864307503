//! Files of frames under checksums, which tell after a kill how much of them is good.
//!
//! ```text
//! 8 bytes  what the file is
//! frames:  length of the payload (u32), XXH3-64 of the payload (u64), both little endian; payload (postcard)
//! ```
//!
//! Whatever a frame speaks of is written and synced before it; so the last whole frame names nothing that is missing.
//! What stands behind it is cut off.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

/// What a file begins with.
pub(crate) type Magic = [u8; 8];

/// Longest payload that is believed; groups end long before.
const PAYLOAD_MAX_BYTES: u32 = 1 << 30;
const HEAD_BYTES: usize = 12;

/// A file of frames that grows.
pub(crate) struct FrameWriter {
    path: PathBuf,
    file: File,
    len_bytes: u64,
}

impl FrameWriter {
    /// Opens a file for appending behind its whole frames, which end at `len_bytes` ([`FrameReader::end`]).
    pub(crate) fn open(path: &Path, magic: &Magic, len_bytes: u64) -> io::Result<FrameWriter> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(len_bytes)?;
        let mut len_bytes = file.seek(SeekFrom::End(0))?;
        if len_bytes == 0 {
            file.write_all(magic)?;
            len_bytes = magic.len() as u64;
        }
        Ok(FrameWriter { path: path.to_path_buf(), file, len_bytes })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a frame and syncs it. When that fails, the frame is taken back.
    pub(crate) fn append(&mut self, content: &(impl Serialize + ?Sized)) -> io::Result<()> {
        let payload = postcard::to_stdvec(content).map_err(io::Error::other)?;
        let mut frame = Vec::with_capacity(HEAD_BYTES + payload.len());
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(&xxh3_64(&payload).to_le_bytes());
        frame.extend_from_slice(&payload);
        if let Err(error) = self.file.write_all(&frame).and_then(|()| self.file.sync_data()) {
            self.file.set_len(self.len_bytes)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.len_bytes += frame.len() as u64;
        Ok(())
    }
}

/// The frames of a file, up to the first that is not whole; none where there is no file.
pub(crate) struct FrameReader<T> {
    reader: Option<BufReader<File>>,
    end: u64,
    content: PhantomData<T>,
}

impl<T: DeserializeOwned> FrameReader<T> {
    pub(crate) fn open(path: &Path, magic: &Magic) -> io::Result<FrameReader<T>> {
        let mut frames = FrameReader { reader: None, end: 0, content: PhantomData };
        let mut reader = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(frames),
            other => BufReader::with_capacity(1 << 18, other?),
        };
        let mut found = Magic::default();
        if read_whole(&mut reader, &mut found)? && found == *magic {
            frames.end = magic.len() as u64;
            frames.reader = Some(reader);
        }
        Ok(frames)
    }

    /// Where the last whole frame ended.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    fn read(&mut self) -> io::Result<Option<(u64, T)>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let mut head = [0; HEAD_BYTES];
        if !read_whole(reader, &mut head)? {
            return Ok(None);
        }
        let (len, checksum) = parse_head(&head);
        if len > PAYLOAD_MAX_BYTES {
            return Ok(None);
        }
        let mut payload = Vec::new();
        reader.take(len.into()).read_to_end(&mut payload)?;
        if payload.len() != len as usize || xxh3_64(&payload) != checksum {
            return Ok(None);
        }
        let Ok(content) = postcard::from_bytes(&payload) else { return Ok(None) };
        let offset = self.end;
        self.end += (HEAD_BYTES + payload.len()) as u64;
        Ok(Some((offset, content)))
    }
}

/// Errors are those of the disk; a frame that is cut off or damaged ends the file. With each frame comes its offset.
impl<T: DeserializeOwned> Iterator for FrameReader<T> {
    type Item = io::Result<(u64, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if next.is_none() {
            self.reader = None;
        }
        next
    }
}

/// The frame at an offset that [`FrameReader`] has given.
pub(crate) fn frame_at<T: DeserializeOwned>(file: &File, offset: u64) -> io::Result<T> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, offset)?;
    let (len, checksum) = parse_head(&head);
    let mut payload = vec![0; len.min(PAYLOAD_MAX_BYTES) as usize];
    file.read_exact_at(&mut payload, offset + HEAD_BYTES as u64)?;
    if xxh3_64(&payload) != checksum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame's checksum differs"));
    }
    postcard::from_bytes(&payload).map_err(io::Error::other)
}

fn parse_head(head: &[u8; HEAD_BYTES]) -> (u32, u64) {
    let len = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
    (len, u64::from_le_bytes(head[4..].try_into().expect("eight bytes")))
}

/// `false` when the file ends before.
fn read_whole(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: Magic = *b"WTTEST01";

    fn write(path: &Path, frames: &[&[&str]]) -> Vec<u64> {
        let mut writer = FrameWriter::open(path, &MAGIC, 0).unwrap();
        let append = |frame: &&[&str]| {
            writer.append(*frame).unwrap();
            writer.len_bytes
        };
        frames.iter().map(append).collect()
    }

    fn words(path: &Path) -> (Vec<String>, u64) {
        let mut reader = FrameReader::<Vec<String>>::open(path, &MAGIC).unwrap();
        let mut words = Vec::new();
        for frame in &mut reader {
            let (offset, content) = frame.unwrap();
            assert_eq!(frame_at::<Vec<String>>(&File::open(path).unwrap(), offset).unwrap(), content);
            words.extend(content);
        }
        (words, reader.end())
    }

    #[test]
    fn any_cut_leaves_whole_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        assert_eq!(words(&path), (vec![], 0));
        let ends = write(&path, &[&["a", "b"], &["c"]]);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let expected: &[&str] = match len as u64 {
                len if len < ends[0] => &[],
                len if len < ends[1] => &["a", "b"],
                _ => &["a", "b", "c"],
            };
            let (found, end) = words(&path);
            assert_eq!(found, expected, "{len}");
            // What is appended behind the cut is found.
            FrameWriter::open(&path, &MAGIC, end).unwrap().append(&["d"][..]).unwrap();
            assert_eq!(words(&path).0.last().unwrap(), "d", "{len}");
        }
    }

    #[test]
    fn a_damaged_byte_ends_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        write(&path, &[&["a"], &["b"]]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            assert!(words(&path).0.len() < 2, "byte {at}");
        }
    }
}
