//! One run: where its files lie, which links it is of, and that no other process works on it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use atomic_file::IoContext;
use records::{CaptureChoice, Link, PageKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::table::{TableReader, TableWriter};
use warc::ArchiveNames;

use crate::error::CommonCrawlError;
use crate::index;
use crate::settings::Settings;

/// Where links come from. They are sorted by domain and key; those with a verdict are passed over.
pub enum LinkSource<'a> {
    /// A table of links on this machine, which is read where it lies.
    Table(&'a Path),
    /// Rows from anywhere, which are copied beside the plan: links are read more than once.
    Rows(Box<dyn Iterator<Item = store::Result<Link>> + 'a>),
}

/// Where the files of a run lie, and the two functions that it calls back.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Folder of the archives; the state of the run is below it, in `common-crawl/PREFIX/`.
    pub folder: &'a Path,
    /// What the names of archives begin with: `pages` gives `pages-00000.warc.gz`. Runs of different prefixes can work
    /// in one folder at the same time.
    pub prefix: &'a str,
    /// What precedes the names of archives in outcomes, such as `pages/`.
    pub shown: &'a str,
    /// Whether the user asked to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Takes lines about progress.
    pub log: &'a (dyn Fn(&str) + Sync),
}

impl Run<'_> {
    /// What the archives are called.
    pub(crate) fn archive_names(&self) -> ArchiveNames {
        ArchiveNames { folder: self.folder.to_path_buf(), stem: self.prefix.to_owned() }
    }
}

/// The form of plan and journal; raised when an earlier one cannot be gone on with.
const FORM: &str = "1";

/// What a plan depends on; a folder serves no other.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    form: String,
    links_checksum: String,
    index: Vec<String>,
    capture: CaptureChoice,
    max_page_bytes: u64,
    max_warc_bytes: u64,
    /// The files that `index` names, in the order of their numbers.
    pub(crate) files: Vec<String>,
}

/// The state folder of a run, which no other process works in.
pub(crate) struct State {
    pub(crate) folder: PathBuf,
    /// The table of links, kept ones and others.
    pub(crate) links: PathBuf,
    links_checksum: u64,
    _lock: File,
}

impl State {
    /// Locks the state folder, which is made if there is none, and brings the links into reach.
    pub(crate) fn open(links: LinkSource<'_>, run: &Run<'_>) -> Result<State, CommonCrawlError> {
        let folder = run.folder.join("common-crawl").join(run.prefix);
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        let path = folder.join("lock");
        let lock = File::create(&path).at("create", &path)?;
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Err(CommonCrawlError::Locked(folder)),
            Err(fs::TryLockError::Error(error)) => Err(error).at("lock", &path)?,
            Ok(()) => {}
        }
        atomic_file::sweep(&folder)?;
        let (links, links_checksum) = match links {
            LinkSource::Table(path) => (path.to_path_buf(), store::checksum_file(path)?.1),
            LinkSource::Rows(rows) => {
                let path = folder.join("links.parquet");
                let mut table = TableWriter::<Link>::create(&path)?;
                for link in rows {
                    table.push(link?)?;
                }
                let written = table.finish()?;
                (path, written.checksum)
            }
        };
        Ok(State { folder, links, links_checksum, _lock: lock })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The captures that a file of the index has.
    pub(crate) fn captures(&self, index_file: usize) -> PathBuf {
        self.folder.join(format!("captures/{index_file:05}.parquet"))
    }

    /// The kept links in the order of their table, which is checked.
    pub(crate) fn kept_links(
        &self,
    ) -> Result<impl Iterator<Item = Result<Link, CommonCrawlError>> + use<'_>, CommonCrawlError> {
        let mut last: Option<PageKey> = None;
        let rows = TableReader::<Link>::open(&self.links)?;
        let kept = rows.filter(|row| row.as_ref().map_or(true, |link| link.verdict.is_none()));
        Ok(kept.map(move |row| {
            let link = row?;
            let page = link.page();
            if last.as_ref().is_some_and(|last| *last >= page) {
                return Err(CommonCrawlError::Unsorted { path: self.links.clone(), key: link.key });
            }
            last = Some(page);
            Ok(link)
        }))
    }

    /// What the folder's run is of.
    ///
    /// # Errors
    /// When it was begun with something else.
    pub(crate) fn identity(&self, settings: &Settings) -> Result<Identity, CommonCrawlError> {
        let path = self.path("run.json");
        let found = read_json::<Identity>(&path)?;
        let files = match &found {
            Some(found) => found.files.clone(),
            None => crate::runtime()?.block_on(index::files(settings))?,
        };
        let identity = Identity {
            form: FORM.to_owned(),
            links_checksum: store::checksum_hex(self.links_checksum),
            index: settings.index.clone(),
            capture: settings.capture,
            max_page_bytes: settings.max_page_bytes,
            max_warc_bytes: settings.max_warc_bytes,
            files,
        };
        let Some(found) = found else {
            write_json(&path, &identity)?;
            return Ok(identity);
        };
        match found.difference(&identity) {
            Some(what) => Err(CommonCrawlError::OtherRun { folder: self.folder.clone(), what }),
            None => Ok(identity),
        }
    }
}

impl Identity {
    /// What this run was begun with that another has not.
    fn difference(&self, other: &Identity) -> Option<&'static str> {
        let differences = [
            (self.form != other.form, "another form of plan"),
            (self.links_checksum != other.links_checksum, "other links"),
            (self.index != other.index, "another index"),
            (self.capture != other.capture, "another choice of captures"),
            (self.max_page_bytes != other.max_page_bytes, "another limit of pages"),
            (self.max_warc_bytes != other.max_warc_bytes, "another length of archives"),
        ];
        differences.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
    }
}

/// Reads a file of [`write_json`]; none where there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CommonCrawlError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.at("read", path)?,
    };
    let parsed = serde_json::from_slice(&bytes)
        .map_err(|error| CommonCrawlError::Damaged { path: path.to_path_buf(), what: error.to_string() })?;
    Ok(Some(parsed))
}

/// Writes a file for people and for a later process, whole or not at all.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CommonCrawlError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from).at("write", path)?;
    bytes.push(b'\n');
    atomic_file::write(path, &bytes)?;
    Ok(())
}
