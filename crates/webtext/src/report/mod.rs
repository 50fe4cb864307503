//! A run as one self-contained page: what went in, what came out, what was dropped and why.
//!
//! No script, and no font or image from elsewhere; charts are inline SVG. The page is a function of the run's files, so
//! it is the same for the same run.

mod metrics;
mod near_limits;
mod page;
mod rules;
mod svg;

use std::path::Path;

pub use metrics::excluded_ids;
use pipeline::RecipeRun;
use store::Condition;

/// Name of the report in the run's folder.
const REPORT: &str = "report.html";

/// Writes `report.html` into the run's folder and returns its place.
pub fn write(folder: &Path, run: &RecipeRun) -> anyhow::Result<String> {
    let metrics = metrics::RunMetrics::gather(run)?;
    let store = run.run.store();
    store.put(REPORT, page::render(folder, run, &metrics)?.as_bytes(), Condition::Always)?;
    Ok(store.shown(REPORT))
}
