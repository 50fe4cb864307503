//! Copies of parts of texts. `dedup.units` (a task per documents file) hashes lines, paragraphs or runs of sentences;
//! `dedup.copies` (a task per bucket of hashes) finds those that are copies; `dedup.cut` (a task per documents file)
//! cuts them out of the texts. Several rules follow each other, each on the texts that the one before it left.

use std::collections::HashSet;

use ::dedup::spans::{CopyRule, DatatroveSentences, Division, Occurrence, SpanKind, Spans};
use records::{CutSpans, EditedText};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use xxhash_rust::xxh3::xxh3_64;

use super::bucket_of_file;
use super::cut::{CutTexts, CutWriter, InputFile, InputFiles};
use super::documents::KeptDocument;
use super::rows::{CopyRow, DocumentRef, UnitRow};
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Product, Table, Task, Work};
use crate::error::Result;
use crate::recipe::{SpanDialect, SpanRule, SpanScope, SpanUnit};
use crate::stages::bucket_name;

/// Adds the stages of the rule with this number, from 0.
pub(super) fn add(flow: &mut Flow, number: usize, rule: &SpanRule, input: &InputFiles) -> CutTexts {
    let (rule, buckets) = (rule.clone(), input.buckets);
    let (of_units, of_cut, of_rule) = (input.clone(), input.clone(), rule.clone());
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

fn datatrove(rule: &SpanRule) -> DatatroveSentences {
    DatatroveSentences {
        n_sentences: rule.sentences,
        split_sentences: rule.unit == SpanUnit::Sentence,
        ..DatatroveSentences::default()
    }
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
                SpanScope::Domain if domain.is_empty() => return Ok(()), // of no domain, and so like no other
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
        let mut writer = CutWriter::new(work.create_table(CutCopies::EDITED)?, work.create_table(CutCopies::CUT)?);
        // Other documents files share the bucket.
        let mut copies = work.lookup_bucket(&self.copies)?.peekable();
        self.input.for_each(work, |work, document| {
            let place = (document.document.file, document.document.row);
            let mut units = HashSet::new();
            let is_due = |copy: &CopyRow| (copy.file, copy.row) <= place;
            while let Some(copy) = copies.next_if(|copy| copy.as_ref().map_or(true, is_due)) {
                units.extend(Some(copy?).filter(|copy| (copy.file, copy.row) == place).map(|copy| copy.unit));
            }
            let edit = divide(&self.rule, &document.text).cut(|unit| units.contains(&(unit.number as u64)));
            let is_dropped = edit.as_ref().is_some_and(|edit| self.too_little(&document.text, &edit.text));
            writer.push(work, document, edit, is_dropped)
        })?;
        writer.finish(work)
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
