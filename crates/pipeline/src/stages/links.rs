//! `links.read`: one task a dump; `links.merge`: one task a bucket of registrable domains.

use anyhow::Context;
use ledger::buckets::{BucketReader, BucketWriter};
use ledger::sort::Sorter;
use ledger::table::TableWriter;
use ledger::{Reason, bucket_of};
use links::dump::{Line, Lines};
use links::{Policy, Row, Submission};
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
    let mut scores = 0i64;
    let mut lines = match Lines::open(dump, limit_bytes) {
        Ok(lines) => Some(lines),
        Err(error) => {
            task.unreadable(&shown, &error);
            None
        }
    };
    while let Some(reader) = &mut lines {
        let line = match reader.next() {
            Ok(None) => break,
            Ok(Some(line)) => line,
            Err(error) => {
                task.unreadable(&shown, &error);
                break;
            }
        };
        // The line's number is read after the line is done with, since the line borrows the reader.
        let row = match line {
            Line::TooLong(len) => Err((Reason::RecordTooLong, format!("{len} bytes"))),
            Line::Whole(bytes) => match Submission::parse(bytes) {
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    Err((Reason::MalformedRecord, format!("{cause}: {}", String::from_utf8_lossy(bytes))))
                }
                Ok(submission) => {
                    scores = scores.saturating_add(submission.score);
                    policy
                        .submission(&submission, number, 0)
                        .map_err(|reason| (reason, submission.title.as_deref().unwrap_or("").to_owned()))
                }
            },
        };
        let line_number = reader.number();
        match row {
            Ok(row) => {
                let row = Row { line: line_number, ..row };
                let domain = if row.domain.is_empty() { &row.key } else { &row.domain };
                writer.push(bucket_of(domain.as_bytes(), buckets), &row)?;
                task.counts.keep();
            }
            Err((reason, text)) => {
                task.counts.drop(reason);
                task.sample(reason, format!("{shown}:{line_number}"), &text);
            }
        }
    }
    let written = writer.finish()?;
    task.wrote(&name, written);
    let mean = scores as f64 / task.counts.read.max(1) as f64;
    if task.counts.read >= 1000 && mean < 1.5 {
        task.run().progress().line(&format!(
            "    note: the mean score of {shown} is {mean:.2}; its scores may be immature, and karma keeps little"
        ));
    }
    Ok(())
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
    let mut same: Vec<Row> = Vec::new();
    let mut finish_group = |task: &mut Task<'_>, same: &mut Vec<Row>| -> anyhow::Result<()> {
        if !same.is_empty() {
            let link = policy.merge(same, dumps);
            (1..same.len()).for_each(|_| task.counts.drop(Reason::SameLink));
            task.counts.record(link.verdict);
            table.push(link)?;
            same.clear();
        }
        Ok(())
    };
    for row in sorter.finish()? {
        let row = row?;
        if same.first().is_some_and(|first| (&first.domain, &first.key) != (&row.domain, &row.key)) {
            finish_group(task, &mut same)?;
        }
        same.push(row);
    }
    finish_group(task, &mut same)?;
    let written = table.finish()?;
    task.wrote(&name, written);
    Ok(())
}
