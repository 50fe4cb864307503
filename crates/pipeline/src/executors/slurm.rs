//! Slurm: arrays of jobs by `sbatch`, watched by `squeue`.
//!
//! Each array does a frozen list of tasks. The name of its jobs is that of the list, so a build that is started again
//! finds the jobs of the one that was killed. Names come again in later builds; numbers of arrays do not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use atomic_file::IoContext;

use super::attempts::{Attempt, Event, Scheduler, drive};
use super::command::{TaskCommand, quoted};
use super::slurm_commands::{max_array, output, sbatch, sbatch_once, usable_nodes};
use super::waiting::Waiting;
use crate::engine::{Executor, StageJob};
use crate::error::Result;
use crate::recipe::{ExecutorSettings, TaskResources};

/// Bytes of a job's log that a message shows.
const SHOWN_LOG_BYTES: usize = 400;
/// Looks at the queue in a row that may fail.
const MAX_FAILED_LOOKS: u32 = 30;
/// States in which a job waits or runs; all others are final.
const LIVE_STATES: [&str; 8] =
    ["PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED", "RESIZING"];

/// Has tasks done by arrays of jobs.
#[derive(Debug)]
pub(super) struct Slurm {
    settings: ExecutorSettings,
    command: TaskCommand,
    logs: String,
}

/// An array to be submitted.
struct Array<'a> {
    name: String,
    stage: &'a str,
    list: &'a str,
    jobs: usize,
    room: usize,
    exclude: &'a BTreeSet<String>,
}

impl Slurm {
    pub(super) fn new(settings: &ExecutorSettings, command: TaskCommand, run: &Path) -> Result<Slurm> {
        let logs = match &settings.slurm.logs {
            Some(logs) => std::path::absolute(logs)?,
            None if store::is_remote(run) => std::path::absolute("webtext-logs")?,
            None => std::path::absolute(run)?.join("logs/slurm"),
        };
        Ok(Slurm { settings: settings.clone(), command, logs: logs.to_string_lossy().into_owned() })
    }

    /// The name of the jobs of a list: no other run's, and no other list's.
    fn job_name(&self, list: &str) -> String {
        let list = list.trim_start_matches("executor/").trim_end_matches(".list").replace('/', ".");
        format!("webtext-{}-{list}", self.command.run_hash())
    }

    /// Whether a node that is not among these takes jobs; true where Slurm does not say.
    fn has_nodes_beside(&self, exclude: &BTreeSet<String>) -> bool {
        let options = self.settings.slurm.options.iter().map(String::as_str);
        usable_nodes(partition_of(options)).map_or(true, |nodes| nodes.iter().any(|node| !exclude.contains(node)))
    }

    /// The log of a job; `index` may be Slurm's sign for the number of a job.
    fn log_of(&self, name: &str, index: &str) -> String {
        format!("{}/{name}-{index}.log", self.logs)
    }

    /// The script of an array, as `sbatch` and people read it.
    fn script(&self, array: &Array<'_>) -> String {
        let resources = self.settings.resources_of(array.stage);
        let mut options = vec![
            format!("--job-name={}", array.name),
            format!("--array=0-{}%{}", array.jobs - 1, array.room.min(array.jobs)),
            format!("--cpus-per-task={}", resources.cpus),
            format!("--mem={}M", resources.memory_mib),
            format!("--time={}", resources.max_minutes),
            // In names of folders, a percent sign is one of Slurm's, and a quote has no spelling.
            format!("--output=\"{}\"", self.log_of(&array.name, "\0").replace('%', "%%").replace('\0', "%a")),
            // A task whose node is lost is submitted again, for another node.
            "--no-requeue".to_owned(),
        ];
        if !array.exclude.is_empty() {
            options.push(format!("--exclude={}", array.exclude.iter().cloned().collect::<Vec<_>>().join(",")));
        }
        options.extend(self.settings.slurm.options.iter().cloned());
        let lines: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();
        let command = quoted(&self.command.of_list(array.stage, array.list, resources.cpus));
        format!("#!/bin/sh\n{lines}exec {command}\n")
    }
}

impl Executor for Slurm {
    fn run(&self, job: &StageJob<'_>) -> Result<()> {
        fs::create_dir_all(&self.logs).at("make the folder", Path::new(&self.logs))?;
        let mut queue = Queue {
            slurm: self,
            arrays: BTreeMap::new(),
            running: BTreeMap::new(),
            max_array: max_array()?,
            failed_looks: 0,
            asked: job.stage().to_owned(),
            waiting: Waiting::default(),
        };
        drive(job, &mut queue, &self.settings)
    }

    fn preview(&self, stage: &str, tasks: u32) -> Option<String> {
        let list = format!("executor/{stage}/0.list");
        let (jobs, room) = (tasks as usize, self.settings.max_in_flight as usize);
        let name = self.job_name(&list);
        Some(self.script(&Array { name, stage, list: &list, jobs, room, exclude: &BTreeSet::new() }))
    }
}

/// The jobs of a stage.
struct Queue<'s> {
    slurm: &'s Slurm,
    /// The arrays of which jobs are not known to have ended, by Slurm's number.
    arrays: BTreeMap<String, Submitted>,
    /// The nodes of the jobs that run.
    running: BTreeMap<u32, String>,
    max_array: usize,
    /// Looks at the queue in a row that failed.
    failed_looks: u32,
    /// The stage whose resources are asked for.
    asked: String,
    waiting: Waiting,
}

/// An array that Slurm has taken.
struct Submitted {
    name: String,
    /// The tasks of its jobs that are not known to have ended, by the number of the job.
    jobs: BTreeMap<u32, u32>,
    /// The nodes that its jobs leave out.
    exclude: BTreeSet<String>,
}

/// A job as `squeue` shows it.
struct Listed {
    array: String,
    name: String,
    index: u32,
    state: String,
    node: String,
    /// Why it waits.
    reason: String,
}

impl Queue<'_> {
    /// The jobs of these arrays; also some that ended a short while ago.
    fn list(&self, names: &[&str]) -> Result<Vec<Listed>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names = format!("--name={}", names.join(","));
        let text = output(Command::new("squeue").args([
            "--noheader",
            "--array",
            "--states=all",
            "--format=%F|%j|%K|%T|%N|%r",
            &names,
        ]))?;
        let parse = |line: &str| {
            let mut fields = line.trim().split('|').map(str::to_owned);
            let (array, name, index) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
            let (state, node, reason) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Listed { array, name, index, state, node, reason })
        };
        Ok(text.lines().filter_map(parse).collect())
    }

    /// The reason of a job that ended, and its log.
    fn fault(&self, array: &str, index: u32, state: Option<&str>) -> String {
        let path = self.slurm.log_of(array, &index.to_string());
        let log = fs::read(&path).unwrap_or_default();
        let end =
            String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_LOG_BYTES)..]).trim().replace('\n', " | ");
        let state = match state {
            Some("COMPLETED") => "it ended without a manifest".to_owned(),
            Some(state) => format!("Slurm says {state}"),
            None => "it is no longer in the queue".to_owned(),
        };
        let said = if end.is_empty() { String::new() } else { format!("; it said: {end}") };
        format!("{state}{said}; see {path}")
    }

    /// If no job runs, says why they wait once the reason stays; nodes that jobs leave out come in again where no other
    /// one takes jobs.
    fn heed_waiting(&mut self, listed: &[Listed]) {
        let is_waiting = !listed.iter().any(|job| job.state == "RUNNING");
        let waiting: Vec<&Listed> = listed.iter().filter(|job| job.state == "PENDING").collect();
        // Slurm changes reasons between looks, and arrays that wait for one thing have several: that none runs counts.
        let reasons: BTreeSet<&str> = waiting.iter().map(|job| job.reason.as_str()).collect();
        let is_idle = is_waiting && !waiting.is_empty();
        if !self.waiting.must_warn(is_idle, Instant::now()) {
            return;
        }
        let TaskResources { cpus, memory_mib, max_minutes } = self.slurm.settings.resources_of(&self.asked);
        tracing::warn!(
            "{}: no job runs and {} wait; Slurm's reason is {}. A job asks for cpus = {cpus}, memory_mib = {memory_mib}, \
             max_minutes = {max_minutes}",
            self.asked,
            waiting.len(),
            reasons.into_iter().collect::<Vec<_>>().join("; ")
        );
        for (number, array) in &mut self.arrays {
            if !array.exclude.is_empty() && !self.slurm.has_nodes_beside(&array.exclude) {
                let update = format!("JobId={number}");
                match output(Command::new("scontrol").args(["update", &update, "ExcNodeList="])) {
                    Ok(_) => array.exclude.clear(),
                    Err(error) => tracing::warn!("{error}; the jobs go on waiting for another node"),
                }
            }
        }
    }

    fn cancel_those(&self, further: &[&str]) -> Result<()> {
        for array in self.arrays.keys() {
            output(Command::new("scancel").args(further).arg(array))?;
        }
        Ok(())
    }
}

impl Scheduler for Queue<'_> {
    fn adopt(&mut self, job: &StageJob<'_>) -> Result<Vec<u32>> {
        let lists = job.lists()?;
        let tasks: BTreeMap<String, Vec<u32>> =
            lists.into_iter().map(|(list, tasks)| (self.slurm.job_name(&list), tasks)).collect();
        let names: Vec<&str> = tasks.keys().map(String::as_str).collect();
        let mut adopted = Vec::new();
        for listed in self.list(&names)? {
            let task = tasks.get(&listed.name).and_then(|tasks| tasks.get(listed.index as usize));
            if let Some(&task) = task.filter(|_| LIVE_STATES.contains(&listed.state.as_str())) {
                let array = self.arrays.entry(listed.array);
                let array = array.or_insert_with(|| Submitted {
                    name: listed.name,
                    jobs: BTreeMap::new(),
                    exclude: BTreeSet::new(),
                });
                array.jobs.insert(listed.index, task);
                adopted.push(task);
            }
        }
        if !adopted.is_empty() {
            let jobs = user_error::count(adopted.len() as u64, "job");
            let go = if adopted.len() == 1 { "goes" } else { "go" };
            tracing::info!("{}: {jobs} of an earlier build {go} on", job.stage());
        }
        Ok(adopted)
    }

    fn max_batch(&self) -> usize {
        self.max_array
    }

    fn submit(&mut self, job: &StageJob<'_>, attempts: &[Attempt], room: usize) -> Result<()> {
        // One array has one list of nodes to leave out.
        let mut by_avoid: BTreeMap<&BTreeSet<String>, Vec<u32>> = BTreeMap::new();
        attempts.iter().for_each(|attempt| by_avoid.entry(&attempt.avoid).or_default().push(attempt.task));
        for (exclude, tasks) in by_avoid {
            let list = job.write_list(&tasks)?;
            let name = self.slurm.job_name(&list);
            let array = Array { name, stage: job.stage(), list: &list, jobs: tasks.len(), room, exclude };
            // There may be no other node: then the same ones have to do.
            let has_others = !exclude.is_empty() && self.slurm.has_nodes_beside(exclude);
            let elsewhere = if has_others { sbatch_once(&self.slurm.script(&array)).ok() } else { None };
            let (anywhere, name) = (&BTreeSet::new(), array.name.clone());
            let (number, exclude) = match elsewhere {
                Some(number) => (number, exclude.clone()),
                None => (sbatch(&self.slurm.script(&Array { exclude: anywhere, ..array }))?, BTreeSet::new()),
            };
            self.arrays.insert(number, Submitted { name, jobs: (0u32..).zip(tasks).collect(), exclude });
        }
        Ok(())
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        thread::sleep(Duration::from_secs(self.slurm.settings.slurm.poll_seconds.into()));
        let names: Vec<&str> = self.arrays.values().map(|array| array.name.as_str()).collect();
        let listed = match self.list(&names) {
            // A controller that starts again, or has too much to do.
            Err(error) if self.failed_looks < MAX_FAILED_LOOKS => {
                tracing::warn!("{error}; the queue is looked at again");
                self.failed_looks += 1;
                return Ok(Vec::new());
            }
            listed => listed?,
        };
        self.failed_looks = 0;
        self.heed_waiting(&listed);
        let listed: BTreeMap<(String, u32), Listed> =
            listed.into_iter().map(|job| ((job.array.clone(), job.index), job)).collect();
        let mut events = Vec::new();
        for (number, Submitted { name, jobs, exclude }) in std::mem::take(&mut self.arrays) {
            let mut live = BTreeMap::new();
            for (index, task) in jobs {
                let job = listed.get(&(number.clone(), index));
                let node = job.map(|job| job.node.clone()).filter(|node| !node.is_empty());
                if job.is_some_and(|job| LIVE_STATES.contains(&job.state.as_str())) {
                    if let Some(node) = node.filter(|_| !self.running.contains_key(&task)) {
                        self.running.insert(task, node.clone());
                        events.push(Event::Began { task, node });
                    }
                    live.insert(index, task);
                } else {
                    let node = node.or(self.running.remove(&task));
                    self.running.remove(&task);
                    events.push(Event::Ended {
                        task,
                        node,
                        fault: self.fault(&name, index, job.map(|job| &*job.state)),
                    });
                }
            }
            if !live.is_empty() {
                self.arrays.insert(number, Submitted { name, jobs: live, exclude });
            }
        }
        Ok(events)
    }

    fn cancel_waiting(&mut self) -> Result<()> {
        self.cancel_those(&["--state=PENDING"])
    }

    fn cancel(&mut self) -> Result<()> {
        self.cancel_those(&[])
    }
}

/// The partition that options of sbatch choose, if they do.
fn partition_of<'o>(options: impl Iterator<Item = &'o str>) -> Option<&'o str> {
    let mut words = options.flat_map(str::split_whitespace);
    let mut chosen = None;
    while let Some(word) = words.next() {
        if word == "-p" || word == "--partition" {
            chosen = words.next().or(chosen);
        } else {
            chosen = word.strip_prefix("--partition=").or_else(|| word.strip_prefix("-p")).or(chosen);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_options() {
        let of = |options: &[&'static str]| partition_of(options.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["--account=x", "--partition=long"]), Some("long"));
        assert_eq!(
            (of(&["-p long"]), of(&["-plong"]), of(&["--partition long"])),
            (Some("long"), Some("long"), Some("long"))
        );
    }
}
