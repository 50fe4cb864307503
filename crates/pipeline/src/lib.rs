//! Recipe → stages → tasks → run.
//!
//! A [`Recipe`] is the method section of a data set. It becomes a list of [stages](stages); a stage is
//! an array of tasks; a task is a pure function from files to files, and its [manifest](crate::manifest)
//! is written last. The [`Run`] does the tasks that have no valid manifest, on a pool of threads or one
//! at a time by number, and checks that no record was lost between stages.
//!
//! Invariants: a task's outputs depend on its inputs and settings alone, never on its thread, on the
//! clock or on other tasks; tasks share no state but files; whatever stands under a final name is whole.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;

mod engine;
mod progress;
pub mod recipe;
pub mod stages;

pub use engine::{Interrupted, Run, Selection, StageState, Standing, Summary, Totals, UnknownStage};
pub use progress::Progress;
pub use recipe::Recipe;

// The engine knows stages by their trait alone; which ones a recipe has is said here.
impl Run {
    /// A run in `folder`; nothing is written yet.
    ///
    /// `stop` ends the run between tasks when it becomes true.
    pub fn new(folder: PathBuf, recipe: Recipe, threads: usize, progress: Progress, stop: &'static AtomicBool) -> Run {
        let stages = stages::of(&recipe);
        Run::of_stages(folder, recipe, stages, threads, progress, stop)
    }

    /// Opens a run that was begun, by the recipe in its folder.
    ///
    /// # Errors
    /// When the folder holds no recipe, or one of another version that cannot be read.
    pub fn open(folder: &Path) -> anyhow::Result<Run> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        let path = folder.join("recipe.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is not the folder of a run", folder.display()))?;
        let recipe = Recipe::parse(&text, &[]).with_context(|| format!("in {}", path.display()))?;
        Ok(Run::new(folder.to_path_buf(), recipe, 1, Progress::new(true), &NEVER))
    }
}
