//! `pages.copy`: one task per bucket of registrable domains. Captures that Common Crawl's index has of the links are
//! copied out of its archives.

use std::sync::Arc;

use ::common_crawl::{CommonCrawlError, LinkSource, Run, Settings};
use anyhow::{Context, ensure};
use atomic_file::IoContext;
use records::{Outcome, Reason};
use serde::{Deserialize, Serialize};

use super::selected::Selected;
use super::{Archive, Captured, LinksLeft, LinksOfBucket, is_sampled, store_error};
use crate::engine::{Buckets, File, Flow, Interrupted, Planner, Product, Table, Task, Work};
use crate::recipe::Pages;
use crate::stages::bucket_name;

/// Where a task keeps its archives, its plan and its journal.
const STATE: &str = "pages/{stage}/{name}";

/// Adds the stage.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let stage = flow.stage_of_source("pages.copy", number, move |plan| {
        let settings = pages.common_crawl.clone().context("the recipe has no [pages.common_crawl]")?;
        let capture = pages.capture.unwrap_or(settings.capture);
        let settings = Settings { capture, max_page_bytes: pages.max_page_bytes, ..settings };
        let links = left.of_buckets(plan, buckets)?.into_iter().enumerate();
        let task = |(bucket, links): (usize, LinksOfBucket)| {
            let task = CopyPages { links, settings: settings.clone(), sample: pages.sample, buckets };
            (bucket_name(bucket as u32), task)
        };
        Ok(links.map(task).collect())
    });
    let archives = stage.product(CopyPages::ARCHIVES);
    Captured {
        selected: stage.product(CopyPages::SELECTED),
        outcomes: stage.product(CopyPages::OUTCOMES),
        archives: Arc::new(move |plan: &Planner<'_>| {
            Ok(plan.files(archives)?.into_iter().map(|(_, file)| Archive::own(file)).collect())
        }),
    }
}

/// Copies the captures of one bucket's links.
#[derive(Serialize, Deserialize)]
struct CopyPages {
    links: LinksOfBucket,
    settings: Settings,
    sample: f64,
    buckets: u32,
}

impl CopyPages {
    const ARCHIVES: Product<CopyPages, File> = Product::new("archives", STATE);
    const SELECTED: Product<CopyPages, Buckets<Selected>> = Product::new("selected", "work/{stage}/{name}.selected");
    const OUTCOMES: Product<CopyPages, Table<Outcome>> =
        Product::new("outcomes", "pages/outcomes{suffix}-{name}.parquet");
}

impl Task for CopyPages {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> anyhow::Result<()> {
        let state = work.state(STATE)?;
        let settings = Settings { sort_memory_bytes: work.sort_memory_bytes(), ..self.settings.clone() };
        let mut copied = match self.copy(work, &settings, &state) {
            Err(CommonCrawlError::Stopped) => return Err(Interrupted.into()),
            Err(CommonCrawlError::OtherRun { what, .. }) => {
                work.progress().line(&format!("    begun with {what}: what was copied is removed, and copied anew"));
                std::fs::remove_dir_all(state.folder()).at("remove", state.folder())?;
                let state = work.state(STATE)?;
                self.copy(work, &settings, &state)?
            }
            other => other?,
        };
        state.save()?;
        let mut outcomes = work.create_table(CopyPages::OUTCOMES)?;
        let mut selected = work.create_buckets(CopyPages::SELECTED, self.buckets)?;
        // Both are sorted by domain and key.
        for link in self.links.left(work)? {
            let link = link?;
            if !is_sampled(&link.page(), self.sample) {
                work.counts.drop(Reason::NotSampled);
                outcomes.push(link.without_page(Reason::NotSampled, None))?;
                continue;
            }
            let outcome = copied.next().with_context(|| format!("{} has no outcome", link.key))??;
            ensure!(link.key == outcome.key, "the outcome of {} is that of {}", link.key, outcome.key);
            work.counts.record(outcome.verdict);
            if let Some(row) = Selected::of_outcome(&link, &outcome) {
                selected.push(row.bucket(self.buckets), &row)?;
            }
            outcomes.push(outcome)?;
        }
        drop(copied);
        outcomes.finish()?;
        selected.finish()?;
        for entry in std::fs::read_dir(state.folder()).at("list", state.folder())? {
            let name = entry.at("list", state.folder())?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".warc.gz") {
                work.register_state(CopyPages::ARCHIVES, &state, &name)?;
            }
        }
        Ok(())
    }
}

impl CopyPages {
    fn copy(
        &self,
        work: &Work<'_>,
        settings: &Settings,
        state: &store::State,
    ) -> Result<::common_crawl::Outcomes, CommonCrawlError> {
        let sample = self.sample;
        let links = self.links.look_ahead(work).map_err(store_error)?;
        let links = links.filter(move |link| link.as_ref().map_or(true, |link| is_sampled(&link.page(), sample)));
        let (progress, shown) = (work.progress(), state.key(""));
        let run = Run {
            folder: state.folder(),
            prefix: work.name(),
            shown: &shown,
            stop: &|| work.is_stopping(),
            log: &|line| progress.message(line.to_owned()),
        };
        ::common_crawl::fetch(LinkSource::Rows(Box::new(links.map(|link| link.map_err(store_error)))), settings, &run)
    }
}
