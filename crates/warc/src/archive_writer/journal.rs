//! Journals: files of frames with checksums, which show after a kill how much of them is intact.
//!
//! ```text
//! 8 bytes  what the file is
//! frames:  length of the payload (u32), XXH3-64 of the payload (u64), both little endian; payload (postcard)
//! ```
//!
//! What a frame describes is written and synced before it, so the last whole frame names nothing that is missing. Each
//! frame is synced before the next: a kill or a power cut can damage only the last one, which is then cut off. A
//! damaged frame with others after it has another cause, and is an error.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::{ArchiveError, ArchiveState, JournalFrame, sync_folder_of};

/// The first bytes of a journal: its kind and version.
pub type Magic = [u8; 8];

/// Longest payload that is accepted; real groups are far smaller.
const MAX_PAYLOAD_BYTES: u32 = 1 << 30;
const HEAD_BYTES: usize = 12;

/// Where the intact part of a journal ends, and the state of the archives there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalEnd {
    /// Length of its header and whole frames.
    pub len_bytes: u64,
    /// The archives after its last whole frame.
    pub archive: ArchiveState,
}

/// A journal that is being written.
pub(super) struct JournalWriter {
    path: PathBuf,
    file: File,
    len_bytes: u64,
}

impl JournalWriter {
    /// Opens a journal for appending after its whole frames, which end at `len_bytes` ([`JournalReader::end`]).
    pub(super) fn open(path: &Path, magic: &Magic, len_bytes: u64) -> Result<JournalWriter, ArchiveError> {
        JournalWriter::try_open(path, magic, len_bytes).map_err(ArchiveError::at("open", path))
    }

    fn try_open(path: &Path, magic: &Magic, len_bytes: u64) -> io::Result<JournalWriter> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(len_bytes)?;
        let mut len_bytes = file.seek(SeekFrom::End(0))?;
        if len_bytes == 0 {
            file.write_all(magic)?;
            // The file itself must outlast a power cut, not only what is in it.
            file.sync_all()?;
            sync_folder_of(path)?;
            len_bytes = magic.len() as u64;
        }
        Ok(JournalWriter { path: path.to_path_buf(), file, len_bytes })
    }

    /// Appends a frame and syncs it. If that fails, the frame is removed again.
    pub(super) fn append(&mut self, frame: &impl Serialize) -> Result<(), ArchiveError> {
        self.try_append(frame).map_err(ArchiveError::at("write", &self.path))
    }

    fn try_append(&mut self, frame: &impl Serialize) -> io::Result<()> {
        let payload = postcard::to_stdvec(frame).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        if let Err(error) = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            self.file.set_len(self.len_bytes)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The frames of a journal with their offsets, up to a last one that is not whole; none where there is no file.
///
/// # Errors
/// Those of the disk, and [`ArchiveError::Damaged`] for a damaged frame with others after it.
pub struct JournalReader<F> {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    len_bytes: u64,
    end: JournalEnd,
    frames: PhantomData<F>,
}

impl<F: JournalFrame> JournalReader<F> {
    /// Opens a journal that begins with `magic`.
    pub fn open(path: &Path, magic: &Magic) -> Result<JournalReader<F>, ArchiveError> {
        let mut journal = JournalReader {
            path: path.to_path_buf(),
            reader: None,
            len_bytes: 0,
            end: JournalEnd::default(),
            frames: PhantomData,
        };
        journal.read_magic(magic).map_err(|error| journal.error(error))?;
        Ok(journal)
    }

    /// Where the last whole frame ended, of those that were read.
    pub fn end(&self) -> JournalEnd {
        self.end
    }

    fn read_magic(&mut self, magic: &Magic) -> io::Result<()> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        self.len_bytes = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut found = Magic::default();
        if !read_whole(&mut reader, &mut found)? {
            return Ok(());
        }
        self.reader = Some(reader);
        if found != *magic {
            // Of another version, or another kind of file.
            self.check_that_none_follows(magic.len() as u64)?;
            self.reader = None;
            return Ok(());
        }
        self.end.len_bytes = magic.len() as u64;
        Ok(())
    }

    fn read_frame(&mut self) -> io::Result<Option<(u64, F)>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let mut head = [0; HEAD_BYTES];
        if !read_whole(reader, &mut head)? {
            return Ok(None);
        }
        let (payload_bytes, checksum) = parse_head(&head);
        let offset = self.end.len_bytes;
        let frame_end = offset + HEAD_BYTES as u64 + u64::from(payload_bytes);
        if frame_end > self.len_bytes {
            return Ok(None);
        }
        let mut payload = Vec::new();
        reader.take(payload_bytes.min(MAX_PAYLOAD_BYTES).into()).read_to_end(&mut payload)?;
        let frame: Option<F> = if xxh3_64(&payload) == checksum { postcard::from_bytes(&payload).ok() } else { None };
        let Some(frame) = frame else { return self.check_that_none_follows(frame_end).map(|()| None) };
        self.end.len_bytes = frame_end;
        frame.apply(&mut self.end.archive);
        Ok(Some((offset, frame)))
    }

    /// The bytes up to `to` are damaged. A kill can be the cause only if nothing follows them; a power cut may leave a
    /// tail of zeros.
    fn check_that_none_follows(&mut self, to: u64) -> io::Result<()> {
        let behind = self.len_bytes.saturating_sub(to);
        let Some(reader) = self.reader.as_mut().filter(|_| behind > 0) else { return Ok(()) };
        let offset = self.end.len_bytes;
        reader.seek(SeekFrom::Start(offset))?;
        for byte in reader.bytes() {
            if byte? != 0 {
                let what =
                    format!("what stands at byte {offset} is not what was written there, and {behind} bytes follow it");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(())
    }

    fn error(&self, error: io::Error) -> ArchiveError {
        match error.kind() {
            io::ErrorKind::InvalidData => ArchiveError::Damaged { path: self.path.clone(), what: error.to_string() },
            _ => ArchiveError::at("read", &self.path)(error),
        }
    }
}

impl<F: JournalFrame> Iterator for JournalReader<F> {
    type Item = Result<(u64, F), ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_frame().map_err(|error| self.error(error)).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.reader = None;
        }
        next
    }
}

/// Reads the frame at an offset that [`JournalReader`] has given.
///
/// # Errors
/// Those of the disk, and `InvalidData` when the frame is not the one that was written.
pub fn read_frame_at<F: DeserializeOwned>(journal: &File, offset: u64) -> io::Result<F> {
    let mut head = [0; HEAD_BYTES];
    journal.read_exact_at(&mut head, offset)?;
    let (payload_bytes, checksum) = parse_head(&head);
    let mut payload = vec![0; payload_bytes.min(MAX_PAYLOAD_BYTES) as usize];
    journal.read_exact_at(&mut payload, offset + HEAD_BYTES as u64)?;
    if xxh3_64(&payload) != checksum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame's checksum differs"));
    }
    postcard::from_bytes(&payload).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn parse_head(head: &[u8; HEAD_BYTES]) -> (u32, u64) {
    let payload_bytes = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
    (payload_bytes, u64::from_le_bytes(head[4..].try_into().expect("eight bytes")))
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
    use serde::Deserialize;

    use super::*;

    const MAGIC: Magic = *b"WTTEST01";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Words(Vec<String>);

    impl JournalFrame for Words {
        fn apply(&self, _: &mut ArchiveState) {}
    }

    fn words(list: &[&str]) -> Words {
        Words(list.iter().map(|&word| word.to_owned()).collect())
    }

    fn write(path: &Path, frames: &[&[&str]]) -> Vec<u64> {
        let mut journal = JournalWriter::open(path, &MAGIC, 0).unwrap();
        let mut append = |frame: &&[&str]| {
            journal.append(&words(frame)).unwrap();
            journal.len_bytes
        };
        frames.iter().map(&mut append).collect()
    }

    fn read(path: &Path) -> (Vec<String>, u64) {
        try_read(path).unwrap()
    }

    fn try_read(path: &Path) -> Result<(Vec<String>, u64), ArchiveError> {
        let mut journal = JournalReader::<Words>::open(path, &MAGIC)?;
        let mut found = Vec::new();
        for frame in &mut journal {
            let (offset, frame) = frame?;
            assert_eq!(read_frame_at::<Words>(&File::open(path).unwrap(), offset).unwrap(), frame);
            found.extend(frame.0);
        }
        Ok((found, journal.end().len_bytes))
    }

    #[test]
    fn any_cut_leaves_whole_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert_eq!(read(&path), (vec![], 0));
        let ends = write(&path, &[&["a", "b"], &["c"]]);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let expected: &[&str] = match len as u64 {
                len if len < ends[0] => &[],
                len if len < ends[1] => &["a", "b"],
                _ => &["a", "b", "c"],
            };
            let (found, end) = read(&path);
            assert_eq!(found, expected, "{len}");
            // What is appended after the cut is found.
            JournalWriter::open(&path, &MAGIC, end).unwrap().append(&words(&["d"])).unwrap();
            assert_eq!(read(&path).0.last().unwrap(), "d", "{len}");
        }
    }

    #[test]
    fn a_damaged_byte_is_an_error_unless_it_is_in_the_last_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let ends = write(&path, &[&["a"], &["b"]]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x01;
            std::fs::write(&path, &bytes).unwrap();
            // A changed length leads to the file's end and looks like a cut, or before it and does not.
            let is_length = [8, ends[0] as usize].iter().any(|start| (*start..*start + 4).contains(&at));
            match try_read(&path) {
                _ if is_length => assert!(try_read(&path).map_or(0, |(words, _)| words.len()) < 2, "byte {at}"),
                Ok((words, _)) => assert!(at as u64 >= ends[0] && words == ["a"], "byte {at}: {words:?}"),
                Err(error) => {
                    assert!((at as u64) < ends[0], "byte {at}");
                    assert!(matches!(error, ArchiveError::Damaged { .. }), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_tail_of_zeros_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let ends = write(&path, &[&["a"]]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.resize(bytes.len() + 100, 0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path), (vec!["a".to_owned()], ends[0]));
        std::fs::write(&path, [0; 100]).unwrap();
        assert_eq!(read(&path), (vec![], 0));
    }
}
