//! Runs tasks. It depends on no particular stage, row type or recipe.
//!
//! A [`Flow`] is a list of stages that pass typed products to each other ([`Product`], [`Table`], [`Buckets`],
//! [`File`]). A stage's tasks are data ([`Task`]); a task is done when there is a manifest of exactly that task. A
//! stage whose tasks are all done is sealed: one file lists their outputs and counts, and later stages plan from it. A
//! [`Run`] is a flow in a store; it runs what is missing.
//!
//! Tasks exchange nothing but files, so they may run in any order, on any machine, and twice.

mod build;
mod changes;
mod executor;
mod flow;
mod inputs;
mod plan;
mod preview;
mod removal;
mod report;
mod run;
mod single_task;
mod status;
#[cfg(test)]
mod tests;
mod work;

pub use build::{Missing, Selection, TaskChoice};
pub use executor::{ALL_TASKS, Executor, StageJob};
pub use flow::{Bucket, BucketOfTask, Buckets, File, Flow, PlannedTask, Product, StageRef, Table, Task, Wire};
pub use inputs::{External, expand_files, expand_folders, read_text, resolve};
pub use plan::{Plan, Planner, TablePair, stable_runs};
pub use preview::StagePreview;
pub use report::{
    Digests, Log2Histogram, Manifest, Metric, Output, Sample, Seal, SourceRead, Tally, TaskReport, Unreadable,
};
pub(crate) use run::RECIPE;
pub use run::{Observer, Options, Run, Stop, Unobserved};
pub use status::{StageState, StageStatus, Summary, Totals};
pub use work::{BucketOutput, FileOutput, NumbersOutput, Received, Source, TableOutput, Work};
