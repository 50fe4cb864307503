//! Links → pages without crawling: captures that Common Crawl made are found in its columnar index and copied out
//! of its archives.
//!
//! Two steps, each of which goes on where a kill left it:
//!
//! 1. [`plan`] reads the index — only the row groups and pages that can hold a wanted host, only the columns it needs
//!    — and chooses for each link the capture nearest to the link's first submission.
//! 2. [`fetch`] asks for the chosen members in the order in which they lie in the archives, neighbours in one
//!    request, and copies each as it is into files of its own, after checking that it is whole and the page meant.
//!
//! What is written is a function of links, index and archives: it does not depend on the transport, on the number
//! of requests at once, or on kills. Every link ends with exactly one [`records::Outcome`].
//!
//! Left out: a request to the index server for each URL (it is a service for people), captures of redirects and
//! their targets, records other than responses.

mod choose;
mod copy;
mod index;
mod journal;
mod member;
mod remote;
mod wanted;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use atomic_file::IoContext;
use records::Counts;
use serde::{Deserialize, Serialize};

use index::FileFigures;
use remote::{Patience, Root};
use wanted::Wanted;

/// Where Common Crawl publishes its data for everyone.
pub const DATA: &str = "https://data.commoncrawl.org";

/// How captures are found and copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Mail address or page where the owner of a server can complain; needed when index or data are remote.
    pub contact: Option<String>,
    /// Parquet files of the index, folders of them, or lists of them (`cc-index-table.paths.gz`): paths,
    /// `http(s)://` or `s3://` URLs.
    pub index: Vec<String>,
    /// The root below which the index names archives: a folder or a URL.
    pub data: String,
    /// Bytes between two members that are fetched along rather than left out by a further request.
    pub gap_max_bytes: u64,
    /// Longest request, unless one member is longer.
    pub request_max_bytes: u64,
    /// Requests for archives under way at once.
    pub requests_at_once: usize,
    /// Files of the index that are read at once.
    pub index_files_at_once: usize,
    /// Longest member, stored and inflated.
    pub page_max_bytes: u64,
    /// An archive is closed at this length.
    pub archive_len_bytes: u64,
    /// Memory of one sort.
    pub sort_memory_bytes: usize,
    /// Tries of a request before the run stops.
    pub tries: u32,
    /// Wait after the first try; it doubles with every further one.
    pub first_wait_ms: u64,
    /// Longest wait, that of Retry-After included.
    pub wait_max_ms: u64,
    /// Time for a connection.
    pub connect_timeout_ms: u64,
    /// Longest silence in an answer.
    pub idle_timeout_ms: u64,
}

impl Default for Settings {
    /// The settings for Common Crawl's own server, without an index.
    fn default() -> Settings {
        Settings {
            contact: None,
            index: Vec::new(),
            data: DATA.to_owned(),
            // A request costs a server about as much as this many bytes; captures of a site lie far apart.
            gap_max_bytes: 256 << 10,
            request_max_bytes: 16 << 20,
            requests_at_once: 8,
            index_files_at_once: 2,
            page_max_bytes: 20 << 20,
            archive_len_bytes: 1_000_000_000,
            sort_memory_bytes: 256 << 20,
            // 1 + 2 + 4 + … + 256 s and then 300 s: about fourteen minutes.
            tries: 11,
            first_wait_ms: 1_000,
            wait_max_ms: 300_000,
            connect_timeout_ms: 15_000,
            idle_timeout_ms: 60_000,
        }
    }
}

impl Settings {
    /// `webtext/0.1.0 (+contact)`.
    pub fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact");
        format!("webtext/{} (+{contact})", env!("CARGO_PKG_VERSION"))
    }

    /// Whether anything is asked of a server.
    pub fn is_remote(&self) -> bool {
        remote::is_remote(&self.data) || self.index.iter().any(|name| remote::is_remote(name))
    }

    fn check(&self) -> Result<(), CommonCrawlError> {
        let refuse = |what: String| Err(CommonCrawlError::Settings(what));
        if self.index.is_empty() {
            return refuse("no index is given; name its Parquet files, folders or a list of them".into());
        }
        if self.is_remote() {
            let contact = self.contact.as_deref().unwrap_or("").trim();
            if !(contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://")) {
                return refuse(format!(
                    "the contact {contact:?} is neither a mail address nor a page; servers must know whom to write to"
                ));
            }
            if !contact.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return refuse(format!("the contact {contact:?} has characters that no request header can have"));
            }
        }
        Ok(())
    }
}

/// A run could not go on; what it had written stays, and the same command goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum CommonCrawlError {
    /// A setting that no run can have.
    #[error("{0}")]
    Settings(String),
    /// The client could not be made.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A file of the index or an archive could not be read, however often it was tried.
    #[error("cannot read {name}")]
    Read {
        /// The file, as it was named.
        name: String,
        /// What the disk, the server or the store says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the index is not what its name says.
    #[error("{name} is no index of captures: {what}")]
    Index {
        /// The file, as it was named.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Links must be sorted as `webtext links` leaves them.
    #[error("{} is not sorted by domain and key, or has a key twice, at {key:?}", path.display())]
    Unsorted {
        /// The table.
        path: PathBuf,
        /// The first key out of order.
        key: String,
    },
    /// The folder holds another run.
    #[error("{} was begun with {what}; give another folder, or the same settings", folder.display())]
    OtherRun {
        /// The output folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// Another process works in the folder.
    #[error("another process works in {}", .0.display())]
    Locked(PathBuf),
    /// So many archives in a row are not there that the root must be wrong.
    #[error("the last {files} archives are not there, such as {name}")]
    NothingThere {
        /// Missing archives in a row.
        files: usize,
        /// One of them.
        name: String,
    },
    /// A table, a sort or a file of this machine.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The user asked to stop; everything noted so far is kept.
    #[error("stopped; run the same command again to go on")]
    Stopped,
}

impl From<atomic_file::Error> for CommonCrawlError {
    fn from(error: atomic_file::Error) -> CommonCrawlError {
        CommonCrawlError::Store(error.into())
    }
}

impl CommonCrawlError {
    /// The `hint:` to print under this error, where there is something the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CommonCrawlError::Unsorted { .. } => Some("make the table with `webtext links`"),
            CommonCrawlError::NothingThere { .. } => Some("is --data the root that the index means?"),
            CommonCrawlError::Read { .. } => Some("what was copied is kept; run the same command again to go on"),
            CommonCrawlError::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// What a plan comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Kept links.
    pub links: u64,
    /// What becomes of them, as far as the index tells: kept are those with a capture to copy.
    pub counts: Counts,
    /// Bytes of the members to copy.
    pub member_bytes: u64,
    /// Archives that they lie in.
    pub archives: u64,
    /// Requests for them, by the settings of this call.
    pub requests: u64,
    /// Bytes of these requests, with what lies in the gaps.
    pub request_bytes: u64,
    /// What was read of the index.
    pub index: FileFigures,
}

/// A run's files and the two functions that it calls back.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Table of links, sorted by domain and key; kept ones are looked for.
    pub links: &'a Path,
    /// Folder for the archives, `outcomes.parquet` and `common-crawl/`.
    pub folder: &'a Path,
    /// Whether the user asked to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Takes lines about progress.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// What a plan depends on; a folder serves no other.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    version: String,
    links_checksum: String,
    index: Vec<String>,
    page_max_bytes: u64,
    archive_len_bytes: u64,
    /// The files that `index` names, in the order of their numbers.
    files: Vec<String>,
}

/// The files of a run's work folder.
struct Work {
    folder: PathBuf,
    _lock: File,
}

impl Work {
    fn open(run: &Run<'_>) -> Result<Work, CommonCrawlError> {
        let folder = run.folder.join("common-crawl");
        fs::create_dir_all(&folder).at("create the folder", &folder)?;
        let path = folder.join("lock");
        let lock = File::create(&path).at("create", &path)?;
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Err(CommonCrawlError::Locked(run.folder.to_path_buf())),
            Err(fs::TryLockError::Error(error)) => Err(error).at("lock", &path)?,
            Ok(()) => {}
        }
        atomic_file::sweep(run.folder)?;
        Ok(Work { folder, _lock: lock })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn capture_file(&self, number: usize) -> PathBuf {
        self.folder.join(format!("captures/{number:05}.parquet"))
    }
}

/// Finds a capture for each link, or takes up the plan that stands in the folder.
pub fn plan(settings: &Settings, run: &Run<'_>) -> Result<Plan, CommonCrawlError> {
    settings.check()?;
    let work = Work::open(run)?;
    make_plan(settings, run, &work)
}

/// Copies the captures of a plan, which is made first where there is none, and writes the outcomes.
pub fn fetch(settings: &Settings, run: &Run<'_>) -> Result<Counts, CommonCrawlError> {
    settings.check()?;
    let work = Work::open(run)?;
    make_plan(settings, run, &work)?;
    let runtime = runtime()?;
    let patience = Patience::new(settings)?;
    let root = Root::open(&settings.data, &patience)?;
    runtime.block_on(copy::copy(settings, run, &work, &root))?;
    let traffic = patience.traffic();
    (run.tell)(&format!(
        "{} requests, {} of them again, {} bytes",
        traffic.requests.load(Ordering::Relaxed),
        traffic.tried_again.load(Ordering::Relaxed),
        traffic.bytes.load(Ordering::Relaxed)
    ));
    copy::write_outcomes(settings, run, &work)
}

fn runtime() -> Result<tokio::runtime::Runtime, CommonCrawlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.at("start a runtime for", Path::new("requests"))?)
}

fn make_plan(settings: &Settings, run: &Run<'_>, work: &Work) -> Result<Plan, CommonCrawlError> {
    let identity = identity(settings, run, work)?;
    let summary = work.path("plan.json");
    if let Some(found) = read_json::<Plan>(&summary)? {
        return choose::with_requests(found, settings, &work.path("plan.parquet"));
    }
    (run.tell)("reading the links");
    let wanted = Wanted::read(run.links)?;
    (run.tell)(&format!("{} links of {} hosts", wanted.len(), wanted.hosts_len()));
    let figures = read_index(settings, run, work, &identity.files, &wanted)?;
    drop(wanted);
    (run.tell)("choosing captures");
    let mut plan = choose::choose(settings, run, work, identity.files.len())?;
    plan.index = figures;
    // The summary makes the plan one: it is written last.
    write_json(&summary, &plan)?;
    let captures = work.path("captures");
    fs::remove_dir_all(&captures).at("remove", &captures)?;
    choose::with_requests(plan, settings, &work.path("plan.parquet"))
}

/// What the folder's run is of; refuses one that was begun with something else.
fn identity(settings: &Settings, run: &Run<'_>, work: &Work) -> Result<Identity, CommonCrawlError> {
    let path = work.path("run.json");
    let links_checksum = store::checksum_hex(store::checksum_file(run.links)?.1);
    let found = read_json::<Identity>(&path)?;
    let files = match &found {
        Some(found) => found.files.clone(),
        None => runtime()?.block_on(index::files(settings))?,
    };
    let identity = Identity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        links_checksum,
        index: settings.index.clone(),
        page_max_bytes: settings.page_max_bytes,
        archive_len_bytes: settings.archive_len_bytes,
        files,
    };
    let Some(found) = found else {
        write_json(&path, &identity)?;
        return Ok(identity);
    };
    let differs = [
        (found.version != identity.version, "another version of webtext"),
        (found.links_checksum != identity.links_checksum, "other links"),
        (found.index != identity.index, "another index"),
        (found.page_max_bytes != identity.page_max_bytes, "another limit of pages"),
        (found.archive_len_bytes != identity.archive_len_bytes, "another length of archives"),
    ];
    match differs.into_iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(CommonCrawlError::OtherRun { folder: run.folder.to_path_buf(), what }),
        None => Ok(identity),
    }
}

/// Reads every file of the index that has not been read yet, several at once, each with a runtime of its own.
fn read_index(
    settings: &Settings,
    run: &Run<'_>,
    work: &Work,
    files: &[String],
    wanted: &Wanted,
) -> Result<FileFigures, CommonCrawlError> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let total = Mutex::new(FileFigures::default());
    let worker = || -> Result<(), CommonCrawlError> {
        let runtime = runtime()?;
        let patience = Patience::new(settings)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = files.get(number) else { return Ok(()) };
            let captures = work.capture_file(number);
            let mark = captures.with_extension("json");
            let figures = match read_json::<FileFigures>(&mark)? {
                Some(figures) => figures,
                None => {
                    let place = remote::open_file(name, &patience)?;
                    let figures = runtime.block_on(index::read_file(&place, wanted, &captures, run.stop))?;
                    write_json(&mark, &figures)?;
                    (run.tell)(&format!(
                        "index file {} of {}: {} captures; read {} of {} row groups",
                        number + 1,
                        files.len(),
                        figures.captures,
                        figures.row_groups_read,
                        figures.row_groups
                    ));
                    figures
                }
            };
            total.lock().unwrap_or_else(PoisonError::into_inner).add(&figures);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.index_files_at_once.max(1))
            .map(|_| {
                scope.spawn(|| {
                    if let Err(error) = worker() {
                        // The others finish their file and find no further one.
                        next.store(files.len(), Ordering::Relaxed);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                })
            })
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, CommonCrawlError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.at("read", path)?,
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|error| store::Error::Damaged {
        object: path.display().to_string(),
        offset: error.column() as u64,
        what: error.to_string(),
    })?;
    Ok(Some(parsed))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CommonCrawlError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(std::io::Error::from).at("write", path)?;
    bytes.push(b'\n');
    atomic_file::write(path, &bytes)?;
    Ok(())
}
