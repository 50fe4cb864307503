#![doc = include_str!("../README.md")]

mod nearest;
mod wording;

pub use nearest::{did_you_mean, explain_unknown, nearest_name};
pub use wording::{chain, count};

/// How a command ended. This is the only table of exit codes of all binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Complete = 0,
    /// Something failed; the message says what, where, and what to do.
    Failed = 1,
    /// The command was called with arguments that make no sense; nothing was changed.
    WrongUsage = 2,
    /// Finished, but some inputs were unreadable; each is named.
    SomeUnreadable = 3,
    /// Ctrl-C ended it; what was finished is kept.
    Stopped = 130,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// An error that says what its user can do, and how the command ends.
pub trait UserError: std::error::Error {
    /// What to do, as one sentence without a full stop; printed as `hint:` below the error.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The exit code of a command that ends with this error.
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}
