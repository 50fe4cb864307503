//! A compressed file, by the ending of its name, that appears when it is complete.

use std::io::{self, Write};
use std::path::Path;

use atomic_file::AtomicFile;

use crate::{Compression, WriteError};

/// zstd's default level: at it, compression is not what a command waits for.
const ZSTD_LEVEL: i32 = 3;

/// A file under a temporary name, compressed as its final name ends: `.zst`, `.gz`, or not at all.
/// [`CompressedFile::commit`] renames it; dropped without that, it is removed.
pub struct CompressedFile(Coder);

enum Coder {
    Plain(AtomicFile),
    Zstd(Box<zstd::Encoder<'static, AtomicFile>>),
    Gzip(Box<flate2::write::GzEncoder<AtomicFile>>),
}

impl CompressedFile {
    /// Creates the temporary file, and its folder if there is none.
    ///
    /// # Errors
    /// When the system refuses, or the name ends in a compression that is only read (`.xz`, `.bz2`).
    pub fn create(path: &Path) -> Result<CompressedFile, WriteError> {
        let cannot_write = |source| WriteError::Write { path: path.to_path_buf(), source };
        let compression = Compression::of_name(path);
        if matches!(compression, Some(Compression::Xz | Compression::Bzip2)) {
            let what = "of the compressions, .zst and .gz are written";
            return Err(cannot_write(io::Error::new(io::ErrorKind::Unsupported, what)));
        }
        let file = AtomicFile::create(path)?;
        Ok(CompressedFile(match compression {
            Some(Compression::Zstd) => {
                Coder::Zstd(Box::new(zstd::Encoder::new(file, ZSTD_LEVEL).map_err(cannot_write)?))
            }
            Some(_) => Coder::Gzip(Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()))),
            None => Coder::Plain(file),
        }))
    }

    /// Ends the compression and makes the file visible.
    ///
    /// # Errors
    /// When the system refuses; there is no file then.
    pub fn commit(self) -> Result<(), WriteError> {
        let file = match self.0 {
            Coder::Plain(file) => Ok(file),
            Coder::Zstd(coder) => {
                let path = coder.get_ref().path().to_path_buf();
                coder.finish().map_err(|source| WriteError::Write { path, source })
            }
            Coder::Gzip(coder) => {
                let path = coder.get_ref().path().to_path_buf();
                coder.finish().map_err(|source| WriteError::Write { path, source })
            }
        };
        file?.commit()?;
        Ok(())
    }
}

impl Write for CompressedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Coder::Plain(file) => file.write(bytes),
            Coder::Zstd(coder) => coder.write(bytes),
            Coder::Gzip(coder) => coder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Coder::Plain(file) => file.flush(),
            Coder::Zstd(coder) => coder.flush(),
            Coder::Gzip(coder) => coder.flush(),
        }
    }
}
