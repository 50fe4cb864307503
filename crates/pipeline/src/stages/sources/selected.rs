//! `pages.select`: one task per bucket of archives. It sorts the selected captures by their place, so that the task
//! that reads a group of archives reads one range of one file.

use std::collections::BTreeMap;

use records::{Link, Outcome, PageKey};
use serde::{Deserialize, Serialize};
use store::bucket_of;

use super::capture::PageForm;
use super::{Archive, ArchiveGroup, Captured, archive_groups};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Planner, Product, StageRef, Task, Work};
use crate::error::{Result, bail};
use crate::stages::bucket_name;

/// A capture that was selected for a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct Selected {
    /// The archive's name.
    pub(super) archive: String,
    pub(super) offset: u64,
    pub(super) offset_in_member: u64,
    pub(super) page: PageKey,
    /// The URL that answered.
    pub(super) url: String,
    /// When it was captured, in seconds since 1970.
    pub(super) captured_utc: Option<i64>,
    /// The file that the page was packed from, if it was.
    pub(super) file: Option<String>,
    pub(super) form: PageForm,
    pub(super) link: Option<PageLink>,
}

/// The properties of the link that led to a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct PageLink {
    pub(in crate::stages) url: Option<String>,
    pub(in crate::stages) karma: Option<i64>,
    pub(in crate::stages) subreddit: Option<String>,
    pub(in crate::stages) created_utc: Option<i64>,
}

impl PageLink {
    /// The properties of a link.
    pub(super) fn of(link: &Link) -> PageLink {
        PageLink {
            url: Some(link.url.clone()),
            karma: link.karma,
            subreddit: link.subreddit.clone(),
            created_utc: link.created_utc,
        }
    }
}

/// The place of a capture in a group of archives, and its page. It holds nothing of the link, so that a changed link
/// extracts no page again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct CapturePlace {
    /// Number of the archive in its group.
    pub(in crate::stages) archive: u32,
    pub(in crate::stages) offset: u64,
    pub(in crate::stages) offset_in_member: u64,
    pub(in crate::stages) page: PageKey,
    pub(in crate::stages) url: String,
    pub(in crate::stages) captured_utc: Option<i64>,
    pub(in crate::stages) file: Option<String>,
    pub(in crate::stages) form: PageForm,
}

store::spill_rows!(Selected = 1, CapturePlace = 1, PageLink = 1);

impl Selected {
    /// The page that a link's outcome names, if it has one.
    pub(super) fn of_outcome(link: &Link, outcome: &Outcome) -> Option<Selected> {
        let (None, Some(offset), Some(archive)) = (outcome.verdict, outcome.offset, &outcome.warc) else { return None };
        Some(Selected {
            archive: archive.clone(),
            offset,
            offset_in_member: 0,
            page: link.page(),
            url: outcome.final_url.clone().unwrap_or_else(|| link.url.clone()),
            captured_utc: outcome.captured.as_deref().and_then(::warc::unix_seconds),
            file: None,
            form: PageForm::Html,
            link: Some(PageLink::of(link)),
        })
    }

    /// The bucket of the archive.
    pub(super) fn bucket(&self, buckets: u32) -> u32 {
        bucket_of(self.archive.as_bytes(), buckets)
    }
}

/// The groups of a source's archives.
pub(in crate::stages) fn groups(
    plan: &Planner<'_>,
    source: usize,
    captured: &Captured,
    buckets: u32,
) -> Result<Vec<ArchiveGroup<Archive>>> {
    let archives = (captured.archives)(plan)?;
    Ok(archive_groups(source, buckets, archives, |archive| (&archive.name, archive.len_bytes)))
}

/// Adds the stage for a source.
pub(in crate::stages) fn add(
    flow: &mut Flow,
    source: usize,
    captured: Captured,
    buckets: u32,
) -> StageRef<SelectPages> {
    flow.stage_of_source("pages.select", source, move |plan| {
        let mut names: BTreeMap<u32, Vec<Vec<String>>> = BTreeMap::new();
        for group in groups(plan, source, &captured, buckets)? {
            let archives = group.archives.into_iter().map(|archive| archive.name).collect();
            names.entry(group.bucket).or_default().push(archives);
        }
        let selected = plan.buckets(captured.selected, buckets)?.into_iter();
        let task = |selected: Bucket<Selected>| {
            let groups = names.remove(&selected.bucket).unwrap_or_default();
            (bucket_name(selected.bucket), SelectPages { selected, groups })
        };
        Ok(selected.map(task).collect())
    })
}

/// Sorts the captures in the archives of one bucket.
#[derive(Serialize, Deserialize)]
pub(in crate::stages) struct SelectPages {
    selected: Bucket<Selected>,
    /// The names of the archives of each group.
    groups: Vec<Vec<String>>,
}

impl SelectPages {
    /// Places of captures; a bucket per group.
    pub(in crate::stages) const PLACES: Product<SelectPages, Buckets<CapturePlace>> =
        Product::new("places", "work/{stage}/{name}.places");
    /// For each place, in the same order, the link that led to it.
    pub(in crate::stages) const LINKS: Product<SelectPages, Buckets<PageLink>> =
        Product::new("links", "work/{stage}/{name}.links");
}

impl Task for SelectPages {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut group_of: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for (group, archives) in self.groups.iter().enumerate() {
            for (number, archive) in archives.iter().enumerate() {
                group_of.insert(archive, (group as u32, number as u32));
            }
        }
        let selected = work.receive(&self.selected)?;
        let count = self.groups.len() as u32;
        let mut places: BucketOutput<CapturePlace> = work.create_buckets(SelectPages::PLACES, count)?;
        let mut links: BucketOutput<PageLink> = work.create_buckets(SelectPages::LINKS, count)?;
        for selected in selected {
            let Selected { archive, offset, offset_in_member, page, url, captured_utc, file, form, link } = selected?;
            let Some(&(group, archive)) = group_of.get(archive.as_str()) else {
                bail!(Bug, "a capture lies in {archive}, which is no archive of this source");
            };
            places.push(
                group,
                &CapturePlace { archive, offset, offset_in_member, page, url, captured_utc, file, form },
            )?;
            links.push(group, &link.unwrap_or_default())?;
        }
        places.finish()?;
        links.finish()
    }
}
