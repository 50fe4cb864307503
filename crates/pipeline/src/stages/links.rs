//! `links.read`: one task a dump; `links.merge`: one task a bucket of registrable domains.

use anyhow::Context;
use store::bucket_of;
use store::buckets::{BucketReader, BucketWriter};
use store::sort::Sorter;
use store::table::TableWriter;
use links::dump::DumpError;
use links::{Dropped, Policy, Row, merge_rows, read_dump};
use serde_json::json;

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::{Links, Recipe};
use crate::stages::{paths, sort_memory};

fn settings(run: &Run) -> anyhow::Result<(&Links, Policy)> {
    let links = run.recipe().links.as_ref().context("the recipe has no [links]")?;
    Ok((links, links.policy()?))
}

pub(crate) struct Read;

impl Stage for Read {
    fn name(&self) -> &'static str {
        "links.read"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let (links, policy) = settings(run)?;
        let buckets = run.recipe().limits.buckets;
        let dumps = Recipe::expand(&links.dumps)?;
        let mut plan = Vec::new();
        for (number, dump) in dumps.into_iter().enumerate() {
            let (policy, limit_bytes) = (policy.clone(), links.record_len_max_bytes);
            // Karma is decided when links are merged; changing it reads no dump again.
            let settings = json!({
                "over_18": links.over_18, "from": links.from, "until": links.until, "drop_domains": links.drop_domains,
                "drop_extensions": links.drop_extensions, "url_len_max_bytes": links.url_len_max_bytes,
                "record_len_max_bytes": limit_bytes, "buckets": buckets,
            });
            let input = run.external(&dump)?;
            plan.push(TaskPlan {
                inputs: vec![input],
                settings,
                work: Box::new(move |task| read(task, &dump, number as u32, &policy, limit_bytes, buckets)),
            });
        }
        Ok(plan)
    }
}

fn read(
    task: &mut Task<'_>,
    dump: &std::path::Path,
    number: u32,
    policy: &Policy,
    limit_bytes: usize,
    buckets: u32,
) -> anyhow::Result<()> {
    let name = format!("work/links.read/{number:05}.buckets");
    let mut writer = BucketWriter::create(&task.path(&name), buckets)?;
    let shown = dump.to_string_lossy();
    let scores = read_dump(dump, number, policy, limit_bytes, |line| -> anyhow::Result<()> {
        match line {
            Ok(row) => {
                let domain = if row.domain.is_empty() { &row.key } else { &row.domain };
                writer.push(bucket_of(domain.as_bytes(), buckets), &row)?;
                task.counts.keep();
            }
            Err(Dropped { reason, line, text }) => {
                task.counts.drop(reason);
                task.sample(reason, || format!("{shown}:{line}"), &text);
            }
        }
        Ok(())
    });
    match scores.map_err(|error| error.downcast::<DumpError>()) {
        Ok(scores) => tell_scores(task, &shown, scores),
        Err(Ok(error)) => task.unreadable(&shown, &error),
        Err(Err(error)) => return Err(error),
    }
    let written = writer.finish()?;
    task.wrote(&name, written);
    Ok(())
}

/// Scores are taken some time after a submission; a dump that was made too early says so by their mean.
fn tell_scores(task: &mut Task<'_>, dump: &str, scores: i64) {
    task.figure("score_sum", scores as f64);
    let mean = scores as f64 / task.counts.read.max(1) as f64;
    if task.counts.read >= 1000 && mean < 1.5 {
        task.run().progress().line(&format!(
            "    note: the mean score of {dump} is {mean:.2}; its scores may be immature, and karma keeps little"
        ));
    }
}

pub(crate) struct Merge;

impl Stage for Merge {
    fn name(&self) -> &'static str {
        "links.merge"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let (links, policy) = settings(run)?;
        let inputs = run.outputs("links.read", "work/")?;
        let dumps: Vec<String> = Recipe::expand(&links.dumps)?
            .iter()
            .map(|dump| dump.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        let tasks = (0..run.recipe().limits.buckets).map(|bucket| {
            let (policy, dumps, inputs_of_task) = (policy.clone(), dumps.clone(), inputs.clone());
            TaskPlan {
                inputs: inputs.clone(),
                settings: json!({"karma": links.karma, "dumps": dumps, "bucket": bucket}),
                work: Box::new(move |task| {
                    let mut sorter = Sorter::new(task.scratch()?, sort_memory(task.run()));
                    let mut rows = 0;
                    for path in paths(task.run(), &inputs_of_task) {
                        for row in BucketReader::<Row>::open(&path, bucket)? {
                            sorter.push(row?)?;
                            rows += 1;
                        }
                    }
                    task.receive("links.read", rows);
                    merge(task, sorter, &policy, &dumps, bucket)
                }),
            }
        });
        Ok(tasks.collect())
    }
}

fn merge(
    task: &mut Task<'_>,
    sorter: Sorter<Row>,
    policy: &Policy,
    dumps: &[String],
    bucket: u32,
) -> anyhow::Result<()> {
    let name = format!("links/{bucket:05}.parquet");
    let mut table = TableWriter::create(&task.path(&name))?;
    merge_rows(sorter.finish()?, policy, dumps, &mut task.counts, |link| table.push(link))?;
    let written = table.finish()?;
    task.wrote(&name, written);
    Ok(())
}
