use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::{IoContext as _, Result};

/// A lock that one process at a time can have. It ends when it is dropped, and with the process, however that ends.
///
/// The file stays: whoever removed it could remove another's. On a file system without locks, everybody gets it.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Locks a file, which is made if there is none; none where another has the lock.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn try_take(path: &Path) -> Result<Option<FileLock>> {
        let file = File::create(path).at("create", path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => Err(error).at("lock", path),
            _ => Ok(Some(FileLock(file))),
        }
    }
}

impl Drop for FileLock {
    /// Closing the file is not enough: a child process that another thread is starting has it open until it is another
    /// program, and with it the lock.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_when_it_is_dropped_even_if_a_child_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = FileLock::try_take(&path).unwrap().unwrap();
        assert!(FileLock::try_take(&path).unwrap().is_none());
        // Both share one open file, as a process does with its child.
        let _of_child = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(FileLock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_locked_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileLock::try_take(&folder.path().join("none/lock")).unwrap_err();
        assert_eq!(error.action, "create");
    }
}
