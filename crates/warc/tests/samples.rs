//! Archives of two dozen tools and of their tests: every file is read, or what is wrong with it named, and the
//! counts by type are warcio's where warcio could read the file.
//!
//! Needs the data folder beside the checkout, and the `zstd` and `tar` commands to unpack it; skips with a
//! printed reason without them.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod one_byte;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use one_byte::OneByte;
use skip::{skip, tell};
use warc::{Checksum, Event, Kind, Reader, RecordFault};
use xxhash_rust::xxh3::xxh3_64;

/// Files in which warcio's counts do not match the bytes, each with the reason.
const WARCIO_IS_WRONG: &[(&str, &str)] = &[
    ("jhove/LICENSE", "the text of a licence, whose first line has five words as that of an ARC record has"),
    ("data/bad.arc", "lengths of -1 and abc; one record is whole"),
    ("warcs/bad.arc", "lengths of -1 and abc; one record is whole"),
    ("invalid-warcrecord-1.warc", "four whole records of six, behind two without a Content-Length; warcio reads one"),
    ("invalid-warcreader-diagnosis-1.warc", "lines of text, which warcio counts as a record without a type"),
    ("invalid-warcheaderversion-20.warc", "a blank line, which warcio counts as a record without a type"),
];

/// Counts of records by type, and the faults of malformed parts.
#[derive(Debug, Default)]
struct Found {
    counts: BTreeMap<String, u64>,
    malformed: Vec<String>,
}

/// Reads a file to its end, and every record of it once more by its location, from a source that gives a byte at a
/// time. Both readers must know the checksum.
fn read(path: &Path) -> Found {
    let mut reader = Reader::open(path, 1 << 20).unwrap();
    let bytes = fs::read(path).unwrap();
    let mut again = Reader::new(OneByte(Cursor::new(bytes.clone())), path.display().to_string(), 1 << 20).unwrap();
    let mut found = Found::default();
    while let Some(event) = reader.next().unwrap() {
        let record = match event {
            Event::Malformed { location, fault } => {
                found.malformed.push(format!("{}+{}: {fault}", location.offset, location.offset_in_member));
                continue;
            }
            Event::Record(record) => record,
        };
        again.seek(record.location).unwrap();
        let same = again.next().unwrap();
        assert!(same == Some(Event::Record(record.clone())), "another record at {:?}", record.location);
        let kind = match (record.headers.get("WARC-Type"), record.kind) {
            (Some(kind), _) => kind,
            (None, Kind::Warcinfo) => "arc_header",
            (None, Kind::Response | Kind::Resource) => "response",
            (None, _) => "none",
        };
        *found.counts.entry(kind.to_ascii_lowercase()).or_default() += 1;
    }
    let expected = Checksum { len_bytes: bytes.len() as u64, xxh3: xxh3_64(&bytes) };
    assert_eq!((reader.finish().unwrap(), again.finish().unwrap()), (expected, expected));
    found
}

/// Whether the counts agree. warcio counts as records what we call malformed when it has no whole header, no
/// length, or no whole block; there may be one more in its count for each of these.
fn agree(found: &Found, warcio: &BTreeMap<String, u64>) -> bool {
    let incomplete = |what: &&String| {
        [
            RecordFault::ArchiveTruncated,
            RecordFault::MemberTruncated,
            RecordFault::NoContentLength,
            RecordFault::MalformedHeader,
        ]
        .iter()
        .any(|fault| what.ends_with(&fault.to_string()))
    };
    let more = found.malformed.iter().filter(incomplete).count() as u64;
    let is_covered = found.counts.iter().all(|(kind, count)| warcio.get(kind).is_some_and(|theirs| count <= theirs));
    is_covered && warcio.values().sum::<u64>() - found.counts.values().sum::<u64>() <= more
}

/// warcio's counts of a file, as Python prints them: `{'response': 2, None: 1}`. White space and case of types
/// are not kept.
fn python_counts(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for item in text.trim_matches(['{', '}']).split(", ").filter(|item| !item.is_empty()) {
        let (kind, count) = item.rsplit_once(": ").unwrap();
        let kind = kind.trim_matches('\'').replace("\\t", "").trim().to_ascii_lowercase();
        *counts.entry(kind).or_default() += count.parse::<u64>().unwrap();
    }
    counts
}

fn unpack(test: &str) -> Option<PathBuf> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/warc/samples.tar.zst");
    if !archive.is_file() {
        tell(format!("skipped: {test}: there is no {}", archive.display()));
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&folder).unwrap();
    let command = format!("zstd -dcq --long=27 '{}' | tar x -C '{}'", archive.display(), folder.display());
    if Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success()) {
        return Some(folder);
    }
    skip(test, "the samples cannot be unpacked");
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn archives_of_many_tools() {
    let Some(folder) = unpack("archives_of_many_tools") else { return };
    let stats = fs::read_to_string(folder.join("STATS.tsv")).unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    println!("What warcio could not read:");
    for row in stats.lines() {
        let row: Vec<&str> = row.split('\t').collect();
        let path = folder.join(row[1]);
        // Copies of another file have a row, but are not in the archive.
        if !path.is_file() {
            continue;
        }
        let (found, warcio) = (read(&path), python_counts(row[2]));
        if !row[5].is_empty() {
            println!(
                "{}\n    {:?}, malformed {:?}\n    warcio: {warcio:?}, {}",
                row[1], found.counts, found.malformed, row[5]
            );
            if found.counts.is_empty() && found.malformed.is_empty() {
                wrong.push(format!("{}: neither read nor named", row[1]));
            }
        } else if WARCIO_IS_WRONG.iter().any(|(name, _)| row[1].ends_with(name)) != agree(&found, &warcio) {
            same += 1;
        } else {
            wrong.push(format!("{}: {found:?}\n    warcio: {warcio:?}", row[1]));
        }
    }
    assert!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 100, "only {same} files were compared");
}

#[test]
fn every_file_is_read_or_named() {
    let Some(folder) = unpack("every_file_is_read_or_named") else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    for path in paths {
        let found = read(&path);
        let is_blank = fs::read(&path).unwrap().iter().all(u8::is_ascii_whitespace);
        let is_answered = !found.counts.is_empty() || !found.malformed.is_empty();
        assert_eq!(is_answered, !is_blank, "{}: {found:?}", path.display());
        if found.counts.is_empty() {
            println!("{}: {:?}", path.display(), found.malformed.first());
        }
    }
}
