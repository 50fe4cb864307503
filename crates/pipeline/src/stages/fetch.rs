//! `pages.fetch`: one task a bucket of registrable domains, so that a domain has one caller.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use fetch::{Budget, Ended, FetchError, Fetcher, Frontier, Monitor, Place};
use store::buckets::BucketWriter;
use crate::manifest::FileRecord;
use store::table::{TableReader, TableWriter};
use atomic_file::IoContext;
use records::Link;
use store::checksum_file;
use serde_json::json;

use crate::engine::{Interrupted, Run, Stage, Task, TaskPlan};
use crate::stages::pages::Selected;
use crate::stages::sort_memory;

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Fetch;

impl Stage for Fetch {
    fn name(&self) -> &'static str {
        "pages.fetch"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let settings = run.recipe().pages.fetch.clone().context("the recipe has no [pages.fetch]")?;
        let fetcher = Arc::new(Fetcher::new(settings.clone())?);
        let links = run.outputs("links.merge", "links/")?;
        let tasks = links.into_iter().enumerate().map(|(number, table)| {
            let fetcher = fetcher.clone();
            TaskPlan {
                inputs: vec![table.clone()],
                settings: json!({"fetch": settings}),
                work: Box::new(move |task| fetch_links(task, &fetcher, &table, number as u32)),
            }
        });
        Ok(tasks.collect())
    }
}

/// The kept links of a table.
fn kept_links(
    task: &Task<'_>,
    table: &FileRecord,
) -> anyhow::Result<impl Iterator<Item = store::Result<Link>> + use<>> {
    let links = TableReader::<Link>::open(&task.path(&table.path))?;
    Ok(links.filter(|link| link.as_ref().map_or(true, |link| link.verdict.is_none())))
}

fn fetch_links(task: &mut Task<'_>, fetcher: &Fetcher, table: &FileRecord, number: u32) -> anyhow::Result<()> {
    let state = task.scratch()?;
    let cap = fetcher.settings().pages_a_domain_max;
    let source = table.checksum.clone();
    let frontier = match Frontier::open(&state, &source, cap)? {
        Some(frontier) => frontier,
        None => Frontier::build(kept_links(task, table)?, &state, &source, cap, sort_memory(task.run()))?,
    };
    task.receive("links.merge", frontier.links());
    let place = Place { archive: task.path("pages"), state, prefix: format!("{number:05}"), shown: "pages/".into() };
    match fetch_all(task, fetcher, &frontier, &place) {
        // The recipe decides otherwise now; what was decided before does not fit beside it.
        Err(error @ FetchError::OtherSettings { .. }) => {
            task.run().progress().line(&format!("    {error}: its pages are removed, and asked for anew"));
            forget(&place)?;
            fetch_all(task, fetcher, &frontier, &place)?;
        }
        other => other?,
    }
    if task.run().is_stopping() {
        return Err(Interrupted.into());
    }
    write_outcomes(task, table, &frontier, &place, number)
}

/// Fetches until every link has its outcome, or the run is to stop.
fn fetch_all(task: &Task<'_>, fetcher: &Fetcher, frontier: &Frontier, place: &Place) -> Result<(), FetchError> {
    let (run, monitor) = (task.run(), Monitor::default());
    std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| fetcher.run(frontier, place, 1, Budget::default(), &monitor, &|| run.is_stopping()));
        while !fetching.is_finished() {
            std::thread::park_timeout(TOLD_EVERY / 10);
            let now = monitor.snapshot();
            for line in monitor.take_lines() {
                run.progress().line(&format!("    {line}"));
            }
            run.progress().message(format!("{} of {} links done, {} pages", now.done, now.links, now.pages));
        }
        let ended = fetching.join().expect("the fetcher does not panic")?;
        debug_assert!(ended != Ended::Budget, "there is none");
        Ok(())
    })
}

/// Removes what an earlier try has left, but not the list.
fn forget(place: &Place) -> anyhow::Result<()> {
    for name in names(place, "")? {
        let path = place.archive.join(name);
        fs::remove_file(&path).at("remove", &path)?;
    }
    for worker in 0.. {
        let journal = place.state.join(format!("journal-{worker:02}.log"));
        if !journal.exists() {
            return Ok(());
        }
        fs::remove_file(&journal).at("remove", &journal)?;
    }
    Ok(())
}

/// The files of a task in the folder of archives, sorted.
fn names(place: &Place, suffix: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&place.archive).at("list", &place.archive)? {
        let name = entry.at("list", &place.archive)?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{}-", place.prefix)) && name.ends_with(suffix) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The table of outcomes, and the pages that are to be read, by archive.
fn write_outcomes(
    task: &mut Task<'_>,
    table: &FileRecord,
    frontier: &Frontier,
    place: &Place,
    number: u32,
) -> anyhow::Result<()> {
    let archives = names(place, ".warc.gz")?;
    let table_name = format!("pages/outcomes-{number:05}.parquet");
    let selected_name = format!("work/pages.fetch/{number:05}.buckets");
    let mut outcomes_table = TableWriter::create(&task.path(&table_name))?;
    let mut selected = BucketWriter::create(&task.path(&selected_name), archives.len().max(1) as u32)?;
    let links = kept_links(task, table)?;
    let outcomes = fetch::outcomes(frontier, place, sort_memory(task.run()))?;
    // Both are sorted by domain and key.
    for (link, outcome) in links.zip(outcomes) {
        let (link, outcome) = (link?, outcome?);
        ensure!(link.key == outcome.key, "the outcome of {} is that of {}", link.key, outcome.key);
        task.counts.record(outcome.verdict);
        if let (None, Some(offset), Some(warc)) = (outcome.verdict, outcome.offset, &outcome.warc) {
            let name = warc.strip_prefix(&place.shown).unwrap_or(warc);
            let archive = archives.binary_search_by(|known| known.as_str().cmp(name));
            let archive = archive.ok().with_context(|| format!("{warc} is not there"))?;
            let row = Selected {
                offset,
                within: 0,
                key: link.key,
                url: link.url,
                domain: link.domain,
                karma: Some(link.karma),
                subreddit: link.subreddit,
            };
            selected.push(archive as u32, &row)?;
        }
        outcomes_table.push(outcome)?;
    }
    let written = outcomes_table.finish()?;
    task.wrote(&table_name, written);
    let written = selected.finish()?;
    task.wrote(&selected_name, written);
    for name in names(place, "")? {
        let path = place.archive.join(&name);
        let (len_bytes, checksum) = checksum_file(&path)?;
        task.wrote(&format!("pages/{name}"), atomic_file::Written { len_bytes, checksum });
    }
    Ok(())
}
