//! How a command ends: its message, its hint and its exit code.

use std::error::Error;
use std::ffi::OsString;
use std::{fmt, io};

use user_error::{Exit, UserError};

/// The command was called with arguments that make no sense.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

impl UserError for Usage {
    fn exit(&self) -> Exit {
        Exit::WrongUsage
    }
}

/// Ctrl-C ended the command. What is kept, if anything is, the context of the error says.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl Error for Stopped {}

impl UserError for Stopped {
    fn exit(&self) -> Exit {
        Exit::Stopped
    }
}

/// Casts an error to [`UserError`], if it is of one certain type.
pub type UserErrorCast = for<'e> fn(&'e (dyn Error + 'static)) -> Option<&'e dyn UserError>;

/// The cast for errors of type `E`.
pub fn as_user_error<'e, E: UserError + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e dyn UserError> {
    error.downcast_ref::<E>().map(|error| error as &dyn UserError)
}

/// The arguments of a command, the program's name before them. Where they are wrong or ask for help, prints what is to be
/// said to them.
///
/// # Errors
/// How the command ends then.
pub fn parse<A: clap::Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, Exit> {
    A::try_parse_from(arguments).map_err(|said| {
        // As clap does before it ends a process: nobody is left to be told that printing failed.
        let _ = said.print();
        if said.use_stderr() { Exit::WrongUsage } else { Exit::Complete }
    })
}

/// The reader of standard output has gone away, as `head` does. Other pipes that break, such as connections, are faults.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl Error for ReaderGone {}

impl fmt::Display for ReaderGone {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "the reader of standard output has gone away")
    }
}

fn is_reader_gone(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.get_ref().is_some_and(|inner| inner.is::<ReaderGone>()))
}

/// Prints how a command ended, unless it is complete or nobody reads its output any more, and returns that. `known` lists the error types that
/// implement [`UserError`]; they are looked for along the chain of causes, from the outermost on.
pub fn end(result: anyhow::Result<Exit>, known: &[UserErrorCast]) -> Exit {
    match result {
        Ok(Exit::SomeUnreadable) => {
            eprintln!("note: some inputs could not be read to their end; they are named above");
            Exit::SomeUnreadable
        }
        Ok(exit) => exit,
        Err(error) if is_reader_gone(&error) => Exit::Complete,
        Err(error) => {
            let (exit, hint) = advice(&error, known);
            let prefix = if exit == Exit::Stopped { "" } else { "error: " };
            eprintln!("{prefix}{error:#}");
            if let Some(hint) = hint {
                eprintln!("\nhint: {hint}");
            }
            exit
        }
    }
}

/// Whether the reader of an output has gone away, as `head` does. It has what it wanted: nothing failed.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The exit code and the hint of the first error in the chain that has one.
fn advice(error: &anyhow::Error, known: &[UserErrorCast]) -> (Exit, Option<String>) {
    let own: [UserErrorCast; 2] = [as_user_error::<Usage>, as_user_error::<Stopped>];
    let casts = || own.iter().chain(known);
    let users = || error.chain().filter_map(|cause| casts().find_map(|cast| cast(cause)));
    let exit = users().map(UserError::exit).find(|&exit| exit != Exit::Failed).unwrap_or(Exit::Failed);
    let hint = users().find_map(UserError::hint).or_else(|| error.chain().find_map(hint_of_system));
    (exit, hint)
}

fn hint_of_system(cause: &(dyn Error + 'static)) -> Option<String> {
    let is_full = cause.downcast_ref::<io::Error>()?.kind() == io::ErrorKind::StorageFull;
    is_full.then(|| "free some space and run the same command again".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the table is damaged")]
    struct Damaged;

    impl UserError for Damaged {
        fn hint(&self) -> Option<String> {
            Some("delete it".into())
        }
    }

    #[track_caller]
    fn check(error: anyhow::Error, exit: Exit, hint: Option<&str>) {
        let (found, said) = advice(&error, &[as_user_error::<Damaged>]);
        assert_eq!((found, said.as_deref()), (exit, hint));
    }

    #[test]
    fn advice_is_found_along_the_chain() {
        check(anyhow::anyhow!("no"), Exit::Failed, None);
        check(anyhow::Error::from(Damaged).context("in stage 1"), Exit::Failed, Some("delete it"));
        check(Usage("no".into()).into(), Exit::WrongUsage, None);
        let full = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("cannot write");
        check(full, Exit::Failed, Some("free some space and run the same command again"));
    }

    #[test]
    fn a_connection_that_breaks_is_a_failure() {
        let broken = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot read the index");
        assert_eq!(end(Err(broken), &[]), Exit::Failed);
    }

    #[test]
    fn wrong_arguments_and_help_end_a_command() {
        #[derive(Debug, clap::Parser)]
        struct Arguments {
            #[arg(long)]
            threads: u32,
        }
        let check = |arguments: &[&str], expected: Result<u32, Exit>| {
            let found = parse::<Arguments>(arguments.iter().map(OsString::from));
            assert_eq!(found.map(|found| found.threads), expected);
        };
        check(&["bpe", "--threads", "3"], Ok(3));
        check(&["bpe", "--threads", "many"], Err(Exit::WrongUsage));
        check(&["bpe", "--help"], Err(Exit::Complete));
    }
}
