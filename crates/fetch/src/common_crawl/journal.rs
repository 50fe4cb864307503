//! What became of the captures of a plan, in its order, and how far the archives were good at each point.
//!
//! A frame ([`crate::frames`]) follows the bytes that it speaks of: members are written and synced first, then the
//! frame is. What lies behind the last whole frame, in the journal and in the open archive, is cut off and done again.

use std::path::Path;

use atomic_file::IoContext;
use records::Reason;
use serde::{Deserialize, Serialize};
use store::Result;

use crate::frames::{FrameReader, FrameWriter, Magic};

/// What a journal begins with.
pub(crate) const MAGIC: Magic = *b"WTCOPY02";

/// The frames of a journal, each with its offset.
pub(crate) type Frames = FrameReader<Frame>;

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

/// Opens or begins a journal, and cuts off what is no whole frame.
pub(crate) fn open(path: &Path) -> Result<(FrameWriter, State)> {
    let mut state = State::default();
    let mut frames = Frames::open(path, &MAGIC).at("open", path)?;
    for frame in &mut frames {
        let (_, frame) = frame.at("read", path)?;
        state.captures += frame.fates.len() as u64;
        (state.archive, state.len_bytes, state.is_closed) = (frame.archive, frame.len_bytes, frame.is_closed);
    }
    Ok((FrameWriter::open(path, &MAGIC, frames.end()).at("open", path)?, state))
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
        let (mut journal, state) = open(&path).unwrap();
        assert_eq!(state, State::default());
        let mut ends = vec![8];
        for frame in &frames {
            journal.append(frame).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let n = ends.iter().filter(|&&end| end <= len as u64).count().saturating_sub(1);
            let (mut journal, state) = open(&path).unwrap();
            assert_eq!(state.captures, frames[..n].iter().map(|f| f.fates.len() as u64).sum::<u64>(), "{len}");
            journal.append(&frames[2]).unwrap();
            let read: Vec<Frame> = Frames::open(&path, &MAGIC).unwrap().map(|frame| frame.unwrap().1).collect();
            assert_eq!(read, [&frames[..n], &frames[2..]].concat());
        }
    }
}
