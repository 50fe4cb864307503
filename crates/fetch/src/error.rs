//! The one error type of the fetcher.

use std::io;
use std::path::{Path, PathBuf};

use user_error::{Exit, UserError};
use warc::ArchiveError;

/// The fetcher itself failed. Faults of hosts are outcomes, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The settings are invalid.
    #[error("{0}")]
    Settings(String),
    /// The folder holds outcomes that were decided under other settings.
    #[error("{} was begun with {before}, and now it is {now}", state_folder.display())]
    OtherSettings {
        /// Folder of the journals.
        state_folder: PathBuf,
        /// The earlier settings that decide about outcomes, as JSON.
        before: String,
        /// The current ones.
        now: String,
    },
    /// The HTTP client could not be built.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The system's certificates could not be read.
    #[error("cannot read the certificates of this system")]
    Tls(#[source] rustls::Error),
    /// The async runtime of a worker could not be started.
    #[error("cannot start a runtime for requests")]
    Runtime(#[source] io::Error),
    /// The journals are complete but lack outcomes.
    #[error("{} has no outcome for {}", state_folder.display(), user_error::count(*links, "link"))]
    MissingOutcomes {
        /// Folder of the journals.
        state_folder: PathBuf,
        /// Links without an outcome.
        links: u64,
    },
    /// An archive or its journal could not be read or written, or is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The frontier, an index or a folder could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl FetchError {
    /// The file and the operating system's error, if that is what failed.
    pub(crate) fn io(&self) -> Option<(&Path, &io::Error)> {
        match self {
            FetchError::Archive(ArchiveError::Io { path, source, .. }) => Some((path, source)),
            FetchError::Store(store::Error::Io(error)) => Some((&error.path, &error.source)),
            _ => None,
        }
    }
}

impl UserError for FetchError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            FetchError::Archive(ArchiveError::Damaged { .. }) | FetchError::MissingOutcomes { .. } => {
                "the disk may be failing; sealed archives are usable as they are, and the links can be fetched again \
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
        FetchError::Store(error.into())
    }
}
