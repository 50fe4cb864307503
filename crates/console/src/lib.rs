#![doc = include_str!("../README.md")]

mod ending;
mod logging;
mod progress;
mod task_logs;

pub use ending::{Usage, UserErrorCast, as_user_error, end};
pub use logging::{Verbosity, start_logging};
pub use progress::{Progress, Unit, is_quiet};
pub use task_logs::TaskLogs;
pub use user_error::{Exit, UserError};

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

/// A number of bytes as people read it: `1.50 GiB`.
pub fn bytes(n: u64) -> String {
    HumanBytes(n).to_string()
}

/// 1234567 as `1,234,567`.
pub fn grouped(n: u64) -> String {
    HumanCount(n).to_string()
}

/// A number with its noun, `1 task` or `12,000 tasks`; the plural is the noun with an `s`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(n), if n == 1 { "" } else { "s" })
}
