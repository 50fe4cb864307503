//! `pages.copy`: one task per bucket of registrable domains. Captures of the links in Common Crawl's index are copied
//! from its archives.

use std::sync::Arc;

use ::common_crawl::{CommonCrawlError, CommonCrawlSettings, CopyOutcomes, CopyRun, LinkSource};
use atomic_file::IoContext;
use links::CanonicalRules;
use records::{CaptureChoice, Outcome};
use serde::{Deserialize, Serialize};

use super::requested::{self, is_archive, names_in};
use super::selected::Selected;
use super::{Archive, Captured, LinksLeft, LinksOfBucket, store_error};
use crate::engine::{Buckets, File, Flow, Planner, Product, Table, Task, Work};
use crate::error::{Error, OrBug as _, Result};
use crate::recipe::Pages;
use crate::stages::bucket_name;

/// Where a task keeps its archives, its plan and its journal.
const STATE: &str = "pages/{stage}/{name}";

/// Adds the stage.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let stage = flow.stage_of_source("pages.copy", number, move |plan| {
        let settings = pages.common_crawl.clone().or_bug(|| "the recipe has no [pages.common_crawl]".to_owned())?;
        let links = left.of_buckets(plan, buckets)?.into_iter().enumerate();
        let task = |(bucket, links): (usize, LinksOfBucket)| {
            let task = CopyPages {
                links,
                settings: settings.clone(),
                canonical: left.canonical.clone(),
                capture: pages.capture.unwrap_or_default(),
                max_page_bytes: pages.max_page_bytes,
                sample: pages.sample_fraction,
                buckets,
            };
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
    settings: CommonCrawlSettings,
    canonical: CanonicalRules,
    capture: CaptureChoice,
    max_page_bytes: u64,
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
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let state = work.state(STATE)?;
        let settings = CommonCrawlSettings {
            capture: self.capture,
            unwrap: self.canonical.unwrap.iter().copied().collect(),
            max_page_bytes: self.max_page_bytes,
            sort_memory_bytes: work.sort_memory_bytes(),
            ..self.settings.clone()
        };
        let copied = match self.copy(work, &settings, &state) {
            Err(CommonCrawlError::Stopped) => return Err(Error::Interrupted),
            Err(CommonCrawlError::OtherRun { what, .. }) => {
                tracing::warn!("begun with {what}; what was copied is removed and copied again");
                std::fs::remove_dir_all(state.folder()).at("remove", state.folder())?;
                let state = work.state(STATE)?;
                self.copy(work, &settings, &state)?
            }
            other => other?,
        };
        state.save()?;
        let of_bucket = (&self.links, self.sample, self.buckets);
        requested::write_outcomes(work, of_bucket, copied, CopyPages::OUTCOMES, CopyPages::SELECTED)?;
        for name in names_in(state.folder())?.into_iter().filter(|name| is_archive(name)) {
            work.register_state(CopyPages::ARCHIVES, &state, &name)?;
        }
        Ok(())
    }
}

impl CopyPages {
    fn copy(
        &self,
        work: &Work<'_>,
        settings: &CommonCrawlSettings,
        state: &store::State,
    ) -> Result<CopyOutcomes, CommonCrawlError> {
        let links = requested::wanted(work, &self.links, self.sample).map_err(store_error)?;
        let (observer, shown) = (work.observer(), state.key(""));
        let run = CopyRun {
            folder: state.folder(),
            prefix: work.name(),
            shown: &shown,
            stop: &|| work.is_stopping(),
            progress: &|line| observer.task_does(line),
        };
        ::common_crawl::fetch(LinkSource::Rows(Box::new(links.map(|link| link.map_err(store_error)))), settings, &run)
    }
}
