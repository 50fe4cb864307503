//! `gpt2`: train a small model on token shards, and use it.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gpt2::TrainError;

/// A small GPT-2 on a CPU.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(commands::train::Arguments),
    Sample(commands::sample::Arguments),
    Inspect(Box<commands::inspect::Arguments>),
    Plan(commands::plan::Arguments),
    Finetune(commands::finetune::Arguments),
    Classify(commands::classify::Arguments),
    Bench(commands::bench::Arguments),
    Eval(commands::eval::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Sample(arguments) => commands::sample::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Plan(arguments) => commands::plan::run(&arguments),
        Command::Finetune(arguments) => commands::finetune::run(&arguments),
        Command::Classify(arguments) => commands::classify::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(TrainError::Stopped { .. })) => {
            eprintln!("{error}; the same command goes on from there");
            ExitCode::from(commands::STOPPED)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
