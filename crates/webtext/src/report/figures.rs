//! The numbers and samples that a report shows, gathered in one pass over the run's tables.

use std::collections::BTreeMap;

use gpt2::LossRow;
use store::table::TableReader;
use records::{Counts, Document, Duplicate, Reason};
use pipeline::{Run, Totals};

/// Kept documents that are shown.
const KEPT_SAMPLES: usize = 8;
/// Dropped ones of each reason.
const DROPPED_SAMPLES: usize = 3;

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
pub struct Figures {
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

impl Figures {
    pub fn gather(run: &Run) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        for standing in run.standings()? {
            figures.stages.push(run.totals(standing.stage)?);
        }
        let mut duplicates = BTreeMap::new();
        for table in run.outputs("dedup.cluster", "duplicates/")? {
            for row in TableReader::<Duplicate>::open(&run.folder().join(&table.path))? {
                let row = row?;
                duplicates.insert(row.id.clone(), row);
            }
        }
        // Samples are the documents with the smallest ids: ids are hashes, so that is a fair draw.
        let mut kept: BTreeMap<String, Sample> = BTreeMap::new();
        let mut dropped: BTreeMap<Reason, BTreeMap<String, Sample>> = BTreeMap::new();
        for table in run.outputs("documents", "documents/")? {
            for document in TableReader::<Document>::open(&run.folder().join(&table.path))? {
                let document = document?;
                let duplicate = duplicates.get(&document.id).map(|duplicate| duplicate.verdict);
                let verdict = document.verdict.or(duplicate);
                figures.count(&document, verdict.is_none());
                let (samples, most) = match verdict {
                    None => (&mut kept, KEPT_SAMPLES),
                    Some(reason) => (dropped.entry(reason).or_default(), DROPPED_SAMPLES),
                };
                insert_bounded(samples, most, &document);
            }
        }
        figures.kept_samples = kept.into_values().collect();
        figures.dropped_samples =
            dropped.into_iter().map(|(reason, samples)| (reason, samples.into_values().collect())).collect();
        figures.near_duplicates =
            duplicates.into_values().filter(|d| d.verdict == Reason::NearDuplicate).take(20).collect();
        let model = run.folder().join("model");
        let curve = std::fs::read_to_string(model.join("loss.jsonl")).unwrap_or_default();
        figures.curve = curve.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        figures.model_sample = std::fs::read_to_string(model.join("sample.txt")).ok();
        Ok(figures)
    }

    fn count(&mut self, document: &Document, kept: bool) {
        let bytes = document.text.len() as u64;
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

    /// The totals of a stage.
    pub fn stage(&self, name: &str) -> Option<&Totals> {
        self.stages.iter().find(|stage| stage.stage == name)
    }

    /// The drops of all stages together.
    pub fn all_drops(&self) -> Counts {
        let mut all = Counts::default();
        self.stages.iter().for_each(|stage| all.add(&stage.counts));
        all
    }
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.documents += 1;
        self.bytes += bytes;
    }
}

/// Keeps the `most` documents with the smallest ids.
fn insert_bounded(samples: &mut BTreeMap<String, Sample>, most: usize, document: &Document) {
    let last = samples.last_key_value().map(|(id, _)| id);
    if samples.len() >= most && last.is_some_and(|last| *last < document.id) {
        return;
    }
    let sample = Sample {
        url: document.url.clone(),
        title: document.title.clone().unwrap_or_default(),
        text: document.text.clone(),
        words: document.words,
        karma: document.karma,
        detail: document.detail.clone().unwrap_or_default(),
    };
    samples.insert(document.id.clone(), sample);
    if samples.len() > most {
        samples.pop_last();
    }
}
