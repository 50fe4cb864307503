//! The one error type of the fetcher.

use std::io;
use std::path::{Path, PathBuf};

use user_error::{Exit, UserError};
use warc::ArchiveError;

/// The fetcher itself could not work; faults of hosts are outcomes.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A setting that no fetcher can have.
    #[error("{0}")]
    Settings(String),
    /// The place holds outcomes that were decided under other settings.
    #[error("{} was begun with {before}, and now it is {now}", state.display())]
    OtherSettings {
        /// Folder of the journals.
        state: PathBuf,
        /// The settings that decide about outcomes, as they were.
        before: String,
        /// As they are now.
        now: String,
    },
    /// The client could not be made.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The archive, its journal or the frontier could not be written or read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file is not as an earlier process left it.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The list of links could not be written or read.
    #[error(transparent)]
    Store(store::Error),
}

impl FetchError {
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError + use<> {
        let path = path.to_path_buf();
        move |source| FetchError::Io { action, path, source }
    }
}

impl UserError for FetchError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            FetchError::Damaged { .. } => {
                "the disk may be failing; archives that are sealed can be used as they are, and the links fetched again \
                 into another folder"
            }
            FetchError::OtherSettings { .. } => "give the same limits, or fetch into another folder",
            FetchError::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            FetchError::Settings(_) | FetchError::OtherSettings { .. } => Exit::WrongUsage,
            _ => Exit::Failed,
        }
    }
}

impl From<atomic_file::Error> for FetchError {
    fn from(error: atomic_file::Error) -> FetchError {
        let atomic_file::Error { action, path, source } = error;
        FetchError::Io { action, path, source }
    }
}

impl From<store::Error> for FetchError {
    fn from(error: store::Error) -> FetchError {
        match error {
            store::Error::Io(error) => error.into(),
            other => FetchError::Store(other),
        }
    }
}

impl From<ArchiveError> for FetchError {
    fn from(error: ArchiveError) -> FetchError {
        match error {
            ArchiveError::Io { action, path, source } => FetchError::Io { action, path, source },
            ArchiveError::Damaged { path, what } => FetchError::Damaged { path, what },
        }
    }
}
