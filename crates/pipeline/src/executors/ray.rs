//! Ray: a driver of the Python package, as a child process, starts tasks on the cluster.
//!
//! The driver knows nothing of runs. It reads lines of JSON, each a command to run somewhere, and answers with lines that
//! say what became of them. It ends with its standard input, so a build that is killed takes its tasks with it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempts::{Attempt, Event, Scheduler, drive};
use super::command::{PYTHON, TaskCommand, quoted};
use crate::engine::{Executor, StageJob};
use crate::error::{Result, Within as _, bail};
use crate::recipe::ExecutorSettings;

/// Longest wait for news of the driver.
const WAIT: Duration = Duration::from_millis(500);
/// Time in which the driver ends by itself.
const END_WITHIN: Duration = Duration::from_secs(20);

/// Has tasks done by a Ray cluster.
#[derive(Debug)]
pub(super) struct Ray {
    settings: ExecutorSettings,
    command: TaskCommand,
    /// Between two stages, the driver of both: to connect, and to start workers, takes Ray seconds.
    idle_driver: Mutex<Option<Driver>>,
}

impl Ray {
    pub(super) fn new(settings: &ExecutorSettings, command: TaskCommand) -> Ray {
        Ray { settings: settings.clone(), command, idle_driver: Mutex::new(None) }
    }

    fn driver(&self) -> Result<Driver> {
        let idle = self.idle_driver.lock().expect("nobody panics while it is held").take();
        match idle.and_then(Driver::if_alive) {
            Some(driver) => Ok(driver),
            None => Driver::start(&self.driver_command()),
        }
    }

    fn driver_command(&self) -> Vec<String> {
        let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
        [&*python, "-m", "webtext.ray", "--address", &self.settings.ray.address].map(str::to_owned).to_vec()
    }
}

impl Executor for Ray {
    fn run(&self, job: &StageJob<'_>) -> Result<()> {
        let mut stage = StageOnRay { ray: self, driver: self.driver()? };
        drive(job, &mut stage, &self.settings)?;
        // What a driver still says of this stage would be taken for news of the next one.
        if stage.driver.under_way.is_empty() {
            *self.idle_driver.lock().expect("nobody panics while it is held") = Some(stage.driver);
        }
        Ok(())
    }

    fn preview(&self, stage: &str, tasks: u32) -> Option<String> {
        let list = format!("executor/{stage}/0.list");
        let command = quoted(&self.command.of_list(stage, &list, self.settings.resources_of(stage).cpus));
        let (tasks, driver) = (user_error::count(u64::from(tasks), "task"), quoted(&self.driver_command()));
        Some(format!("# {tasks}, by {driver}:\nJOB_COMPLETION_INDEX=$LINE {command}\n"))
    }
}

/// A command that the driver is asked to run.
#[derive(Serialize)]
struct Request<'a> {
    id: u32,
    command: Vec<String>,
    cpus: f64,
    memory_bytes: u64,
    avoid: &'a BTreeSet<String>,
}

/// What the driver says about a command.
#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Answer {
    Running {
        id: u32,
        node: String,
    },
    Ended {
        id: u32,
        code: Option<i32>,
        #[serde(default)]
        node: Option<String>,
        #[serde(default)]
        output: String,
    },
    /// Nothing begins for a while.
    Waiting {
        reason: String,
    },
    /// No node can ever run it.
    Refused {
        reason: String,
    },
}

/// The running driver, which ends when it is dropped.
#[derive(Debug)]
struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<std::io::Result<String>>,
    under_way: BTreeSet<u32>,
}

impl Driver {
    fn start(words: &[String]) -> Result<Driver> {
        let mut command = Command::new(&words[0]);
        let command = command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().within(|| format!("cannot run {}", quoted(words)))?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (answer, answers) = channel();
        thread::spawn(move || {
            for line in lines {
                if answer.send(line).is_err() {
                    return; // the build has ended
                }
            }
        });
        let input = child.stdin.take();
        Ok(Driver { child, input, answers, under_way: BTreeSet::new() })
    }

    fn if_alive(mut self) -> Option<Driver> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// What a line of the driver says of a task; `None` for what it says of all.
    fn event(&mut self, line: &str) -> Result<Option<Event>> {
        let answer = serde_json::from_str(line).within(|| format!("the Ray driver says {line}"))?;
        Ok(Some(match answer {
            Answer::Waiting { reason } => {
                tracing::warn!("{reason}");
                return Ok(None);
            }
            Answer::Refused { reason } => bail!(State, "{reason}"),
            Answer::Running { id, node } => Event::Began { task: id, node },
            Answer::Ended { id, code, node, output } => {
                self.under_way.remove(&id);
                let nobody_knows = "it has no exit code, as where its node or worker is lost";
                let code = code.map_or(nobody_knows.to_owned(), |code| format!("exit code {code}"));
                let said = output.trim().replace('\n', " | ");
                let said = if said.is_empty() { said } else { format!("; it said: {said}") };
                Event::Ended { task: id, node, fault: format!("{code}{said}") }
            }
        }))
    }

    /// Lets the driver end.
    fn end(&mut self) {
        self.input = None;
        let deadline = std::time::Instant::now() + END_WITHIN;
        while std::time::Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end();
    }
}

/// A stage whose tasks the driver starts.
struct StageOnRay<'r> {
    ray: &'r Ray,
    driver: Driver,
}

impl Scheduler for StageOnRay<'_> {
    /// The driver of an earlier build has ended with it.
    fn adopt(&mut self, _: &StageJob<'_>) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn max_batch(&self) -> usize {
        (self.ray.settings.max_in_flight as usize).saturating_sub(self.driver.under_way.len())
    }

    fn submit(&mut self, job: &StageJob<'_>, attempts: &[Attempt], _: usize) -> Result<()> {
        let resources = self.ray.settings.resources_of(job.stage());
        let tasks: Vec<u32> = attempts.iter().map(|attempt| attempt.task).collect();
        let list = job.write_list(&tasks)?;
        let command = self.ray.command.of_list(job.stage(), &list, resources.cpus);
        for (line, attempt) in attempts.iter().enumerate() {
            // As in an array of jobs, the line comes with the environment.
            let with_line = ["env".to_owned(), format!("JOB_COMPLETION_INDEX={line}")];
            let request = Request {
                id: attempt.task,
                command: with_line.into_iter().chain(command.iter().cloned()).collect(),
                cpus: resources.cpus.into(),
                memory_bytes: u64::from(resources.memory_mib) << 20,
                avoid: &attempt.avoid,
            };
            let input = self.driver.input.as_mut().expect("the driver runs until it is ended");
            writeln!(input, "{}", serde_json::to_string(&request)?).within(|| "the Ray driver has ended".to_owned())?;
            self.driver.under_way.insert(attempt.task);
        }
        Ok(())
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            // Everything that has come already is one batch.
            let wait = if events.is_empty() { WAIT } else { Duration::ZERO };
            match self.driver.answers.recv_timeout(wait) {
                Ok(line) => events.extend(self.driver.event(&line?)?),
                Err(RecvTimeoutError::Timeout) => return Ok(events),
                Err(RecvTimeoutError::Disconnected) if events.is_empty() => {
                    let status = self.driver.child.wait()?;
                    bail!(State, "the Ray driver has ended ({status}); what it wrote stands above");
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(events),
            }
        }
    }

    fn cancel_waiting(&mut self) -> Result<()> {
        Ok(()) // what is under way is bounded, and ends
    }

    fn cancel(&mut self) -> Result<()> {
        self.driver.end();
        Ok(())
    }
}
