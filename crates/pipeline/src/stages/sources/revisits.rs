//! `pages.revisits`: one task per bucket of references. It gives each revisit the capture whose content it repeats.
//!
//! A crawler that meets the same content again writes a `revisit` record without it, which names the earlier capture by
//! URL and time, by the digest of the content, or by its own URL alone. The captures of a source are therefore written
//! under their page and under their digest, the revisits under what they name, and whoever meets in a bucket is compared.

use std::collections::BTreeMap;

use ::links::CanonicalRules;
use ::warc::{Digest, Record, Revisit};
use records::{PageKey, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_128;

use super::capture::{Capture, located};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Product, Task, Wire, Work};
use crate::error::Result;
use crate::stages::bucket_name;

/// A capture that a revisit can refer to, or a revisit. Sorted such that a revisit comes behind all that it can mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Reference {
    /// Hash of a page or of a digest.
    name: u128,
    /// When the capture was made; for a revisit, when the one that it refers to was, or else its own time.
    captured_utc: Option<i64>,
    is_revisit: bool,
    /// The content's digest, as the record has it.
    digest: Option<String>,
    capture: Capture,
}

store::spill_rows!(Reference = 1);

impl Reference {
    /// A capture under each name by which a revisit can mean it.
    pub(super) fn of_capture(record: &Record, capture: &Capture) -> impl Iterator<Item = Reference> {
        let digest = record.payload_digest().map(|digest| digest.to_string());
        let names = [Some(name_of_page(&capture.page)), digest.as_deref().map(name_of_digest)];
        let (captured_utc, capture) = (capture.captured_utc, capture.clone());
        names.into_iter().flatten().map(move |name| Reference {
            name,
            captured_utc,
            is_revisit: false,
            digest: digest.clone(),
            capture: capture.clone(),
        })
    }

    /// A revisit under the name that it gives.
    pub(super) fn of_revisit(record: &Record, archive: &str, canonical: &CanonicalRules) -> Result<Reference, Reason> {
        let capture = located(record, archive, canonical)?;
        let Revisit { target, captured_utc, payload_digest, .. } = record.revisit().ok_or(Reason::MalformedPage)?;
        let target = target.and_then(|target| super::page_of(target, canonical)).map(|(page, _)| page);
        let digest = payload_digest.as_ref().map(Digest::to_string);
        let name = match (target, &digest) {
            (Some(page), _) => name_of_page(&page),
            (None, Some(digest)) => name_of_digest(digest),
            (None, None) => name_of_page(&capture.page),
        };
        let captured_utc = captured_utc.or(capture.captured_utc);
        Ok(Reference { name, captured_utc, is_revisit: true, digest, capture })
    }

    pub(super) fn bucket(&self, buckets: u32) -> u32 {
        bucket_of(&self.name.to_le_bytes(), buckets)
    }
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

/// Resolves the revisits of a bucket.
#[derive(Serialize, Deserialize)]
struct ResolveRevisits {
    references: Bucket<Reference>,
    buckets: u32,
}

impl ResolveRevisits {
    /// Revisits with the content of the captures that they refer to; by registrable domain.
    const CAPTURES: Product<ResolveRevisits, Buckets<Capture>> =
        Product::new("captures", "work/{stage}/{name}.captures");
}

impl Task for ResolveRevisits {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let references = work.receive(&self.references)?;
        let mut captures = work.create_buckets(ResolveRevisits::CAPTURES, self.buckets)?;
        let mut earlier = EarlierCaptures::default();
        for reference in references {
            let reference = reference?;
            if reference.is_revisit {
                resolve(work, &earlier, reference, self.buckets, &mut captures)?;
            } else {
                earlier.push(reference);
            }
        }
        captures.finish()
    }
}

fn resolve(
    work: &mut Work<'_>,
    earlier: &EarlierCaptures,
    revisit: Reference,
    buckets: u32,
    captures: &mut BucketOutput<Capture>,
) -> Result<()> {
    let Some(original) = earlier.of(&revisit) else {
        work.counts.drop(Reason::Revisit);
        let Capture { archive, offset, url, .. } = revisit.capture;
        work.sample(Reason::Revisit, || format!("{archive} at byte {offset}"), &url);
        return Ok(());
    };
    work.counts.keep();
    let Capture { page, url, captured, captured_utc, .. } = revisit.capture;
    let capture = Capture { page, url, captured, captured_utc, ..original.clone() };
    captures.push(bucket_of(capture.page.bucket_bytes(), buckets), &capture)
}

/// The captures of one name that came so far, the last of each content.
#[derive(Default)]
struct EarlierCaptures {
    name: u128,
    by_digest: BTreeMap<Option<String>, Reference>,
}

impl EarlierCaptures {
    fn push(&mut self, original: Reference) {
        if self.name != original.name {
            self.name = original.name;
            self.by_digest.clear();
        }
        // A page that can be read is worth more than a later failure.
        let is_worse = |last: &Reference| last.capture.verdict.is_none() && original.capture.verdict.is_some();
        if !self.by_digest.get(&original.digest).is_some_and(is_worse) {
            self.by_digest.insert(original.digest.clone(), original);
        }
    }

    /// The capture that a revisit means: of its digest; of one without a digest; any one where the revisit has none.
    fn of(&self, revisit: &Reference) -> Option<&Capture> {
        if self.name != revisit.name {
            return None;
        }
        let found = match &revisit.digest {
            Some(_) => self.by_digest.get(&revisit.digest).or_else(|| self.by_digest.get(&None)),
            None => self.by_digest.values().max_by_key(|last| (last.capture.verdict.is_none(), last.captured_utc)),
        };
        found.map(|original| &original.capture)
    }
}
