//! `webtext`: one command from a dump of links to a trained model, and one for each step between.

mod commands;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From links, archives or texts to a filtered data set, tokens and a small GPT-2.
///
/// Exit codes: 0 complete, 1 failed, 2 wrong usage, 3 finished with some inputs unreadable, 130 stopped.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a recipe, doing only what is missing or changed.
    Build(commands::build::Arguments),
    /// Which stages and tasks of a run are done.
    Status(commands::status::Arguments),
    /// What differs between two runs: counts, and documents that came or went, by reason.
    Diff(commands::diff::Arguments),
    /// Remove the work files of stages that are done.
    Clean(commands::clean::Arguments),
    /// What became of a URL or a document, from its submission to its tokens.
    Explain(commands::explain::Arguments),
    /// Write a run's report.html again.
    Report(commands::report::Arguments),
    /// Dumps and lists of URLs to a table of links, kept or dropped with the reason.
    Links(commands::links::Arguments),
    /// Links to WARC files, from the web or from Common Crawl.
    Fetch(Box<commands::fetch::Arguments>),
    /// HTML and WARC files to main text.
    Extract(commands::extract::Arguments),
    /// Texts without those that fail a rule, each drop with its reason.
    Filter(commands::filter::Arguments),
    /// Texts without duplicates.
    Dedup(commands::dedup::Arguments),
}

/// How a command ended, if it did not fail.
enum Ending {
    Complete,
    SomeUnreadable,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // Commands that open connections see to it themselves: a host that goes away must not end them.
    if !matches!(command, Command::Build(_) | Command::Fetch(_)) {
        commands::end_with_our_reader();
    }
    let result = match command {
        Command::Build(arguments) => commands::build::run(&arguments),
        Command::Status(arguments) => commands::status::run(&arguments),
        Command::Diff(arguments) => commands::diff::run(&arguments),
        Command::Clean(arguments) => commands::clean::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Links(arguments) => commands::links::run(&arguments),
        Command::Fetch(arguments) => commands::fetch::run(&arguments),
        Command::Extract(arguments) => commands::extract::run(&arguments),
        Command::Filter(arguments) => commands::filter::run(&arguments),
        Command::Dedup(arguments) => commands::dedup::run(&arguments),
    };
    match result {
        Ok(Ending::Complete) => ExitCode::SUCCESS,
        Ok(Ending::SomeUnreadable) => {
            eprintln!("note: some inputs could not be read to their end; they are named above");
            ExitCode::from(3)
        }
        Err(error) if error.is::<pipeline::Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = error.chain().find_map(hint) {
                eprintln!("\nhint: {hint}");
            }
            ExitCode::from(if error.is::<commands::Usage>() || error.is::<pipeline::UnknownStage>() { 2 } else { 1 })
        }
    }
}

/// What the user can do about an error of the store's.
fn hint<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let of_file = error.downcast_ref::<atomic_file::Error>().and_then(atomic_file::Error::hint);
    let of_store = || error.downcast_ref::<store::Error>()?.hint();
    let of_system = || {
        let is_full = error.downcast_ref::<std::io::Error>()?.kind() == std::io::ErrorKind::StorageFull;
        is_full.then_some("free some space and run the same command again; finished tasks are kept")
    };
    of_file.or_else(of_store).or_else(of_system)
}
