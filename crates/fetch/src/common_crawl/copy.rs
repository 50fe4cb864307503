//! The members of a plan, asked for in its order, checked and copied into archives of our own.
//!
//! Several requests are under way at once, but their answers are taken in the order of the plan: what is written does
//! not depend on which came first. Memory: as many requests as there may be at once.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use atomic_file::IoContext;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::GetRange;
use records::{Counts, Outcome, Reason};
use store::table::TableReader;
use warc::{Date, NewRecord, Writer};

use super::choose::{self, Planned, Request, Requests};
use super::journal::{self, Fate, Frame, Frames, State};
use super::member::{self, Refusal};
use super::remote::{ReadError, Root};
use super::{CommonCrawlError, Run, Settings, Work};
use crate::frames::FrameWriter;

/// The journal is written at the latest after so many requests, or so many bytes.
const GROUP_REQUESTS: usize = 16;
const GROUP_BYTES: u64 = 32 << 20;
/// Archives that are not there before any that is: then it is the root that is wrong.
const MISSING_AT_FIRST_MAX: usize = 5;

/// A request that was answered.
struct Answer {
    rows: Vec<Planned>,
    bytes: Bytes,
    /// Whether the archive is there; `None` when it was not asked for.
    is_there: Option<bool>,
    /// For each row its bytes in `bytes`, or why it is not copied.
    checked: Vec<Result<Range<usize>, Refusal>>,
}

/// Copies what the journal does not tell of yet.
pub(crate) async fn copy(settings: &Settings, run: &Run<'_>, work: &Work, root: &Root) -> Result<(), CommonCrawlError> {
    let (journal, state) = journal::open(&work.path("journal"))?;
    let already = state.captures;
    let mut archives = Archives::resume(run.folder, journal, &state, settings.archive_len_bytes)?;
    let mut rows = TableReader::<Planned>::open(&work.path("plan.parquet"))?;
    for _ in 0..already {
        rows.next().transpose()?;
    }
    let requests = Requests::new(rows, settings);
    let page_max_bytes = settings.page_max_bytes;
    let mut answers = futures_util::stream::iter(requests)
        .map(async |request| answer(request?, root, page_max_bytes).await)
        .buffered(settings.requests_at_once.max(1));
    let mut missing: Vec<String> = Vec::new();
    let mut any_found = already > 0;
    let mut n_captures = already;
    let mut told = already;
    while let Some(answer) = answers.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // What came before it is good, whatever went wrong now.
                if any_found {
                    archives.commit(false)?;
                }
                return Err(error);
            }
        };
        any_found |= answer.is_there == Some(true);
        if !any_found && answer.is_there == Some(false) {
            let name = &answer.rows[0].warc_filename;
            if missing.last() != Some(name) {
                missing.push(name.clone());
            }
            if missing.len() >= MISSING_AT_FIRST_MAX {
                break;
            }
        }
        n_captures += answer.rows.len() as u64;
        archives.take(answer)?;
        if any_found && archives.is_group_full() {
            archives.commit(false)?;
            if n_captures - told >= 10_000 {
                (run.tell)(&format!("{n_captures} captures"));
                told = n_captures;
            }
        }
        if (run.stop)() {
            if any_found {
                archives.commit(false)?;
            }
            return Err(CommonCrawlError::Stopped);
        }
    }
    if !any_found && let Some(name) = missing.pop() {
        return Err(CommonCrawlError::NothingThere { files: missing.len() + 1, name });
    }
    archives.close()
}

/// Asks for a range and checks what lies in it.
async fn answer(request: Request, root: &Root, page_max_bytes: u64) -> Result<Answer, CommonCrawlError> {
    let Request { range, rows } = request;
    let start = range.start;
    let all = |rows: Vec<Planned>, is_there, reason, detail: String| {
        let refusal = Refusal { reason, detail, status: None };
        let checked = rows.iter().map(|_| Err(refusal.clone())).collect();
        Ok(Answer { rows, bytes: Bytes::new(), is_there, checked })
    };
    let Some(place) = root.file(&rows[0].warc_filename) else {
        let detail = format!("{:?} is no name of an archive", rows[0].warc_filename);
        return all(rows, None, Reason::MalformedPage, detail);
    };
    let bytes = match place.read(GetRange::Bounded(range)).await {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => {
            let detail = format!("there is no archive {}", rows[0].warc_filename);
            return all(rows, Some(false), Reason::HttpFault, detail);
        }
        Err(ReadError::BeyondEnd) => {
            return all(rows, Some(true), Reason::MalformedPage, "the archive ends before the member".into());
        }
        Err(error) => return Err(error.of(&place.name)),
    };
    // Inflating is work: it goes beside the requests.
    let checks = tokio::task::spawn_blocking(move || {
        let checked = rows.iter().map(|row| check(&bytes, start, row, page_max_bytes)).collect();
        Answer { rows, bytes, is_there: Some(true), checked }
    });
    match checks.await {
        Ok(answer) => Ok(answer),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn check(bytes: &Bytes, start: u64, row: &Planned, page_max_bytes: u64) -> Result<Range<usize>, Refusal> {
    let range = row.range();
    let range = (range.start - start) as usize..(range.end - start) as usize;
    let Some(member) = bytes.get(range.clone()) else {
        let detail = "the archive ends before the member does".into();
        return Err(Refusal { reason: Reason::MalformedPage, detail, status: None });
    };
    member::check(member, row, page_max_bytes).map(|()| range)
}

/// The archives of a run: closed ones, and one that grows under a name of its own.
struct Archives {
    folder: PathBuf,
    journal: FrameWriter,
    len_max_bytes: u64,
    /// The archive that is open, or the next one.
    number: u32,
    file: Option<File>,
    len_bytes: u64,
    /// Not yet in the journal.
    fates: Vec<Fate>,
    requests: usize,
    bytes: u64,
}

/// `pages-00000.warc.gz`
pub(crate) fn name_of(number: u32) -> String {
    format!("pages-{number:05}.warc.gz")
}

impl Archives {
    /// Takes up the archives where the journal says they were good.
    fn resume(
        folder: &Path,
        journal: FrameWriter,
        state: &State,
        len_max_bytes: u64,
    ) -> Result<Archives, CommonCrawlError> {
        let mut archives = Archives {
            folder: folder.to_path_buf(),
            journal,
            len_max_bytes,
            number: state.archive,
            file: None,
            len_bytes: state.len_bytes,
            fates: Vec::new(),
            requests: 0,
            bytes: 0,
        };
        let (open, closed) = (archives.path(".open"), archives.path(""));
        if state.is_closed {
            // The kill may have come between the journal's frame and the new name.
            let path = if open.exists() { &open } else { &closed };
            archives.cut(path)?;
            if path == &open {
                archives.rename()?;
            }
            archives.number += 1;
            archives.len_bytes = 0;
        } else if state.len_bytes > 0 {
            archives.file = Some(archives.cut(&open)?);
        }
        Ok(archives)
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(name_of(self.number) + ending)
    }

    /// Opens an archive and cuts off what the journal does not know.
    fn cut(&self, path: &Path) -> Result<File, CommonCrawlError> {
        let mut file = File::options().read(true).write(true).open(path).at("open", path)?;
        let len = file.metadata().at("look at", path)?.len();
        if len < self.len_bytes {
            let what = format!("the journal knows it with {} bytes", self.len_bytes);
            return Err(store::Error::Damaged { object: path.display().to_string(), offset: len, what }.into());
        }
        file.set_len(self.len_bytes).at("cut", path)?;
        file.seek(SeekFrom::End(0)).at("seek in", path)?;
        Ok(file)
    }

    /// Writes an answer's members and notes the fates of its rows.
    fn take(&mut self, answer: Answer) -> Result<(), CommonCrawlError> {
        self.requests += 1;
        for checked in answer.checked {
            match checked {
                Ok(range) => self.write(&answer.bytes[range])?,
                Err(Refusal { reason, detail, status }) => self.fates.push(Fate::Dropped { reason, detail, status }),
            }
        }
        Ok(())
    }

    fn write(&mut self, member: &[u8]) -> Result<(), CommonCrawlError> {
        let path = self.path(".open");
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let head = warcinfo().at("write", &path)?;
                let file = self.file.insert(File::create(&path).at("create", &path)?);
                file.write_all(&head).at("write", &path)?;
                self.len_bytes = head.len() as u64;
                file
            }
        };
        file.write_all(member).at("write", &path)?;
        self.fates.push(Fate::Copied { offset: self.len_bytes });
        self.len_bytes += member.len() as u64;
        self.bytes += member.len() as u64;
        if self.len_bytes >= self.len_max_bytes {
            self.commit(true)?;
        }
        Ok(())
    }

    fn is_group_full(&self) -> bool {
        self.requests >= GROUP_REQUESTS || self.bytes >= GROUP_BYTES
    }

    /// Syncs the archive, then notes in the journal what is in it.
    fn commit(&mut self, is_closed: bool) -> Result<(), CommonCrawlError> {
        if self.fates.is_empty() && !is_closed {
            return Ok(());
        }
        if let Some(file) = &self.file {
            file.sync_data().at("sync", &self.path(".open"))?;
        }
        let fates = std::mem::take(&mut self.fates);
        let frame = Frame { archive: self.number, len_bytes: self.len_bytes, is_closed, fates };
        let path = self.journal.path().to_path_buf();
        self.journal.append(&frame).at("write", &path)?;
        (self.requests, self.bytes) = (0, 0);
        if is_closed {
            self.file = None;
            self.rename()?;
            self.number += 1;
            self.len_bytes = 0;
        }
        Ok(())
    }

    /// Gives the open archive its name.
    fn rename(&self) -> Result<(), CommonCrawlError> {
        let (open, closed) = (self.path(".open"), self.path(""));
        fs::rename(&open, &closed).at("rename", &open)?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(synced.at("sync the folder", &self.folder)?)
    }

    /// Ends the last archive.
    fn close(mut self) -> Result<(), CommonCrawlError> {
        let is_open = self.file.is_some();
        self.commit(is_open)
    }
}

/// The first record of an archive. It has no time of its own: the same members give the same file.
fn warcinfo() -> std::io::Result<Vec<u8>> {
    let block = format!(
        "software: webtext/{}\r\nformat: WARC File Format 1.1\r\nconformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\ndescription: responses copied byte for byte from the archives of Common Crawl\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut writer = Writer::new(Vec::new(), 0);
    writer.write(&NewRecord {
        kind: "warcinfo",
        target: None,
        date: &Date::epoch(),
        content_type: "application/warc-fields",
        headers: &[],
        block: block.as_bytes(),
        payload_start: None,
    })?;
    Ok(writer.into_inner())
}

/// Writes `outcomes.parquet` from the plan, the journal and the links without a capture.
pub(crate) fn write_outcomes(settings: &Settings, run: &Run<'_>, work: &Work) -> Result<Counts, CommonCrawlError> {
    let mut rows = TableReader::<Planned>::open(&work.path("plan.parquet"))?;
    let journal = work.path("journal");
    let mut frames = Frames::open(&journal, &journal::MAGIC).at("open", &journal)?;
    let mut archive = 0;
    let mut fates = Vec::new().into_iter();
    let done = std::iter::from_fn(|| {
        let next = || -> Result<Option<(u32, Outcome)>, CommonCrawlError> {
            loop {
                if let Some(fate) = fates.next() {
                    let row = rows.next().expect("the journal has a fate for each row of the plan")?;
                    return Ok(Some((row.link, outcome(row, archive, fate))));
                }
                let Some(frame) = frames.next() else { return Ok(None) };
                let (_, frame) = frame.at("read", &journal)?;
                archive = frame.archive;
                fates = frame.fates.into_iter();
            }
        };
        let mut next = next;
        next().transpose()
    });
    let counts = choose::write_outcomes(settings, work, &run.folder.join("outcomes.parquet"), done)?;
    assert!(rows.next().is_none(), "each row of the plan has a fate");
    assert!(counts.reconcile(), "each link has one outcome");
    Ok(counts)
}

fn outcome(row: Planned, archive: u32, fate: Fate) -> Outcome {
    let mut outcome = Outcome {
        domain: row.domain,
        key: row.key,
        url: row.url,
        final_url: Some(row.captured_url),
        status: Some(200),
        content_type: row.mime,
        captured: choose::date(row.fetched_ms),
        warc: None,
        offset: None,
        detail: None,
        verdict: None,
    };
    match fate {
        Fate::Copied { offset } => {
            outcome.warc = Some(name_of(archive));
            outcome.offset = Some(offset);
        }
        Fate::Dropped { reason, detail, status } => {
            outcome.status = status.or(outcome.status);
            outcome.detail = Some(detail);
            outcome.verdict = Some(reason);
        }
    }
    outcome
}
