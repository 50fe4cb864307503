//! Pages into WARC files, and outcomes into the journal: one thread per worker, which alone touches the disk.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use records::Outcome;
use rustix::io::Errno;
use warc::cdxj::{self, Entry};
use warc::{ArchiveWriter, Date, JournalEnd};

use crate::Settings;
use crate::backlog::{Backlog, Finished, MAX_GROUP_BYTES, Note};
use crate::error::FetchError;
use crate::journal::{self, Group, JournalEntry, Stored};
use crate::monitor::{Monitor, Pauser};
use crate::page_records::{Digests, GroupRecords};
use crate::place::Place;

/// How often a write is tried again for which there was no room or no file.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What an earlier process has left of a worker's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// How far the journal is good.
    pub(crate) journal: JournalEnd,
    /// The index of the WARC file that was open.
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
pub(crate) struct PageWriter<'c> {
    place: &'c Place,
    worker: u32,
    settings: &'c Settings,
    monitor: &'c Monitor,
    backlog: &'c Backlog,
    stop: &'c (dyn Fn() -> bool + Sync),
    archive: ArchiveWriter<Group>,
    /// The index of the open archive.
    index: Vec<Entry>,
    digests: Digests,
}

impl<'c> PageWriter<'c> {
    /// Begins a worker's journal, or goes on with what an earlier process has left.
    pub(crate) fn open(
        place: &'c Place,
        worker: u32,
        settings: &'c Settings,
        monitor: &'c Monitor,
        backlog: &'c Backlog,
        stop: &'c (dyn Fn() -> bool + Sync),
        left: Left,
    ) -> Result<PageWriter<'c>, FetchError> {
        let (names, path) = (place.archive_names(worker), place.journal(worker));
        let archive = ArchiveWriter::open(names, &path, &journal::MAGIC, left.journal)?;
        let digests = Digests::default();
        Ok(PageWriter { place, worker, settings, monitor, backlog, stop, archive, index: left.index, digests })
    }

    /// Notes what the journal is of, as its first frame.
    pub(crate) fn head(&mut self, settings: &str, frontier: u64) -> Result<(), FetchError> {
        let head = JournalEntry::Head { settings: settings.to_owned(), frontier };
        Ok(self.archive.commit(&Group(vec![head]))?)
    }

    /// Writes until the worker is done, then seals the WARC file. Half a group is written while the other half
    /// gathers, so that a kill costs one group and the worker need not wait for the disk.
    pub(crate) fn run(mut self, notes: &Receiver<Note>) -> Result<(), FetchError> {
        let half_pages = self.settings.group_pages.div_ceil(2);
        let group_time = Duration::from_millis(self.settings.group_ms);
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
            if !self.waiting_for_room(|writer| writer.commit(&half))? {
                return Ok(());
            }
            self.backlog.remove(&half);
        }
        self.waiting_for_room(PageWriter::seal).map(|_| ())
    }

    /// Does a write again for as long as the disk is full or this machine has no file left; `false` when it is to
    /// stop before. What is not written is not done.
    fn waiting_for_room(
        &mut self,
        mut write: impl FnMut(&mut PageWriter<'c>) -> Result<(), FetchError>,
    ) -> Result<bool, FetchError> {
        let pauser = Pauser::PageWriter(self.worker);
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

    /// Makes a group durable.
    fn commit(&mut self, notes: &[Note]) -> Result<(), FetchError> {
        if self.archive.len_bytes() >= self.settings.max_warc_bytes {
            self.seal()?;
        }
        let number = self.archive.number();
        let name = self.archive.names().name(number);
        let mut records = GroupRecords::new(self.settings, name, number, self.archive.len_bytes(), &self.digests);
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
                self.monitor.count(outcome.verdict);
            }
        }
        Ok(())
    }

    /// Writes the index of the WARC file beside it, and goes on to the next number.
    fn seal(&mut self) -> Result<(), FetchError> {
        if self.archive.len_bytes() == 0 {
            return Ok(self.archive.name_sealed()?);
        }
        let number = self.archive.number();
        let cdxj = self.place.cdxj(self.worker, number);
        for entry in &mut self.index {
            entry.filename = self.archive.names().name(number);
        }
        let mut lines = Vec::new();
        cdxj::write_sorted(&self.index, &mut lines).map_err(FetchError::at("write", &cdxj))?;
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
            Note::Robots { origin, answer } => {
                JournalEntry::Robots { origin: origin.clone(), asked_unix_s: unix_ms() / 1000, answer: answer.clone() }
            }
        }
    }

    /// A link's outcome; its page, if there is one, goes into the records.
    fn done(&self, finished: &Finished, records: &mut GroupRecords<'_>) -> JournalEntry {
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
                outcome.warc = Some(format!("{}{name}", self.place.shown));
                outcome.offset = Some(origin.offset);
                Some(stored)
            }
        };
        JournalEntry::Done { id: finished.id, outcome: Box::new(outcome), stored }
    }
}

/// What a write lacks that may be there a little later: room on the disk or in a quota, or one more open file, here
/// or in the system.
fn lack(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::NOSPC | Errno::DQUOT => Some("room in"),
        Errno::MFILE | Errno::NFILE => Some("open file left for"),
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc;

    use reqwest::header::HeaderMap;
    use reqwest::{StatusCode, Version};
    use url::Url;

    use super::*;
    use crate::exchange::Page;
    use crate::frontier::Row;
    use crate::journal::Groups;

    #[test]
    fn what_is_waited_for() {
        let check = |errno: Errno, expected: Option<&str>| assert_eq!(lack(&errno.into()), expected, "{errno}");
        check(Errno::NOSPC, Some("room in"));
        check(Errno::DQUOT, Some("room in"));
        check(Errno::MFILE, Some("open file left for"));
        check(Errno::NFILE, Some("open file left for"));
        check(Errno::ACCESS, None);
        check(Errno::ROFS, None);
    }

    /// A page of its own body; every fourth has that of the first.
    fn note(id: u64) -> Note {
        let url = Url::parse(&format!("http://a.example/{id}")).unwrap();
        let body = if id.is_multiple_of(4) { 0 } else { id };
        let page = Page {
            url: url.clone(),
            status: StatusCode::OK,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: format!("<p>body {body}").repeat(100).into_bytes(),
            cut: None,
            address: None,
            took: Duration::ZERO,
        };
        let row = Row {
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
    fn read_journal(place: &Place) -> (Vec<Outcome>, Left) {
        let mut groups = Groups::open(&place.journal(0), &journal::MAGIC).unwrap();
        let (mut outcomes, mut left) = (Vec::new(), Left::default());
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
        let place = Place::folder(folder.path());
        let settings = Settings { max_warc_bytes: 4_000, group_pages: 2, ..Settings::for_contact("a@b.example") };
        let (monitor, backlog) = (Monitor::default(), Backlog::default());
        for process in 0..3 {
            let (outcomes, left) = read_journal(&place);
            assert_eq!(outcomes.len(), process * 4);
            let stop = || false;
            let mut writer = PageWriter::open(&place, 0, &settings, &monitor, &backlog, &stop, left).unwrap();
            writer.head("settings", 1).unwrap();
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
        let (outcomes, _) = read_journal(&place);
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
