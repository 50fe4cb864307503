//! The members of a plan, requested in its order, checked and copied into new archives.
//!
//! Several requests are in flight at once, but their answers are processed in the order of the plan: what is written
//! does not depend on which came first. Memory: `max_concurrent_requests` answers.

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::GetRange;
use records::Reason;
use store::table::TableReader;
use warc::{ArchiveWriter, Date, NewRecord, Writer};

use crate::choose::PlannedCapture;
use crate::error::CommonCrawlError;
use crate::journal::{self, Fate, Frame};
use crate::member::{self, Refusal};
use crate::range_requests::{RangeRequest, RangeRequests};
use crate::remote::{ReadError, Root};
use crate::run::{CopyRun, RunState};
use crate::settings::CommonCrawlSettings;

/// The journal is written after this many requests, or this many bytes, at the latest.
const GROUP_REQUESTS: usize = 16;
const GROUP_BYTES: u64 = 32 << 20;
/// How often progress is logged.
const LOGGED_EVERY_CAPTURES: u64 = 10_000;
/// Consecutive missing archives at the start of a plan after which the root must be wrong.
const MAX_MISSING_AT_FIRST: usize = 5;

/// A request that was answered.
struct Answer {
    rows: Vec<PlannedCapture>,
    bytes: Bytes,
    /// Whether the archive exists; `None` when it was not requested.
    is_there: Option<bool>,
    /// For each row its bytes in `bytes`, or why it is not copied.
    checked: Vec<Result<Range<usize>, Refusal>>,
}

/// Copies the captures whose result is not in the journal yet.
pub(crate) async fn copy(
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
    state: &RunState,
    root: &Root,
) -> Result<(), CommonCrawlError> {
    let (archive, already) = journal::open(run.archive_names(), &state.path("journal"))?;
    let max_warc_bytes = settings.max_warc_bytes;
    let mut copies = Copies { archive, max_warc_bytes, fates: Vec::new(), requests: 0, bytes: 0 };
    let mut rows = TableReader::<PlannedCapture>::open(&state.path("plan.parquet"))?;
    for _ in 0..already {
        rows.next().transpose()?;
    }
    let max_page_bytes = settings.max_page_bytes;
    let mut answers = futures_util::stream::iter(RangeRequests::new(rows, settings))
        .map(async |request| answer(request?, root, max_page_bytes).await)
        .buffered(settings.max_concurrent_requests.max(1));
    let mut missing = Missing { names: Vec::new(), any_found: already > 0 };
    let (mut captures, mut logged) = (already, already);
    while let Some(answer) = answers.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // The members before the end of the archive are valid.
                if missing.any_found {
                    copies.commit(false)?;
                }
                return Err(error);
            }
        };
        missing.note(&answer);
        if missing.names.len() >= MAX_MISSING_AT_FIRST {
            break;
        }
        captures += answer.rows.len() as u64;
        copies.take(answer)?;
        let is_stopping = (run.stop)();
        if missing.any_found && (copies.is_group_full() || is_stopping) {
            copies.commit(false)?;
            if captures - logged >= LOGGED_EVERY_CAPTURES {
                (run.progress)(&user_error::count(captures, "capture"));
                logged = captures;
            }
        }
        if is_stopping {
            return Err(CommonCrawlError::Stopped);
        }
    }
    match missing.names.pop() {
        Some(name) if !missing.any_found => {
            Err(CommonCrawlError::NothingThere { files: missing.names.len() + 1, name })
        }
        _ => copies.finish(),
    }
}

/// Archives that are missing, as long as none was found.
struct Missing {
    names: Vec<String>,
    any_found: bool,
}

impl Missing {
    fn note(&mut self, answer: &Answer) {
        self.any_found |= answer.is_there == Some(true);
        if self.any_found {
            self.names.clear();
        } else if answer.is_there == Some(false) && self.names.last() != Some(&answer.rows[0].warc_filename) {
            self.names.push(answer.rows[0].warc_filename.clone());
        }
    }
}

/// Requests a range and checks the members in it.
async fn answer(request: RangeRequest, root: &Root, max_page_bytes: u64) -> Result<Answer, CommonCrawlError> {
    let RangeRequest { range, rows } = request;
    let start = range.start;
    let all = |rows: Vec<PlannedCapture>, is_there, reason, detail: String| {
        let refusal = Refusal { reason, detail, status: None };
        let checked = rows.iter().map(|_| Err(refusal.clone())).collect();
        Ok(Answer { rows, bytes: Bytes::new(), is_there, checked })
    };
    let Some(file) = root.file(&rows[0].warc_filename) else {
        let detail = format!("{:?} is no name of an archive", rows[0].warc_filename);
        return all(rows, None, Reason::MalformedPage, detail);
    };
    let bytes = match file.read(GetRange::Bounded(range)).await {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => {
            let detail = format!("there is no archive {}", rows[0].warc_filename);
            return all(rows, Some(false), Reason::HttpFault, detail);
        }
        Err(ReadError::BeyondEnd) => {
            return all(rows, Some(true), Reason::MalformedPage, "the archive ends before the member".into());
        }
        Err(error) => return Err(error.of(&file.name)),
    };
    // Inflating takes CPU time: it runs outside the request loop.
    let checks = tokio::task::spawn_blocking(move || {
        let checked = rows.iter().map(|row| check(&bytes, start, row, max_page_bytes)).collect();
        Answer { rows, bytes, is_there: Some(true), checked }
    });
    match checks.await {
        Ok(answer) => Ok(answer),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn check(bytes: &Bytes, start: u64, row: &PlannedCapture, max_page_bytes: u64) -> Result<Range<usize>, Refusal> {
    let range = row.range();
    let range = (range.start - start) as usize..(range.end - start) as usize;
    let Some(member) = bytes.get(range.clone()) else {
        let detail = "the archive ends before the member does".into();
        return Err(Refusal { reason: Reason::MalformedPage, detail, status: None });
    };
    member::check(member, row, max_page_bytes).map(|()| range)
}

/// The archives that are written, and the results that their journal does not have yet.
struct Copies {
    archive: ArchiveWriter<Frame>,
    max_warc_bytes: u64,
    fates: Vec<Fate>,
    requests: usize,
    bytes: u64,
}

impl Copies {
    /// Writes an answer's members and notes the results of its rows.
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
        if self.archive.len_bytes() == 0 {
            self.archive.write(&warcinfo())?;
        }
        let offset = self.archive.write(member)?;
        self.fates.push(Fate::Copied { offset });
        self.bytes += member.len() as u64;
        if self.archive.len_bytes() >= self.max_warc_bytes {
            self.commit(true)?;
        }
        Ok(())
    }

    fn is_group_full(&self) -> bool {
        self.requests >= GROUP_REQUESTS || self.bytes >= GROUP_BYTES
    }

    /// Makes written members durable, with the results that refer to them.
    fn commit(&mut self, is_sealed: bool) -> Result<(), CommonCrawlError> {
        if self.fates.is_empty() && !is_sealed {
            return Ok(());
        }
        let fates = std::mem::take(&mut self.fates);
        let (archive, len_bytes) = (self.archive.number(), self.archive.len_bytes());
        self.archive.commit(&Frame { archive, len_bytes, is_sealed, fates })?;
        (self.requests, self.bytes) = (0, 0);
        Ok(())
    }

    /// Seals the last archive.
    fn finish(mut self) -> Result<(), CommonCrawlError> {
        let is_open = self.archive.len_bytes() > 0;
        self.commit(is_open)
    }
}

/// The first record of an archive. It has no time of its own: the same members give the same file.
fn warcinfo() -> Vec<u8> {
    let block = format!(
        "software: webtext/{}\r\nformat: WARC File Format 1.1\r\nconformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\ndescription: responses copied byte for byte from the archives of Common Crawl\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut writer = Writer::new(Vec::new(), 0);
    let written = writer.write(&NewRecord {
        kind: "warcinfo",
        target: None,
        date: &Date::epoch(),
        content_type: "application/warc-fields",
        headers: &[],
        block: block.as_bytes(),
        payload_start: None,
    });
    written.expect("memory takes what is written");
    writer.into_inner()
}
