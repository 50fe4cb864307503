//! JSON Lines and Parquet with a column of text: a corpus that is filtered and de-duplicated without pages.
//! `pages.pack` packs it into archives, which are then read like any others.

use std::path::{Path, PathBuf};

use ::texts::{DocumentOptions, Documents};
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
        let NamedFile { file, name } = &self.named;
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
        let mut packer: Option<(Packer, u64)> = None;
        let (mut archives, mut has_urls) = (0u32, false);
        for document in documents {
            match document {
                Err(error) => {
                    work.unreadable(&file.url, &error);
                    break;
                }
                Ok(Err(malformed)) => {
                    if work.counts.dropped_total() < MAX_ROWS_NAMED {
                        tracing::warn!(target: "task", "{}, {malformed}", file.url);
                    }
                    let place = malformed.place.number();
                    work.counts.drop(Reason::MalformedRecord);
                    work.sample(
                        Reason::MalformedRecord,
                        || format!("{}:{place}", file.url),
                        &malformed.fault.to_string(),
                    );
                }
                Ok(Ok(document)) => {
                    let number = document.place.number();
                    let row = format!("{name}#{number}");
                    has_urls |= document.url.is_some();
                    let url = self.url_of(document.url.as_deref(), number);
                    let (open, bytes) = match &mut packer {
                        Some(packer) => packer,
                        none => {
                            let name = format!("{}-{archives:05}", work.name());
                            archives += 1;
                            let archive = work.create_named(PackTexts::ARCHIVES, &name)?;
                            none.insert((Packer::new(archive, self.max_page_bytes), 0))
                        }
                    };
                    let text = document.text.as_bytes();
                    open.push(
                        work,
                        &Packed { url: &url, content_type: "text/plain; charset=utf-8", bytes: text, file: &row },
                    )?;
                    *bytes += text.len() as u64;
                    if *bytes >= MAX_ARCHIVE_BYTES
                        && let Some((full, _)) = packer.take()
                    {
                        full.finish()?;
                    }
                }
            }
        }
        if let Some((last, _)) = packer {
            last.finish()?;
        } else if archives == 0 && work.counts.dropped_total() > 0 {
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
    /// The URL of a document; one without a URL is identified by its file and row.
    fn url_of(&self, url: Option<&str>, row: u64) -> String {
        match url.filter(|url| page_of(url, &CanonicalRules::default()).is_some()) {
            Some(url) => url.to_owned(),
            None => format!("file:///{}#{row}", self.named.name.trim_start_matches('/')),
        }
    }
}
