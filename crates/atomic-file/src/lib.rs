#![doc = include_str!("../README.md")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

mod error;
mod file_lock;

pub use error::{Error, IoContext, Result};
pub use file_lock::FileLock;

/// Marks the name of a file that is still being written; such files are ignored and swept.
pub const PARTIAL_MARK: &str = ".partial-";

/// A file under a temporary name beside its final one, which [`AtomicFile::commit`] moves into place.
///
/// The checksum is computed while bytes are written, so a committed file is not read again for it. Dropped without a
/// commit, the temporary file is removed. A path that is no regular file (`/dev/null`, a pipe, `/dev/stdout` wherever it
/// leads) is not replaced but written to directly. Of a symbolic link, the file that it leads to is replaced, or made.
pub struct AtomicFile {
    path: PathBuf,
    /// The temporary file; none where the path is no regular file.
    partial: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    hasher: Box<Xxh3>,
    len_bytes: u64,
    is_synced: bool,
}

/// What a committed file holds, for the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3-64 of the bytes.
    pub checksum: u64,
}

impl AtomicFile {
    /// Creates the temporary file, and the folder that it lies in if there is none.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        let path = target(path);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).at("create the folder", folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_special = is_stream(&path) || fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let partial = (!is_special).then(|| folder.join(format!(".{name}{PARTIAL_MARK}{}", unique())));
        let file = match &partial {
            Some(partial) => File::create(partial).at("create", partial)?,
            // A stream may be a file that others write to as well.
            None => File::options().append(true).open(&path).at("open", &path)?,
        };
        Ok(AtomicFile {
            path,
            partial,
            file: Some(BufWriter::with_capacity(1 << 16, file)),
            hasher: Box::new(Xxh3::new()),
            len_bytes: 0,
            is_synced: true,
        })
    }

    /// The same file without waiting for the disk: for one that nobody wants after the machine has failed.
    #[must_use]
    pub fn without_sync(mut self) -> AtomicFile {
        self.is_synced = false;
        self
    }

    /// Whether the path is no regular file and is written to directly: nothing can lie beside it, nor replace it.
    pub fn is_in_place(&self) -> bool {
        self.partial.is_none()
    }

    /// The final name, behind all links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Flushes, syncs to disk and renames into place.
    pub fn commit(mut self) -> Result<Written> {
        let writer = self.file.take().expect("open until committed");
        let put = self.put_in_place(writer);
        if put.is_err() {
            // An error is ignored, as in `drop`.
            let _ = self.partial.as_ref().map(fs::remove_file);
        }
        put?;
        Ok(Written { len_bytes: self.len_bytes, checksum: self.hasher.digest() })
    }

    fn put_in_place(&self, writer: BufWriter<File>) -> Result<()> {
        let shown = self.partial.as_ref().unwrap_or(&self.path);
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error).at("write", shown)?;
        if let Some(partial) = &self.partial {
            if self.is_synced {
                file.sync_all().at("sync", partial)?;
            }
            drop(file);
            fs::rename(partial, &self.path).at("rename into place", &self.path)?;
            if self.is_synced {
                sync_folder(&self.path)?;
            }
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.as_mut().expect("open until committed").write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.len_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().expect("open until committed").flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(writer) = self.file.take() {
            drop(writer.into_parts());
            // An error is ignored: the sweep at the next start removes what is left.
            let _ = self.partial.as_ref().map(fs::remove_file);
        }
    }
}

/// Links to links that are followed.
const MAX_LINKS: usize = 40;

/// Where a path leads by symbolic links, whether or not there is something; up to a stream of the process.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(link) if !is_stream(&path) => path = path.parent().unwrap_or(Path::new(".")).join(link),
            _ => break,
        }
    }
    path
}

/// Whether a path is one of the process's open files. Renaming onto it would replace the path, for the whole machine, and
/// not reach the file.
fn is_stream(path: &Path) -> bool {
    ["/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"].iter().any(|stream| path.starts_with(stream))
}

/// A name that no other process uses, on this machine or another that shares the folder. The clock is
/// no part of any result: temporary names never outlive their file.
fn unique() -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{now}", std::process::id())
}

/// Makes a rename durable: the folder's entry reaches the disk, too.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).at("sync the folder", folder)
}

/// Writes a small file in one go.
pub fn write(path: &Path, bytes: &[u8]) -> Result<Written> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).at("write", path)?;
    file.commit()
}

/// Removes temporary files that a killed process left below `folder`. Call it only under a lock.
pub fn sweep(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        folders.extend(sweep_here(&folder)?);
    }
    Ok(())
}

/// Whether a name is that of a temporary file: `.NAME.partial-PROCESS`.
fn is_partial(name: &str) -> bool {
    let process = name.strip_prefix('.').and_then(|name| name.rsplit_once(PARTIAL_MARK)).map(|(_, process)| process);
    process.is_some_and(|process| !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

/// Removes temporary files that a killed process left in `folder` itself; returns the folders in it, which others
/// may be working in. Call it only under a lock.
pub fn sweep_here(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        other => other.at("list", folder)?,
    };
    for entry in entries {
        let entry = entry.at("list", folder)?;
        let path = entry.path();
        if entry.file_type().at("look at", &path)?.is_dir() {
            folders.push(path);
        } else if is_partial(&entry.file_name().to_string_lossy()) {
            fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_only_after_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.bin");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!path.exists());
        let written = file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(written, Written { len_bytes: 3, checksum: xxhash_rust::xxh3::xxh3_64(b"abc") });
    }

    #[test]
    fn a_device_is_written_to_and_never_replaced() {
        for commit in [true, false] {
            let mut file = AtomicFile::create(Path::new("/dev/null")).unwrap();
            file.write_all(b"abc").unwrap();
            if commit {
                file.commit().unwrap();
            }
            assert!(!fs::metadata("/dev/null").unwrap().is_file());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn links_stay_and_what_they_lead_to_is_written() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), b"before").unwrap();
        let open = File::create(path("stream")).unwrap();
        for (link, target) in [
            ("a", "file".to_owned()),
            ("b", "a".to_owned()),
            ("c", "new".to_owned()),
            ("d", format!("/proc/self/fd/{}", open.as_raw_fd())),
        ] {
            std::os::unix::fs::symlink(target, path(link)).unwrap();
        }
        for (link, target) in [("b", "file"), ("c", "new"), ("d", "stream")] {
            write(&path(link), link.as_bytes()).unwrap();
            assert!(fs::symlink_metadata(path(link)).unwrap().is_symlink(), "{link}");
            assert_eq!(fs::read(path(target)).unwrap(), link.as_bytes(), "{link}");
        }
    }

    #[test]
    fn dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(AtomicFile::create(&folder.path().join("file")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn sweep_removes_what_a_kill_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("sub/file")).unwrap();
        file.write_all(b"half").unwrap();
        std::mem::forget(file); // as kill -9 does
        write(&folder.path().join("sub/whole"), b"x").unwrap();
        write(&folder.path().join("thesis.partial-draft.txt"), b"of somebody").unwrap();
        assert_eq!(sweep_here(folder.path()).unwrap(), [folder.path().join("sub")]);
        assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 2);
        sweep(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path().join("sub")).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(folder.path().join("thesis.partial-draft.txt").exists());
    }
}
