//! Duplicates. `dedup.sign` (a task per documents file) computes hashes; `dedup.pairs` (a task per bucket of hashes)
//! finds exact copies and candidate pairs; `dedup.shingles` and `dedup.verify` (a task per bucket of documents files)
//! send the shingles of one document to the other and compare; `dedup.cluster` (one task) joins pairs and chooses
//! representatives.

pub(super) mod rows;

use std::collections::BTreeSet;

use ::dedup::{Edge, MinHash, candidate_pairs, clusters, jaccard, shingles, text_hash};
use records::{Document, Duplicate, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_64;

use super::kept_texts::{HasText, KeptTexts, KeptTextsWire};
use super::{bucket_name, only_task, side_by_side};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Planner, Product, Table, Task, Wire, Work};
use crate::error::{OrBug as _, Result};
use crate::recipe::{Dedup, Near};
use rows::{BandRow, Candidate, CandidatePair, DocumentRef, DroppedRow, EdgeRow, ExactRow};

/// The products of de-duplication that later stages read.
pub(super) struct Duplicates {
    /// Dropped documents with their representatives.
    pub(super) table: Wire<Table<Duplicate>>,
    /// The rows that are dropped, by bucket of documents files.
    pub(super) dropped: Dropped,
}

/// The product with the rows to drop, and the number of its buckets.
#[derive(Clone, Copy)]
pub(super) struct Dropped {
    pub(super) rows: Wire<Buckets<DroppedRow>>,
    pub(super) buckets: u32,
}

/// The number that identifies a documents file.
pub(super) fn file_number(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The bucket of a documents file.
pub(super) fn bucket_of_file(file: u64, buckets: u32) -> u32 {
    bucket_of(&file.to_le_bytes(), buckets)
}

/// Adds the stages.
pub(super) fn add(
    flow: &mut Flow,
    settings: &Dedup,
    texts: KeptTextsWire,
    documents: Wire<Table<Document>>,
    buckets: u32,
) -> Duplicates {
    let near = settings.near.clone();
    let sign = flow.stage("dedup.sign", move |plan| {
        let tasks =
            texts.tables(plan)?.into_iter().zip(plan.tables(documents)?).map(|((name, texts), (_, documents))| {
                let file = file_number(&name);
                (name, SignDocuments { file, texts, documents, near: near.clone().map(Signature::from), buckets })
            });
        Ok(tasks.collect())
    });
    let (exact, bands) = (sign.product(SignDocuments::EXACT), sign.product(SignDocuments::BANDS));
    let drop_exact = settings.exact;
    let pairs = flow.stage("dedup.pairs", move |plan| {
        let exact = plan.buckets(exact, buckets)?.into_iter().zip(plan.buckets(bands, buckets)?);
        let tasks =
            exact.map(|(exact, bands)| (bucket_name(exact.bucket), FindPairs { exact, bands, drop_exact, buckets }));
        Ok(tasks.collect())
    });
    let mut edges = vec![pairs.product(FindPairs::EDGES)];
    if let Some(near) = &settings.near {
        let pairs = pairs.product(FindPairs::PAIRS);
        let words = near.shingle_words;
        let send = flow.stage("dedup.shingles", move |plan| {
            let pairs = plan.buckets(pairs, buckets)?.into_iter().zip(texts_of_buckets(plan, texts, buckets)?);
            let task = |(pairs, texts): (Bucket<CandidatePair>, _)| {
                (bucket_name(pairs.bucket), SendShingles { pairs, texts, words, buckets })
            };
            Ok(pairs.map(task).collect())
        });
        let candidates = send.product(SendShingles::CANDIDATES);
        let min_jaccard = near.min_jaccard;
        let verify = flow.stage("dedup.verify", move |plan| {
            let candidates = plan.buckets(candidates, buckets)?.into_iter();
            let candidates = candidates.zip(texts_of_buckets(plan, texts, buckets)?);
            let task = |(candidates, texts): (Bucket<Candidate>, _)| {
                (bucket_name(candidates.bucket), VerifyPairs { candidates, texts, words, min_jaccard })
            };
            Ok(candidates.map(task).collect())
        });
        edges.push(verify.product(VerifyPairs::EDGES));
    }
    let cluster = flow.stage("dedup.cluster", move |plan| {
        let mut of_stages = Vec::new();
        for &edges in &edges {
            of_stages.extend(plan.buckets(edges, 1)?);
        }
        Ok(only_task(ClusterDocuments { edges: of_stages, buckets }))
    });
    Duplicates {
        table: cluster.product(ClusterDocuments::DUPLICATES),
        dropped: Dropped { rows: cluster.product(ClusterDocuments::DROPPED), buckets },
    }
}

/// The tables of texts by bucket of documents files.
fn texts_of_buckets(plan: &Planner<'_>, texts: KeptTextsWire, buckets: u32) -> Result<Vec<Vec<TextsOfFile>>> {
    let mut of_buckets: Vec<Vec<TextsOfFile>> = (0..buckets).map(|_| Vec::new()).collect();
    for (name, texts) in texts.tables(plan)? {
        let file = file_number(&name);
        of_buckets[bucket_of_file(file, buckets) as usize].push(TextsOfFile { file, texts });
    }
    of_buckets.iter_mut().for_each(|files| files.sort_by_key(|of_file| of_file.file));
    Ok(of_buckets)
}

/// The texts of a documents file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TextsOfFile {
    file: u64,
    texts: KeptTexts,
}

/// The shape of signatures: the part of `near` that they depend on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Signature {
    shingle_words: usize,
    bands: usize,
    rows: usize,
}

impl From<Near> for Signature {
    fn from(near: Near) -> Signature {
        Signature { shingle_words: near.shingle_words, bands: near.bands, rows: near.rows }
    }
}

/// What is read of a text's row.
#[derive(Serialize, Deserialize)]
struct OnlyText {
    text: String,
}

impl HasText for OnlyText {
    fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// What is read of a document's row.
#[derive(Serialize, Deserialize)]
struct SignedDocument {
    id: String,
    key: String,
    karma: Option<i64>,
    verdict: Option<Reason>,
}

/// Hashes the kept documents of a file.
#[derive(Serialize, Deserialize)]
struct SignDocuments {
    file: u64,
    texts: KeptTexts,
    documents: Table<Document>,
    near: Option<Signature>,
    buckets: u32,
}

impl SignDocuments {
    const EXACT: Product<SignDocuments, Buckets<ExactRow>> = Product::new("exact", "work/{stage}/{name}.exact");
    const BANDS: Product<SignDocuments, Buckets<BandRow>> = Product::new("bands", "work/{stage}/{name}.bands");
}

impl Task for SignDocuments {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let family = self.near.as_ref().map(|near| (near.shingle_words, MinHash::new(near.bands, near.rows)));
        let mut exact = work.create_buckets(SignDocuments::EXACT, self.buckets)?;
        let mut bands = work.create_buckets(SignDocuments::BANDS, self.buckets)?;
        let texts = self.texts.rows::<OnlyText>(work)?;
        let documents = work.table::<SignedDocument, _>(&self.documents)?;
        for (row, pair) in side_by_side(texts, documents).enumerate() {
            let (text, document) = pair?;
            let (OnlyText { text }, SignedDocument { id, key, karma, verdict }) = (text?, document?);
            if verdict.is_some() {
                continue; // counted by the stage that dropped it
            }
            let document = DocumentRef {
                rank: karma.map_or(1, |karma| karma.saturating_neg()),
                id: u128::from_str_radix(&id, 16).ok().or_bug(|| format!("{id} is no document's id"))?,
                key,
                file: self.file,
                row: row as u64,
            };
            let text_hash = text_hash(&text);
            if let Some((words, family)) = &family {
                let signature = family.signature(&shingles(&text, *words));
                for band in family.bands(&signature) {
                    let bucket = bucket_of(&band.to_le_bytes(), self.buckets);
                    bands.push(bucket, &BandRow { band, text_hash, document: document.clone() })?;
                }
            }
            exact.push(bucket_of(&text_hash.to_le_bytes(), self.buckets), &ExactRow { text_hash, document })?;
            work.counts.keep();
        }
        exact.finish()?;
        bands.finish()
    }
}

/// Finds exact copies and candidate pairs among the hashes of a bucket.
#[derive(Serialize, Deserialize)]
struct FindPairs {
    exact: Bucket<ExactRow>,
    bands: Bucket<BandRow>,
    drop_exact: bool,
    buckets: u32,
}

impl FindPairs {
    const EDGES: Product<FindPairs, Buckets<EdgeRow>> = Product::new("edges", "work/{stage}/{name}.edges");
    const PAIRS: Product<FindPairs, Buckets<CandidatePair>> = Product::new("pairs", "work/{stage}/{name}.pairs");
}

impl Task for FindPairs {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut edges = work.create_buckets(FindPairs::EDGES, 1)?;
        // Sorted by hash, then document: the first of a hash represents the others.
        let mut first: Option<ExactRow> = None;
        for row in work.receive(&self.exact)? {
            let row = row?;
            work.counts.keep();
            match &first {
                Some(first) if first.text_hash == row.text_hash => {
                    if self.drop_exact {
                        let (a, b) = (first.document.clone(), row.document);
                        edges.push(0, &EdgeRow { a, b, jaccard: 1.0, exact: true })?;
                    }
                }
                _ => first = Some(row),
            }
        }
        edges.finish()?;

        let mut pairs = work.create_buckets(FindPairs::PAIRS, self.buckets)?;
        let mut group: Vec<BandRow> = Vec::new();
        for row in work.receive(&self.bands)? {
            let row = row?;
            if group.last().is_some_and(|last| last.band != row.band) {
                self.push_pairs(&mut group, &mut pairs)?;
            }
            // Exact copies are already known; if copies are dropped, the first one represents all.
            if !(self.drop_exact && group.last().is_some_and(|last| last.text_hash == row.text_hash)) {
                group.push(row);
            }
        }
        self.push_pairs(&mut group, &mut pairs)?;
        pairs.finish()
    }
}

impl FindPairs {
    fn push_pairs(&self, group: &mut Vec<BandRow>, pairs: &mut BucketOutput<CandidatePair>) -> Result<()> {
        let mut documents: Vec<DocumentRef> = group.drain(..).map(|row| row.document).collect();
        documents.sort_unstable();
        for (a, b) in candidate_pairs(documents.len()) {
            let (a, b) = (documents[a].clone(), documents[b].clone());
            let pair = CandidatePair { a_place: (a.file, a.row), a, b };
            pairs.push(bucket_of_file(pair.a.file, self.buckets), &pair)?;
        }
        Ok(())
    }
}

/// The number of a documents file, and its texts with the numbers of their rows.
type OpenFile = (u64, Box<dyn Iterator<Item = (u64, Result<OnlyText>)>>);

/// The texts of documents files, read in ascending order of file and row.
struct Texts<'t, 'w, 'r> {
    files: std::slice::Iter<'t, TextsOfFile>,
    work: &'w Work<'r>,
    open: Option<OpenFile>,
    words: usize,
    last: Option<((u64, u64), Vec<u64>)>,
}

impl<'t, 'w, 'r> Texts<'t, 'w, 'r> {
    fn new(work: &'w Work<'r>, files: &'t [TextsOfFile], words: usize) -> Texts<'t, 'w, 'r> {
        Texts { files: files.iter(), work, open: None, words, last: None }
    }

    fn shingles_of(&mut self, place: (u64, u64)) -> Result<&[u64]> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            let text = self.text_of(place)?;
            self.last = Some((place, shingles(&text, self.words)));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, shingles)| shingles))
    }

    fn text_of(&mut self, (file, row): (u64, u64)) -> Result<String> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            let of_file = self.files.find(|of_file| of_file.file == file);
            let of_file = of_file.or_bug(|| "a documents file is missing".to_owned())?;
            self.open = Some((file, Box::new((0..).zip(of_file.texts.lookup(self.work)?))));
        }
        let rows = self.open.as_mut().map(|(_, rows)| rows).or_bug(|| "a file was not opened".to_owned())?;
        let found = rows.find(|(number, _)| *number == row);
        let (_, text) = found.or_bug(|| format!("row {row} of a documents file is missing"))?;
        Ok(text?.text)
    }
}

/// Sends the shingles of the first document of each candidate pair to the other one.
#[derive(Serialize, Deserialize)]
struct SendShingles {
    pairs: Bucket<CandidatePair>,
    texts: Vec<TextsOfFile>,
    words: usize,
    buckets: u32,
}

impl SendShingles {
    const CANDIDATES: Product<SendShingles, Buckets<Candidate>> =
        Product::new("candidates", "work/{stage}/{name}.candidates");
}

impl Task for SendShingles {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let pairs = work.receive(&self.pairs)?;
        let mut candidates = work.create_buckets(SendShingles::CANDIDATES, self.buckets)?;
        let mut texts = Texts::new(work, &self.texts, self.words);
        let mut last: Option<CandidatePair> = None;
        let mut count = 0u64;
        for pair in pairs {
            let pair = pair?;
            // A pair that agrees in several bands occurs several times.
            if last.as_ref() == Some(&pair) {
                continue;
            }
            let shingles = texts.shingles_of(pair.a_place)?.to_vec();
            let (a, b) = (pair.a.clone(), pair.b.clone());
            let candidate = Candidate { b_place: (b.file, b.row), b, a, shingles };
            candidates.push(bucket_of_file(candidate.b.file, self.buckets), &candidate)?;
            count += 1;
            last = Some(pair);
        }
        work.metric("candidate_pairs", count as f64);
        candidates.finish()
    }
}

/// Compares candidate pairs.
#[derive(Serialize, Deserialize)]
struct VerifyPairs {
    candidates: Bucket<Candidate>,
    texts: Vec<TextsOfFile>,
    words: usize,
    min_jaccard: f32,
}

impl VerifyPairs {
    const EDGES: Product<VerifyPairs, Buckets<EdgeRow>> = Product::new("edges", "work/{stage}/{name}.edges");
}

impl Task for VerifyPairs {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let candidates = work.receive(&self.candidates)?;
        let mut edges = work.create_buckets(VerifyPairs::EDGES, 1)?;
        let mut texts = Texts::new(work, &self.texts, self.words);
        let mut verified = 0u64;
        for candidate in candidates {
            let Candidate { b_place, b, a, shingles } = candidate?;
            let jaccard = jaccard(&shingles, texts.shingles_of(b_place)?);
            if jaccard >= self.min_jaccard {
                edges.push(0, &EdgeRow { a, b, jaccard, exact: false })?;
                verified += 1;
            }
        }
        work.metric("verified_pairs", verified as f64);
        edges.finish()
    }
}

/// Joins pairs into clusters and keeps one document of each.
#[derive(Serialize, Deserialize)]
struct ClusterDocuments {
    edges: Vec<Bucket<EdgeRow>>,
    buckets: u32,
}

impl ClusterDocuments {
    const DUPLICATES: Product<ClusterDocuments, Table<Duplicate>> =
        Product::new("duplicates", "duplicates/{name}.parquet");
    const DROPPED: Product<ClusterDocuments, Buckets<DroppedRow>> =
        Product::new("dropped", "work/{stage}/{name}.dropped");
}

impl Task for ClusterDocuments {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut pairs = Vec::new();
        for edges in &self.edges {
            for edge in work.receive_unsorted(edges)? {
                let EdgeRow { a, b, jaccard, exact } = edge?;
                pairs.push(Edge { a, b, jaccard, exact });
            }
        }
        let mut dropped = Vec::new();
        let mut duplicates = Vec::new();
        let mut representatives = BTreeSet::new();
        for member in clusters(pairs) {
            let DocumentRef { file, row, .. } = member.document;
            dropped.push(DroppedRow { file, row, exact: member.exact });
            representatives.insert(member.representative.id);
            duplicates.push(Duplicate {
                id: format!("{:032x}", member.document.id),
                key: member.document.key,
                representative_id: format!("{:032x}", member.representative.id),
                representative_key: member.representative.key,
                similar_to: format!("{:032x}", member.similar_to.id),
                jaccard: member.jaccard,
                verdict: if member.exact { Reason::ExactDuplicate } else { Reason::NearDuplicate },
            });
        }
        work.metric("clusters", representatives.len() as f64);
        duplicates.sort_by(|a, b| a.id.cmp(&b.id));
        let mut table = work.create_table(ClusterDocuments::DUPLICATES)?;
        duplicates.into_iter().try_for_each(|row| table.push(row))?;
        table.finish()?;
        dropped.sort_unstable();
        let mut rows = work.create_buckets(ClusterDocuments::DROPPED, self.buckets)?;
        dropped.iter().try_for_each(|row| rows.push(bucket_of_file(row.file, self.buckets), row))?;
        rows.finish()
    }
}
