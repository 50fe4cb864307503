//! Pages from WARC and ARC files: `pages.index` (one task per group of archives) finds the captures, `pages.match`
//! chooses one for each link.

use std::io::{Read, Seek};
use std::sync::Arc;

use ::warc::{Event, Kind, Location, Reader, Record, RecordFault};
use links::CanonicalRules;
use records::Reason;
use serde::{Deserialize, Serialize};
use store::bucket_of;

use super::capture::{Capture, capture};
use super::revisits::{self, Reference};
use super::{Archive, ArchiveGroup, Captured, LinksLeft, archive_groups, match_pages};
use crate::engine::{
    BucketOutput, Buckets, External, File, Flow, Planner, Product, SourceRead, StageRef, Task, Wire, Work,
};
use crate::error::{Error, Result};
use crate::recipe::Pages;

/// Adds the stages: for archives that an earlier stage of the run `packed`, or for those at the source's paths.
pub(super) fn add(
    flow: &mut Flow,
    number: usize,
    settings: &Pages,
    left: LinksLeft,
    packed: Option<Wire<File>>,
    buckets: u32,
) -> Captured {
    let (pages, max_page_bytes) = (settings.clone(), settings.max_page_bytes);
    let canonical = left.canonical.clone();
    let index = flow.stage_of_source("pages.index", number, move |plan| {
        let archives = match packed {
            Some(packed) => plan.files(packed)?.into_iter().map(|(_, file)| ArchiveFile::Own(file)).collect(),
            None => external_archives(&pages)?,
        };
        let groups = archive_groups(number, buckets, archives, |archive| (archive.name(), archive.len_bytes()));
        let task = |group: ArchiveGroup<ArchiveFile>| {
            (
                group.name,
                IndexArchives { archives: group.archives, canonical: canonical.clone(), buckets, max_page_bytes },
            )
        };
        Ok(groups.into_iter().map(task).collect())
    });
    let archives = Arc::new(move |plan: &Planner<'_>| match packed {
        Some(packed) => Ok(plan.files(packed)?.into_iter().map(|(_, file)| Archive::own(file)).collect()),
        None => archives_read(plan, index),
    });
    let references = index.product(IndexArchives::REFERENCES);
    let captures = [index.product(IndexArchives::CAPTURES), revisits::add(flow, number, references, buckets)];
    let (selected, outcomes) = match_pages::add(flow, number, settings, left, captures, buckets);
    Captured { selected, outcomes, archives }
}

/// The archives at the paths of a source.
fn external_archives(pages: &Pages) -> Result<Vec<ArchiveFile>> {
    Ok(External::of_files(&pages.paths)?.into_iter().map(ArchiveFile::External).collect())
}

/// The archives that tasks of `pages.index` have read, with their checksums.
fn archives_read(plan: &Planner<'_>, index: StageRef<IndexArchives>) -> Result<Vec<Archive>> {
    let sources = plan.reports(index)?.into_iter().flat_map(|report| report.sources);
    let archive = |source: SourceRead| Archive {
        name: source.url,
        is_own: false,
        len_bytes: source.len_bytes,
        checksum: source.checksum,
    };
    Ok(sources.map(archive).collect())
}

/// An archive to be indexed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum ArchiveFile {
    External(External),
    Own(File),
}

impl ArchiveFile {
    fn name(&self) -> &str {
        match self {
            ArchiveFile::External(external) => &external.url,
            ArchiveFile::Own(file) => &file.key,
        }
    }

    fn len_bytes(&self) -> u64 {
        match self {
            ArchiveFile::External(external) => external.len_bytes,
            ArchiveFile::Own(file) => file.len_bytes,
        }
    }
}

/// Finds the captures in a group of archives.
#[derive(Serialize, Deserialize)]
struct IndexArchives {
    archives: Vec<ArchiveFile>,
    canonical: CanonicalRules,
    buckets: u32,
    max_page_bytes: u64,
}

impl IndexArchives {
    /// Captures by registrable domain.
    const CAPTURES: Product<IndexArchives, Buckets<Capture>> = Product::new("captures", "work/{stage}/{name}.captures");
    /// Captures and revisits, by what revisits refer to captures with.
    const REFERENCES: Product<IndexArchives, Buckets<Reference>> =
        Product::new("references", "work/{stage}/{name}.references");
}

impl Task for IndexArchives {
    const REVISION: u32 = 5; // files have no time of capture

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut found = Found {
            captures: work.create_buckets(IndexArchives::CAPTURES, self.buckets)?,
            references: work.create_buckets(IndexArchives::REFERENCES, self.buckets)?,
        };
        for archive in &self.archives {
            match archive {
                ArchiveFile::Own(file) => {
                    let reader = work.file(file)?;
                    self.index(work, reader, archive.name(), &mut found)?;
                }
                ArchiveFile::External(external) => match work.source(external) {
                    Ok(source) => {
                        self.index(work, source.share()?, archive.name(), &mut found)?;
                        work.finish_source(source)?;
                    }
                    Err(error) => work.unreadable(archive.name(), &error),
                },
            }
        }
        found.captures.finish()?;
        found.references.finish()
    }
}

impl IndexArchives {
    fn index(
        &self,
        work: &mut Work<'_>,
        archive: impl Read + Seek + Send + 'static,
        name: &str,
        found: &mut Found,
    ) -> Result<()> {
        let (mut records, mut malformed, mut first_fault) = (0u64, 0u64, None);
        let mut reader = match Reader::new(archive, name.to_owned(), self.max_page_bytes) {
            Ok(reader) => reader,
            Err(error) => {
                work.unreadable(name, &error);
                return Ok(());
            }
        };
        loop {
            if work.is_stopping() {
                return Err(Error::Interrupted);
            }
            match reader.next() {
                Ok(None) => break,
                Err(error) => {
                    work.unreadable(name, &error);
                    break;
                }
                Ok(Some(Event::Malformed { location, fault })) => {
                    malformed += 1;
                    if fault.is_of_archive() {
                        name_lost_part(work, name, location, &fault);
                    }
                    let place = format!("{name} at {location}");
                    work.counts.drop(Reason::MalformedPage);
                    work.sample(Reason::MalformedPage, || place, &fault.to_string());
                    first_fault.get_or_insert(fault);
                }
                Ok(Some(Event::Record(record))) => {
                    if let Some(fault) = record.fault() {
                        name_lost_part(work, name, record.location, &fault);
                    }
                    match self.take(&record, name, found)? {
                        Ok(()) => work.counts.keep(),
                        Err(reason) => drop_record(work, name, &record, reason),
                    }
                }
            }
            records += 1;
        }
        if let Some(fault) = first_fault.filter(|_| records == malformed) {
            let what = format!("no record in it can be read: {fault}");
            let nothing = std::io::Error::new(std::io::ErrorKind::InvalidData, what);
            work.unreadable(name, &nothing);
        }
        if records == 0 && !work.is_stopping() {
            work.unreadable(name, &std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it holds no record"));
        }
        Ok(())
    }

    /// Writes what a record holds to where it is looked for; or why it holds nothing.
    fn take(&self, record: &Record, archive: &str, found: &mut Found) -> Result<Result<(), Reason>> {
        let (references, result) = match capture(record, archive, &self.canonical) {
            Err(Reason::Revisit) => match Reference::of_revisit(record, archive, &self.canonical) {
                Ok(names) => (names, Ok(())),
                Err(reason) => (Vec::new(), Err(reason)),
            },
            Err(reason) => (Reference::of_noted_redirects(record, archive, &self.canonical), Err(reason)),
            Ok(capture) => {
                found.captures.push(bucket_of(capture.page.bucket_bytes(), self.buckets), &capture)?;
                // A page that was packed from a file is met by no crawler again.
                let is_met_again = capture.file.is_none();
                let names = is_met_again.then(|| Reference::of_capture(record, &capture, &self.canonical).collect());
                (names.unwrap_or_default(), Ok(()))
            }
        };
        for reference in &references {
            found.references.push(reference.bucket(self.buckets), reference)?;
        }
        Ok(result)
    }
}

/// Says that a part of an archive is lost: what is behind its end, or an archive in a ZIP file.
fn name_lost_part(work: &mut Work<'_>, name: &str, location: Location, fault: &RecordFault) {
    let what = match fault {
        RecordFault::ArchiveTruncated => format!("{fault}, which begins at {location}"),
        other => other.to_string(),
    };
    work.unreadable(name, &std::io::Error::new(std::io::ErrorKind::UnexpectedEof, what));
}

/// Counts a record that holds no capture; of one that should, a sample has its URL and beginning.
fn drop_record(work: &mut Work<'_>, name: &str, record: &Record, reason: Reason) {
    work.counts.drop(reason);
    let is_claimed = matches!(record.kind, Kind::Response | Kind::Resource | Kind::Conversion);
    if reason == Reason::MalformedPage || is_claimed {
        let start = String::from_utf8_lossy(&record.body[..record.body.len().min(300)]);
        let what = format!("{} {start}", record.target().unwrap_or("no URL"));
        work.sample(reason, || format!("{name} at {}", record.location), &what);
    }
}

/// What was found in archives.
struct Found {
    captures: BucketOutput<Capture>,
    references: BucketOutput<Reference>,
}
