//! The one error type of the ledger: each variant names the file it speaks of.

use std::path::{Path, PathBuf};

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on one of the ledger's files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused: full disk, no permission, no such file.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: "create", "read", "rename".
        action: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file that this project wrote is not as it was written.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage was noticed.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot {action} the table {}", path.display())]
    Table {
        /// What was tried, as a verb.
        action: &'static str,
        /// The Parquet file.
        path: PathBuf,
        /// The Parquet library's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row could not be turned into bytes; a row type is at fault, not its data.
    #[error("cannot serialise a row for {}", path.display())]
    Row {
        /// The file that the row was meant for.
        path: PathBuf,
        /// The serialiser's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The `hint:` to print under this error, where there is something the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => {
                    Some("free some space and run the same command again; finished tasks are kept")
                }
                std::io::ErrorKind::PermissionDenied => Some("choose a folder that you may write to with --out"),
                _ => None,
            },
            Error::Damaged { .. } => Some("delete this file and run the same command again; its task will be redone"),
            _ => None,
        }
    }
}

/// Adds the path and the verb to an I/O error.
pub trait IoContext<T> {
    /// Turns an `io::Error` into [`Error::Io`] with what was tried and on which path.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_path_buf(), source })
    }
}
