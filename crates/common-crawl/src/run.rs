//! One run: its files, its links, and the lock that keeps out other processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomic_file::{FileLock, IoContext};
use links::CanonicalRules;
use records::{CaptureChoice, Link, PageKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::table::{TableReader, TableWriter};
use warc::ArchiveNames;

use crate::error::CommonCrawlError;
use crate::index;
use crate::settings::CommonCrawlSettings;

/// Where links come from. They must be sorted by domain and key; those with a verdict are skipped.
pub enum LinkSource<'a> {
    /// A table of links on this machine, read in place.
    Table(&'a Path),
    /// Rows from anywhere. They are copied into the run's folder, since links are read more than once.
    Rows(Box<dyn Iterator<Item = store::Result<Link>> + 'a>),
}

/// Files and callbacks of a run.
#[derive(Clone, Copy)]
pub struct CopyRun<'a> {
    /// Folder of the archives; the state of the run is below it, in `common-crawl/PREFIX/`.
    pub folder: &'a Path,
    /// Prefix of archive names: `pages` gives `pages-00000.warc.gz`. Runs with different prefixes may use one folder at
    /// the same time.
    pub prefix: &'a str,
    /// Prefix of archive names in [`records::Outcome::warc`], such as `pages/`.
    pub shown: &'a str,
    /// Polled; when it returns true, the run ends with [`CommonCrawlError::Stopped`].
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Receives what is under way, a line each, to be shown as progress.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

impl CopyRun<'_> {
    /// Names of the archives.
    pub(crate) fn archive_names(&self) -> ArchiveNames {
        ArchiveNames { folder: self.folder.to_path_buf(), stem: self.prefix.to_owned() }
    }
}

/// Version of plan and journal; raised when a run of an earlier one cannot be continued.
const FORM: &str = "1";

/// `run.json`: the inputs and settings that a plan depends on. A folder holds one plan only.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunIdentity {
    form: String,
    links_checksum: String,
    index: Vec<String>,
    capture: CaptureChoice,
    canonical: CanonicalRules,
    max_page_bytes: u64,
    max_warc_bytes: u64,
    /// The files that `index` names, in the order of their numbers.
    pub(crate) files: Vec<String>,
}

/// The locked state folder of a run.
pub(crate) struct RunState {
    pub(crate) folder: PathBuf,
    /// The table of links, kept ones and others.
    pub(crate) links: PathBuf,
    links_checksum: u64,
    _lock: FileLock,
}

impl RunState {
    /// Creates and locks the state folder, and copies links that are given as rows into it.
    pub(crate) fn open(links: LinkSource<'_>, run: &CopyRun<'_>) -> Result<RunState, CommonCrawlError> {
        let folder = run.folder.join("common-crawl").join(run.prefix);
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        let path = folder.join("lock");
        let Some(lock) = FileLock::try_take(&path)? else { return Err(CommonCrawlError::Locked(folder)) };
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
        Ok(RunState { folder, links, links_checksum, _lock: lock })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Table of the captures found in a file of the index.
    pub(crate) fn captures(&self, index_file: usize) -> PathBuf {
        self.folder.join(format!("captures/{index_file:05}.parquet"))
    }

    /// The kept links in order. A link that is out of order is an error.
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

    /// Whether a file of the index has been searched, or all have.
    fn has_captures(&self) -> bool {
        let is_begun = fs::read_dir(self.path("captures")).is_ok_and(|mut entries| entries.next().is_some());
        is_begun || self.path("misses.parquet").exists() || self.path("plan.parquet").exists()
    }

    /// The identity of the folder's run, which is written at its first call.
    ///
    /// # Errors
    /// [`CommonCrawlError::OtherRun`] when the run was begun with other links or settings.
    pub(crate) fn identity(&self, settings: &CommonCrawlSettings) -> Result<RunIdentity, CommonCrawlError> {
        let path = self.path("run.json");
        let found = read_json::<RunIdentity>(&path)?;
        let files = match &found {
            Some(found) => found.files.clone(),
            None => crate::runtime()?.block_on(index::files(settings))?,
        };
        let identity = RunIdentity {
            form: FORM.to_owned(),
            links_checksum: store::checksum_hex(self.links_checksum),
            index: settings.index.clone(),
            capture: settings.capture,
            canonical: settings.canonical(),
            max_page_bytes: settings.max_page_bytes,
            max_warc_bytes: settings.max_warc_bytes,
            files,
        };
        let Some(found) = found else {
            write_json(&path, &identity)?;
            return Ok(identity);
        };
        match found.difference(&identity) {
            // A run that failed before it had found anything binds nobody.
            Some(_) if !self.has_captures() => {
                let files = crate::runtime()?.block_on(index::files(settings))?;
                let identity = RunIdentity { files, ..identity };
                write_json(&path, &identity)?;
                Ok(identity)
            }
            Some(what) => Err(CommonCrawlError::OtherRun { folder: self.folder.clone(), what }),
            None => Ok(identity),
        }
    }
}

impl RunIdentity {
    /// How this run differs from another.
    fn difference(&self, other: &RunIdentity) -> Option<&'static str> {
        let differences = [
            (self.form != other.form, "another form of plan"),
            (self.links_checksum != other.links_checksum, "other links"),
            (self.index != other.index, "another index"),
            (self.capture != other.capture, "another choice of captures"),
            (self.canonical != other.canonical, "other wrappers"),
            (self.max_page_bytes != other.max_page_bytes, "another limit of pages"),
            (self.max_warc_bytes != other.max_warc_bytes, "another length of archives"),
        ];
        differences.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
    }
}

/// Reads a file that [`write_json`] wrote; `None` if there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CommonCrawlError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.at("read", path)?,
    };
    let parsed = serde_json::from_slice(&bytes)
        .map_err(|source| CommonCrawlError::StateFile { path: path.to_path_buf(), source })?;
    Ok(Some(parsed))
}

/// Writes a JSON file that appears whole or not at all.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CommonCrawlError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from).at("write", path)?;
    bytes.push(b'\n');
    atomic_file::write(path, &bytes)?;
    Ok(())
}
