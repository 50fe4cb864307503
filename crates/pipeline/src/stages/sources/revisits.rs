//! `pages.revisits`: one task per bucket of references. It gives each revisit the capture whose content it repeats, and
//! each redirect the capture that it leads to.
//!
//! A crawler that meets the same content again writes a `revisit` record without it, which names the earlier capture by
//! URL and time, by the digest of the content, or by its own URL alone. The captures of a source are therefore written
//! under their page and under their digest, the revisits under what they name, and whoever meets in a bucket is compared.
//! A revisit that names both is written under both, since the capture that it names may be a revisit itself, of which
//! only the digest leads to the content; `pages.match` takes the better of the two answers.
//!
//! A link to a page that redirects is answered by the page that the redirect leads to. What redirects is written under
//! the target's page.

use std::collections::BTreeMap;

use ::links::CanonicalRules;
use ::warc::http::Response;
use ::warc::{Digest, Record, Revisit};
use records::{PageKey, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::capture::{Capture, Origin, located, page_of};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Product, Task, Wire, Work};
use crate::error::Result;
use crate::stages::bucket_name;

/// What a record is to others of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Role {
    /// A capture, which others may mean.
    Capture,
    /// A revisit, under the first of its names.
    Revisit,
    /// A revisit that is counted under its other name.
    RevisitByDigest,
    /// A revisit that has no content to be found, and is passed on as it is.
    WithoutContent,
    /// A redirect to the page of the name.
    Redirect,
}

/// A capture that others can refer to, a revisit or a redirect. Sorted such that a revisit comes behind all captures that
/// it can mean, and a redirect behind all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Reference {
    /// Hash of a page or of a digest.
    name: u128,
    /// When the capture was made; for a revisit, when the one that it refers to was, or else its own time.
    captured_utc: Option<i64>,
    role: Role,
    /// The content's digest, as the record has it.
    digest: Option<String>,
    capture: Capture,
}

store::spill_rows!(Reference = 2);

impl Reference {
    /// A capture under each name by which others can mean it; and if it is a redirect, under the page that it leads to.
    pub(super) fn of_capture<'r>(
        record: &'r Record,
        capture: &'r Capture,
        canonical: &CanonicalRules,
    ) -> impl Iterator<Item = Reference> + use<'r> {
        let digest = record.payload_digest().map(|digest| digest.to_string());
        let names = [Some(name_of_page(&capture.page)), digest.as_deref().map(name_of_digest)];
        // The head is not read twice but for redirects.
        let is_redirect = capture.status.is_some_and(|status| (300..400).contains(&status));
        let target = if is_redirect { redirect_target(record) } else { None };
        let redirect = target.and_then(|target| page_of(&target, canonical));
        let redirect = redirect.and_then(|(page, _)| Reference::of_redirect(capture.clone(), &page));
        let reference = move |name| Reference {
            name,
            captured_utc: capture.captured_utc,
            role: Role::Capture,
            digest: digest.clone(),
            capture: capture.clone(),
        };
        names.into_iter().flatten().map(reference).chain(redirect)
    }

    /// The redirects that a crawler notes about the page of a record, without having archived them.
    pub(super) fn of_noted_redirects(record: &Record, archive: &str, canonical: &CanonicalRules) -> Vec<Reference> {
        let Ok(target) = located(record, archive, canonical) else { return Vec::new() };
        let reference = |url: &str| {
            let (page, _) = page_of(url, canonical)?;
            Reference::of_redirect(Capture { page, ..target.clone() }, &target.page)
        };
        record.redirected_from().filter_map(reference).collect()
    }

    /// A page that redirects to another; none if they are one page.
    fn of_redirect(capture: Capture, target: &PageKey) -> Option<Reference> {
        let (name, role) = (name_of_page(target), Role::Redirect);
        let is_other = capture.page != *target;
        is_other.then_some(Reference { name, captured_utc: Some(i64::MAX), role, digest: None, capture })
    }

    /// A revisit under the names that it gives. One whose answer was a redirect is a redirect.
    pub(super) fn of_revisit(
        record: &Record,
        archive: &str,
        canonical: &CanonicalRules,
    ) -> Result<Vec<Reference>, Reason> {
        let capture = located(record, archive, canonical)?;
        let origin = Origin::Revisit(archive.to_owned(), capture.offset, capture.offset_in_member);
        let capture = Capture { origin, ..capture };
        let head = record.revisit_head();
        if let Some(location) = head.as_ref().and_then(Response::redirect_target) {
            let status = head.as_ref().map(|head| head.status);
            let capture = Capture { verdict: Some(Reason::HttpStatus), status, ..capture };
            let target = joined(record, location).and_then(|target| page_of(&target, canonical));
            let redirect = target.and_then(|(page, _)| Reference::of_redirect(capture.clone(), &page));
            return Ok(redirect.into_iter().chain([Reference::without_content(capture)]).collect());
        }
        let Revisit { target, captured_utc, payload_digest, .. } = record.revisit().ok_or(Reason::MalformedPage)?;
        let target = target.and_then(|target| page_of(target, canonical)).map(|(page, _)| page);
        let digest = payload_digest.as_ref().map(Digest::to_string);
        let captured_utc = captured_utc.or(capture.captured_utc);
        let of_page = |page: &PageKey| (name_of_page(page), captured_utc);
        // The same digest is the same content, whenever it was captured.
        let of_digest = |digest: &str| (name_of_digest(digest), Some(i64::MAX));
        let names = match (target, &digest) {
            (Some(page), None) => vec![of_page(&page)],
            (Some(page), Some(digest)) => vec![of_page(&page), of_digest(digest)],
            (None, Some(digest)) => vec![of_digest(digest)],
            (None, None) => vec![of_page(&capture.page)],
        };
        let roles = [Role::Revisit, Role::RevisitByDigest];
        let reference = |((name, captured_utc), role)| Reference {
            name,
            captured_utc,
            role,
            digest: digest.clone(),
            capture: capture.clone(),
        };
        Ok(names.into_iter().zip(roles).map(reference).collect())
    }

    /// A revisit of a page that redirects.
    fn without_content(capture: Capture) -> Reference {
        let name = name_of_page(&capture.page);
        Reference { name, captured_utc: capture.captured_utc, role: Role::WithoutContent, digest: None, capture }
    }

    pub(super) fn bucket(&self, buckets: u32) -> u32 {
        bucket_of(&self.name.to_le_bytes(), buckets)
    }

    /// Whether this is a capture under the name of its page.
    fn is_named_by_page(&self) -> bool {
        self.name == name_of_page(&self.capture.page)
    }
}

/// The URL that a record redirects to.
fn redirect_target(record: &Record) -> Option<String> {
    joined(record, record.capture().ok()?.redirect_target()?)
}

/// A URL that is relative to that of a record.
fn joined(record: &Record, url: &str) -> Option<String> {
    Some(Url::parse(record.target()?).ok()?.join(url).ok()?.into())
}

fn name_of_page(page: &PageKey) -> u128 {
    xxh3_128(format!("{}\n{}", page.domain, page.key).as_bytes())
}

fn name_of_digest(digest: &str) -> u128 {
    xxh3_128(digest.as_bytes())
}

/// Adds the stage.
pub(super) fn add(
    flow: &mut Flow,
    number: usize,
    references: Wire<Buckets<Reference>>,
    buckets: u32,
) -> Wire<Buckets<Capture>> {
    let stage = flow.stage_of_source("pages.revisits", number, move |plan| {
        let references = plan.buckets(references, buckets)?.into_iter();
        let task =
            |references: Bucket<Reference>| (bucket_name(references.bucket), ResolveRevisits { references, buckets });
        Ok(references.map(task).collect())
    });
    stage.product(ResolveRevisits::CAPTURES)
}

/// Resolves the revisits and the redirects of a bucket.
#[derive(Serialize, Deserialize)]
struct ResolveRevisits {
    references: Bucket<Reference>,
    buckets: u32,
}

impl ResolveRevisits {
    /// Revisits and redirects with the content of the captures that they refer to, and revisits that refer to none; by
    /// registrable domain.
    const CAPTURES: Product<ResolveRevisits, Buckets<Capture>> =
        Product::new("captures", "work/{stage}/{name}.captures");
}

impl Task for ResolveRevisits {
    const REVISION: u32 = 2; // redirects, and revisits of revisits

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let references = work.receive(&self.references)?;
        let mut captures = work.create_buckets(ResolveRevisits::CAPTURES, self.buckets)?;
        let mut earlier = EarlierCaptures::default();
        for reference in references {
            let reference = reference?;
            earlier.begin(reference.name);
            match reference.role {
                Role::Capture => earlier.push(reference),
                Role::Revisit | Role::RevisitByDigest => {
                    if reference.role == Role::Revisit {
                        work.counts.keep();
                    }
                    let found = earlier.of_revisit(&reference).cloned();
                    self.push(&mut captures, resolved_revisit(reference.capture, found))?;
                }
                Role::WithoutContent => {
                    work.counts.keep();
                    self.push(&mut captures, reference.capture)?;
                }
                Role::Redirect => {
                    if let Some(target) = earlier.of_redirect(&reference) {
                        work.counts.keep();
                        let (page, origin) = (reference.capture.page, Origin::Redirect);
                        self.push(&mut captures, Capture { page, origin, ..target.clone() })?;
                    }
                }
            }
        }
        captures.finish()
    }
}

impl ResolveRevisits {
    fn push(&self, captures: &mut BucketOutput<Capture>, capture: Capture) -> Result<()> {
        captures.push(bucket_of(capture.page.bucket_bytes(), self.buckets), &capture)
    }
}

/// A revisit with the content of the capture that it means, if there is one.
fn resolved_revisit(revisit: Capture, found: Option<Capture>) -> Capture {
    match found {
        None => revisit,
        Some(original) => {
            let Capture { page, url, captured, captured_utc, origin, .. } = revisit;
            Capture { page, url, captured, captured_utc, origin, ..original }
        }
    }
}

/// The captures of one name that came so far.
#[derive(Default)]
struct EarlierCaptures {
    name: u128,
    /// The last of each content.
    by_digest: BTreeMap<Option<String>, Reference>,
    /// Those that can be read, if the name is a page's.
    readable: BTreeMap<Option<i64>, Capture>,
}

impl EarlierCaptures {
    /// Forgets captures of another name.
    fn begin(&mut self, name: u128) {
        if self.name != name {
            *self = EarlierCaptures { name, ..EarlierCaptures::default() };
        }
    }

    fn push(&mut self, original: Reference) {
        if original.capture.verdict.is_none() && original.is_named_by_page() {
            self.readable.entry(original.captured_utc).or_insert_with(|| original.capture.clone());
        }
        // A page that can be read is worth more than a later failure.
        let is_worse = |last: &Reference| last.capture.verdict.is_none() && original.capture.verdict.is_some();
        if !self.by_digest.get(&original.digest).is_some_and(is_worse) {
            self.by_digest.insert(original.digest.clone(), original);
        }
    }

    /// The capture that a revisit means: of its digest; of one without a digest; any one where the revisit has none.
    fn of_revisit(&self, revisit: &Reference) -> Option<&Capture> {
        let found = match &revisit.digest {
            Some(_) => self.by_digest.get(&revisit.digest).or_else(|| self.by_digest.get(&None)),
            None => self.by_digest.values().max_by_key(|last| (last.capture.verdict.is_none(), last.captured_utc)),
        };
        found.map(|original| &original.capture)
    }

    /// The capture that a redirect leads to: the readable one whose time is nearest to its own.
    fn of_redirect(&self, redirect: &Reference) -> Option<&Capture> {
        let time = redirect.capture.captured_utc;
        let (before, after) = (self.readable.range(..time).next_back(), self.readable.range(time..).next());
        let distance = |found: &(&Option<i64>, &Capture)| match (*found.0, time) {
            (Some(one), Some(other)) => one.abs_diff(other),
            _ => u64::MAX,
        };
        after.into_iter().chain(before).min_by_key(distance).map(|(_, capture)| capture)
    }
}
