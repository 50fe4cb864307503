//! The stages of a recipe and the products that they exchange, in the order in which records flow. One file per part of
//! the path.

mod dedup;
mod documents;
mod filter;
mod kept_texts;
mod links;
mod model;
mod shards;
mod sources;
mod tokenizer;
mod tokens;

use records::{
    CutSpans, Document, DocumentText, Duplicate, EditedText, Exclusion, Link, Outcome, OverlapMatch, OverlapSet,
};
use store::numbers::NumbersRow;

use crate::engine::{Flow, Table, Wire};
use crate::error::{Error, Result};
use crate::recipe::Recipe;

pub use dedup::{
    DroppedRow, EditedRows, FileDuplicates, FileOverlap, PartRule, find_in_files, find_overlap_in_files,
    find_spans_in_files,
};
pub use kept_texts::{HasText, with_edits};
pub use links::{DroppedRecordFound, find_dropped_record, mentions_url};
pub use shards::{VALIDATION_DOCUMENTS, key_of};
pub use tokens::TokenRow;

/// The tables of a run that commands read.
#[derive(Clone)]
pub struct Products {
    /// Links, kept and dropped; `None` without `[links]`.
    pub links: Option<Wire<Table<Link>>>,
    /// Outcomes of links and captures, for each source of pages.
    pub outcomes: Vec<Wire<Table<Outcome>>>,
    /// Texts of pages, as extraction found them.
    pub texts: Wire<Table<DocumentText>>,
    /// Texts of kept documents that rules edited; [`with_edits`] puts them in place of the extracted ones.
    pub edited: Wire<Table<EditedText>>,
    /// The measures of the rules, row by row; a column per measure.
    pub measures: Wire<Table<NumbersRow>>,
    /// The verdicts of the rules, row by row.
    pub documents: Wire<Table<Document>>,
    /// Documents that others represent.
    pub duplicates: Wire<Table<Duplicate>>,
    /// Spans that were cut out of documents, for each rule of `[dedup] spans`.
    pub cut: Vec<Wire<Table<CutSpans>>>,
    /// What the documents and evaluation sets have in common.
    pub overlap_sets: Option<Wire<Table<OverlapSet>>>,
    /// Evaluation items that documents met, if anything is removed.
    pub overlap_matches: Option<Wire<Table<OverlapMatch>>>,
    /// Documents that a list of `exclude` names.
    pub excluded: Wire<Table<Exclusion>>,
    /// The place of each document among the tokens.
    pub tokens: Wire<Table<TokenRow>>,
}

/// The stages of a recipe.
///
/// # Errors
/// When a setting makes no sense, which checking the recipe finds.
pub fn of(recipe: &Recipe) -> Result<(Flow, Products)> {
    let mut flow = Flow::default();
    let buckets = recipe.limits.buckets;
    let links = recipe.links.as_ref().map(|settings| links::add(&mut flow, settings, buckets));
    let canonical = recipe.canonical();
    let mut captured: Vec<sources::Captured> = Vec::new();
    for (number, settings) in recipe.pages.iter().enumerate() {
        let earlier = captured.iter().map(|source| source.outcomes).collect();
        let left = sources::LinksLeft { links, canonical: canonical.clone(), earlier };
        captured.push(sources::add(&mut flow, number, settings, left, buckets));
    }
    let outcomes = captured.iter().map(|source| source.outcomes).collect();
    let documents::DocumentTables { texts, documents, measures } = documents::add(&mut flow, recipe, captured);
    let (extracted, edited) = (texts.extracted, texts.edited_by_rules);
    let duplicates = dedup::add(&mut flow, &recipe.dedup, texts, documents, buckets)?;
    let mut texts = duplicates.texts;
    let overlap = recipe.overlap.as_ref();
    let overlap = overlap.map(|rule| dedup::add_overlap(&mut flow, rule, &texts, documents, duplicates.resolved));
    let removed = overlap.and_then(|overlap| overlap.removed);
    if let Some(removed) = &removed {
        texts = texts.cut_by(removed.edited);
    }
    let overlap_matches = removed.map(|removed| removed.matches);
    let left = shards::DocumentsLeft { texts, documents, resolved: duplicates.resolved, overlap_matches };
    let shards = shards::add(&mut flow, &recipe.shards, canonical, left);
    let tokenizer = tokenizer::add(&mut flow, recipe, shards);
    let tokens = tokens::add(&mut flow, &recipe.shards, shards, tokenizer);
    if let Some(model) = &recipe.model {
        model::add(&mut flow, model, tokens.bins, tokenizer);
    }
    let products = Products {
        links,
        outcomes,
        texts: extracted,
        edited,
        measures,
        documents,
        duplicates: duplicates.table,
        cut: duplicates.cut,
        overlap_sets: overlap.map(|overlap| overlap.sets),
        overlap_matches,
        excluded: shards.excluded,
        tokens: tokens.documents,
    };
    Ok((flow, products))
}

/// Pairs the rows of two tables that have the same number of rows; an error if one ends before the other.
fn side_by_side<A, B>(a: impl Iterator<Item = A>, b: impl Iterator<Item = B>) -> impl Iterator<Item = Result<(A, B)>> {
    let (mut a, mut b) = (a, b);
    std::iter::from_fn(move || match (a.next(), b.next()) {
        (Some(a), Some(b)) => Some(Ok((a, b))),
        (None, None) => None,
        _ => Some(Err(Error::Bug("two tables that go together have other rows".to_owned()))),
    })
}

/// The name of a bucket's task.
fn bucket_name(bucket: u32) -> String {
    format!("{bucket:05}")
}

/// The task of a stage that has only one.
fn only_task<T>(task: T) -> Vec<(String, T)> {
    vec![(bucket_name(0), task)]
}
