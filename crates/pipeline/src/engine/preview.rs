//! What a build would do and why, for `--dry-run`.

use serde::Serialize;

use super::build::Missing;
use super::run::Run;
use crate::error::Result;

/// What a build would do with a stage.
#[derive(Debug, Clone, Serialize)]
pub struct StagePreview {
    /// The stage.
    pub stage: String,
    /// Its tasks, if they are known already.
    pub tasks: Option<u32>,
    /// The tasks that would run.
    pub missing: Vec<Missing>,
    /// Earlier stages that will change, in the order of the flow; their results decide which tasks run here.
    pub follows: Vec<String>,
    /// Minimum number of bytes that the outputs take.
    pub min_output_bytes: u64,
}

impl Run {
    /// What a build would do, without doing it.
    pub fn preview(&self) -> Result<Vec<StagePreview>> {
        let mut previews: Vec<StagePreview> = Vec::new();
        // In the order of the flow.
        let mut changing: Vec<String> = Vec::new();
        for (number, stage) in self.flow().stages().iter().enumerate() {
            let plan_there = self.plan_there(number)?;
            // Until a stage was planned once, its inputs are unknown: assume all stages before it.
            let follows: Vec<String> = match &plan_there {
                Some(plan) => {
                    let upstream = &plan.header().upstream;
                    changing.iter().filter(|name| upstream.contains_key(*name)).cloned().collect()
                }
                None => changing.clone(),
            };
            let mut preview = StagePreview {
                stage: stage.name.clone(),
                tasks: plan_there.map(|plan| plan.len() as u32),
                missing: Vec::new(),
                min_output_bytes: 0,
                follows,
            };
            let comparison = if preview.follows.is_empty() { Some(self.compare_with_plan(number)) } else { None };
            let comparison = match comparison.transpose() {
                // It reads a stage that it did not read before, and that is to do.
                Err(error) if error.is_not_done() && !changing.is_empty() => {
                    preview.follows = changing.clone();
                    None
                }
                other => other?,
            };
            let mut changes = !preview.follows.is_empty();
            if let Some(comparison) = comparison {
                preview.tasks = Some(comparison.plan.len() as u32);
                let tasks = comparison.missing.iter().map(|missing| &comparison.plan[missing.number as usize].task);
                preview.min_output_bytes = tasks.map(stage.min_output_bytes).fold(0, u64::saturating_add);
                preview.missing = comparison.missing;
                // Also when a task was removed, or the tasks are not sealed.
                changes = !comparison.is_sealed;
            }
            if changes {
                changing.push(stage.name.clone());
            }
            previews.push(preview);
        }
        Ok(previews)
    }
}
