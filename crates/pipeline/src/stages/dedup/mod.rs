//! Duplicates, of the documents of a run or of the rows of files.
//!
//! `dedup.sign` (a task per documents file) computes hashes; `dedup.pairs` (a task per bucket of hashes) finds exact
//! copies and candidate pairs; `dedup.shingles` and `dedup.verify` (a task per bucket of documents files) send the
//! shingles of one document to the other and compare; `dedup.resolve` (one task) streams through the sorted pairs and
//! decides which documents stay. What is left is searched for parts that texts have
//! in common: [spans] and [ranges].

mod compared;
mod cut;
mod documents;
mod files;
mod fingerprints;
mod overlap;
mod pairs;
mod ranges;
mod resolve;
pub(super) mod rows;
mod sign;
mod spans;
mod verify;

use records::{CutSpans, Document, Duplicate};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_64;

use super::kept_texts::KeptTextsWire;
use super::{bucket_name, only_task};
use crate::engine::{Bucket, BucketOfTask, Buckets, Flow, Planner, StageRef, Table, Wire};
use crate::error::{OrBug as _, Result};
use crate::recipe::{Dedup, Near, Overlap};
use compared::{ComparedWire, earlier_tables};
use cut::{CutTexts, InputFiles};
use documents::DocumentsWire;
use pairs::FindPairs;
use resolve::{EarlierRun, ResolveDuplicates};
use rows::{NearEdge, ResolvedRow};
use sign::{SignDocuments, SignatureShape};
use verify::{NumberedFile, SendShingles, VerifyPairs};

pub(super) use overlap::OverlapTables;

pub use files::{
    DroppedRow, EditedRows, FileDuplicates, FileOverlap, PartRule, find_in_files, find_overlap_in_files,
    find_spans_in_files,
};

/// The products of de-duplication that later stages read.
pub(super) struct Duplicates {
    /// Dropped documents with their representatives.
    pub(super) table: Wire<Table<Duplicate>>,
    /// What was decided about each row of a pair, by bucket of documents files.
    pub(super) resolved: Resolved,
    /// The texts without the spans that other documents have, too.
    pub(super) texts: KeptTextsWire,
    /// Those spans, for each rule.
    pub(super) cut: Vec<Wire<Table<CutSpans>>>,
}

/// Adds the stages that compare the documents that are left with evaluation sets.
pub(super) fn add_overlap(
    flow: &mut Flow,
    settings: &Overlap,
    texts: &KeptTextsWire,
    documents: Wire<Table<Document>>,
    resolved: Resolved,
) -> OverlapTables {
    let documents = DocumentsWire::Run { texts: texts.clone(), documents };
    let input = InputFiles { documents, resolved: Some(resolved), keep: Vec::new(), buckets: resolved.buckets };
    overlap::add(flow, settings, &input)
}

/// The products that decide which documents stay.
struct DuplicateDocuments {
    table: Wire<Table<Duplicate>>,
    resolved: Resolved,
}

/// The product with the decisions, and the number of its buckets.
#[derive(Clone, Copy)]
pub(super) struct Resolved {
    pub(super) rows: Wire<Buckets<ResolvedRow>>,
    pub(super) buckets: u32,
}

impl Resolved {
    /// The decisions, for a planner.
    pub(super) fn plan(self, plan: &Planner<'_>) -> Result<ResolvedBuckets> {
        // One task writes all buckets, so a bucket of its file is the bucket of the stage.
        let of_task = plan.buckets_of_tasks(self.rows)?.into_iter().next();
        let (_, rows) = of_task.or_bug(|| "no task has resolved the duplicates".to_owned())?;
        Ok(ResolvedBuckets { rows, buckets: self.buckets })
    }
}

/// The decisions by bucket of documents files.
pub(super) struct ResolvedBuckets {
    rows: Vec<BucketOfTask<ResolvedRow>>,
    buckets: u32,
}

impl ResolvedBuckets {
    /// The bucket with the decisions about a documents file, and perhaps about others.
    pub(super) fn of_file(&self, file: u64) -> BucketOfTask<ResolvedRow> {
        self.rows[bucket_of_file(file, self.buckets) as usize].clone()
    }
}

/// The number that identifies a documents file.
pub(super) fn file_number(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The bucket of a documents file.
pub(super) fn bucket_of_file(file: u64, buckets: u32) -> u32 {
    bucket_of(&file.to_le_bytes(), buckets)
}

/// Adds the stages for the documents of a run.
pub(super) fn add(
    flow: &mut Flow,
    settings: &Dedup,
    texts: KeptTextsWire,
    documents: Wire<Table<Document>>,
    buckets: u32,
) -> Result<Duplicates> {
    let of_run = DocumentsWire::Run { texts: texts.clone(), documents };
    let DuplicateDocuments { table, resolved } = add_documents(flow, settings, &of_run, buckets)?;
    if settings.fingerprints {
        let input = InputFiles { documents: of_run, resolved: Some(resolved), keep: Vec::new(), buckets };
        fingerprints::add(flow, settings, input);
    }
    let mut duplicates = Duplicates { table, resolved, texts, cut: Vec::new() };
    let mut cut = |add: &mut dyn FnMut(&mut Flow, usize, &InputFiles) -> CutTexts| {
        let documents = DocumentsWire::Run { texts: duplicates.texts.clone(), documents };
        let input = InputFiles { documents, resolved: Some(resolved), keep: settings.keep.clone(), buckets };
        let CutTexts { edited, cut } = add(flow, duplicates.cut.len(), &input);
        duplicates.texts = duplicates.texts.cut_by(edited);
        duplicates.cut.push(cut);
    };
    if let Some(rule) = &settings.ngram_bloom {
        cut(&mut |flow, number, input| ranges::add_ngrams(flow, number, rule, input));
    }
    for rule in &settings.spans {
        cut(&mut |flow, number, input| spans::add(flow, number, rule, input));
    }
    if let Some(rule) = &settings.substrings {
        cut(&mut |flow, number, input| ranges::add_substrings(flow, number, rule, input));
    }
    Ok(duplicates)
}

/// Adds the stages that find duplicates among whole documents.
fn add_documents(
    flow: &mut Flow,
    settings: &Dedup,
    documents: &DocumentsWire,
    buckets: u32,
) -> Result<DuplicateDocuments> {
    let near = settings.near.as_ref().map(NearSettings::of).transpose()?;
    let against = settings.against.clone();
    let shingle_words = near.as_ref().map_or(0, |near| near.shape.shingle_words);
    let documents = ComparedWire { documents: documents.clone(), against: against.clone(), shingle_words };
    let sign = add_sign(flow, settings, near.as_ref(), &documents, buckets);
    let (exact, bands) = (sign.product(SignDocuments::EXACT), sign.product(SignDocuments::BANDS));
    let drop_exact = settings.exact;
    let shape = near.as_ref().map(|near| near.shape.clone());
    let pairs = flow.stage("dedup.pairs", move |plan| {
        let exact = plan.buckets(exact, buckets)?.into_iter().zip(plan.buckets(bands, buckets)?);
        let tasks = exact.map(|(exact, bands)| {
            let near = shape.clone();
            (bucket_name(exact.bucket), FindPairs { exact, bands, drop_exact, near, buckets })
        });
        Ok(tasks.collect())
    });
    let near = near.map(|near| add_verify(flow, &near, pairs, &documents, buckets));
    let exact = pairs.product(FindPairs::EXACT);
    let clusters = settings.clusters;
    let resolve = flow.stage("dedup.resolve", move |plan| {
        let exact = only_bucket(plan, exact)?;
        let near = near.map(|near| only_bucket(plan, near)).transpose()?;
        Ok(only_task(ResolveDuplicates { exact, near, clusters, buckets, earlier: earlier_runs(&against)? }))
    });
    Ok(DuplicateDocuments {
        table: resolve.product(ResolveDuplicates::DUPLICATES),
        resolved: Resolved { rows: resolve.product(ResolveDuplicates::RESOLVED), buckets },
    })
}

/// The documents files of earlier runs, by their numbers.
fn earlier_runs(against: &[String]) -> Result<Vec<EarlierRun>> {
    let mut runs: Vec<EarlierRun> = Vec::new();
    for (run, name, _) in earlier_tables(against)? {
        match runs.last_mut().filter(|last| last.run == run) {
            Some(last) => last.files.push(file_number(&name)),
            None => runs.push(EarlierRun { run, files: vec![file_number(&name)] }),
        }
    }
    Ok(runs)
}

/// `[dedup] near` as the stages read it.
#[derive(Clone)]
struct NearSettings {
    shape: SignatureShape,
    min_jaccard: f64,
}

impl NearSettings {
    fn of(near: &Near) -> Result<NearSettings> {
        let shape = near.shape()?;
        let shape = SignatureShape { shingle_words: near.shingle_words, bands: shape.bands, rows: shape.rows };
        Ok(NearSettings { shape, min_jaccard: near.min_jaccard })
    }
}

fn add_sign(
    flow: &mut Flow,
    settings: &Dedup,
    near: Option<&NearSettings>,
    documents: &ComparedWire,
    buckets: u32,
) -> StageRef<SignDocuments> {
    let (keep, documents) = (settings.keep.clone(), documents.clone());
    let near = near.map(|near| near.shape.clone());
    flow.stage("dedup.sign", move |plan| {
        let tasks = documents.files(plan)?.into_iter().map(|(name, documents)| {
            let file = file_number(&name);
            (name, SignDocuments { file, documents, keep: keep.clone(), near: near.clone(), buckets })
        });
        Ok(tasks.collect())
    })
}

fn add_verify(
    flow: &mut Flow,
    near: &NearSettings,
    pairs: StageRef<FindPairs>,
    documents: &ComparedWire,
    buckets: u32,
) -> Wire<Buckets<NearEdge>> {
    let pairs = pairs.product(FindPairs::CANDIDATES);
    let (shingle_words, of_send) = (near.shape.shingle_words, documents.clone());
    let send = flow.stage("dedup.shingles", move |plan| {
        let pairs = plan.buckets(pairs, buckets)?.into_iter().zip(files_of_buckets(plan, &of_send, buckets)?);
        let task = |(pairs, files): (Bucket<_>, _)| {
            (bucket_name(pairs.bucket), SendShingles { pairs, files, shingle_words, buckets })
        };
        Ok(pairs.map(task).collect())
    });
    let candidates = send.product(SendShingles::CANDIDATES);
    let (min_jaccard, of_verify) = (near.min_jaccard, documents.clone());
    let verify = flow.stage("dedup.verify", move |plan| {
        let candidates = plan.buckets(candidates, buckets)?.into_iter();
        let candidates = candidates.zip(files_of_buckets(plan, &of_verify, buckets)?);
        let task = |(candidates, files): (Bucket<_>, _)| {
            (bucket_name(candidates.bucket), VerifyPairs { candidates, files, shingle_words, min_jaccard })
        };
        Ok(candidates.map(task).collect())
    });
    verify.product(VerifyPairs::EDGES)
}

/// The documents files of each bucket of them.
fn files_of_buckets(plan: &Planner<'_>, documents: &ComparedWire, buckets: u32) -> Result<Vec<Vec<NumberedFile>>> {
    let mut of_buckets: Vec<Vec<NumberedFile>> = (0..buckets).map(|_| Vec::new()).collect();
    for (name, documents) in documents.files(plan)? {
        let file = file_number(&name);
        of_buckets[bucket_of_file(file, buckets) as usize].push(NumberedFile { file, documents });
    }
    of_buckets.iter_mut().for_each(|files| files.sort_by_key(|numbered| numbered.file));
    Ok(of_buckets)
}

/// The bucket of a product that has one.
fn only_bucket<R>(plan: &Planner<'_>, wire: Wire<Buckets<R>>) -> Result<Bucket<R>> {
    plan.buckets(wire, 1)?.pop().or_bug(|| "a product of one bucket has none".to_owned())
}
