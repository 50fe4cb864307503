//! Pages out of archives: `pages.pack` (folders of HTML into WARC), `pages.index` (one task an archive),
//! `pages.match` (one task a bucket: which capture answers which link).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use store::buckets::{BucketReader, BucketWriter};
use crate::manifest::FileRecord;
use store::sort::Sorter;
use store::table::{TableReader, TableWriter};
use atomic_file::{AtomicFile, IoContext};
use records::{Link, Outcome, Reason};
use store::bucket_of;
use links::Canonical;
use serde::{Deserialize, Serialize};
use serde_json::json;
use warc::http::Response;
use warc::{Date, Event, Kind, NewRecord, Reader, Record, Writer};

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::{PageSource, Recipe};
use crate::stages::{paths, sort_memory};

/// HTML files that one task packs.
const FILES_A_TASK: usize = 2000;

/// A response in an archive, on its way to its bucket; sorted by domain and key, the best capture first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Capture {
    domain: String,
    key: String,
    verdict: Option<Reason>,
    captured: String,
    warc: u32,
    offset: u64,
    within: u64,
    url: String,
    status: Option<u16>,
    content_type: Option<String>,
}

/// A page that the documents stage is to read; sorted by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Selected {
    pub(crate) offset: u64,
    pub(crate) within: u64,
    pub(crate) key: String,
    pub(crate) url: String,
    pub(crate) domain: String,
    pub(crate) karma: Option<i64>,
    pub(crate) subreddit: Option<String>,
}

pub(crate) struct Pack;

impl Stage for Pack {
    fn name(&self) -> &'static str {
        "pages.pack"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        for folder in Recipe::expand(&run.recipe().pages.paths)? {
            files.extend(html_files(&folder)?);
        }
        anyhow::ensure!(
            !files.is_empty(),
            "there is no .html or .htm file below {}",
            run.recipe().pages.paths.join(", ")
        );
        let limit_bytes = run.recipe().pages.page_len_max_bytes;
        let mut plan = Vec::new();
        for (number, chunk) in files.chunks(FILES_A_TASK).enumerate() {
            let inputs = chunk.iter().map(|(path, _)| run.external(path)).collect::<anyhow::Result<Vec<_>>>()?;
            let urls: Vec<&str> = chunk.iter().map(|(_, url)| url.as_str()).collect();
            let settings = json!({"urls": urls, "page_len_max_bytes": limit_bytes});
            let chunk = chunk.to_vec();
            plan.push(TaskPlan {
                inputs,
                settings,
                work: Box::new(move |task| pack(task, &chunk, number, limit_bytes)),
            });
        }
        Ok(plan)
    }
}

/// The HTML files below a folder with their URLs, sorted by path. `urls.tsv` (`path<TAB>url`) in the
/// folder names URLs; a file without one is `file:///` and its path.
fn html_files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let list = folder.join("urls.tsv");
    let urls = if list.is_file() { std::fs::read_to_string(&list).at("read", &list)? } else { String::new() };
    let urls: BTreeMap<&str, &str> = urls
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let fault = || format!("{}, line {}: not a path, a tab and a URL", list.display(), number + 1);
            line.split_once('\t').with_context(fault)
        })
        .collect::<anyhow::Result<_>>()?;
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).at("list", &at)? {
            let path = entry.at("list", &at)?.path();
            let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if extension == "html" || extension == "htm" {
                let relative = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                let url =
                    urls.get(relative.as_str()).map_or_else(|| format!("file:///{relative}"), |url| (*url).to_owned());
                files.push((path, url));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn pack(task: &mut Task<'_>, files: &[(PathBuf, String)], number: usize, limit_bytes: u64) -> anyhow::Result<()> {
    let name = format!("pages/html-{number:05}.warc.gz");
    let path = task.path(&name);
    let mut writer = Writer::new(AtomicFile::create(&path)?, 0);
    let date = Date::epoch(); // A file's time is not part of its content.
    for (file, url) in files {
        let shown = file.to_string_lossy();
        let html = match std::fs::read(file) {
            Ok(html) => html,
            Err(error) => {
                task.counts.drop(Reason::MalformedPage);
                task.unreadable(&shown, &error);
                continue;
            }
        };
        if html.len() as u64 > limit_bytes {
            task.counts.drop(Reason::PageTooLarge);
            task.sample(Reason::PageTooLarge, || shown.into_owned(), &format!("{} bytes", html.len()));
            continue;
        }
        let record = NewRecord {
            kind: "resource",
            target: Some(url),
            date: &date,
            content_type: "text/html",
            headers: &[],
            block: &html,
            payload_start: None,
        };
        writer.write(&record).at("write", &path)?;
        task.counts.keep();
    }
    let written = writer.into_inner().commit()?;
    task.wrote(&name, written);
    Ok(())
}

/// The archives of a run, as manifests name them, and where they lie.
pub(crate) fn archives(run: &Run) -> anyhow::Result<Vec<(FileRecord, PathBuf)>> {
    let own = match run.recipe().pages.from {
        PageSource::Fetch => {
            run.outputs("pages.fetch", "pages/")?.into_iter().filter(|f| f.path.ends_with(".warc.gz")).collect()
        }
        PageSource::Html => run.outputs("pages.pack", "pages/")?,
        PageSource::Warc => {
            let files = Recipe::expand(&run.recipe().pages.paths)?;
            let files = files.into_iter().filter(|path| path.is_file());
            return files.map(|path| Ok((run.external(&path)?, path))).collect();
        }
    };
    Ok(own.into_iter().map(|file: FileRecord| (file.clone(), run.folder().join(&file.path))).collect())
}

pub(crate) struct Index;

impl Stage for Index {
    fn name(&self) -> &'static str {
        "pages.index"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let buckets = run.recipe().limits.buckets;
        let limit_bytes = run.recipe().pages.page_len_max_bytes;
        let packed = run.recipe().pages.from == PageSource::Html;
        let tasks = archives(run)?.into_iter().enumerate().map(|(number, (file, path))| TaskPlan {
            inputs: vec![file],
            settings: json!({"buckets": buckets, "page_len_max_bytes": limit_bytes}),
            work: Box::new(move |task| {
                index(task, &path, number as u32, limit_bytes, buckets)?;
                if packed {
                    let records = task.counts.read;
                    task.receive("pages.pack", records);
                }
                Ok(())
            }),
        });
        Ok(tasks.collect())
    }
}

fn index(task: &mut Task<'_>, path: &Path, number: u32, limit_bytes: u64, buckets: u32) -> anyhow::Result<()> {
    let name = format!("work/pages.index/{number:05}.buckets");
    let mut writer = BucketWriter::create(&task.path(&name), buckets)?;
    let shown = path.to_string_lossy().into_owned();
    let mut reader = match Reader::open(path, limit_bytes) {
        Ok(reader) => Some(reader),
        Err(error) => {
            task.unreadable(&shown, &error);
            None
        }
    };
    while let Some(open) = &mut reader {
        let event = match open.next() {
            Ok(None) => break,
            Ok(Some(event)) => event,
            Err(error) => {
                task.unreadable(&shown, &error);
                break;
            }
        };
        match event {
            Event::Malformed { location, what } => {
                if what.contains(warc::BREAKS_OFF) {
                    let error = std::io::Error::new(
                        std::io::ErrorKind::UnexpectedEof,
                        format!("{what}, which begins at byte {}", location.offset),
                    );
                    task.unreadable(&shown, &error);
                }
                task.counts.drop(Reason::MalformedPage);
                task.sample(Reason::MalformedPage, || format!("{shown} at byte {}", location.offset), &what);
            }
            Event::Record(record) => match capture(&record, number) {
                Err(reason) => task.counts.drop(reason),
                Ok(capture) => {
                    let domain = if capture.domain.is_empty() { &capture.key } else { &capture.domain };
                    writer.push(bucket_of(domain.as_bytes(), buckets), &capture)?;
                    task.counts.keep();
                }
            },
        }
    }
    if task.counts.read == task.counts.dropped.get(&Reason::MalformedPage).copied().unwrap_or(0) && task.counts.read > 0
    {
        let nothing = std::io::Error::new(std::io::ErrorKind::InvalidData, "no record in it can be read");
        task.unreadable(&shown, &nothing);
    }
    let written = writer.finish()?;
    task.wrote(&name, written);
    Ok(())
}

/// What a record captures, with its own verdict; or why it is no capture.
fn capture(record: &Record, warc: u32) -> Result<Capture, Reason> {
    match record.kind {
        Kind::Response | Kind::Resource => {}
        Kind::Revisit => return Err(Reason::Revisit),
        Kind::Warcinfo | Kind::Request | Kind::Metadata | Kind::Conversion | Kind::Continuation | Kind::Other => {
            return Err(Reason::NotAResponse);
        }
    }
    let target = record.target().ok_or(Reason::MalformedPage)?;
    let (domain, key, url) = match target.strip_prefix("file:///") {
        Some(path) => (String::new(), format!("file)/{path}"), target.to_owned()),
        None => match Canonical::parse(target) {
            Ok(canonical) => (canonical.domain, canonical.key, canonical.url),
            // dns:, metadata:, urn: and the like hold no pages.
            Err(_) => return Err(Reason::NotAResponse),
        },
    };
    let (status, content_type, body) = if record.kind == Kind::Response {
        let response = Response::parse(&record.body).ok_or(Reason::MalformedPage)?;
        let content_type = response.header("Content-Type").map(str::to_owned);
        (Some(response.status), content_type, record.body.get(response.body_start..).unwrap_or(&[]))
    } else {
        (None, record.header("Content-Type").map(str::to_owned), record.body.as_slice())
    };
    let verdict = match status {
        Some(status) if status != 200 => Some(Reason::HttpStatus),
        _ if !is_html(content_type.as_deref(), body) => Some(Reason::NotHtml),
        _ if record.is_cut() => Some(Reason::PageTooLarge),
        _ => None,
    };
    let captured = record.header("WARC-Date").unwrap_or("").to_owned();
    let (offset, within) = (record.location.offset, record.location.within);
    Ok(Capture { domain, key, verdict, captured, warc, offset, within, url, status, content_type })
}

/// By the header; without one, by the first bytes.
pub(crate) fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    let kind = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if matches!(kind.as_str(), "text/html" | "application/xhtml+xml") {
        return true;
    }
    let unknown = matches!(kind.as_str(), "" | "unknown" | "no-type" | "application/unknown");
    let head = String::from_utf8_lossy(&body[..body.len().min(512)]).trim_start().to_ascii_lowercase();
    unknown && ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| head.starts_with(tag))
}

pub(crate) struct Match;

impl Stage for Match {
    fn name(&self) -> &'static str {
        "pages.match"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let captures = run.outputs("pages.index", "work/")?;
        let links = if run.recipe().links.is_some() { run.outputs("links.merge", "links/")? } else { Vec::new() };
        let names: Vec<String> = archives(run)?.into_iter().map(|(file, _)| file.path).collect();
        let only_links = run.recipe().pages.only_links;
        let tasks = (0..run.recipe().limits.buckets).map(|bucket| {
            let (captures, names, link) = (captures.clone(), names.clone(), links.get(bucket as usize).cloned());
            TaskPlan {
                inputs: link.iter().chain(&captures).cloned().collect(),
                settings: json!({"only_links": only_links, "archives": names, "bucket": bucket}),
                work: Box::new(move |task| {
                    let mut sorter = Sorter::new(task.scratch()?, sort_memory(task.run()));
                    for path in paths(task.run(), &captures) {
                        for capture in BucketReader::<Capture>::open(&path, bucket)? {
                            sorter.push(capture?)?;
                            task.receive("pages.index", 1);
                        }
                    }
                    task.receive("pages.index", 0);
                    if link.is_some() {
                        task.receive("links.merge", 0);
                    }
                    let links =
                        link.as_ref().map(|file| TableReader::<Link>::open(&task.path(&file.path))).transpose()?;
                    let links =
                        links.into_iter().flatten().filter(|link| link.as_ref().map_or(true, |l| l.verdict.is_none()));
                    Matcher::start(task, &names, only_links, bucket)?.join(links, sorter.finish()?)
                }),
            }
        });
        Ok(tasks.collect())
    }
}

/// Merges the sorted links and the sorted captures of a bucket.
struct Matcher<'t, 'r> {
    task: &'t mut Task<'r>,
    names: &'t [String],
    only_links: bool,
    table_name: String,
    table: TableWriter<Outcome>,
    selected_name: String,
    selected: BucketWriter<Selected>,
}

impl<'t, 'r> Matcher<'t, 'r> {
    fn start(
        task: &'t mut Task<'r>,
        names: &'t [String],
        only_links: bool,
        bucket: u32,
    ) -> anyhow::Result<Matcher<'t, 'r>> {
        let table_name = format!("pages/outcomes-{bucket:05}.parquet");
        let selected_name = format!("work/pages.match/{bucket:05}.buckets");
        let table = TableWriter::create(&task.path(&table_name))?;
        let selected = BucketWriter::create(&task.path(&selected_name), names.len().max(1) as u32)?;
        Ok(Matcher { task, names, only_links, table_name, table, selected_name, selected })
    }

    fn join(
        mut self,
        links: impl Iterator<Item = store::Result<Link>>,
        captures: impl Iterator<Item = store::Result<Capture>>,
    ) -> anyhow::Result<()> {
        let mut captures = captures.peekable();
        for link in links {
            let link = link?;
            self.task.receive("links.merge", 1);
            // Captures before the link belong to no link.
            while let Some(group) = next_group(&mut captures, |key| key < (&link.domain, &link.key))? {
                self.decide(None, group)?;
            }
            let group = next_group(&mut captures, |key| key == (&link.domain, &link.key))?;
            self.decide(Some(&link), group.unwrap_or_default())?;
        }
        while let Some(group) = next_group(&mut captures, |_| true)? {
            self.decide(None, group)?;
        }
        let Matcher { task, table_name, table, selected_name, selected, .. } = self;
        let written = table.finish()?;
        task.wrote(&table_name, written);
        let written = selected.finish()?;
        task.wrote(&selected_name, written);
        Ok(())
    }

    /// Writes the outcome of a link, or of captures that no link asked for. The best capture is the first.
    fn decide(&mut self, link: Option<&Link>, group: Vec<Capture>) -> anyhow::Result<()> {
        let mut captures = group.into_iter();
        let Some(best) = captures.next() else {
            let link = link.expect("there is a link or a capture");
            self.task.counts.drop(Reason::NotCaptured);
            let verdict = Some(Reason::NotCaptured);
            return Ok(self.table.push(outcome(
                link.domain.clone(),
                link.key.clone(),
                link.url.clone(),
                None,
                self.names,
                verdict,
            ))?);
        };
        let verdict = match link {
            None if self.only_links => Some(Reason::NotInLinks),
            _ => best.verdict,
        };
        self.task.counts.record(verdict);
        if verdict.is_none() {
            let selected = Selected {
                offset: best.offset,
                within: best.within,
                key: best.key.clone(),
                url: link.map_or(&best.url, |link| &link.url).clone(),
                domain: best.domain.clone(),
                karma: link.map(|link| link.karma),
                subreddit: link.and_then(|link| link.subreddit.clone()),
            };
            self.selected.push(best.warc, &selected)?;
        }
        let url = link.map_or(&best.url, |link| &link.url).clone();
        self.table.push(outcome(best.domain.clone(), best.key.clone(), url, Some(&best), self.names, verdict))?;
        for other in captures {
            let verdict = Some(Reason::SupersededCapture);
            self.task.counts.record(verdict);
            let row =
                outcome(other.domain.clone(), other.key.clone(), other.url.clone(), Some(&other), self.names, verdict);
            self.table.push(row)?;
        }
        Ok(())
    }
}

/// The captures that come next and share a key, when `wanted` says yes to it.
fn next_group(
    captures: &mut std::iter::Peekable<impl Iterator<Item = store::Result<Capture>>>,
    wanted: impl Fn((&String, &String)) -> bool,
) -> anyhow::Result<Option<Vec<Capture>>> {
    let mut group: Vec<Capture> = Vec::new();
    loop {
        let belongs = match captures.peek() {
            None => false,
            Some(Err(_)) => true,
            Some(Ok(next)) => match group.first() {
                None => wanted((&next.domain, &next.key)),
                Some(first) => (&first.domain, &first.key) == (&next.domain, &next.key),
            },
        };
        match captures.next_if(|_| belongs) {
            Some(capture) => group.push(capture?),
            None => return Ok((!group.is_empty()).then_some(group)),
        }
    }
}

fn outcome(
    domain: String,
    key: String,
    url: String,
    capture: Option<&Capture>,
    names: &[String],
    verdict: Option<Reason>,
) -> Outcome {
    Outcome {
        domain,
        key,
        url,
        final_url: capture.map(|c| c.url.clone()),
        status: capture.and_then(|c| c.status),
        content_type: capture.and_then(|c| c.content_type.clone()),
        captured: capture.map(|c| c.captured.clone()),
        warc: capture.map(|c| names[c.warc as usize].clone()),
        offset: capture.map(|c| c.offset),
        detail: None,
        verdict,
    }
}
