//! `documents.extract`: one task per group of archives, pages to text. Adds `documents.filter` after it.

use std::collections::BTreeMap;

use records::{Document, DocumentText, Reason, document_id};
use serde::{Deserialize, Serialize};
use store::numbers::NumbersRow;
use warc::http::BodyError;
use warc::{Event, Location, Reader, Record};

use super::filter::{FilterDocuments, lists};
use super::kept_texts::KeptTextsWire;
use super::sources::{
    Archive, ArchiveGroup, CapturePlace, Captured, PageForm, PageLink, SelectPages, add_select, groups,
};
use crate::engine::{BucketOfTask, Buckets, Flow, Planner, Product, Table, Task, Wire, Work};
use crate::error::{Error, OrBug as _, Result, ensure};
use crate::recipe::{Extract, Recipe};

/// Kind of a document that was given as text.
const TEXT_KIND: &str = "text";

/// The tables of documents.
pub(super) struct DocumentTables {
    pub(super) texts: KeptTextsWire,
    pub(super) documents: Wire<Table<Document>>,
    pub(super) measures: Wire<Table<NumbersRow>>,
}

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, recipe: &Recipe, captured: Vec<Captured>) -> DocumentTables {
    let buckets = recipe.limits.buckets;
    let selects: Vec<_> = captured
        .iter()
        .enumerate()
        .map(|(number, captured)| add_select(flow, number, captured.clone(), buckets))
        .collect();

    let places: Vec<_> = selects.iter().map(|select| select.product(SelectPages::PLACES)).collect();
    let max_page_bytes: Vec<u64> = recipe.pages.iter().map(|source| source.max_page_bytes).collect();
    let (options, sources) = (recipe.extract.clone(), captured.clone());
    let extract = flow.stage("documents.extract", move |plan| {
        let mut tasks = Vec::new();
        for (source, group, places) in buckets_of_groups(plan, &sources, &places, buckets)? {
            // Archives without a selected capture have no documents.
            if !places.is_empty() {
                let (options, max_page_bytes) = (options.clone(), max_page_bytes[source]);
                tasks.push((group.name, ExtractPages { archives: group.archives, places, options, max_page_bytes }));
            }
        }
        Ok(tasks)
    });

    let texts = extract.product(ExtractPages::TEXTS);
    let links: Vec<_> = selects.iter().map(|select| select.product(SelectPages::LINKS)).collect();
    let rules = recipe.filter.clone();
    let filter = flow.stage("documents.filter", move |plan| {
        let links = buckets_of_groups(plan, &captured, &links, buckets)?.into_iter();
        let mut links: BTreeMap<String, BucketOfTask<PageLink>> =
            links.map(|(_, group, links)| (group.name, links)).collect();
        let lists = lists(&rules)?;
        let mut tasks = Vec::new();
        for (name, texts) in plan.tables(texts)? {
            let links = links.remove(&name).or_bug(|| format!("the documents {name} have no links"))?;
            tasks.push((name, FilterDocuments { texts, links, rules: rules.clone(), lists: lists.clone() }));
        }
        Ok(tasks)
    });
    DocumentTables {
        texts: KeptTextsWire {
            extracted: texts,
            edited_by_rules: filter.product(FilterDocuments::EDITED),
            cut: Vec::new(),
        },
        documents: filter.product(FilterDocuments::DOCUMENTS),
        measures: filter.product(FilterDocuments::MEASURES),
    }
}

/// The number of a source, a group of its archives, and the group's bucket of a product of `pages.select`.
type BucketOfGroup<R> = (usize, ArchiveGroup<Archive>, BucketOfTask<R>);

/// The archive groups of all sources, each with its bucket of a product of `pages.select`.
fn buckets_of_groups<R>(
    plan: &Planner<'_>,
    sources: &[Captured],
    products: &[Wire<Buckets<R>>],
    buckets: u32,
) -> Result<Vec<BucketOfGroup<R>>> {
    let mut of_groups = Vec::new();
    for (number, (captured, &product)) in sources.iter().zip(products).enumerate() {
        let tasks = plan.buckets_of_tasks(product)?;
        let there = user_error::count(tasks.len() as u64, "task");
        ensure!(tasks.len() == buckets as usize, Input, "pages.select has {there}, not {buckets}");
        let mut tasks: Vec<_> = tasks.into_iter().map(|(_, of_groups)| of_groups.into_iter()).collect();
        for group in groups(plan, number, captured, buckets)? {
            let bucket = tasks[group.bucket as usize].next();
            let bucket = bucket.or_bug(|| format!("pages.select does not know the archives {}", group.name))?;
            of_groups.push((number, group, bucket));
        }
    }
    Ok(of_groups)
}

/// Extracts the text of the pages in a group of archives.
#[derive(Serialize, Deserialize)]
struct ExtractPages {
    archives: Vec<Archive>,
    places: BucketOfTask<CapturePlace>,
    options: Extract,
    max_page_bytes: u64,
}

impl ExtractPages {
    const TEXTS: Product<ExtractPages, Table<DocumentText>> = Product::new("texts", "documents/text/{name}.parquet");
}

impl Task for ExtractPages {
    const REVISION: u32 = 11; // boxes beside each other, columns of short rows, charsets

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let options = self.options.options();
        let mut texts = work.create_table(ExtractPages::TEXTS)?;
        let mut html_bytes = 0;
        let mut open: Option<(u32, Reader)> = None;
        for place in work.rows(&self.places)? {
            let place = place?;
            if work.is_stopping() {
                return Err(Error::Interrupted);
            }
            if open.as_ref().is_none_or(|(archive, _)| *archive != place.archive) {
                let archive = &self.archives[place.archive as usize];
                let reader = Reader::new(archive.open(work)?, archive.name.clone(), self.max_page_bytes)?;
                open = Some((place.archive, reader));
            }
            let (_, reader) = open.as_mut().expect("opened above");
            let page = PageOfPlace { place: &place, warc: &self.archives[place.archive as usize].name };
            let text = page.read(reader, &options, self.max_page_bytes)?;
            work.counts.record(text.verdict);
            html_bytes += text.html_bytes;
            texts.push(text)?;
        }
        work.metric("html_bytes", html_bytes as f64);
        texts.finish()
    }
}

/// A page that is being extracted.
struct PageOfPlace<'a> {
    place: &'a CapturePlace,
    warc: &'a str,
}

/// Why a page has no text, with the detail.
type Dropped = (Reason, String);

impl PageOfPlace<'_> {
    fn read(&self, reader: &mut Reader, options: &extract::Options, limit_bytes: u64) -> Result<DocumentText> {
        let CapturePlace { offset, offset_in_member, .. } = *self.place;
        reader.seek(Location { offset, offset_in_member })?;
        Ok(match reader.next()? {
            Some(Event::Record(record)) => match self.text_of(&record, options, limit_bytes) {
                Ok(text) => text,
                Err(dropped) => self.row(Some(dropped)),
            },
            Some(Event::Malformed { fault, .. }) => self.row(Some((Reason::MalformedPage, fault.to_string()))),
            None => self.row(Some((Reason::MalformedPage, "the archive ends before the record".into()))),
        })
    }

    fn text_of(&self, record: &Record, options: &extract::Options, limit: u64) -> Result<DocumentText, Dropped> {
        let capture = record.capture().map_err(|error| (Reason::MalformedPage, error.to_string()))?;
        let body = capture.body(limit).map_err(|error| match error {
            BodyError::TooLarge { .. } => (Reason::PageTooLarge, error.to_string()),
            _ => (Reason::HttpFault, error.to_string()),
        })?;
        let html_bytes = body.len() as u64;
        if self.place.form == PageForm::Text {
            let text = String::from_utf8_lossy(&body).into_owned();
            let row = DocumentText { kind: TEXT_KIND.to_owned(), charset: "UTF-8".to_owned(), ..self.row(None) };
            return Ok(with_text(DocumentText { text, html_bytes, ..row }));
        }
        match extract::extract(&body, capture.content_type.as_deref(), options) {
            Ok(page) if page.head.opted_out => {
                let row =
                    self.row(Some((Reason::OptedOut, "a meta tag of the page says noai, or tdm-reservation 1".into())));
                Ok(DocumentText { title: page.head.title, html_bytes, ..row })
            }
            Ok(page) => Ok(with_text(DocumentText {
                title: page.head.title,
                site: page.head.site,
                author: (!page.head.authors.is_empty()).then(|| page.head.authors.join("; ")),
                date: page.head.date,
                generator: page.head.generator,
                kind: page.kind.name().to_owned(),
                charset: page.charset.to_owned(),
                replacement_chars: page.replacement_characters,
                text: page.text,
                html_bytes,
                ..self.row(None)
            })),
            Err(error) => {
                let reason = match error {
                    extract::ExtractError::TooLarge(_) => Reason::PageTooLarge,
                    extract::ExtractError::Utf32 => Reason::NoText,
                    _ => Reason::PageTooComplex,
                };
                Ok(DocumentText { html_bytes, ..self.row(Some((reason, error.to_string()))) })
            }
        }
    }

    /// A row without a text.
    fn row(&self, dropped: Option<Dropped>) -> DocumentText {
        let (verdict, detail) = dropped.unzip();
        DocumentText {
            id: document_id(&self.place.page.key),
            key: self.place.page.key.clone(),
            url: self.place.url.clone(),
            domain: self.place.page.domain.clone(),
            captured: self.place.captured_utc.and_then(rfc3339),
            title: None,
            site: None,
            author: None,
            date: None,
            generator: None,
            kind: String::new(),
            text: String::new(),
            charset: String::new(),
            replacement_chars: 0,
            html_bytes: 0,
            warc: self.warc.to_owned(),
            offset: self.place.offset,
            file: self.place.file.clone(),
            detail,
            verdict,
        }
    }
}

/// Seconds since 1970 as RFC 3339 in UTC; none before 1970.
fn rfc3339(seconds: i64) -> Option<String> {
    let seconds = u64::try_from(seconds).ok()?;
    Some(warc::Date::from_seconds(seconds).0)
}

/// Drops a text of white space only as [`Reason::NoText`].
fn with_text(row: DocumentText) -> DocumentText {
    if !row.text.trim().is_empty() {
        return row;
    }
    let (verdict, detail) = (Some(Reason::NoText), Some("the text is empty".to_owned()));
    DocumentText { text: String::new(), verdict, detail, ..row }
}
