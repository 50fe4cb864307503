//! The engine alone, on a toy flow: which tasks run again, and that the bytes are those of an undisturbed run, whatever
//! happened in between.
//!
//! Every test changes a [`Lab`](toy::Lab) and passes the tasks that a build then runs to `check_build`.

mod clean;
mod damage;
mod executed;
mod growth;
mod kills;
mod leases;
mod preview;
mod reconcile;
mod redo;
mod resume;
mod single_tasks;
mod toy;
mod watched;
