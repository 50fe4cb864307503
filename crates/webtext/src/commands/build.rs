//! `webtext build`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use console::Exit;
use pipeline::engine::{StagePreview, TaskChoice};
use pipeline::recipe::{ExecutorName, PageSource};
use pipeline::stages::VALIDATION_DOCUMENTS;
use pipeline::{Options, Recipe, RecipeRun, Selection, Summary};
use records::Reason;
use store::Condition;

use super::stage_progress::StageProgress;
use super::{Usage, allow_many_files, stop_on_ctrl_c};

/// Tasks of a stage that a preview lists.
const MAX_TASKS_SHOWN: usize = 3;

/// Flags of `webtext build`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, a TOML file.
    recipe: PathBuf,
    /// Folder of the run, or a place in a bucket as s3://bucket/prefix. [default: runs/ and the recipe's name]
    #[arg(long, value_name = "DIR|URL")]
    out: Option<PathBuf>,
    /// Override a key of the recipe, as shards.seed=7, filter.length.min_words=50 or pages.2.sample_fraction=0.1; repeatable.
    /// Paths are relative to the recipe's folder.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// List of URLs and document ids to leave out, one per line; repeatable. Paths are relative to the current folder.
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Tasks that run in parallel, and threads of the training. [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Run only this stage; the earlier ones must be done.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Run only task I of the N tasks of --stage, counted from 0.
    #[arg(long, value_name = "I/N", requires = "stage", value_parser = task)]
    task: Option<(u32, u32)>,
    /// Run only one task of --stage: that of line I of a list, which an executor has written, or task I of `all`. I is
    /// counted from 0 and read from SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or HQ_TASK_ID.
    #[arg(long, value_name = "LIST", requires = "stage", conflicts_with = "task")]
    tasks: Option<String>,
    /// Where tasks run, instead of the recipe's executor.name; with kubernetes only --dry-run.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["task", "tasks"])]
    executor: Option<ExecutorName>,
    /// Print which tasks would run and why, and what a scheduler would be given; change nothing.
    #[arg(long, conflicts_with_all = ["stage", "task", "tasks"])]
    dry_run: bool,
    /// Print a summary as JSON on standard output.
    #[arg(long)]
    json: bool,
}

fn task(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.ok_or_else(|| "not of the form I/N, such as 0/16".to_owned())
}

/// The number of this job in its array, from the environment that schedulers set.
fn line_of_job() -> anyhow::Result<u32> {
    let names = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "HQ_TASK_ID"];
    let found = names.iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let Some((name, value)) = found else {
        return Err(Usage(format!("--tasks is for jobs of an array: none of {} is set", names.join(", "))).into());
    };
    value.parse().map_err(|_| Usage(format!("{name} is {value}, which is no number")).into())
}

/// The stage and the task that the flags choose.
fn selection(arguments: &Arguments) -> anyhow::Result<Selection> {
    let task = match (arguments.task, &arguments.tasks) {
        (Some((number, of)), _) => Some(TaskChoice::Numbered { number, of }),
        (_, Some(list)) => Some(TaskChoice::Listed { list: list.clone(), line: line_of_job()? }),
        (None, None) => None,
    };
    Ok(Selection { stage: arguments.stage.clone(), task })
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut recipe = Recipe::load(&arguments.recipe, &arguments.overrides)
        .map_err(|error| Usage(format!("{:#}", anyhow::Error::from(error))))?;
    for list in &arguments.exclude {
        let list = std::path::absolute(list)?;
        recipe.shards.exclude.push(list.to_string_lossy().into_owned());
    }
    let selection = selection(arguments)?;
    if let Some(name) = arguments.executor {
        recipe.executor.name = name;
    }
    if recipe.executor.name == ExecutorName::Kubernetes && !arguments.dry_run && selection.task.is_none() {
        return Err(
            Usage("jobs of Kubernetes are written out, not started: add --dry-run (docs/scaling.md)".into()).into()
        );
    }
    // A single task reads only the inputs that its plan names, which the build that planned it has checked.
    if selection.task.is_none() {
        recipe.check_inputs().with_context(|| format!("in the recipe {}", arguments.recipe.display()))?;
    }
    let folder = folder_of(arguments);
    let threads = arguments.threads.map_or_else(super::all_cores, |threads| threads as usize);
    training_threads(threads)?;
    if recipe.pages.iter().any(|source| source.fetch.is_some() || source.common_crawl.is_some()) {
        allow_many_files();
    } else if !store::is_remote(&folder) && !recipe.has_remote_inputs() && recipe.executor.name == ExecutorName::Local {
        console::end_quietly_with_reader();
    }
    refuse_folder(&folder, &recipe)?;
    let observer = std::sync::Arc::new(StageProgress::default());
    let options = Options::quiet().with_threads(threads).with_observer(observer).with_stop(stop_on_ctrl_c()?);
    let run = RecipeRun::new(&folder, recipe, options)?;
    if arguments.dry_run {
        return preview(&run, arguments.json);
    }
    let summary = run.run.build(&selection)?;
    // A single task may rightly keep nothing.
    if selection.task.is_none() {
        warn_of_nothing(&summary);
        warn_of_vain_exclusion(&run.recipe, &summary);
        warn_of_empty_validation(&summary);
    }
    if arguments.stage.is_none() {
        let report = crate::report::write(&folder, &run)?;
        if !console::is_quiet() && !arguments.json {
            if let Some(sample) = run.run.text("model/sample.txt")? {
                console::out!("\nThe model says:\n\n    {}\n", sample.trim().replace('\n', "\n    "))?;
            }
            console::out!("Report: {report}")?;
        }
    }
    if arguments.json {
        console::out!("{}", serde_json::to_string(&summary)?)?;
    }
    Ok(if summary.all_readable() { Exit::Complete } else { Exit::SomeUnreadable })
}

/// The folder of the run: --out, or `runs/` and the recipe's name.
fn folder_of(arguments: &Arguments) -> PathBuf {
    let name = arguments.recipe.file_stem().unwrap_or(std::ffi::OsStr::new("run"));
    arguments.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
}

/// Writes `logs/STAGE/TASK.log` in the run's folder for each task that warned or failed, and removes an earlier log of
/// a task that did neither.
pub fn task_logs(arguments: &Arguments) -> console::TaskLogs {
    let folder = folder_of(arguments);
    console::TaskLogs::new(move |stage, task, text| {
        let key = format!("logs/{stage}/{}.log", task.replace('/', "-"));
        // A log that cannot be written is no reason to fail; its lines are on the terminal, too.
        let Ok(store) = store::open(&folder) else { return };
        match text {
            Some(text) => drop(store.put(&key, text.as_bytes(), Condition::Always)),
            None => drop(store.delete(&key)),
        }
    })
}

/// Refuses a folder that holds something other than a run, and one that is part of the run's own input.
fn refuse_folder(folder: &Path, recipe: &Recipe) -> anyhow::Result<()> {
    if !is_run_or_empty(folder)? {
        let shown = folder.display();
        return Err(Usage(format!("{shown} is not the folder of a run, and not empty; choose another --out")).into());
    }
    if store::is_remote(folder) {
        return Ok(());
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

/// Whether a folder may become a run, or is one. It is looked at once: another task of the same run may begin it meanwhile,
/// and all that one sees of a run that begins is its first lease.
fn is_run_or_empty(folder: &Path) -> anyhow::Result<bool> {
    let names: Vec<String> = if store::is_remote(folder) {
        let store = store::open(folder)?;
        if store.get("recipe.toml")?.is_some() {
            return Ok(true); // listing a whole run takes long
        }
        store.list("")?.into_iter().map(|listed| listed.key).collect()
    } else {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect()
    };
    let is_of_run = |name: &String| ["lease", "tasks"].contains(&name.split('/').next().unwrap_or_default());
    Ok(names.is_empty() || names.iter().any(is_of_run))
}

/// Warns if no document was kept, which is seldom intended.
fn warn_of_nothing(summary: &Summary) {
    let Some(totals) = summary.emptied_by("shards.write") else { return };
    let counts = &totals.tally.counts;
    if counts.read == 0 && !totals.tally.unreadable.is_empty() {
        tracing::warn!("the data set is empty: {} could read none of its inputs", totals.stage);
        return;
    }
    let most = counts.dropped.iter().max_by_key(|(reason, n)| (**n, std::cmp::Reverse(**reason)));
    let why = most.map(|(reason, n)| format!(": {n} {reason} ({})", reason.explanation())).unwrap_or_default();
    let records = console::count(counts.read, "record");
    tracing::warn!("the data set is empty: {} kept none of {records}{why}", totals.stage);
    let without_url = totals.tally.sum("pages_without_url") as u64;
    // Where no page has a URL, no link can lead to one; where some have, the links lead elsewhere.
    if without_url > 0 && counts.dropped.get(&Reason::NotInLinks) == Some(&without_url) {
        eprintln!(
            "hint: {} {} no URL, so no link leads there; give URLs in urls.tsv, or say only_links = false",
            console::count(without_url, "page"),
            if without_url == 1 { "has" } else { "have" }
        );
    }
}

/// Warns if lists of exclusions name no document, since a request to leave one out had no effect then.
fn warn_of_vain_exclusion(recipe: &Recipe, summary: &Summary) {
    let scatter = summary.stages.iter().find(|stage| stage.stage == "shards.scatter");
    let is_in_vain = scatter.is_some_and(|stage| {
        let counts = &stage.tally.counts;
        counts.kept > 0 && !counts.dropped.contains_key(&Reason::Excluded)
    });
    if is_in_vain && !recipe.shards.exclude.is_empty() {
        tracing::warn!("no document is named by {}", recipe.shards.exclude.join(", "));
    }
}

/// Warns if documents were kept, and by chance none for validation.
fn warn_of_empty_validation(summary: &Summary) {
    let Some(scatter) = summary.stages.iter().find(|stage| stage.stage == "shards.scatter") else { return };
    let kept = scatter.tally.counts.kept;
    let validation = scatter.tally.metrics.get(VALIDATION_DOCUMENTS);
    if kept > 0 && validation.is_some_and(|documents| documents.sum == 0.0) {
        let kept = console::count(kept, "document");
        tracing::warn!(
            "the validation split is empty: none of {kept} fell into it; raise [shards] validation_fraction"
        );
    }
}

fn preview(run: &RecipeRun, json: bool) -> anyhow::Result<Exit> {
    let previews = run.run.preview()?;
    if json {
        console::out!("{}", serde_json::to_string(&previews)?)?;
        return Ok(Exit::Complete);
    }
    // What a scheduler is given stands alone on standard output, so that it can be handed on.
    let mut executor = run.run.executor();
    let is_handed_on = executor.is_some();
    let print = |line: String| {
        if is_handed_on {
            eprintln!("{line}");
            return Ok(());
        }
        console::out!("{line}")
    };
    for StagePreview { stage, tasks, missing, follows, min_output_bytes } in &previews {
        let of = tasks.map(|tasks| format!(" of {}", console::count(u64::from(tasks), "task"))).unwrap_or_default();
        if !follows.is_empty() {
            print(format!("{stage:18} follows {}{of}", nearest(follows)))?;
        } else if missing.is_empty() {
            print(format!("{stage:18} done{of}"))?;
        } else {
            let disk = if *min_output_bytes > 0 {
                format!(", at least {}", console::bytes(*min_output_bytes))
            } else {
                String::new()
            };
            print(format!("{stage:18} {}{of} to do{disk}", missing.len()))?;
            for task in missing.iter().filter(|task| task.why != "new").take(MAX_TASKS_SHOWN) {
                print(format!("    task {} ({}): {}", task.number, task.name, task.why))?;
            }
            // Only the first stage can be begun.
            let handed = executor.take().and_then(|executor| executor.preview(stage, tasks.unwrap_or_default()));
            if let Some(handed) = handed {
                console::out!("{}", handed.trim_end())?;
            }
        }
    }
    if let Some(free) = run.run.store().free_bytes() {
        print(format!("{} of disk space free", console::bytes(free)))?;
    }
    Ok(Exit::Complete)
}

/// The earlier stages that another one depends on, for a message: the last of them with its name.
fn nearest(follows: &[String]) -> String {
    match follows {
        [] => String::new(),
        [only] => only.clone(),
        [earlier @ .., last] => format!("{last} and {}", console::count(earlier.len() as u64, "earlier stage")),
    }
}

/// Limits the global thread pool, which the training uses.
fn training_threads(threads: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")
}
