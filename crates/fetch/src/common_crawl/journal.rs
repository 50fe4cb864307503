//! What became of the captures of a plan, in its order, and how far the archives were good at each point.
//!
//! A frame follows the bytes that it speaks of: members are written and synced first, then the frame is. So whatever a
//! kill leaves, the last whole frame names nothing that is missing; what lies behind it, in the journal and in the
//! open archive, is cut off and done again.
//!
//! ```text
//! 8 bytes  "WTCOPY01"
//! frames:  length of the payload (u32), XXH3-64 of the payload (u64), payload (postcard of `Frame`)
//! ```

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ledger::{IoContext, Reason, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"WTCOPY01";
/// Longest payload that is believed; a frame of ours holds a few thousand fates.
const PAYLOAD_MAX_BYTES: u32 = 1 << 30;

/// What became of one capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// Its member lies in the frame's archive.
    Copied { offset: u64 },
    /// It was not copied.
    Dropped { reason: Reason, detail: String, status: Option<u16> },
}

/// The fates of the next captures of the plan, and the archive that they went to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// Number of the archive.
    pub(crate) archive: u32,
    /// Its length with all members of this frame; 0 when it has not been begun.
    pub(crate) len_bytes: u64,
    /// Whether no further member comes into it.
    pub(crate) is_closed: bool,
    pub(crate) fates: Vec<Fate>,
}

/// How far a journal tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Captures whose fate is known.
    pub(crate) captures: u64,
    pub(crate) archive: u32,
    pub(crate) len_bytes: u64,
    pub(crate) is_closed: bool,
}

/// The journal, open for more.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or begins it, and cuts off what is no whole frame.
    pub(crate) fn open(path: &Path) -> Result<(Journal, State)> {
        let mut state = State::default();
        let mut frames = Frames::open(path)?;
        for frame in &mut frames {
            let frame = frame?;
            state.captures += frame.fates.len() as u64;
            (state.archive, state.len_bytes, state.is_closed) = (frame.archive, frame.len_bytes, frame.is_closed);
        }
        let good_bytes = frames.good_bytes;
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.at("open", path)?;
        file.set_len(good_bytes).at("cut", path)?;
        file.seek(SeekFrom::End(0)).at("seek in", path)?;
        if good_bytes == 0 {
            file.write_all(MAGIC).at("write", path)?;
        }
        Ok((Journal { path: path.to_path_buf(), file }, state))
    }

    /// Adds a frame and syncs.
    pub(crate) fn push(&mut self, frame: &Frame) -> Result<()> {
        let payload = postcard::to_stdvec(frame)
            .map_err(|source| ledger::Error::Row { path: self.path.clone(), source: Box::new(source) })?;
        let mut bytes = Vec::with_capacity(payload.len() + 12);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        self.file.write_all(&bytes).at("write", &self.path)?;
        self.file.sync_data().at("sync", &self.path)
    }
}

/// The whole frames of a journal, in order; none where there is no file.
pub(crate) struct Frames {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// Up to here the file is whole frames.
    good_bytes: u64,
}

impl Frames {
    pub(crate) fn open(path: &Path) -> Result<Frames> {
        let mut frames = Frames { path: path.to_path_buf(), reader: None, good_bytes: 0 };
        let mut reader = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(frames),
            other => BufReader::new(other.at("open", path)?),
        };
        let mut magic = [0; 8];
        if read_whole(&mut reader, &mut magic).at("read", path)? && magic == *MAGIC {
            frames.good_bytes = magic.len() as u64;
            frames.reader = Some(reader);
        }
        Ok(frames)
    }

    fn read(&mut self) -> Result<Option<Frame>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let mut head = [0; 12];
        if !read_whole(reader, &mut head).at("read", &self.path)? {
            return Ok(None);
        }
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let checksum = u64::from_le_bytes(head[4..].try_into().expect("eight bytes are left"));
        if len > PAYLOAD_MAX_BYTES {
            return Ok(None);
        }
        let mut payload = Vec::new();
        reader.take(u64::from(len)).read_to_end(&mut payload).at("read", &self.path)?;
        if payload.len() != len as usize || xxh3_64(&payload) != checksum {
            return Ok(None);
        }
        let Ok(frame) = postcard::from_bytes(&payload) else { return Ok(None) };
        self.good_bytes += 12 + u64::from(len);
        Ok(Some(frame))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Result<Frame>> {
        let frame = self.read().transpose();
        if !matches!(frame, Some(Ok(_))) {
            self.reader = None;
        }
        frame
    }
}

/// Fills `bytes`; `false` at the end of the file, also in the middle of them.
fn read_whole(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(archive: u32, offsets: &[u64]) -> Frame {
        let mut fates: Vec<Fate> = offsets.iter().map(|&offset| Fate::Copied { offset }).collect();
        fates.push(Fate::Dropped { reason: Reason::MalformedPage, detail: "torn".into(), status: None });
        Frame { archive, len_bytes: 1000, is_closed: false, fates }
    }

    #[test]
    fn wherever_it_is_cut_whole_frames_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let frames = [frame(0, &[1, 2]), frame(1, &[]), frame(1, &[7])];
        let (mut journal, state) = Journal::open(&path).unwrap();
        assert_eq!(state, State::default());
        let mut ends = vec![8];
        for frame in &frames {
            journal.push(frame).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let n = ends.iter().filter(|&&end| end <= len as u64).count().saturating_sub(1);
            let (mut journal, state) = Journal::open(&path).unwrap();
            assert_eq!(state.captures, frames[..n].iter().map(|f| f.fates.len() as u64).sum::<u64>(), "{len}");
            journal.push(&frames[2]).unwrap();
            let read: Vec<Frame> = Frames::open(&path).unwrap().map(|frame| frame.unwrap()).collect();
            assert_eq!(read, [&frames[..n], &frames[2..]].concat());
        }
        let mut damaged = whole.clone();
        damaged[ends[1] as usize + 14] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(Frames::open(&path).unwrap().count(), 1);
    }
}
