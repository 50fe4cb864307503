//! The engine alone, on a toy flow: what is done again and what is not, and that the bytes are those of a run that
//! nobody disturbed, whatever came between.
//!
//! Every test changes a [`Lab`](toy::Lab) and asks `check_build` for the tasks that a build then runs.

mod clean;
mod damage;
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
