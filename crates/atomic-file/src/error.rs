use std::io;
use std::path::{Path, PathBuf};

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The operating system refused: full disk, no permission, no such file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct Error {
    /// What was tried, as a verb: "create", "read", "rename".
    pub action: &'static str,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// The operating system's answer.
    #[source]
    pub source: io::Error,
}

impl Error {
    /// The `hint:` to print under this error, where there is something the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self.source.kind() {
            io::ErrorKind::StorageFull => {
                Some("free some space and run the same command again; finished tasks are kept")
            }
            io::ErrorKind::PermissionDenied => Some("choose a folder that you may write to"),
            _ => None,
        }
    }
}

/// Adds the path and the verb to an I/O error.
pub trait IoContext<T> {
    /// Turns an `io::Error` into an [`Error`] with what was tried and on which path.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error { action, path: path.to_path_buf(), source })
    }
}
