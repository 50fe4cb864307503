//! `webtext build`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pipeline::engine::StagePreview;
use pipeline::recipe::PageSource;
use pipeline::{Options, Progress, Recipe, RecipeRun, Selection, Summary};

use super::{Usage, allow_many_files, end_with_our_reader, plural, stop_on_ctrl_c};
use crate::Ending;

/// Tasks of a stage that a preview names one by one.
const MAX_TASKS_SHOWN: usize = 3;

/// Flags of `webtext build`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, a TOML file.
    recipe: PathBuf,
    /// Folder of the run; default: runs/ and the recipe's name.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Override a key of the recipe: shards.seed=7, filter.length.min_words=50, pages.2.sample=0.1. Paths are relative
    /// to the recipe's folder.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Leave out the documents of these URLs and ids, one per line; repeatable. Paths are relative to this folder.
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Tasks that run side by side, and threads of the training; default: all cores.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Only this stage; earlier ones must be done.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Only task I of the stage's N, counted from 0.
    #[arg(long, value_name = "I/N", requires = "stage", value_parser = task)]
    task: Option<(u32, u32)>,
    /// Print what would be done, and why, and do nothing.
    #[arg(long, conflicts_with_all = ["stage", "task"])]
    dry_run: bool,
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
    let mut recipe =
        Recipe::load(&arguments.recipe, &arguments.overrides).map_err(|error| Usage(format!("{error:#}")))?;
    for list in &arguments.exclude {
        let list = std::path::absolute(list)?;
        recipe.shards.exclude.push(list.to_string_lossy().into_owned());
    }
    // A single task reads what its stage names, and trusts the build that planned it.
    if arguments.task.is_none() {
        recipe.check_inputs().with_context(|| format!("in the recipe {}", arguments.recipe.display()))?;
    }
    let name = arguments.recipe.file_stem().context("the recipe's path names no file")?;
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name));
    let threads = match arguments.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    training_threads(threads)?;
    if recipe.pages.iter().any(|source| source.fetch.is_some() || source.common_crawl.is_some()) {
        allow_many_files();
    } else {
        end_with_our_reader();
    }
    refuse_folder(&folder, &recipe)?;
    let options =
        Options { threads, progress: Progress::new(arguments.quiet), stop: stop_on_ctrl_c()?, ..Options::quiet() };
    let run = RecipeRun::new(&folder, recipe, options)?;
    if arguments.dry_run {
        return preview(&run, arguments.json);
    }
    let summary = run.run.build(&Selection { stage: arguments.stage.clone(), task: arguments.task })?;
    // A single task may well have nothing to keep.
    if arguments.task.is_none() {
        warn_of_nothing(&summary);
    }
    if arguments.stage.is_none() {
        let report = crate::report::write(&folder, &run)?;
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

/// Refuses a folder that holds something else, and one that is part of the run's own input.
fn refuse_folder(folder: &Path, recipe: &Recipe) -> anyhow::Result<()> {
    let is_run = ["tasks", "lease"].iter().any(|part| folder.join(part).exists());
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_run && !is_empty {
        let shown = folder.display();
        return Err(Usage(format!("{shown} is not the folder of a run, and not empty; choose another --out")).into());
    }
    let folder = std::path::absolute(folder)?;
    for source in recipe.pages.iter().filter(|source| source.from == PageSource::Html) {
        if let Some(input) = source.paths.iter().find(|path| folder.starts_with(path)) {
            let shown = folder.display();
            return Err(
                Usage(format!("{shown} lies in {input}, whose pages it is made of; choose another --out")).into()
            );
        }
    }
    Ok(())
}

/// A data set without a document is seldom what was meant.
fn warn_of_nothing(summary: &Summary) {
    let Some(totals) = summary.emptied_by("shards.write") else { return };
    let counts = &totals.tally.counts;
    let most = counts.dropped.iter().max_by_key(|(reason, n)| (**n, std::cmp::Reverse(**reason)));
    let why = most.map(|(reason, n)| format!(": {n} {reason} ({})", reason.explanation())).unwrap_or_default();
    eprintln!("warning: the data set is empty: {} kept none of {} records{why}", totals.stage, counts.read);
    let without_url = totals.tally.sum("pages_without_url") as u64;
    if without_url > 0 {
        eprintln!(
            "hint: {} no URL, so that no link can lead to them; give them URLs in urls.tsv, or say only_links = false",
            plural(without_url, "page has", "pages have")
        );
    }
}

fn preview(run: &RecipeRun, json: bool) -> anyhow::Result<Ending> {
    let previews = run.run.preview()?;
    if json {
        println!("{}", serde_json::to_string(&previews)?);
        return Ok(Ending::Complete);
    }
    for StagePreview { stage, tasks, missing, follows, min_output_bytes } in &previews {
        let of = tasks.map(|tasks| format!(" of {}", plural(u64::from(tasks), "task", "tasks"))).unwrap_or_default();
        if !follows.is_empty() {
            println!("{stage:18} follows {}{of}", follows.join(", "));
        } else if missing.is_empty() {
            println!("{stage:18} done{of}");
        } else {
            let disk =
                if *min_output_bytes > 0 { format!(", at least {min_output_bytes} bytes") } else { String::new() };
            println!("{stage:18} {}{of} to do{disk}", missing.len());
            for task in missing.iter().filter(|task| task.why != "new").take(MAX_TASKS_SHOWN) {
                println!("    task {} ({}): {}", task.number, task.name, task.why);
            }
        }
    }
    if let Some(free) = run.run.store().free_bytes() {
        println!("{free} bytes are free");
    }
    Ok(Ending::Complete)
}

/// The training takes its threads from the process's own pool.
fn training_threads(threads: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")
}
