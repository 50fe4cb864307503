//! Archives that are sealed at a given length, and a journal by which writing continues after a kill.
//!
//! A *group* of records becomes durable at once: the records are written, the archive is synced, and a frame of the
//! journal that describes them is appended and synced. An archive is called `STEM-NNNNN.warc.gz.open` while it grows;
//! `.open` is removed after a frame has recorded that it is sealed. A sealed archive is never written again.
//!
//! After a kill the journal is truncated after its last whole frame, and the open archive to the length in that frame.
//! The caller writes again what is not in the journal.
//!
//! Left out: the content of frames (their type is the caller's), the content of records ([`Writer`](crate::Writer)),
//! and keeping other processes out of the folder.

mod journal;

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use journal::JournalWriter;
pub use journal::{JournalEnd, JournalReader, Magic, read_frame_at};

/// An archive or its journal could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused an operation.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file is not as an earlier process left it.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl ArchiveError {
    fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError + use<> {
        let path = path.to_path_buf();
        move |source| ArchiveError::Io { action, path, source }
    }
}

/// The open archive, as frames of a journal describe it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchiveState {
    /// Its number, counted from 0; that of the next archive when none is open.
    pub number: u32,
    /// Its length with all records that frames describe; 0 before the first.
    pub len_bytes: u64,
    /// Whether it is complete; the next archive has the next number.
    pub is_sealed: bool,
}

/// A frame of a journal: what is appended and synced at once.
pub trait JournalFrame: Serialize + DeserializeOwned {
    /// Updates `state` from before this frame to after it.
    fn apply(&self, state: &mut ArchiveState);
}

/// The folder of a journal's archives, and what their names begin with: the stem `pages` gives `pages-00000.warc.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveNames {
    /// Where they lie.
    pub folder: PathBuf,
    /// What their names begin with.
    pub stem: String,
}

impl ArchiveNames {
    /// The name of a sealed archive.
    pub fn name(&self, number: u32) -> String {
        format!("{}-{number:05}.warc.gz", self.stem)
    }

    /// Where an archive lies when it is sealed.
    pub fn path(&self, number: u32) -> PathBuf {
        self.folder.join(self.name(number))
    }

    /// Where an archive lies while it grows.
    pub fn open_path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{}.open", self.name(number)))
    }
}

/// Writes archives and their journal, whose frames are of type `F`.
///
/// A failed call is rolled back: files have the length of the last successful [`ArchiveWriter::commit`]. It may be
/// repeated with the same records when there is space on the disk.
pub struct ArchiveWriter<F> {
    names: ArchiveNames,
    journal: JournalWriter,
    /// The open archive as the journal has it.
    committed: ArchiveState,
    /// Length of the open archive, uncommitted records included.
    len_bytes: u64,
    file: Option<File>,
    /// An archive that is sealed but not renamed yet.
    unnamed: Option<u32>,
    frames: PhantomData<fn(&F)>,
}

impl<F: JournalFrame> ArchiveWriter<F> {
    /// Begins a journal, or continues one after its last whole frame: `end` is that of a [`JournalReader`] which has
    /// read all frames.
    ///
    /// # Errors
    /// Those of the disk, and [`ArchiveError::Damaged`] when the archives are not those that the journal describes.
    pub fn open(
        names: ArchiveNames,
        journal: &Path,
        magic: &Magic,
        end: JournalEnd,
    ) -> Result<ArchiveWriter<F>, ArchiveError> {
        let committed = finish_sealed(&names, end.archive)?;
        check_archives(&names, committed)?;
        let journal = JournalWriter::open(journal, magic, end.len_bytes)?;
        let file = reopen(&names, committed)?;
        let len_bytes = committed.len_bytes;
        Ok(ArchiveWriter { names, journal, committed, len_bytes, file, unnamed: None, frames: PhantomData })
    }

    /// The names of the archives.
    pub fn names(&self) -> &ArchiveNames {
        &self.names
    }

    /// Number of the open archive, or of the next one.
    pub fn number(&self) -> u32 {
        self.committed.number
    }

    /// Length of the open archive with all that was written to it; 0 before its first record.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Appends records to the open archive, and returns the offset of the first. They are durable after the next
    /// commit.
    pub fn write(&mut self, records: &[u8]) -> Result<u64, ArchiveError> {
        self.name_sealed()?;
        let path = self.names.open_path(self.committed.number);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(&path).map_err(ArchiveError::at("create", &path))?),
        };
        if let Err(source) = file.write_all(records) {
            self.take_back()?;
            return Err(ArchiveError::at("write", &path)(source));
        }
        let offset = self.len_bytes;
        self.len_bytes += records.len() as u64;
        Ok(offset)
    }

    /// Makes written records durable, with the frame that describes them. After a frame that seals the archive, the
    /// next write begins another one.
    ///
    /// # Panics
    /// When the frame gives another number or length than the open archive has.
    pub fn commit(&mut self, frame: &F) -> Result<(), ArchiveError> {
        self.name_sealed()?;
        let mut state = self.committed;
        frame.apply(&mut state);
        let expected = (self.committed.number, self.len_bytes);
        assert_eq!((state.number, state.len_bytes), expected, "a frame speaks of what was written");
        self.sync()?;
        if let Err(error) = self.journal.append(frame) {
            self.take_back()?;
            return Err(error);
        }
        self.committed = state;
        if state.is_sealed {
            self.file = None;
            self.len_bytes = 0;
            self.committed = after(state);
            self.unnamed = Some(state.number);
            self.name_sealed()?;
        }
        Ok(())
    }

    /// Renames the archive that was sealed last, if an earlier attempt failed. Every other call does so, too.
    pub fn name_sealed(&mut self) -> Result<(), ArchiveError> {
        if let Some(number) = self.unnamed {
            name_archive(&self.names, number)?;
            self.unnamed = None;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), ArchiveError> {
        let path = self.names.open_path(self.committed.number);
        let Some(file) = self.file.as_ref().filter(|_| self.len_bytes > self.committed.len_bytes) else {
            return Ok(());
        };
        if let Err(source) = file.sync_data() {
            self.take_back()?;
            return Err(ArchiveError::at("sync", &path)(source));
        }
        Ok(())
    }

    /// Truncates the open archive to what is committed.
    fn take_back(&mut self) -> Result<(), ArchiveError> {
        let path = self.names.open_path(self.committed.number);
        self.len_bytes = self.committed.len_bytes;
        let Some(file) = &mut self.file else { return Ok(()) };
        cut(file, self.committed.len_bytes).map_err(ArchiveError::at("cut", &path))
    }
}

/// The state after an archive was sealed.
fn after(sealed: ArchiveState) -> ArchiveState {
    ArchiveState { number: sealed.number + 1, len_bytes: 0, is_sealed: false }
}

/// Renames an archive that a killed process had sealed but not renamed; returns the state after that.
fn finish_sealed(names: &ArchiveNames, state: ArchiveState) -> Result<ArchiveState, ArchiveError> {
    if !state.is_sealed {
        return Ok(state);
    }
    if names.open_path(state.number).exists() {
        reopen(names, state)?;
        name_archive(names, state.number)?;
    }
    Ok(after(state))
}

/// Checks, before anything is truncated, that the archives are those that the journal describes: a journal that has
/// lost its end must not lead to archives being overwritten.
fn check_archives(names: &ArchiveNames, state: ArchiveState) -> Result<(), ArchiveError> {
    let next = state.number + 1;
    for path in [names.path(next), names.open_path(next)] {
        if path.exists() {
            let what = "the journal does not speak of it, and has lost its end".into();
            return Err(ArchiveError::Damaged { path, what });
        }
    }
    let path = names.path(state.number);
    match fs::metadata(&path) {
        Ok(found) if found.len() != state.len_bytes => {
            let what = format!("it has {} bytes, and the journal speaks of {}", found.len(), state.len_bytes);
            Err(ArchiveError::Damaged { path, what })
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ArchiveError::at("look at", &path)(error)),
        _ => Ok(()),
    }
}

/// Opens the archive that was open and truncates it to the length in the journal; `None` when it has not been begun.
fn reopen(names: &ArchiveNames, state: ArchiveState) -> Result<Option<File>, ArchiveError> {
    let (open, named) = (names.open_path(state.number), names.path(state.number));
    if state.len_bytes == 0 {
        return match fs::remove_file(&open) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ArchiveError::at("remove", &open)(error)),
            _ => Ok(None),
        };
    }
    // A journal may have lost the frame that sealed the archive, and nothing else.
    if !open.exists() && named.exists() {
        fs::rename(&named, &open).map_err(ArchiveError::at("rename", &named))?;
    }
    let mut file = File::options().read(true).write(true).open(&open).map_err(ArchiveError::at("open", &open))?;
    let found_bytes = file.metadata().map_err(ArchiveError::at("look at", &open))?.len();
    if found_bytes < state.len_bytes {
        let what = format!("it has {found_bytes} bytes, and the journal speaks of {}", state.len_bytes);
        return Err(ArchiveError::Damaged { path: open, what });
    }
    cut(&mut file, state.len_bytes).map_err(ArchiveError::at("cut", &open))?;
    Ok(Some(file))
}

/// Gives a sealed archive its final name.
fn name_archive(names: &ArchiveNames, number: u32) -> Result<(), ArchiveError> {
    let (open, named) = (names.open_path(number), names.path(number));
    if open.exists() {
        if named.exists() {
            let what = "it has the name of an archive that is sealed only now".into();
            return Err(ArchiveError::Damaged { path: named, what });
        }
        fs::rename(&open, &named).map_err(ArchiveError::at("rename", &open))?;
    }
    sync_folder_of(&named).map_err(ArchiveError::at("sync the folder of", &named))
}

fn cut(file: &mut File, len_bytes: u64) -> io::Result<()> {
    file.set_len(len_bytes)?;
    file.seek(SeekFrom::End(0)).map(|_| ())
}

fn create(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let file = File::options().write(true).create(true).truncate(true).open(path)?;
    sync_folder_of(path)?;
    Ok(file)
}

/// Makes the entry of a file in its folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    const MAGIC: Magic = *b"WTTEST02";
    const MAX_ARCHIVE_BYTES: u64 = 40;
    const GROUP_RECORDS: u64 = 3;

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Frame {
        number: u32,
        len_bytes: u64,
        is_sealed: bool,
        records: u64,
    }

    impl JournalFrame for Frame {
        fn apply(&self, state: &mut ArchiveState) {
            let Frame { number, len_bytes, is_sealed, .. } = *self;
            *state = ArchiveState { number, len_bytes, is_sealed };
        }
    }

    type Files = std::collections::BTreeMap<String, Vec<u8>>;

    fn names(folder: &Path) -> ArchiveNames {
        ArchiveNames { folder: folder.to_path_buf(), stem: "pages".into() }
    }

    fn read_files(folder: &Path) -> Files {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
    }

    fn write_files(folder: &Path, files: &Files) {
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// The frames of a journal, and where each ends.
    fn frames(folder: &Path) -> (Vec<(Frame, JournalEnd)>, JournalEnd) {
        let mut reader = JournalReader::<Frame>::open(&folder.join("journal"), &MAGIC).unwrap();
        let mut found = Vec::new();
        while let Some(frame) = reader.next() {
            found.push((frame.unwrap().1, reader.end()));
        }
        (found, reader.end())
    }

    fn open(folder: &Path) -> Result<(ArchiveWriter<Frame>, u64), ArchiveError> {
        let (known, end) = frames(folder);
        let records = known.iter().map(|(frame, _)| frame.records).sum();
        Ok((ArchiveWriter::open(names(folder), &folder.join("journal"), &MAGIC, end)?, records))
    }

    /// Writes 20 records of 1 to 20 bytes, or those of them that are not in the journal.
    fn write_records(folder: &Path) -> Result<(), ArchiveError> {
        let (mut archive, done) = open(folder)?;
        let mut frame = Frame::default();
        for record in done..20 {
            archive.write(&vec![b'a' + record as u8; record as usize + 1])?;
            frame.records += 1;
            let is_sealed = archive.len_bytes() >= MAX_ARCHIVE_BYTES;
            if is_sealed || frame.records == GROUP_RECORDS {
                commit(&mut archive, std::mem::take(&mut frame), is_sealed)?;
            }
        }
        let is_sealed = archive.len_bytes() > 0;
        commit(&mut archive, frame, is_sealed)
    }

    fn commit(archive: &mut ArchiveWriter<Frame>, frame: Frame, is_sealed: bool) -> Result<(), ArchiveError> {
        archive.commit(&Frame { number: archive.number(), len_bytes: archive.len_bytes(), is_sealed, ..frame })
    }

    fn archives(files: &Files) -> Files {
        files.iter().filter(|(name, _)| *name != "journal").map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }

    /// Every state that a kill can leave: the journal up to a frame, whole or torn, and the archive of that moment
    /// with any part of what comes next; sealed, it may be named or not.
    fn states_after_kills(whole: &Files, folder: &Path) -> Vec<Files> {
        let names = names(folder);
        let (known, _) = frames(folder);
        let ends = std::iter::once(JournalEnd { len_bytes: 8, ..JournalEnd::default() });
        let mut states = Vec::new();
        for end in ends.chain(known.iter().map(|(_, end)| *end)) {
            let number = end.archive.number;
            let journal = &whole["journal"];
            let torn = (end.len_bytes as usize + 5).min(journal.len());
            for journal_bytes in [end.len_bytes as usize, torn] {
                let mut state = Files::from([("journal".to_owned(), journal[..journal_bytes].to_vec())]);
                state.extend((0..number).map(|before| (names.name(before), whole[&names.name(before)].clone())));
                let open = |number: u32| format!("{}.open", names.name(number));
                if end.archive.is_sealed {
                    let sealed = whole[&names.name(number)].clone();
                    let mut unnamed = state.clone();
                    unnamed.insert(open(number), sealed.clone());
                    states.push(unnamed);
                    state.insert(names.name(number), sealed);
                    let mut begun = state.clone();
                    begun.insert(open(number + 1), b"not in the journal".to_vec());
                    states.extend([state, begun]);
                    continue;
                }
                let full = &whole[&names.name(number)];
                for len in end.archive.len_bytes as usize..=full.len() {
                    let mut grown = state.clone();
                    grown.insert(open(number), full[..len].to_vec());
                    states.push(grown);
                }
            }
        }
        states
    }

    #[test]
    fn kills_at_every_frame_border_change_no_byte_of_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        write_records(folder.path()).unwrap();
        let whole = read_files(folder.path());
        assert!(whole.len() > 4, "several archives: {:?}", whole.keys());
        let states = states_after_kills(&whole, folder.path());
        assert!(states.len() > 100);
        for state in states {
            let folder = tempfile::tempdir().unwrap();
            write_files(folder.path(), &state);
            write_records(folder.path()).unwrap();
            assert_eq!(archives(&read_files(folder.path())), archives(&whole), "after {:?}", state.keys());
        }
    }

    #[test]
    fn a_journal_that_lost_frames_never_cuts_a_sealed_archive() {
        let folder = tempfile::tempdir().unwrap();
        write_records(folder.path()).unwrap();
        let whole = read_files(folder.path());
        let (known, end) = frames(folder.path());
        for (_, before) in known.iter().filter(|(_, before)| *before != end) {
            let folder = tempfile::tempdir().unwrap();
            write_files(folder.path(), &whole);
            fs::write(folder.path().join("journal"), &whole["journal"][..before.len_bytes as usize]).unwrap();
            let error = write_records(folder.path()).unwrap_err();
            assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
            assert_eq!(archives(&read_files(folder.path())), archives(&whole));
        }
    }

    #[test]
    fn an_open_archive_that_is_too_short_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let (mut archive, _) = open(folder.path()).unwrap();
        assert_eq!([archive.write(b"one").unwrap(), archive.write(b"two").unwrap()], [0, 3]);
        commit(&mut archive, Frame { records: 2, ..Frame::default() }, false).unwrap();
        drop(archive);
        fs::write(names(folder.path()).open_path(0), b"one").unwrap();
        assert!(matches!(open(folder.path()), Err(ArchiveError::Damaged { .. })));
    }
}
