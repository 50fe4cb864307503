//! `shards.scatter` (a task a documents file) sends kept documents to their shard; `shards.write` (a task
//! a shard) sorts them into the shuffled order and writes text.

use std::collections::BTreeMap;

use store::buckets::{BucketReader, BucketWriter};
use crate::manifest::FileRecord;
use store::sort::Sorter;
use store::table::TableReader;
use atomic_file::{AtomicFile, IoContext};
use records::{Document, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shard::{ShardRow, Split, TextShardWriter, order, shard_of, split};

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::Shards;
use crate::stages::dedup::DroppedRow;
use crate::stages::{paths, sort_memory};

/// A document with its place in the shuffled order.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Placed {
    order: u128,
    row: ShardRow,
}

// Ids are distinct, so their order is that of the places; a place twice would mean an id twice.
impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Placed {}
impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.order, &self.row.id).cmp(&(other.order, &other.row.id))
    }
}

/// The text shards by number: training shards, then the one for validation.
pub(crate) fn names(shards: &Shards) -> Vec<String> {
    let train = (0..shards.count).map(|number| format!("{}-{number:05}", Split::Train.as_str()));
    train.chain([format!("{}-00000", Split::Val.as_str())]).collect()
}

pub(crate) struct Scatter;

impl Stage for Scatter {
    fn name(&self) -> &'static str {
        "shards.scatter"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let dropped = run.outputs("dedup.cluster", "work/")?;
        let shards = run.recipe().shards.clone();
        let tasks = run.outputs("documents", "documents/")?.into_iter().enumerate().map(|(number, table)| {
            let (dropped, shards) = (dropped.clone(), shards.clone());
            TaskPlan {
                inputs: std::iter::once(table.clone()).chain(dropped.clone()).collect(),
                settings: json!({"seed": shards.seed, "validation": shards.validation, "count": shards.count}),
                work: Box::new(move |task| scatter(task, &table, &dropped, number as u32, &shards)),
            }
        });
        Ok(tasks.collect())
    }
}

fn scatter(
    task: &mut Task<'_>,
    table: &FileRecord,
    dropped: &[FileRecord],
    number: u32,
    shards: &Shards,
) -> anyhow::Result<()> {
    let mut duplicates: BTreeMap<u64, Reason> = BTreeMap::new();
    for path in paths(task.run(), dropped) {
        for row in BucketReader::<DroppedRow>::open(&path, number)? {
            let row = row?;
            duplicates.insert(row.row, row.reason);
        }
    }
    let name = format!("work/shards.scatter/{number:05}.buckets");
    let mut writer = BucketWriter::create(&task.path(&name), shards.count + 1)?;
    task.receive("documents", 0);
    for (row, document) in TableReader::<Document>::open(&task.path(&table.path))?.enumerate() {
        let document = document?;
        if document.verdict.is_some() {
            continue; // counted by the stage that dropped it
        }
        task.receive("documents", 1);
        let duplicate = duplicates.get(&(row as u64)).copied();
        task.counts.record(duplicate);
        if duplicate.is_some() {
            continue;
        }
        let place = order(&document.id, shards.seed);
        let bucket = match split(&document.id, shards.seed, shards.validation) {
            Split::Train => shard_of(place, shards.count),
            Split::Val => shards.count,
        };
        let Document { id, text, url, domain, title, karma, subreddit, .. } = document;
        writer
            .push(bucket, &Placed { order: place, row: ShardRow { text, id, url, domain, title, karma, subreddit } })?;
    }
    let written = writer.finish()?;
    task.wrote(&name, written);
    Ok(())
}

pub(crate) struct Write;

impl Stage for Write {
    fn name(&self) -> &'static str {
        "shards.write"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let inputs = run.outputs("shards.scatter", "work/")?;
        let tasks = names(&run.recipe().shards).into_iter().enumerate().map(|(number, name)| {
            let rows = inputs.clone();
            TaskPlan {
                inputs: inputs.clone(),
                settings: json!({"shard": name}),
                work: Box::new(move |task| write(task, &rows, number as u32, &format!("shards/{name}.jsonl.zst"))),
            }
        });
        Ok(tasks.collect())
    }
}

fn write(task: &mut Task<'_>, rows: &[FileRecord], number: u32, name: &str) -> anyhow::Result<()> {
    let mut sorter = Sorter::<Placed>::new(task.scratch()?, sort_memory(task.run()));
    task.receive("shards.scatter", 0);
    for path in paths(task.run(), rows) {
        for row in BucketReader::open(&path, number)? {
            sorter.push(row?)?;
            task.receive("shards.scatter", 1);
        }
    }
    let path = task.path(name);
    let mut shard = TextShardWriter::new(AtomicFile::create(&path)?).at("write", &path)?;
    let mut text_bytes = 0;
    for placed in sorter.finish()? {
        let Placed { row, .. } = placed?;
        text_bytes += row.text.len();
        shard.push(&row).at("write", &path)?;
        task.counts.keep();
    }
    task.figure("text_bytes", text_bytes as f64);
    let written = shard.finish().at("write", &path)?.commit()?;
    task.wrote(name, written);
    Ok(())
}
