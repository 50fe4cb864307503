//! `webtext clean`.

use std::path::PathBuf;

use console::Exit;
use pipeline::RecipeRun;

/// Flags of `webtext clean`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// Print the number of bytes freed as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let bytes = RecipeRun::open(&arguments.run)?.run.clean()?;
    if arguments.json {
        console::out!("{}", serde_json::json!({"freed_bytes": bytes}))?;
    } else {
        console::out!("{} freed; a build that needs what was removed makes it again", console::count(bytes, "byte"))?;
    }
    Ok(Exit::Complete)
}
