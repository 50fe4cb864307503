//! `pages.fetch`: one task a bucket of registrable domains, so that a domain has one caller.

use std::fs;
use std::sync::Arc;

use anyhow::Context;
use fetch::{FetchError, Fetcher};
use ledger::buckets::BucketWriter;
use ledger::manifest::FileRecord;
use ledger::table::{TableReader, TableWriter};
use ledger::{IoContext, Link, atomic, checksum_file};
use serde_json::json;

use crate::engine::{Interrupted, Run, Stage, Task, TaskPlan};
use crate::stages::pages::Selected;

pub(crate) struct Fetch;

impl Stage for Fetch {
    fn name(&self) -> &'static str {
        "pages.fetch"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let settings = run.recipe().pages.fetch.clone().context("the recipe has no [pages.fetch]")?;
        let fetcher = Arc::new(Fetcher::new(settings.clone())?);
        let links = run.outputs("links.merge", "links/")?;
        let archives = links.len() as u32;
        let tasks = links.into_iter().enumerate().map(|(number, table)| {
            let fetcher = fetcher.clone();
            TaskPlan {
                inputs: vec![table.clone()],
                settings: json!({"fetch": settings}),
                work: Box::new(move |task| fetch_links(task, &fetcher, &table, number as u32, archives)),
            }
        });
        Ok(tasks.collect())
    }
}

fn fetch_links(
    task: &mut Task<'_>,
    fetcher: &Fetcher,
    table: &FileRecord,
    number: u32,
    archives: u32,
) -> anyhow::Result<()> {
    let mut links = Vec::new();
    for link in TableReader::<Link>::open(&task.path(&table.path))? {
        let link = link?;
        if link.verdict.is_none() {
            links.push(link);
        }
    }
    task.receive("links.merge", links.len() as u64);
    let by_key: std::collections::HashMap<String, Link> =
        links.iter().map(|link| (link.key.clone(), link.clone())).collect();
    let warc_name = format!("pages/{number:05}.warc.gz");
    let (open, journal) = (task.scratch()?.join("pages.warc.gz.open"), task.scratch()?.join("journal.jsonl"));
    let warc_path = task.path(&warc_name);
    if !open.exists() && warc_path.exists() {
        // A kill between the rename and the manifest, or changed links: go on with what is there.
        fs::rename(&warc_path, &open).at("take back", &warc_path)?;
    }
    let run = task.run();
    let outcomes = match fetcher.run(links, &open, &warc_name, &journal, &|| run.is_stopping()) {
        Err(FetchError::Stopped) => return Err(Interrupted.into()),
        other => other?,
    };
    let table_name = format!("pages/outcomes-{number:05}.parquet");
    let selected_name = format!("work/pages.fetch/{number:05}.buckets");
    let mut outcomes_table = TableWriter::create(&task.path(&table_name))?;
    let mut selected = BucketWriter::create(&task.path(&selected_name), archives)?;
    for outcome in outcomes {
        // The journal may know links that a changed recipe no longer asks for.
        let Some(link) = by_key.get(&outcome.key) else { continue };
        task.counts.record(outcome.verdict);
        if let (None, Some(offset)) = (outcome.verdict, outcome.offset) {
            let row = Selected {
                offset,
                within: 0,
                key: link.key.clone(),
                url: link.url.clone(),
                domain: link.domain.clone(),
                karma: Some(link.karma),
                subreddit: link.subreddit.clone(),
            };
            selected.push(number, &row)?;
        }
        outcomes_table.push(outcome)?;
    }
    let written = outcomes_table.finish()?;
    task.wrote(&table_name, written);
    let written = selected.finish()?;
    task.wrote(&selected_name, written);
    fs::create_dir_all(task.path("pages")).at("create the folder", &task.path("pages"))?;
    fs::rename(&open, &warc_path).at("rename into place", &warc_path)?;
    let (len_bytes, checksum) = checksum_file(&warc_path)?;
    task.wrote(&warc_name, atomic::Written { len_bytes, checksum });
    Ok(())
}
