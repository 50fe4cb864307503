//! `webtext diff`: compares two runs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use console::Exit;
use pipeline::{RecipeRun, Totals};
use records::{Document, Duplicate, Reason};
use serde::{Deserialize, Serialize};
use store::sort::{Sorted, Sorter};

/// Memory of the sort of one run's documents, in bytes.
const SORT_BYTES: usize = 256 << 20;
/// Example documents for each pair of results.
const EXAMPLES: usize = 3;
/// The result of a document that a run keeps, and of one that it does not have.
const KEPT: &str = "kept";
const ABSENT: &str = "not there";

/// Flags of `webtext diff`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run to compare with.
    before: PathBuf,
    /// Folder of the other run.
    after: PathBuf,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
}

/// The result of a document in a run; sorted by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Fate {
    id: String,
    url: String,
    verdict: Option<Reason>,
}

/// Documents whose results differ in the same way.
#[derive(Debug, Default, Serialize)]
struct Moved {
    documents: u64,
    examples: Vec<String>,
}

/// Reads the result of each document of a run, sorted by id.
fn fates(run: &RecipeRun) -> anyhow::Result<Sorted<Fate>> {
    let mut duplicates: HashMap<String, Reason> = HashMap::new();
    for (_, table) in run.run.tables(run.products.duplicates)? {
        for row in run.run.open_table::<Duplicate, _>(&table)? {
            let row = row?;
            duplicates.insert(row.id, row.verdict);
        }
    }
    let excluded = crate::report::excluded_ids(&run.run, run.products.excluded)?;
    let mut sorter = Sorter::new(std::env::temp_dir(), SORT_BYTES);
    for (_, table) in run.run.tables(run.products.documents)? {
        for row in run.run.open_table::<Document, _>(&table)? {
            let Document { id, url, verdict, .. } = row?;
            let verdict = verdict
                .or_else(|| duplicates.get(&id).copied())
                .or_else(|| excluded.contains(&id).then_some(Reason::Excluded));
            sorter.push(Fate { id, url, verdict })?;
        }
    }
    Ok(sorter.finish()?)
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (before, after) = (RecipeRun::open(&arguments.before)?, RecipeRun::open(&arguments.after)?);
    let moved = moved(fates(&before)?, fates(&after)?)?;
    let stages = stages(&before, &after)?;
    if arguments.json {
        let moved: Vec<_> = moved
            .iter()
            .map(|((from, to), moved)| serde_json::json!({"before": from, "after": to, "documents": moved.documents, "examples": moved.examples}))
            .collect();
        console::out!("{}", serde_json::json!({"stages": stages, "documents": moved}))?;
        return Ok(Exit::Complete);
    }
    for StageCounts { stage, before, after } in &stages {
        let side = |kept: &Option<u64>| kept.map_or_else(|| "–".to_owned(), |kept| kept.to_string());
        let mark = if before == after { "" } else { "  *" };
        console::out!("{stage:18} kept {:>10} → {:>10}{mark}", side(before), side(after))?;
    }
    if moved.is_empty() {
        console::out!("\nEvery document has come to the same end in both.")?;
    }
    for ((from, to), Moved { documents, examples }) in &moved {
        console::out!("\n{} {from} → {to}", console::count(*documents, "document"))?;
        examples.iter().try_for_each(|example| console::out!("    {example}"))?;
    }
    Ok(Exit::Complete)
}

/// Merges two runs; both are sorted by id.
fn moved(
    before: impl Iterator<Item = store::Result<Fate>>,
    after: impl Iterator<Item = store::Result<Fate>>,
) -> anyhow::Result<BTreeMap<(String, String), Moved>> {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let mut moved: BTreeMap<(String, String), Moved> = BTreeMap::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return Ok(moved),
            (Some(Err(_)), _) | (_, None) => Ordering::Less,
            (_, Some(Err(_))) | (None, _) => Ordering::Greater,
            (Some(Ok(a)), Some(Ok(b))) => a.id.cmp(&b.id),
        };
        let old = if order.is_le() { before.next().transpose()? } else { None };
        let new = if order.is_ge() { after.next().transpose()? } else { None };
        let name = |fate: &Option<Fate>| match fate {
            None => ABSENT.to_owned(),
            Some(fate) => fate.verdict.map_or_else(|| KEPT.to_owned(), |reason| reason.to_string()),
        };
        let ends = (name(&old), name(&new));
        if ends.0 != ends.1 {
            let moved = moved.entry(ends).or_default();
            moved.documents += 1;
            if moved.examples.len() < EXAMPLES {
                moved.examples.extend(old.or(new).map(|fate| fate.url));
            }
        }
    }
}

/// The records that a stage kept in both runs; `None` if a run does not have the stage, or it counts no records.
#[derive(Debug, PartialEq, Serialize)]
struct StageCounts {
    stage: String,
    before: Option<u64>,
    after: Option<u64>,
}

/// The records that a stage has kept; `None` if it counts no records.
fn kept(totals: &Totals) -> Option<u64> {
    (totals.tally.counts.read > 0).then_some(totals.tally.counts.kept)
}

fn stages(before: &RecipeRun, after: &RecipeRun) -> anyhow::Result<Vec<StageCounts>> {
    let mut stages: Vec<StageCounts> = Vec::new();
    for totals in before.run.all_totals()? {
        let before = kept(&totals);
        stages.push(StageCounts { stage: totals.stage, before, after: None });
    }
    for totals in after.run.all_totals()? {
        let after = kept(&totals);
        match stages.iter_mut().find(|stage| stage.stage == totals.stage) {
            Some(stage) => stage.after = after,
            None => stages.push(StageCounts { stage: totals.stage, before: None, after }),
        }
    }
    stages.retain(|stage| stage.before.is_some() || stage.after.is_some());
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_go_and_change_their_reason() {
        let fate = |id: &str, reason: Option<&str>| {
            Ok(Fate { id: id.into(), url: format!("u{id}"), verdict: reason.map(|name| name.parse().unwrap()) })
        };
        let before = [fate("a", None), fate("b", Some("no_text")), fate("c", None), fate("e", None)];
        let after = [fate("b", None), fate("c", None), fate("d", None), fate("e", Some("length.words"))];
        let moved = moved(before.into_iter(), after.into_iter()).unwrap();
        let shown: Vec<_> = moved.iter().map(|((a, b), m)| (a.as_str(), b.as_str(), m.examples[0].as_str())).collect();
        let expected = [
            ("kept", "length.words", "ue"),
            ("kept", "not there", "ua"),
            ("no_text", "kept", "ub"),
            ("not there", "kept", "ud"),
        ];
        assert_eq!(shown, expected);
    }
}
