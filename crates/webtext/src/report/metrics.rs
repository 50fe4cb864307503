//! The numbers and samples that a report shows, gathered in one pass over the run's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gpt2::LossRow;
use pipeline::engine::{Table, Wire};
use pipeline::{RecipeRun, Run, Totals};
use records::{Counts, Document, DocumentText, Duplicate, Exclusion, Reason};
use serde::{Deserialize, Serialize};

/// Kept documents that are shown.
const KEPT_SAMPLES: usize = 8;
/// Dropped ones of each reason.
const DROPPED_SAMPLES: usize = 3;
/// Near-duplicates that are shown.
const NEAR_DUPLICATES: usize = 20;

/// A document to read.
#[derive(Debug, Clone)]
pub struct Sample {
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
    pub kept_samples: Vec<Sample>,
    pub dropped_samples: BTreeMap<Reason, Vec<Sample>>,
    pub near_duplicates: Vec<Duplicate>,
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
    pub fn gather(folder: &Path, run: &RecipeRun) -> anyhow::Result<RunMetrics> {
        let (products, run) = (&run.products, &run.run);
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
        let excluded = excluded_ids(run, products.excluded)?;
        // Samples are the documents with the smallest ids: ids are hashes, so that is a fair draw. Their texts are
        // read once it is known which they are.
        let mut kept = Samples::of(KEPT_SAMPLES);
        let mut dropped: BTreeMap<Reason, Samples> = BTreeMap::new();
        if run.has(products.documents) {
            for (file, (_, table)) in run.tables(products.documents)?.into_iter().enumerate() {
                for (row, document) in run.open_table::<Document, _>(&table)?.enumerate() {
                    let document = document?;
                    if excluded.contains(&document.id) {
                        continue; // nothing of it is shown
                    }
                    let duplicate = duplicates.get(&document.id).map(|duplicate| duplicate.verdict);
                    let verdict = document.verdict.or(duplicate);
                    metrics.count(&document, verdict.is_none());
                    let samples = match verdict {
                        None => &mut kept,
                        Some(reason) => dropped.entry(reason).or_insert_with(|| Samples::of(DROPPED_SAMPLES)),
                    };
                    samples.offer(document, (file, row));
                }
            }
            let mut texts = BTreeMap::new();
            for samples in dropped.values().chain([&kept]) {
                texts.extend(samples.documents.values().map(|(place, _)| (*place, None)));
            }
            for (file, (_, table)) in run.tables(products.texts)?.into_iter().enumerate() {
                if texts.range((file, 0)..(file + 1, 0)).next().is_some() {
                    for (row, text) in run.open_table::<TitleAndText, DocumentText>(&table)?.enumerate() {
                        if let Some(wanted) = texts.get_mut(&(file, row)) {
                            *wanted = Some(text?);
                        }
                    }
                }
            }
            metrics.kept_samples = kept.with_texts(&texts);
            metrics.dropped_samples =
                dropped.into_iter().map(|(reason, samples)| (reason, samples.with_texts(&texts))).collect();
        }
        let near = duplicates.into_values().filter(|duplicate| duplicate.verdict == Reason::NearDuplicate);
        metrics.near_duplicates = near.take(NEAR_DUPLICATES).collect();
        let model = folder.join("model");
        let curve = std::fs::read_to_string(model.join("loss.jsonl")).unwrap_or_default();
        metrics.curve = curve.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        metrics.model_sample = std::fs::read_to_string(model.join("sample.txt")).ok();
        Ok(metrics)
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

    /// The totals of a stage that there is once.
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

/// The ids of the documents that someone asked to leave out.
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
type Place = (usize, usize);

/// The documents with the smallest ids.
struct Samples {
    max: usize,
    documents: BTreeMap<String, (Place, Document)>,
}

impl Samples {
    fn of(max: usize) -> Samples {
        Samples { max, documents: BTreeMap::new() }
    }

    fn offer(&mut self, document: Document, place: Place) {
        let last = self.documents.last_key_value().map(|(id, _)| id);
        if self.documents.len() >= self.max && last.is_some_and(|last| *last < document.id) {
            return;
        }
        self.documents.insert(document.id.clone(), (place, document));
        if self.documents.len() > self.max {
            self.documents.pop_last();
        }
    }

    fn with_texts(self, texts: &BTreeMap<Place, Option<TitleAndText>>) -> Vec<Sample> {
        let sample = |(place, document): (Place, Document)| {
            let text = texts.get(&place).and_then(Option::as_ref);
            Sample {
                url: document.url,
                title: text.and_then(|text| text.title.clone()).unwrap_or_default(),
                text: text.map(|text| text.text.clone()).unwrap_or_default(),
                words: document.words,
                karma: document.karma,
                detail: document.detail.unwrap_or_default(),
            }
        };
        self.documents.into_values().map(sample).collect()
    }
}
