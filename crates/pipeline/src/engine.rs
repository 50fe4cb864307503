//! Stages of tasks, and the run that does what is missing of them.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Instant, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use crate::manifest::{FileRecord, Manifest, Sample, Unreadable};
use atomic_file::IoContext;
use records::{Counts, Reason};
use store::{checksum_file, checksum_hex};
use serde::Serialize;
use serde_json::Value;

use crate::{Progress, Recipe};

/// Samples of dropped records that one manifest keeps for each reason.
const SAMPLES_A_REASON: usize = 5;
/// Characters of such a sample.
const SAMPLE_CHARS: usize = 300;

/// A step of a recipe: an array of tasks that can be planned once all earlier stages are done.
pub(crate) trait Stage: Send + Sync {
    /// The name, as `--stage` takes it.
    fn name(&self) -> &'static str;
    /// The tasks, in the order of their numbers.
    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>>;
}

/// The work of a task.
pub(crate) type Work = Box<dyn Fn(&mut Task<'_>) -> anyhow::Result<()> + Send + Sync>;

/// One cell of a stage's array.
pub(crate) struct TaskPlan {
    /// Files that the task reads.
    pub(crate) inputs: Vec<FileRecord>,
    /// Settings on which its outputs depend.
    pub(crate) settings: Value,
    /// Reads the inputs, writes outputs under the run's folder, counts.
    pub(crate) work: Work,
}

/// A task at work: what it tells its manifest.
pub(crate) struct Task<'a> {
    run: &'a Run,
    stage: &'static str,
    number: u32,
    outputs: Vec<FileRecord>,
    samples_kept: BTreeMap<Reason, usize>,
    pub(crate) counts: Counts,
    received: BTreeMap<String, u64>,
    figures: BTreeMap<String, f64>,
    unreadable: Vec<Unreadable>,
    samples: Vec<Sample>,
}

impl Task<'_> {
    /// The run that the task belongs to.
    pub(crate) fn run(&self) -> &Run {
        self.run
    }

    /// The task's number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// A folder for spills and checkpoints of this task alone; kept between tries.
    pub(crate) fn scratch(&self) -> anyhow::Result<PathBuf> {
        let folder = self.run.folder.join("work").join(self.stage).join(format!("{:05}", self.number));
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        Ok(folder)
    }

    /// The full path of an output.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.run.folder.join(name)
    }

    /// Notes a file that was written and committed.
    pub(crate) fn wrote(&mut self, name: &str, written: atomic_file::Written) {
        let checksum = checksum_hex(written.checksum);
        self.outputs.push(FileRecord { path: name.to_owned(), len_bytes: written.len_bytes, checksum });
    }

    /// Writes a small output in one go.
    pub(crate) fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let written = atomic_file::write(&self.path(name), bytes)?;
        self.wrote(name, written);
        Ok(())
    }

    /// Counts a record that an earlier stage kept.
    pub(crate) fn receive(&mut self, stage: &str, records: u64) {
        *self.received.entry(stage.to_owned()).or_default() += records;
    }

    /// Sets a figure worth telling.
    pub(crate) fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Notes an input that broke off. What was read of it stays.
    pub(crate) fn unreadable(&mut self, path: &str, error: &dyn std::error::Error) {
        self.unreadable.push(Unreadable { path: path.to_owned(), error: chain(error) });
    }

    /// Keeps the beginning of a dropped record that has no row anywhere.
    pub(crate) fn sample(&mut self, reason: Reason, place: impl FnOnce() -> String, text: &str) {
        let kept = self.samples_kept.entry(reason).or_default();
        if *kept < SAMPLES_A_REASON {
            *kept += 1;
            self.samples.push(Sample { reason, place: place(), text: text.chars().take(SAMPLE_CHARS).collect() });
        }
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Ctrl-C was pressed; what was finished is kept.
#[derive(Debug, thiserror::Error)]
#[error("stopped; run the same command again to go on")]
pub struct Interrupted;

/// The recipe has no such stage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownStage(String);

/// Which tasks to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only this stage; its predecessors must be done.
    pub stage: Option<String>,
    /// Only this task of it, and the number of tasks that the caller takes the stage to have.
    pub task: Option<(u32, u32)>,
}

/// A folder with a recipe and everything made from it.
pub struct Run {
    folder: PathBuf,
    recipe: Recipe,
    stages: Vec<Box<dyn Stage>>,
    threads: usize,
    progress: Progress,
    stop: &'static AtomicBool,
    fingerprints: Mutex<HashMap<PathBuf, FileRecord>>,
}

/// What a stage did, over all its tasks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    /// The stage.
    pub stage: String,
    /// Its tasks.
    pub tasks: u32,
    /// What became of its records.
    pub counts: Counts,
    /// Sums of the tasks' figures.
    pub figures: BTreeMap<String, f64>,
    /// Inputs that broke off.
    pub unreadable: Vec<Unreadable>,
}

/// What stands of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// Every task has a valid manifest.
    Done,
    /// Some tasks have; the numbers that have not follow.
    Missing(Vec<u32>),
    /// An earlier stage is not done, so the tasks are not known.
    Waiting,
}

/// Where a stage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The stage.
    pub stage: &'static str,
    /// What stands of it.
    pub state: StageState,
    /// Its tasks; none as long as they are not known.
    pub tasks: Option<u32>,
}

/// The outcome of a build.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Each stage's totals, in order.
    pub stages: Vec<Totals>,
    /// Tasks that were run; the others were done before.
    pub tasks_run: usize,
}

impl Summary {
    /// Whether every input could be read to its end.
    pub fn all_readable(&self) -> bool {
        self.stages.iter().all(|stage| stage.unreadable.is_empty())
    }
}

impl Run {
    /// A run of these stages in `folder`; nothing is written yet.
    pub(crate) fn of_stages(
        folder: PathBuf,
        recipe: Recipe,
        stages: Vec<Box<dyn Stage>>,
        threads: usize,
        progress: Progress,
        stop: &'static AtomicBool,
    ) -> Run {
        Run { folder, recipe, stages, threads: threads.max(1), progress, stop, fingerprints: Mutex::default() }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the user asked to stop; long tasks look at it between checkpoints.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Does what is missing of the selected stages.
    pub fn build(&self, selection: &Selection) -> anyhow::Result<Summary> {
        let stages = &self.stages;
        if let Some(name) = &selection.stage
            && !stages.iter().any(|stage| stage.name() == name)
        {
            return Err(UnknownStage(unknown_stage(name, stages)).into());
        }
        fs::create_dir_all(&self.folder).at("create the folder", &self.folder)?;
        let lock = self.lock(selection.task.is_none())?;
        self.keep_recipe()?;
        if selection.task.is_none() {
            atomic_file::sweep(&self.folder)?;
            self.remove_stale_stages()?;
        }
        let mut summary = Summary::default();
        for stage in stages {
            match &selection.stage {
                Some(name) if name != stage.name() => self.require_done(&**stage)?,
                _ => summary.tasks_run += self.build_stage(&**stage, selection.task)?,
            }
            // A single task answers for itself alone: its exit code is not that of earlier stages.
            match (selection.task, &selection.stage) {
                (Some((number, _)), Some(name)) if name == stage.name() => {
                    summary.stages.push(self.totals_of(stage.name(), Some(number))?)
                }
                (Some(_), _) => {}
                (None, _) => summary.stages.push(self.totals(stage.name())?),
            }
            if selection.stage.as_deref() == Some(stage.name()) {
                break;
            }
        }
        if selection.stage.is_none() {
            self.write_summary(&summary)?;
        }
        self.progress.end();
        drop(lock);
        Ok(summary)
    }

    /// One driver at a time, or any number of single tasks.
    fn lock(&self, exclusive: bool) -> anyhow::Result<File> {
        let path = self.folder.join("lock");
        let file = File::create(&path).at("create", &path)?;
        let locked = if exclusive { file.try_lock() } else { file.try_lock_shared() };
        locked.map_err(|_| {
            anyhow::anyhow!("another webtext works in {}; wait for it or choose another --out", self.folder.display())
        })?;
        Ok(file)
    }

    fn keep_recipe(&self) -> anyhow::Result<()> {
        let path = self.folder.join("recipe.toml");
        let text = format!(
            "# webtext {}: the recipe of this run with every default spelled out.\n{}",
            env!("CARGO_PKG_VERSION"),
            self.recipe.to_toml()?
        );
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            atomic_file::write(&path, text.as_bytes())?;
        }
        Ok(())
    }

    fn write_summary(&self, summary: &Summary) -> anyhow::Result<()> {
        let json = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "recipe": self.recipe,
            "stages": summary.stages,
        });
        atomic_file::write(&self.folder.join("manifest.json"), format!("{json:#}\n").as_bytes())?;
        Ok(())
    }

    /// What stands of each stage, in order. Plans nothing behind the first stage that is not done.
    pub fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let mut standings = Vec::new();
        let mut waiting = false;
        for stage in &self.stages {
            let (state, tasks) = if waiting {
                (StageState::Waiting, None)
            } else {
                let plan = stage.plan(self)?;
                let missing: Vec<u32> = (0..plan.len() as u32)
                    .filter(|&i| !self.is_done(stage.name(), i, plan.len(), &plan[i as usize]))
                    .collect();
                let state = if missing.is_empty() { StageState::Done } else { StageState::Missing(missing) };
                (state, Some(plan.len() as u32))
            };
            waiting |= state != StageState::Done;
            standings.push(Standing { stage: stage.name(), state, tasks });
        }
        Ok(standings)
    }

    fn require_done(&self, stage: &dyn Stage) -> anyhow::Result<()> {
        let plan = stage.plan(self)?;
        for (number, task) in plan.iter().enumerate() {
            if !self.is_done(stage.name(), number as u32, plan.len(), task) {
                bail!("stage {} is not done: task {number}/{} is missing", stage.name(), plan.len());
            }
        }
        Ok(())
    }

    /// Does the missing tasks of a stage; returns how many those were.
    fn build_stage(&self, stage: &dyn Stage, only: Option<(u32, u32)>) -> anyhow::Result<usize> {
        let started = Instant::now();
        let plan = stage.plan(self).with_context(|| format!("cannot plan the stage {}", stage.name()))?;
        if let Some((number, of)) = only {
            ensure!(of as usize == plan.len(), "stage {} has {} tasks, not {of}", stage.name(), plan.len());
            ensure!(number < of, "the tasks of stage {} are numbered from 0 to {}", stage.name(), of - 1);
        } else {
            self.remove_stale(stage.name(), plan.len())?;
        }
        let numbers = (0..plan.len() as u32).filter(|&i| only.is_none_or(|(number, _)| number == i));
        let missing: Vec<u32> =
            numbers.filter(|&i| !self.is_done(stage.name(), i, plan.len(), &plan[i as usize])).collect();
        let bytes = missing.iter().flat_map(|&i| &plan[i as usize].inputs).map(|input| input.len_bytes).sum();
        self.progress.stage(stage.name(), missing.len(), bytes);
        // All at once and before any task runs: another task may be about to write the same name.
        for &number in &missing {
            self.remove_task(&self.manifest_path(stage.name(), number))?;
        }
        self.run_tasks(stage.name(), &plan, &missing)?;
        if only.is_none() {
            self.reconcile(stage.name())?;
            self.tell(stage.name(), missing.len(), started)?;
        }
        Ok(missing.len())
    }

    /// Runs tasks on a pool of threads; the first fault ends the stage after the tasks under way.
    fn run_tasks(&self, stage: &'static str, plan: &[TaskPlan], missing: &[u32]) -> anyhow::Result<()> {
        let next = AtomicUsize::new(0);
        let fault = Mutex::new(None);
        let was_skipped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(missing.len()) {
                scope.spawn(|| {
                    while let Some(&number) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let has_fault = || fault.lock().expect("no thread panics with it").is_some();
                        if self.is_stopping() || has_fault() {
                            was_skipped.store(true, Ordering::Relaxed);
                            return;
                        }
                        if let Err(error) = self.run_task(stage, number, plan) {
                            if error.is::<Interrupted>() {
                                was_skipped.store(true, Ordering::Relaxed);
                                return;
                            }
                            let error = error.context(format!("stage {stage}, task {number}/{}", plan.len()));
                            fault.lock().expect("no thread panics with it").get_or_insert(error);
                            return;
                        }
                    }
                });
            }
        });
        match fault.into_inner().expect("no thread panics with it") {
            Some(error) => Err(error),
            None if was_skipped.into_inner() => Err(Interrupted.into()),
            None => Ok(()),
        }
    }

    fn run_task(&self, stage: &'static str, number: u32, plan: &[TaskPlan]) -> anyhow::Result<()> {
        let TaskPlan { inputs, settings, work } = &plan[number as usize];
        let mut task = Task {
            run: self,
            stage,
            number,
            outputs: Vec::new(),
            samples_kept: BTreeMap::new(),
            counts: Counts::default(),
            received: BTreeMap::new(),
            figures: BTreeMap::new(),
            unreadable: Vec::new(),
            samples: Vec::new(),
        };
        work(&mut task)?;
        ensure!(task.counts.reconcile(), "the counts do not reconcile: {:?}", task.counts);
        let manifest = Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: stage.to_owned(),
            task: number,
            of: plan.len() as u32,
            settings: settings.clone(),
            inputs: inputs.clone(),
            outputs: task.outputs,
            counts: task.counts,
            received: task.received,
            figures: task.figures,
            unreadable: task.unreadable,
            samples: task.samples,
        };
        manifest.write(&self.manifest_path(stage, number))?;
        self.progress.advance(inputs.iter().map(|input| input.len_bytes).sum());
        Ok(())
    }

    fn manifest_path(&self, stage: &str, number: u32) -> PathBuf {
        self.folder.join("tasks").join(stage).join(format!("{number:05}.json"))
    }

    /// Whether a task's manifest says what the plan says, and its outputs are there.
    fn is_done(&self, stage: &str, number: u32, of: usize, plan: &TaskPlan) -> bool {
        Manifest::read(&self.manifest_path(stage, number)).is_some_and(|manifest| {
            manifest.version == env!("CARGO_PKG_VERSION")
                && manifest.of as usize == of
                && manifest.settings == plan.settings
                && manifest.inputs == plan.inputs
                && manifest.outputs.iter().all(|output| {
                    let found = fs::metadata(self.folder.join(&output.path));
                    found.is_ok_and(|found| found.len() == output.len_bytes)
                })
        })
    }

    /// Removes manifests and outputs of tasks that the stage no longer has.
    fn remove_stale(&self, stage: &str, tasks: usize) -> anyhow::Result<()> {
        let folder = self.folder.join("tasks").join(stage);
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries {
            let path = entry.at("list", &folder)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<usize>().ok());
            if number.is_none_or(|number| number < tasks) {
                continue;
            }
            self.remove_task(&path)?;
        }
        Ok(())
    }

    /// Removes the outputs that a manifest names, then the manifest: a kill in between is noticed.
    fn remove_task(&self, manifest: &Path) -> anyhow::Result<()> {
        let Some(Manifest { stage, outputs, .. }) = Manifest::read(manifest) else {
            return remove_if_there(manifest);
        };
        // What was fetched is never fetched again: its task takes the archive back and goes on with it.
        for output in outputs.iter().filter(|_| stage != "pages.fetch") {
            remove_if_there(&self.folder.join(&output.path))?;
        }
        remove_if_there(manifest)
    }

    /// Removes the tasks of stages that the recipe no longer has, so that nothing reads their outputs.
    fn remove_stale_stages(&self) -> anyhow::Result<()> {
        let folder = self.folder.join("tasks");
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries {
            let path = entry.at("list", &folder)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !self.stages.iter().any(|stage| stage.name() == name) {
                self.remove_stale(&name, 0)?;
            }
        }
        Ok(())
    }

    /// The manifests of a stage, in the order of its tasks.
    pub fn manifests(&self, stage: &str) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests: Vec<Manifest> = Vec::new();
        while let Some(manifest) = Manifest::read(&self.manifest_path(stage, manifests.len() as u32)) {
            // Tasks of a longer array that went before are no part of this one.
            if manifests.first().is_some_and(|first| first.of != manifest.of) {
                break;
            }
            manifests.push(manifest);
        }
        Ok(manifests)
    }

    /// The outputs of a stage whose names begin with `prefix`, in the order of its tasks.
    pub fn outputs(&self, stage: &str, prefix: &str) -> anyhow::Result<Vec<FileRecord>> {
        let manifests = self.manifests(stage)?;
        Ok(manifests.into_iter().flat_map(|m| m.outputs).filter(|file| file.path.starts_with(prefix)).collect())
    }

    /// What a stage did, over all its tasks.
    pub fn totals(&self, stage: &str) -> anyhow::Result<Totals> {
        self.totals_of(stage, None)
    }

    fn totals_of(&self, stage: &str, only: Option<u32>) -> anyhow::Result<Totals> {
        let mut totals = Totals { stage: stage.to_owned(), ..Totals::default() };
        let manifests = match only {
            Some(number) => Manifest::read(&self.manifest_path(stage, number)).into_iter().collect(),
            None => self.manifests(stage)?,
        };
        for manifest in manifests {
            totals.tasks += 1;
            totals.counts.add(&manifest.counts);
            for (name, value) in manifest.figures {
                *totals.figures.entry(name).or_default() += value;
            }
            totals.unreadable.extend(manifest.unreadable);
        }
        Ok(totals)
    }

    /// Checks that a stage received every record that the stages before it kept.
    fn reconcile(&self, stage: &str) -> anyhow::Result<()> {
        let mut received: BTreeMap<String, u64> = BTreeMap::new();
        for manifest in self.manifests(stage)? {
            for (from, records) in manifest.received {
                *received.entry(from).or_default() += records;
            }
        }
        for (from, records) in received {
            let kept = self.totals(&from)?.counts.kept;
            ensure!(
                kept == records,
                "stage {stage} received {records} records from {from}, which kept {kept}; please report this"
            );
        }
        Ok(())
    }

    fn tell(&self, stage: &str, tasks_run: usize, started: Instant) -> anyhow::Result<()> {
        let Totals { tasks, counts, unreadable, .. } = self.totals(stage)?;
        let mut line = format!("{stage:17} {tasks:4} tasks");
        if counts.read > 0 {
            line += &format!("  {:>9} read  {:>9} kept", counts.read, counts.kept);
        }
        let dropped: Vec<String> = counts.dropped.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        if !dropped.is_empty() {
            line += &format!("  dropped: {}", dropped.join(", "));
        }
        line += &match tasks_run {
            0 => "  (done before)".to_owned(),
            _ => format!("  {:.1} s", started.elapsed().as_secs_f64()),
        };
        self.progress.line(&line);
        for Unreadable { path, error } in unreadable {
            self.progress.line(&format!("    unreadable: {path}: {error}"));
        }
        Ok(())
    }

    /// The record of a file that the run did not write. It is read whole once; afterwards its length
    /// and time tell whether it must be read again.
    pub(crate) fn external(&self, path: &Path) -> anyhow::Result<FileRecord> {
        let metadata = fs::metadata(path).at("look at", path)?;
        let modified =
            metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |t| t.as_nanos());
        let shown = path.to_string_lossy().into_owned();
        if let Some(record) = self.fingerprints.lock().expect("no thread panics with it").get(path) {
            return Ok(record.clone());
        }
        // The cache is this machine's own and no part of the result: times differ where bytes do not.
        let name = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(shown.as_bytes()));
        let cache = self.folder.join("work/fingerprints").join(name);
        let stamp = format!("{} {modified}", metadata.len());
        let cached = fs::read_to_string(&cache).ok();
        let cached = cached.as_deref().and_then(|text| text.split_once('\n')).filter(|(held, _)| *held == stamp);
        let record = match cached {
            Some((_, checksum)) => FileRecord { path: shown, len_bytes: metadata.len(), checksum: checksum.to_owned() },
            None => {
                let (len_bytes, checksum) = checksum_file(path)?;
                let checksum = checksum_hex(checksum);
                if self.folder.join("recipe.toml").exists() {
                    atomic_file::write(&cache, format!("{stamp}\n{checksum}").as_bytes())?;
                }
                FileRecord { path: shown, len_bytes, checksum }
            }
        };
        self.fingerprints.lock().expect("no thread panics with it").insert(path.to_path_buf(), record.clone());
        Ok(record)
    }
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path).map_err(Into::into),
        _ => Ok(()),
    }
}

fn unknown_stage(name: &str, stages: &[Box<dyn Stage>]) -> String {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name()).collect();
    let nearest = names.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let nearest = nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default();
    format!("there is no stage {name}{nearest}. The stages are: {}", names.join(", "))
}
