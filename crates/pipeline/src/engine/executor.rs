//! The seam between a build and those who do its tasks: other processes, perhaps on other machines.

use std::collections::BTreeMap;

use store::lease::{Lease, Pace};
use store::{Condition, PutOutcome};

use super::changes::changed_keys;
use super::flow::PlannedTask;
use super::report::TaskReport;
use super::run::Run;
use crate::error::{Error, Result, Within as _, bail};

/// Has the missing tasks of a stage done elsewhere.
///
/// It returns when all are done, when one failed for good, or when the build is to stop; whether a task is done is read
/// from its manifest alone.
pub trait Executor: std::fmt::Debug + Send + Sync {
    /// Has the tasks done.
    fn run(&self, job: &StageJob<'_>) -> Result<()>;

    /// What would be handed to a scheduler for these tasks, for people to read.
    fn preview(&self, stage: &str, tasks: u32) -> Option<String>;
}

/// The missing tasks of a planned stage.
pub struct StageJob<'a> {
    pub(super) run: &'a Run,
    pub(super) number: usize,
    pub(super) plan: &'a [PlannedTask],
    pub(super) missing: &'a [u32],
}

impl StageJob<'_> {
    /// The stage's name.
    pub fn stage(&self) -> &str {
        &self.run.flow().stages()[self.number].name
    }

    /// Number of its tasks, done or not.
    pub fn tasks(&self) -> u32 {
        self.plan.len() as u32
    }

    /// The numbers of the tasks that are to be done.
    pub fn missing(&self) -> &[u32] {
        self.missing
    }

    /// Whether a task is done, by its manifest.
    pub fn is_done(&self, task: u32) -> Result<bool> {
        Ok(self.report(task)?.is_ok())
    }

    fn report(&self, task: u32) -> Result<Result<TaskReport, String>> {
        let stage = &self.run.flow().stages()[self.number];
        let planned = &self.plan[task as usize];
        self.run.report_of(stage, planned, &planned.digest(stage.revision))
    }

    /// Whether the user asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.run.is_stopping()
    }

    /// The log that a task has left in the run, if it did: one that warned or failed by itself does.
    pub fn log_of(&self, task: u32) -> Result<Option<String>> {
        let name = self.plan[task as usize].name.replace('/', "-");
        let key = format!("logs/{}/{name}.log", self.stage());
        Ok(self.run.store().get(&key)?.map(|_| self.run.store().shown(&key)))
    }

    /// The names of settings in which the run's recipe now differs from that of this build.
    pub fn changed_keys(&self) -> Result<Vec<String>> {
        let there = self.run.recipe_there()?;
        Ok(there.map(|there| changed_keys(&there, self.run.recipe_text())).unwrap_or_default())
    }

    /// Shows that a task is done.
    pub fn task_ends(&self) {
        self.run.observer().task_ends();
    }

    /// Logs what is under way, as progress.
    pub fn log_progress(&self, what: &str) {
        self.run.observer().task_does(what);
    }

    /// Freezes a list of tasks for an array of jobs, and returns its key.
    pub fn write_list(&self, tasks: &[u32]) -> Result<String> {
        TaskList { stage: self.stage().to_owned(), of: self.tasks(), tasks: tasks.to_vec() }.write(self.run)
    }

    /// The lists that were frozen for a stage of as many tasks, by key, with their tasks.
    pub fn lists(&self) -> Result<BTreeMap<String, Vec<u32>>> {
        let mut lists = BTreeMap::new();
        for listed in self.run.store().list(&format!("{LISTS}/{}", self.stage()))? {
            let list = TaskList::read(self.run, &listed.key)?;
            if list.of == self.tasks() {
                lists.insert(listed.key, list.tasks);
            }
        }
        Ok(lists)
    }
}

/// Stands for the list of all tasks of a stage, done or not: line I is task I.
pub const ALL_TASKS: &str = "all";
/// Folder of the lists of tasks.
const LISTS: &str = "executor";

/// A frozen list of tasks: job I of an array does the task of line I.
pub(super) struct TaskList {
    pub(super) stage: String,
    pub(super) of: u32,
    pub(super) tasks: Vec<u32>,
}

impl TaskList {
    /// Writes the list under the next free number.
    fn write(&self, run: &Run) -> Result<String> {
        let mut text = format!("{} {}\n", self.stage, self.of);
        self.tasks.iter().for_each(|task| text += &format!("{task}\n"));
        let mut number = run.store().list(&format!("{LISTS}/{}", self.stage))?.len();
        loop {
            let key = format!("{LISTS}/{}/{number}.list", self.stage);
            if run.store().put(&key, text.as_bytes(), Condition::IfAbsent)? != PutOutcome::Lost {
                return Ok(key);
            }
            number += 1;
        }
    }

    pub(super) fn read(run: &Run, key: &str) -> Result<TaskList> {
        let Some(text) = run.text(key)? else { bail!(State, "there is no list of tasks {}", run.store().shown(key)) };
        let mut lines = text.lines();
        let parsed = lines.next().and_then(|first| first.rsplit_once(' ')).and_then(|(stage, of)| {
            let tasks = lines.map(|line| line.parse().ok()).collect::<Option<Vec<u32>>>()?;
            Some(TaskList { stage: stage.to_owned(), of: of.parse().ok()?, tasks })
        });
        parsed.ok_or_else(|| Error::State(format!("{} is no list of tasks", run.store().shown(key))))
    }
}

impl Run {
    /// Has an executor do the missing tasks of a stage, and reads their reports.
    pub(super) fn execute(
        &self,
        executor: &dyn Executor,
        number: usize,
        plan: &[PlannedTask],
        missing: &[u32],
    ) -> Result<Vec<TaskReport>> {
        let stage = &self.flow().stages()[number].name;
        self.observer().stage_begins(stage, missing.len() as u64);
        // As in a build of threads, old outputs go before any task runs; those of tasks under way are not old.
        for &task in missing {
            let key = lease_of_task(stage, task);
            if Lease::holder(self.store(), &key, Pace::default(), &|_| false)?.is_none() {
                self.remove_task(stage, &plan[task as usize].name)?;
            }
        }
        let job = StageJob { run: self, number, plan, missing };
        executor.run(&job)?;
        if self.is_stopping() {
            return Err(Error::Interrupted);
        }
        let report = |task: &u32| match job.report(*task)? {
            Ok(report) => Ok(report),
            Err(why) => bail!(State, "task {task}/{} was not done: {why}", plan.len()),
        };
        let reports = missing.iter().map(report).collect::<Result<_>>().within(|| format!("stage {stage}"))?;
        for list in self.store().list(&format!("{LISTS}/{stage}"))? {
            self.store().delete(&list.key)?; // all their tasks are done
        }
        Ok(reports)
    }
}

/// The key of the lease under which a single task runs.
pub(super) fn lease_of_task(stage: &str, number: u32) -> String {
    format!("lease/{stage}.{number}.json")
}
