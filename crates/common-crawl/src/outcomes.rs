//! The outcome of each link: by the journal if it has a capture to copy, otherwise by the plan.

use std::cmp::Ordering;
use std::iter::Peekable;

use records::{Outcome, PageKey};
use serde::{Deserialize, Serialize};
use store::sort::{Sorted, Sorter};
use store::table::TableReader;
use warc::{ArchiveNames, JournalReader};

use crate::CopyPlan;
use crate::choose::{self, PlannedCapture};
use crate::error::CommonCrawlError;
use crate::journal::{self, Fate, Frame};
use crate::run::{CopyRun, RunState};
use crate::settings::CommonCrawlSettings;

/// The outcomes of a run, one for each kept link, sorted by domain and key. That of a copied capture names its archive
/// and the offset in it.
///
/// The run's folder is locked until this is dropped.
pub struct CopyOutcomes {
    copied: Peekable<Sorted<Numbered>>,
    misses: Peekable<TableReader<Outcome>>,
    _state: RunState,
}

impl CopyOutcomes {
    /// Reads the journal of a complete run.
    pub(crate) fn open(
        state: RunState,
        plan: &CopyPlan,
        settings: &CommonCrawlSettings,
        run: &CopyRun<'_>,
    ) -> Result<CopyOutcomes, CommonCrawlError> {
        let names = run.archive_names();
        let mut rows = TableReader::<PlannedCapture>::open(&state.path("plan.parquet"))?;
        let mut sorter = Sorter::<Numbered>::new(&state.folder, settings.sort_memory_bytes);
        let mut copied = 0;
        for frame in JournalReader::<Frame>::open(&state.path("journal"), &journal::MAGIC)? {
            let (_, Frame { archive, fates, .. }) = frame?;
            for fate in fates {
                let row = rows.next().expect("the journal has a fate for each row of the plan")?;
                copied += 1;
                sorter.push(Numbered(row.link, outcome(row, &names, run.shown, archive, fate)))?;
            }
        }
        assert_eq!(copied, plan.counts.kept, "each row of the plan has a fate");
        let misses = TableReader::open(&state.path("misses.parquet"))?.peekable();
        Ok(CopyOutcomes { copied: sorter.finish()?.peekable(), misses, _state: state })
    }
}

impl Iterator for CopyOutcomes {
    type Item = Result<Outcome, CommonCrawlError>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = |outcome: &Outcome| PageKey { domain: outcome.domain.clone(), key: outcome.key.clone() };
        let is_copied_next = match (self.copied.peek(), self.misses.peek()) {
            (Some(Ok(copied)), Some(Ok(miss))) => page(&copied.1) < page(miss),
            // An error is returned at once.
            (Some(Err(_)), _) | (Some(_), None) => true,
            _ => false,
        };
        let next = if is_copied_next { self.copied.next()?.map(|numbered| numbered.1) } else { self.misses.next()? };
        Some(next.map_err(CommonCrawlError::from))
    }
}

/// An outcome with the number of its link, by which it is sorted.
#[derive(Serialize, Deserialize)]
struct Numbered(u32, Outcome);

impl PartialEq for Numbered {
    fn eq(&self, other: &Numbered) -> bool {
        self.0 == other.0
    }
}

impl Eq for Numbered {}

impl Ord for Numbered {
    fn cmp(&self, other: &Numbered) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Numbered {
    fn partial_cmp(&self, other: &Numbered) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn outcome(row: PlannedCapture, names: &ArchiveNames, shown: &str, archive: u32, fate: Fate) -> Outcome {
    let mut outcome = Outcome {
        domain: row.domain,
        key: row.key,
        url: row.url,
        final_url: Some(row.captured_url),
        status: Some(200),
        content_type: row.mime,
        captured: choose::date(row.fetched_ms),
        warc: None,
        offset: None,
        detail: None,
        verdict: None,
    };
    match fate {
        Fate::Copied { offset } => {
            outcome.warc = Some(format!("{shown}{}", names.name(archive)));
            outcome.offset = Some(offset);
        }
        Fate::Dropped { reason, detail, status } => {
            outcome.status = status.or(outcome.status);
            outcome.detail = Some(detail);
            outcome.verdict = Some(reason);
        }
    }
    outcome
}
