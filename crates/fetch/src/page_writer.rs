//! Writes pages to WARC files and outcomes to the journal: one thread per worker, the only one that writes to disk.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atomic_file::IoContext;
use records::Outcome;
use rustix::io::Errno;
use warc::cdxj::{self, Entry};
use warc::{ArchiveWriter, Date};

use crate::CrawlSettings;
use crate::backlog::{Backlog, Finished, MAX_GROUP_BYTES, Note};
use crate::error::FetchError;
use crate::frontier::FrontierRow;
use crate::journal::{self, Group, JournalEntry, Stored};
use crate::monitor::{Monitor, Pauser};
use crate::page_records::{Digests, GroupRecords};
use crate::paths::CrawlPaths;
use crate::resume::WorkerResume;

/// Pause before a failed write is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A line of a WARC file's index.
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

/// What a page writer needs of the crawl.
#[derive(Clone, Copy)]
pub(crate) struct WriterContext<'c> {
    pub(crate) paths: &'c CrawlPaths,
    pub(crate) settings: &'c CrawlSettings,
    pub(crate) monitor: &'c Monitor,
    pub(crate) backlog: &'c Backlog,
    pub(crate) stop: &'c (dyn Fn() -> bool + Sync),
}

/// Writes a worker's files.
pub(crate) struct PageWriter<'c> {
    context: WriterContext<'c>,
    worker: u32,
    archive: ArchiveWriter<Group>,
    /// The index of the open archive.
    index: Vec<Entry>,
    digests: Digests,
}

impl<'c> PageWriter<'c> {
    /// Starts a worker's journal, or continues the one of an earlier process.
    pub(crate) fn open(
        context: WriterContext<'c>,
        worker: u32,
        before: WorkerResume,
    ) -> Result<PageWriter<'c>, FetchError> {
        let (names, path) = (context.paths.archive_names(worker), context.paths.journal(worker));
        let archive = ArchiveWriter::open(names, &path, &journal::MAGIC, before.journal)?;
        Ok(PageWriter { context, worker, archive, index: before.index, digests: Digests::default() })
    }

    /// Writes what the following entries belong to, as the first frame of this process.
    pub(crate) fn write_head(&mut self, settings: &str, frontier: u64) -> Result<(), FetchError> {
        let head = JournalEntry::Head { settings: settings.to_owned(), frontier };
        Ok(self.archive.commit(&Group(vec![head]))?)
    }

    /// Writes until the worker is done, then seals the WARC file. Half a group is written while the other half is
    /// collected, so that a kill loses at most one group and the worker need not wait for the disk.
    pub(crate) fn run(mut self, notes: &Receiver<Note>) -> Result<(), FetchError> {
        let half_pages = self.context.settings.max_group_pages.div_ceil(2);
        let group_time = Duration::from_millis(self.context.settings.max_group_ms);
        while let Ok(first) = notes.recv() {
            let ends = Instant::now() + group_time;
            let mut bytes = first.len_bytes();
            let mut half = vec![first];
            while half.len() < half_pages && bytes < MAX_GROUP_BYTES / 2 {
                match notes.recv_timeout(ends.saturating_duration_since(Instant::now())) {
                    Ok(note) => {
                        bytes += note.len_bytes();
                        half.push(note);
                    }
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            if !self.retry_while_full(|writer| writer.commit(&half))? {
                return Ok(());
            }
            self.context.backlog.remove(&half);
        }
        self.retry_while_full(PageWriter::seal).map(|_| ())
    }

    /// Repeats a write for as long as the disk is full or the machine has no file descriptor left. Returns `false` if
    /// the crawl is stopped before it succeeds: what is not written is not done.
    fn retry_while_full(
        &mut self,
        mut write: impl FnMut(&mut PageWriter<'c>) -> Result<(), FetchError>,
    ) -> Result<bool, FetchError> {
        let pauser = Pauser::PageWriter(self.worker);
        loop {
            let Err(error) = write(self) else {
                self.context.monitor.unpause(pauser);
                return Ok(true);
            };
            let exhausted = error.io().and_then(|(path, source)| Some((path, exhausted_resource(source)?)));
            let Some((path, resource)) = exhausted else { return Err(error) };
            if (self.context.stop)() {
                return Ok(false);
            }
            let folder = path.parent().unwrap_or(path).display().to_string();
            self.context
                .monitor
                .pause(pauser, format!("there is no {resource} {folder}; the crawl resumes when there is"));
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    /// Makes a group durable.
    fn commit(&mut self, notes: &[Note]) -> Result<(), FetchError> {
        if self.archive.len_bytes() >= self.context.settings.max_warc_bytes {
            self.seal()?;
        }
        let number = self.archive.number();
        let name = self.archive.names().name(number);
        let mut records =
            GroupRecords::new(self.context.settings, name, number, self.archive.len_bytes(), &self.digests);
        let mut group = Group(notes.iter().map(|note| self.entry(note, &mut records)).collect());
        let answered = notes.iter().rev().find_map(Note::answered_at);
        group.0.extend(answered.map(|address| JournalEntry::Answered { address }));
        let (bytes, origins) = records.finish();
        if !bytes.is_empty() {
            self.archive.write(&bytes)?;
            group.0.push(JournalEntry::Warc { number, len_bytes: self.archive.len_bytes() });
        }
        self.archive.commit(&group)?;
        self.digests.extend(origins);
        for entry in &group.0 {
            if let JournalEntry::Done { outcome, stored, .. } = entry {
                self.index.extend(stored.as_ref().map(|stored| index_entry(outcome, stored)));
                self.context.monitor.count(outcome.verdict);
            }
        }
        Ok(())
    }

    /// Completes the WARC file: writes its index beside it; the next page starts another file.
    fn seal(&mut self) -> Result<(), FetchError> {
        if self.archive.len_bytes() == 0 {
            return Ok(self.archive.name_sealed()?);
        }
        let number = self.archive.number();
        let cdxj = self.context.paths.cdxj(self.worker, number);
        for entry in &mut self.index {
            entry.filename = self.archive.names().name(number);
        }
        let mut lines = Vec::new();
        cdxj::write_sorted(&self.index, &mut lines).at("write", &cdxj)?;
        atomic_file::write(&cdxj, &lines)?;
        self.archive.commit(&Group(vec![JournalEntry::Sealed { number }]))?;
        self.index.clear();
        Ok(())
    }

    fn entry(&self, note: &Note, records: &mut GroupRecords<'_>) -> JournalEntry {
        match note {
            Note::Finished(finished) => self.done(finished, records),
            Note::Rest { host, until, consecutive_faults } => JournalEntry::Rest {
                host: host.to_string(),
                until_unix_ms: unix_ms_of(*until),
                consecutive_faults: *consecutive_faults,
            },
            Note::Faulted { id } => JournalEntry::Faulted { id: *id },
            Note::Robots { origin, answer } => {
                JournalEntry::Robots { origin: origin.clone(), asked_unix_s: unix_ms() / 1000, answer: answer.clone() }
            }
        }
    }

    /// A link's outcome; its page, if there is one, is added to the records.
    fn done(&self, finished: &Finished, records: &mut GroupRecords<'_>) -> JournalEntry {
        let mut outcome = outcome_of(&finished.row);
        let stored = match &finished.result {
            Err(refusal) => {
                outcome.verdict = Some(refusal.reason);
                outcome.detail = Some(refusal.detail.clone());
                outcome.status = refusal.status;
                outcome.final_url = finished.url.clone().map(Into::into);
                None
            }
            Ok(page) => {
                let date = Date::from_seconds(unix_ms() / 1000);
                let (stored, origin) = records.write_page(page, finished, &date);
                let name = self.archive.names().name(origin.warc);
                outcome.detail = (!finished.signals.is_empty()).then(|| finished.signals.join("; "));
                outcome.status = Some(page.status.as_u16());
                outcome.content_type = page.content_type();
                outcome.final_url = Some(page.url.to_string());
                outcome.captured = Some(date.0);
                outcome.warc = Some(format!("{}{name}", self.context.paths.outcome_prefix));
                outcome.offset = Some(origin.offset);
                Some(stored)
            }
        };
        JournalEntry::Done { id: finished.id, outcome: Box::new(outcome), stored }
    }
}

/// An outcome in which nothing is decided.
fn outcome_of(row: &FrontierRow) -> Outcome {
    Outcome {
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
    }
}

/// What a failed write lacks, if that may become available again: space on the disk or in a quota, or a file descriptor
/// of the process or the system.
fn exhausted_resource(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::NOSPC | Errno::DQUOT => Some("space in"),
        Errno::MFILE | Errno::NFILE => Some("file descriptor for"),
        _ => None,
    }
}

/// The current time in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A moment of this process in milliseconds since 1970, which another process understands.
fn unix_ms_of(moment: Instant) -> u64 {
    unix_ms() + moment.saturating_duration_since(Instant::now()).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc;

    use reqwest::header::HeaderMap;
    use reqwest::{StatusCode, Version};
    use url::Url;

    use super::*;
    use crate::http_client::Reading;
    use crate::journal::Groups;
    use crate::page::Page;

    #[test]
    fn resources_that_may_become_available() {
        let check = |errno: Errno, expected: Option<&str>| {
            assert_eq!(exhausted_resource(&errno.into()), expected, "{errno}");
        };
        check(Errno::NOSPC, Some("space in"));
        check(Errno::DQUOT, Some("space in"));
        check(Errno::MFILE, Some("file descriptor for"));
        check(Errno::NFILE, Some("file descriptor for"));
        check(Errno::ACCESS, None);
        check(Errno::ROFS, None);
    }

    /// A page of its own body; every fourth has that of the first.
    fn note(id: u64) -> Note {
        let url = Url::parse(&format!("http://a.example/{id}")).unwrap();
        let body = if id.is_multiple_of(4) { 0 } else { id };
        let page = Page {
            reading: Reading::Library,
            url: url.clone(),
            status: StatusCode::OK,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: format!("<p>body {body}").repeat(100).into_bytes(),
            truncation: None,
            address: None,
            took: Duration::ZERO,
        };
        let row = FrontierRow {
            domain: "a.example".into(),
            host: "a.example".into(),
            key: format!("example,a)/{id}"),
            url: url.to_string(),
            is_over: false,
        };
        let (via, signals) = (Vec::new(), Vec::new());
        Note::Finished(Box::new(Finished { id, row, url: Some(url), result: Ok(page), via, signals }))
    }

    /// The outcomes of a journal, and what an earlier process has left.
    fn read_journal(paths: &CrawlPaths) -> (Vec<Outcome>, WorkerResume) {
        let mut groups = Groups::open(&paths.journal(0), &journal::MAGIC).unwrap();
        let (mut outcomes, mut left) = (Vec::new(), WorkerResume::default());
        for group in &mut groups {
            for entry in group.unwrap().1.0 {
                match entry {
                    JournalEntry::Done { outcome, stored, .. } => {
                        left.index.extend(stored.map(|stored| index_entry(&outcome, &stored)));
                        outcomes.push(*outcome);
                    }
                    JournalEntry::Sealed { .. } => left.index.clear(),
                    _ => {}
                }
            }
        }
        left.journal = groups.end();
        (outcomes, left)
    }

    /// Three processes write four pages each; the first two end without sealing, as a kill leaves them.
    #[test]
    fn every_outcome_names_its_record_across_kills() {
        let folder = tempfile::tempdir().unwrap();
        let paths = CrawlPaths::in_folder(folder.path());
        let settings =
            CrawlSettings { max_warc_bytes: 4_000, max_group_pages: 2, ..CrawlSettings::for_contact("a@b.example") };
        let (monitor, backlog) = (Monitor::default(), Backlog::default());
        for process in 0..3 {
            let (outcomes, before) = read_journal(&paths);
            assert_eq!(outcomes.len(), process * 4);
            let (paths, settings, monitor, backlog, stop) = (&paths, &settings, &monitor, &backlog, &|| false);
            let context = WriterContext { paths, settings, monitor, backlog, stop };
            let mut writer = PageWriter::open(context, 0, before).unwrap();
            writer.write_head("settings", 1).unwrap();
            let notes: Vec<Note> = (0..4).map(|page| note(process as u64 * 4 + page)).collect();
            if process < 2 {
                notes.chunks(2).for_each(|group| writer.commit(group).unwrap());
            } else {
                let (sender, receiver) = mpsc::channel();
                notes.into_iter().for_each(|note| sender.send(note).unwrap());
                drop(sender);
                writer.run(&receiver).unwrap();
            }
        }
        let (outcomes, _) = read_journal(&paths);
        assert_eq!(outcomes.len(), 12);
        let mut archives = std::collections::BTreeSet::new();
        for outcome in &outcomes {
            let name = outcome.warc.clone().unwrap();
            let archive = std::fs::read(folder.path().join(&name)).unwrap();
            let mut record = String::new();
            let member = &archive[outcome.offset.unwrap() as usize..];
            flate2::bufread::GzDecoder::new(member).read_to_string(&mut record).unwrap();
            // A page whose body is archived already leads to the record that has it.
            let number: u64 = outcome.url.rsplit('/').next().unwrap().parse().unwrap();
            let body = if number.is_multiple_of(4) { 0 } else { number };
            assert!(record.starts_with("WARC/1.1\r\nWARC-Type: response"), "{record}");
            assert!(record.contains(&format!("<p>body {body}<p>")), "{}: {record}", outcome.url);
            archives.insert(name);
        }
        assert!(archives.len() > 1, "{archives:?}");
        for name in archives {
            let index = std::fs::read_to_string(folder.path().join(name.replace(".warc.gz", ".cdxj"))).unwrap();
            assert!(index.lines().count() >= 2 && index.contains(&name), "{index}");
        }
        let open = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
        assert!(open.into_iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".open")));
    }
}
