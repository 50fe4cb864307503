//! Evaluation sets as files have them.

use std::io::BufRead;

use ::dedup::overlap::ItemIndex;
use ::dedup::spans::paragraphs;
use serde_json::Value;
use texts::Source;

use crate::engine::{External, Work};
use crate::error::{Result, Within as _, bail, ensure};

/// An evaluation set.
pub(super) struct EvaluationSet {
    pub(super) name: String,
    pub(super) items: Vec<Item>,
}

/// An item of a set.
pub(super) struct Item {
    /// The line where it begins, from 1.
    pub(super) line: u64,
    /// Its texts, with blank lines between them.
    pub(super) text: String,
}

impl EvaluationSet {
    /// Reads sets: JSON Lines, of which all texts in a line are one item, or plain text, of which each part between blank
    /// lines is one.
    pub(super) fn read_all(work: &mut Work<'_>, sets: &[External]) -> Result<Vec<EvaluationSet>> {
        let mut read = Vec::new();
        for external in sets {
            let source = work.source(external)?;
            let name = external.url.clone();
            let items = match Source::open(source.share()?).within(|| format!("cannot read {name}"))? {
                Source::JsonLines(lines) => items_of_json(&name, lines)?,
                Source::PlainText(_) if is_named_json(&name) => {
                    bail!(Input, "{name} is not JSON Lines: it begins with no object")
                }
                Source::PlainText(lines) => items_of_text(&name, lines)?,
                Source::Parquet(_) => bail!(Input, "{name} is Parquet; evaluation sets are JSON Lines or text"),
            };
            ensure!(!items.is_empty(), Input, "{name} holds no item");
            work.finish_source(source)?;
            read.push(EvaluationSet { name, items });
        }
        Ok(read)
    }

    /// The texts of the items, of which no n-gram goes from one to the next.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.items.iter().flat_map(|item| paragraphs(&item.text).into_iter().map(|part| &item.text[part]))
    }
}

/// The items of all sets by their n-grams.
pub(super) fn index_of(sets: &[EvaluationSet], ngram_words: usize) -> ItemIndex<String> {
    let mut index = ItemIndex::new(ngram_words);
    for set in sets {
        for Item { line, text } in &set.items {
            index.add(format!("{}:{line}", set.name), text);
        }
    }
    index
}

fn items_of_json(name: &str, lines: impl BufRead) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (line, text) in (1..).zip(lines.lines()) {
        let text = text.within(|| format!("cannot read {name}"))?;
        if !text.trim().is_empty() {
            let value = serde_json::from_str(&text);
            let value = value.within(|| format!("{name}, line {line}, is no JSON"))?;
            items.push(Item { line, text: texts_of(&value) });
        }
    }
    Ok(items)
}

fn items_of_text(name: &str, lines: impl BufRead) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut is_open = false;
    for (line, text) in (1..).zip(lines.lines()) {
        let text = text.within(|| format!("cannot read {name}"))?;
        if text.trim().is_empty() {
            is_open = false;
        } else if is_open && let Some(item) = items.last_mut() {
            item.text += "\n";
            item.text += &text;
        } else {
            is_open = true;
            items.push(Item { line, text });
        }
    }
    Ok(items)
}

/// Whether a file's name says that it is JSON.
fn is_named_json(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.trim_end_matches(".zst").trim_end_matches(".gz");
    [".jsonl", ".ndjson", ".json"].iter().any(|ending| name.ends_with(ending))
}

/// All texts in a JSON value, with blank lines between them.
fn texts_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(texts_of).collect::<Vec<_>>().join("\n\n"),
        Value::Object(fields) => fields.values().map(texts_of).collect::<Vec<_>>().join("\n\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
