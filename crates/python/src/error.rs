//! Errors as Python's exceptions: what, where, what to do.

use std::error::Error as StdError;
use std::path::Path;

use pyo3::PyErr;
use pyo3::exceptions::{PyException, PyOSError, PyValueError};

pub(crate) use user_error::chain;

pyo3::create_exception!(
    webtext,
    Error,
    PyException,
    "What webtext could not do: a page, an archive or a command failed."
);

/// The system refused a file: an `OSError`, of the class that its number has (`FileNotFoundError`, …).
pub(crate) fn of_io(error: &std::io::Error, path: &Path) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text, path.as_os_str().to_owned()))
        }
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}

/// An argument that makes no sense: a `ValueError`.
pub(crate) fn of_value(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(text.into())
}

/// A file that was read and is not what it should be: a `ValueError` with the causes and a hint, if there is one.
pub(crate) fn of_content(error: &dyn StdError, hint: Option<String>) -> PyErr {
    of_value(match hint {
        Some(hint) => format!("{}\nhint: {hint}", chain(error)),
        None => chain(error),
    })
}

/// What went wrong in the work itself: a `webtext.Error`.
pub(crate) fn of_work(error: &dyn StdError) -> PyErr {
    Error::new_err(chain(error))
}
