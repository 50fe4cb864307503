//! Why a text could not be read, and where.

use std::path::{Path, PathBuf};

use texts::DocumentFault;
use user_error::UserError;

/// Why a text could not be read.
pub(super) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A text could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}{}", path.display(), place.as_deref().map(|place| format!(" at {place}")).unwrap_or_default())]
#[non_exhaustive]
pub struct InputError {
    /// The file; `-` for standard input.
    pub path: PathBuf,
    /// Where in it: `line 7`, `row 7`, `byte 7`.
    pub place: Option<String>,
    /// Why.
    #[source]
    pub source: AnyError,
}

/// Bytes that are not valid text.
#[derive(Debug, thiserror::Error)]
#[error("invalid UTF-8")]
pub(super) struct InvalidUtf8;

impl UserError for InputError {
    fn hint(&self) -> Option<String> {
        let is_undecodable = match self.source.downcast_ref() {
            Some(DocumentFault::InvalidUtf8(_) | DocumentFault::LoneSurrogate(_)) => true,
            _ => self.source.is::<InvalidUtf8>(),
        };
        match is_undecodable {
            true => Some("--lossy replaces invalid UTF-8 by U+FFFD".to_owned()),
            false => self.source.downcast_ref::<texts::Error>().and_then(UserError::hint),
        }
    }
}

/// An error and its place, in a file that the caller knows.
pub(super) struct Fault {
    place: Option<String>,
    source: AnyError,
}

impl Fault {
    pub(super) fn at(place: String, source: impl Into<AnyError>) -> Fault {
        Fault { place: Some(place), source: source.into() }
    }

    pub(super) fn of_file(source: impl Into<AnyError>) -> Fault {
        Fault { place: None, source: source.into() }
    }

    pub(super) fn in_file(self, path: &Path) -> InputError {
        InputError { path: path.to_path_buf(), place: self.place, source: self.source }
    }
}
