#![doc = include_str!("../README.md")]

mod ending;
mod logging;
mod progress;
mod task_logs;

pub use ending::{Stopped, Usage, UserErrorCast, as_user_error, end, is_closed_pipe, parse};
pub use logging::{Verbosity, start_logging};
pub use progress::{Progress, Unit, is_quiet, message_bar};
pub use task_logs::TaskLogs;
pub use user_error::{Exit, UserError, count};

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{HumanBytes, HumanCount};

/// The target of events that go to a task's log file and not to the terminal.
pub const TASK_LOG: &str = "task";

/// Listens for Ctrl-C. The returned flag becomes true at the first one, when `notice` is printed; the second one ends
/// the process at once.
///
/// # Errors
/// When the process already listens for it.
pub fn stop_on_ctrl_c(notice: &'static str) -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = stop.clone();
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Exit::Stopped.code()));
        }
        tracing::warn!("{notice}; press Ctrl-C again to stop at once");
    })?;
    Ok(stop)
}

/// Lets the command end without a message when the reader of its output closes the pipe, as the system's own commands
/// do. Not for commands that open connections: a peer that closes one must not end them.
pub fn end_quietly_with_reader() {
    sigpipe::reset();
}

/// Writes a line to standard output, as `println!` does, but gives back an error, such as that of a full disk.
///
/// ```
/// console::out!("{} rows", 3)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::print_line(::std::format_args!($($text)*)) };
}

/// What [`out!`] does. With the error of a reader that has gone away, a command ends in silence ([`end`]).
///
/// # Errors
/// The line could not be written.
pub fn print_line(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, ending::ReaderGone),
        _ => error,
    })
}

/// Checks that no file that will be written is read as well, or written twice. Devices, pipes and `-` may be.
///
/// # Errors
/// The first output that is an input or another output.
pub fn check_outputs<'p>(
    inputs: impl IntoIterator<Item = &'p Path>,
    outputs: impl IntoIterator<Item = &'p Path>,
) -> Result<(), Usage> {
    let mut taken: Vec<(PathBuf, &str)> = inputs.into_iter().map(|path| (resolved(path), "read as well")).collect();
    for path in outputs {
        if path == Path::new("-") || path.exists() && !path.is_file() {
            continue;
        }
        let output = resolved(path);
        if let Some((_, how)) = taken.iter().find(|(other, _)| *other == output) {
            return Err(Usage(format!("{} is to be written, and {how}; choose another name", path.display())));
        }
        taken.push((output, "written for another output"));
    }
    Ok(())
}

/// The path without links, also of a file that is yet to be written.
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_path_buf())
}

/// A number of bytes as people read it: `1.50 GiB`.
pub fn bytes(n: u64) -> String {
    HumanBytes(n).to_string()
}

/// 1234567 as `1,234,567`.
pub fn grouped(n: u64) -> String {
    HumanCount(n).to_string()
}

/// Text that is safe between the tags of HTML and SVG, and in quoted attributes.
///
/// ```
/// assert_eq!(console::escape_html("<a title=\"b & c\">"), "&lt;a title=&quot;b &amp; c&quot;&gt;");
/// ```
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
