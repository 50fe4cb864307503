//! `shards.scatter` (a task per documents file) sends kept documents to their shard; `shards.write` (a task per shard)
//! sorts them into the shuffled order and writes text.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;

use links::{Canonical, CanonicalRules};
use records::{Document, Exclusion, OverlapMatch, Reason, document_id};
use serde::{Deserialize, Serialize};
use shard::{ShardRow, Split, TextForm, order, shard_of, split};

use super::dedup::rows::{Decision, ResolvedRow};
use super::dedup::{Resolved, file_number};
use super::kept_texts::{HasText, KeptTexts, KeptTextsWire};
use super::side_by_side;
use crate::engine::{Bucket, BucketOfTask, Buckets, External, File, Flow, Product, Table, Task, Wire, Work};
use crate::error::{Result, Within as _, ensure};
use crate::recipe::Shards;

/// The metric of `shards.scatter` that counts documents of the validation split, where there is to be one.
pub const VALIDATION_DOCUMENTS: &str = "validation_documents";

/// The text shards and their form.
#[derive(Clone, Copy)]
pub(super) struct TextShards {
    pub(super) files: Wire<File>,
    pub(super) form: TextForm,
    /// The documents that a list of `exclude` names.
    pub(super) excluded: Wire<Table<Exclusion>>,
}

/// The text shards by number: training shards, then the one for validation.
fn names(count: u32) -> Vec<String> {
    let train = (0..count).map(|number| format!("{}-{number:05}", Split::Train.as_str()));
    train.chain([format!("{}-00000", Split::Val.as_str())]).collect()
}

/// Whether a shard of this name is a training shard.
pub(super) fn is_train(name: &str) -> bool {
    name.starts_with(Split::Train.as_str())
}

/// The documents and what was decided about them.
pub(super) struct DocumentsLeft {
    pub(super) texts: KeptTextsWire,
    pub(super) documents: Wire<Table<Document>>,
    pub(super) resolved: Resolved,
    pub(super) overlap_matches: Option<Wire<Table<OverlapMatch>>>,
}

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, settings: &Shards, canonical: CanonicalRules, left: DocumentsLeft) -> TextShards {
    let shards = settings.clone();
    let DocumentsLeft { texts, documents, resolved, overlap_matches } = left;
    let scatter = flow.stage("shards.scatter", move |plan| {
        let resolved = resolved.plan(plan)?;
        let exclude = External::of_files(&shards.exclude)?;
        let matches = overlap_matches.map(|matches| plan.tables(matches)).transpose()?;
        let mut matches = matches.map(|tables| tables.into_iter().map(|(_, table)| table));
        let tasks =
            texts.tables(plan)?.into_iter().zip(plan.tables(documents)?).map(|((name, texts), (_, documents))| {
                let file = file_number(&name);
                let overlap_matches = matches.as_mut().and_then(Iterator::next);
                let task = ScatterDocuments {
                    file,
                    texts,
                    documents,
                    resolved: resolved.of_file(file),
                    overlap_matches,
                    exclude: exclude.clone(),
                    canonical: canonical.clone(),
                    seed: shards.seed,
                    validation: shards.validation_fraction,
                    count: shards.count,
                };
                (name, task)
            });
        Ok(tasks.collect())
    });
    flow.begin_data_set(scatter);
    let (placed, count, form) = (scatter.product(ScatterDocuments::PLACED), settings.count, settings.text);
    let write = flow.stage("shards.write", move |plan| {
        let shards = names(count).into_iter().zip(plan.buckets(placed, count + 1)?);
        Ok(shards.map(|(name, documents)| (name, WriteShard { documents, form })).collect())
    });
    let excluded = scatter.product(ScatterDocuments::EXCLUDED);
    TextShards { files: write.product(WriteShard::SHARD), form, excluded }
}

/// A document with its place in the shuffled order.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Placed {
    order: u128,
    row: ShardRow,
}

store::spill_rows!(Placed = 2);

// Ids are distinct, so sorting by place is enough; equal places would mean equal ids.
impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Placed {}
impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.order, &self.row.id).cmp(&(other.order, &other.row.id))
    }
}

/// What is read of a text's row.
#[derive(Serialize, Deserialize)]
struct ShardedText {
    captured: Option<String>,
    title: Option<String>,
    text: String,
    warc: String,
    offset: u64,
}

impl HasText for ShardedText {
    fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// What is read of a document's row.
#[derive(Serialize, Deserialize)]
struct ShardedDocument {
    id: String,
    key: String,
    url: String,
    domain: String,
    karma: Option<i64>,
    subreddit: Option<String>,
    language: Option<String>,
    verdict: Option<Reason>,
}

/// What is read of a document that met an evaluation item.
#[derive(Serialize, Deserialize)]
struct MatchedRow {
    row: u64,
    verdict: Option<Reason>,
}

/// Sends the kept documents of a file to their shards.
#[derive(Serialize, Deserialize)]
struct ScatterDocuments {
    file: u64,
    texts: KeptTexts,
    documents: Table<Document>,
    resolved: BucketOfTask<ResolvedRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap_matches: Option<Table<OverlapMatch>>,
    exclude: Vec<External>,
    canonical: CanonicalRules,
    seed: u64,
    validation: f64,
    count: u32,
}

impl ScatterDocuments {
    const PLACED: Product<ScatterDocuments, Buckets<Placed>> = Product::new("placed", "work/{stage}/{name}.placed");
    const EXCLUDED: Product<ScatterDocuments, Table<Exclusion>> = Product::new("excluded", "excluded/{name}.parquet");
}

impl Task for ScatterDocuments {
    const REVISION: u32 = 4; // archives by their files' names

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let excluded = self.excluded_ids(work)?;
        // Other documents files share the bucket; its rows are sorted.
        let mut resolved = Vec::new();
        for row in work.lookup_rows(&self.resolved)? {
            resolved.extend(Some(row?).filter(|row: &ResolvedRow| row.file == self.file));
        }
        let mut resolved = resolved.into_iter().peekable();
        let in_evaluation_set = self.rows_in_evaluation_set(work)?;
        let mut placed = work.create_buckets(ScatterDocuments::PLACED, self.count + 1)?;
        let mut exclusions = work.create_table(ScatterDocuments::EXCLUDED)?;
        let mut validation_documents = 0u64;
        let texts = self.texts.rows::<ShardedText>(work)?;
        let documents = work.table::<ShardedDocument, _>(&self.documents)?;
        for (row, pair) in side_by_side(texts, documents).enumerate() {
            let (text, document) = pair?;
            let (text, document) = (text?, document?);
            if document.verdict.is_some() {
                continue; // counted by the stage that dropped it
            }
            let decision = resolved.next_if(|next| next.row == row as u64).map(|row| row.decision);
            let verdict = match decision {
                Some(Decision::DropExact) => Some(Reason::ExactDuplicate),
                Some(Decision::DropNear) => Some(Reason::NearDuplicate),
                _ if in_evaluation_set.contains(&(row as u64)) => Some(Reason::InEvaluationSet),
                _ if text.text.is_empty() => Some(Reason::TooLittleLeft),
                Some(Decision::KeepFor(_)) | None => excluded.contains(&document.id).then_some(Reason::Excluded),
            };
            work.counts.record(verdict);
            if let Some(verdict) = verdict {
                if verdict == Reason::Excluded {
                    exclusions.push(Exclusion { id: document.id, key: document.key, verdict })?;
                }
                continue;
            }
            let duplicates = if let Some(Decision::KeepFor(duplicates)) = decision { duplicates } else { 0 };
            let place = order(&document.id, self.seed);
            let split = split(&document.id, self.seed, self.validation);
            validation_documents += u64::from(split == Split::Val);
            let bucket = if split == Split::Val { self.count } else { shard_of(place, self.count) };
            placed.push(bucket, &Placed { order: place, row: shard_row(text, document, duplicates) })?;
        }
        ensure!(resolved.next().is_none(), Bug, "a decision is about a row behind the last document");
        if self.validation > 0.0 {
            work.metric(VALIDATION_DOCUMENTS, validation_documents as f64);
        }
        exclusions.finish()?;
        placed.finish()
    }
}

impl ScatterDocuments {
    /// The rows that were dropped for an evaluation item that they hold.
    fn rows_in_evaluation_set(&self, work: &Work<'_>) -> Result<BTreeSet<u64>> {
        let mut rows = BTreeSet::new();
        if let Some(matches) = &self.overlap_matches {
            for met in work.lookup::<MatchedRow, _>(matches)? {
                let MatchedRow { row, verdict } = met?;
                rows.extend(verdict.map(|_| row));
            }
        }
        Ok(rows)
    }

    /// The ids of documents that the lists of `exclude` name by URL or id, one per line.
    fn excluded_ids(&self, work: &mut Work<'_>) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for list in &self.exclude {
            let source = work.source(list)?;
            for line in texts::decompress(source.share()?)?.lines() {
                let line = line.within(|| format!("cannot read {}", list.url))?;
                let entry = line.trim();
                if entry.is_empty() || entry.starts_with('#') {
                    continue;
                }
                let is_id = entry.len() == 32 && entry.bytes().all(|byte| byte.is_ascii_hexdigit());
                ids.insert(if is_id {
                    entry.to_ascii_lowercase()
                } else {
                    document_id(&key_of(entry, &self.canonical))
                });
            }
            work.finish_source(source)?;
        }
        Ok(ids)
    }
}

/// The duplicate key of a URL as people write it, by the rules of a run; text that is not a URL is its own key.
pub fn key_of(url: &str, canonical: &CanonicalRules) -> String {
    match url.strip_prefix("file:///") {
        Some(path) => format!("file)/{path}"),
        None => Canonical::parse_with(url, canonical).map_or_else(|_| url.to_owned(), |canonical| canonical.key),
    }
}

fn shard_row(text: ShardedText, document: ShardedDocument, duplicates: u64) -> ShardRow {
    ShardRow {
        text: text.text,
        id: document.id,
        url: document.url,
        domain: document.domain,
        title: text.title,
        language: document.language,
        captured: text.captured,
        karma: document.karma,
        subreddit: document.subreddit,
        warc: published_name(&text.warc).to_owned(),
        offset: text.offset,
        duplicates,
    }
}

/// An archive as shards name it: a file of this machine without its folder, which says nothing to those who read them.
fn published_name(archive: &str) -> &str {
    match Path::new(archive).file_name().and_then(|name| name.to_str()) {
        Some(name) if Path::new(archive).is_absolute() => name,
        _ => archive,
    }
}

/// Writes one text shard.
#[derive(Serialize, Deserialize)]
struct WriteShard {
    documents: Bucket<Placed>,
    form: TextForm,
}

impl WriteShard {
    const SHARD: Product<WriteShard, File> = Product::new("shard", "shards/{name}");
}

impl Task for WriteShard {
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let documents = work.receive(&self.documents)?;
        let name = format!("{}.{}", work.name(), self.form.extension());
        let file = work.create_named(WriteShard::SHARD, &name)?;
        let shown = file.shown(work);
        let mut shard = self.form.sink(Box::new(file), shown)?;
        let mut text_bytes = 0;
        for placed in documents {
            let Placed { row, .. } = placed?;
            text_bytes += row.text.len();
            shard.push(&row)?;
            work.counts.keep();
        }
        work.metric("text_bytes", text_bytes as f64);
        Ok(shard.finish()?)
    }
}
