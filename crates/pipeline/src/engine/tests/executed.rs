//! Builds whose tasks others do: which are tried again, what is given up, and that the bytes are those of a local build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use store::Condition;

use super::toy::Lab;
use crate::Result;
use crate::engine::{Executor, Options, RECIPE, Run, Selection, StageJob, TaskChoice};
use crate::executors::attempts::{Attempt, Event, Scheduler, drive};
use crate::recipe::ExecutorSettings;

/// A cluster of two nodes that does tasks at once, in this process.
struct Cluster {
    /// Does the tasks: the same run, without an executor.
    worker: Arc<Run>,
    /// How often each task, as `stage.number`, fails before it is done.
    failures: Mutex<BTreeMap<String, u32>>,
    /// All submissions, in order.
    submitted: Mutex<Vec<(String, Attempt)>>,
    settings: ExecutorSettings,
    /// The recipe that another command writes into the run when a task fails.
    other_recipe: Mutex<Option<String>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl Executor for Cluster {
    fn run(&self, job: &StageJob<'_>) -> Result<()> {
        drive(job, &mut Jobs { cluster: self, ended: Vec::new() }, &self.settings)
    }

    fn preview(&self, _: &str, _: u32) -> Option<String> {
        None
    }
}

struct Jobs<'c> {
    cluster: &'c Cluster,
    ended: Vec<Event>,
}

impl Scheduler for Jobs<'_> {
    fn adopt(&mut self, _: &StageJob<'_>) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn max_batch(&self) -> usize {
        2
    }

    fn submit(&mut self, job: &StageJob<'_>, attempts: &[Attempt], _: usize) -> Result<()> {
        let list = job.write_list(&attempts.iter().map(|attempt| attempt.task).collect::<Vec<_>>())?;
        for (line, attempt) in (0..).zip(attempts) {
            let name = format!("{}.{}", job.stage(), attempt.task);
            let node = if attempt.avoid.contains("n1") { "n2" } else { "n1" };
            self.cluster.submitted.lock().unwrap().push((name.clone(), attempt.clone()));
            let mut failures = self.cluster.failures.lock().unwrap();
            let left = failures.entry(name).or_default();
            if *left == 0 {
                let task = Some(TaskChoice::Listed { list: list.clone(), line });
                self.cluster.worker.build(&Selection { stage: Some(job.stage().to_owned()), task })?;
            }
            if let (1.., Some(recipe)) = (*left, &*self.cluster.other_recipe.lock().unwrap()) {
                self.cluster.worker.store().put(RECIPE, recipe.as_bytes(), Condition::Always)?;
            }
            *left = left.saturating_sub(1);
            let (task, node) = (attempt.task, Some(node.to_owned()));
            self.ended.push(Event::Ended { task, node, fault: "killed".to_owned() });
        }
        Ok(())
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        Ok(std::mem::take(&mut self.ended))
    }

    fn cancel_waiting(&mut self) -> Result<()> {
        Ok(())
    }

    fn cancel(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A run whose tasks a cluster does, of which some fail so many times.
fn cluster(lab: &Lab, failures: &[(&str, u32)]) -> (Run, Arc<Cluster>) {
    let failures = failures.iter().map(|(task, times)| ((*task).to_owned(), *times)).collect();
    let cluster = Arc::new(Cluster {
        worker: Arc::new(lab.run()),
        failures: Mutex::new(failures),
        submitted: Mutex::default(),
        settings: ExecutorSettings { max_in_flight: 3, ..ExecutorSettings::default() },
        other_recipe: Mutex::default(),
    });
    let options = Options::quiet().with_executor(cluster.clone());
    (lab.run_with(lab.store(), options), cluster)
}

#[test]
fn the_bytes_are_those_of_a_local_build() {
    let lab = Lab::new();
    let (run, cluster) = cluster(&lab, &[]);
    assert_eq!(run.build(&Selection::default()).unwrap().tasks_run, 12);
    lab.check_undisturbed();
    assert_eq!(cluster.submitted.lock().unwrap().len(), 12);
    // A second build has nothing to hand over.
    assert_eq!(run.build(&Selection::default()).unwrap().tasks_run, 0);
    assert_eq!(cluster.submitted.lock().unwrap().len(), 12);
}

#[test]
fn a_task_is_tried_again_elsewhere() {
    let lab = Lab::new();
    let (run, cluster) = cluster(&lab, &[("count.1", 2), ("label.0", 1)]);
    run.build(&Selection::default()).unwrap();
    lab.check_undisturbed();
    let submitted = cluster.submitted.lock().unwrap();
    let avoided: Vec<&BTreeSet<String>> =
        submitted.iter().filter(|(name, _)| name == "count.1").map(|(_, attempt)| &attempt.avoid).collect();
    let set = |nodes: &[&str]| nodes.iter().map(|node| (*node).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(avoided, [&set(&[]), &set(&["n1"]), &set(&["n1", "n2"])]);
}

#[test]
fn a_task_that_fails_for_good_is_named_and_the_rest_goes_on_later() {
    let lab = Lab::new();
    let (run, _) = cluster(&lab, &[("count.1", 3)]);
    let error = crate::error::chain(&run.build(&Selection::default()).unwrap_err());
    assert!(error.contains("stage count, task 1/4 failed on n2, attempt 3 of 3: killed"), "{error}");
    // It has failed three times, and the fourth attempt is that of a new build.
    run.build(&Selection::default()).unwrap();
    lab.check_undisturbed();
}

#[test]
fn a_recipe_that_another_command_has_replaced_is_told() {
    let mut lab = Lab::new();
    let (run, cluster) = cluster(&lab, &[("count.1", 1)]);
    lab.settings.prefix = "n".into();
    *cluster.other_recipe.lock().unwrap() = Some(lab.run().recipe_text().to_owned());
    let error = crate::error::chain(&run.build(&Selection::default()).unwrap_err());
    assert!(
        error.contains("the recipe of this run was changed by another command") && error.contains("prefix"),
        "{error}"
    );
}
