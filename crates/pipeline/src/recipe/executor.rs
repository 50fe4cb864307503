//! `[executor]`: where tasks run. It changes no byte of the data set, and is not part of a run's `recipe.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};

/// `[executor]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorSettings {
    /// Where tasks run. Default: the threads of this process.
    pub name: ExecutorName,
    /// Maximum number of tasks that are under way at once. Default: 500.
    pub max_in_flight: u32,
    /// Attempts at a task before it has failed for good. Default: 3.
    pub max_attempts: u32,
    /// Processors of a task. Default: 1.
    pub cpus: u32,
    /// Memory of a task, in MiB. Default: 4096.
    pub memory_mib: u32,
    /// Time after which a task has failed, in minutes. Default: 240.
    pub max_minutes: u32,
    /// Resources of single stages, by name.
    pub stages: BTreeMap<String, StageResources>,
    /// How this program is called where tasks run. Default: as it was called here.
    pub command: Vec<String>,
    /// Slurm.
    pub slurm: SlurmSettings,
    /// Ray.
    pub ray: RaySettings,
    /// Kubernetes.
    pub kubernetes: KubernetesSettings,
}

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ExecutorName {
    /// The threads of this process.
    #[default]
    Local,
    /// Arrays of jobs of Slurm.
    Slurm,
    /// Tasks of a Ray cluster.
    Ray,
    /// Indexed Jobs of Kubernetes, which are written out for people to apply.
    Kubernetes,
}

/// `[executor.stages.NAME]`: what differs for the tasks of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageResources {
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Time, in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<u32>,
}

/// `[executor.slurm]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSettings {
    /// Further lines of each script, without `#SBATCH`: `--partition=long`, `--account=x`, `--constraint=y`.
    pub options: Vec<String>,
    /// Folder of the jobs' output, on a file system that all nodes share. Default: `logs/slurm` in the run's folder, and
    /// `webtext-logs` in the current folder for a run in a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// Time between two looks at the queue, in seconds. Default: 10.
    pub poll_seconds: u32,
}

/// `[executor.ray]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaySettings {
    /// Address of the cluster, as `ray.init` takes it. Default: `auto`.
    pub address: String,
}

/// `[executor.kubernetes]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesSettings {
    /// Image that has this program. Default: `webtext`.
    pub image: String,
}

impl Default for ExecutorSettings {
    fn default() -> ExecutorSettings {
        ExecutorSettings {
            name: ExecutorName::Local,
            max_in_flight: 500,
            max_attempts: 3,
            cpus: 1,
            memory_mib: 4096,
            max_minutes: 240,
            stages: BTreeMap::new(),
            command: Vec::new(),
            slurm: SlurmSettings::default(),
            ray: RaySettings::default(),
            kubernetes: KubernetesSettings::default(),
        }
    }
}

impl Default for SlurmSettings {
    fn default() -> SlurmSettings {
        SlurmSettings { options: Vec::new(), logs: None, poll_seconds: 10 }
    }
}

impl Default for RaySettings {
    fn default() -> RaySettings {
        RaySettings { address: "auto".to_owned() }
    }
}

impl Default for KubernetesSettings {
    fn default() -> KubernetesSettings {
        KubernetesSettings { image: "webtext".to_owned() }
    }
}

/// The resources of a stage, each with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskResources {
    /// Processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Time, in minutes.
    pub max_minutes: u32,
}

impl ExecutorSettings {
    /// The resources of a task of a stage. Those of `pages.fetch` also hold for `pages.fetch-2`, a second source's.
    pub fn resources_of(&self, stage: &str) -> TaskResources {
        let source = stage.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
        let own = self.stages.get(stage).or_else(|| self.stages.get(source?.0)).copied().unwrap_or_default();
        TaskResources {
            cpus: own.cpus.unwrap_or(self.cpus),
            memory_mib: own.memory_mib.unwrap_or(self.memory_mib),
            max_minutes: own.max_minutes.unwrap_or(self.max_minutes),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.slurm.options.iter().try_for_each(|option| check_slurm_option(option))?;
        ensure!(self.max_in_flight > 0, Recipe, "[executor] max_in_flight must be at least 1");
        ensure!(self.max_attempts > 0, Recipe, "[executor] max_attempts must be at least 1");
        ensure!(self.slurm.poll_seconds > 0, Recipe, "[executor.slurm] poll_seconds must be at least 1");
        let of_stages = self.stages.keys().map(|stage| self.resources_of(stage));
        let of_all = self.resources_of("");
        for TaskResources { cpus, memory_mib, max_minutes } in of_stages.chain([of_all]) {
            let has_zero = [cpus, memory_mib, max_minutes].contains(&0);
            ensure!(!has_zero, Recipe, "[executor] cpus, memory_mib and max_minutes must be at least 1");
        }
        Ok(())
    }
}

/// Options of sbatch that each script has already, or that make it something else than a script of an array.
const OWN_OPTIONS: [&str; 13] = [
    "array",
    "job-name",
    "output",
    "error",
    "cpus-per-task",
    "mem",
    "time",
    "requeue",
    "no-requeue",
    "wait",
    "wrap",
    "test-only",
    "parsable",
];
/// Those of them that have a letter.
const OWN_LETTERS: &str = "aJoectW";
/// Letters without a value, behind which another one may follow: `-Qa0-1`.
const FLAG_LETTERS: &str = "HkOQsvVh";

/// Refuses an option that a script has already, in each form that sbatch takes: abbreviated, by its letter, and behind
/// another option in the same line.
fn check_slurm_option(option: &str) -> Result<()> {
    ensure!(
        option.starts_with('-') && !option.contains(['\n', '\r']) && !["-", "--"].contains(&option.trim()),
        Recipe,
        "[executor.slurm] options: {option:?} is no option of sbatch, such as \"--partition=long\""
    );
    let is_own = |word: &str| match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split('=').next().unwrap_or_default();
            !name.is_empty() && OWN_OPTIONS.iter().any(|own| own.starts_with(name))
        }
        None => {
            let mut letters = word.chars().skip(1).skip_while(|letter| FLAG_LETTERS.contains(*letter));
            letters.next().is_some_and(|letter| OWN_LETTERS.contains(letter))
        }
    };
    let hint = "webtext gives it; cpus, memory_mib, max_minutes, max_in_flight and logs are keys of their own";
    let mut words = option.split_whitespace().filter(|word| word.starts_with('-'));
    ensure!(!words.any(is_own), Recipe, "[executor.slurm] options: {option}: {hint}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_a_script_has_already() {
        for own in [
            "--array=1",
            "--arr=1",
            "--array 1",
            "-a0-1",
            "-a 0-1",
            "-Jx",
            "-oX",
            "-eX",
            "-c2",
            "-t5",
            "-Qa0-1",
            "--mem=1G",
            "--time=1",
            "--requeue",
            "--no-requeue",
            "--wrap=true",
            "--test-only",
            "-W",
            "-p long -a0-1",
            "--partition=long --output=x",
        ] {
            assert!(check_slurm_option(own).unwrap_err().to_string().contains("webtext gives it"), "{own}");
        }
        for none in ["long", "", "-", "--", "--x\nrm -rf y"] {
            assert!(check_slurm_option(none).unwrap_err().to_string().contains("no option of sbatch"), "{none}");
        }
        for other in
            ["--partition=long", "-plong", "-p long", "-A corpus", "--mem-per-gpu=1", "--time-min=1", "-xn1", "-Q"]
        {
            check_slurm_option(other).unwrap();
        }
    }
}
