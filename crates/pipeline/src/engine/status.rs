//! The status of a run, from its own files: inputs from outside are not looked at.

use serde::Serialize;

use super::report::Tally;
use super::run::Run;
use crate::error::Result;

/// The totals of a stage over all its tasks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    /// The stage.
    pub stage: String,
    /// Number of tasks.
    pub tasks: u32,
    /// Counts and metrics.
    #[serde(flatten)]
    pub tally: Tally,
}

/// How much of a stage is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// Every task is done.
    Done,
    /// These tasks have no manifest, by number.
    Missing(Vec<u32>),
    /// There is no plan yet: an earlier stage is not done, or no command has asked for this one.
    Waiting,
}

/// The status of a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageStatus {
    /// The stage.
    pub stage: String,
    /// How much of it is done.
    pub state: StageState,
    /// Number of tasks; `None` as long as it is not known.
    pub tasks: Option<u32>,
    /// Counts and metrics of the tasks that are done.
    pub tally: Tally,
}

/// The outcome of a build.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Each stage's totals, in order.
    pub stages: Vec<Totals>,
    /// Tasks that ran; the others were done before.
    pub tasks_run: usize,
}

impl Summary {
    /// Whether every input could be read to its end.
    pub fn all_readable(&self) -> bool {
        self.stages.iter().all(|stage| stage.tally.unreadable.is_empty())
    }

    /// If the last of these stages kept nothing: the first stage that kept nothing of what it read, or had nothing to
    /// read.
    pub fn emptied_by(&self, last: &str) -> Option<&Totals> {
        let of_last = self.stages.iter().find(|stage| stage.stage == last)?;
        let had_input = |tally: &Tally| tally.counts.read > 0 || !tally.unreadable.is_empty();
        let is_empty = |stage: &&Totals| had_input(&stage.tally) && stage.tally.counts.kept == 0;
        if of_last.tally.counts.kept > 0 {
            return None;
        }
        // Stages that only sort count nothing.
        self.stages.iter().find(is_empty).or_else(|| self.stages.iter().find(|stage| stage.tally.counts.kept == 0))
    }
}

impl Run {
    /// The totals of a sealed stage; zeros if it is not sealed.
    pub(super) fn totals(&self, number: usize) -> Result<Totals> {
        let stage = self.flow().stages()[number].name.clone();
        Ok(match self.seal_there(number)? {
            Some(seal) => Totals { stage, tasks: seal.header().tasks, tally: seal.header().tally.clone() },
            None => Totals { stage, ..Totals::default() },
        })
    }

    /// The totals of every stage.
    pub fn all_totals(&self) -> Result<Vec<Totals>> {
        (0..self.flow().stages().len()).map(|number| self.totals(number)).collect()
    }

    /// The status of each stage by its last plan, in order.
    pub fn status(&self) -> Result<Vec<StageStatus>> {
        let mut status = Vec::new();
        for (number, stage) in self.flow().stages().iter().enumerate() {
            let name = stage.name.clone();
            let plan = self.plan_there(number)?;
            let tasks = plan.as_ref().map(|plan| plan.len() as u32);
            let seal = self.seal_there(number)?;
            let sealed = seal.filter(|seal| plan.as_ref().is_some_and(|p| p.header().digest == seal.header().plan));
            status.push(match (sealed, plan) {
                (Some(seal), _) => {
                    StageStatus { stage: name, state: StageState::Done, tasks, tally: seal.header().tally.clone() }
                }
                (None, None) => StageStatus { stage: name, state: StageState::Waiting, tasks, tally: Tally::default() },
                (None, Some(plan)) => {
                    let (mut missing, mut tally) = (Vec::new(), Tally::default());
                    for (at, task) in plan.entries()?.enumerate() {
                        let task = task?;
                        match self.manifest(&stage.name, &task.name)? {
                            Some(manifest) if manifest.report.digest == task.digest(stage.revision) => {
                                tally.merge(&manifest.report.tally);
                            }
                            _ => missing.push(at as u32),
                        }
                    }
                    let state = if missing.is_empty() { StageState::Done } else { StageState::Missing(missing) };
                    StageStatus { stage: name, state, tasks, tally }
                }
            });
        }
        Ok(status)
    }
}
