//! Checks one gzip member of an archive: it must be whole, one response, and the page in the index.

use std::io::Read;

use records::Reason;

use crate::choose::PlannedCapture;

/// Largest head that a record may have beside its page.
const MAX_HEAD_BYTES: u64 = 64 << 10;

/// Why a member is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) status: Option<u16>,
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal { reason: Reason::MalformedPage, detail: detail.into(), status: None }
}

/// Checks a member: it inflates to its end with the right CRC and length, and fills its range; it holds one `response`
/// record and nothing else; the record's target has the link's key; and its HTTP message has status 200.
pub(crate) fn check(member: &[u8], row: &PlannedCapture, max_page_bytes: u64) -> Result<(), Refusal> {
    let limit_bytes = max_page_bytes.saturating_add(MAX_HEAD_BYTES);
    let mut decoder = flate2::bufread::GzDecoder::new(member);
    let mut plain = Vec::new();
    let read = decoder.by_ref().take(limit_bytes + 1).read_to_end(&mut plain);
    read.map_err(|error| malformed(format!("the member does not inflate: {error}")))?;
    if plain.len() as u64 > limit_bytes {
        let detail = format!("the record has more than {limit_bytes} bytes");
        return Err(Refusal { reason: Reason::PageTooLarge, ..malformed(detail) });
    }
    if !decoder.into_inner().is_empty() {
        return Err(malformed("the member ends before its range"));
    }
    let record = Record::parse(&plain).ok_or_else(|| malformed("the member is no WARC record"))?;
    if !record.field("WARC-Type").is_some_and(|kind| kind.eq_ignore_ascii_case("response")) {
        return Err(malformed(format!("a record of type {:?}", record.field("WARC-Type").unwrap_or_default())));
    }
    let target = record.field("WARC-Target-URI").unwrap_or_default();
    let target = target.trim_start_matches('<').trim_end_matches('>');
    // The index names the URL; which link it answers was decided when it was chosen.
    let key_of = |url| links::Canonical::parse(url).ok().map(|canonical| canonical.key);
    if key_of(target).is_none_or(|key| Some(key) != key_of(&row.captured_url)) {
        return Err(malformed(format!("the record is of {target:?}, not of {:?}", row.captured_url)));
    }
    let response = warc::http::Response::parse(record.block).ok_or_else(|| malformed("no HTTP head in the record"))?;
    if response.status != 200 {
        let detail = format!("status {}", response.status);
        return Err(Refusal { reason: Reason::HttpStatus, detail, status: Some(response.status) });
    }
    Ok(())
}

/// A record that fills a member.
struct Record<'a> {
    head: Vec<(&'a str, &'a str)>,
    block: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(plain: &'a [u8]) -> Option<Record<'a>> {
        let head_len = plain.windows(4).take(MAX_HEAD_BYTES as usize).position(|four| four == b"\r\n\r\n")?;
        let mut lines = str::from_utf8(&plain[..head_len]).ok()?.split("\r\n");
        if !lines.next()?.starts_with("WARC/") {
            return None;
        }
        let head = lines.filter_map(|line| line.split_once(':').map(|(name, value)| (name.trim(), value.trim())));
        let mut record = Record { head: head.collect(), block: &plain[head_len + 4..] };
        let len = record.field("Content-Length")?.parse::<usize>().ok()?;
        let (block, rest) = record.block.split_at_checked(len)?;
        record.block = block;
        // Two line ends close a record; writers that omit them are accepted.
        matches!(rest, b"\r\n\r\n" | b"\r\n" | b"").then_some(record)
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.head.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const BLOCK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page";

    fn gzip(plain: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn record(kind: &str, target: &str, block: &str) -> String {
        let len = block.len();
        format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {target}\r\nContent-Length: {len}\r\n\r\n{block}\r\n\r\n"
        )
    }

    fn row() -> PlannedCapture {
        PlannedCapture {
            warc_filename: "a.warc.gz".into(),
            offset: 0,
            len_bytes: 0,
            link: 0,
            domain: "example.com".into(),
            key: "com,example)/a".into(),
            url: "http://example.com/a".into(),
            captured_url: "https://www.example.com/a/".into(),
            fetched_ms: 0,
            mime: None,
        }
    }

    fn check_member(member: &[u8], expected: Option<(Reason, &str)>) {
        let found = check(member, &row(), 1 << 20).err();
        assert_eq!(found.as_ref().map(|refusal| refusal.reason), expected.map(|(reason, _)| reason), "{found:?}");
        if let (Some(found), Some((_, part))) = (found, expected) {
            assert!(found.detail.contains(part), "{found:?}");
        }
    }

    #[test]
    fn whole_members_of_the_page_pass() {
        check_member(&gzip(&record("response", "https://www.example.com/a/", BLOCK)), None);
        check_member(&gzip(&record("Response", "<http://example.com/a?utm_source=x>", BLOCK)), None);
    }

    #[test]
    fn others_do_not() {
        let bad = |part| Some((Reason::MalformedPage, part));
        let good = gzip(&record("response", "http://example.com/a", BLOCK));
        check_member(b"", bad("inflate"));
        check_member(b"<html>", bad("inflate"));
        check_member(&good[..good.len() - 1], bad("inflate"));
        let mut flipped = good.clone();
        let crc = flipped.len() - 6;
        flipped[crc] ^= 1;
        check_member(&flipped, bad("inflate"));
        check_member(&[good.clone(), good].concat(), bad("ends before"));
        check_member(&gzip("no record"), bad("no WARC record"));
        check_member(&gzip(&record("request", "http://example.com/a", BLOCK)), bad("request"));
        check_member(&gzip(&record("response", "http://example.com/b", BLOCK)), bad("example.com/b"));
        check_member(&gzip(&record("response", "http://example.com/a", "SSH-2.0")), bad("HTTP head"));
        let two = record("response", "http://example.com/a", BLOCK).repeat(2);
        check_member(&gzip(&two), bad("no WARC record"));
        let gone = record("response", "http://example.com/a", "HTTP/1.1 404 Not Found\r\n\r\n");
        check_member(&gzip(&gone), Some((Reason::HttpStatus, "404")));
        let bomb = record("response", "http://example.com/a", &format!("{BLOCK}{}", " ".repeat(2 << 20)));
        check_member(&gzip(&bomb), Some((Reason::PageTooLarge, "more than")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes: Vec<u8>, text: String) {
            let _ = check(&bytes, &row(), 1000);
            let _ = check(&gzip(&text), &row(), 1000);
            let _ = check(&gzip(&format!("WARC/1.0\r\n{text}\r\n\r\n")), &row(), 1000);
        }
    }
}
