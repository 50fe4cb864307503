//! The verdicts of other tools on the archives written here: `warcio check`, `fastwarc check` and `cdxj-indexer`.
//!
//! Needs a Python that has warcio and fastwarc: `WEBTEXT_PEERS` names it. Skips with a printed reason without it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use skip::skip;
use warc::cdxj::{Entry, surt, timestamp14, write_sorted};
use warc::{
    Date, Event, NewRecord, REVISIT_IDENTICAL_DIGEST, REVISIT_NOT_MODIFIED, Reader, Writer, payload_digest, record_id,
};

const RESPONSE: &str = "application/http;msgtype=response";
const FILENAME: &str = "pages.warc.gz";

/// The folder of the peers' commands.
fn peers(test: &str) -> Option<PathBuf> {
    let python = skip::peers(test, &["warcio", "fastwarc"])?;
    Some(python.parent().unwrap().to_path_buf())
}

fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

/// Each checker's name, verdict and output.
fn verdicts(peers: &Path, archive: &Path) -> [(&'static str, bool, String); 2] {
    let (warcio, warcio_said) = run(Command::new(peers.join("warcio")).args(["check", "-v"]).arg(archive));
    let (fastwarc, fastwarc_said) = run(Command::new(peers.join("fastwarc")).args(["check", "-p"]).arg(archive));
    [("warcio", warcio, warcio_said), ("fastwarc", fastwarc, fastwarc_said)]
}

fn accept(peers: &Path, archive: &Path) {
    for (name, is_accepted, said) in verdicts(peers, archive) {
        println!("{name}: {said}");
        assert!(is_accepted, "{name} refuses {}:\n{said}", archive.display());
    }
}

/// An archive with every kind of record, and the entries of its index.
struct Archive {
    writer: Writer<Vec<u8>>,
    entries: Vec<Entry>,
    date: Date,
}

impl Archive {
    fn new(level: u32) -> Archive {
        let date = Date::from_seconds(1_514_764_799);
        Archive { writer: Writer::new(Vec::new(), 0).with_level(level), entries: Vec::new(), date }
    }

    /// Writes a record and its entry; `page` is type, status and digest for the index.
    fn write(&mut self, record: &NewRecord<'_>, page: Option<(&str, Option<u16>, Option<String>)>) {
        let offset = self.writer.write(record).unwrap();
        assert_eq!(self.writer.last_record_id(), record_id(record));
        if let (Some(url), Some((mime, status, digest))) = (record.target, page) {
            self.entries.push(Entry {
                key: surt(url),
                timestamp14: timestamp14(&self.date.0),
                url: url.to_owned(),
                mime: (!mime.is_empty()).then(|| mime.to_owned()),
                status,
                digest,
                length: self.writer.offset() - offset,
                offset,
                filename: FILENAME.to_owned(),
            });
        }
    }

    /// A response and, beside it, the request and a note about it.
    fn response(&mut self, target: &str, head: &str, body: &[u8], truncated: &[(&str, &str)]) {
        let block = [head.as_bytes(), body].concat();
        let date = self.date.clone();
        let response = NewRecord {
            kind: "response",
            target: Some(target),
            date: &date,
            content_type: RESPONSE,
            headers: &[&[("WARC-IP-Address", "192.0.2.1")], truncated].concat(),
            block: &block,
            payload_start: Some(head.len()),
        };
        let status = head[9..12].parse().unwrap();
        self.write(&response, Some(("text/html", Some(status), Some(payload_digest(body)))));
        let id = self.writer.last_record_id().to_owned();
        let headers = [("WARC-Concurrent-To", id.as_str())];
        let beside = |kind, content_type, block| NewRecord {
            kind,
            target: Some(target),
            date: &date,
            content_type,
            headers: &headers,
            block,
            payload_start: None,
        };
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        self.write(&beside("request", "application/http;msgtype=request", request), None);
        let note = b"fetchTimeMs: 12\r\n";
        self.write(&beside("metadata", "application/warc-fields", note), None);
    }

    /// A revisit, with the digest of the payload that it leaves out or without.
    fn revisit(&mut self, target: &str, head: &str, profile: &str, digest: Option<&str>) {
        let date = self.date.clone();
        let mut headers = vec![
            ("WARC-Profile", profile),
            ("WARC-Refers-To-Target-URI", "https://a.example/"),
            ("WARC-Refers-To-Date", "2017-12-31T00:00:00Z"),
        ];
        headers.extend(digest.map(|digest| ("WARC-Payload-Digest", digest)));
        let record = NewRecord {
            kind: "revisit",
            target: Some(target),
            date: &date,
            content_type: RESPONSE,
            headers: &headers,
            block: head.as_bytes(),
            payload_start: None,
        };
        let status = head[9..12].parse().unwrap();
        self.write(&record, Some(("warc/revisit", Some(status), digest.map(str::to_owned))));
    }

    fn other(&mut self, kind: &str, target: Option<&str>, content_type: &str, block: &[u8]) {
        let date = self.date.clone();
        let record = NewRecord { kind, target, date: &date, content_type, headers: &[], block, payload_start: None };
        let is_indexed = kind == "resource";
        self.write(&record, is_indexed.then(|| (content_type, None, Some(payload_digest(block)))));
    }
}

fn every_kind(level: u32) -> Archive {
    let page = "<!DOCTYPE html><title>Ä page</title><p>Of some words, and of more of them.".repeat(40);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(page.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let head = |status: &str, more: &str, len: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n{more}Content-Length: {len}\r\n\r\n")
    };
    let mut archive = Archive::new(level);
    archive.other(
        "warcinfo",
        None,
        "application/warc-fields",
        b"software: webtext\r\nformat: WARC File Format 1.1\r\n",
    );
    archive.response("https://a.example/", &head("200 OK", "", page.len()), page.as_bytes(), &[]);
    archive.response(
        "https://www.a.example/coded?b=2&a=%C3%A9",
        &head("200 OK", "Content-Encoding: gzip\r\n", gzip.len()),
        &gzip,
        &[],
    );
    archive.response("https://a.example/empty", &head("200 OK", "", 0), b"", &[]);
    // No reason phrase, but the space before it.
    archive.response("https://a.example/gone", &head("404 ", "", 4), b"gone", &[]);
    let broken = &page.as_bytes()[..1000];
    archive.response("https://a.example/cut", &head("200 OK", "", 1000), broken, &[("WARC-Truncated", "disconnect")]);
    archive.response("https://b.example:8443/cut/", &head("200 OK", "", 1000), broken, &[("WARC-Truncated", "length")]);
    archive.revisit("https://a.example/", &head("304 Not Modified", "", 0), REVISIT_NOT_MODIFIED, None);
    archive.other("resource", Some("file:///pages/1.html"), "text/html", page.as_bytes());
    archive.other("conversion", Some("https://a.example/"), "text/plain", "Ä page".as_bytes());
    archive
}

/// The index is that which pywb's indexer makes of the archive.
fn check_index(peers: &Path, path: &Path, archive: &Archive) {
    let indexer = peers.join("cdxj-indexer");
    if !indexer.is_file() {
        return skip("the index", format!("there is no {}", indexer.display()));
    }
    let mut index = Vec::new();
    write_sorted(&archive.entries, &mut index).unwrap();
    let index = String::from_utf8(index).unwrap();
    let (is_done, expected) = run(Command::new(indexer).arg("-s").arg(path));
    assert!(is_done, "{expected}");
    assert_eq!(index.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
}

#[test]
fn every_kind_of_record_is_accepted() {
    let Some(peers) = peers("every_kind_of_record_is_accepted") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILENAME);
    for level in [0, 1, 6, 12] {
        let mut archive = every_kind(level);
        fs::write(&path, archive.writer.get_mut()).unwrap();
        accept(&peers, &path);
        let mut reader = Reader::open(&path, 1 << 20).unwrap();
        while let Some(event) = reader.next().unwrap() {
            assert!(matches!(event, Event::Record(_)), "{event:?}");
        }
        check_index(&peers, &path, &archive);
    }
}

#[test]
fn a_torn_archive_cut_to_its_last_whole_record_is_accepted() {
    let Some(peers) = peers("a_torn_archive_cut_to_its_last_whole_record_is_accepted") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILENAME);
    let whole = every_kind(1).writer.into_inner();
    // In the middle of a record's coded bytes, in its trailer, in its gzip header.
    for len in [whole.len() / 2, whole.len() - 3, whole.len() - 100, 3000] {
        fs::write(&path, &whole[..len]).unwrap();
        let mut reader = Reader::open(&path, 1 << 20).unwrap();
        let mut end = None;
        while let Some(event) = reader.next().unwrap() {
            assert_eq!(end, None, "there is something behind the torn record: {event:?}");
            if let Event::Malformed { location, .. } = event {
                end = Some(location.offset);
            }
        }
        let end = end.unwrap_or_else(|| panic!("the archive of {len} bytes is not torn"));
        fs::write(&path, &whole[..end as usize]).unwrap();
        accept(&peers, &path);
        // Writing continues where the file was truncated.
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let date = Date::epoch();
        let mut writer = Writer::new(file, end);
        let (target, block) = (Some("https://a.example/more"), b"more".as_slice());
        let record = NewRecord {
            kind: "resource",
            target,
            date: &date,
            content_type: "text/plain",
            headers: &[],
            block,
            payload_start: None,
        };
        assert_eq!(writer.write(&record).unwrap(), end);
        assert_eq!(fs::metadata(&path).unwrap().len(), writer.offset());
        accept(&peers, &path);
    }
}

/// The standard (6.7.2) wants the digest of the payload that such a revisit leaves out. warcio knows; fastwarc holds
/// it against the empty payload of the record itself, so it refuses every such record, of whatever writer.
#[test]
fn a_revisit_with_the_digest_of_an_earlier_payload() {
    let Some(peers) = peers("a_revisit_with_the_digest_of_an_earlier_payload") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILENAME);
    let mut archive = every_kind(1);
    let digest = payload_digest(b"the page");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n";
    archive.revisit("https://a.example/again", head, REVISIT_IDENTICAL_DIGEST, Some(&digest));
    let id = archive.writer.last_record_id().to_owned();
    fs::write(&path, archive.writer.get_mut()).unwrap();
    check_index(&peers, &path, &archive);
    let [(_, warcio, said), (_, fastwarc, refused)] = verdicts(&peers, &path);
    assert!(warcio, "{said}");
    let ids: Vec<&str> = refused.lines().filter(|line| line.starts_with("<urn:uuid:")).collect();
    assert!(fastwarc || ids == [id.as_str()], "{refused}");
}

#[test]
fn a_wrong_digest_is_refused() {
    let Some(peers) = peers("a_wrong_digest_is_refused") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILENAME);
    let mut archive = Archive::new(1);
    let headers = [("WARC-Block-Digest", "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ")];
    let date = Date::epoch();
    let record = NewRecord {
        kind: "resource",
        target: Some("https://a.example/"),
        date: &date,
        content_type: "text/plain",
        headers: &headers,
        block: b"not empty",
        payload_start: None,
    };
    archive.write(&record, None);
    fs::write(&path, archive.writer.into_inner()).unwrap();
    for (name, is_accepted, said) in verdicts(&peers, &path) {
        assert!(!is_accepted, "{name} tests nothing: {said}");
    }
}
