//! What all schedulers have in common: which tasks are waiting and under way, and which are tried again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::StageJob;
use crate::error::{Error, Result, ensure};
use crate::recipe::ExecutorSettings;

/// A task that is handed to a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) task: u32,
    /// Earlier attempts.
    pub(crate) failed: u32,
    /// Nodes on which it failed, if they are known.
    pub(crate) avoid: BTreeSet<String>,
}

/// What became of a task that a scheduler was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A node has begun it.
    Began { task: u32, node: String },
    /// Nobody does it any more. Whether it is done is not asked here.
    Ended { task: u32, node: Option<String>, fault: String },
}

/// A scheduler that runs tasks of one stage.
pub(crate) trait Scheduler {
    /// Takes over tasks that an earlier build, which was killed, had handed over.
    fn adopt(&mut self, job: &StageJob<'_>) -> Result<Vec<u32>>;

    /// Maximum number of tasks of one call of [`Scheduler::submit`].
    fn max_batch(&self) -> usize;

    /// Hands tasks over; at most `room` of them may run at once.
    fn submit(&mut self, job: &StageJob<'_>, attempts: &[Attempt], room: usize) -> Result<()>;

    /// What has happened since; waits for a while if nothing has.
    fn events(&mut self) -> Result<Vec<Event>>;

    /// Takes back what no node has begun.
    fn cancel_waiting(&mut self) -> Result<()>;

    /// Ends everything.
    fn cancel(&mut self) -> Result<()>;
}

/// The tasks of a job and where they are.
struct Attempts<'j> {
    job: &'j StageJob<'j>,
    max_attempts: u32,
    waiting: VecDeque<Attempt>,
    in_flight: BTreeMap<u32, Attempt>,
    nodes: BTreeMap<u32, String>,
    /// The first task that has failed for good.
    failed: Option<String>,
}

/// Has all tasks done.
///
/// # Errors
/// When a task failed [`ExecutorSettings::max_attempts`] times; what is under way then is waited for, and nothing else
/// begins. Errors of the scheduler.
pub(crate) fn drive(job: &StageJob<'_>, scheduler: &mut dyn Scheduler, settings: &ExecutorSettings) -> Result<()> {
    let adopted: BTreeSet<u32> = scheduler.adopt(job)?.into_iter().collect();
    let attempt = |&task: &u32| Attempt { task, failed: 0, avoid: BTreeSet::new() };
    let mut attempts = Attempts {
        job,
        max_attempts: settings.max_attempts,
        waiting: job.missing().iter().filter(|task| !adopted.contains(task)).map(attempt).collect(),
        in_flight: job
            .missing()
            .iter()
            .filter(|task| adopted.contains(task))
            .map(|task| (*task, attempt(task)))
            .collect(),
        nodes: BTreeMap::new(),
        failed: None,
    };
    let ended = attempts.run(scheduler, settings.max_in_flight as usize);
    if ended.is_err() || job.is_stopping() {
        scheduler.cancel()?;
    }
    ended?;
    attempts.failed.map_or(Ok(()), |failed| Err(Error::State(failed)))
}

impl Attempts<'_> {
    fn run(&mut self, scheduler: &mut dyn Scheduler, max_in_flight: usize) -> Result<()> {
        while !self.job.is_stopping() {
            let room = max_in_flight.saturating_sub(self.in_flight.len());
            if self.failed.is_none() && room > 0 && !self.waiting.is_empty() {
                let count = self.waiting.len().min(scheduler.max_batch());
                let batch: Vec<Attempt> = self.waiting.drain(..count).collect();
                scheduler.submit(self.job, &batch, room)?;
                self.in_flight.extend(batch.into_iter().map(|attempt| (attempt.task, attempt)));
            }
            if self.in_flight.is_empty() {
                return Ok(());
            }
            for event in scheduler.events()? {
                self.note(event, scheduler)?;
            }
            let nodes = self.nodes.values().collect::<BTreeSet<_>>().len() as u64;
            self.job.log_progress(&format!("{} running on {}", self.nodes.len(), user_error::count(nodes, "node")));
        }
        Ok(())
    }

    fn note(&mut self, event: Event, scheduler: &mut dyn Scheduler) -> Result<()> {
        let (task, node, fault) = match event {
            Event::Began { task, node } => {
                self.nodes.insert(task, node);
                return Ok(());
            }
            Event::Ended { task, node, fault } => (task, node, fault),
        };
        let node = node.or(self.nodes.remove(&task));
        self.nodes.remove(&task);
        let Some(mut attempt) = self.in_flight.remove(&task) else { return Ok(()) };
        if self.job.is_done(task)? {
            self.job.task_ends();
            return Ok(());
        }
        if self.failed.is_some() || self.job.is_stopping() {
            return Ok(()); // taken back, or of no use any more
        }
        let keys = self.job.changed_keys()?;
        ensure!(
            keys.is_empty(),
            State,
            "the recipe of this run was changed by another command while it was built ({}); choose another --out for that \
             recipe, and run this command again",
            keys.join(", ")
        );
        attempt.failed += 1;
        let (stage, of) = (self.job.stage(), self.job.tasks());
        let on = node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
        let what = format!(
            "stage {stage}, task {task}/{of} failed{on}, attempt {} of {}: {fault}{}",
            attempt.failed,
            self.max_attempts,
            self.job.log_of(task)?.map(|log| format!("; see {log}")).unwrap_or_default()
        );
        attempt.avoid.extend(node);
        if attempt.failed < self.max_attempts {
            tracing::warn!("{what}; it is tried again");
            self.waiting.push_back(attempt);
        } else {
            self.failed = Some(what);
            scheduler.cancel_waiting()?;
        }
        Ok(())
    }
}
