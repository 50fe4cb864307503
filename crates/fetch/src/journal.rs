//! What has been done, durably: frames of entries, each frame under a checksum.
//!
//! A frame is `length: u32, xxh3: u64` (little endian) and that many bytes: a postcard list of [`Happened`]. It is one
//! group of outcomes. Order of writes: the group's records, sync of the WARC file, the frame, sync of the journal.
//! After a kill, what stands behind the last whole frame is cut off, and the WARC file to the length that the frame
//! gives; nothing that a frame names can be missing.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ledger::Outcome;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::robots;

/// No frame is longer: a group ends long before.
const FRAME_MAX_BYTES: u32 = 256 << 20;
const FRAME_HEAD_BYTES: usize = 12;

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Happened {
    /// The first of a journal: what it is of.
    Head {
        /// The settings that decide about outcomes, as JSON.
        settings: String,
        /// Checksum of the frontier that ids belong to.
        frontier: u64,
    },
    /// A link has its outcome.
    Done {
        id: u64,
        outcome: Box<Outcome>,
        /// The response's record, where one was written.
        stored: Option<Stored>,
    },
    /// A host is to be left in peace until then (milliseconds since 1970).
    Rest { host: String, until_unix_ms: u64, faults_in_a_row: u32 },
    /// An origin's robots.txt, and when it was asked for (seconds since 1970).
    Robots { origin: String, asked_unix_s: u64, answer: robots::Answer },
    /// The WARC file of this number is so long with the frame's records in it.
    Warc { number: u32, len_bytes: u64 },
    /// The WARC file of this number is closed; the next one follows.
    Sealed { number: u32 },
}

/// Where a response's record lies, for the index of its WARC file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) warc: u32,
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
    pub(crate) digest: String,
    pub(crate) is_revisit: bool,
}

/// A journal that grows.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    len_bytes: u64,
}

impl Journal {
    /// Opens a journal for appending behind its whole frames, which end at `len_bytes`.
    pub(crate) fn open(path: &Path, len_bytes: u64) -> io::Result<Journal> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(len_bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Journal { path: path.to_path_buf(), file, len_bytes })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a frame and syncs it. When that fails, the frame is taken back.
    pub(crate) fn append(&mut self, entries: &[Happened]) -> io::Result<()> {
        let payload = postcard::to_stdvec(entries).map_err(io::Error::other)?;
        let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
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

/// The frames of a journal, up to the first that is not whole.
pub(crate) struct Frames {
    reader: BufReader<File>,
    /// Where the last whole frame ended.
    pub(crate) end: u64,
}

/// One frame, and where it begins.
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) entries: Vec<Happened>,
}

impl Frames {
    pub(crate) fn open(path: &Path) -> io::Result<Frames> {
        Ok(Frames { reader: BufReader::with_capacity(1 << 20, File::open(path)?), end: 0 })
    }

    /// The next whole frame. Errors are those of the disk; a frame that is cut off or damaged ends the journal.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; FRAME_HEAD_BYTES];
        if !read_whole(&mut self.reader, &mut head)? {
            return Ok(None);
        }
        let (len, checksum) = parse_head(&head);
        if len > FRAME_MAX_BYTES {
            return Ok(None);
        }
        let mut payload = Vec::new();
        (&mut self.reader).take(len.into()).read_to_end(&mut payload)?;
        if payload.len() != len as usize || xxh3_64(&payload) != checksum {
            return Ok(None);
        }
        let Ok(entries) = postcard::from_bytes(&payload) else { return Ok(None) };
        let offset = self.end;
        self.end += (FRAME_HEAD_BYTES + payload.len()) as u64;
        Ok(Some(Frame { offset, entries }))
    }
}

/// The frame at an offset that [`Frames`] has given.
pub(crate) fn frame_at(file: &File, offset: u64) -> io::Result<Vec<Happened>> {
    let mut head = [0; FRAME_HEAD_BYTES];
    file.read_exact_at(&mut head, offset)?;
    let (len, _) = parse_head(&head);
    let mut payload = vec![0; len.min(FRAME_MAX_BYTES) as usize];
    file.read_exact_at(&mut payload, offset + FRAME_HEAD_BYTES as u64)?;
    postcard::from_bytes(&payload).map_err(io::Error::other)
}

fn parse_head(head: &[u8; FRAME_HEAD_BYTES]) -> (u32, u64) {
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

    fn rest(host: &str) -> Happened {
        Happened::Rest { host: host.into(), until_unix_ms: 1, faults_in_a_row: 0 }
    }

    fn hosts(path: &Path) -> (Vec<String>, u64) {
        let mut frames = Frames::open(path).unwrap();
        let mut hosts = Vec::new();
        while let Some(frame) = frames.next_frame().unwrap() {
            let again = frame_at(&File::open(path).unwrap(), frame.offset).unwrap();
            assert_eq!(again.len(), frame.entries.len());
            hosts.extend(frame.entries.into_iter().filter_map(|entry| match entry {
                Happened::Rest { host, .. } => Some(host),
                _ => None,
            }));
        }
        (hosts, frames.end)
    }

    #[test]
    fn any_cut_leaves_whole_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.append(&[rest("a"), rest("b")]).unwrap();
        let first = journal.len_bytes;
        journal.append(&[rest("c")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let expected: &[&str] = match len as u64 {
                len if len < first => &[],
                len if len < whole.len() as u64 => &["a", "b"],
                _ => &["a", "b", "c"],
            };
            let (found, end) = hosts(&path);
            assert_eq!(found, expected, "{len}");
            // What is appended behind the cut is found.
            Journal::open(&path, end).unwrap().append(&[rest("d")]).unwrap();
            assert_eq!(hosts(&path).0.last().unwrap(), "d");
        }
    }

    #[test]
    fn a_damaged_byte_ends_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.append(&[rest("a")]).unwrap();
        journal.append(&[rest("b")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            assert!(hosts(&path).0.len() < 2, "byte {at}");
        }
    }
}
