//! The errors of a run.

use user_error::{Exit, UserError};

pub(crate) use user_error::chain;

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run, or a query of it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user asked to stop; what was finished is kept.
    #[error("stopped; run the same command again to go on")]
    Interrupted,
    /// The recipe has no such stage, or the stage has no such task.
    #[error("{0}")]
    UnknownStage(String),
    /// A stage was selected whose earlier stages exist, but were made under another recipe.
    #[error("stage {stage} was made with other settings: {}; nothing was changed", keys.join(", "))]
    OtherSettings {
        /// The stage that would change.
        stage: String,
        /// The recipe keys that differ.
        keys: Vec<String>,
    },
    /// The recipe has an invalid value; the sentence names the key.
    #[error("{0}")]
    Recipe(String),
    /// An input that the recipe names does not exist, or is of the wrong kind.
    #[error("{0}")]
    Input(String),
    /// The state of the run does not allow the operation: a stage is missing, or another process is at work.
    #[error("{0}")]
    State(String),
    /// A stage whose products are needed is not done.
    #[error("stage {0} is not done")]
    NotDone(String),
    /// A bug in this program.
    #[error("{0}; please report this")]
    Bug(String),
    /// An error with the operation that failed.
    #[error("{what}")]
    Within {
        /// The operation, or the object concerned.
        what: String,
        /// The error itself.
        source: Box<Error>,
    },
    /// An operation of the store failed, or an object in it is damaged.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The operating system refused an operation.
    #[error(transparent)]
    File(#[from] atomic_file::Error),
    /// A dump could not be read to its end.
    #[error(transparent)]
    Dump(#[from] links::DumpError),
    /// The crawler itself failed.
    #[error(transparent)]
    Fetch(#[from] fetch::FetchError),
    /// Captures could not be copied from Common Crawl.
    #[error(transparent)]
    CommonCrawl(#[from] common_crawl::CommonCrawlError),
    /// A crate that does a task's work failed.
    #[error(transparent)]
    Work(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        match self {
            Error::Interrupted => true,
            Error::Within { source, .. } => source.is_interrupted(),
            _ => false,
        }
    }
}

impl Error {
    /// Whether a stage whose products are needed is not done.
    pub(crate) fn is_not_done(&self) -> bool {
        match self {
            Error::NotDone(_) => true,
            Error::Within { source, .. } => source.is_not_done(),
            _ => false,
        }
    }
}

impl UserError for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Within { source, .. } => source.hint(),
            Error::Store(error) => error.hint(),
            Error::File(error) => error.hint(),
            Error::Fetch(error) => error.hint(),
            Error::CommonCrawl(error) => error.hint(),
            Error::Dump(error) => error.hint(),
            Error::Work(error) => as_user_error(error.as_ref())?.hint(),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Error::Interrupted => Exit::Stopped,
            Error::UnknownStage(_) | Error::Recipe(_) => Exit::WrongUsage,
            Error::Within { source, .. } => source.exit(),
            _ => Exit::Failed,
        }
    }
}

/// The errors of the crates that tasks call, all of them [`Error::Work`]. The hints of those without are none, or name
/// flags of other commands.
macro_rules! work_errors {
    (with_hints { $($user_error:ty,)* } without { $($error:ty,)* }) => {
        $(impl From<$user_error> for Error {
            fn from(error: $user_error) -> Error {
                Error::Work(error.into())
            }
        })*

        $(impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::Work(error.into())
            }
        })*

        /// The error as what has a hint, if it is of such a type.
        fn as_user_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e dyn UserError> {
            $(if let Some(error) = error.downcast_ref::<$user_error>() {
                return Some(error);
            })*
            None
        }
    };
}

work_errors! {
    with_hints {
        dedup::bloom::BloomError,
        dedup::substrings::SubstringError,
        gpt2::TrainError,
        texts::Error,
    }
    without {
        std::io::Error,
        serde_json::Error,
        glob::GlobError,
        glob::PatternError,
        filter::InvalidRule,
        filter::ListError,
        warc::ReadError,
        bpe::formats::FormatError,
        bpe::tokens::TooWide,
        gpt2::CheckpointError,
        gpt2::TokenFileError,
    }
}

impl Error {
    /// Puts the failed operation before the error.
    pub(crate) fn within(self, what: impl Into<String>) -> Error {
        Error::Within { what: what.into(), source: Box::new(self) }
    }
}

/// Adds the failed operation to an error.
pub(crate) trait Within<T> {
    /// Puts the failed operation before the error.
    fn within(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Within<T> for std::result::Result<T, E> {
    fn within(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().within(what()))
    }
}

/// A value that is missing only if this program has a bug.
pub(crate) trait OrBug<T> {
    /// The value, or [`Error::Bug`].
    fn or_bug(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> OrBug<T> for Option<T> {
    fn or_bug(self, what: impl FnOnce() -> String) -> Result<T> {
        self.ok_or_else(|| Error::Bug(what()))
    }
}

/// Ends the function with an error of this kind unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $kind:ident, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Error::$kind(format!($($message)+)));
        }
    };
}

/// Ends the function with an error of this kind.
macro_rules! bail {
    ($kind:ident, $($message:tt)+) => {
        return Err($crate::Error::$kind(format!($($message)+)))
    };
}

pub(crate) use {bail, ensure};

#[cfg(test)]
mod tests {
    use dedup::substrings::SubstringError;

    use super::*;

    #[test]
    fn the_hint_of_a_tasks_error_is_kept() {
        let (max_memory_bytes, candidate_bytes, needed_bytes) = (1, 80, 10);
        let too_little = SubstringError::TooLittleMemory { max_memory_bytes, candidate_bytes, needed_bytes };
        let hint = Error::from(too_little).within("in task 0 of dedup.substrings").hint();
        assert_eq!(hint.as_deref(), Some("10 bytes suffice"));
        assert_eq!(Error::from(std::io::Error::other("no")).hint(), None);
    }
}
