//! `webtext explore`: a run's documents, rules and limits as one HTML page.

use std::path::PathBuf;

use console::{Exit, Usage};
use pipeline::RecipeRun;

use crate::explore;

/// Flags of `webtext explore`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// The page to write: one file that loads nothing, at most 30 MB.
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
    /// Maximum number of documents on the page; half of them are kept ones, the others are divided among the reasons.
    #[arg(long, value_name = "N", default_value_t = explore::MAX_DOCUMENTS, value_parser = clap::value_parser!(u32).range(1..=i64::from(explore::MAX_DOCUMENTS)))]
    documents: u32,
    /// Print what the page contains as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    // A run's own files are no pages, and the report has a name that nothing else may take.
    let is_page = arguments.output.extension().is_some_and(|extension| extension == "html" || extension == "htm");
    if !is_page || arguments.output.file_name().is_some_and(|name| name == "report.html") {
        let shown = arguments.output.display();
        return Err(Usage(format!("{shown} does not end with .html, or is a run's report; choose another -o")).into());
    }
    let run = RecipeRun::open(&arguments.run)?;
    let mut data = explore::gather(&arguments.run, &run, arguments.documents as usize)?;
    let page = explore::render(&mut data)?;
    atomic_file::write(&arguments.output, page.as_bytes())?;
    if !data.unfinished.is_empty() {
        tracing::warn!("the run is not finished, and the page says so: {}", data.unfinished.join(", "));
    }
    if arguments.json {
        let summary = serde_json::json!({
            "documents": data.documents.len(), "documents_of_run": data.documents_of_run,
            "max_text_chars": data.max_text_chars, "page_bytes": page.len(), "unfinished": data.unfinished,
        });
        console::out!("{summary}")?;
    } else {
        console::out!("{}", arguments.output.display())?;
    }
    Ok(Exit::Complete)
}
