//! The one error type of the crate.

use std::path::PathBuf;

use user_error::{Exit, UserError};
use warc::ArchiveError;

/// A run failed. What it has written stays, and the same call continues it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommonCrawlError {
    /// The settings are invalid.
    #[error("{0}")]
    Settings(String),
    /// The HTTP client could not be built.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A file of the index or an archive could not be read, after all retries.
    #[error("cannot read {name}")]
    Read {
        /// The file, as it was named.
        name: String,
        /// The error of the disk, the server or the store.
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
    /// The links are not sorted as `webtext links` writes them.
    #[error("{} is not sorted by domain and key, or has a key twice, at {key:?}", path.display())]
    Unsorted {
        /// The table.
        path: PathBuf,
        /// The first key out of order.
        key: String,
    },
    /// The folder holds a run that was begun with other links or settings.
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
    /// The first archives are all missing, so the root must be wrong.
    #[error(
        "the first {} {} not there, such as {name}",
        user_error::count(*files as u64, "archive"),
        if *files == 1 { "is" } else { "are" }
    )]
    NothingThere {
        /// Missing archives in a row.
        files: usize,
        /// One of them.
        name: String,
    },
    /// An archive of this run or its journal could not be read or written, or is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A state file of this run is not as an earlier process wrote it.
    #[error("{} is damaged", path.display())]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its JSON.
        #[source]
        source: serde_json::Error,
    },
    /// A table, a sort or another file on this machine failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// `stop` returned true; everything in the journal is kept.
    #[error("stopped; run the same command again to go on")]
    Stopped,
}

impl UserError for CommonCrawlError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            CommonCrawlError::Unsorted { .. } => "make the table with `webtext links`",
            CommonCrawlError::NothingThere { .. } => "is --data the root that the index means?",
            CommonCrawlError::Read { .. } => "what was copied is kept; run the same command again to go on",
            CommonCrawlError::Archive(ArchiveError::Damaged { .. }) | CommonCrawlError::StateFile { .. } => {
                "the disk may be failing; sealed archives are usable as they are, and the links can be copied again into another \
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
