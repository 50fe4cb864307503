//! The commands `webtext`, `bpe` and `gpt2`.

use std::ffi::OsString;
use std::io::Write as _;

use pyo3::prelude::*;

use crate::error::of_value;

/// Runs a command in this process, and returns its exit code. Once per process: it starts the log, and may listen for
/// Ctrl-C.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, program: &str, arguments: Vec<OsString>) -> PyResult<u8> {
    let arguments = std::iter::once(OsString::from(program)).chain(arguments);
    let exit = py.detach(|| match program {
        "webtext" => Some(webtext::main_with(arguments)),
        "bpe" => Some(bpe::cli::main_with(arguments)),
        "gpt2" => Some(gpt2_lab::cli::main_with(arguments)),
        _ => None,
    });
    // A program's end does this for it; nobody is left to be told that it failed.
    let _ = std::io::stdout().flush();
    exit.map(|exit| exit.code()).ok_or_else(|| of_value(format!("there is no command {program:?}")))
}
