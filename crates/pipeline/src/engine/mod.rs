//! The runner of tasks. It knows no stage by name, no row and no recipe.
//!
//! A [`Flow`] is a list of stages that hand typed products to each other ([`Product`], [`Table`], [`Buckets`], [`File`]).
//! A stage's tasks are data ([`Task`]); each is done when there is a manifest of just that task. A stage whose tasks
//! are all done is sealed: one file has what they wrote and counted, and later stages plan from it. A [`Run`] is a flow
//! in a store; it does what is missing.
//!
//! Everything between tasks is files, so tasks may run in any order, at any place, and twice.

mod build;
mod changes;
mod flow;
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

pub use build::{Missing, Selection};
pub use flow::{Bucket, BucketOfTask, Buckets, File, Flow, PlannedTask, Product, StageRef, Table, Task, Wire};
pub use plan::{External, Plan, Planner, TablePair, expand, expand_files, resolve, stable_runs};
pub use preview::StagePreview;
pub use report::{
    Digests, Histogram, Manifest, Metric, Output, Sample, Seal, SourceRead, Tally, TaskReport, Unreadable,
};
pub use run::{Observer, Options, Run, Stop, Unobserved};
pub use status::{StageState, StageStatus, Summary, Totals};
pub use work::{BucketOutput, FileOutput, NumbersOutput, Received, Source, TableOutput, Work};
