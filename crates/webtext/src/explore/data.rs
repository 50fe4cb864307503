//! The data of the page, as the JSON in it. Field names are those in the scripts.

use std::collections::BTreeMap;

use filter::MeasureUnit;
use serde::Serialize;

/// Everything on the page.
#[derive(Debug, Default, Serialize)]
pub struct PageData {
    /// Name of the run's folder.
    pub run: String,
    /// Version of this program.
    pub version: &'static str,
    /// The recipe with every default spelled out.
    pub recipe: String,
    /// Stages that are not done.
    pub unfinished: Vec<String>,
    /// Documents of the run, without those that a list of `exclude` names.
    pub documents_of_run: u64,
    /// Characters after which texts are cut.
    pub max_text_chars: usize,
    /// The rules of the recipe, in order.
    pub rules: Vec<PageRule>,
    /// Explanations of the reasons of stages.
    pub reasons: BTreeMap<String, String>,
    /// By reason, `kept` for documents without one: how many there are.
    pub strata: BTreeMap<String, Stratum>,
    /// The documents, in the order of their ids.
    pub documents: Vec<PageDocument>,
}

impl PageData {
    /// Cuts every text after so many characters.
    pub fn cut_texts(&mut self, max_chars: usize) {
        self.max_text_chars = max_chars;
        for document in &mut self.documents {
            cut(&mut document.text, max_chars);
        }
    }
}

/// Documents of one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stratum {
    /// In the run.
    pub documents: u64,
    /// On the page.
    pub sampled: u64,
}

/// A rule as the recipe has it.
#[derive(Debug, Serialize)]
pub struct PageRule {
    /// Name of the rule.
    pub name: &'static str,
    /// Its settings.
    pub settings: serde_json::Value,
    /// Documents of the run that it dropped.
    pub dropped: u64,
    /// Documents of the run that it would have dropped alone.
    pub dropped_alone: u64,
    /// Its measures.
    pub measures: Vec<PageMeasure>,
}

/// A measure of a rule.
#[derive(Debug, Serialize)]
pub struct PageMeasure {
    /// Its name.
    pub name: String,
    /// Unit of its values.
    pub unit: MeasureUnit,
    /// Description.
    pub doc: String,
    /// Values below are out of limits.
    pub min: Option<PageBound>,
    /// Values above are out of limits.
    pub max: Option<PageBound>,
    /// Whether 0 is always within the limits.
    pub zero_passes: bool,
    /// Its values over the whole run; `None` if there are none.
    pub histogram: Option<PageHistogram>,
}

/// One side of a measure.
#[derive(Debug, Serialize)]
pub struct PageBound {
    /// The key in recipes.
    pub key: String,
    /// The limit; null where the recipe says "none".
    pub limit: Option<f64>,
    /// Whether the key takes a number in recipes, so that a slider can move it.
    pub is_adjustable: bool,
}

/// The values of a measure.
#[derive(Debug, Serialize)]
pub struct PageHistogram {
    /// Edges of the bins, ascending: one more than there are bins.
    pub edges: Vec<f64>,
    /// All documents.
    pub all: Vec<u64>,
    /// Documents that every other rule keeps.
    pub others: Vec<u64>,
}

/// A sampled document.
#[derive(Debug, Default, Serialize)]
pub struct PageDocument {
    pub id: String,
    pub url: String,
    pub domain: String,
    pub title: Option<String>,
    pub language: Option<String>,
    pub kind: String,
    /// The archive, and the offset in it.
    pub warc: String,
    pub offset: u64,
    /// The file that the page was packed from, if it was.
    pub file: Option<String>,
    /// Why it was dropped, if it was.
    pub reason: Option<String>,
    /// Whether the reason is a rule's.
    pub is_dropped_by_rule: bool,
    pub detail: Option<String>,
    pub words: u64,
    pub text_bytes: u64,
    /// The beginning of the text.
    pub text: String,
    /// Characters of the whole text.
    pub text_chars: u64,
    /// The values of all measures of all rules, in order; empty if no rule was applied to it. An undefined value is
    /// null.
    pub measures: Vec<f64>,
    /// Characters that the rules left, where they kept the document and edited its text.
    pub edited_text_chars: Option<u64>,
}

/// Keeps the first characters.
pub fn cut(text: &mut String, max_chars: usize) {
    // A character has at most four bytes, so most texts need no count.
    if text.len() > max_chars
        && let Some((at, _)) = text.char_indices().nth(max_chars)
    {
        text.truncate(at);
    }
}
