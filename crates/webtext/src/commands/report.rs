//! `webtext report`.

use std::path::PathBuf;

use pipeline::RecipeRun;

use crate::Ending;

/// Flags of `webtext report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let path = crate::report::write(&arguments.run, &RecipeRun::open(&arguments.run)?)?;
    println!("{}", path.display());
    Ok(Ending::Complete)
}
