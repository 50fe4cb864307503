//! `overlap.remove`: documents without what they and evaluation items have in common.

use std::collections::BTreeMap;
use std::ops::Range;

use ::dedup::overlap::{DocumentCounts, ItemIndex, Match};
use ::dedup::spans::{SpanKind, Spans};
use records::{EditedText, OverlapMatch, Reason};
use serde::{Deserialize, Serialize};

use super::sets::{EvaluationSet, index_of};
use crate::engine::{Bucket, External, Product, Table, TableOutput, Task, Work};
use crate::error::Result;
use crate::recipe::RemoveOverlap;
use crate::stages::dedup::cut::InputFile;
use crate::stages::dedup::documents::KeptDocument;
use crate::stages::dedup::rows::NgramDocuments;

/// Removes items from the documents of a file, or documents.
#[derive(Serialize, Deserialize)]
pub(super) struct RemoveItems {
    pub(super) input: InputFile,
    pub(super) sets: Vec<External>,
    pub(super) documents: Bucket<NgramDocuments>,
    pub(super) remove: RemoveOverlap,
    pub(super) ngram_words: usize,
    pub(super) max_documents: u64,
}

impl RemoveItems {
    pub(super) const EDITED: Product<RemoveItems, Table<EditedText>> =
        Product::new("edited", "documents/overlap/{name}.parquet");
    pub(super) const MATCHES: Product<RemoveItems, Table<OverlapMatch>> =
        Product::new("matches", "overlap/matches-{name}.parquet");
}

impl Task for RemoveItems {
    const REVISION: u32 = 2; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let index = index_of(&EvaluationSet::read_all(work, &self.sets)?, self.ngram_words);
        work.metric("items_too_short", index.without_ngrams() as f64);
        let mut documents = index.counts();
        for row in work.lookup_bucket(&self.documents)? {
            let NgramDocuments { hash, documents: more } = row?;
            documents.add_documents(&index, hash, more);
        }
        let edited = work.create_table(RemoveItems::EDITED)?;
        let matches = work.create_table(RemoveItems::MATCHES)?;
        let mut removal = Removal { task: self, index: &index, documents, edited, matches };
        self.input.for_each(work, |work, document| removal.push(work, document))?;
        removal.edited.finish()?;
        removal.matches.finish()
    }
}

/// The removal under way.
struct Removal<'t> {
    task: &'t RemoveItems,
    index: &'t ItemIndex<String>,
    documents: DocumentCounts,
    edited: TableOutput<EditedText>,
    matches: TableOutput<OverlapMatch>,
}

impl Removal<'_> {
    fn push(&mut self, work: &mut Work<'_>, KeptDocument { document, key, text, .. }: KeptDocument) -> Result<()> {
        let found = self.index.matches(&text, &self.documents, self.task.max_documents);
        if found.is_empty() {
            work.counts.keep();
            return Ok(());
        }
        let left = self.left_of(&text, &found);
        let verdict = left.is_none().then_some(Reason::InEvaluationSet);
        work.counts.record(verdict);
        let (row, id) = (document.row, format!("{:032x}", document.id));
        for (item, bytes) in longest_by_item(&found) {
            let (start, end) = (bytes.start as u64, bytes.end as u64);
            self.matches.push(OverlapMatch {
                row,
                id: id.clone(),
                key: key.clone(),
                item: item.clone(),
                start,
                end,
                verdict,
            })?;
        }
        // A dropped document is one of which nothing is left.
        self.edited.push(EditedText { row, id, text: left.unwrap_or_default() })
    }

    /// What is left of a text that met items; none if the document is dropped.
    fn left_of(&self, text: &str, found: &[Match<'_, String>]) -> Option<String> {
        match self.task.remove {
            RemoveOverlap::Documents => None,
            RemoveOverlap::Spans => {
                let ranges: Vec<Range<usize>> = found.iter().map(|found| found.bytes.clone()).collect();
                let sentences = Spans { kind: SpanKind::Sentences { n: 1 }, min_words: 0 };
                let edit = sentences.divide(text).cut_touched(&ranges);
                edit.map(|edit| edit.text).filter(|text| !text.trim().is_empty())
            }
        }
    }
}

/// The items that were met, each with the longest text that both have.
fn longest_by_item<'i>(found: &[Match<'i, String>]) -> BTreeMap<&'i String, Range<usize>> {
    let mut of_items: BTreeMap<&String, Range<usize>> = BTreeMap::new();
    for Match { bytes, item, .. } in found {
        let longest = of_items.entry(item).or_insert_with(|| bytes.clone());
        if bytes.len() > longest.len() {
            *longest = bytes.clone();
        }
    }
    of_items
}
