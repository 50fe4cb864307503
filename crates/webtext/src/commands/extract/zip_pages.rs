//! The pages in a ZIP file that holds no archives: a saved site, a folder that was sent.

use std::io::{Read, Seek};

use warc::{ZIP_MAGIC, is_archive_name};
use zip::ZipArchive;
use zip::result::ZipError;

/// A file in a ZIP file, and its bytes or why they cannot be read.
pub(super) type ZippedFile = (String, Result<Vec<u8>, String>);

/// A ZIP file that holds no archive.
pub(super) struct ZipPages<R>(ZipArchive<R>);

impl<R: Read + Seek> ZipPages<R> {
    /// Reads the list of files; `None` when it is damaged or names an archive, which the reader of archives tells, and
    /// when the file does not begin as one: an archive may end with a record that is a ZIP file.
    pub(super) fn open(mut source: R) -> Option<ZipPages<R>> {
        let mut start = [0; ZIP_MAGIC.len()];
        source.read_exact(&mut start).ok()?;
        if start != ZIP_MAGIC {
            return None;
        }
        source.rewind().ok()?;
        let zip = ZipArchive::new(source).ok()?;
        let has_archive = zip.file_names().any(|name| name.is_ok_and(|name| is_archive_name(&name)));
        (!has_archive && !zip.is_empty()).then_some(ZipPages(zip))
    }

    /// The files, in their order in the ZIP file.
    pub(super) fn files(&mut self, max_bytes: u64) -> impl Iterator<Item = ZippedFile> {
        (0..self.0.len()).filter_map(move |number| self.file(number, max_bytes).transpose()).map(|file| match file {
            Ok(file) => file,
            Err(error) => ("a file".to_owned(), Err(error.to_string())),
        })
    }

    fn file(&mut self, number: usize, max_bytes: u64) -> Result<Option<ZippedFile>, ZipError> {
        let name = self.0.by_index_raw(number)?.name()?.into_owned();
        let entry = match self.0.by_index(number) {
            Ok(entry) => entry,
            Err(error) => return Ok(Some((name, Err(error.to_string())))),
        };
        if entry.is_dir() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = entry.take(max_bytes + 1).read_to_end(&mut bytes);
        let bytes = match read {
            Ok(_) if bytes.len() as u64 > max_bytes => Err(format!("it has more than {} MiB", max_bytes >> 20)),
            Ok(_) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        };
        Ok(Some((name, bytes)))
    }
}
