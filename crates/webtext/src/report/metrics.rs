//! The numbers and samples in a report, gathered in one pass over the run's tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use filter::{FilterTally, RuleTally};
use gpt2::LossRow;
use pipeline::engine::{Table, Wire};
use pipeline::{RecipeRun, Run, Totals};
use records::{Counts, Document, DocumentText, Duplicate, Exclusion, OverlapSet, Reason};
use serde::{Deserialize, Serialize};

use super::near_limits::{NearLimit, NearLimits};

/// Kept documents that are shown.
const KEPT_SAMPLES: usize = 8;
/// Dropped documents that are shown for each reason.
const DROPPED_SAMPLES: usize = 3;
/// Near-duplicates that are shown.
const NEAR_DUPLICATES: usize = 20;

/// A sampled document.
#[derive(Debug, Clone)]
pub struct SampledDocument {
    pub url: String,
    pub title: String,
    pub text: String,
    pub words: u64,
    pub karma: Option<i64>,
    pub detail: String,
}

/// Documents and bytes of text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amount {
    pub documents: u64,
    pub bytes: u64,
}

/// Everything a report shows.
#[derive(Debug, Default)]
pub struct RunMetrics {
    pub stages: Vec<Totals>,
    /// Kept documents after deduplication, and all that had a text, by language.
    pub languages: BTreeMap<String, (Amount, Amount)>,
    /// Kept documents by domain.
    pub domains: BTreeMap<String, Amount>,
    /// Kept documents by the power of two of their words.
    pub lengths: BTreeMap<u32, u64>,
    pub kept: Amount,
    pub kept_samples: Vec<SampledDocument>,
    pub dropped_samples: BTreeMap<Reason, Vec<SampledDocument>>,
    /// The documents nearest to each limit of the rules.
    pub near_limits: Vec<NearLimit<SampledDocument>>,
    pub near_duplicates: Vec<Duplicate>,
    /// What evaluation sets and the documents have in common.
    pub overlap: Vec<OverlapSet>,
    pub curve: Vec<LossRow>,
    pub model_sample: Option<String>,
}

/// What is read of a text's row.
#[derive(Serialize, Deserialize)]
struct TitleAndText {
    title: Option<String>,
    text: String,
}

impl RunMetrics {
    pub fn gather(recipe_run: &RecipeRun) -> anyhow::Result<RunMetrics> {
        let RecipeRun { products, run, .. } = recipe_run;
        let mut metrics = RunMetrics { stages: run.all_totals()?, ..RunMetrics::default() };
        let mut duplicates = BTreeMap::new();
        if run.has(products.duplicates) {
            for (_, table) in run.tables(products.duplicates)? {
                for row in run.open_table::<Duplicate, _>(&table)? {
                    let row = row?;
                    duplicates.insert(row.id.clone(), row);
                }
            }
        }
        if run.has(products.documents) {
            let drawn = metrics.read_documents(recipe_run, &duplicates)?;
            metrics.read_texts(recipe_run, drawn)?;
        }
        let near = duplicates.into_values().filter(|duplicate| duplicate.verdict == Reason::NearDuplicate);
        metrics.near_duplicates = near.take(NEAR_DUPLICATES).collect();
        if let Some(sets) = products.overlap_sets.filter(|sets| run.has(*sets)) {
            for (_, table) in run.tables(sets)? {
                metrics.overlap.extend(run.open_table::<OverlapSet, _>(&table)?.collect::<store::Result<Vec<_>>>()?);
            }
        }
        let curve = run.text("model/loss.jsonl")?.unwrap_or_default();
        metrics.curve = curve.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        metrics.model_sample = run.text("model/sample.txt")?;
        Ok(metrics)
    }

    /// Counts all documents, and draws those that are shown: the ones with the smallest ids, which are hashes, and so a
    /// fair draw, and the ones nearest to the limits of rules.
    fn read_documents(
        &mut self,
        RecipeRun { products, run, .. }: &RecipeRun,
        duplicates: &BTreeMap<String, Duplicate>,
    ) -> anyhow::Result<DrawnDocuments> {
        let excluded = excluded_ids(run, products.excluded)?;
        let (mut kept, mut dropped) = (Samples::of(KEPT_SAMPLES), BTreeMap::new());
        let rules = self.filter_tally().cloned().unwrap_or_default();
        let mut near_limits = NearLimits::of(&rules);
        // Measures have a table for each of documents, with the same rows.
        let tables = run.tables(products.documents)?.into_iter().zip(run.tables(products.measures)?);
        for (file, ((_, documents), (_, measures))) in tables.enumerate() {
            let rows = run.open_table::<Document, _>(&documents)?.zip(run.open_numbers(&measures)?);
            for (row, (document, measures)) in rows.enumerate() {
                let placed @ (_, document) = &((file, row), document?);
                if excluded.contains(&document.id) {
                    continue; // nothing of it is shown
                }
                let duplicate = duplicates.get(&document.id).map(|duplicate| duplicate.verdict);
                let verdict = document.verdict.or(duplicate);
                self.count(document, verdict.is_none());
                // The rules see what extraction keeps.
                if matches!(document.verdict, None | Some(Reason::Rule { .. })) {
                    near_limits.offer(&document.id, &measures?.values, placed);
                }
                let samples = match verdict {
                    None => &mut kept,
                    Some(reason) => dropped.entry(reason).or_insert_with(|| Samples::of(DROPPED_SAMPLES)),
                };
                samples.offer(placed);
            }
        }
        Ok(DrawnDocuments { kept, dropped, near_limits: near_limits.finish() })
    }

    /// Reads the texts of the documents that were drawn.
    fn read_texts(&mut self, RecipeRun { products, run, .. }: &RecipeRun, drawn: DrawnDocuments) -> anyhow::Result<()> {
        let DrawnDocuments { kept, dropped, near_limits } = drawn;
        let samples = dropped.values().chain([&kept]).flat_map(|samples| samples.documents.values());
        let near = near_limits.iter().flat_map(|near| near.within.iter().chain(&near.beyond)).map(|(_, placed)| placed);
        let mut texts: BTreeMap<DocumentPlace, Option<TitleAndText>> =
            samples.chain(near).map(|(place, _)| (*place, None)).collect();
        for (file, (_, table)) in run.tables(products.texts)?.into_iter().enumerate() {
            if texts.range((file, 0)..(file + 1, 0)).next().is_some() {
                for (row, text) in run.open_table::<TitleAndText, DocumentText>(&table)?.enumerate() {
                    if let Some(wanted) = texts.get_mut(&(file, row)) {
                        *wanted = Some(text?);
                    }
                }
            }
        }
        let sample =
            |(place, document): Placed| SampledDocument::of(document, texts.get(&place).and_then(Option::as_ref));
        let samples = |samples: Samples| samples.documents.into_values().map(sample).collect();
        self.kept_samples = samples(kept);
        self.dropped_samples = dropped.into_iter().map(|(reason, dropped)| (reason, samples(dropped))).collect();
        self.near_limits = near_limits.into_iter().map(|near| near.map(sample)).collect();
        Ok(())
    }

    /// What the rules did; nothing where the run has not come to them.
    fn filter_tally(&self) -> Option<&FilterTally> {
        self.stage("documents.filter").map(|totals| &totals.tally.rules)
    }

    /// What a reason means; of a rule's, what is measured.
    pub fn explanation(&self, reason: Reason) -> Cow<'static, str> {
        let Reason::Rule { rule, measure } = reason else { return reason.explanation().into() };
        let rule = self.rules().iter().find(|tally| tally.rule == rule);
        let measure = rule.and_then(|tally| tally.measures.iter().find(|tally| tally.measure == measure));
        measure.map_or_else(|| reason.explanation().into(), |tally| format!("Out of limits: {}.", tally.doc).into())
    }

    /// The rules of the recipe, in order, with what they did.
    pub fn rules(&self) -> &[RuleTally] {
        self.filter_tally().map_or(&[], FilterTally::rules)
    }

    fn count(&mut self, document: &Document, kept: bool) {
        let bytes = document.text_bytes;
        if bytes > 0 {
            let language = document.language.clone().unwrap_or_else(|| "none".into());
            let (kept_amount, all) = self.languages.entry(language).or_default();
            all.add(bytes);
            if kept {
                kept_amount.add(bytes);
            }
        }
        if kept {
            self.kept.add(bytes);
            self.domains.entry(document.domain.clone()).or_default().add(bytes);
            *self.lengths.entry(document.words.max(1).ilog2()).or_default() += 1;
        }
    }

    /// The totals of the stages of this name, over all sources of pages.
    pub fn stages<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Totals> {
        self.stages.iter().filter(move |totals| {
            totals.tasks > 0
                && totals.stage.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    /// The totals of a stage that exists once.
    pub fn stage<'s>(&'s self, name: &'s str) -> Option<&'s Totals> {
        self.stages(name).next()
    }

    /// The drops of all stages together.
    pub fn all_drops(&self) -> Counts {
        let mut all = Counts::default();
        self.stages.iter().for_each(|stage| all.add(&stage.tally.counts));
        all
    }
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.documents += 1;
        self.bytes += bytes;
    }
}

/// The ids of the documents that a list of `exclude` names.
pub fn excluded_ids(run: &Run, product: Wire<Table<Exclusion>>) -> anyhow::Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    if run.has(product) {
        for (_, table) in run.tables(product)? {
            for row in run.open_table::<Exclusion, _>(&table)? {
                ids.insert(row?.id);
            }
        }
    }
    Ok(ids)
}

/// Number of a documents file, and of a row in it.
type DocumentPlace = (usize, usize);

/// A document with its place.
type Placed = (DocumentPlace, Document);

/// The documents that are shown, without their texts.
struct DrawnDocuments {
    kept: Samples,
    dropped: BTreeMap<Reason, Samples>,
    near_limits: Vec<NearLimit<Placed>>,
}

/// The documents with the smallest ids.
struct Samples {
    max: usize,
    documents: BTreeMap<String, Placed>,
}

impl Samples {
    fn of(max: usize) -> Samples {
        Samples { max, documents: BTreeMap::new() }
    }

    fn offer(&mut self, placed: &Placed) {
        let id = &placed.1.id;
        let last = self.documents.last_key_value().map(|(id, _)| id);
        if self.documents.len() >= self.max && last.is_some_and(|last| last < id) {
            return;
        }
        self.documents.insert(id.clone(), placed.clone());
        if self.documents.len() > self.max {
            self.documents.pop_last();
        }
    }
}

impl SampledDocument {
    fn of(document: Document, text: Option<&TitleAndText>) -> SampledDocument {
        SampledDocument {
            url: document.url,
            title: text.and_then(|text| text.title.clone()).unwrap_or_default(),
            text: text.map(|text| text.text.clone()).unwrap_or_default(),
            words: document.words,
            karma: document.karma,
            detail: document.detail.unwrap_or_default(),
        }
    }
}
