//! The command `bpe`: train, encode, decode, count; show, compare, convert, info; bench.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use console::{Exit, Verbosity, as_user_error};

use crate::commands;
use crate::formats::FormatError;
use crate::input::InputError;
use crate::tokens::{TooManyTokens, TooWide};

/// Byte-level BPE for GPT-2 and other tokenizers: exact ids, from text files to token shards.
///
/// Exit codes: 0 complete, 1 failed, 2 wrong usage, 130 stopped.
#[derive(Parser)]
#[command(name = "bpe", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Learn merges from texts and write a tokenizer's files.
    Train(commands::train::Arguments),
    /// Turn texts into token ids.
    Encode(commands::encode::Arguments),
    /// Turn token ids back into bytes.
    Decode(commands::decode::Arguments),
    /// Count the tokens of texts.
    Count(commands::count::Arguments),
    /// Show a text with its tokens, in colour or as a page.
    Show(commands::show::Arguments),
    /// Compare two tokenizers on the same texts.
    Compare(commands::compare::Arguments),
    /// Write a tokenizer in another format, if that gives the same ids.
    Convert(commands::convert::Arguments),
    /// Print what a tokenizer consists of, or what it does to a text.
    Info(commands::info::Arguments),
    /// Encode files once, cold and in memory, and print the rate.
    Bench(commands::bench::Arguments),
}

/// Runs the command that the arguments of the process name, and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()).code())
}

/// Runs the command that `arguments` name, the program's name before them, and returns how it ended. Once per process:
/// it starts the log.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match console::parse::<Arguments>(arguments) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    console::start_logging(arguments.verbosity, None);
    let result = match arguments.command {
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Encode(arguments) => commands::encode::run(&arguments),
        Command::Decode(arguments) => commands::decode::run(&arguments),
        Command::Count(arguments) => commands::count::run(&arguments),
        Command::Show(arguments) => commands::show::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Info(arguments) => commands::info::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
    };
    // What is left in the buffer is written here, since nobody is told of an error when the process ends.
    let flush = || io::stdout().flush().context("cannot write to standard output");
    let result = result.and_then(|()| flush());
    let result = result.or_else(|error| if console::is_closed_pipe(&error) { Ok(()) } else { Err(error) });
    let known = [
        as_user_error::<FormatError>,
        as_user_error::<InputError>,
        as_user_error::<TooWide>,
        as_user_error::<TooManyTokens>,
        as_user_error::<commands::encode::NoEndOfText>,
        as_user_error::<commands::convert::ChangesIds>,
        as_user_error::<commands::decode::NumpyArray>,
        as_user_error::<commands::decode::NoId>,
        as_user_error::<atomic_file::Error>,
    ];
    console::end(result.map(|()| Exit::Complete), &known)
}
