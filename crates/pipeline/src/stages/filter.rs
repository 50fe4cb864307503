//! `documents.filter`: one task per documents file, text to verdict, joined with the link that led to it.
//!
//! Every rule measures every text, as the rules before it edited it. Left out: the rules themselves.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use filter::{About, Filter, FilterTally, Judgement, RuleSettings, detect_language};
use records::{Document, DocumentText, EditedText, Reason};
use serde::{Deserialize, Serialize};
use store::numbers::NumbersRow;

use super::sources::PageLink;
use crate::engine::{BucketOfTask, External, Product, Table, Task, Work};
use crate::error::{OrBug as _, Result, Within as _, ensure};

/// The files that rules read, as inputs of a task.
///
/// # Errors
/// Names the rule and the file that does not exist.
pub(super) fn lists(rules: &[RuleSettings]) -> Result<Vec<External>> {
    let mut lists = Vec::new();
    for rule in rules {
        for path in rule.clone().paths() {
            lists.push(External::of(Path::new(path)).within(|| format!("in the rule {}", rule.name()))?);
        }
    }
    lists.sort();
    lists.dedup();
    Ok(lists)
}

/// The columns of a text's row that rules read.
#[derive(Serialize, Deserialize)]
struct JudgedText {
    id: String,
    key: String,
    url: String,
    domain: String,
    title: Option<String>,
    site: Option<String>,
    generator: Option<String>,
    text: String,
    detail: Option<String>,
    verdict: Option<Reason>,
}

/// Applies the rules to the texts of one documents file.
#[derive(Serialize, Deserialize)]
pub(super) struct FilterDocuments {
    pub(super) texts: Table<DocumentText>,
    pub(super) links: BucketOfTask<PageLink>,
    /// Named as in the recipe, so that a message on a change names a key.
    #[serde(rename = "filter")]
    pub(super) rules: Vec<RuleSettings>,
    pub(super) lists: Vec<External>,
}

impl FilterDocuments {
    pub(super) const DOCUMENTS: Product<FilterDocuments, Table<Document>> =
        Product::new("documents", "documents/{name}.parquet");
    pub(super) const MEASURES: Product<FilterDocuments, Table<NumbersRow>> =
        Product::new("measures", "documents/measures/{name}.parquet");
    pub(super) const EDITED: Product<FilterDocuments, Table<EditedText>> =
        Product::new("edited", "documents/edited/{name}.parquet");
}

impl Task for FilterDocuments {
    const REVISION: u32 = 4;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let filter = self.opened_filter()?;
        let columns: Vec<String> = filter.measures().iter().map(filter::FilterMeasure::name).collect();
        let undefined = vec![f64::NAN; columns.len()];
        let mut documents = work.create_table(FilterDocuments::DOCUMENTS)?;
        let mut measures = work.create_numbers(FilterDocuments::MEASURES, &columns)?;
        let mut edited = work.create_table(FilterDocuments::EDITED)?;
        let mut tally = FilterTally::of(&filter);
        let mut links = work.rows(&self.links)?;
        for (row, text) in (0..).zip(work.table::<JudgedText, _>(&self.texts)?) {
            // Both are in the order of the places in the archives.
            let link = links.next().or_bug(|| "there are fewer links than texts".to_owned())??;
            let (mut document, about, text) = document_of(text?, link);
            if document.verdict.is_some() {
                measures.push(document.id.clone(), &undefined)?; // counted by extraction
            } else {
                let judgement = about.judge(&filter, &text, &document);
                measures.push(document.id.clone(), &judgement.measures)?;
                tally.note(&judgement);
                let edit = conclude(&mut document, &text, judgement);
                if let Some(text) = edit {
                    edited.push(EditedText { row, id: document.id.clone(), text })?;
                }
                work.counts.record(document.verdict);
                work.histogram("words", document.words);
            }
            documents.push(document)?;
        }
        ensure!(links.next().is_none(), Bug, "there are more links than texts");
        drop(links);
        work.tally_rules(tally);
        edited.finish()?;
        measures.finish()?;
        documents.finish()
    }
}

impl FilterDocuments {
    /// The filter, shared by tasks that run in parallel, because a model or a list may take gigabytes.
    fn opened_filter(&self) -> Result<Arc<Filter>> {
        static OPENED: Mutex<Option<HashMap<String, Weak<Filter>>>> = Mutex::new(None);
        let key = serde_json::to_string(&(&self.rules, &self.lists))?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = opened.get_or_insert_default();
        if let Some(filter) = opened.get(&key).and_then(Weak::upgrade) {
            return Ok(filter);
        }
        opened.retain(|_, filter| filter.strong_count() > 0);
        ensure!(lists(&self.rules)? == self.lists, Input, "a file that a rule reads has changed since the run began");
        let filter = Arc::new(Filter::new(&self.rules)?);
        opened.insert(key, Arc::downgrade(&filter));
        Ok(filter)
    }
}

/// What rules read of a page beside its text and addresses.
struct PageHead {
    title: Option<String>,
    site: Option<String>,
    generator: Option<String>,
}

impl PageHead {
    fn judge<'t>(&self, filter: &Filter, text: &'t str, document: &Document) -> Judgement<'t> {
        let about = About {
            url: &document.url,
            domain: &document.domain,
            title: self.title.as_deref().unwrap_or(""),
            site: self.site.as_deref().unwrap_or(""),
            generator: self.generator.as_deref().unwrap_or(""),
        };
        filter.judge(text, about)
    }
}

/// A document before the rules, with the verdict of extraction; the head of its page; and its text.
fn document_of(row: JudgedText, link: PageLink) -> (Document, PageHead, String) {
    let JudgedText { id, key, url, domain, title, site, generator, text, detail, verdict } = row;
    let document = Document {
        id,
        key,
        url: link.url.unwrap_or(url),
        domain,
        karma: link.karma,
        subreddit: link.subreddit,
        created_utc: link.created_utc,
        language: None,
        language_confidence: None,
        words: 0,
        text_bytes: text.len() as u64,
        detail,
        verdict,
    };
    (document, PageHead { title, site, generator }, text)
}

/// Sets the verdict, and words and bytes of the text: of a kept document as the rules left it, and then the text is
/// returned if they changed it; of a dropped one as it was extracted.
fn conclude(document: &mut Document, text: &str, judgement: Judgement<'_>) -> Option<String> {
    let edit = Some(judgement.text).filter(|edit| judgement.failure.is_none() && *edit != text);
    if let Some(failure) = judgement.failure {
        document.verdict = Some(Reason::of_rule(failure.rule, failure.measure));
        document.detail = Some(failure.detail);
    } else if edit.as_ref().is_some_and(|edit| edit.trim().is_empty()) {
        document.verdict = Some(Reason::NoText);
        document.detail = Some("the rules left nothing of the text".to_owned());
    }
    let edit = edit.filter(|_| document.verdict.is_none());
    let text = edit.as_deref().unwrap_or(text);
    let (language, confidence) = detect_language(text).unzip();
    document.language = language.map(str::to_owned);
    document.language_confidence = confidence;
    document.words = words::count(text);
    document.text_bytes = text.len() as u64;
    edit.map(|edit| edit.into_owned())
}
