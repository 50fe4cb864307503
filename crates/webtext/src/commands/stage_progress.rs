//! The progress of commands that run stages.

use std::sync::{Mutex, PoisonError};

use console::{Progress, Unit};
use pipeline::Observer;

/// Shows the progress of the running stage.
#[derive(Default)]
pub struct StageProgress(Mutex<Option<Progress>>);

impl StageProgress {
    fn with(&self, show: impl FnOnce(&Progress)) {
        if let Some(progress) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            show(progress);
        }
    }

    fn replace(&self, progress: Option<Progress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

impl std::fmt::Debug for StageProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StageProgress")
    }
}

impl Observer for StageProgress {
    fn stage_begins(&self, stage: &str, tasks: u64) {
        self.replace(None); // the former bar goes before the next one is drawn
        self.replace(Some(Progress::start(stage, Unit::things("tasks"), Some(tasks))));
    }

    fn task_ends(&self) {
        self.with(|progress| progress.add(1));
    }

    fn task_does(&self, what: &str) {
        self.with(|progress| progress.message(what));
    }

    fn build_ends(&self) {
        self.replace(None);
    }
}
