//! Where pages come from. Every source ends in the same products: archives, and which of their records are taken for
//! which page.
//!
//! A source is a file here, a variant of [`PageSource`] and a line in [`add`]. Stages after [`Captured`] do not depend
//! on the kind of source.

mod capture;
mod common_crawl;
mod fetch;
mod html;
mod match_pages;
mod pack;
mod requested;
mod revisits;
mod selected;
mod texts;
mod warc;

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use ::links::CanonicalRules;
use records::{Link, Outcome, PageKey, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::{Buckets, External, File, Flow, Planner, Table, Wire, Work, stable_runs};
use crate::error::{Error, Result};
use crate::recipe::{PageSource, Pages};

pub(super) use capture::{PageForm, page_of};
pub(super) use selected::{CapturePlace, PageLink, SelectPages, add as add_select, groups};

/// Mean number of archives per task, and maximum of their bytes; a larger archive is a task of its own.
const MEAN_ARCHIVES_PER_TASK: u64 = 48;
const MAX_BYTES_PER_TASK: u64 = 64 << 20;

/// The products of a source of pages.
#[derive(Clone)]
pub(super) struct Captured {
    /// The selected captures, in buckets by the name of their archive.
    pub(super) selected: Wire<Buckets<selected::Selected>>,
    /// Outcomes of links and captures.
    pub(super) outcomes: Wire<Table<Outcome>>,
    /// The archives.
    pub(super) archives: ArchiveList,
}

/// Finds the archives of a source once its stages are sealed.
pub(super) type ArchiveList = Arc<dyn Fn(&Planner<'_>) -> Result<Vec<Archive>> + Send + Sync>;

/// Adds the stages of a source.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    match settings.from {
        PageSource::Fetch => fetch::add(flow, number, settings, left, buckets),
        PageSource::CommonCrawl => common_crawl::add(flow, number, settings, left, buckets),
        PageSource::Warc => warc::add(flow, number, settings, left, None, buckets),
        PageSource::Html => html::add(flow, number, settings, left, buckets),
        PageSource::Texts => texts::add(flow, number, settings, left, buckets),
    }
}

/// An archive with its checksum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Archive {
    /// Its key in the run's store, or its URL elsewhere; its name in tables.
    pub(super) name: String,
    /// Whether the run wrote it.
    pub(super) is_own: bool,
    /// Length in bytes.
    pub(super) len_bytes: u64,
    /// XXH3 of its bytes.
    pub(super) checksum: String,
}

impl Archive {
    /// An archive that the run wrote.
    fn own(file: File) -> Archive {
        Archive { name: file.key, is_own: true, len_bytes: file.len_bytes, checksum: file.checksum }
    }

    /// Opens it for reading.
    pub(super) fn open(&self, work: &Work<'_>) -> Result<store::BlobReader> {
        if self.is_own {
            return Ok(store::BlobReader::new(work.store().open(&self.name)?));
        }
        let external = External { url: self.name.clone(), len_bytes: self.len_bytes, version: String::new() };
        Ok(external.open()?)
    }
}

/// Archives that one task reads, and whose documents share a file. A group does not change when archives of other
/// groups are added or removed.
pub(super) struct ArchiveGroup<A> {
    /// Name of the group, and of its tasks.
    pub(super) name: String,
    /// The bucket that all its archives belong to.
    pub(super) bucket: u32,
    pub(super) archives: Vec<A>,
}

/// Groups archives: by bucket of their names, then by runs of small ones.
pub(super) fn archive_groups<A>(
    source: usize,
    buckets: u32,
    archives: Vec<A>,
    name_and_bytes: impl Fn(&A) -> (&str, u64) + Copy,
) -> Vec<ArchiveGroup<A>> {
    let mut by_bucket: BTreeMap<u32, Vec<A>> = BTreeMap::new();
    for archive in archives {
        by_bucket.entry(bucket_of(name_and_bytes(&archive).0.as_bytes(), buckets)).or_default().push(archive);
    }
    let prefix = if source == 0 { String::new() } else { format!("{}-", source + 1) };
    let mut groups = Vec::new();
    for (bucket, mut archives) in by_bucket {
        archives.sort_by(|a, b| name_and_bytes(a).0.cmp(name_and_bytes(b).0));
        for archives in stable_runs(archives, MEAN_ARCHIVES_PER_TASK, MAX_BYTES_PER_TASK, name_and_bytes) {
            let first = xxh3_64(name_and_bytes(&archives[0]).0.as_bytes());
            groups.push(ArchiveGroup { name: format!("{prefix}{bucket:05}-{first:016x}"), bucket, archives });
        }
    }
    groups
}

/// The links for which earlier sources have no page.
#[derive(Clone)]
pub(super) struct LinksLeft {
    pub(super) links: Option<Wire<Table<Link>>>,
    /// What counts as one page, for links and captures alike.
    pub(super) canonical: CanonicalRules,
    pub(super) earlier: Vec<Wire<Table<Outcome>>>,
}

impl LinksLeft {
    /// The links of each bucket.
    fn of_buckets(&self, plan: &Planner<'_>, buckets: u32) -> Result<Vec<LinksOfBucket>> {
        let mut of_buckets: Vec<LinksOfBucket> = (0..buckets).map(|_| LinksOfBucket::default()).collect();
        if let Some(links) = self.links {
            let tables = plan.tables(links)?.into_iter();
            of_buckets.iter_mut().zip(tables).for_each(|(bucket, (_, table))| bucket.links = Some(table));
        }
        for &earlier in &self.earlier {
            let tables = plan.tables(earlier)?.into_iter();
            of_buckets.iter_mut().zip(tables).for_each(|(bucket, (_, table))| bucket.earlier.push(table));
        }
        Ok(of_buckets)
    }
}

/// The links of one bucket, and the outcomes of earlier sources for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct LinksOfBucket {
    links: Option<Table<Link>>,
    earlier: Vec<Table<Outcome>>,
}

impl LinksOfBucket {
    /// Kept links without a page from an earlier source, sorted by page and counted as received.
    fn left(&self, work: &Work<'_>) -> Result<impl Iterator<Item = Result<Link>> + use<>> {
        let links = self.links.as_ref().map(|table| work.table::<Link, _>(table)).transpose()?;
        Ok(unanswered(links.into_iter().flatten(), self.answered(work)?))
    }

    /// The same links without counting them as received.
    fn look_ahead(&self, work: &Work<'_>) -> Result<impl Iterator<Item = Result<Link>> + use<>> {
        let links = self.links.as_ref().map(|table| work.lookup::<Link, _>(table)).transpose()?;
        Ok(unanswered(links.into_iter().flatten(), self.answered(work)?))
    }

    /// The pages that earlier sources have.
    fn answered(&self, work: &Work<'_>) -> Result<Answered> {
        let tables = self.earlier.iter().map(|table| Ok(work.lookup::<OutcomeOfPage, _>(table)?.peekable()));
        Ok(Answered { tables: tables.collect::<Result<_>>()? })
    }
}

/// The kept ones of links that are sorted by page, without those of pages that earlier sources have.
fn unanswered(
    links: impl Iterator<Item = store::Result<Link>>,
    mut answered: Answered,
) -> impl Iterator<Item = Result<Link>> {
    let kept = links.filter(|link| link.as_ref().map_or(true, |link| link.verdict.is_none()));
    kept.filter_map(move |link| match link {
        Err(error) => Some(Err(error.into())),
        Ok(link) => match answered.has(&link.page()) {
            Err(error) => Some(Err(error)),
            Ok(true) => None,
            Ok(false) => Some(Ok(link)),
        },
    })
}

/// What is read of an earlier source's outcome.
#[derive(Serialize, Deserialize)]
struct OutcomeOfPage {
    domain: String,
    key: String,
    verdict: Option<Reason>,
}

/// Pages that earlier sources have, looked up in ascending order.
struct Answered {
    tables: Vec<Peekable<store::table::TableReader<OutcomeOfPage>>>,
}

impl Answered {
    fn has(&mut self, page: &PageKey) -> Result<bool> {
        let mut is_answered = false;
        for table in &mut self.tables {
            loop {
                match table.peek() {
                    Some(Ok(row)) if (&row.domain, &row.key) < (&page.domain, &page.key) => drop(table.next()),
                    Some(Ok(row)) if (&row.domain, &row.key) == (&page.domain, &page.key) => {
                        is_answered |= row.verdict.is_none();
                        if is_answered {
                            break;
                        }
                        table.next();
                    }
                    Some(Err(_)) => drop(table.next().transpose()?),
                    _ => break,
                }
            }
        }
        Ok(is_answered)
    }
}

/// Converts an error of reading links, for crates that take links with the store's errors only.
fn store_error(error: Error) -> store::Error {
    match error {
        Error::Store(error) => error,
        other => store::Error::Row { object: "the links".to_owned(), source: other.into() },
    }
}

/// Whether a page is in a sample of this share, 0 to 1, by the hash of its key.
fn is_sampled(page: &PageKey, share: f64) -> bool {
    share >= 1.0 || (xxh3_64(page.key.as_bytes()) as f64) < share * u64::MAX as f64
}
