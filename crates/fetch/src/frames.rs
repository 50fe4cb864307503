//! Files of frames under checksums, which tell after a kill how much of them is good.
//!
//! ```text
//! 8 bytes  what the file is
//! frames:  length of the payload (u32), XXH3-64 of the payload (u64), both little endian; payload (postcard)
//! ```
//!
//! Whatever a frame speaks of is written and synced before it; so the last whole frame names nothing that is missing.
//! Each frame is synced before the next: a kill or a power cut can spoil the last one alone, which is then cut off. A
//! spoilt frame with others behind it is no kill's doing, and an error.

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

/// A file of frames is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("what stands at byte {offset} is not what was written there, and {behind} bytes follow it")]
struct Spoilt {
    offset: u64,
    behind: u64,
}

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
            // The file itself must outlast a power cut, not only what is in it.
            file.sync_all()?;
            File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
                .sync_all()?;
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

/// The frames of a file, up to a last one that is not whole; none where there is no file.
pub(crate) struct FrameReader<T> {
    reader: Option<BufReader<File>>,
    len_bytes: u64,
    end: u64,
    content: PhantomData<T>,
}

impl<T: DeserializeOwned> FrameReader<T> {
    pub(crate) fn open(path: &Path, magic: &Magic) -> io::Result<FrameReader<T>> {
        let mut frames = FrameReader { reader: None, len_bytes: 0, end: 0, content: PhantomData };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(frames),
            other => other?,
        };
        frames.len_bytes = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut found = Magic::default();
        if !read_whole(&mut reader, &mut found)? {
            return Ok(frames);
        }
        frames.reader = Some(reader);
        if found != *magic {
            // Of another version, or no such file at all.
            frames.ends_spoilt(magic.len() as u64)?;
            frames.reader = None;
            return Ok(frames);
        }
        frames.end = magic.len() as u64;
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
        let frame_end = self.end + HEAD_BYTES as u64 + u64::from(len);
        if frame_end > self.len_bytes {
            return Ok(None);
        }
        let mut payload = Vec::new();
        reader.take(len.min(PAYLOAD_MAX_BYTES).into()).read_to_end(&mut payload)?;
        let content = if xxh3_64(&payload) == checksum { postcard::from_bytes(&payload).ok() } else { None };
        let Some(content) = content else { return self.ends_spoilt(frame_end).map(|()| None) };
        let offset = self.end;
        self.end = frame_end;
        Ok(Some((offset, content)))
    }

    /// What stands at the end is spoilt, up to `to`. That a kill has done so is an error unless nothing follows; a
    /// power cut may leave a tail of zeros.
    fn ends_spoilt(&mut self, to: u64) -> io::Result<()> {
        let behind = self.len_bytes.saturating_sub(to);
        let Some(reader) = self.reader.as_mut().filter(|_| behind > 0) else { return Ok(()) };
        reader.seek(SeekFrom::Start(self.end))?;
        for byte in reader.bytes() {
            if byte? != 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Spoilt { offset: self.end, behind }));
            }
        }
        Ok(())
    }
}

/// Errors are those of the disk, and of kind `InvalidData` a spoilt frame with others behind it. With each frame comes
/// its offset.
impl<T: DeserializeOwned> Iterator for FrameReader<T> {
    type Item = io::Result<(u64, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
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
        try_words(path).unwrap()
    }

    fn try_words(path: &Path) -> io::Result<(Vec<String>, u64)> {
        let mut reader = FrameReader::<Vec<String>>::open(path, &MAGIC)?;
        let mut words = Vec::new();
        for frame in &mut reader {
            let (offset, content) = frame?;
            assert_eq!(frame_at::<Vec<String>>(&File::open(path).unwrap(), offset).unwrap(), content);
            words.extend(content);
        }
        Ok((words, reader.end()))
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
    fn a_damaged_byte_is_an_error_unless_it_is_in_the_last_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let ends = write(&path, &[&["a"], &["b"]]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x01;
            std::fs::write(&path, &bytes).unwrap();
            // A changed length leads to the file's end and looks like a cut, or before it and does not.
            let is_length = [8, ends[0] as usize].iter().any(|start| (*start..*start + 4).contains(&at));
            match try_words(&path) {
                _ if is_length => assert!(try_words(&path).map_or(0, |(words, _)| words.len()) < 2, "byte {at}"),
                Ok((words, _)) => assert!(at as u64 >= ends[0] && words == ["a"], "byte {at}: {words:?}"),
                Err(error) => {
                    assert!((at as u64) < ends[0], "byte {at}");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_tail_of_zeros_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let ends = write(&path, &[&["a"]]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.resize(bytes.len() + 100, 0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(words(&path), (vec!["a".to_owned()], ends[0]));
        std::fs::write(&path, [0; 100]).unwrap();
        assert_eq!(words(&path), (vec![], 0));
    }
}
