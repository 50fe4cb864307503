//! Copies of parts of texts. `dedup.units` (a task per documents file) hashes lines, paragraphs or runs of sentences;
//! `dedup.copies` (a task per bucket of hashes) finds those that are copies; `dedup.cut` (a task per documents file)
//! cuts them out of the texts. Several rules follow each other, each on the texts that the one before it left.

use std::collections::HashSet;

use ::dedup::spans::{CopyRule, Datatrove, Division, Edit, Occurrence, SpanKind, Spans};
use records::{CutSpans, EditedText, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_64;

use super::documents::{DocumentsFile, DocumentsWire, KeptDocument};
use super::rows::{CopyRow, Decision, DocumentRef, ResolvedRow, UnitRow};
use super::{Resolved, bucket_of_file, file_number};
use crate::engine::{Bucket, BucketOfTask, BucketOutput, Buckets, Flow, Planner, Product, Table, Task, Wire, Work};
use crate::error::{OrBug as _, Result};
use crate::recipe::{KeepKey, SpanDialect, SpanRule, SpanScope, SpanUnit};
use crate::stages::bucket_name;

/// The products of one rule.
#[derive(Clone, Copy)]
pub(super) struct CutTexts {
    /// The texts without the copies.
    pub(super) edited: Wire<Table<EditedText>>,
    /// What was cut.
    pub(super) cut: Wire<Table<CutSpans>>,
}

/// What a rule is applied to.
pub(super) struct SpanInput<'a> {
    pub(super) documents: &'a DocumentsWire,
    /// The order in which the first occurrence of a unit is the one that stays.
    pub(super) keep: &'a [KeepKey],
    /// Which documents stay; of files, all do.
    pub(super) resolved: Option<Resolved>,
    pub(super) buckets: u32,
}

/// Adds the stages of the rule with this number, from 0.
pub(super) fn add(flow: &mut Flow, number: usize, rule: &SpanRule, input: &SpanInput<'_>) -> CutTexts {
    let (rule, buckets) = (rule.clone(), input.buckets);
    let files = InputFiles { documents: input.documents.clone(), resolved: input.resolved, keep: input.keep.to_vec() };
    let (of_units, of_cut, of_rule) = (files.clone(), files, rule.clone());
    let units = flow.stage_of_source("dedup.units", number, move |plan| {
        let tasks = of_units.plan(plan)?.into_iter();
        Ok(tasks.map(|(name, input)| (name, SplitUnits { input, rule: of_rule.clone(), buckets })).collect())
    });
    let units = units.product(SplitUnits::UNITS);
    let min_documents = rule.min_documents;
    let copies = flow.stage_of_source("dedup.copies", number, move |plan| {
        let tasks = plan.buckets(units, buckets)?.into_iter();
        let task = |units: Bucket<UnitRow>| (bucket_name(units.bucket), FindCopies { units, min_documents, buckets });
        Ok(tasks.map(task).collect())
    });
    let copies = copies.product(FindCopies::COPIES);
    let cut = flow.stage_of_source("dedup.cut", number, move |plan| {
        let copies = plan.buckets(copies, buckets)?;
        let tasks = of_cut.plan(plan)?.into_iter().map(|(name, input)| {
            let copies = copies[bucket_of_file(input.file, buckets) as usize].clone();
            (name, CutCopies { input, copies, rule: rule.clone() })
        });
        Ok(tasks.collect())
    });
    CutTexts { edited: cut.product(CutCopies::EDITED), cut: cut.product(CutCopies::CUT) }
}

/// The documents files with the decisions about them, for planners.
#[derive(Clone)]
struct InputFiles {
    documents: DocumentsWire,
    resolved: Option<Resolved>,
    keep: Vec<KeepKey>,
}

impl InputFiles {
    fn plan(&self, plan: &Planner<'_>) -> Result<Vec<(String, InputFile)>> {
        let resolved = match self.resolved {
            Some(Resolved { rows, buckets }) => {
                // One task writes all buckets, so a bucket of its file is the bucket of the stage.
                let of_task = plan.buckets_of_tasks(rows)?.into_iter().next();
                let (_, rows) = of_task.or_bug(|| "no task has resolved the duplicates".to_owned())?;
                Some((rows, buckets))
            }
            None => None,
        };
        let files = self.documents.files(plan)?.into_iter().map(|(name, documents)| {
            let file = file_number(&name);
            let bucket = |(rows, buckets): &(Vec<BucketOfTask<ResolvedRow>>, u32)| {
                rows[bucket_of_file(file, *buckets) as usize].clone()
            };
            (name, InputFile { file, documents, resolved: resolved.as_ref().map(bucket), keep: self.keep.clone() })
        });
        Ok(files.collect())
    }
}

/// A documents file and the decisions about its documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InputFile {
    file: u64,
    documents: DocumentsFile,
    resolved: Option<BucketOfTask<ResolvedRow>>,
    keep: Vec<KeepKey>,
}

impl InputFile {
    /// Calls `each` with the documents that are still there.
    fn for_each(
        &self,
        work: &mut Work<'_>,
        mut each: impl FnMut(&mut Work<'_>, KeptDocument) -> Result<()>,
    ) -> Result<()> {
        let mut dropped = HashSet::new();
        if let Some(resolved) = &self.resolved {
            for row in work.lookup_rows(resolved)? {
                let ResolvedRow { file, row, decision } = row?;
                if file == self.file && !matches!(decision, Decision::KeepFor(_)) {
                    dropped.insert(row);
                }
            }
        }
        self.documents.for_each_kept(work, self.file, &self.keep, |work, document| {
            // A text of which a rule before this one left too little is empty.
            if dropped.contains(&document.document.row) || document.text.is_empty() && self.resolved.is_some() {
                return Ok(()); // counted by the stage that drops it
            }
            each(work, document)
        })
    }
}

/// Divides a text by the rule.
fn divide<'t>(rule: &SpanRule, text: &'t str) -> Division<'t> {
    let kind = match rule.unit {
        SpanUnit::Line => SpanKind::Lines,
        SpanUnit::Paragraph => SpanKind::Paragraphs,
        SpanUnit::Sentence => SpanKind::Sentences { n: rule.sentences },
    };
    match rule.dialect {
        None => Spans { kind, min_words: rule.min_words }.divide(text),
        Some(SpanDialect::Datatrove0_10) => datatrove(rule).divide(text),
    }
}

fn datatrove(rule: &SpanRule) -> Datatrove {
    Datatrove { n_sentences: rule.sentences, split_sentences: rule.unit == SpanUnit::Sentence, ..Datatrove::default() }
}

/// Hashes the units of the documents of a file.
#[derive(Serialize, Deserialize)]
struct SplitUnits {
    input: InputFile,
    rule: SpanRule,
    buckets: u32,
}

impl SplitUnits {
    const UNITS: Product<SplitUnits, Buckets<UnitRow>> = Product::new("units", "work/{stage}/{name}.units");
}

impl Task for SplitUnits {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut units = work.create_buckets(SplitUnits::UNITS, self.buckets)?;
        self.input.for_each(work, |work, KeptDocument { document, domain, text, .. }| {
            work.counts.keep();
            let scope = match self.rule.within {
                SpanScope::Corpus => 0,
                SpanScope::Domain => xxh3_64(domain.as_bytes()),
            };
            for unit in divide(&self.rule, &text).units() {
                let hash = unit.hash ^ scope;
                let row = UnitRow { hash, document: document.clone(), unit: unit.number as u64 };
                units.push(bucket_of(&hash.to_le_bytes(), self.buckets), &row)?;
            }
            Ok(())
        })?;
        units.finish()
    }
}

/// Finds the copies among the units of a bucket.
#[derive(Serialize, Deserialize)]
struct FindCopies {
    units: Bucket<UnitRow>,
    min_documents: Option<u64>,
    buckets: u32,
}

impl FindCopies {
    const COPIES: Product<FindCopies, Buckets<CopyRow>> = Product::new("copies", "work/{stage}/{name}.copies");
}

impl Task for FindCopies {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let rule = match self.min_documents {
            None => CopyRule::AllButFirst,
            Some(min_documents) => CopyRule::Furniture { min_documents },
        };
        let mut copies = work.create_buckets(FindCopies::COPIES, self.buckets)?;
        let mut group = UnitGroup::default();
        let mut count = 0u64;
        // Sorted by hash, then document, then place in it.
        for row in work.receive(&self.units)? {
            let row = row?;
            if group.hash != Some(row.hash) {
                group = UnitGroup { hash: Some(row.hash), ..UnitGroup::default() };
            }
            count += group.push(row, rule, |row| push_copy(&mut copies, row, self.buckets))?;
        }
        work.metric("copies", count as f64);
        copies.finish()
    }
}

fn push_copy(copies: &mut BucketOutput<CopyRow>, row: &UnitRow, buckets: u32) -> Result<()> {
    let DocumentRef { file, row: of_document, .. } = row.document;
    copies.push(bucket_of_file(file, buckets), &CopyRow { file, row: of_document, unit: row.unit })
}

/// The units of one hash, of which only those are held that later ones may make copies of.
#[derive(Default)]
struct UnitGroup {
    hash: Option<u64>,
    earlier: u64,
    documents: u64,
    last: Option<DocumentRef>,
    held: Vec<UnitRow>,
}

impl UnitGroup {
    /// Adds the next unit, and passes on those that are known to be copies now. Returns how many these are.
    fn push(&mut self, row: UnitRow, rule: CopyRule, mut copy: impl FnMut(&UnitRow) -> Result<()>) -> Result<u64> {
        if self.last.as_ref() != Some(&row.document) {
            self.documents += 1;
            self.last = Some(row.document.clone());
        }
        let is_copy = rule.is_copy(Occurrence { earlier: self.earlier, documents: self.documents });
        self.earlier += 1;
        let may_become_one = matches!(rule, CopyRule::Furniture { .. });
        if is_copy {
            let held = std::mem::take(&mut self.held);
            held.iter().chain([&row]).try_for_each(&mut copy)?;
            return Ok(held.len() as u64 + 1);
        }
        if may_become_one {
            self.held.push(row);
        }
        Ok(0)
    }
}

/// Cuts the copies out of the documents of a file.
#[derive(Serialize, Deserialize)]
struct CutCopies {
    input: InputFile,
    copies: Bucket<CopyRow>,
    rule: SpanRule,
}

impl CutCopies {
    const EDITED: Product<CutCopies, Table<EditedText>> =
        Product::new("edited", "documents/cut{suffix}/{name}.parquet");
    const CUT: Product<CutCopies, Table<CutSpans>> = Product::new("spans", "duplicates/spans{suffix}-{name}.parquet");
}

impl Task for CutCopies {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut edited = work.create_table(CutCopies::EDITED)?;
        let mut spans = work.create_table(CutCopies::CUT)?;
        // Other documents files share the bucket.
        let mut copies = work.lookup_bucket(&self.copies)?.peekable();
        let (mut cut_bytes, mut cut_spans) = (0u64, 0u64);
        self.input.for_each(work, |work, KeptDocument { document, key, text, .. }| {
            let place = (document.file, document.row);
            let mut units = HashSet::new();
            while let Some(copy) =
                copies.next_if(|copy| copy.as_ref().map_or(true, |copy| (copy.file, copy.row) <= place))
            {
                let copy = copy?;
                if (copy.file, copy.row) == place {
                    units.insert(copy.unit);
                }
            }
            let edit = divide(&self.rule, &text).cut(|unit| units.contains(&(unit.number as u64)));
            let Some(Edit { text: left, cut }) = edit else {
                work.counts.keep();
                return Ok(());
            };
            let verdict = self.too_little(&text, &left).then_some(Reason::TooLittleLeft);
            work.counts.record(verdict);
            cut_spans += cut.len() as u64;
            cut_bytes += cut.iter().map(|span| span.len() as u64).sum::<u64>();
            let id = format!("{:032x}", document.id);
            let (starts, ends) = cut.iter().map(|span| (span.start as u64, span.end as u64)).unzip();
            spans.push(CutSpans { row: document.row, id: id.clone(), key, starts, ends, verdict })?;
            // A dropped document is one of which nothing is left.
            let text = if verdict.is_some() { String::new() } else { left };
            edited.push(EditedText { row: document.row, id, text })
        })?;
        work.metric("cut_spans", cut_spans as f64);
        work.metric("cut_bytes", cut_bytes as f64);
        edited.finish()?;
        spans.finish()
    }
}

impl CutCopies {
    fn too_little(&self, text: &str, left: &str) -> bool {
        match self.rule.dialect {
            None => left.trim().is_empty(),
            Some(SpanDialect::Datatrove0_10) => datatrove(&self.rule).too_little(text, left).is_some(),
        }
    }
}
