//! `webtext build`.

use std::path::PathBuf;

use anyhow::Context;
use pipeline::{Progress, Recipe, Run, Selection};

use super::{Usage, allow_many_files, stop_on_ctrl_c};
use crate::Ending;

/// Flags of `webtext build`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, a TOML file.
    recipe: PathBuf,
    /// Folder of the run; default: runs/ and the recipe's name.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Override a key of the recipe: shards.seed=7. Paths are relative to the recipe's folder.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Tasks that run side by side, and threads of the training; default: all cores.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Only this stage; earlier ones must be done.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Only task I of the stage's N, counted from 0.
    #[arg(long, value_name = "I/N", requires = "stage", value_parser = task)]
    task: Option<(u32, u32)>,
    /// Print a summary as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// No progress on standard error.
    #[arg(short, long)]
    quiet: bool,
}

fn task(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.ok_or_else(|| "not of the form I/N, such as 0/16".to_owned())
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides).map_err(|error| Usage(format!("{error:#}")))?;
    let name = arguments.recipe.file_stem().context("the recipe's path names no file")?;
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name));
    let threads = match arguments.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    training_threads(threads)?;
    if recipe.pages.fetch.is_some() {
        allow_many_files();
    }
    let run = Run::new(folder.clone(), recipe, threads, Progress::new(arguments.quiet), stop_on_ctrl_c()?);
    let summary = run.build(&Selection { stage: arguments.stage.clone(), task: arguments.task })?;
    if arguments.stage.is_none() {
        let report = crate::report::write(&run)?;
        if !arguments.quiet && !arguments.json {
            if let Ok(sample) = std::fs::read_to_string(folder.join("model/sample.txt")) {
                println!("\nThe model says:\n\n    {}\n", sample.trim().replace('\n', "\n    "));
            }
            println!("Report: {}", report.display());
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    Ok(if summary.all_readable() { Ending::Complete } else { Ending::SomeUnreadable })
}

/// The training takes its threads from the process's own pool.
fn training_threads(threads: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")
}
