//! Slurm's commands, each with a time in which it must end.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result, Within as _, bail, ensure};

/// Jobs of an array, where Slurm does not say: its own default.
const DEFAULT_MAX_ARRAY: usize = 1001;
/// Submissions in a row that may fail, and the time between two.
const MAX_FAILED_SUBMISSIONS: u32 = 3;
const SUBMIT_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Time in which a command of Slurm's must end. Its own patience with a busy controller is ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The standard output of one of Slurm's commands.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().within(|| format!("cannot run {name}; is Slurm installed here?"))?;
    let output = answer(&name, child, ANSWER_WITHIN)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), State, "{name} failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a command of Slurm's printed, unless it waits for a controller that does not answer.
pub(super) fn answer(name: &str, child: Child, within: Duration) -> Result<Output> {
    let process = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let (done, answered) = channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    match answered.recv_timeout(within) {
        Ok(output) => Ok(output?),
        Err(_) => {
            if let Some(process) = process {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
            bail!(State, "{name} has not answered within {} s", within.as_secs());
        }
    }
}

/// Submits a script and returns Slurm's number of the array. A controller that starts again is waited for.
pub(super) fn sbatch(script: &str) -> Result<String> {
    for _ in 0..MAX_FAILED_SUBMISSIONS {
        match sbatch_once(script) {
            Err(error @ Error::State(_)) => tracing::warn!("{error}; it is tried again"),
            other => return other,
        }
        thread::sleep(SUBMIT_AGAIN_AFTER);
    }
    sbatch_once(script)
}

pub(super) fn sbatch_once(script: &str) -> Result<String> {
    let mut command = Command::new("sbatch");
    let command = command.arg("--parsable").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().within(|| "cannot run sbatch; is Slurm installed here?".to_owned())?;
    child.stdin.take().expect("it is piped").write_all(script.as_bytes())?;
    let output = answer("sbatch", child, ANSWER_WITHIN)?;
    if !output.status.success() {
        bail!(State, "sbatch failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    // The number, and of several clusters its name.
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(printed.trim().split(';').next().unwrap_or_default().to_owned())
}

/// Maximum number of jobs of an array.
pub(super) fn max_array() -> Result<usize> {
    let text = output(Command::new("scontrol").args(["show", "config"]))?;
    let line = text.lines().find(|line| line.trim_start().starts_with("MaxArraySize"));
    let value = line.and_then(|line| line.split_once('=')?.1.trim().parse().ok());
    Ok(value.filter(|&value| value > 0).unwrap_or(DEFAULT_MAX_ARRAY))
}

/// The nodes that take jobs, of one partition or of all. Drained, lost and failed ones do not.
pub(super) fn usable_nodes(partition: Option<&str>) -> Result<Vec<String>> {
    let mut command = Command::new("sinfo");
    command.args(["--noheader", "--Node", "--format=%N|%t"]);
    command.args(partition.map(|partition| format!("--partition={partition}")));
    Ok(usable(&output(&mut command)?))
}

/// The nodes of lines `NODE|STATE` whose state takes jobs; signs behind a state say more of it, `*` that the node does not
/// answer.
fn usable(lines: &str) -> Vec<String> {
    let takes_jobs = |line: &&str| {
        let state = line.split('|').nth(1).unwrap_or_default().trim();
        let name = state.trim_end_matches(|sign: char| !sign.is_ascii_alphabetic());
        !state.ends_with('*') && ["idle", "mix", "alloc", "comp", "plnd", "resv"].contains(&name)
    };
    let name = |line: &str| line.split('|').next().unwrap_or_default().trim().to_owned();
    lines.lines().filter(takes_jobs).map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn nodes_that_take_jobs() {
        let lines = "n1|idle\nn2|drain\nn3|down*\nn4|mix\nn5|drng\nn6|alloc\nn7|idle*\nn8|idle~\n";
        assert_eq!(usable(lines), ["n1", "n4", "n6", "n8"]);
    }

    #[test]
    fn a_command_that_waits_for_ever_is_killed() {
        let spawn = |seconds: &str| Command::new("sleep").arg(seconds).stdout(Stdio::piped()).spawn().unwrap();
        let child = spawn("600");
        let id = child.id();
        let said = answer("squeue", child, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(said.contains("squeue has not answered within 1 s"), "{said}");
        while Path::new(&format!("/proc/{id}")).exists() {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(answer("squeue", spawn("0"), ANSWER_WITHIN).unwrap().status.success());
    }
}
