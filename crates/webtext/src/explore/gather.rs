//! Reads a run for the page.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Context;
use filter::{About, Bound, Filter, Measure, RuleSettings};
use pipeline::{RecipeRun, StageState};
use records::{Document, DocumentText, Duplicate, Reason};
use serde::{Deserialize, Serialize};

use super::data::{PageBound, PageCut, PageData, PageDocument, PageMeasure, PageRule, Stratum, cut};
use super::draw::{Draw, Drawn};
use crate::report::excluded_ids;

/// Characters of titles and details; they are a line each on the page.
const LINE_CHARS: usize = 300;

/// What the draw reads of a document's row.
#[derive(Serialize, Deserialize)]
struct IdAndVerdict {
    id: String,
    verdict: Option<Reason>,
}

/// What the page shows of a text's row.
#[derive(Serialize, Deserialize)]
struct ShownText {
    title: Option<String>,
    generator: Option<String>,
    kind: String,
    text: String,
    warc: String,
    offset: u64,
    file: Option<String>,
}

/// Reads at most `max_documents` documents, with texts of at most `max_text_chars` characters.
pub fn gather(folder: &Path, run: &RecipeRun, max_documents: usize, max_text_chars: usize) -> anyhow::Result<PageData> {
    let filter = Filter::new(&run.recipe.filter)
        .context("the documents on the page are measured again, by the rules of the run's recipe")?;
    let mut data = PageData {
        run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION"),
        recipe: run.recipe.to_toml()?,
        unfinished: unfinished(run)?,
        rules: rules(&run.recipe.filter, &filter)?,
        ..PageData::default()
    };
    if !run.run.has(run.products.documents) {
        return Ok(data);
    }
    let drawn = draw(run, max_documents)?;
    for (reason, (documents, sampled)) in &drawn.strata {
        let name = reason.map_or_else(|| "kept".to_owned(), |reason| reason.to_string());
        // What a rule's reason means is what its measure is.
        if let Some(reason) = reason.filter(|reason| !matches!(reason, Reason::Rule { .. })) {
            data.reasons.insert(name.clone(), reason.explanation().to_owned());
        }
        data.documents_of_run += documents;
        data.strata.insert(name, Stratum { documents: *documents, sampled: *sampled });
    }
    data.documents = documents(run, &filter, drawn, max_text_chars)?;
    data.documents.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(data)
}

/// The stages that are not done.
fn unfinished(run: &RecipeRun) -> anyhow::Result<Vec<String>> {
    let status = run.run.status()?;
    Ok(status.into_iter().filter(|stage| stage.state != StageState::Done).map(|stage| stage.stage).collect())
}

fn rules(settings: &[RuleSettings], filter: &Filter) -> anyhow::Result<Vec<PageRule>> {
    let mut rules = Vec::new();
    for (index, rule) in settings.iter().enumerate() {
        let settings = serde_json::to_value(rule)?;
        let own = filter.measures().iter().filter(|measure| measure.rule_index == index);
        let measures = own.map(|of_filter| page_measure(&of_filter.measure, &settings)).collect();
        rules.push(PageRule { name: rule.name(), settings, dropped: None, alone: None, measures });
    }
    Ok(rules)
}

fn page_measure(measure: &Measure, settings: &serde_json::Value) -> PageMeasure {
    let bound = |bound: &Bound| {
        let setting = settings.get(bound.key);
        // Some limits are a list, a language or the rule itself.
        let is_adjustable = setting.is_some_and(|setting| setting.is_number() || setting == "none");
        PageBound { key: bound.key, limit: bound.limit.number(), fault: bound.fault, is_adjustable }
    };
    PageMeasure {
        name: measure.name,
        unit: measure.unit,
        doc: measure.doc,
        min: measure.min.as_ref().map(bound),
        max: measure.max.as_ref().map(bound),
        zero_passes: measure.zero_passes,
        histogram: None,
    }
}

/// Draws documents by their verdicts; those that somebody asked to leave out are not there.
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

/// Reads the documents that were drawn, and measures them.
fn documents(run: &RecipeRun, filter: &Filter, drawn: Drawn, max_chars: usize) -> anyhow::Result<Vec<PageDocument>> {
    let texts: BTreeMap<_, _> = run.run.tables(run.products.texts)?.into_iter().collect();
    let mut documents = Vec::with_capacity(drawn.places.len());
    for (file, (name, table)) in run.run.tables(run.products.documents)?.into_iter().enumerate() {
        let mut places = drawn.places.range((file, 0)..(file + 1, 0)).peekable();
        if places.peek().is_none() {
            continue;
        }
        let texts = texts.get(&name).with_context(|| format!("the documents {name} have no texts"))?;
        let rows = run.run.open_table::<Document, _>(&table)?;
        let texts = run.run.open_table::<ShownText, DocumentText>(texts)?;
        // Both have a row for each document, in the same order.
        for (row, (document, text)) in rows.zip(texts).enumerate() {
            let Some((_, reason)) = places.next_if(|((_, place), _)| *place == row) else { continue };
            documents.push(page_document(filter, document?, text?, *reason, max_chars));
        }
    }
    Ok(documents)
}

fn page_document(
    filter: &Filter,
    document: Document,
    text: ShownText,
    reason: Option<Reason>,
    max_chars: usize,
) -> PageDocument {
    let about = About {
        url: &document.url,
        domain: &document.domain,
        title: text.title.as_deref().unwrap_or(""),
        generator: text.generator.as_deref().unwrap_or(""),
    };
    let is_dropped_by_rule = matches!(document.verdict, Some(Reason::Rule { .. }));
    // The rules see what extraction keeps.
    let judgement = (document.verdict.is_none() || is_dropped_by_rule).then(|| filter.judge(&text.text, about));
    let (measures, cuts) = judgement.map(|judgement| (judgement.measures, judgement.cuts)).unwrap_or_default();
    let cuts = cuts.into_iter().map(|cut| PageCut { rule: cut.rule, name: cut.name, count: cut.count }).collect();
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
        is_dropped_by_rule,
        detail: document.detail.map(line),
        words: document.words,
        text_bytes: document.text_bytes,
        text: shown,
        text_chars,
        measures,
        cuts,
    }
}
