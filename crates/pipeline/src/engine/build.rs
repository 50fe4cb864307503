//! Doing what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::Value;
use store::lease::{Lease, Pace};
use store::{Condition, catalogue};

use super::flow::{PlannedTask, Stage};
use super::plan::{Plan, Planner, digest_of};
use super::report::{Manifest, Seal, TaskReport};
use super::run::{Run, is_work, lost};
use super::status::{Summary, Totals};
use super::work::Work;

/// The lease of a build over all tasks.
const BUILD_LEASE: &str = "lease/build.json";
/// Changed settings that a message names.
const MAX_CHANGES_SHOWN: usize = 3;

/// Ctrl-C was pressed; what was finished is kept.
#[derive(Debug, thiserror::Error)]
#[error("stopped; run the same command again to go on")]
pub struct Interrupted;

/// The recipe has no such stage, or the stage no such task.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownStage(String);

/// A stage was asked for whose predecessors are there, but made under another recipe.
#[derive(Debug, thiserror::Error)]
#[error("stage {stage} was made with other settings: {}; nothing was changed", keys.join(", "))]
pub struct OtherSettings {
    /// The stage that would be another.
    pub stage: String,
    /// The recipe keys that differ.
    pub keys: Vec<String>,
}

/// Which tasks to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only this stage; its predecessors must be done.
    pub stage: Option<String>,
    /// Only this task of it, and the number of tasks that the caller takes the stage to have.
    pub task: Option<(u32, u32)>,
}

/// A task that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Why it is to be done: what differs from the last time, or `new`.
    pub why: String,
}

/// What a build would do with a stage.
#[derive(Debug, Clone, Serialize)]
pub struct StagePreview {
    /// The stage.
    pub stage: String,
    /// Its tasks, where they are known before it.
    pub tasks: Option<u32>,
    /// The tasks that would be done.
    pub missing: Vec<Missing>,
    /// Stages before it that will change: what they come to decides what is done here.
    pub follows: Vec<String>,
    /// Bytes that the outputs take at least.
    pub min_output_bytes: u64,
}

/// Where a stage stands against its plan.
pub(super) struct Standing {
    pub(super) plan: Vec<PlannedTask>,
    pub(super) digest: String,
    pub(super) upstream: BTreeSet<usize>,
    /// The reports of the tasks that are done, by number.
    pub(super) done: Vec<Option<TaskReport>>,
    pub(super) missing: Vec<Missing>,
    /// The tasks that are done and whose work files were pruned since, by number.
    pruned: Vec<u32>,
    /// Whether there is a seal over just these tasks.
    pub(super) is_sealed: bool,
}

impl Run {
    /// Does what is missing of the selected stages.
    ///
    /// # Errors
    /// [`UnknownStage`], [`OtherSettings`], [`Interrupted`], or what a stage, a task or the store says.
    pub fn build(&self, selection: &Selection) -> anyhow::Result<Summary> {
        let selected = selection.stage.as_deref().map(|name| self.stage_named(name)).transpose()?;
        if let (Some(stage), Some((number, of))) = (selected, selection.task) {
            return self.build_task(stage, number, of);
        }
        let lease = self.lease_of_build()?;
        self.store().sweep()?;
        if selected.is_none() {
            self.stand(0)?; // a build whose inputs are not there removes nothing
            self.remove_stages_that_are_gone()?;
        }
        self.ensure_sealed_before(selected.unwrap_or(0))?;
        let mut summary = Summary::default();
        for number in 0..selected.map_or(self.flow().stages().len(), |stage| stage + 1) {
            ensure!(!lease.is_lost(), "another webtext has taken over this run; it goes on with it");
            if selected.is_none_or(|stage| stage == number) {
                summary.tasks_run += self.build_stage(number)?;
            }
            summary.stages.push(self.totals(number)?);
        }
        self.keep_recipe()?;
        if selected.is_none() {
            self.write_summary(&summary)?;
        }
        self.progress().end();
        Ok(summary)
    }

    fn stage_named(&self, name: &str) -> anyhow::Result<usize> {
        let names = self.flow().names();
        if let Some(number) = names.iter().position(|known| *known == name) {
            return Ok(number);
        }
        let nearest =
            names.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        let nearest = nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default();
        Err(UnknownStage(format!("there is no stage {name}{nearest}. The stages are: {}", names.join(", "))).into())
    }

    /// One build at a time, and no single task beside it.
    fn lease_of_build(&self) -> anyhow::Result<Lease> {
        let lease = Lease::take(self.shared_store(), BUILD_LEASE, Pace::default()).map_err(at_work)?;
        for listed in self.store().list("lease")? {
            if listed.key == BUILD_LEASE {
                continue;
            }
            if let Some(holder) = Lease::holder(self.store(), &listed.key, Pace::default())? {
                bail!("{holder} is doing the task {} of this run; wait for it", listed.key);
            }
            self.store().delete(&listed.key)?;
        }
        Ok(lease)
    }

    fn write_summary(&self, summary: &Summary) -> anyhow::Result<()> {
        let json = serde_json::json!({"recipe": self.recipe_text(), "stages": summary.stages});
        self.store().put("manifest.json", format!("{json:#}\n").as_bytes(), Condition::Always)?;
        Ok(())
    }

    // -- one stage

    /// Plans a stage and compares the plan with what is there.
    pub(super) fn stand(&self, number: usize) -> anyhow::Result<Standing> {
        let stage = &self.flow().stages()[number];
        let planner = Planner::new(self);
        let plan = (stage.plan)(&planner).with_context(|| format!("cannot plan the stage {}", stage.name))?;
        let upstream = planner.upstream();
        let mut names = BTreeSet::new();
        for task in &plan {
            ensure!(names.insert(&task.name), "stage {} has two tasks {}; please report this", stage.name, task.name);
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
        let mut standing = Standing {
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
                            standing.pruned.extend(lost(&report.outputs, &listed, false).map(|_| at as u32));
                            (Some(report), None)
                        }
                    }
                }
            };
            standing.missing.extend(why.map(|why| Missing { number: at as u32, name: task.name.clone(), why }));
            standing.done.push(done);
        }
        standing.is_sealed &= standing.missing.is_empty();
        standing.plan = plan;
        Ok(standing)
    }

    /// What a task's manifest says that it did; or why it must be done.
    fn report_of(&self, stage: &Stage, task: &PlannedTask, wanted: &str) -> anyhow::Result<Result<TaskReport, String>> {
        let Some(manifest) = self.manifest(&stage.name, &task.name)? else { return Ok(Err("new".into())) };
        if manifest.revision != stage.revision {
            return Ok(Err(format!("the stage was revised ({} → {})", manifest.revision, stage.revision)));
        }
        if manifest.report.digest != wanted {
            return Ok(Err(changes(&manifest.task, &task.task)));
        }
        Ok(Ok(manifest.report))
    }

    /// Does the missing tasks of a stage and seals it; returns how many those were.
    fn build_stage(&self, number: usize) -> anyhow::Result<usize> {
        let started = Instant::now();
        let stage = &self.flow().stages()[number];
        let mut standing = self.stand(number)?;
        if !standing.missing.is_empty() {
            self.foresee(stage, &standing)?;
            self.keep_recipe()?;
            self.tell_what_is_replaced(stage, &standing);
            self.restore_pruned(&standing.upstream)?;
        }
        if !standing.is_sealed {
            self.remove_seal(stage)?;
        }
        self.remove_tasks_that_are_gone(stage, &standing.plan)?;
        self.write_plan(number, &standing)?;
        let missing: Vec<u32> = standing.missing.iter().map(|missing| missing.number).collect();
        if !standing.is_sealed {
            self.run_and_seal(number, &mut standing, &missing)?;
        }
        self.tell(number, missing.len(), started)?;
        Ok(missing.len())
    }

    /// Runs these tasks of a stage and seals it; its former seal is gone by now.
    fn run_and_seal(&self, number: usize, standing: &mut Standing, tasks: &[u32]) -> anyhow::Result<()> {
        let mut done = std::mem::take(&mut standing.done);
        let reports = self.run_tasks(number, &standing.plan, tasks)?;
        tasks.iter().zip(reports).for_each(|(&task, report)| done[task as usize] = Some(report));
        let reports: Vec<TaskReport> = done.into_iter().flatten().collect();
        self.seal(number, standing, &reports)
    }

    /// A full disk is told before work begins, where it can be foreseen.
    fn foresee(&self, stage: &Stage, standing: &Standing) -> anyhow::Result<()> {
        let tasks = standing.missing.iter().map(|missing| &standing.plan[missing.number as usize].task);
        let needed: u64 = tasks.map(stage.min_output_bytes).fold(0, u64::saturating_add);
        if let Some(free) = self.store().free_bytes().filter(|&free| free < needed) {
            let error = std::io::Error::new(
                std::io::ErrorKind::StorageFull,
                format!("No space left on device: {needed} bytes are needed at least, {free} are free"),
            );
            let path = self.store().shown("").into();
            return Err(atomic_file::Error { action: "begin the stage in", path, source: error })
                .with_context(|| format!("stage {}", stage.name));
        }
        Ok(())
    }

    /// Names what was finished before and is to be done again.
    fn tell_what_is_replaced(&self, stage: &Stage, standing: &Standing) {
        let replaced = standing.missing.iter().filter(|missing| missing.why != "new");
        let mut whys: BTreeMap<&str, usize> = BTreeMap::new();
        replaced.for_each(|missing| *whys.entry(&missing.why).or_default() += 1);
        for (why, tasks) in whys.iter().take(MAX_CHANGES_SHOWN) {
            let of = standing.plan.len();
            self.progress().line(&format!("{}: {tasks} of {of} tasks are done again: {why}", stage.name));
        }
    }

    fn write_plan(&self, number: usize, standing: &Standing) -> anyhow::Result<()> {
        let stage = &self.flow().stages()[number];
        let plan = Plan {
            stage: stage.name.clone(),
            digest: standing.digest.clone(),
            recipe: self.recipe_digest(),
            upstream: self.upstream_checksums(standing.upstream.iter().copied())?,
        };
        if let Some(there) = self.plan_there(number)?
            && *there.header() == plan
            && there.entries()?.all(|task| task.is_ok())
        {
            return Ok(());
        }
        catalogue::write(self.store(), &Run::key(&stage.name, "plan"), &plan, &standing.plan)?;
        Ok(())
    }

    fn upstream_checksums(&self, upstream: impl Iterator<Item = usize>) -> anyhow::Result<BTreeMap<String, String>> {
        let checksum = |number: usize| {
            let seal = self.seal_of(number)?;
            Ok((self.flow().stages()[number].name.clone(), format!("{:016x}", seal.checksum())))
        };
        upstream.map(checksum).collect()
    }

    /// Runs tasks on a pool of threads; the first fault ends the stage after the tasks under way.
    fn run_tasks(&self, number: usize, plan: &[PlannedTask], missing: &[u32]) -> anyhow::Result<Vec<TaskReport>> {
        let stage = &self.flow().stages()[number];
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        self.progress().stage(&stage.name, missing.len());
        // All before any task runs: another may be about to write the same.
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
                    Err(error) if error.is::<Interrupted>() => return was_skipped.store(true, Ordering::Relaxed),
                    Err(error) => {
                        let place = format!("stage {}, task {task}/{}", stage.name, plan.len());
                        fault.lock().expect("no thread panics with it").get_or_insert(error.context(place));
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.options().threads.max(1).min(missing.len()) {
                scope.spawn(work);
            }
        });
        match fault.into_inner().expect("no thread panics with it") {
            Some(error) => Err(error),
            None if was_skipped.into_inner() => Err(Interrupted.into()),
            None => Ok(reports.into_inner().expect("no thread panics with it").into_iter().flatten().collect()),
        }
    }

    fn run_task(&self, number: usize, planned: &PlannedTask) -> anyhow::Result<TaskReport> {
        let stage = &self.flow().stages()[number];
        let mut work = Work::new(self, number, &planned.name);
        (stage.run)(&planned.task, &mut work)?;
        let report = work.into_report(planned.digest(stage.revision))?;
        let manifest = Manifest {
            stage: stage.name.clone(),
            revision: stage.revision,
            task: planned.task.clone(),
            report: report.clone(),
        };
        let json = format!("{}\n", serde_json::to_string(&manifest)?);
        self.store().put(&Run::manifest_key(&stage.name, &planned.name), json.as_bytes(), Condition::Always)?;
        self.progress().advance(1);
        Ok(report)
    }

    /// Checks that nothing was lost, and ends the stage.
    fn seal(&self, number: usize, standing: &Standing, reports: &[TaskReport]) -> anyhow::Result<()> {
        let stage = &self.flow().stages()[number];
        let seal = Seal::over(&stage.name, stage.revision, &standing.digest, reports);
        let seal = Seal { is_pruned: !standing.pruned.is_empty(), ..seal };
        for (from, &received) in &seal.tally.received {
            let (before, product) = from.rsplit_once('/').context("received rows name a stage and a product")?;
            let before = self.stage_named(before)?;
            let written = self.seal_of(before)?.header().rows.get(product).copied().unwrap_or(0);
            ensure!(
                written == received,
                "stage {} received {received} rows of {from}, which has {written}; please report this",
                stage.name
            );
        }
        catalogue::write(self.store(), &Run::key(&stage.name, "seal"), &seal, reports)?;
        Ok(())
    }

    fn tell(&self, number: usize, tasks_run: usize, started: Instant) -> anyhow::Result<()> {
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
            0 => "  (done before)".to_owned(),
            _ => format!("  {:.1} s", started.elapsed().as_secs_f64()),
        };
        self.progress().line(&line);
        for unreadable in tally.unreadable {
            self.progress().line(&format!("    unreadable: {}: {}", unreadable.path, unreadable.error));
        }
        Ok(())
    }

    // -- stages that must be there

    /// Sees to it that the stages before this one have the seals that this recipe asks for; makes them of manifests
    /// where all are there. Plans are written once all stages are known to be as they should be.
    fn ensure_sealed_before(&self, stage: usize) -> anyhow::Result<()> {
        let mut planned = Vec::new();
        for number in 0..stage {
            if self.is_current(number)? {
                continue;
            }
            let mut standing = self.stand(number)?;
            self.ensure_done(number, &standing)?;
            if !standing.is_sealed {
                // The former seal stays until it is replaced: others that start a task now do the same.
                self.remove_tasks_that_are_gone(&self.flow().stages()[number], &standing.plan)?;
                self.run_and_seal(number, &mut standing, &[])?;
            }
            planned.push((number, standing));
        }
        planned.iter().try_for_each(|(number, standing)| self.write_plan(*number, standing))
    }

    /// Refuses a stage of which a task is missing, or that was made under another recipe.
    fn ensure_done(&self, number: usize, standing: &Standing) -> anyhow::Result<()> {
        let stage = self.flow().stages()[number].name.clone();
        let has_changed = match standing.missing.is_empty() {
            true => {
                !standing.is_sealed && self.plan_there(number)?.is_some_and(|p| p.header().digest != standing.digest)
            }
            false => standing.missing.iter().any(|missing| missing.why != "new"),
        };
        if has_changed && let Some(there) = self.recipe_there()? {
            let keys = changed_keys(&there, self.recipe_text());
            if !keys.is_empty() {
                return Err(OtherSettings { stage, keys }.into());
            }
        }
        let Some(first) = standing.missing.first() else { return Ok(()) };
        bail!(
            "stage {stage} is not done: {} of {} tasks are missing, such as task {} ({})",
            standing.missing.len(),
            standing.plan.len(),
            first.number,
            first.why
        )
    }

    /// Whether a stage is sealed by a plan that was made for this recipe out of the seals that are there. Reads the
    /// heads of a plan and of seals alone.
    fn is_current(&self, number: usize) -> anyhow::Result<bool> {
        let Some(plan) = self.plan_there(number)? else { return Ok(false) };
        let Some(seal) = self.seal_there(number)? else { return Ok(false) };
        Ok(seal.header().plan == plan.header().digest && self.is_plan_current(plan.header())?)
    }

    fn is_plan_current(&self, plan: &Plan) -> anyhow::Result<bool> {
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

    // -- one task

    /// Does one task, as a process of its own among others.
    fn build_task(&self, stage_number: usize, number: u32, of: u32) -> anyhow::Result<Summary> {
        let stage = &self.flow().stages()[stage_number];
        self.refuse_beside_build()?;
        self.ensure_sealed_before(stage_number)?;
        let plan = match self.plan_there(stage_number)? {
            Some(plan) if self.is_plan_current(plan.header())? => plan,
            _ => {
                let standing = self.stand(stage_number)?;
                self.write_plan(stage_number, &standing)?;
                self.plan_there(stage_number)?.context("the plan was just written")?
            }
        };
        let tasks = plan.len() as u32;
        if of != tasks {
            let noun = if tasks == 1 { "task" } else { "tasks" };
            return Err(UnknownStage(format!("stage {} has {tasks} {noun}, not {of}", stage.name)).into());
        }
        if number >= of {
            let last = of.saturating_sub(1);
            return Err(UnknownStage(format!("the tasks of stage {} are numbered from 0 to {last}", stage.name)).into());
        }
        let planned = plan.entry(number.into())?;
        self.keep_recipe()?;
        let key = format!("lease/{}.{}.json", stage.name, planned.name);
        let lease = Lease::take(self.shared_store(), &key, Pace::default()).map_err(at_work)?;
        self.refuse_beside_build()?; // one that began meanwhile has not seen this task's lease
        let (report, tasks_run) = match self.done_task(stage, &planned)? {
            Some(report) => (report, 0),
            None => {
                self.refuse_pruned(stage, plan.header())?;
                self.remove_seal(stage)?;
                self.remove_task(&stage.name, &planned.name)?;
                self.progress().stage(&stage.name, 1);
                (self.run_task(stage_number, &planned)?, 1)
            }
        };
        drop(lease);
        self.progress().end();
        // A single task answers for itself alone: its exit code is not that of earlier stages.
        let totals = Totals { stage: stage.name.clone(), tasks: 1, tally: report.tally };
        Ok(Summary { stages: vec![totals], tasks_run })
    }

    fn refuse_beside_build(&self) -> anyhow::Result<()> {
        match Lease::holder(self.store(), BUILD_LEASE, Pace::default())? {
            Some(holder) => bail!("{holder} is building this run; wait for it or choose another --out"),
            None => Ok(()),
        }
    }

    /// A single task makes no other stage's work files again.
    fn refuse_pruned(&self, stage: &Stage, plan: &Plan) -> anyhow::Result<()> {
        for before in plan.upstream.keys() {
            ensure!(
                !self.seal_of(self.stage_named(before)?)?.header().is_pruned,
                "the work files of stage {before} were removed; build the stage {} as a whole to make them again",
                stage.name
            );
        }
        Ok(())
    }

    fn done_task(&self, stage: &Stage, planned: &PlannedTask) -> anyhow::Result<Option<TaskReport>> {
        let Ok(report) = self.report_of(stage, planned, &planned.digest(stage.revision))? else { return Ok(None) };
        let mut listed = BTreeMap::new();
        self.listing(report.outputs.iter(), &mut listed)?;
        Ok(lost(&report.outputs, &listed, false).is_none().then_some(report))
    }

    // -- what is gone

    /// Removes a seal, before anything that it speaks of is touched.
    fn remove_seal(&self, stage: &Stage) -> anyhow::Result<()> {
        Ok(self.store().delete(&Run::key(&stage.name, "seal"))?)
    }

    /// Removes the outputs that a manifest names, then the manifest: a kill in between is noticed.
    fn remove_task(&self, stage: &str, task: &str) -> anyhow::Result<()> {
        if let Some(manifest) = self.manifest(stage, task)? {
            for output in manifest.report.outputs.iter().filter(|output| !output.is_state) {
                self.store().delete(&output.key)?;
            }
        }
        Ok(self.store().delete(&Run::manifest_key(stage, task))?)
    }

    /// The tasks of a stage that have a manifest.
    fn tasks_there(&self, stage: &str) -> anyhow::Result<Vec<String>> {
        let folder = Run::key(stage, "");
        let listed = self.store().list(&folder)?.into_iter();
        let name = |key: String| Some(key.strip_prefix(&folder)?.strip_suffix(".json")?.to_owned());
        Ok(listed.filter_map(|object| name(object.key)).collect())
    }

    /// Removes tasks that the plan no longer has.
    fn remove_tasks_that_are_gone(&self, stage: &Stage, plan: &[PlannedTask]) -> anyhow::Result<()> {
        let planned: BTreeSet<&str> = plan.iter().map(|task| task.name.as_str()).collect();
        for task in self.tasks_there(&stage.name)? {
            if !planned.contains(task.as_str()) {
                self.remove_task(&stage.name, &task)?;
            }
        }
        Ok(())
    }

    /// Removes the tasks of stages that the recipe no longer has.
    fn remove_stages_that_are_gone(&self) -> anyhow::Result<()> {
        let names: BTreeSet<&str> = self.flow().names().into_iter().collect();
        let objects = self.store().list("tasks")?;
        let folders = objects.iter().filter_map(|object| object.key.strip_prefix("tasks/")?.split('/').next());
        let there: BTreeSet<&str> = folders.collect();
        for stage in there.difference(&names) {
            self.store().delete(&Run::key(stage, "seal"))?;
            self.store().delete(&Run::key(stage, "plan"))?;
            for task in self.tasks_there(stage)? {
                self.remove_task(stage, &task)?;
            }
        }
        Ok(())
    }

    /// Does the tasks of stages again whose work files were removed and are wanted now.
    fn restore_pruned(&self, upstream: &BTreeSet<usize>) -> anyhow::Result<()> {
        for &number in upstream {
            let seal = self.seal_of(number)?;
            if !seal.header().is_pruned {
                continue;
            }
            let stage = &self.flow().stages()[number];
            self.progress().line(&format!("{}: done again, since its work files were removed", stage.name));
            let mut standing = self.stand(number)?;
            ensure!(standing.is_sealed, "stage {} has changed meanwhile; run the same command again", stage.name);
            self.restore_pruned(&standing.upstream)?;
            self.remove_seal(stage)?;
            let pruned = std::mem::take(&mut standing.pruned);
            self.run_and_seal(number, &mut standing, &pruned)?;
        }
        Ok(())
    }

    /// Removes the work files of stages that no unfinished stage reads; returns their bytes.
    pub fn clean(&self) -> anyhow::Result<u64> {
        let _lease = self.lease_of_build()?;
        let stages = self.flow().stages();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for number in 0..stages.len() {
            if !matches!(self.seal_there(number)?, Some(seal) if !seal.header().plan.is_empty()) {
                match self.plan_there(number)? {
                    Some(plan) => wanted.extend(plan.header().upstream.keys().cloned()),
                    // Nobody knows yet what it reads.
                    None => wanted.extend(stages.iter().map(|stage| stage.name.clone())),
                }
            }
        }
        let (mut bytes, mut marked) = (0, BTreeMap::new());
        for (number, stage) in stages.iter().enumerate().filter(|(_, stage)| !wanted.contains(&stage.name)) {
            let Some(seal) = self.seal_there(number)? else { continue };
            let reports = seal.entries()?.collect::<store::Result<Vec<TaskReport>>>()?;
            let work: Vec<_> = reports.iter().flat_map(|r| &r.outputs).filter(|o| is_work(&o.key)).collect();
            let mut listed = BTreeMap::new();
            self.listing(work.iter().copied(), &mut listed)?;
            let there: BTreeSet<&String> = listed.values().flat_map(BTreeMap::keys).collect();
            let work: Vec<_> = work.into_iter().filter(|output| there.contains(&output.key)).collect();
            if work.is_empty() {
                continue;
            }
            // First the seal, so that nobody takes what is half removed for whole.
            if !seal.header().is_pruned {
                let pruned = Seal { is_pruned: true, ..seal.header().clone() };
                let checksum = catalogue::write(self.store(), &Run::key(&stage.name, "seal"), &pruned, &reports)?;
                marked.insert(stage.name.as_str(), [seal.checksum(), checksum].map(store::checksum_hex));
            }
            for output in work {
                self.store().delete(&output.key)?;
                bytes += output.len_bytes;
            }
        }
        self.refresh_plans(&marked)?;
        Ok(bytes)
    }

    /// A seal that was marked has another checksum; the plans that were made from it name the new one. Plans that were
    /// made from an earlier seal stay out of date.
    fn refresh_plans(&self, marked: &BTreeMap<&str, [String; 2]>) -> anyhow::Result<()> {
        for (number, stage) in self.flow().stages().iter().enumerate() {
            let Some(plan) = self.plan_there(number)? else { continue };
            let mut head = plan.header().clone();
            for (before, checksum) in &mut head.upstream {
                match marked.get(before.as_str()) {
                    Some([former, now]) if former == checksum => checksum.clone_from(now),
                    _ => {}
                }
            }
            if head != *plan.header() {
                let tasks = plan.entries()?.collect::<store::Result<Vec<PlannedTask>>>()?;
                catalogue::write(self.store(), &Run::key(&stage.name, "plan"), &head, &tasks)?;
            }
        }
        Ok(())
    }

    // -- what would be done

    /// What a build would do, without doing it.
    pub fn preview(&self) -> anyhow::Result<Vec<StagePreview>> {
        let mut previews: Vec<StagePreview> = Vec::new();
        let mut changing: BTreeSet<String> = BTreeSet::new();
        for (number, stage) in self.flow().stages().iter().enumerate() {
            let plan_there = self.plan_there(number)?;
            // Until a stage was planned once, nobody knows what it reads: everything before it.
            let follows: Vec<String> = match &plan_there {
                Some(plan) => plan.header().upstream.keys().filter(|name| changing.contains(*name)).cloned().collect(),
                None => changing.iter().cloned().collect(),
            };
            let mut preview = StagePreview {
                stage: stage.name.clone(),
                tasks: plan_there.map(|plan| plan.len() as u32),
                missing: Vec::new(),
                min_output_bytes: 0,
                follows,
            };
            let mut changes = !preview.follows.is_empty();
            if !changes {
                let standing = self.stand(number)?;
                preview.tasks = Some(standing.plan.len() as u32);
                let tasks = standing.missing.iter().map(|missing| &standing.plan[missing.number as usize].task);
                preview.min_output_bytes = tasks.map(stage.min_output_bytes).fold(0, u64::saturating_add);
                preview.missing = standing.missing;
                // Also when a task is gone, or nobody has sealed them.
                changes = !standing.is_sealed;
            }
            if changes {
                changing.insert(stage.name.clone());
            }
            previews.push(preview);
        }
        Ok(previews)
    }
}

fn at_work(error: store::Error) -> anyhow::Error {
    match error {
        store::Error::Held { holder, .. } => {
            anyhow::anyhow!("another webtext works in this run ({holder}); wait for it or choose another --out")
        }
        other => other.into(),
    }
}

/// What differs between two serialised tasks, for people: settings with both values, inputs by name.
fn changes(old: &Value, new: &Value) -> String {
    let mut found = Vec::new();
    let mut inputs = 0;
    compare("", old, new, &mut |path, old, new| {
        let last = path.rsplit('.').next().unwrap_or(path);
        match last {
            "digest" | "checksum" | "version" | "len_bytes" | "key" | "url" => inputs += 1,
            _ => found.push(format!("{} {} → {}", path, short(old), short(new))),
        }
    });
    if found.is_empty() {
        return if inputs > 0 { "what it reads has changed".into() } else { "the task has another form".into() };
    }
    let more = found.len().saturating_sub(MAX_CHANGES_SHOWN);
    found.truncate(MAX_CHANGES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", found.join(", "))
}

fn short(value: &Value) -> String {
    let text = match value.as_f64() {
        // Numbers of 32 bits are shown with the digits that a recipe gives them.
        Some(number) if value.is_f64() && f64::from(number as f32) == number => (number as f32).to_string(),
        _ => value.to_string(),
    };
    if text.chars().count() <= 40 { text } else { format!("{}…", text.chars().take(39).collect::<String>()) }
}

/// Calls `differs` with the path of each leaf that is not equal.
fn compare(path: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, &Value, &Value)) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let side = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or(Value::Null);
                compare(&join(name), &side(old), &side(new), differs);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&join(&at.to_string()), old, new, differs);
            }
        }
        _ => differs(path, old, new),
    }
}

/// The keys of two recipes that differ.
pub(super) fn changed_keys(old: &str, new: &str) -> Vec<String> {
    let read = |text: &str| text.parse::<toml::Table>().ok().and_then(|table| serde_json::to_value(table).ok());
    let (Some(old), Some(new)) = (read(old), read(new)) else { return Vec::new() };
    let mut keys = Vec::new();
    compare("", &old, &new, &mut |path, _, _| keys.push(path.to_owned()));
    keys
}
