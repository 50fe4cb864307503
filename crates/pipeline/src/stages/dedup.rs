//! Duplicates in four steps: `dedup.pairs` (a task a bucket of hashes) finds exact copies and candidate
//! pairs, `dedup.shingles` and `dedup.verify` (a task a documents file each) bring the shingles of one
//! side to the other and compare, `dedup.cluster` (one task) joins pairs and names representatives.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use dedup::{Edge, candidate_pairs, clusters, jaccard, shingles};
use store::buckets::{BucketReader, BucketWriter};
use crate::manifest::FileRecord;
use store::sort::Sorter;
use store::table::{TableReader, TableWriter};
use records::{Document, Duplicate, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::Near;
use crate::stages::documents::{BandRow, ExactRow, Member};
use crate::stages::{paths, sort_memory};

/// A pair of documents that share a band; `a` comes first in the order of members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Pair {
    a_row: u64,
    a: Member,
    b: Member,
}

/// One side of a candidate pair with its shingles, on its way to the other side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Candidate {
    b_row: u64,
    b: Member,
    a: Member,
    shingles: Vec<u64>,
}

/// A verified pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EdgeRow {
    a: Member,
    b: Member,
    jaccard: f32,
    exact: bool,
}

/// A row of a documents file that is not to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DroppedRow {
    pub(crate) row: u64,
    pub(crate) reason: Reason,
}

fn document_files(run: &Run) -> anyhow::Result<Vec<FileRecord>> {
    run.outputs("documents", "documents/")
}

pub(crate) struct Pairs;

impl Stage for Pairs {
    fn name(&self) -> &'static str {
        "dedup.pairs"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let rows = run.outputs("documents", "work/")?;
        let files = document_files(run)?.len() as u32;
        let exact = run.recipe().dedup.exact;
        let tasks = (0..run.recipe().limits.buckets).map(|bucket| {
            let rows = rows.clone();
            TaskPlan {
                inputs: rows.clone(),
                settings: json!({"exact": exact, "bucket": bucket}),
                work: Box::new(move |task| pairs(task, &rows, bucket, files, exact)),
            }
        });
        Ok(tasks.collect())
    }
}

fn pairs(task: &mut Task<'_>, rows: &[FileRecord], bucket: u32, files: u32, keep_exact: bool) -> anyhow::Result<()> {
    let edges_name = format!("work/dedup.pairs/{bucket:05}.edges");
    let pairs_name = format!("work/dedup.pairs/{bucket:05}.pairs");
    let mut edges = BucketWriter::create(&task.path(&edges_name), 1)?;
    let mut pairs = BucketWriter::create(&task.path(&pairs_name), files.max(1))?;
    let (exact, bands): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|file| file.path.ends_with(".exact.buckets"));

    let mut sorter = Sorter::<ExactRow>::new(task.scratch()?, sort_memory(task.run()));
    task.receive("documents", 0);
    for path in paths(task.run(), &exact) {
        for row in BucketReader::open(&path, bucket)? {
            sorter.push(row?)?;
            task.receive("documents", 1);
            task.counts.keep();
        }
    }
    // Sorted by hash, then member: the first of a hash represents the others.
    let mut first: Option<ExactRow> = None;
    for row in sorter.finish()? {
        let row = row?;
        match &first {
            Some(first) if first.text_hash == row.text_hash => {
                if keep_exact {
                    edges.push(0, &EdgeRow { a: first.member.clone(), b: row.member, jaccard: 1.0, exact: true })?;
                }
            }
            _ => first = Some(row),
        }
    }

    let mut sorter = Sorter::<BandRow>::new(task.scratch()?, sort_memory(task.run()));
    for path in paths(task.run(), &bands) {
        for row in BucketReader::open(&path, bucket)? {
            sorter.push(row?)?;
        }
    }
    let mut group: Vec<BandRow> = Vec::new();
    for row in sorter.finish()? {
        let row = row?;
        if group.last().is_some_and(|last| last.band != row.band) {
            push_pairs(&mut group, &mut pairs)?;
        }
        // Exact copies are known already; the first of them stands for all, when copies are dropped.
        if !(keep_exact && group.last().is_some_and(|last| last.text_hash == row.text_hash)) {
            group.push(row);
        }
    }
    push_pairs(&mut group, &mut pairs)?;
    let written = edges.finish()?;
    task.wrote(&edges_name, written);
    let written = pairs.finish()?;
    task.wrote(&pairs_name, written);
    Ok(())
}

fn push_pairs(group: &mut Vec<BandRow>, pairs: &mut BucketWriter<Pair>) -> anyhow::Result<()> {
    let mut members: Vec<Member> = group.drain(..).map(|row| row.member).collect();
    members.sort_unstable();
    for (a, b) in candidate_pairs(members.len()) {
        let (a, b) = (members[a].clone(), members[b].clone());
        pairs.push(a.file, &Pair { a_row: a.row, a, b })?;
    }
    Ok(())
}

fn near(run: &Run) -> anyhow::Result<&Near> {
    run.recipe().dedup.near.as_ref().context("the recipe has no [dedup] near")
}

pub(crate) struct Shingles;

impl Stage for Shingles {
    fn name(&self) -> &'static str {
        "dedup.shingles"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let pairs: Vec<FileRecord> =
            run.outputs("dedup.pairs", "work/")?.into_iter().filter(|f| f.path.ends_with(".pairs")).collect();
        let documents = document_files(run)?;
        let words = near(run)?.shingle_words;
        let files = documents.len() as u32;
        let tasks = documents.into_iter().enumerate().map(|(number, table)| {
            let pairs = pairs.clone();
            TaskPlan {
                inputs: std::iter::once(table.clone()).chain(pairs.clone()).collect(),
                settings: json!({"shingle_words": words}),
                work: Box::new(move |task| send_shingles(task, &table, &pairs, number as u32, words, files)),
            }
        });
        Ok(tasks.collect())
    }
}

fn send_shingles(
    task: &mut Task<'_>,
    table: &FileRecord,
    pairs: &[FileRecord],
    number: u32,
    words: usize,
    files: u32,
) -> anyhow::Result<()> {
    let mut sorter = Sorter::<Pair>::new(task.scratch()?, sort_memory(task.run()));
    for path in paths(task.run(), pairs) {
        for pair in BucketReader::open(&path, number)? {
            sorter.push(pair?)?;
        }
    }
    let name = format!("work/dedup.shingles/{number:05}.buckets");
    let mut writer = BucketWriter::create(&task.path(&name), files.max(1))?;
    let mut texts = Texts::open(task, table, words)?;
    let mut last: Option<Pair> = None;
    let mut candidates = 0u64;
    for pair in sorter.finish()? {
        let pair = pair?;
        // A pair that agrees in several bands comes several times.
        if last.as_ref() == Some(&pair) {
            continue;
        }
        let shingles = texts.shingles_of(pair.a_row)?.to_vec();
        let (a, b) = (pair.a.clone(), pair.b.clone());
        writer.push(b.file, &Candidate { b_row: b.row, b, a, shingles })?;
        candidates += 1;
        last = Some(pair);
    }
    task.figure("candidate_pairs", candidates as f64);
    let written = writer.finish()?;
    task.wrote(&name, written);
    Ok(())
}

/// The texts of a documents file, asked for in ascending order of rows.
struct Texts {
    rows: std::iter::Enumerate<TableReader<Document>>,
    words: usize,
    at: Option<(u64, Vec<u64>)>,
}

impl Texts {
    fn open(task: &Task<'_>, table: &FileRecord, words: usize) -> anyhow::Result<Texts> {
        let rows = TableReader::open(&task.path(&table.path))?.enumerate();
        Ok(Texts { rows, words, at: None })
    }

    fn shingles_of(&mut self, row: u64) -> anyhow::Result<&[u64]> {
        if self.at.as_ref().is_none_or(|(at, _)| *at != row) {
            let found = self.rows.find(|(number, _)| *number as u64 == row);
            let (_, document) = found.with_context(|| format!("row {row} of a documents file is missing"))?;
            self.at = Some((row, shingles(&document?.text, self.words)));
        }
        Ok(self.at.as_ref().map_or(&[], |(_, shingles)| shingles))
    }
}

pub(crate) struct Verify;

impl Stage for Verify {
    fn name(&self) -> &'static str {
        "dedup.verify"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let candidates = run.outputs("dedup.shingles", "work/")?;
        let near = near(run)?.clone();
        let tasks = document_files(run)?.into_iter().enumerate().map(|(number, table)| {
            let (candidates, near) = (candidates.clone(), near.clone());
            TaskPlan {
                inputs: std::iter::once(table.clone()).chain(candidates.clone()).collect(),
                settings: json!({"shingle_words": near.shingle_words, "jaccard_at_least": near.jaccard_at_least}),
                work: Box::new(move |task| verify(task, &table, &candidates, number as u32, &near)),
            }
        });
        Ok(tasks.collect())
    }
}

fn verify(
    task: &mut Task<'_>,
    table: &FileRecord,
    candidates: &[FileRecord],
    number: u32,
    near: &Near,
) -> anyhow::Result<()> {
    let mut sorter = Sorter::<Candidate>::new(task.scratch()?, sort_memory(task.run()));
    for path in paths(task.run(), candidates) {
        for candidate in BucketReader::open(&path, number)? {
            sorter.push(candidate?)?;
        }
    }
    let name = format!("work/dedup.verify/{number:05}.edges");
    let mut writer = BucketWriter::create(&task.path(&name), 1)?;
    let mut texts = Texts::open(task, table, near.shingle_words)?;
    let mut verified = 0u64;
    for candidate in sorter.finish()? {
        let Candidate { b_row, a, b, shingles } = candidate?;
        let jaccard = jaccard(&shingles, texts.shingles_of(b_row)?);
        if jaccard >= near.jaccard_at_least {
            writer.push(0, &EdgeRow { a, b, jaccard, exact: false })?;
            verified += 1;
        }
    }
    task.figure("verified_pairs", verified as f64);
    let written = writer.finish()?;
    task.wrote(&name, written);
    Ok(())
}

pub(crate) struct Cluster;

impl Stage for Cluster {
    fn name(&self) -> &'static str {
        "dedup.cluster"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let mut edges: Vec<FileRecord> =
            run.outputs("dedup.pairs", "work/")?.into_iter().filter(|f| f.path.ends_with(".edges")).collect();
        if run.recipe().dedup.near.is_some() {
            edges.extend(run.outputs("dedup.verify", "work/")?);
        }
        let files = document_files(run)?.len() as u32;
        let plan = TaskPlan {
            inputs: edges.clone(),
            settings: json!({"files": files}),
            work: Box::new(move |task| cluster(task, &edges, files)),
        };
        Ok(vec![plan])
    }
}

fn cluster(task: &mut Task<'_>, edges: &[FileRecord], files: u32) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for path in paths(task.run(), edges) {
        for edge in BucketReader::<EdgeRow>::open(&path, 0)? {
            let EdgeRow { a, b, jaccard, exact } = edge?;
            pairs.push(Edge { a, b, jaccard, exact });
        }
    }
    let mut dropped: BTreeMap<u32, Vec<DroppedRow>> = BTreeMap::new();
    let mut duplicates = Vec::new();
    let mut representatives = BTreeSet::new();
    for member in clusters(pairs) {
        let reason = if member.exact { Reason::ExactDuplicate } else { Reason::NearDuplicate };
        dropped.entry(member.document.file).or_default().push(DroppedRow { row: member.document.row, reason });
        representatives.insert(member.representative.id.clone());
        duplicates.push(Duplicate {
            id: member.document.id,
            key: member.document.key,
            representative_id: member.representative.id,
            representative_key: member.representative.key,
            similar_to: member.similar_to.id,
            jaccard: member.jaccard,
            verdict: reason,
        });
    }
    duplicates.sort_by(|a, b| a.id.cmp(&b.id));
    task.figure("clusters", representatives.len() as f64);
    let name = "duplicates/duplicates.parquet";
    let mut table = TableWriter::create(&task.path(name))?;
    duplicates.into_iter().try_for_each(|row| table.push(row))?;
    let written = table.finish()?;
    task.wrote(name, written);
    let name = "work/dedup.cluster/dropped.buckets";
    let mut writer = BucketWriter::create(&task.path(name), files.max(1))?;
    for (file, mut rows) in dropped {
        rows.sort_unstable_by_key(|dropped| dropped.row);
        rows.iter().try_for_each(|row| writer.push(file, row))?;
    }
    let written = writer.finish()?;
    task.wrote(name, written);
    Ok(())
}
