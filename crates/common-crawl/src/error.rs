//! The one error type of the crate.

use std::path::PathBuf;

use user_error::{Exit, UserError};
use warc::ArchiveError;

/// A run could not go on; what it had written stays, and the same call goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum CommonCrawlError {
    /// A setting that no run can have.
    #[error("{0}")]
    Settings(String),
    /// The client could not be made.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A file of the index or an archive could not be read, however often it was tried.
    #[error("cannot read {name}")]
    Read {
        /// The file, as it was named.
        name: String,
        /// What the disk, the server or the store says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the index is not what its name says.
    #[error("{name} is no index of captures: {what}")]
    Index {
        /// The file, as it was named.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Links must be sorted as `webtext links` leaves them.
    #[error("{} is not sorted by domain and key, or has a key twice, at {key:?}", path.display())]
    Unsorted {
        /// The table.
        path: PathBuf,
        /// The first key out of order.
        key: String,
    },
    /// The folder holds another run.
    #[error("{} was begun with {what}; give another folder, or the same settings", folder.display())]
    OtherRun {
        /// The output folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// Another process works in the folder.
    #[error("another process works in {}", .0.display())]
    Locked(PathBuf),
    /// So many archives in a row are not there that the root must be wrong.
    #[error("the last {files} archives are not there, such as {name}")]
    NothingThere {
        /// Missing archives in a row.
        files: usize,
        /// One of them.
        name: String,
    },
    /// An archive or the journal is not as an earlier process left it.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A table, a sort or a file of this machine.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The user asked to stop; everything noted so far is kept.
    #[error("stopped; run the same command again to go on")]
    Stopped,
}

impl UserError for CommonCrawlError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            CommonCrawlError::Unsorted { .. } => "make the table with `webtext links`",
            CommonCrawlError::NothingThere { .. } => "is --data the root that the index means?",
            CommonCrawlError::Read { .. } => "what was copied is kept; run the same command again to go on",
            CommonCrawlError::Damaged { .. } => {
                "the disk may be failing; archives that are sealed can be used, and the links copied again into another \
                 folder"
            }
            CommonCrawlError::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            CommonCrawlError::Settings(_) => Exit::WrongUsage,
            CommonCrawlError::Stopped => Exit::Stopped,
            _ => Exit::Failed,
        }
    }
}

impl From<atomic_file::Error> for CommonCrawlError {
    fn from(error: atomic_file::Error) -> CommonCrawlError {
        CommonCrawlError::Store(error.into())
    }
}

impl From<ArchiveError> for CommonCrawlError {
    fn from(error: ArchiveError) -> CommonCrawlError {
        match error {
            ArchiveError::Io { action, path, source } => atomic_file::Error { action, path, source }.into(),
            ArchiveError::Damaged { path, what } => CommonCrawlError::Damaged { path, what },
        }
    }
}
