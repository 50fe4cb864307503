//! `webtext report`.

use std::path::PathBuf;

use console::Exit;
use pipeline::RecipeRun;

/// Flags of `webtext report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let path = crate::report::write(&arguments.run, &RecipeRun::open(&arguments.run)?)?;
    console::out!("{path}")?;
    Ok(Exit::Complete)
}
