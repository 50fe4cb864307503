//! JSON Lines and Parquet with a column of text: a corpus that is filtered and de-duplicated without pages.
//! `pages.pack` packs it into archives, which are then read like any others.

use std::path::{Path, PathBuf};

use ::texts::{DocumentOptions, Documents, MalformedRecord, TextDocument};
use links::CanonicalRules;
use records::Reason;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::capture::page_of;
use super::pack::{NamedFile, Packed, Packer, shared_folder};
use super::{Captured, LinksLeft, warc};
use crate::engine::{External, File, Flow, Product, Task, Work};
use crate::error::{Result, Within as _};
use crate::recipe::Pages;

/// Malformed rows of a file that are named in its log.
const MAX_ROWS_NAMED: u64 = 3;
/// Bytes of text after which the next archive begins; a later task reads one archive.
const MAX_ARCHIVE_BYTES: u64 = 64 << 20;

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let pack = flow.stage_of_source("pages.pack", number, move |_| {
        let mut tasks = Vec::new();
        let files = External::of_files(&pages.paths)?;
        let folder_of = |file: &External| Path::new(&file.url).parent().map(Path::to_path_buf).unwrap_or_default();
        let shared = shared_folder(&files.iter().map(folder_of).collect::<Vec<PathBuf>>());
        for file in files {
            let task = PackTexts {
                named: NamedFile::new(file, &shared, number),
                text_field: pages.text_field.clone(),
                url_field: pages.url_field.clone(),
                max_page_bytes: pages.max_page_bytes,
            };
            tasks.push((format!("{:016x}", xxh3_64(task.named.name.as_bytes())), task));
        }
        Ok(tasks)
    });
    warc::add(flow, number, settings, left, Some(pack.product(PackTexts::ARCHIVES)), buckets)
}

/// Packs the texts of one file.
#[derive(Serialize, Deserialize)]
struct PackTexts {
    #[serde(flatten)]
    named: NamedFile,
    text_field: String,
    url_field: String,
    max_page_bytes: u64,
}

impl PackTexts {
    const ARCHIVES: Product<PackTexts, File> = Product::new("archives", "pages/texts{suffix}-{name}.warc.gz");
}

impl Task for PackTexts {
    const REVISION: u32 = 2; // rows by the file's name in the source's folder

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let file = &self.named.file;
        let source = work.source(file)?;
        let options = DocumentOptions::new(&self.text_field)
            .with_url_field(&self.url_field)
            .with_max_text_bytes(usize::try_from(self.max_page_bytes).unwrap_or(usize::MAX));
        let checked = ::texts::check_header(Path::new(&file.url), file.len_bytes);
        let source_bytes = source.share()?;
        let documents = match checked.and_then(|()| Documents::open(source_bytes, options)) {
            Ok(documents) => documents,
            // A column of another name is a fault of the recipe, anything else one of the file.
            Err(error @ (::texts::Error::MissingColumn { .. } | ::texts::Error::ColumnType { .. })) => {
                return Err(error).within(|| format!("in {}", file.url));
            }
            Err(error) => {
                work.unreadable(&file.url, &error);
                work.finish_source(source)?;
                return Ok(());
            }
        };
        let mut archives = Archives { task: self, open: None, count: 0 };
        let mut has_urls = false;
        for document in documents {
            match document {
                Err(error) => {
                    work.unreadable(&file.url, &error);
                    break;
                }
                Ok(Err(malformed)) => self.drop_row(work, &malformed),
                Ok(Ok(document)) => {
                    has_urls |= document.url.is_some();
                    archives.push(work, &document)?;
                }
            }
        }
        let archives = archives.finish()?;
        if archives == 0 && work.counts.dropped_total() > 0 {
            work.unreadable(&file.url, &NoTexts { field: self.text_field.clone() });
        }
        // The field of the default is one that a corpus need not have.
        if archives > 0 && !has_urls && self.url_field != Pages::default_url_field() {
            work.unreadable(&file.url, &NoUrls { field: self.url_field.clone() });
        }
        work.finish_source(source)?;
        Ok(())
    }
}

/// A file of records of which none has a text: most likely, the field has another name.
#[derive(Debug, thiserror::Error)]
#[error("no record has a text in the field {field:?}; name another one as text_field in [pages]")]
struct NoTexts {
    field: String,
}

/// A file of records of which none has a URL, though the recipe says where they have it.
#[derive(Debug, thiserror::Error)]
#[error("no record has a URL in the field {field:?}; name another one as url_field in [pages], or leave it out")]
struct NoUrls {
    field: String,
}

impl PackTexts {
    fn drop_row(&self, work: &mut Work<'_>, malformed: &MalformedRecord) {
        let file = &self.named.file.url;
        if work.counts.dropped_total() < MAX_ROWS_NAMED {
            tracing::warn!(target: "task", "{file}, {malformed}");
        }
        work.counts.drop(Reason::MalformedRecord);
        let place = || format!("{file}:{}", malformed.place.number());
        work.sample(Reason::MalformedRecord, place, &malformed.fault.to_string());
    }

    /// The URL of a document; one without a URL is identified by its file and row.
    fn url_of(&self, document: &TextDocument) -> String {
        match document.url.as_deref().filter(|url| page_of(url, &CanonicalRules::default()).is_some()) {
            Some(url) => url.to_owned(),
            None => format!("file:///{}#{}", self.named.name.trim_start_matches('/'), document.place.number()),
        }
    }
}

/// The archives that the texts of a file are packed into, one after the other.
struct Archives<'t> {
    task: &'t PackTexts,
    /// The last one, and how many bytes of text it has.
    open: Option<(Packer, u64)>,
    count: u32,
}

impl Archives<'_> {
    fn push(&mut self, work: &mut Work<'_>, document: &TextDocument) -> Result<()> {
        let (archive, text_bytes) = match &mut self.open {
            Some(open) => open,
            none => {
                let name = format!("{}-{:05}", work.name(), self.count);
                self.count += 1;
                let archive = work.create_named(PackTexts::ARCHIVES, &name)?;
                none.insert((Packer::new(archive, self.task.max_page_bytes), 0))
            }
        };
        let row = format!("{}#{}", self.task.named.name, document.place.number());
        let (url, bytes) = (self.task.url_of(document), document.text.as_bytes());
        archive.push(work, &Packed { url: &url, content_type: "text/plain; charset=utf-8", bytes, file: &row })?;
        *text_bytes += bytes.len() as u64;
        if *text_bytes >= MAX_ARCHIVE_BYTES
            && let Some((full, _)) = self.open.take()
        {
            full.finish()?;
        }
        Ok(())
    }

    /// How many archives there are.
    fn finish(self) -> Result<u32> {
        if let Some((last, _)) = self.open {
            last.finish()?;
        }
        Ok(self.count)
    }
}
