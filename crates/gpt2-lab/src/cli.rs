//! The command `gpt2`: train models of the GPT-1 and GPT-2 papers on a CPU, and use them.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use console::{Exit, UserErrorCast, Verbosity, as_user_error};
use gpt2::{Kernel, KernelError, TrainError};

use crate::commands::{self, NoTokenizer};
use crate::finetune::FineTuneError;

/// GPT-1 and GPT-2 on a CPU: train, sample, evaluate, fine-tune, inspect.
///
/// Exit codes: 0 complete, 1 failed, 2 wrong usage, 130 stopped.
#[derive(Parser)]
#[command(name = "gpt2", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(commands::train::Arguments),
    Sample(commands::sample::Arguments),
    Eval(commands::eval::Arguments),
    Finetune(commands::finetune::Arguments),
    Classify(commands::classify::Arguments),
    Inspect(Box<commands::inspect::Arguments>),
    Plan(commands::plan::Arguments),
    Bench(commands::bench::Arguments),
}

/// The errors that have a hint or an exit code of their own.
const USER_ERRORS: &[UserErrorCast] = &[
    as_user_error::<TrainError>,
    as_user_error::<FineTuneError>,
    as_user_error::<NoTokenizer>,
    as_user_error::<KernelError>,
    as_user_error::<texts::Error>,
    as_user_error::<atomic_file::Error>,
];

/// Runs the command that the arguments of the process name, and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()).code())
}

/// Runs the command that `arguments` name, the program's name before them, and returns how it ended. Once per process:
/// it starts the log.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let Arguments { verbosity, command } = match console::parse::<Arguments>(arguments) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    console::start_logging(verbosity, None);
    // A training continues when the reader of its progress closes the pipe.
    if !matches!(command, Command::Train(_)) {
        console::end_quietly_with_reader();
    }
    if let Err(error) = Kernel::chosen() {
        return console::end(Err(error.into()), USER_ERRORS);
    }
    let result = match command {
        Command::Train(arguments) => commands::train::run(&arguments, verbosity.quiet),
        Command::Sample(arguments) => commands::sample::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Finetune(arguments) => commands::finetune::run(&arguments),
        Command::Classify(arguments) => commands::classify::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Plan(arguments) => commands::plan::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
    };
    console::end(result.map(|()| Exit::Complete), USER_ERRORS)
}
