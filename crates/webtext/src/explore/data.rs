//! What the page knows, as the JSON in it. Names here are names in the scripts.

use std::collections::BTreeMap;

use filter::Unit;
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
    /// Documents of the run, but for those that somebody asked to leave out.
    pub documents_of_run: u64,
    /// Characters after which texts are cut.
    pub max_text_chars: usize,
    /// The rules of the recipe, in order.
    pub rules: Vec<PageRule>,
    /// What reasons mean, of those that are no rule's.
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
    /// Its name.
    pub name: &'static str,
    /// Its numbers.
    pub settings: serde_json::Value,
    /// Documents of the run that it dropped.
    pub dropped: u64,
    /// Documents of the run that it would have dropped alone.
    pub dropped_alone: u64,
    /// What it measures.
    pub measures: Vec<PageMeasure>,
}

/// A measure of a rule.
#[derive(Debug, Serialize)]
pub struct PageMeasure {
    /// Its name.
    pub name: String,
    /// What it counts in.
    pub unit: Unit,
    /// What it is.
    pub doc: String,
    /// Values below are out of limits.
    pub min: Option<PageBound>,
    /// Values above are out of limits.
    pub max: Option<PageBound>,
    /// Whether 0 is within the limits whatever they are.
    pub zero_passes: bool,
    /// Its values over the whole run; none where it has no value.
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
    /// Borders of the bins: one more than there are bins, growing.
    pub edges: Vec<f64>,
    /// All documents.
    pub all: Vec<u64>,
    /// Documents that every other rule keeps.
    pub others: Vec<u64>,
}

/// A document to read.
#[derive(Debug, Default, Serialize)]
pub struct PageDocument {
    pub id: String,
    pub url: String,
    pub domain: String,
    pub title: Option<String>,
    pub language: Option<String>,
    pub kind: String,
    /// The archive, and the byte in it.
    pub warc: String,
    pub offset: u64,
    /// The file that the page was made from, where it was one.
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
    /// The values of all measures of all rules, in order; empty where the rules did not see it. A value that is not
    /// defined is null.
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
