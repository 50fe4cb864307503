//! `[executor]`: who does the tasks. It changes no byte of the data set, and is not part of a run's `recipe.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, ensure};

/// `[executor]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorSettings {
    /// Who does the tasks. Default: the threads of this process.
    pub name: ExecutorName,
    /// Maximum number of tasks that are under way at once. Default: 500.
    pub max_in_flight: u32,
    /// Attempts at a task before it has failed for good. Default: 3.
    pub max_attempts: u32,
    /// What a task is given where its stage has no resources of its own.
    #[serde(flatten)]
    pub resources: Resources,
    /// Resources of single stages, by name.
    pub stages: BTreeMap<String, Resources>,
    /// How this program is called where tasks run. Default: as it was called here.
    pub command: Vec<String>,
    /// Slurm.
    pub slurm: SlurmSettings,
    /// Ray.
    pub ray: RaySettings,
    /// Kubernetes.
    pub kubernetes: KubernetesSettings,
}

/// Who does the tasks.
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

/// What a task is given. A stage's own values come before those of all stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Processors. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory, in MiB. Default: 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Time after which a task has failed, in minutes. Default: 240.
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
            resources: Resources::default(),
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
        let of_all = self.resources;
        TaskResources {
            cpus: own.cpus.or(of_all.cpus).unwrap_or(1),
            memory_mib: own.memory_mib.or(of_all.memory_mib).unwrap_or(4096),
            max_minutes: own.max_minutes.or(of_all.max_minutes).unwrap_or(240),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let all = || self.stages.values().chain([&self.resources]);
        let is_zero = |value: Option<u32>| value == Some(0);
        ensure!(self.max_in_flight > 0, Recipe, "[executor] max_in_flight must be at least 1");
        ensure!(self.max_attempts > 0, Recipe, "[executor] max_attempts must be at least 1");
        ensure!(self.slurm.poll_seconds > 0, Recipe, "[executor.slurm] poll_seconds must be at least 1");
        for Resources { cpus, memory_mib, max_minutes } in all() {
            let has_zero = is_zero(*cpus) || is_zero(*memory_mib) || is_zero(*max_minutes);
            ensure!(!has_zero, Recipe, "[executor] cpus, memory_mib and max_minutes must be at least 1");
        }
        Ok(())
    }
}
