//! `bpe`: train, encode, decode, count; show, compare, info; bench.

mod commands;

use clap::{Parser, Subcommand};

/// Byte-level BPE as GPT-2 has it: exact, and from files to shards.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Learn merges from texts and write a tokenizer's files.
    Train(commands::train::Arguments),
    /// Texts to token ids.
    Encode(commands::encode::Arguments),
    /// Token ids back to bytes.
    Decode(commands::decode::Arguments),
    /// Number of tokens, without keeping them.
    Count(commands::count::Arguments),
    /// A text with its tokens, in colour or as a page.
    Show(commands::show::Arguments),
    /// Two tokenizers on the same texts.
    Compare(commands::compare::Arguments),
    /// What a tokenizer consists of.
    Info(commands::info::Arguments),
    /// Encode files once, cold and in memory, and print the rate.
    Bench(commands::bench::Arguments),
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Encode(arguments) => commands::encode::run(&arguments),
        Command::Decode(arguments) => commands::decode::run(&arguments),
        Command::Count(arguments) => commands::count::run(&arguments),
        Command::Show(arguments) => commands::show::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Info(arguments) => commands::info::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
