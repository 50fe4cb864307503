//! The WARC records of pages: response or revisit, request, metadata.

use std::collections::HashMap;

use reqwest::Version;
use warc::{Date, NewRecord, REVISIT_IDENTICAL_DIGEST, Writer};

use crate::CrawlSettings;
use crate::backlog::Finished;
use crate::exchange::{RequestKind, request_bytes};
use crate::journal::Stored;
use crate::page::Page;

/// Bodies whose digest is kept. A page with a known body is archived as a `revisit`.
const MAX_DIGESTS: usize = 1 << 16;
/// Shorter bodies are archived again: a reference would take as much space.
const MIN_REVISIT_BYTES: usize = 512;
/// The fastest level: level 6 makes files 7% smaller in twice the time.
const GZIP_LEVEL: u32 = 1;

/// The record in which a body was first archived.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) warc: u32,
    pub(crate) offset: u64,
    id: String,
    url: String,
    date: String,
}

/// The archived bodies, by digest.
#[derive(Default)]
pub(crate) struct Digests(HashMap<String, Origin>);

impl Digests {
    /// Adds the bodies of a durable group. Before there are too many, all earlier ones are removed.
    pub(crate) fn extend(&mut self, origins: Vec<(String, Origin)>) {
        if self.0.len() + origins.len() > MAX_DIGESTS {
            self.0.clear();
        }
        self.0.extend(origins);
    }
}

/// Builds the records of a group in memory.
pub(crate) struct GroupRecords<'c> {
    settings: &'c CrawlSettings,
    archive_name: String,
    number: u32,
    writer: Writer<Vec<u8>>,
    digests: &'c Digests,
    origins: Vec<(String, Origin)>,
}

impl<'c> GroupRecords<'c> {
    /// Starts records for an archive that has `len_bytes` already.
    pub(crate) fn new(
        settings: &'c CrawlSettings,
        archive_name: String,
        number: u32,
        len_bytes: u64,
        digests: &'c Digests,
    ) -> GroupRecords<'c> {
        let writer = Writer::new(Vec::new(), len_bytes).with_level(GZIP_LEVEL);
        GroupRecords { settings, archive_name, number, writer, digests, origins: Vec::new() }
    }

    /// The compressed records, and the bodies first archived in them, by digest.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<(String, Origin)>) {
        (self.writer.into_inner(), self.origins)
    }

    /// Adds the response (or a revisit of one with the same body), its request and its metadata. The first page of an
    /// archive is preceded by a `warcinfo`.
    pub(crate) fn write_page(&mut self, page: &Page, finished: &Finished, date: &Date) -> (Stored, Origin) {
        if self.writer.offset() == 0 {
            self.write_warcinfo(date);
        }
        let digest = warc::payload_digest(&page.body);
        let before = self.archived_before(page, &digest);
        let (offset, id) = self.write_response(page, date, before.as_ref());
        let stored = Stored {
            warc: self.number,
            offset,
            len_bytes: self.writer.offset() - offset,
            digest: digest.clone(),
            is_revisit: before.is_some(),
        };
        let target = page.url.as_str();
        let concurrent = [("WARC-Concurrent-To", id.as_str())];
        let request = request_bytes(&page.url, RequestKind::Page, page.reading, &self.settings.user_agent());
        let fields = metadata_fields(page, finished);
        for (kind, content_type, block) in [
            ("request", "application/http;msgtype=request", &request),
            ("metadata", "application/warc-fields", &fields),
        ] {
            self.write(&NewRecord {
                kind,
                target: Some(target),
                date,
                content_type,
                headers: &concurrent,
                block: block.as_bytes(),
                payload_start: None,
            });
        }
        if let Some(before) = before {
            return (stored, before);
        }
        let origin = Origin { warc: self.number, offset, id, url: target.to_owned(), date: date.0.clone() };
        if page.truncation.is_none() && page.body.len() >= MIN_REVISIT_BYTES {
            self.origins.push((digest, origin.clone()));
        }
        (stored, origin)
    }

    /// The record that has a page's body already; `None` for a truncated body.
    fn archived_before(&self, page: &Page, digest: &str) -> Option<Origin> {
        let in_group = self.origins.iter().find(|(known, _)| known == digest).map(|(_, origin)| origin);
        in_group.or_else(|| self.digests.0.get(digest)).filter(|_| page.truncation.is_none()).cloned()
    }

    /// Writes the response or revisit; returns its offset and id.
    fn write_response(&mut self, page: &Page, date: &Date, before: Option<&Origin>) -> (u64, String) {
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
        if let Some(truncation) = page.truncation {
            headers.push(("WARC-Truncated", truncation.name()));
        }
        match before {
            // WARC/1.1 (section 6.7.2) requires the payload's digest here, but FastWARC rejects every file that has it:
            // it compares the digest with the absent payload. The digest is in the index and in the original record.
            Some(origin) => headers.extend([
                ("WARC-Refers-To", origin.id.as_str()),
                ("WARC-Profile", REVISIT_IDENTICAL_DIGEST),
                ("WARC-Refers-To-Target-URI", origin.url.as_str()),
                ("WARC-Refers-To-Date", origin.date.as_str()),
            ]),
            None => block.extend_from_slice(&page.body),
        }
        let offset = self.write(&NewRecord {
            kind: if before.is_some() { "revisit" } else { "response" },
            target: Some(page.url.as_str()),
            date,
            content_type: "application/http;msgtype=response",
            headers: &headers,
            block: &block,
            payload_start: before.is_none().then_some(payload_start),
        });
        (offset, self.writer.last_record_id().to_owned())
    }

    fn write_warcinfo(&mut self, date: &Date) {
        let agent = self.settings.user_agent();
        let info = format!(
            "software: {agent}\r\nformat: WARC File Format 1.1\r\nconformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\nrobots: obey\r\nhttp-header-user-agent: {agent}\r\noperator: {}\r\n",
            self.settings.contact.trim()
        );
        let name = self.archive_name.clone();
        self.write(&NewRecord {
            kind: "warcinfo",
            target: None,
            date,
            content_type: "application/warc-fields",
            headers: &[("WARC-Filename", &name)],
            block: info.as_bytes(),
            payload_start: None,
        });
    }

    fn write(&mut self, record: &NewRecord<'_>) -> u64 {
        self.writer.write(record).expect("writing to memory does not fail")
    }
}

/// The HTTP head in a form that validators accept. The body is stored without its transfer coding, so headers about that
/// are left out and `content-length` is recomputed.
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

/// The metadata record: fetch time, redirects, signals against use for training.
fn metadata_fields(page: &Page, finished: &Finished) -> String {
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
