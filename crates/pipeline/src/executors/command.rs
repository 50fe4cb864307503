//! The command that does one task of a list.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::RECIPE;
use crate::error::Result;
use crate::recipe::{ExecutorName, ExecutorSettings};

/// Names the interpreter that runs this program, where it is part of a Python package.
pub(super) const PYTHON: &str = "WEBTEXT_PYTHON";

/// How tasks of a run are called.
#[derive(Debug, Clone)]
pub(super) struct TaskCommand {
    program: Vec<String>,
    run: String,
}

impl TaskCommand {
    pub(super) fn new(settings: &ExecutorSettings, run: &Path) -> Result<TaskCommand> {
        let run = if store::is_remote(run) { run.to_path_buf() } else { std::path::absolute(run)? };
        let program = match (&settings.command[..], std::env::var(PYTHON)) {
            // What this program is called here says nothing about an image.
            ([], _) if settings.name == ExecutorName::Kubernetes => vec!["webtext".to_owned()],
            ([], Ok(python)) => vec![python, "-m".to_owned(), "webtext".to_owned()],
            ([], Err(_)) => vec![std::env::current_exe()?.to_string_lossy().into_owned()],
            (command, _) => command.to_vec(),
        };
        Ok(TaskCommand { program, run: run.to_string_lossy().trim_end_matches('/').to_owned() })
    }

    /// Eight digits that tell the jobs of this run from those of others.
    pub(super) fn run_hash(&self) -> String {
        format!("{:08x}", xxh3_64(self.run.as_bytes()) as u32)
    }

    /// The command for a task of a frozen list; it takes the line from its environment. The run's own recipe is built,
    /// so that a recipe which is edited meanwhile does no harm.
    pub(super) fn of_list(&self, stage: &str, list: &str, cpus: u32) -> Vec<String> {
        let recipe = format!("{}/{RECIPE}", self.run);
        let cpus = cpus.to_string();
        let arguments = ["build", &recipe, "--out", &self.run, "--stage", stage, "--tasks", list, "--threads", &cpus];
        self.program.iter().cloned().chain(arguments.map(str::to_owned)).collect()
    }
}

/// A command as a shell reads it.
pub(super) fn quoted(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell() {
        let words = ["webtext", "a b", "it's", "", "s3://x/y"].map(str::to_owned);
        assert_eq!(quoted(&words), r"webtext 'a b' 'it'\''s' '' s3://x/y");
    }
}
