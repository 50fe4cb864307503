//! Shared by the sources that request each link: every link gets the outcome of its request.

use std::path::Path;

use atomic_file::IoContext;
use records::{Link, Outcome, Reason};

use super::selected::Selected;
use super::{LinksOfBucket, is_sampled};
use crate::engine::{Buckets, Product, Table, Work};
use crate::error::{Error, OrBug as _, Result, ensure};

/// The links of a bucket that are requested: those in the sample that no earlier source has a page for. They are not
/// counted here, but when they get their outcomes.
pub(super) fn wanted(
    work: &Work<'_>,
    links: &LinksOfBucket,
    sample: f64,
) -> Result<impl Iterator<Item = Result<Link>> + use<>> {
    let links = links.look_ahead(work)?;
    Ok(links.filter(move |link| link.as_ref().map_or(true, |link| is_sampled(&link.page(), sample))))
}

/// Writes the outcome of every link of a bucket, and routes the pages to the buckets of their archives. `answers` are
/// the outcomes of the links that [`wanted`] gave, in the same order.
pub(super) fn write_outcomes<T, E>(
    work: &mut Work<'_>,
    (links, sample, buckets): (&LinksOfBucket, f64, u32),
    answers: impl Iterator<Item = Result<Outcome, E>>,
    table: Product<T, Table<Outcome>>,
    selected: Product<T, Buckets<Selected>>,
) -> Result<()>
where
    Error: From<E>,
{
    let mut outcomes = work.create_table(table)?;
    let mut selected = work.create_buckets(selected, buckets)?;
    let mut answers = answers;
    for link in links.left(work)? {
        let link = link?;
        if !is_sampled(&link.page(), sample) {
            work.counts.drop(Reason::NotSampled);
            outcomes.push(link.without_page(Reason::NotSampled, None))?;
            continue;
        }
        let outcome = answers.next().or_bug(|| format!("{} has no outcome", link.key))??;
        ensure!(link.key == outcome.key, Bug, "the outcome of {} is that of {}", link.key, outcome.key);
        work.counts.record(outcome.verdict);
        if let Some(row) = Selected::of_outcome(&link, &outcome) {
            selected.push(row.bucket(buckets), &row)?;
        }
        outcomes.push(outcome)?;
    }
    outcomes.finish()?;
    selected.finish()
}

/// The names of the files in a folder, sorted.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).at("list", folder)? {
        names.push(entry.at("list", folder)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Whether a file is a finished archive.
pub(super) fn is_archive(name: &str) -> bool {
    name.ends_with(".warc.gz")
}
