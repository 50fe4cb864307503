//! `webtext`: one command that runs a recipe from a dump of links to a trained model, and one command per step. A library,
//! so that other programs can have the command without building it again.

mod commands;
mod explore;
mod report;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use console::{Exit, Verbosity, as_user_error};

/// Build a filtered text data set, tokens and a small GPT-2 from links, archives or texts.
///
/// Exit codes: 0 complete, 1 failed, 2 wrong usage, 3 finished with some inputs unreadable, 130 stopped.
#[derive(Parser)]
#[command(name = "webtext", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: Verbosity,
}

#[derive(Subcommand)]
enum Command {
    /// Run a recipe: the tasks that are missing or changed.
    Build(commands::build::Arguments),
    /// Show which stages and tasks of a run are done.
    Status(commands::status::Arguments),
    /// Compare two runs: counts, and documents that came or went, by reason.
    Diff(commands::diff::Arguments),
    /// Remove the work files of stages that are done.
    Clean(commands::clean::Arguments),
    /// Show what became of a URL or a document, from its submission to its tokens.
    Explain(commands::explain::Arguments),
    /// Write a run's report.html again.
    Report(commands::report::Arguments),
    /// Write an HTML page for reading and searching a run's documents and trying other limits.
    Explore(commands::explore::Arguments),
    /// Convert dumps and lists of URLs to a table of links, each kept or dropped with a reason.
    Links(commands::links::Arguments),
    /// Fetch links into WARC files, from the web or from Common Crawl.
    Fetch(Box<commands::fetch::Arguments>),
    /// Extract the main text of HTML and WARC files.
    Extract(commands::extract::Arguments),
    /// Drop texts that fail a rule, each with its reason.
    Filter(commands::filter::Arguments),
    /// Drop duplicate texts, or cut what texts have in common.
    Dedup(commands::dedup::Arguments),
    /// Measure what texts and evaluation sets have in common, and remove it.
    Overlap(commands::overlap::Arguments),
}

/// Runs the command that the arguments of the process name, and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()).code())
}

/// Runs the command that `arguments` name, the program's name before them, and returns how it ended. Once per process:
/// it starts the log.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let are_remote = arguments.iter().any(|argument| store::is_remote(Path::new(argument)));
    let Arguments { command, verbosity } = match console::parse::<Arguments>(arguments) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    // Commands that open connections handle closed pipes themselves: a host that closes one must not end them. Those with
    // working files remove these first.
    let has_working_files = matches!(command, Command::Dedup(_) | Command::Overlap(_));
    if !has_working_files && !matches!(command, Command::Build(_) | Command::Fetch(_)) && !are_remote {
        console::end_quietly_with_reader();
    }
    if let Command::Build(arguments) = &command {
        console::start_logging(verbosity, Some(commands::build::task_logs(arguments)));
    } else {
        console::start_logging(verbosity, None);
    }
    let known = [
        as_user_error::<pipeline::Error>,
        as_user_error::<fetch::FetchError>,
        as_user_error::<common_crawl::CommonCrawlError>,
        as_user_error::<store::Error>,
        as_user_error::<atomic_file::Error>,
        as_user_error::<links::DumpError>,
        as_user_error::<texts::Error>,
    ];
    let result = run(&command);
    let is_read = |error: &anyhow::Error| has_working_files && console::is_closed_pipe(error);
    console::end(result.or_else(|error| if is_read(&error) { Ok(Exit::Complete) } else { Err(error) }), &known)
}

fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Build(arguments) => commands::build::run(arguments),
        Command::Status(arguments) => commands::status::run(arguments),
        Command::Diff(arguments) => commands::diff::run(arguments),
        Command::Clean(arguments) => commands::clean::run(arguments),
        Command::Explain(arguments) => commands::explain::run(arguments),
        Command::Report(arguments) => commands::report::run(arguments),
        Command::Explore(arguments) => commands::explore::run(arguments),
        Command::Links(arguments) => commands::links::run(arguments),
        Command::Fetch(arguments) => commands::fetch::run(arguments),
        Command::Extract(arguments) => commands::extract::run(arguments),
        Command::Filter(arguments) => commands::filter::run(arguments),
        Command::Dedup(arguments) => commands::dedup::run(arguments),
        Command::Overlap(arguments) => commands::overlap::run(arguments),
    }
}
