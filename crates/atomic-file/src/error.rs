use std::io;
use std::path::{Path, PathBuf};

use user_error::UserError;

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The operating system refused an operation: full disk, no permission, no such file.
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

impl UserError for Error {
    fn hint(&self) -> Option<String> {
        let hint = match self.source.kind() {
            io::ErrorKind::StorageFull => "free some space and run the same command again; what is finished is kept",
            io::ErrorKind::PermissionDenied => "choose a folder that you may write to",
            _ => return None,
        };
        Some(hint.to_owned())
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
