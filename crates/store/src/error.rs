//! The one error type of the store: each variant names the file concerned.

use user_error::UserError;

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on one of the store's objects.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error(transparent)]
    Io(#[from] atomic_file::Error),
    /// A file that this project wrote is not as it was written.
    #[error("{object} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The damaged object.
        object: String,
        /// Where the damage was noticed.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot {action} the table {object}")]
    Table {
        /// What was tried, as a verb.
        action: &'static str,
        /// The Parquet object.
        object: String,
        /// The Parquet library's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process holds a lease.
    #[error("{holder} is at work here ({object})")]
    Held {
        /// The lease.
        object: String,
        /// The holder.
        holder: Box<crate::lease::Holder>,
    },
    /// A row could not be serialised: the row type is at fault, not its data.
    #[error("cannot serialise a row for {object}")]
    Row {
        /// The object that the row was meant for.
        object: String,
        /// The serialiser's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An operation on an object that the operating system refused. `shown` is the object's name as users see it.
    pub fn io(action: &'static str, shown: &str, source: std::io::Error) -> Error {
        Error::Io(atomic_file::Error { action, path: shown.into(), source })
    }
}

impl UserError for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Io(error) => error.hint(),
            Error::Damaged { .. } => Some(
                "delete this file and run the same command again; the task that wrote it will be redone".to_owned(),
            ),
            _ => None,
        }
    }
}
