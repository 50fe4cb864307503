//! Kubernetes: an Indexed Job for the tasks of a stage, written out for people to apply.

use super::command::TaskCommand;
use crate::engine::{ALL_TASKS, Executor, StageJob};
use crate::error::{Result, bail};
use crate::recipe::ExecutorSettings;

/// Writes manifests of jobs.
#[derive(Debug)]
pub(super) struct Kubernetes {
    settings: ExecutorSettings,
    command: TaskCommand,
}

impl Kubernetes {
    pub(super) fn new(settings: &ExecutorSettings, command: TaskCommand) -> Kubernetes {
        Kubernetes { settings: settings.clone(), command }
    }

    /// The job of all tasks of a stage; those that are done already end at once.
    fn manifest(&self, stage: &str, tasks: u32) -> String {
        let resources = self.settings.resources_of(stage);
        let name = format!("webtext-{}-{}", self.command.run_hash(), stage.replace('.', "-"));
        let command = self.command.of_list(stage, ALL_TASKS, resources.cpus);
        let command = serde_json::to_string(&command).expect("words are plain data");
        let in_flight = tasks.min(self.settings.max_in_flight);
        let (image, attempts) = (&self.settings.kubernetes.image, self.settings.max_attempts.saturating_sub(1));
        let (cpus, memory, seconds) = (resources.cpus, resources.memory_mib, u64::from(resources.max_minutes) * 60);
        format!(
            r#"apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completionMode: Indexed
  completions: {tasks}
  parallelism: {in_flight}
  backoffLimitPerIndex: {attempts}
  template:
    spec:
      restartPolicy: Never
      activeDeadlineSeconds: {seconds}
      containers:
        - name: webtext
          image: {image}
          command: {command}
          resources:
            requests: {{cpu: "{cpus}", memory: {memory}Mi}}
            limits: {{memory: {memory}Mi}}
"#
        )
    }
}

impl Executor for Kubernetes {
    fn run(&self, job: &StageJob<'_>) -> Result<()> {
        bail!(
            Input,
            "jobs of Kubernetes are not started from here: --dry-run writes the manifest for stage {0}; apply it, wait for it, \
             and run the same command with --executor local --stage {0} to end the stage",
            job.stage()
        )
    }

    fn preview(&self, stage: &str, tasks: u32) -> Option<String> {
        Some(self.manifest(stage, tasks))
    }
}
