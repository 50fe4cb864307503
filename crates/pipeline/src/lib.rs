//! Recipe → stages → tasks → run.
//!
//! A [`Recipe`] is the method section of a data set. It becomes a list of [stages](stages); a stage is
//! an array of tasks; a task is a pure function from files to files, and its [manifest](ledger::manifest)
//! is written last. The [`Run`] does the tasks that have no valid manifest, on a pool of threads or one
//! at a time by number, and checks that no record was lost between stages.
//!
//! Invariants: a task's outputs depend on its inputs and settings alone, never on its thread, on the
//! clock or on other tasks; tasks share no state but files; whatever stands under a final name is whole.

mod engine;
mod progress;
pub mod recipe;
pub mod stages;

pub use engine::{Interrupted, Run, Selection, StageState, Summary, Totals, UnknownStage};
pub use progress::Progress;
pub use recipe::Recipe;
