//! `webtext status`.

use std::path::PathBuf;

use pipeline::{Run, StageState, Standing};

use crate::Ending;

/// Flags of `webtext status`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let run = Run::open(&arguments.run)?;
    let mut rows = Vec::new();
    for standing in run.standings()? {
        let Standing { stage, state, tasks } = standing;
        let totals = run.totals(stage)?;
        if arguments.json {
            rows.push(serde_json::json!({
                "stage": stage, "state": state, "tasks": tasks, "tasks_done": totals.tasks, "counts": totals.counts,
            }));
            continue;
        }
        let state = match state {
            StageState::Done => "done".to_owned(),
            StageState::Waiting => "waiting".to_owned(),
            StageState::Missing(missing) => {
                format!("{} of {} tasks missing: {}", missing.len(), tasks.unwrap_or_default(), ranges(&missing))
            }
        };
        println!(
            "{stage:17} {state:28} {:>9} read {:>9} kept {:>9} dropped",
            totals.counts.read,
            totals.counts.kept,
            totals.counts.dropped_total()
        );
        for unreadable in totals.unreadable {
            println!("    unreadable: {}: {}", unreadable.path, unreadable.error);
        }
    }
    if arguments.json {
        println!("{}", serde_json::Value::from(rows));
    }
    Ok(Ending::Complete)
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
