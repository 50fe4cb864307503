//! `dedup.pairs`: exact copies and candidate pairs.

use std::collections::HashSet;

use ::dedup::BandGroup;
use serde::{Deserialize, Serialize};

use super::bucket_of_file;
use super::rows::{BandRow, ByPlace, CandidatePair, DocumentRef, ExactEdge, ExactRow};
use super::sign::SignatureShape;
use crate::engine::{Bucket, Buckets, Product, Task, Work};
use crate::error::Result;

/// Finds exact copies and candidate pairs among the hashes of a bucket.
#[derive(Serialize, Deserialize)]
pub(super) struct FindPairs {
    pub(super) exact: Bucket<ExactRow>,
    pub(super) bands: Bucket<BandRow>,
    pub(super) drop_exact: bool,
    pub(super) near: Option<SignatureShape>,
    pub(super) buckets: u32,
}

impl FindPairs {
    pub(super) const EXACT: Product<FindPairs, Buckets<ExactEdge>> = Product::new("edges", "work/{stage}/{name}.edges");
    pub(super) const CANDIDATES: Product<FindPairs, Buckets<CandidatePair>> =
        Product::new("pairs", "work/{stage}/{name}.pairs");
}

impl Task for FindPairs {
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        self.find_copies(work)?;
        self.find_candidates(work)
    }
}

impl FindPairs {
    fn find_copies(&self, work: &mut Work<'_>) -> Result<()> {
        let mut edges = work.create_buckets(FindPairs::EXACT, 1)?;
        // Sorted by hash, then document: the first of a hash is the original of the others.
        let mut first: Option<ExactRow> = None;
        for row in work.receive(&self.exact)? {
            let row = row?;
            work.counts.keep();
            match &first {
                Some(first) if first.text_hash == row.text_hash => {
                    if self.drop_exact && !row.document.document.is_earlier() {
                        edges.push(0, &ExactEdge { earlier: first.document.clone(), later: row.document })?;
                    }
                }
                _ => first = Some(row),
            }
        }
        edges.finish()
    }

    fn find_candidates(&self, work: &mut Work<'_>) -> Result<()> {
        let mut pairs = work.create_buckets(FindPairs::CANDIDATES, self.buckets)?;
        let mut skipped = 0;
        let rows = work.receive(&self.bands)?;
        if let Some(shape) = &self.near {
            let mut group = BandGroup::new(shape.bands());
            let mut band = None;
            let mut texts: HashSet<u64> = HashSet::new();
            let mut compare = |earlier: &DocumentRef, later: &DocumentRef| {
                if later.is_earlier() {
                    return Ok(()); // both of earlier runs, which decided about them
                }
                let pair = CandidatePair { earlier: ByPlace(earlier.clone()), later: later.clone() };
                pairs.push(bucket_of_file(earlier.file, self.buckets), &pair)
            };
            for row in rows {
                let row = row?;
                if band.replace(row.band).is_some_and(|band| band != row.band) {
                    skipped += group.end();
                    texts.clear();
                }
                // Copies share every band; if they are dropped, the first one is compared for all.
                if texts.insert(row.text_hash) || !self.drop_exact {
                    group.push(row.document, row.sketch, &mut compare)?;
                }
            }
            skipped += group.end();
        }
        work.metric("skipped_comparisons", skipped as f64);
        pairs.finish()
    }
}
