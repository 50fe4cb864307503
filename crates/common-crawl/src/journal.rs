//! The journal of a run: the result of each capture in the order of the plan, and the length of the archives at each
//! point.

use std::path::Path;

use records::Reason;
use serde::{Deserialize, Serialize};
use warc::{ArchiveNames, ArchiveState, ArchiveWriter, JournalFrame, JournalReader, Magic};

use crate::error::CommonCrawlError;

/// The first bytes of a journal.
pub(crate) const MAGIC: Magic = *b"WTCOPY02";

/// The result for one capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// Its member is in the frame's archive, at this offset.
    Copied { offset: u64 },
    /// It was not copied.
    Dropped { reason: Reason, detail: String, status: Option<u16> },
}

/// The results of the next captures of the plan, and the archive that they were copied to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// Number of the archive.
    pub(crate) archive: u32,
    /// Its length with all members of this frame; 0 when it has not been begun.
    pub(crate) len_bytes: u64,
    /// Whether the archive is complete.
    pub(crate) is_sealed: bool,
    pub(crate) fates: Vec<Fate>,
}

impl JournalFrame for Frame {
    fn apply(&self, state: &mut ArchiveState) {
        *state = ArchiveState { number: self.archive, len_bytes: self.len_bytes, is_sealed: self.is_sealed };
    }
}

/// Opens a run's archives and journal, new or continued; returns how many captures have their result.
pub(crate) fn open(names: ArchiveNames, path: &Path) -> Result<(ArchiveWriter<Frame>, u64), CommonCrawlError> {
    let mut journal = JournalReader::<Frame>::open(path, &MAGIC)?;
    let mut captures = 0;
    for frame in &mut journal {
        captures += frame?.1.fates.len() as u64;
    }
    Ok((ArchiveWriter::open(names, path, &MAGIC, journal.end())?, captures))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each run copies one member and drops the next capture, and is killed with half a member more in the archive.
    #[test]
    fn fates_are_counted_across_kills() {
        let folder = tempfile::tempdir().unwrap();
        let names = ArchiveNames { folder: folder.path().to_path_buf(), stem: "pages".into() };
        let path = folder.path().join("journal");
        for run in 0..3 {
            let (mut archive, captures) = open(names.clone(), &path).unwrap();
            assert_eq!((captures, archive.len_bytes()), (2 * run, 6 * run));
            let offset = archive.write(b"member").unwrap();
            let dropped = Fate::Dropped { reason: Reason::MalformedPage, detail: "torn".into(), status: None };
            let fates = vec![Fate::Copied { offset }, dropped];
            archive.commit(&Frame { archive: 0, len_bytes: archive.len_bytes(), is_sealed: false, fates }).unwrap();
            archive.write(b"mem").unwrap();
        }
        assert_eq!(std::fs::metadata(names.open_path(0)).unwrap().len(), 21);
    }
}
