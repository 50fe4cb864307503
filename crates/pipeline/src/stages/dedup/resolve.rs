//! `dedup.resolve`: which documents stay.

use ::dedup::{ExactPair, NearPair, Represented, Stars, transitive_clusters};
use records::{Duplicate, Reason};
use serde::{Deserialize, Serialize};
use store::sort::Sorter;

use super::bucket_of_file;
use super::rows::{Decision, DocumentRef, ExactEdge, KeyedDocument, NearEdge, ResolvedRow};
use crate::engine::{Bucket, Buckets, Product, Table, Task, Work};
use crate::error::{Error, Result};
use crate::recipe::ClusterKind;

/// Decides which documents stay, from the pairs of all of them.
#[derive(Serialize, Deserialize)]
pub(super) struct ResolveDuplicates {
    pub(super) exact: Bucket<ExactEdge>,
    pub(super) near: Option<Bucket<NearEdge>>,
    pub(super) clusters: ClusterKind,
    pub(super) buckets: u32,
    /// The documents files of earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<EarlierRun>,
}

/// An earlier run and the numbers of its documents files.
#[derive(Serialize, Deserialize)]
pub(super) struct EarlierRun {
    pub(super) run: String,
    pub(super) files: Vec<u64>,
}

impl ResolveDuplicates {
    pub(super) const DUPLICATES: Product<ResolveDuplicates, Table<Duplicate>> =
        Product::new("duplicates", "duplicates/{name}.parquet");
    pub(super) const RESOLVED: Product<ResolveDuplicates, Buckets<ResolvedRow>> =
        Product::new("resolved", "work/{stage}/{name}.resolved");
}

impl Task for ResolveDuplicates {
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let exact = work.receive(&self.exact)?.map(|edge| Ok::<_, Error>(ExactPair::from(edge?)));
        let near = self.near.as_ref().map(|near| work.receive(near)).transpose()?;
        let near = near.into_iter().flatten().map(|edge| Ok::<_, Error>(NearPair::from(edge?)));
        let mut resolved = Resolved { dropped: work.sorter()?, representatives: work.sorter()?, rows: work.sorter()? };
        match self.clusters {
            ClusterKind::Stars => Stars::new(near, exact).try_for_each(|dropped| resolved.push(dropped?))?,
            ClusterKind::Transitive => {
                transitive_clusters(near, exact)?.into_iter().try_for_each(|dropped| resolved.push(dropped))?;
            }
        }
        resolved.write(work, self)
    }
}

/// The dropped documents, sorted in three ways in bounded memory.
struct Resolved {
    dropped: Sorter<DroppedDocument>,
    representatives: Sorter<DocumentRef>,
    rows: Sorter<ResolvedRow>,
}

/// A dropped document, sorted by its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct DroppedDocument {
    id: u128,
    key: String,
    representative_id: u128,
    representative_key: String,
    representative_file: u64,
    similar_to: u128,
    shared: u32,
    either: u32,
    is_exact: bool,
}

impl Resolved {
    fn push(&mut self, dropped: Represented<KeyedDocument>) -> Result<()> {
        let Represented { document: KeyedDocument { document, key }, representative, similar_to, jaccard, is_exact } =
            dropped;
        let decision = if is_exact { Decision::DropExact } else { Decision::DropNear };
        self.rows.push(ResolvedRow { file: document.file, row: document.row, decision })?;
        self.dropped.push(DroppedDocument {
            id: document.id,
            key,
            representative_id: representative.document.id,
            representative_key: representative.key,
            representative_file: representative.document.file,
            similar_to: similar_to.document.id,
            shared: jaccard.shared,
            either: jaccard.either,
            is_exact,
        })?;
        Ok(self.representatives.push(representative.document)?)
    }

    fn write(mut self, work: &mut Work<'_>, task: &ResolveDuplicates) -> Result<()> {
        let mut table = work.create_table(ResolveDuplicates::DUPLICATES)?;
        for dropped in self.dropped.finish()? {
            let dropped = dropped?;
            let run = task.run_of(dropped.representative_file);
            table.push(dropped.into_row(run))?;
        }
        table.finish()?;
        let mut clusters = 0u64;
        let mut last: Option<(DocumentRef, u64)> = None;
        for representative in self.representatives.finish()? {
            let representative = representative?;
            match &mut last {
                Some((last, count)) if *last == representative => *count += 1,
                _ => {
                    clusters += 1;
                    last.replace((representative, 1)).map_or(Ok(()), |full| self.rows.push(kept_for(full)))?;
                }
            }
        }
        last.map_or(Ok(()), |full| self.rows.push(kept_for(full)))?;
        work.metric("clusters", clusters as f64);
        let mut rows = work.create_buckets(ResolveDuplicates::RESOLVED, task.buckets)?;
        for row in self.rows.finish()? {
            let row = row?;
            rows.push(bucket_of_file(row.file, task.buckets), &row)?;
        }
        rows.finish()
    }
}

/// The row of a kept document that represents so many others.
fn kept_for((DocumentRef { file, row, .. }, count): (DocumentRef, u64)) -> ResolvedRow {
    ResolvedRow { file, row, decision: Decision::KeepFor(count) }
}

impl ResolveDuplicates {
    /// The earlier run with this documents file; none if it is a file of this one.
    fn run_of(&self, file: u64) -> Option<String> {
        self.earlier.iter().find(|earlier| earlier.files.contains(&file)).map(|earlier| earlier.run.clone())
    }
}

impl DroppedDocument {
    fn into_row(self, representative_run: Option<String>) -> Duplicate {
        let dropped = self;
        let id = |number: u128| format!("{number:032x}");
        let jaccard = f64::from(dropped.shared) / f64::from(dropped.either);
        Duplicate {
            id: id(dropped.id),
            key: dropped.key,
            representative_id: id(dropped.representative_id),
            representative_key: dropped.representative_key,
            representative_run,
            similar_to: id(dropped.similar_to),
            jaccard: jaccard as f32,
            verdict: if dropped.is_exact { Reason::ExactDuplicate } else { Reason::NearDuplicate },
        }
    }
}
