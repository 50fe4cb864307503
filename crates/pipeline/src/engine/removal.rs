//! Removes tasks and stages that no longer exist, and work files of those that are done.

use std::collections::{BTreeMap, BTreeSet};

use store::catalogue;

use super::flow::{PlannedTask, Stage};
use super::report::{Seal, TaskReport};
use super::run::{Run, is_work};
use crate::error::{Result, ensure};

impl Run {
    /// Removes a seal, before anything that it lists is changed.
    pub(super) fn remove_seal(&self, stage: &Stage) -> Result<()> {
        Ok(self.store().delete(&Run::key(&stage.name, "seal"))?)
    }

    /// Removes the outputs that a manifest names, then the manifest: after a kill in between, the task counts as not
    /// done.
    pub(super) fn remove_task(&self, stage: &str, task: &str) -> Result<()> {
        if let Some(manifest) = self.manifest(stage, task)? {
            for output in manifest.report.outputs.iter().filter(|output| !output.is_state) {
                self.store().delete(&output.key)?;
            }
        }
        Ok(self.store().delete(&Run::manifest_key(stage, task))?)
    }

    /// The tasks of a stage that have a manifest.
    fn tasks_there(&self, stage: &str) -> Result<Vec<String>> {
        let folder = Run::key(stage, "");
        let listed = self.store().list(&folder)?.into_iter();
        let name = |key: String| Some(key.strip_prefix(&folder)?.strip_suffix(".json")?.to_owned());
        Ok(listed.filter_map(|object| name(object.key)).collect())
    }

    /// Removes tasks that the plan no longer has.
    pub(super) fn remove_tasks_that_are_gone(&self, stage: &Stage, plan: &[PlannedTask]) -> Result<()> {
        let planned: BTreeSet<&str> = plan.iter().map(|task| task.name.as_str()).collect();
        for task in self.tasks_there(&stage.name)? {
            if !planned.contains(task.as_str()) {
                self.remove_task(&stage.name, &task)?;
            }
        }
        Ok(())
    }

    /// Removes the tasks of stages that the recipe no longer has.
    pub(super) fn remove_stages_that_are_gone(&self) -> Result<()> {
        let names: BTreeSet<&str> = self.flow().names().into_iter().collect();
        let objects = self.store().list("tasks")?;
        let folders = objects.iter().filter_map(|object| object.key.strip_prefix("tasks/")?.split('/').next());
        let there: BTreeSet<&str> = folders.collect();
        for stage in there.difference(&names) {
            tracing::info!("{stage} is no stage of this recipe: what it made is removed");
            self.store().delete(&Run::key(stage, "seal"))?;
            self.store().delete(&Run::key(stage, "plan"))?;
            for task in self.tasks_there(stage)? {
                self.remove_task(stage, &task)?;
            }
        }
        Ok(())
    }

    /// Runs tasks again whose pruned work files are needed now.
    pub(super) fn restore_pruned(&self, upstream: &BTreeSet<usize>) -> Result<()> {
        for &number in upstream {
            let seal = self.seal_of(number)?;
            if !seal.header().is_pruned {
                continue;
            }
            let stage = &self.flow().stages()[number];
            tracing::info!("{}: done again, since its work files were removed", stage.name);
            let mut comparison = self.compare_with_plan(number)?;
            ensure!(
                comparison.is_sealed,
                State,
                "stage {} has changed meanwhile; run the same command again",
                stage.name
            );
            self.restore_pruned(&comparison.upstream)?;
            self.remove_seal(stage)?;
            let pruned = std::mem::take(&mut comparison.pruned);
            self.run_and_seal(number, &mut comparison, &pruned)?;
        }
        Ok(())
    }

    /// Removes the work files of stages that no unfinished stage reads; returns the number of bytes freed.
    pub fn clean(&self) -> Result<u64> {
        let _lease = self.lease_of_build()?;
        let stages = self.flow().stages();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for number in 0..stages.len() {
            if !matches!(self.seal_there(number)?, Some(seal) if !seal.header().plan.is_empty()) {
                match self.plan_there(number)? {
                    Some(plan) => wanted.extend(plan.header().upstream.keys().cloned()),
                    // Its inputs are not known yet.
                    None => wanted.extend(stages.iter().map(|stage| stage.name.clone())),
                }
            }
        }
        let (mut bytes, mut marked) = (0, BTreeMap::new());
        for (number, stage) in stages.iter().enumerate().filter(|(_, stage)| !wanted.contains(&stage.name)) {
            let Some(seal) = self.seal_there(number)? else { continue };
            let reports = seal.entries()?.collect::<store::Result<Vec<TaskReport>>>()?;
            let work: Vec<_> = reports.iter().flat_map(|r| &r.outputs).filter(|o| is_work(&o.key)).collect();
            let mut listed = BTreeMap::new();
            self.listing(work.iter().copied(), &mut listed)?;
            let there: BTreeSet<&String> = listed.values().flat_map(BTreeMap::keys).collect();
            let work: Vec<_> = work.into_iter().filter(|output| there.contains(&output.key)).collect();
            if work.is_empty() {
                continue;
            }
            // The seal goes first, so that no process takes a half-removed stage for complete.
            if !seal.header().is_pruned {
                let pruned = Seal { is_pruned: true, ..seal.header().clone() };
                let checksum = catalogue::write(self.store(), &Run::key(&stage.name, "seal"), &pruned, &reports)?;
                marked.insert(stage.name.as_str(), [seal.checksum(), checksum].map(store::checksum_hex));
            }
            for output in work {
                self.store().delete(&output.key)?;
                bytes += output.len_bytes;
            }
        }
        self.refresh_plans(&marked)?;
        Ok(bytes)
    }

    /// A seal that was marked as pruned has another checksum; the plans that were made from it are updated to the new
    /// one. Plans that were made from an earlier seal stay out of date.
    fn refresh_plans(&self, marked: &BTreeMap<&str, [String; 2]>) -> Result<()> {
        for (number, stage) in self.flow().stages().iter().enumerate() {
            let Some(plan) = self.plan_there(number)? else { continue };
            let mut head = plan.header().clone();
            for (before, checksum) in &mut head.upstream {
                match marked.get(before.as_str()) {
                    Some([former, now]) if former == checksum => checksum.clone_from(now),
                    _ => {}
                }
            }
            if head != *plan.header() {
                let tasks = plan.entries()?.collect::<store::Result<Vec<PlannedTask>>>()?;
                catalogue::write(self.store(), &Run::key(&stage.name, "plan"), &head, &tasks)?;
            }
        }
        Ok(())
    }
}
