//! Reads a run for the page.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Context;
use filter::{Histogram, MeasureTally, MeasureUnit, NamedLimit, RuleSettings, RuleTally};
use pipeline::engine::{Table, Wire};
use pipeline::{RecipeRun, StageState};
use records::{Document, DocumentText, Duplicate, EditedText, Reason};
use serde::{Deserialize, Serialize};

use super::data::{PageBound, PageData, PageDocument, PageHistogram, PageMeasure, PageRule, Stratum, cut};
use super::draw::{Draw, Drawn};
use crate::report::excluded_ids;

/// Longest title and detail, in characters; each is one line on the page.
const LINE_CHARS: usize = 300;

/// The columns of a document's row that the draw reads.
#[derive(Serialize, Deserialize)]
struct IdAndVerdict {
    id: String,
    verdict: Option<Reason>,
}

/// The columns of a text's row that the page shows.
#[derive(Serialize, Deserialize)]
struct ShownText {
    title: Option<String>,
    kind: String,
    text: String,
    warc: String,
    offset: u64,
    file: Option<String>,
}

/// Reads at most `max_documents` documents, with texts of at most `max_text_chars` characters.
pub fn gather(folder: &Path, run: &RecipeRun, max_documents: usize, max_text_chars: usize) -> anyhow::Result<PageData> {
    let mut data = PageData {
        run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION"),
        recipe: run.recipe.to_toml()?,
        unfinished: unfinished(run)?,
        rules: rules(run)?,
        ..PageData::default()
    };
    if !run.run.has(run.products.documents) {
        return Ok(data);
    }
    let drawn = draw(run, max_documents)?;
    for (reason, (documents, sampled)) in &drawn.strata {
        let name = reason.map_or_else(|| "kept".to_owned(), |reason| reason.to_string());
        // A rule's reason is explained by the description of its measure.
        if let Some(reason) = reason.filter(|reason| !matches!(reason, Reason::Rule { .. })) {
            data.reasons.insert(name.clone(), reason.explanation().to_owned());
        }
        data.documents_of_run += documents;
        data.strata.insert(name, Stratum { documents: *documents, sampled: *sampled });
    }
    data.documents = documents(run, &drawn, max_text_chars)?;
    data.documents.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(data)
}

/// The stages that are not done.
fn unfinished(run: &RecipeRun) -> anyhow::Result<Vec<String>> {
    let status = run.run.status()?;
    Ok(status.into_iter().filter(|stage| stage.state != StageState::Done).map(|stage| stage.stage).collect())
}

/// The rules of the recipe with their tallies; zeros if the run has not got so far.
fn rules(run: &RecipeRun) -> anyhow::Result<Vec<PageRule>> {
    let totals = run.run.all_totals()?;
    let of_rules = totals.iter().find(|totals| totals.stage == "documents.filter");
    let tallies = of_rules.map_or(&[][..], |totals| totals.tally.rules.rules());
    run.recipe.filter.iter().zip(tallies).map(|(rule, tally)| page_rule(rule, tally)).collect()
}

fn page_rule(rule: &RuleSettings, tally: &RuleTally) -> anyhow::Result<PageRule> {
    let settings = serde_json::to_value(rule)?;
    let measures = tally.measures.iter().map(|measure| page_measure(measure, &settings)).collect();
    let RuleTally { dropped, dropped_alone, .. } = *tally;
    Ok(PageRule { name: rule.name(), settings, dropped, dropped_alone, measures })
}

fn page_measure(measure: &MeasureTally, settings: &serde_json::Value) -> PageMeasure {
    let bound = |bound: &NamedLimit| {
        // Some limits are a list, a language or the rule itself.
        let is_adjustable = settings.get(&bound.key).is_some_and(|value| value.is_number() || value == "none");
        PageBound { key: bound.key.clone(), limit: bound.limit.number(), is_adjustable }
    };
    PageMeasure {
        name: measure.measure.clone(),
        unit: measure.unit,
        doc: measure.doc.clone(),
        min: measure.min.as_ref().map(bound),
        max: measure.max.as_ref().map(bound),
        zero_passes: measure.zero_passes,
        histogram: page_histogram(measure.unit, &measure.all, &measure.kept_by_others),
    }
}

/// Two histograms of a measure over the bins of the first, which includes all values of the second.
fn page_histogram(unit: MeasureUnit, all: &Histogram, others: &Histogram) -> Option<PageHistogram> {
    let bins: Vec<(i32, u64)> = all.bins().collect();
    let (last, _) = bins.last()?;
    let others: HashMap<i32, u64> = others.bins().collect();
    let mut edges: Vec<f64> = bins.iter().map(|(bin, _)| unit.bin_range(*bin).start).collect();
    edges.push(unit.bin_range(*last).end);
    Some(PageHistogram {
        edges,
        all: bins.iter().map(|(_, count)| *count).collect(),
        others: bins.iter().map(|(bin, _)| others.get(bin).copied().unwrap_or(0)).collect(),
    })
}

/// Draws documents by verdict, without those that a list of `exclude` names.
fn draw(run: &RecipeRun, max_documents: usize) -> anyhow::Result<Drawn> {
    let (products, run) = (&run.products, &run.run);
    let mut duplicates: HashMap<String, Reason> = HashMap::new();
    if run.has(products.duplicates) {
        for (_, table) in run.tables(products.duplicates)? {
            for row in run.open_table::<IdAndVerdict, Duplicate>(&table)? {
                let IdAndVerdict { id, verdict } = row?;
                duplicates.extend(verdict.map(|reason| (id, reason)));
            }
        }
    }
    let excluded = excluded_ids(run, products.excluded)?;
    let mut draw = Draw::of(max_documents);
    for (file, (_, table)) in run.tables(products.documents)?.into_iter().enumerate() {
        for (row, document) in run.open_table::<IdAndVerdict, Document>(&table)?.enumerate() {
            let IdAndVerdict { id, verdict } = document?;
            if !excluded.contains(&id) {
                draw.offer(&id, verdict.or_else(|| duplicates.get(&id).copied()), (file, row));
            }
        }
    }
    Ok(draw.finish())
}

/// Reads the documents that were drawn.
fn documents(run: &RecipeRun, drawn: &Drawn, max_chars: usize) -> anyhow::Result<Vec<PageDocument>> {
    let products = &run.products;
    let texts = tables_by_name(run, products.texts)?;
    let measures = tables_by_name(run, products.measures)?;
    let edited = tables_by_name(run, products.edited)?;
    let mut documents = Vec::with_capacity(drawn.places.len());
    for (file, (name, table)) in run.run.tables(products.documents)?.into_iter().enumerate() {
        let mut places = drawn.places.range((file, 0)..(file + 1, 0)).peekable();
        if places.peek().is_none() {
            continue;
        }
        let missing = || format!("the documents {name} have no texts or no measures");
        let mut edited_chars = edited_chars(run, edited.get(&name).with_context(missing)?)?;
        let texts = run.run.open_table::<ShownText, DocumentText>(texts.get(&name).with_context(missing)?)?;
        let measures = run.run.open_numbers(measures.get(&name).with_context(missing)?)?;
        // All tables have a row for each document, in the same order.
        let rows = run.run.open_table::<Document, _>(&table)?.zip(texts).zip(measures);
        for (row, ((document, text), measures)) in rows.enumerate() {
            let Some((_, reason)) = places.next_if(|((_, place), _)| *place == row) else { continue };
            let (document, measures) = (document?, measures?);
            // Rules are applied to documents that extraction keeps.
            let was_judged = matches!(document.verdict, None | Some(Reason::Rule { .. }));
            documents.push(PageDocument {
                measures: if was_judged { measures.values } else { Vec::new() },
                edited_text_chars: edited_chars.remove(&(row as u64)),
                ..page_document(document, text?, *reason, max_chars)
            });
        }
    }
    Ok(documents)
}

/// The tables of a product by the names of their tasks.
fn tables_by_name<R>(run: &RecipeRun, product: Wire<Table<R>>) -> anyhow::Result<BTreeMap<String, Table<R>>> {
    Ok(run.run.tables(product)?.into_iter().collect())
}

/// Characters of the texts of a documents file that rules edited, by row.
fn edited_chars(run: &RecipeRun, table: &Table<EditedText>) -> anyhow::Result<HashMap<u64, u64>> {
    let mut chars = HashMap::new();
    for edited in run.run.open_table::<EditedText, _>(table)? {
        let edited = edited?;
        chars.insert(edited.row, edited.text.chars().count() as u64);
    }
    Ok(chars)
}

/// A document without its measures.
fn page_document(document: Document, text: ShownText, reason: Option<Reason>, max_chars: usize) -> PageDocument {
    let line = |mut line: String| {
        cut(&mut line, LINE_CHARS);
        line
    };
    let text_chars = text.text.chars().count() as u64;
    let mut shown = text.text;
    cut(&mut shown, max_chars);
    shown.shrink_to_fit();
    PageDocument {
        id: document.id,
        url: document.url,
        domain: document.domain,
        title: text.title.map(line),
        language: document.language,
        kind: text.kind,
        warc: text.warc,
        offset: text.offset,
        file: text.file,
        reason: reason.map(|reason| reason.to_string()),
        is_dropped_by_rule: matches!(document.verdict, Some(Reason::Rule { .. })),
        detail: document.detail.map(line),
        words: document.words,
        text_bytes: document.text_bytes,
        text: shown,
        text_chars,
        measures: Vec::new(),
        edited_text_chars: None,
    }
}
