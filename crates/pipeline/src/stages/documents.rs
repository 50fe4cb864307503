//! `documents`: one task an archive. Pages to text, features and verdicts; signatures for `dedup`.

use std::path::Path;

use anyhow::Context;
use dedup::{MinHash, shingles, text_hash};
use filter::{Judgement, Rules, Source};
use store::buckets::{BucketReader, BucketWriter};
use crate::manifest::FileRecord;
use store::sort::Sorter;
use store::table::TableWriter;
use records::{Document, Reason, document_id};
use store::bucket_of;
use serde::{Deserialize, Serialize};
use serde_json::json;
use warc::http::{BodyError, Response};
use warc::{Event, Kind, Location, Reader, Record};

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::{Keep, Near, PageSource};
use crate::stages::pages::{Selected, archives};
use crate::stages::{paths, sort_memory};

/// A kept document on its way through deduplication. The order decides who represents a cluster:
/// the highest karma first, then the smallest id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Karma, negated; 1 for documents without a link.
    pub(crate) rank: i64,
    pub(crate) id: String,
    pub(crate) key: String,
    /// Number of the documents file, and of the row in it.
    pub(crate) file: u32,
    pub(crate) row: u64,
}

/// A kept document under the hash of its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ExactRow {
    pub(crate) text_hash: u64,
    pub(crate) member: Member,
}

/// A kept document under the hash of one band of its signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct BandRow {
    pub(crate) band: u64,
    pub(crate) text_hash: u64,
    pub(crate) member: Member,
}

pub(crate) struct Documents;

fn policy(keep: Keep) -> extract::Policy {
    if keep == Keep::Keep { extract::Policy::Keep } else { extract::Policy::Drop }
}

impl Stage for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let recipe = run.recipe();
        let from = if recipe.pages.from == PageSource::Fetch { "pages.fetch" } else { "pages.match" };
        let selected = run.outputs(from, "work/")?;
        let settings = json!({
            "documents": recipe.documents, "near": recipe.dedup.near, "buckets": recipe.limits.buckets,
            "page_len_max_bytes": recipe.pages.page_len_max_bytes,
        });
        let mut plan = Vec::new();
        let mut places = Places::default();
        for (number, (file, path)) in archives(run)?.into_iter().enumerate() {
            // Who fetches knows his own archives alone; who matches knows all.
            let (rows, bucket) = match recipe.pages.from {
                PageSource::Fetch => places.of(&file.path, &selected)?,
                PageSource::Warc | PageSource::Html => (selected.clone(), number as u32),
            };
            let reader = PageReader {
                options: extract::Options {
                    comments: policy(recipe.documents.comments),
                    title: policy(recipe.documents.title),
                    nodes_max: recipe.documents.nodes_max,
                    depth_max: recipe.documents.depth_max,
                    ..extract::Options::default()
                },
                rules: Rules {
                    language: recipe.documents.language.clone(),
                    drop_wikipedia: recipe.documents.drop_wikipedia,
                    words_at_least: recipe.documents.words_at_least,
                    words_at_most: recipe.documents.words_at_most,
                },
                limit_bytes: recipe.pages.page_len_max_bytes,
                warc: file.path.clone(),
            };
            let (near, buckets) = (recipe.dedup.near.clone(), recipe.limits.buckets);
            let inputs = std::iter::once(file).chain(rows.clone()).collect();
            plan.push(TaskPlan {
                inputs,
                settings: settings.clone(),
                work: Box::new(move |task| {
                    let mut sorter = Sorter::new(task.scratch()?, sort_memory(task.run()));
                    task.receive(from, 0);
                    for path in paths(task.run(), &rows) {
                        for row in BucketReader::<Selected>::open(&path, bucket)? {
                            sorter.push(row?)?;
                            task.receive(from, 1);
                        }
                    }
                    let sink = Sink::create(task, near.clone(), buckets)?;
                    read_archive(task, &path, &reader, sorter, sink)
                }),
            });
        }
        Ok(plan)
    }
}

/// Where the selected pages of fetched archives stand: `pages/NNNNN-…` belongs to `work/pages.fetch/NNNNN.buckets`,
/// and its bucket is its place among those of the same task.
#[derive(Default)]
struct Places {
    task: String,
    bucket: u32,
}

impl Places {
    fn of(&mut self, archive: &str, selected: &[FileRecord]) -> anyhow::Result<(Vec<FileRecord>, u32)> {
        let task = archive.trim_start_matches("pages/").split('-').next().unwrap_or("").to_owned();
        if task == self.task {
            self.bucket += 1;
        } else {
            *self = Places { task, bucket: 0 };
        }
        let own = format!("/{}.buckets", self.task);
        let file = selected.iter().find(|file| file.path.ends_with(&own));
        Ok((vec![file.with_context(|| format!("no task has fetched {archive}"))?.clone()], self.bucket))
    }
}

/// Reads the selected records of an archive in the order of their places.
fn read_archive(
    task: &mut Task<'_>,
    path: &Path,
    pages: &PageReader,
    selected: Sorter<Selected>,
    mut sink: Sink,
) -> anyhow::Result<()> {
    let mut reader = Reader::open(path, pages.limit_bytes)?;
    for selected in selected.finish()? {
        let selected = selected?;
        let place = Location { offset: selected.offset, within: selected.within };
        reader.seek(place)?;
        let document = match reader.next()? {
            Some(Event::Record(record)) => pages.read(&record, &selected),
            Some(Event::Malformed { what, .. }) => pages.dropped(&selected, Reason::MalformedPage, what),
            None => pages.dropped(&selected, Reason::MalformedPage, "the archive ends before the record".into()),
        };
        task.counts.record(document.verdict);
        sink.html_bytes += document.html_bytes as f64;
        sink.push(task, document)?;
    }
    sink.finish(task)
}

/// Everything that turns one record into one document.
struct PageReader {
    options: extract::Options,
    rules: Rules,
    limit_bytes: u64,
    warc: String,
}

impl PageReader {
    fn read(&self, record: &Record, selected: &Selected) -> Document {
        let mut content_type = record.header("Content-Type").map(str::to_owned);
        let html = if record.kind == Kind::Response {
            let Some(response) = Response::parse(&record.body) else {
                return self.dropped(selected, Reason::MalformedPage, "no HTTP response is in the record".into());
            };
            content_type = response.header("Content-Type").map(str::to_owned);
            match response.body(&record.body, self.limit_bytes) {
                Ok(body) => body,
                Err(error @ BodyError::TooLarge { .. }) => {
                    return self.dropped(selected, Reason::PageTooLarge, error.to_string());
                }
                Err(error) => return self.dropped(selected, Reason::HttpFault, error.to_string()),
            }
        } else {
            record.body.as_slice().into()
        };
        match extract::extract(&html, content_type.as_deref(), &self.options) {
            Ok(page) if page.head.opted_out => {
                let document = self.dropped(selected, Reason::OptedOut, "the page's robots meta tag says noai".into());
                Document { title: page.head.title, html_bytes: html.len() as u64, ..document }
            }
            Ok(page) => self.judged(selected, page, html.len() as u64),
            Err(error) => {
                let reason = match error {
                    extract::ExtractError::TooLarge(_) => Reason::PageTooLarge,
                    _ => Reason::PageTooComplex,
                };
                let document = self.dropped(selected, reason, error.to_string());
                Document { html_bytes: html.len() as u64, ..document }
            }
        }
    }

    fn judged(&self, selected: &Selected, page: extract::Page, html_bytes: u64) -> Document {
        let source = Source {
            domain: &selected.domain,
            title: page.head.title.as_deref().unwrap_or(""),
            generator: page.head.generator.as_deref().unwrap_or(""),
        };
        let Judgement { language, confidence, words, drop } = self.rules.judge(&page.text, source);
        let (verdict, detail) = drop.map_or((None, None), |(reason, detail)| (Some(reason), Some(detail)));
        Document {
            title: page.head.title,
            author: page.head.author,
            date: page.head.date,
            kind: page.kind.name().to_owned(),
            language: language.map(str::to_owned),
            language_confidence: confidence,
            words,
            charset: page.charset.to_owned(),
            replacement_chars: page.replacement_characters,
            html_bytes,
            text_hash: format!("{:016x}", text_hash(&page.text)),
            text: page.text,
            ..self.row(selected, verdict, detail)
        }
    }

    fn dropped(&self, selected: &Selected, reason: Reason, detail: String) -> Document {
        self.row(selected, Some(reason), Some(detail))
    }

    fn row(&self, selected: &Selected, verdict: Option<Reason>, detail: Option<String>) -> Document {
        Document {
            id: document_id(&selected.key),
            key: selected.key.clone(),
            url: selected.url.clone(),
            domain: selected.domain.clone(),
            karma: selected.karma,
            subreddit: selected.subreddit.clone(),
            title: None,
            author: None,
            date: None,
            kind: String::new(),
            text: String::new(),
            language: None,
            language_confidence: None,
            words: 0,
            charset: String::new(),
            replacement_chars: 0,
            html_bytes: 0,
            text_hash: String::new(),
            warc: self.warc.clone(),
            offset: selected.offset,
            detail,
            verdict,
        }
    }
}

/// The outputs of a task: the table, and the rows that deduplication groups.
struct Sink {
    names: [String; 3],
    table: TableWriter<Document>,
    exact: BucketWriter<ExactRow>,
    bands: BucketWriter<BandRow>,
    near: Option<(Near, MinHash)>,
    buckets: u32,
    rows: u64,
    html_bytes: f64,
}

impl Sink {
    fn create(task: &Task<'_>, near: Option<Near>, buckets: u32) -> anyhow::Result<Sink> {
        let number = task.number();
        let names = [
            format!("documents/{number:05}.parquet"),
            format!("work/documents/{number:05}.exact.buckets"),
            format!("work/documents/{number:05}.bands.buckets"),
        ];
        Ok(Sink {
            table: TableWriter::create(&task.path(&names[0]))?,
            exact: BucketWriter::create(&task.path(&names[1]), buckets)?,
            bands: BucketWriter::create(&task.path(&names[2]), buckets)?,
            near: near.map(|near| (near.clone(), MinHash::new(near.bands, near.rows))),
            names,
            buckets,
            rows: 0,
            html_bytes: 0.0,
        })
    }

    fn push(&mut self, task: &Task<'_>, document: Document) -> anyhow::Result<()> {
        if document.verdict.is_none() {
            let member = Member {
                rank: document.karma.map_or(1, |karma| -karma),
                id: document.id.clone(),
                key: document.key.clone(),
                file: task.number(),
                row: self.rows,
            };
            // The table has it in hexadecimal already; a kept document always has one.
            let text_hash = u64::from_str_radix(&document.text_hash, 16)?;
            self.exact.push(
                bucket_of(&text_hash.to_le_bytes(), self.buckets),
                &ExactRow { text_hash, member: member.clone() },
            )?;
            if let Some((near, family)) = &self.near {
                let signature = family.signature(&shingles(&document.text, near.shingle_words));
                for band in family.bands(&signature) {
                    let bucket = bucket_of(&band.to_le_bytes(), self.buckets);
                    self.bands.push(bucket, &BandRow { band, text_hash, member: member.clone() })?;
                }
            }
        }
        self.rows += 1;
        Ok(self.table.push(document)?)
    }

    fn finish(self, task: &mut Task<'_>) -> anyhow::Result<()> {
        task.figure("html_bytes", self.html_bytes);
        let written = [self.table.finish()?, self.exact.finish()?, self.bands.finish()?];
        for (name, written) in self.names.iter().zip(written) {
            task.wrote(name, written);
        }
        Ok(())
    }
}
