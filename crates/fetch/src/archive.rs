//! Pages into WARC files, and outcomes into the journal: one thread a worker, which alone touches the disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use records::{Outcome, Reason};
use reqwest::Version;
use url::Url;
use warc::cdxj::{self, Entry};
use warc::{Date, NewRecord, REVISIT_IDENTICAL_DIGEST, Writer};

use crate::error::FetchError;
use crate::exchange::{Page, Refusal, Wanted, request_bytes};
use crate::frames::FrameWriter;
use crate::frontier::Row;
use crate::journal::{self, Happened, Stored};
use crate::monitor::{Monitor, Pauser};
use crate::robots;

/// A group also ends when its bodies have so many bytes.
const GROUP_BYTES: u64 = 64 << 20;
/// Bodies of which it is remembered that they are archived; a page that has one again becomes a `revisit`.
const DIGESTS_MAX: usize = 1 << 16;
/// A body shorter than this is not worth a reference.
const REVISIT_MIN_BYTES: usize = 512;
/// Pages are compressed fast: at level 6 files are 7% smaller, in twice the time.
const GZIP_LEVEL: u32 = 1;
/// How often a write is tried again for which there was no room or no file.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// Where the files of a fetch lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of the WARC files.
    pub archive: PathBuf,
    /// Folder of the journals and the frontier.
    pub state: PathBuf,
    /// What the names of WARC files begin with: `pages` gives `pages-00-00000.warc.gz`.
    pub prefix: String,
    /// What stands before the names of WARC files in outcomes, such as `pages/`.
    pub shown: String,
}

impl Place {
    /// One folder for everything, its WARC files called `pages-…`.
    pub fn folder(folder: &Path) -> Place {
        Place { archive: folder.into(), state: folder.into(), prefix: "pages".into(), shown: String::new() }
    }

    pub(crate) fn name(&self, worker: u32, number: u32) -> String {
        format!("{}-{worker:02}-{number:05}.warc.gz", self.prefix)
    }

    fn warc(&self, worker: u32, number: u32) -> PathBuf {
        self.archive.join(self.name(worker, number))
    }

    fn open_warc(&self, worker: u32, number: u32) -> PathBuf {
        self.archive.join(format!("{}.open", self.name(worker, number)))
    }

    fn cdxj(&self, worker: u32, number: u32) -> PathBuf {
        self.archive.join(format!("{}-{worker:02}-{number:05}.cdxj", self.prefix))
    }

    pub(crate) fn journal(&self, worker: u32) -> PathBuf {
        self.state.join(format!("journal-{worker:02}.log"))
    }
}

/// What a worker hands over.
pub(crate) enum Note {
    /// A link has its outcome.
    Finished(Box<Finished>),
    /// A host is to be left in peace until then.
    Rest { host: Box<str>, until: Instant, faults_in_a_row: u32 },
    /// An origin's robots.txt was asked for just now.
    Robots { origin: String, answer: robots::Answer },
}

/// A link at its end.
pub(crate) struct Finished {
    pub(crate) id: u64,
    pub(crate) row: Row,
    /// The URL that was asked for last; none when the link's own was not one.
    pub(crate) url: Option<Url>,
    pub(crate) result: Result<Page, Refusal>,
    /// The URLs that led here by redirects, the link's own first; empty without redirects.
    pub(crate) via: Vec<Url>,
    /// Signals against use for training, as the host words them.
    pub(crate) signals: Vec<String>,
}

impl Note {
    fn links(&self) -> u64 {
        u64::from(matches!(self, Note::Finished(_)))
    }

    /// Where a page came from.
    fn answered_at(&self) -> Option<SocketAddr> {
        match self {
            Note::Finished(finished) => finished.result.as_ref().ok()?.address,
            Note::Rest { .. } | Note::Robots { .. } => None,
        }
    }

    /// Bytes that wait in memory.
    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Note::Finished(finished) => 1024 + finished.result.as_ref().map_or(0, |page| page.body.len() as u64),
            Note::Rest { .. } => 128,
            Note::Robots { answer: robots::Answer::Text(text), .. } => 256 + text.len() as u64,
            Note::Robots { .. } => 256,
        }
    }
}

/// What a worker has handed over and its archivist has not made durable: a kill loses it.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicU64,
    links: AtomicU64,
}

impl Backlog {
    pub(crate) fn add(&self, note: &Note) {
        self.bytes.fetch_add(note.len_bytes(), Relaxed);
        self.links.fetch_add(note.links(), Relaxed);
    }

    fn remove(&self, group: &[Note]) {
        for note in group {
            self.bytes.fetch_sub(note.len_bytes(), Relaxed);
            self.links.fetch_sub(note.links(), Relaxed);
        }
    }

    /// Whether a whole group is not durable; then nothing new is to be asked for.
    pub(crate) fn is_full(&self, settings: &crate::Settings) -> bool {
        self.bytes.load(Relaxed) >= GROUP_BYTES || self.links.load(Relaxed) >= settings.group_pages as u64
    }
}

/// How far an earlier process came with a worker's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// Length of the journal's whole frames.
    pub(crate) journal_len_bytes: u64,
    /// The WARC file that was open, and its length.
    pub(crate) number: u32,
    pub(crate) warc_len_bytes: u64,
    /// What is in the open file.
    pub(crate) index: Vec<Entry>,
}

/// A line of the index of a WARC file.
pub(crate) fn index_entry(outcome: &Outcome, stored: &Stored) -> Entry {
    let url = outcome.final_url.clone().unwrap_or_else(|| outcome.url.clone());
    let mime = outcome.content_type.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    let mime = if stored.is_revisit { "warc/revisit" } else { mime };
    Entry {
        key: cdxj::surt(&url),
        timestamp14: cdxj::timestamp14(outcome.captured.as_deref().unwrap_or("")),
        mime: (!mime.is_empty()).then(|| mime.to_owned()),
        status: outcome.status,
        digest: Some(stored.digest.clone()),
        length: stored.len_bytes,
        offset: stored.offset,
        filename: String::new(),
        url,
    }
}

/// Writes a worker's files.
pub(crate) struct Archivist<'c> {
    place: &'c Place,
    worker: u32,
    settings: &'c crate::Settings,
    monitor: &'c Monitor,
    backlog: &'c Backlog,
    stop: &'c (dyn Fn() -> bool + Sync),
    journal: FrameWriter,
    warc: OpenWarc,
    digests: HashMap<String, Origin>,
}

/// The WARC file that grows.
struct OpenWarc {
    number: u32,
    file: Option<File>,
    len_bytes: u64,
    index: Vec<Entry>,
}

/// Where a body was archived first.
#[derive(Clone)]
struct Origin {
    warc: u32,
    offset: u64,
    id: String,
    url: String,
    date: String,
}

impl<'c> Archivist<'c> {
    /// Opens a worker's journal and cuts its open WARC file to what the journal names.
    pub(crate) fn open(
        place: &'c Place,
        worker: u32,
        settings: &'c crate::Settings,
        monitor: &'c Monitor,
        backlog: &'c Backlog,
        stop: &'c (dyn Fn() -> bool + Sync),
        left: Left,
    ) -> Result<Archivist<'c>, FetchError> {
        check_left(place, worker, &left)?;
        let path = place.journal(worker);
        let journal =
            FrameWriter::open(&path, &journal::MAGIC, left.journal_len_bytes).map_err(FetchError::at("open", &path))?;
        let warc = OpenWarc { number: left.number, file: None, len_bytes: left.warc_len_bytes, index: left.index };
        let digests = HashMap::new();
        let mut archivist = Archivist { place, worker, settings, monitor, backlog, stop, journal, warc, digests };
        archivist.take_up()?;
        Ok(archivist)
    }

    /// Goes on with the WARC file that was open, or closes it if the rename was all that a kill left undone.
    fn take_up(&mut self) -> Result<(), FetchError> {
        let open = self.place.open_warc(self.worker, self.warc.number);
        let sealed = self.place.warc(self.worker, self.warc.number);
        let io = FetchError::at("take up", &open);
        if self.warc.len_bytes == 0 {
            return if open.exists() { fs::remove_file(&open).map_err(io) } else { Ok(()) };
        }
        if !open.exists() && sealed.exists() {
            fs::rename(&sealed, &open).map_err(FetchError::at("take up", &sealed))?;
        }
        let mut file = File::options().read(true).write(true).open(&open).map_err(FetchError::at("open", &open))?;
        let have = file.metadata().map_err(FetchError::at("read", &open))?.len();
        if have < self.warc.len_bytes {
            return Err(FetchError::Damaged {
                path: open,
                what: format!("it has {have} bytes, and the journal names records up to {}", self.warc.len_bytes),
            });
        }
        let cut = file.set_len(self.warc.len_bytes).and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map_err(FetchError::at("cut", &open))?;
        self.warc.file = Some(file);
        Ok(())
    }

    /// Notes what the journal is of, as its first frame.
    pub(crate) fn head(&mut self, settings: &str, frontier: u64) -> Result<(), FetchError> {
        let entry = Happened::Head { settings: settings.to_owned(), frontier };
        let path = self.journal.path().to_path_buf();
        self.journal.append(&[entry][..]).map_err(FetchError::at("write", &path))
    }

    /// Writes until the worker is done, then closes the WARC file. Half a group is written while the other half
    /// gathers, so that a kill costs one group and the worker need not wait for the disk.
    pub(crate) fn run(mut self, notes: &Receiver<Note>) -> Result<(), FetchError> {
        let half_pages = self.settings.group_pages.div_ceil(2);
        let group_time = Duration::from_millis(self.settings.group_ms);
        while let Ok(first) = notes.recv() {
            let ends = Instant::now() + group_time;
            let mut bytes = first.len_bytes();
            let mut half = vec![first];
            while half.len() < half_pages && bytes < GROUP_BYTES / 2 {
                match notes.recv_timeout(ends.saturating_duration_since(Instant::now())) {
                    Ok(note) => {
                        bytes += note.len_bytes();
                        half.push(note);
                    }
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            if !self.waiting_for_room(|archivist| archivist.commit(&half))? {
                return Ok(());
            }
            self.backlog.remove(&half);
        }
        self.waiting_for_room(Archivist::seal).map(|_| ())
    }

    /// Does a write again for as long as the disk is full or this machine has no file left; `false` when it is to
    /// stop before. What is not written is not done.
    fn waiting_for_room(
        &mut self,
        mut write: impl FnMut(&mut Archivist<'c>) -> Result<(), FetchError>,
    ) -> Result<bool, FetchError> {
        let pauser = Pauser::Archivist(self.worker);
        loop {
            let (path, lack) = match write(self) {
                Ok(()) => {
                    self.monitor.unpause(pauser);
                    return Ok(true);
                }
                Err(FetchError::Io { path, source, action }) => match lack(&source) {
                    Some(lack) => (path, lack),
                    None => return Err(FetchError::Io { path, source, action }),
                },
                Err(error) => return Err(error),
            };
            if (self.stop)() {
                return Ok(false);
            }
            let folder = path.parent().unwrap_or(&path).display().to_string();
            self.monitor.pause(pauser, format!("there is no {lack} {folder}; fetching goes on when there is"));
            std::thread::sleep(ROOM_PAUSE);
        }
    }

    /// Makes a group durable: records, sync, frame, sync.
    fn commit(&mut self, group: &[Note]) -> Result<(), FetchError> {
        if self.warc.len_bytes >= self.settings.warc_max_bytes {
            self.seal()?;
        }
        let mut records = Writer::new(Vec::new(), self.warc.len_bytes).with_level(GZIP_LEVEL);
        let (mut entries, mut index, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for note in group {
            let entry = match note {
                Note::Finished(finished) => self.done(finished, &mut records, &mut origins)?,
                Note::Rest { host, until, faults_in_a_row } => Happened::Rest {
                    host: host.to_string(),
                    until_unix_ms: unix_ms_of(*until),
                    faults_in_a_row: *faults_in_a_row,
                },
                Note::Robots { origin, answer } => {
                    Happened::Robots { origin: origin.clone(), asked_unix_s: unix_ms() / 1000, answer: answer.clone() }
                }
            };
            if let Happened::Done { outcome, stored: Some(stored), .. } = &entry {
                index.push(index_entry(outcome, stored));
            }
            entries.push(entry);
        }
        entries.extend(group.iter().rev().find_map(Note::answered_at).map(|address| Happened::Heard { address }));
        let len_bytes = records.offset();
        if len_bytes > self.warc.len_bytes {
            self.append(&records.into_inner())?;
            entries.push(Happened::Warc { number: self.warc.number, len_bytes });
        }
        let path = self.journal.path().to_path_buf();
        if let Err(source) = self.journal.append(&entries) {
            self.take_back()?;
            return Err(FetchError::at("write", &path)(source));
        }
        self.warc.len_bytes = len_bytes;
        self.warc.index.append(&mut index);
        if self.digests.len() + origins.len() > DIGESTS_MAX {
            self.digests.clear();
        }
        self.digests.extend(origins);
        for entry in &entries {
            if let Happened::Done { outcome, .. } = entry {
                self.monitor.count(outcome.verdict);
            }
        }
        Ok(())
    }

    /// Writes records behind what is there, and syncs; takes them back when that fails.
    fn append(&mut self, records: &[u8]) -> Result<(), FetchError> {
        let path = self.place.open_warc(self.worker, self.warc.number);
        let file = match &mut self.warc.file {
            Some(file) => file,
            none => none.insert(create(&path).map_err(FetchError::at("create", &path))?),
        };
        if let Err(source) = file.write_all(records).and_then(|()| file.sync_data()) {
            self.take_back()?;
            return Err(FetchError::at("write", &path)(source));
        }
        Ok(())
    }

    fn take_back(&mut self) -> Result<(), FetchError> {
        let path = self.place.open_warc(self.worker, self.warc.number);
        let Some(file) = &mut self.warc.file else { return Ok(()) };
        let cut = file.set_len(self.warc.len_bytes).and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map(|_| ()).map_err(FetchError::at("cut", &path))
    }

    /// Gives the WARC file its final name, its index beside it, and goes on to the next number.
    fn seal(&mut self) -> Result<(), FetchError> {
        if self.warc.len_bytes == 0 {
            return Ok(());
        }
        let (worker, number) = (self.worker, self.warc.number);
        let cdxj = self.place.cdxj(worker, number);
        for entry in &mut self.warc.index {
            entry.filename = self.place.name(worker, number);
        }
        let mut lines = Vec::new();
        cdxj::write_sorted(&self.warc.index, &mut lines).map_err(FetchError::at("write", &cdxj))?;
        atomic_file::write(&cdxj, &lines)?;
        let (open, sealed) = (self.place.open_warc(worker, number), self.place.warc(worker, number));
        if open.exists() {
            if sealed.exists() {
                return Err(FetchError::Damaged { path: sealed, what: "nobody but this call should make it".into() });
            }
            let renamed = fs::rename(&open, &sealed).and_then(|()| File::open(&self.place.archive)?.sync_all());
            renamed.map_err(FetchError::at("rename", &open))?;
        }
        let path = self.journal.path().to_path_buf();
        self.journal.append(&[Happened::Sealed { number }][..]).map_err(FetchError::at("write", &path))?;
        self.warc = OpenWarc { number: number + 1, file: None, len_bytes: 0, index: Vec::new() };
        Ok(())
    }

    /// A link's outcome; its page, if there is one, goes into the records.
    fn done(
        &self,
        finished: &Finished,
        records: &mut Writer<Vec<u8>>,
        origins: &mut Vec<(String, Origin)>,
    ) -> Result<Happened, FetchError> {
        let row = &finished.row;
        let mut outcome = Outcome {
            domain: row.domain.clone(),
            key: row.key.clone(),
            url: row.url.clone(),
            final_url: None,
            status: None,
            content_type: None,
            captured: None,
            warc: None,
            offset: None,
            detail: None,
            verdict: None,
        };
        if !finished.signals.is_empty() {
            outcome.detail = Some(finished.signals.join("; "));
        }
        let page = match &finished.result {
            Err(refusal) => {
                outcome.verdict = Some(refusal.reason);
                outcome.detail = Some(refusal.detail.clone());
                outcome.status = refusal.status;
                outcome.final_url = finished.url.clone().map(Into::into);
                return Ok(Happened::Done { id: finished.id, outcome: Box::new(outcome), stored: None });
            }
            Ok(page) => page,
        };
        let date = now();
        let store = |records: &mut Writer<Vec<u8>>, origins: &mut Vec<(String, Origin)>| {
            if records.offset() == 0 {
                self.write_warcinfo(records, &date)?;
            }
            self.write_page(page, finished, &date, records, origins)
        };
        let path = self.place.open_warc(self.worker, self.warc.number);
        let (stored, origin) = store(records, origins).map_err(FetchError::at("write", &path))?;
        outcome.status = Some(page.status.as_u16());
        outcome.content_type = page.content_type();
        outcome.final_url = Some(page.url.to_string());
        outcome.captured = Some(date.0);
        outcome.warc = Some(format!("{}{}", self.place.shown, self.place.name(self.worker, origin.warc)));
        outcome.offset = Some(origin.offset);
        Ok(Happened::Done { id: finished.id, outcome: Box::new(outcome), stored: Some(stored) })
    }

    fn write_warcinfo(&self, records: &mut Writer<Vec<u8>>, date: &Date) -> io::Result<()> {
        let agent = self.settings.user_agent();
        let info = format!(
            "software: {agent}\r\nformat: WARC File Format 1.1\r\nconformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\nrobots: obey\r\nhttp-header-user-agent: {agent}\r\noperator: {}\r\n",
            self.settings.contact.trim()
        );
        let name = self.place.name(self.worker, self.warc.number);
        records.write(&NewRecord {
            kind: "warcinfo",
            target: None,
            date,
            content_type: "application/warc-fields",
            headers: &[("WARC-Filename", &name)],
            block: info.as_bytes(),
            payload_start: None,
        })?;
        Ok(())
    }

    /// The response (or a reference to one with the same body), its request, and how it came about.
    fn write_page(
        &self,
        page: &Page,
        finished: &Finished,
        date: &Date,
        records: &mut Writer<Vec<u8>>,
        origins: &mut Vec<(String, Origin)>,
    ) -> io::Result<(Stored, Origin)> {
        let target = page.url.as_str();
        let digest = warc::payload_digest(&page.body);
        let before = origins.iter().find(|(known, _)| *known == digest).map(|(_, origin)| origin);
        let before = before.or_else(|| self.digests.get(&digest)).filter(|_| page.cut.is_none()).cloned();
        let mut block = head_of(page);
        let payload_start = block.len();
        let address = page.address.map(|address| address.ip().to_string());
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if let Some(address) = &address {
            headers.push(("WARC-IP-Address", address));
        }
        if page.version == Version::HTTP_2 {
            headers.push(("WARC-Protocol", "h2"));
        }
        if let Some(cut) = page.cut {
            headers.push(("WARC-Truncated", cut.name()));
        }
        match &before {
            // The standard wants the payload's digest here, and fastwarc refuses every file that has it: it holds the
            // digest against the payload that is not there. Whoever needs it finds it in the index and at the origin.
            Some(origin) => headers.extend([
                ("WARC-Refers-To", origin.id.as_str()),
                ("WARC-Profile", REVISIT_IDENTICAL_DIGEST),
                ("WARC-Refers-To-Target-URI", origin.url.as_str()),
                ("WARC-Refers-To-Date", origin.date.as_str()),
            ]),
            None => block.extend_from_slice(&page.body),
        }
        let response = NewRecord {
            kind: if before.is_some() { "revisit" } else { "response" },
            target: Some(target),
            date,
            content_type: "application/http;msgtype=response",
            headers: &headers,
            block: &block,
            payload_start: before.is_none().then_some(payload_start),
        };
        let offset = records.write(&response)?;
        let id = records.last_record_id().to_owned();
        let stored = Stored {
            warc: self.warc.number,
            offset,
            len_bytes: records.offset() - offset,
            digest: digest.clone(),
            is_revisit: before.is_some(),
        };
        let concurrent = [("WARC-Concurrent-To", id.as_str())];
        let request = request_bytes(&page.url, Wanted::Page, &self.settings.user_agent());
        let beside = |kind, content_type, block| NewRecord {
            kind,
            target: Some(target),
            date,
            content_type,
            headers: &concurrent,
            block,
            payload_start: None,
        };
        records.write(&beside("request", "application/http;msgtype=request", request.as_bytes()))?;
        records.write(&beside("metadata", "application/warc-fields", fields_of(page, finished).as_bytes()))?;
        let is_first = before.is_none();
        let origin = before.unwrap_or_else(|| Origin {
            warc: self.warc.number,
            offset,
            id: id.clone(),
            url: target.to_owned(),
            date: date.0.clone(),
        });
        if is_first && page.cut.is_none() && page.body.len() >= REVISIT_MIN_BYTES {
            origins.push((digest, origin.clone()));
        }
        Ok((stored, origin))
    }
}

/// Looks, before anything is cut, whether a worker's archives are those that its journal tells of: a journal that has
/// lost its end must not lead to archives being written anew.
fn check_left(place: &Place, worker: u32, left: &Left) -> Result<(), FetchError> {
    let unknown = |path: PathBuf, what: String| Err(FetchError::Damaged { path, what });
    for path in [place.warc(worker, left.number + 1), place.open_warc(worker, left.number + 1)] {
        if path.exists() {
            return unknown(path, "the journal does not tell of it, and has lost its end".into());
        }
    }
    let sealed = place.warc(worker, left.number);
    match fs::metadata(&sealed) {
        Ok(found) if found.len() != left.warc_len_bytes => {
            let (len_bytes, known) = (found.len(), left.warc_len_bytes);
            unknown(sealed, format!("it has {len_bytes} bytes, and the journal tells of {known}"))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FetchError::at("look at", &sealed)(error)),
        _ => Ok(()),
    }
}

/// The head in the form that validators accept: the body is stored as it came out of the transfer coding.
fn head_of(page: &Page) -> Vec<u8> {
    let reason = page.status.canonical_reason().unwrap_or("");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", page.status.as_u16()).into_bytes();
    for (name, value) in &page.headers {
        if matches!(name.as_str(), "transfer-encoding" | "content-length" | "connection" | "keep-alive") {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", page.body.len()).as_bytes());
    head
}

/// The metadata record: how long it took, what led here, what the host says of its use.
fn fields_of(page: &Page, finished: &Finished) -> String {
    let mut fields = format!("fetchTimeMs: {}\r\n", page.took.as_millis());
    if let Some(last) = finished.via.last() {
        fields += &format!("via: {last}\r\nhopsFromSeed: {}\r\n", "R".repeat(finished.via.len()));
        fields += &format!("seed: {}\r\n", finished.row.url);
    }
    for signal in &finished.signals {
        fields += &format!("usage-signal: {}\r\n", signal.replace(['\r', '\n'], " "));
    }
    fields
}

fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = File::options().write(true).create(true).truncate(true).open(path)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// What a write lacks that may be there a little later: room on the disk or in a quota, or one more open file, here
/// (24) or in the system (23).
fn lack(error: &io::Error) -> Option<&'static str> {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Some("room in"),
        (_, Some(23 | 24)) => Some("open file left for"),
        _ => None,
    }
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A moment of this process on the clock that the next one has, too.
fn unix_ms_of(moment: Instant) -> u64 {
    unix_ms() + moment.saturating_duration_since(Instant::now()).as_millis() as u64
}

fn now() -> Date {
    Date::from_seconds(unix_ms() / 1000)
}

/// Why a link over its domain's share has no page.
pub(crate) fn refusal_over_budget() -> Refusal {
    Refusal::new(Reason::OverBudget, "the domain has its share of pages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for() {
        let check = |number: i32, expected: Option<&str>| {
            assert_eq!(lack(&io::Error::from_raw_os_error(number)), expected, "{number}");
        };
        check(28, Some("room in"));
        check(122, Some("room in"));
        check(24, Some("open file left for"));
        check(23, Some("open file left for"));
        check(13, None);
        check(30, None);
    }
}
