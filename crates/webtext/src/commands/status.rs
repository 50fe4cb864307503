//! `webtext status`.

use std::path::PathBuf;

use console::Exit;
use pipeline::{RecipeRun, StageState, StageStatus};

/// Flags of `webtext status`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let run = RecipeRun::open(&arguments.run)?;
    let mut rows = Vec::new();
    for StageStatus { stage, state, tasks, tally } in run.run.status()? {
        if arguments.json {
            let missing = if let StageState::Missing(missing) = &state { missing.len() as u32 } else { 0 };
            let tasks_done = tasks.map_or(0, |tasks| tasks - missing);
            rows.push(serde_json::json!({
                "stage": stage, "state": state, "tasks": tasks, "tasks_done": tasks_done, "counts": tally.counts,
            }));
            continue;
        }
        let state = match state {
            StageState::Done => "done".to_owned(),
            StageState::Waiting => "waiting".to_owned(),
            StageState::Missing(missing) => {
                let of = console::count(u64::from(tasks.unwrap_or_default()), "task");
                format!("{} of {of} missing: {}", missing.len(), ranges(&missing))
            }
        };
        let counts = &tally.counts;
        let counts = match counts.read {
            0 => String::new(), // a stage that counts no records
            read => format!("{read:>9} read {:>9} kept {:>9} dropped", counts.kept, counts.dropped_total()),
        };
        console::out!("{}", format!("{stage:18} {state:28} {counts}").trim_end())?;
        for unreadable in tally.unreadable {
            console::out!("    unreadable: {}: {}", unreadable.path, unreadable.error)?;
        }
    }
    if arguments.json {
        console::out!("{}", serde_json::Value::from(rows))?;
    }
    Ok(Exit::Complete)
}

/// `[1, 2, 3, 7]` as `1-3,7`, as array jobs of cluster schedulers take it.
fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let text =
        runs.map(|run| if run.len() == 1 { run[0].to_string() } else { format!("{}-{}", run[0], run[run.len() - 1]) });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn ranges() {
        assert_eq!(super::ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(super::ranges(&[]), "");
    }
}
