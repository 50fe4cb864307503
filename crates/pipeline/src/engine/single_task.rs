//! Runs one task in a process of its own.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use store::lease::{Lease, Pace};

use super::build::{BUILD_LEASE, TaskChoice, at_work};
use super::executor::{ALL_TASKS, TaskList, lease_of_task};
use super::flow::{PlannedTask, Stage};
use super::plan::Plan;
use super::report::TaskReport;
use super::run::{Run, lost};
use super::status::{Summary, Totals};
use crate::error::{Error, OrBug as _, Result, bail, ensure};

/// Time between two looks at a task that another process does.
const TRY_LEASE_EVERY: Duration = Duration::from_secs(1);

impl Run {
    /// Runs one task of a stage, in parallel with other processes.
    pub(super) fn build_task(&self, stage_number: usize, choice: &TaskChoice) -> Result<Summary> {
        let stage = &self.flow().stages()[stage_number];
        let (number, of) = self.number_of(stage, choice)?;
        let lease = self.lease_of_task(stage, number, matches!(choice, TaskChoice::Listed { .. }))?;
        self.refuse_beside_build()?; // one that begins now sees this task's lease
        self.ensure_sealed_before(stage_number)?;
        let plan = match self.plan_there(stage_number)? {
            Some(plan) if self.is_plan_current(plan.header())? => plan,
            _ => {
                let comparison = self.compare_with_plan(stage_number)?;
                self.write_plan(stage_number, &comparison)?;
                self.plan_there(stage_number)?.or_bug(|| "a plan that was just written is not there".to_owned())?
            }
        };
        let tasks = plan.len() as u32;
        if let Some(of) = of.filter(|&of| of != tasks) {
            let tasks = user_error::count(u64::from(tasks), "task");
            return Err(Error::UnknownStage(format!("stage {} has {tasks}, not {of}", stage.name)));
        }
        if number >= tasks {
            let last = tasks.saturating_sub(1);
            return Err(Error::UnknownStage(format!(
                "the tasks of stage {} are numbered from 0 to {last}",
                stage.name
            )));
        }
        let planned = plan.entry(number.into())?;
        let (report, tasks_run) = match self.done_task(stage, &planned)? {
            Some(report) => (report, 0),
            None => {
                self.refuse_pruned(stage, plan.header())?;
                self.keep_recipe()?;
                self.remove_seal(stage)?;
                self.remove_task(&stage.name, &planned.name)?;
                self.observer().stage_begins(&stage.name, 1);
                (self.run_task(stage_number, &planned)?, 1)
            }
        };
        drop(lease);
        self.observer().build_ends();
        // The exit code is about this task alone, not about earlier stages.
        let totals = Totals { stage: stage.name.clone(), tasks: 1, tally: report.tally };
        Ok(Summary { stages: vec![totals], tasks_run })
    }

    /// The number of a task, and the number of tasks that the caller expects.
    fn number_of(&self, stage: &Stage, choice: &TaskChoice) -> Result<(u32, Option<u32>)> {
        match choice {
            TaskChoice::Numbered { number, of } => Ok((*number, Some(*of))),
            TaskChoice::Listed { list, line } if list == ALL_TASKS => Ok((*line, None)),
            TaskChoice::Listed { list, line } => {
                let tasks = TaskList::read(self, list)?;
                ensure!(
                    tasks.stage == stage.name,
                    State,
                    "{list} lists tasks of {}, not of {}",
                    tasks.stage,
                    stage.name
                );
                match tasks.tasks.get(*line as usize) {
                    Some(number) => Ok((*number, Some(tasks.of))),
                    None => {
                        let lines = user_error::count(tasks.tasks.len() as u64, "line");
                        bail!(State, "{list} has {lines}, and no line {line}")
                    }
                }
            }
        }
    }

    fn lease_of_task(&self, stage: &Stage, number: u32, waits: bool) -> Result<Lease> {
        let key = lease_of_task(&stage.name, number);
        loop {
            let taken = Lease::take(self.shared_store(), &key, Pace::default(), &|holder| self.waits_for(holder));
            match taken {
                Err(store::Error::Held { .. }) if waits && !self.is_stopping() => thread::sleep(TRY_LEASE_EVERY),
                Err(_) if self.is_stopping() => return Err(Error::Interrupted),
                other => return other.map_err(at_work),
            }
        }
    }

    fn refuse_beside_build(&self) -> Result<()> {
        match Lease::holder(self.store(), BUILD_LEASE, Pace::default(), &|holder| self.waits_for(holder))? {
            Some(holder) => bail!(State, "{holder} is building this run; wait for it or choose another --out"),
            None => Ok(()),
        }
    }

    /// A single task does not make pruned work files of other stages again.
    fn refuse_pruned(&self, stage: &Stage, plan: &Plan) -> Result<()> {
        for before in plan.upstream.keys() {
            ensure!(
                !self.seal_of(self.stage_named(before)?)?.header().is_pruned,
                State,
                "the work files of stage {before} were removed; build the stage {} as a whole to make them again",
                stage.name
            );
        }
        Ok(())
    }

    fn done_task(&self, stage: &Stage, planned: &PlannedTask) -> Result<Option<TaskReport>> {
        let Ok(report) = self.report_of(stage, planned, &planned.digest(stage.revision))? else { return Ok(None) };
        let mut listed = BTreeMap::new();
        self.listing(report.outputs.iter(), &mut listed)?;
        Ok(lost(&report.outputs, &listed, false).is_none().then_some(report))
    }
}
