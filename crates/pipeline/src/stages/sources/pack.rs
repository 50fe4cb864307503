//! Packs files that are not archives into archives of the run, for several sources.

use std::path::{Path, PathBuf};

use ::warc::{Date, NewRecord, Writer};
use records::Reason;
use serde::{Deserialize, Serialize};

use super::capture::FILE_HEADER;
use crate::engine::{External, FileOutput, Work};
use crate::error::{Error, Result};

/// Mean number of files that one task packs, and their maximum in bytes.
pub(super) const MEAN_FILES_PER_TASK: u64 = 500;
pub(super) const MAX_BYTES_PER_TASK: u64 = 32 << 20;

/// A file that pages are packed from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NamedFile {
    pub(super) file: External,
    /// Its path below a folder that the source's files share, after `source-N/` from the second source on. Data that is
    /// made of the file depends on this name, and not on where the folder lies.
    pub(super) name: String,
}

impl NamedFile {
    pub(super) fn new(file: External, shared_folder: &Path, source: usize) -> NamedFile {
        let path = Path::new(&file.url);
        let relative = path.strip_prefix(shared_folder).unwrap_or(path).display();
        let name = if source == 0 { relative.to_string() } else { format!("source-{}/{relative}", source + 1) };
        NamedFile { file, name }
    }
}

/// The closest folder that all of these are, or are in.
pub(super) fn shared_folder(folders: &[PathBuf]) -> PathBuf {
    let Some(first) = folders.first() else { return PathBuf::new() };
    let is_shared = |folder: &&Path| folders.iter().all(|other| other.starts_with(folder));
    first.ancestors().find(is_shared).unwrap_or(Path::new("")).to_path_buf()
}

/// An archive that a task writes.
pub(super) struct Packer {
    writer: Writer<FileOutput>,
    max_page_bytes: u64,
}

/// A page that becomes a record.
pub(super) struct Packed<'a> {
    pub(super) url: &'a str,
    pub(super) content_type: &'a str,
    pub(super) bytes: &'a [u8],
    /// The name of the file that it comes from, and where in it.
    pub(super) file: &'a str,
}

impl Packer {
    pub(super) fn new(archive: FileOutput, max_page_bytes: u64) -> Packer {
        Packer { writer: Writer::new(archive, 0), max_page_bytes }
    }

    /// Packs one page, or drops it with its reason.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asked to stop, and errors of the disk.
    pub(super) fn push(&mut self, work: &mut Work<'_>, packed: &Packed<'_>) -> Result<()> {
        if work.is_stopping() {
            return Err(Error::Interrupted);
        }
        if packed.bytes.len() as u64 > self.max_page_bytes {
            self.drop_too_large(work, packed.file, packed.bytes.len() as u64);
            return Ok(());
        }
        let date = Date::epoch(); // A file's time is not part of its content.
        let record = NewRecord {
            kind: "resource",
            target: Some(packed.url),
            date: &date,
            content_type: packed.content_type,
            headers: &[(FILE_HEADER, packed.file)],
            block: packed.bytes,
            payload_start: None,
        };
        self.writer.write(&record)?;
        work.counts.keep();
        Ok(())
    }

    /// Drops a page that is longer than the recipe allows.
    pub(super) fn drop_too_large(&self, work: &mut Work<'_>, file: &str, len_bytes: u64) {
        work.counts.drop(Reason::PageTooLarge);
        work.sample(Reason::PageTooLarge, || file.to_owned(), &format!("{len_bytes} bytes"));
    }

    pub(super) fn finish(self) -> Result<()> {
        self.writer.into_inner().finish()
    }
}
