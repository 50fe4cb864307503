//! Runs the tasks that are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;
use store::lease::{Holder, Lease, Pace};
use store::{Condition, catalogue};
use user_error::did_you_mean;

use super::changes::{MAX_CHANGES_SHOWN, changed_keys, changes};
use super::flow::{PlannedTask, Stage};
use super::plan::{Plan, Planner, digest_of};
use super::report::{Manifest, Seal, TaskReport};
use super::run::{Run, lost};
use super::status::{Summary, Totals};
use super::work::Work;
use crate::error::{Error, OrBug as _, Result, Within as _, bail, chain, ensure};

/// The lease of a build that does its tasks itself.
pub(super) const BUILD_LEASE: &str = "lease/build.json";
/// The lease of a build that has them done.
const EXECUTOR_LEASE: &str = "lease/executor.json";

/// Which tasks to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only this stage; the earlier ones must be done.
    pub stage: Option<String>,
    /// Only this task of it.
    pub task: Option<TaskChoice>,
}

/// One task of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskChoice {
    /// By its number, and the number of tasks that the caller expects the stage to have. It is refused while another
    /// process does it.
    Numbered {
        /// Its number, counted from 0.
        number: u32,
        /// Number of tasks.
        of: u32,
    },
    /// By its line, counted from 0, in a list that an executor has frozen. If another process does the task, that is
    /// waited for.
    Listed {
        /// Key of the list, or `all`: then the line is the task's number.
        list: String,
        /// The line.
        line: u32,
    },
}

/// A task that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Why it must run: what differs from the last time, or `new`.
    pub why: String,
}

/// A stage compared with its plan.
pub(super) struct StageComparison {
    pub(super) plan: Vec<PlannedTask>,
    pub(super) digest: String,
    pub(super) upstream: BTreeSet<usize>,
    /// The reports of the tasks that are done, by number.
    pub(super) done: Vec<Option<TaskReport>>,
    pub(super) missing: Vec<Missing>,
    /// The numbers of the tasks that are done and whose work files were pruned.
    pub(super) pruned: Vec<u32>,
    /// Whether there is a seal over exactly these tasks.
    pub(super) is_sealed: bool,
}

impl Run {
    /// Runs the missing tasks of the selected stages.
    ///
    /// # Errors
    /// [`Error::UnknownStage`], [`Error::OtherSettings`], [`Error::Interrupted`], or errors of a stage, a task or the
    /// store.
    pub fn build(&self, selection: &Selection) -> Result<Summary> {
        let selected = selection.stage.as_deref().map(|name| self.stage_named(name)).transpose()?;
        if let (Some(stage), Some(choice)) = (selected, &selection.task) {
            return self.build_task(stage, choice);
        }
        let lease = match self.lease_of_build() {
            Err(_) if self.is_stopping() => return Err(Error::Interrupted),
            other => other?,
        };
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
        let built = self.build_stages(selected);
        let is_lost = self.is_lease_lost();
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.observer().build_ends();
        match built {
            Err(error) if is_lost => Err(error.within("another webtext has taken over this run, and goes on with it")),
            other => other,
        }
    }

    fn build_stages(&self, selected: Option<usize>) -> Result<Summary> {
        self.sweep_if_alone()?;
        if selected.is_none() {
            self.compare_with_plan(0)?; // a build whose inputs are not there removes nothing
            self.remove_stages_that_are_gone()?;
        }
        self.ensure_sealed_before(selected.unwrap_or(0))?;
        let mut summary = Summary::default();
        for number in 0..selected.map_or(self.flow().stages().len(), |stage| stage + 1) {
            if selected.is_none_or(|stage| stage == number) {
                summary.tasks_run += self.build_stage(number)?;
            }
            summary.stages.push(self.totals(number)?);
            if selected.is_none() {
                self.keep_data_set(number, &summary)?;
            }
        }
        // A stage that has nothing to do says nothing of the data of later ones, which may be of another recipe.
        if selected.is_none() || self.recipe_there()?.is_none() {
            self.keep_recipe()?;
        }
        if selected.is_none() {
            self.write_summary(&summary)?;
        }
        self.sweep_if_alone()?;
        Ok(summary)
    }

    /// Ends the build behind the stage that decides which documents are in the data set, if it keeps none and later stages
    /// hold those of an earlier build: unless the recipe is another one, the inputs are no longer what they were.
    fn keep_data_set(&self, number: usize, summary: &Summary) -> Result<()> {
        let stage = &summary.stages[number];
        let is_emptied = self.flow().data_set() == Some(number) && stage.tally.counts.kept == 0;
        if !is_emptied || !self.later_stages_keep(number)? {
            return Ok(());
        }
        let unreadable = summary.stages.iter().find_map(|stage| stage.tally.unreadable.first());
        let made_by = self.store().get("manifest.json")?;
        let made_by = made_by.and_then(|(json, _)| serde_json::from_slice::<serde_json::Value>(&json).ok());
        let is_same_recipe = made_by.is_some_and(|manifest| manifest["recipe"] == self.recipe_text());
        if !is_same_recipe {
            return Ok(());
        }
        let stage = summary.emptied_by(&stage.stage).unwrap_or(stage);
        let example = unreadable.map(|unreadable| format!(", such as {}: {}", unreadable.path, unreadable.error));
        bail!(
            State,
            "the data set would be empty: of the inputs as they are now, stage {} keeps nothing{}. The shards of an earlier \
             build stay as they are. Mend the inputs and run the same command again, or choose another --out",
            stage.stage,
            example.unwrap_or_default()
        )
    }

    fn later_stages_keep(&self, number: usize) -> Result<bool> {
        for later in number + 1..self.flow().stages().len() {
            if self.totals(later)?.tally.counts.kept > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what killed writers left. Tasks of an executor may still be at work, also those of an earlier build.
    fn sweep_if_alone(&self) -> Result<()> {
        if self.options().executor.is_none() || self.store().list("lease")?.len() <= 1 {
            self.store().sweep()?;
        }
        Ok(())
    }

    pub(super) fn stage_named(&self, name: &str) -> Result<usize> {
        let names = self.flow().names();
        if let Some(number) = names.iter().position(|known| *known == name) {
            return Ok(number);
        }
        let nearest = did_you_mean(name, names.iter().copied());
        Err(Error::UnknownStage(format!("there is no stage {name}{nearest}. The stages are: {}", names.join(", "))))
    }

    /// Whether to wait until it is known if a process on another machine is still at work; logs the first time that it
    /// waits.
    pub(super) fn waits_for(&self, holder: &Holder) -> bool {
        if !self.has_logged_waiting.swap(true, Ordering::Relaxed) {
            tracing::info!("waiting to see whether {holder} is still at work on this run");
        }
        !self.is_stopping()
    }

    /// Takes the lease of a build: one build at a time, and no single task beside it.
    pub(super) fn lease_of_build(&self) -> Result<Lease> {
        let has_executor = self.options().executor.is_some();
        let key = if has_executor { EXECUTOR_LEASE } else { BUILD_LEASE };
        let waits = |holder: &Holder| self.waits_for(holder);
        let lease = Lease::take(self.shared_store(), key, Pace::default(), &waits).map_err(at_work)?;
        for listed in self.store().list("lease")?.into_iter().filter(|listed| listed.key != key) {
            let is_build = [BUILD_LEASE, EXECUTOR_LEASE].contains(&listed.key.as_str());
            // An executor's tasks are at work beside its build, and outlive it when it is killed.
            if has_executor && !is_build {
                continue;
            }
            if let Some(holder) = Lease::holder(self.store(), &listed.key, Pace::default(), &waits)? {
                match is_build {
                    true => bail!(State, "{holder} is building this run; wait for it or choose another --out"),
                    false => bail!(State, "{holder} is doing the task {} of this run; wait for it", listed.key),
                }
            }
            self.store().delete(&listed.key)?;
        }
        Ok(lease)
    }

    fn write_summary(&self, summary: &Summary) -> Result<()> {
        let json = serde_json::json!({"recipe": self.recipe_text(), "stages": summary.stages});
        self.store().put("manifest.json", format!("{json:#}\n").as_bytes(), Condition::Always)?;
        Ok(())
    }

    // -- one stage

    /// Plans a stage and compares the plan with the manifests and the seal.
    pub(super) fn compare_with_plan(&self, number: usize) -> Result<StageComparison> {
        let stage = &self.flow().stages()[number];
        let planner = Planner::new(self);
        let plan = (stage.plan)(&planner).within(|| format!("cannot plan the stage {}", stage.name))?;
        let upstream = planner.upstream();
        let mut names = BTreeSet::new();
        for task in &plan {
            ensure!(names.insert(&task.name), Bug, "stage {} has two tasks {}", stage.name, task.name);
        }
        let digest = digest_of(&plan, stage.revision);
        let seal = self.seal_there(number)?;
        let mut sealed: BTreeMap<String, TaskReport> = BTreeMap::new();
        let (mut is_sealed, mut is_pruned) = (false, false);
        if let Some(seal) = &seal {
            let reports = seal.entries().and_then(|reports| reports.collect::<store::Result<Vec<TaskReport>>>());
            if let Some(reports) = self.unless_damaged(reports.map(Some))? {
                (is_sealed, is_pruned) = (seal.header().plan == digest, seal.header().is_pruned);
                sealed = reports.into_iter().map(|report| (report.name.clone(), report)).collect();
            }
        }
        let mut comparison = StageComparison {
            digest,
            upstream,
            done: Vec::new(),
            missing: Vec::new(),
            pruned: Vec::new(),
            is_sealed,
            plan: Vec::new(),
        };
        let mut listed = BTreeMap::new();
        for (at, task) in plan.iter().enumerate() {
            let wanted = task.digest(stage.revision);
            let report = match sealed.remove(&task.name).filter(|report| report.digest == wanted) {
                Some(report) => Ok(report),
                None => self.report_of(stage, task, &wanted)?,
            };
            let (done, why) = match report {
                Err(why) => (None, Some(why)),
                Ok(report) => {
                    self.listing(report.outputs.iter(), &mut listed)?;
                    match lost(&report.outputs, &listed, is_pruned) {
                        Some(key) => (None, Some(format!("{key} is not there, or has another length"))),
                        None => {
                            comparison.pruned.extend(lost(&report.outputs, &listed, false).map(|_| at as u32));
                            (Some(report), None)
                        }
                    }
                }
            };
            comparison.missing.extend(why.map(|why| Missing { number: at as u32, name: task.name.clone(), why }));
            comparison.done.push(done);
        }
        comparison.is_sealed &= comparison.missing.is_empty();
        comparison.plan = plan;
        Ok(comparison)
    }

    /// The report in a task's manifest, or why the task must run.
    pub(super) fn report_of(
        &self,
        stage: &Stage,
        task: &PlannedTask,
        wanted: &str,
    ) -> Result<Result<TaskReport, String>> {
        let Some(manifest) = self.manifest(&stage.name, &task.name)? else { return Ok(Err("new".into())) };
        if manifest.revision != stage.revision {
            return Ok(Err(format!("the stage was revised ({} → {})", manifest.revision, stage.revision)));
        }
        if manifest.report.digest != wanted {
            return Ok(Err(changes(&manifest.task, &task.task)));
        }
        Ok(Ok(manifest.report))
    }

    /// Runs the missing tasks of a stage and seals it; returns how many ran.
    fn build_stage(&self, number: usize) -> Result<usize> {
        let started = Instant::now();
        let stage = &self.flow().stages()[number];
        let _in_span = tracing::info_span!("stage", stage = stage.name).entered();
        let mut comparison = self.compare_with_plan(number)?;
        let (tasks, missing) = (comparison.plan.len(), comparison.missing.len());
        tracing::debug!("{}: {missing} of {tasks} tasks are to be done", stage.name);
        if !comparison.missing.is_empty() {
            self.foresee(stage, &comparison)?;
            self.keep_recipe()?;
            self.log_what_is_replaced(stage, &comparison);
            self.restore_pruned(&comparison.upstream)?;
        }
        if !comparison.is_sealed {
            self.remove_seal(stage)?;
        }
        self.remove_tasks_that_are_gone(stage, &comparison.plan)?;
        self.write_plan(number, &comparison)?;
        let missing: Vec<u32> = comparison.missing.iter().map(|missing| missing.number).collect();
        if !comparison.is_sealed {
            self.run_and_seal(number, &mut comparison, &missing)?;
        }
        self.log_stage(number, missing.len(), started)?;
        Ok(missing.len())
    }

    /// Runs these tasks of a stage and seals it; its earlier seal is already removed.
    pub(super) fn run_and_seal(&self, number: usize, comparison: &mut StageComparison, tasks: &[u32]) -> Result<()> {
        let mut done = std::mem::take(&mut comparison.done);
        let reports = self.run_tasks(number, &comparison.plan, tasks)?;
        tasks.iter().zip(reports).for_each(|(&task, report)| done[task as usize] = Some(report));
        let reports: Vec<TaskReport> = done.into_iter().flatten().collect();
        self.seal(number, comparison, &reports)
    }

    /// Fails before any task runs if the disk has less space than the outputs take at least.
    fn foresee(&self, stage: &Stage, comparison: &StageComparison) -> Result<()> {
        let tasks = comparison.missing.iter().map(|missing| &comparison.plan[missing.number as usize].task);
        let needed: u64 = tasks.map(stage.min_output_bytes).fold(0, u64::saturating_add);
        if let Some(free) = self.store().free_bytes().filter(|&free| free < needed) {
            let error = std::io::Error::new(
                std::io::ErrorKind::StorageFull,
                format!("No space left on device: {needed} bytes are needed at least, {free} are free"),
            );
            let path = self.store().shown("").into();
            return Err(atomic_file::Error { action: "begin the stage in", path, source: error })
                .within(|| format!("stage {}", stage.name));
        }
        Ok(())
    }

    /// Logs which finished tasks will run again.
    fn log_what_is_replaced(&self, stage: &Stage, comparison: &StageComparison) {
        let replaced = comparison.missing.iter().filter(|missing| missing.why != "new");
        let mut whys: BTreeMap<&str, usize> = BTreeMap::new();
        replaced.for_each(|missing| *whys.entry(&missing.why).or_default() += 1);
        for (why, tasks) in whys.iter().take(MAX_CHANGES_SHOWN) {
            let of = comparison.plan.len();
            let (noun, verb) = (if of == 1 { "task" } else { "tasks" }, if *tasks == 1 { "is" } else { "are" });
            tracing::info!("{}: {tasks} of {of} {noun} {verb} done again: {why}", stage.name);
        }
    }

    pub(super) fn write_plan(&self, number: usize, comparison: &StageComparison) -> Result<()> {
        let stage = &self.flow().stages()[number];
        let plan = Plan {
            stage: stage.name.clone(),
            digest: comparison.digest.clone(),
            recipe: self.recipe_digest(),
            upstream: self.upstream_checksums(comparison.upstream.iter().copied())?,
        };
        if let Some(there) = self.plan_there(number)?
            && *there.header() == plan
            && there.entries()?.all(|task| task.is_ok())
        {
            return Ok(());
        }
        catalogue::write(self.store(), &Run::key(&stage.name, "plan"), &plan, &comparison.plan)?;
        Ok(())
    }

    fn upstream_checksums(&self, upstream: impl Iterator<Item = usize>) -> Result<BTreeMap<String, String>> {
        let checksum = |number: usize| {
            let seal = self.seal_of(number)?;
            Ok((self.flow().stages()[number].name.clone(), format!("{:016x}", seal.checksum())))
        };
        upstream.map(checksum).collect()
    }

    /// Runs tasks on a pool of threads, or has the executor run them; after the first error no further task starts.
    fn run_tasks(&self, number: usize, plan: &[PlannedTask], missing: &[u32]) -> Result<Vec<TaskReport>> {
        let stage = &self.flow().stages()[number];
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(executor) = &self.options().executor {
            return self.execute(&**executor, number, plan, missing);
        }
        self.observer().stage_begins(&stage.name, missing.len() as u64);
        // Old outputs are removed before any task runs: another task may be about to write an object of the same name.
        for &task in missing {
            self.remove_task(&stage.name, &plan[task as usize].name)?;
        }
        let next = AtomicUsize::new(0);
        let fault = Mutex::new(None);
        let was_skipped = AtomicBool::new(false);
        let reports: Mutex<Vec<Option<TaskReport>>> = Mutex::new(vec![None; missing.len()]);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&task) = missing.get(at) else { return };
                if self.is_stopping() || fault.lock().expect("no thread panics with it").is_some() {
                    return was_skipped.store(true, Ordering::Relaxed);
                }
                match self.run_task(number, &plan[task as usize]) {
                    Ok(report) => reports.lock().expect("no thread panics with it")[at] = Some(report),
                    Err(error) if error.is_interrupted() => return was_skipped.store(true, Ordering::Relaxed),
                    Err(error) => {
                        let place = format!("stage {}, task {task}/{}", stage.name, plan.len());
                        fault.lock().expect("no thread panics with it").get_or_insert(error.within(place));
                        return;
                    }
                }
            }
        };
        let span = tracing::Span::current();
        std::thread::scope(|scope| {
            for _ in 0..self.options().threads.max(1).min(missing.len()) {
                scope.spawn(|| span.in_scope(work));
            }
        });
        match fault.into_inner().expect("no thread panics with it") {
            Some(error) => Err(error),
            None if was_skipped.into_inner() => Err(Error::Interrupted),
            None => Ok(reports.into_inner().expect("no thread panics with it").into_iter().flatten().collect()),
        }
    }

    pub(super) fn run_task(&self, number: usize, planned: &PlannedTask) -> Result<TaskReport> {
        let stage = &self.flow().stages()[number];
        let span = tracing::info_span!("task", stage = stage.name, task = planned.name, error = tracing::field::Empty);
        let report = span.in_scope(|| -> Result<TaskReport> {
            tracing::debug!("begins");
            let mut work = Work::new(self, number, &planned.name);
            (stage.run)(&planned.task, &mut work)?;
            let report = work.into_report(planned.digest(stage.revision))?;
            let (counts, outputs) = (&report.tally.counts, report.outputs.len());
            tracing::debug!("done: {} read, {} kept, outputs: {outputs}", counts.read, counts.kept);
            Ok(report)
        });
        let report = report.inspect_err(|error| {
            if !error.is_interrupted() {
                span.record("error", chain(error));
            }
        })?;
        let manifest = Manifest {
            stage: stage.name.clone(),
            revision: stage.revision,
            task: planned.task.clone(),
            report: report.clone(),
        };
        let json = format!("{}\n", serde_json::to_string(&manifest)?);
        self.store().put(&Run::manifest_key(&stage.name, &planned.name), json.as_bytes(), Condition::Always)?;
        self.observer().task_ends();
        Ok(report)
    }

    /// Checks that no row was lost, and seals the stage.
    fn seal(&self, number: usize, comparison: &StageComparison, reports: &[TaskReport]) -> Result<()> {
        let stage = &self.flow().stages()[number];
        let seal = Seal::over(&stage.name, stage.revision, &comparison.digest, reports);
        let seal = Seal { is_pruned: !comparison.pruned.is_empty(), ..seal };
        for (from, &received) in &seal.tally.received {
            let (before, product) =
                from.rsplit_once('/').or_bug(|| format!("received rows of {from} name no stage and product"))?;
            let before = self.stage_named(before)?;
            let written = self.seal_of(before)?.header().rows.get(product).copied().unwrap_or(0);
            ensure!(
                written == received,
                Bug,
                "stage {} received {received} rows of {from}, which has {written}",
                stage.name
            );
        }
        catalogue::write(self.store(), &Run::key(&stage.name, "seal"), &seal, reports)?;
        tracing::debug!("{}: sealed", stage.name);
        Ok(())
    }

    fn log_stage(&self, number: usize, tasks_run: usize, started: Instant) -> Result<()> {
        let Totals { stage, tasks, tally } = self.totals(number)?;
        let noun = if tasks == 1 { "task " } else { "tasks" };
        let mut line = format!("{stage:17} {tasks:5} {noun}");
        if tally.counts.read > 0 {
            line += &format!("  {:>9} read  {:>9} kept", tally.counts.read, tally.counts.kept);
        }
        let dropped: Vec<String> = tally.counts.dropped.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        if !dropped.is_empty() {
            line += &format!("  dropped: {}", dropped.join(", "));
        }
        line += &match tasks_run {
            0 if tasks == 0 => "  (nothing to do)".to_owned(),
            0 => "  (done before)".to_owned(),
            _ => format!("  {:.1} s", started.elapsed().as_secs_f64()),
        };
        tracing::info!("{line}");
        for unreadable in tally.unreadable {
            tracing::warn!("unreadable: {}: {}", unreadable.path, unreadable.error);
        }
        Ok(())
    }

    // -- stages that must be there

    /// Makes sure that the stages before this one have the seals that this recipe asks for; makes seals from manifests
    /// if all are there. Plans are written once all stages are known to be as they should be.
    pub(super) fn ensure_sealed_before(&self, stage: usize) -> Result<()> {
        let mut planned = Vec::new();
        for number in 0..stage {
            if self.is_current(number)? {
                continue;
            }
            let mut comparison = self.compare_with_plan(number)?;
            self.ensure_done(number, &comparison)?;
            if !comparison.is_sealed {
                // The earlier seal stays until it is replaced: other processes that start a task now do the same.
                self.remove_tasks_that_are_gone(&self.flow().stages()[number], &comparison.plan)?;
                self.run_and_seal(number, &mut comparison, &[])?;
            }
            planned.push((number, comparison));
        }
        planned.iter().try_for_each(|(number, comparison)| self.write_plan(*number, comparison))
    }

    /// Refuses a stage that lacks a task, or that was made under another recipe.
    fn ensure_done(&self, number: usize, comparison: &StageComparison) -> Result<()> {
        let stage = self.flow().stages()[number].name.clone();
        let has_changed = match comparison.missing.is_empty() {
            true => {
                !comparison.is_sealed
                    && self.plan_there(number)?.is_some_and(|p| p.header().digest != comparison.digest)
            }
            false => comparison.missing.iter().any(|missing| missing.why != "new"),
        };
        if has_changed && let Some(there) = self.recipe_there()? {
            let keys = changed_keys(&there, self.recipe_text());
            if !keys.is_empty() {
                return Err(Error::OtherSettings { stage, keys });
            }
        }
        let Some(first) = comparison.missing.first() else { return Ok(()) };
        bail!(
            State,
            "stage {stage} is not done: {} of {} tasks are missing, such as task {} ({})",
            comparison.missing.len(),
            comparison.plan.len(),
            first.number,
            first.why
        )
    }

    /// Whether a stage is sealed under a plan that was made for this recipe from the current seals. Reads only the
    /// headers of one plan and of the seals.
    fn is_current(&self, number: usize) -> Result<bool> {
        let Some(plan) = self.plan_there(number)? else { return Ok(false) };
        let Some(seal) = self.seal_there(number)? else { return Ok(false) };
        Ok(seal.header().plan == plan.header().digest && self.is_plan_current(plan.header())?)
    }

    pub(super) fn is_plan_current(&self, plan: &Plan) -> Result<bool> {
        if plan.recipe != self.recipe_digest() {
            return Ok(false);
        }
        for (stage, checksum) in &plan.upstream {
            let Some(number) = self.flow().stages().iter().position(|known| known.name == *stage) else {
                return Ok(false);
            };
            match self.seal_there(number)? {
                Some(seal) if format!("{:016x}", seal.checksum()) == *checksum => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

pub(super) fn at_work(error: store::Error) -> Error {
    match error {
        store::Error::Held { holder, .. } => {
            Error::State(format!("another webtext works in this run ({holder}); wait for it or choose another --out"))
        }
        other => other.into(),
    }
}
