//! `pages.match`: one task per bucket of registrable domains. Chooses the capture of each link.

use std::collections::BTreeSet;
use std::iter::Peekable;

use records::{CaptureChoice, Link, Outcome, PageKey, Reason};
use serde::{Deserialize, Serialize};

use super::capture::{Capture, Origin, is_file};
use super::selected::{PageLink, Selected};
use super::{Answered, LinksLeft, LinksOfBucket, is_sampled};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Product, Table, TableOutput, Task, Wire, Work};
use crate::error::Result;
use crate::recipe::Pages;
use crate::stages::bucket_name;

/// Adds the stage for a source whose captures are indexed.
pub(super) fn add(
    flow: &mut Flow,
    number: usize,
    settings: &Pages,
    left: LinksLeft,
    captures: [Wire<Buckets<Capture>>; 2],
    buckets: u32,
) -> (Wire<Buckets<Selected>>, Wire<Table<Outcome>>) {
    let pages = settings.clone();
    let stage = flow.stage_of_source("pages.match", number, move |plan| {
        let links = left.of_buckets(plan, buckets)?;
        let [captures, revisits] = captures;
        let captures = plan.buckets(captures, buckets)?.into_iter().zip(plan.buckets(revisits, buckets)?);
        let tasks = links.into_iter().zip(captures).map(|(links, (captures, revisits))| {
            let Pages { only_links, sample_fraction: sample, .. } = pages;
            let capture = pages.capture.unwrap_or_default();
            let task = MatchPages { links, captures, revisits, only_links, capture, sample, buckets };
            (bucket_name(task.captures.bucket), task)
        });
        Ok(tasks.collect())
    });
    (stage.product(MatchPages::SELECTED), stage.product(MatchPages::OUTCOMES))
}

/// Merges the links and the captures of a bucket.
#[derive(Serialize, Deserialize)]
pub(super) struct MatchPages {
    links: LinksOfBucket,
    captures: Bucket<Capture>,
    /// Captures of content that was captured before, and of what redirects lead to.
    revisits: Bucket<Capture>,
    only_links: bool,
    capture: CaptureChoice,
    sample: f64,
    buckets: u32,
}

impl MatchPages {
    const SELECTED: Product<MatchPages, Buckets<Selected>> = Product::new("selected", "work/{stage}/{name}.selected");
    const OUTCOMES: Product<MatchPages, Table<Outcome>> =
        Product::new("outcomes", "pages/outcomes{suffix}-{name}.parquet");
}

impl Task for MatchPages {
    const REVISION: u32 = 3; // fractions of a second

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let links = self.links.left(work)?;
        let answered = self.links.answered(work)?;
        let captures = merged(work.receive(&self.captures)?, work.receive(&self.revisits)?);
        let outcomes = work.create_table(MatchPages::OUTCOMES)?;
        let selected = work.create_buckets(MatchPages::SELECTED, self.buckets)?;
        let mut matcher = Matcher { task: self, work, answered, outcomes, selected, pages_without_url: 0 };
        matcher.join(links, captures)?;
        if matcher.pages_without_url > 0 {
            matcher.work.metric("pages_without_url", matcher.pages_without_url as f64);
        }
        matcher.outcomes.finish()?;
        matcher.selected.finish()
    }
}

/// A running task of [`MatchPages`].
struct Matcher<'t, 'w, 'r> {
    task: &'t MatchPages,
    work: &'w mut Work<'r>,
    answered: Answered,
    outcomes: TableOutput<Outcome>,
    selected: BucketOutput<Selected>,
    /// Pages that no link can lead to, since they have only a file name.
    pages_without_url: u64,
}

impl Matcher<'_, '_, '_> {
    /// Merges links and captures, both sorted by page.
    fn join(
        &mut self,
        links: impl Iterator<Item = Result<Link>>,
        captures: impl Iterator<Item = store::Result<Capture>>,
    ) -> Result<()> {
        let mut captures = captures.peekable();
        for link in links {
            let link = link?;
            let page = link.page();
            // Captures that sort before the link belong to no link.
            while let Some(group) = next_group(&mut captures, |next| *next < page)? {
                self.decide(None, group)?;
            }
            match next_group(&mut captures, |next| *next == page)? {
                Some(group) => self.decide(Some(&link), group)?,
                None => {
                    let is_sampled = is_sampled(&page, self.task.sample);
                    let reason = if is_sampled { Reason::NotCaptured } else { Reason::NotSampled };
                    self.work.counts.drop(reason);
                    self.outcomes.push(link.without_page(reason, None))?;
                }
            }
        }
        while let Some(group) = next_group(&mut captures, |_| true)? {
            self.decide(None, group)?;
        }
        Ok(())
    }

    /// Writes the outcomes of all captures of a page; the first is that of the page.
    fn decide(&mut self, link: Option<&Link>, mut group: Vec<Capture>) -> Result<()> {
        // A redirect is followed for a link. Whoever takes all pages has what it leads to under its own address, and which
        // pages are taken does not depend on links.
        let follows_redirects = self.task.only_links && link.is_some();
        group.retain(|capture| follows_redirects || capture.origin != Origin::Redirect);
        // Captures of one second differ by fractions of it.
        let created_us = link.and_then(|link| link.created_utc).map(|seconds| seconds.saturating_mul(1_000_000));
        // The best capture first: those without a fault, the page itself before what it once redirected to, then as the
        // recipe prefers; of equals, the first by archive and offset.
        group.sort_by_key(|capture| {
            let captured_us = capture.captured.as_deref().and_then(::warc::unix_microseconds);
            let distance = self.task.capture.distance(captured_us, created_us);
            let place = (capture.archive.clone(), capture.offset, capture.offset_in_member);
            (capture.verdict.is_some(), capture.origin == Origin::Redirect, distance, place)
        });
        // Of the two answers to a revisit, the better one.
        let mut revisits = BTreeSet::new();
        group.retain(|capture| {
            !matches!(capture.origin, Origin::Revisit(..)) || revisits.insert(capture.origin.clone())
        });
        let mut captures = group.into_iter();
        let Some(best) = captures.next() else { return Ok(()) };
        let is_answered = self.answered.has(&best.page)?;
        let verdict = if !is_sampled(&best.page, self.task.sample) {
            Some(Reason::NotSampled)
        } else if is_answered {
            Some(Reason::SupersededCapture)
        } else if link.is_none() && self.task.only_links {
            Some(Reason::NotInLinks)
        } else {
            best.verdict
        };
        self.work.counts.record(verdict);
        self.pages_without_url += u64::from(verdict == Some(Reason::NotInLinks) && is_file(&best.page));
        let url = link.map_or(&best.url, |link| &link.url).clone();
        self.outcomes.push(outcome(&best, url, verdict))?;
        if verdict.is_none() {
            let selected = selected(best, link);
            self.selected.push(selected.bucket(self.task.buckets), &selected)?;
        }
        // What a redirect leads to has a row under its own page.
        for other in captures.filter(|capture| capture.origin != Origin::Redirect) {
            self.work.counts.drop(Reason::SupersededCapture);
            self.outcomes.push(outcome(&other, other.url.clone(), Some(Reason::SupersededCapture)))?;
        }
        Ok(())
    }
}

/// Two sorted sequences as one. Errors come first.
fn merged<T: Ord, E>(
    one: impl Iterator<Item = std::result::Result<T, E>>,
    other: impl Iterator<Item = std::result::Result<T, E>>,
) -> impl Iterator<Item = std::result::Result<T, E>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(Ok(first)), Some(Ok(second))) if second < first => other.next(),
        (Some(_), Some(Err(_))) | (None, _) => other.next(),
        (Some(_), _) => one.next(),
    })
}

/// The next captures, if `wanted` is true for their page, as long as they share it.
fn next_group(
    captures: &mut Peekable<impl Iterator<Item = store::Result<Capture>>>,
    wanted: impl Fn(&PageKey) -> bool,
) -> Result<Option<Vec<Capture>>> {
    let mut group: Vec<Capture> = Vec::new();
    loop {
        let belongs = match captures.peek() {
            None => false,
            Some(Err(_)) => true,
            Some(Ok(next)) => group.first().map_or_else(|| wanted(&next.page), |first| first.page == next.page),
        };
        match captures.next_if(|_| belongs) {
            Some(capture) => group.push(capture?),
            None => return Ok((!group.is_empty()).then_some(group)),
        }
    }
}

fn selected(capture: Capture, link: Option<&Link>) -> Selected {
    let link = link.map(PageLink::of);
    let Capture { page, archive, offset, offset_in_member, url, captured_utc, file, form, .. } = capture;
    Selected { archive, offset, offset_in_member, page, url, captured_utc, file, form, link }
}

fn outcome(capture: &Capture, url: String, verdict: Option<Reason>) -> Outcome {
    Outcome {
        domain: capture.page.domain.clone(),
        key: capture.page.key.clone(),
        url,
        final_url: Some(capture.url.clone()),
        status: capture.status,
        content_type: capture.content_type.clone(),
        captured: capture.captured.clone(),
        warc: Some(capture.archive.clone()),
        offset: Some(capture.offset),
        detail: None,
        verdict,
    }
}
