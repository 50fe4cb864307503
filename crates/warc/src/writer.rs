//! WARC/1.1 records, one gzip member each, in the form that every validator accepts.

use std::io::{self, Write};

use data_encoding::BASE32;
use libdeflater::{CompressionLvl, Compressor};
use sha1::{Digest, Sha1};

use crate::Date;

/// `WARC-Profile` of a revisit whose payload has the digest of an earlier one.
pub const REVISIT_IDENTICAL_DIGEST: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";
/// `WARC-Profile` of a revisit that the server answered with 304.
pub const REVISIT_NOT_MODIFIED: &str = "http://netpreserve.org/warc/1.1/revisit/server-not-modified";

/// The level of a writer that is given none: archives are 6% smaller than at level 1, in twice the time.
const DEFAULT_LEVEL: u32 = 6;
const MAX_LEVEL: u32 = 12;

/// A record to be written.
///
/// The kinds of the standard differ in their `headers`:
///
/// | kind | further fields |
/// | --- | --- |
/// | `response` | `WARC-IP-Address`; `WARC-Truncated` (`length`, `time`, `disconnect`) when the payload is not whole |
/// | `request`, `metadata` | `WARC-Concurrent-To`: the id of the response |
/// | `revisit` | `WARC-Profile`, `WARC-Refers-To-Target-URI`, `WARC-Refers-To-Date`, and `WARC-Payload-Digest` of the payload that is not stored; the block is the HTTP head |
/// | `warcinfo` | none, and no target; the block is of type `application/warc-fields` |
///
/// `fastwarc check -p` (2.0.1) refuses two things that the standard has: a `revisit` with the digest of the payload
/// that it leaves out, and a payload digest of a record that is not HTTP (leave `payload_start` out there: the block's
/// digest says the same).
///
/// ```
/// use warc::{Date, NewRecord, REVISIT_IDENTICAL_DIGEST, Writer, payload_digest};
///
/// let digest = payload_digest(b"the page");
/// let mut writer = Writer::new(Vec::new(), 0);
/// writer.write(&NewRecord {
///     kind: "revisit",
///     target: Some("https://a.example/again"),
///     date: &Date::from_seconds(1_514_764_799),
///     content_type: "application/http;msgtype=response",
///     headers: &[
///         ("WARC-Profile", REVISIT_IDENTICAL_DIGEST),
///         ("WARC-Refers-To-Target-URI", "https://a.example/"),
///         ("WARC-Refers-To-Date", "2017-12-31T00:00:00Z"),
///         ("WARC-Payload-Digest", &digest),
///     ],
///     block: b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
///     payload_start: None,
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// `WARC-Type`.
    pub kind: &'a str,
    /// `WARC-Target-URI`; `None` for `warcinfo`.
    pub target: Option<&'a str>,
    /// `WARC-Date`.
    pub date: &'a Date,
    /// `Content-Type` of the block, such as `application/http;msgtype=response`.
    pub content_type: &'a str,
    /// Further fields, written as they are.
    pub headers: &'a [(&'a str, &'a str)],
    /// The block.
    pub block: &'a [u8],
    /// Where the payload begins in the block; the payload digest is taken from there.
    pub payload_start: Option<usize>,
}

/// Writes records to any sink. Memory: twice the largest record, which is compressed in one piece.
pub struct Writer<W> {
    sink: W,
    offset: u64,
    compressor: Compressor,
    plain: Vec<u8>,
    member: Vec<u8>,
    last_id: String,
}

impl<W: Write> Writer<W> {
    /// A writer whose first record will be at `offset` of the file.
    pub fn new(sink: W, offset: u64) -> Writer<W> {
        let compressor = compressor(DEFAULT_LEVEL);
        Writer { sink, offset, compressor, plain: Vec::new(), member: Vec::new(), last_id: String::new() }
    }

    /// Compresses at `level`: 0 stores, 1 is the fastest, 12 gives the smallest archives, and a higher one counts as 12.
    /// The default is 6.
    pub fn with_level(self, level: u32) -> Writer<W> {
        Writer { compressor: compressor(level), ..self }
    }

    /// Where the next record will begin.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The id of the record written last, for `WARC-Concurrent-To`; empty before the first.
    ///
    /// Unlike [`record_id`], it does not hash the block again.
    pub fn last_record_id(&self) -> &str {
        &self.last_id
    }

    /// Writes one record and returns its offset.
    ///
    /// The same record gives the same bytes: its id is made from its content.
    pub fn write(&mut self, record: &NewRecord<'_>) -> io::Result<u64> {
        let block_digest = Sha1::digest(record.block).into();
        self.last_id = id_of(record, &block_digest);
        self.plain.clear();
        let plain = &mut self.plain;
        plain.extend_from_slice(b"WARC/1.1\r\n");
        let mut field = |name: &str, value: &str| {
            plain.extend_from_slice(name.as_bytes());
            plain.extend_from_slice(b": ");
            // A line end inside a value would begin a new field.
            plain.extend(value.bytes().filter(|b| !matches!(b, b'\r' | b'\n')));
            plain.extend_from_slice(b"\r\n");
        };
        field("WARC-Type", record.kind);
        field("WARC-Record-ID", &self.last_id);
        field("WARC-Date", &record.date.0);
        if let Some(target) = record.target {
            field("WARC-Target-URI", target);
        }
        for (name, value) in record.headers {
            field(name, value);
        }
        field("WARC-Block-Digest", &shown(&block_digest));
        match record.payload_start {
            Some(0) => field("WARC-Payload-Digest", &shown(&block_digest)),
            Some(start) => field("WARC-Payload-Digest", &payload_digest(&record.block[start..])),
            None => {}
        }
        field("Content-Type", record.content_type);
        field("Content-Length", &record.block.len().to_string());
        plain.extend_from_slice(b"\r\n");
        plain.extend_from_slice(record.block);
        plain.extend_from_slice(b"\r\n\r\n");
        let bound = self.compressor.gzip_compress_bound(self.plain.len());
        if self.member.len() < bound {
            self.member.resize(bound, 0);
        }
        let compressed = self.compressor.gzip_compress(&self.plain, &mut self.member);
        let len = compressed.expect("the bound is enough for any input");
        self.sink.write_all(&self.member[..len])?;
        let at = self.offset;
        self.offset += len as u64;
        Ok(at)
    }

    /// The sink, for flushing or finishing it.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Gives the sink back.
    pub fn into_inner(self) -> W {
        self.sink
    }
}

fn compressor(level: u32) -> Compressor {
    let level = CompressionLvl::new(level.min(MAX_LEVEL) as i32);
    Compressor::new(level.expect("the levels are 0 to 12"))
}

/// `WARC-Record-ID`: a UUID (version 8, RFC 9562) made from the record's content.
pub fn record_id(record: &NewRecord<'_>) -> String {
    id_of(record, &Sha1::digest(record.block).into())
}

/// The id out of the block's digest, so that a block is read once for both.
fn id_of(record: &NewRecord<'_>, block_digest: &[u8; 20]) -> String {
    let mut hasher = Sha1::new();
    for part in [record.kind, record.target.unwrap_or(""), &record.date.0, record.content_type] {
        hasher.update(part);
        hasher.update([0]);
    }
    hasher.update(block_digest);
    let mut id: [u8; 16] = hasher.finalize()[..16].try_into().expect("SHA-1 has twenty bytes");
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&id);
    format!("<urn:uuid:{}-{}-{}-{}-{}>", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The digest of a payload as `WARC-Payload-Digest` has it: SHA-1 in Base32.
///
/// ```
/// assert_eq!(warc::payload_digest(b""), "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ");
/// ```
pub fn payload_digest(bytes: &[u8]) -> String {
    shown(&Sha1::digest(bytes).into())
}

fn shown(digest: &[u8; 20]) -> String {
    format!("sha1:{}", BASE32.encode(digest))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;
    use crate::{Event, Kind, Reader};

    fn record<'a>(date: &'a Date, block: &'a [u8]) -> NewRecord<'a> {
        NewRecord {
            kind: "resource",
            target: Some("https://a.example/"),
            date,
            content_type: "text/html",
            headers: &[],
            block,
            payload_start: None,
        }
    }

    fn read_all(bytes: &[u8]) -> Vec<Event> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut reader = Reader::open(file.path(), 1 << 20).unwrap();
        let mut events = Vec::new();
        while let Some(event) = reader.next().unwrap() {
            events.push(event);
        }
        events
    }

    fn bodies(events: &[Event]) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Record(record) => String::from_utf8_lossy(&record.body).into_owned(),
            Event::Malformed { fault, .. } => format!("! {fault}"),
        };
        events.iter().map(text).collect()
    }

    fn archive(blocks: &[&str]) -> (Vec<u8>, Vec<u64>) {
        let date = Date::epoch();
        let mut writer = Writer::new(Vec::new(), 0);
        let at = blocks.iter().map(|b| writer.write(&record(&date, b.as_bytes())).unwrap()).collect();
        (writer.into_inner(), at)
    }

    #[test]
    fn records_come_back_at_their_offsets() {
        let (bytes, offsets) = archive(&["one", "", "three\r\n\r\nWARC/1.0 inside"]);
        let events = read_all(&bytes);
        assert_eq!(bodies(&events), ["one", "", "three\r\n\r\nWARC/1.0 inside"]);
        for (event, offset) in events.iter().zip(offsets) {
            let Event::Record(record) = event else { panic!("{event:?}") };
            assert_eq!((record.location.offset, record.location.offset_in_member), (offset, 0));
            assert_eq!((record.kind, record.target()), (Kind::Resource, Some("https://a.example/")));
        }
    }

    #[test]
    fn a_damaged_member_is_reported_and_the_rest_read() {
        let (mut bytes, offsets) = archive(&["one", "two", "three"]);
        let middle = offsets[1] as usize + 40;
        bytes[middle] ^= 0x55;
        let seen = bodies(&read_all(&bytes));
        assert_eq!((seen[0].as_str(), seen.last().unwrap().as_str()), ("one", "three"));
        assert!(seen[1].starts_with('!'), "{seen:?}");
    }

    #[test]
    fn a_torn_end_is_reported() {
        let (mut bytes, _) = archive(&["one", "two"]);
        bytes.truncate(bytes.len() - 5);
        let seen = bodies(&read_all(&bytes));
        assert_eq!(seen[0], "one");
        assert!(seen[1].contains("ends in the middle"), "{seen:?}");
    }

    #[test]
    fn plain_zstd_and_single_member_files() {
        let (bytes, _) = archive(&["one", "two"]);
        let mut plain = Vec::new();
        io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain).unwrap();
        assert_eq!(bodies(&read_all(&plain)), ["one", "two"]);
        assert_eq!(bodies(&read_all(&zstd::encode_all(&plain[..], 1).unwrap())), ["one", "two"]);
        let mut whole = GzBuilder::new().write(Vec::new(), Compression::fast());
        whole.write_all(&plain).unwrap();
        assert_eq!(bodies(&read_all(&whole.finish().unwrap())), ["one", "two"]);
    }

    #[test]
    fn records_behind_a_malformed_one_are_read() {
        let (bytes, _) = archive(&["one", "two", "three"]);
        let mut plain = Vec::new();
        io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain).unwrap();
        let text = String::from_utf8(plain).unwrap();
        // The second record claims more than the file holds, or no length at all.
        for broken in [
            text.replacen("Content-Length: 3\r\n\r\ntwo", "Content-Length: 9999999\r\n\r\ntwo", 1),
            text.replacen("Content-Length: 3\r\n\r\ntwo", "\r\n\r\ntwo", 1),
        ] {
            let mut whole = GzBuilder::new().write(Vec::new(), Compression::fast());
            whole.write_all(broken.as_bytes()).unwrap();
            for bytes in [broken.clone().into_bytes(), whole.finish().unwrap()] {
                let seen = bodies(&read_all(&bytes));
                assert_eq!((seen[0].as_str(), seen.last().unwrap().as_str()), ("one", "three"), "{seen:?}");
                assert_eq!(seen.len(), 3, "{seen:?}");
            }
        }
    }

    #[test]
    fn any_location_can_be_sought() {
        let (bytes, _) = archive(&["one", "two", "three"]);
        let mut plain = Vec::new();
        io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain).unwrap();
        let mut whole = GzBuilder::new().write(Vec::new(), Compression::fast());
        whole.write_all(&plain).unwrap();
        for bytes in [bytes, plain, whole.finish().unwrap()] {
            let events = read_all(&bytes);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let mut reader = Reader::open(file.path(), 1 << 20).unwrap();
            for event in events.iter().rev() {
                let Event::Record(record) = event else { panic!() };
                reader.seek(record.location).unwrap();
                let Some(Event::Record(again)) = reader.next().unwrap() else { panic!() };
                assert_eq!((again.location, again.body), (record.location, record.body.clone()));
            }
        }
    }

    #[test]
    fn arc_records() {
        let block = "HTTP/1.1 200 OK\r\n\r\n<p>";
        let arc = format!(
            "filedesc://x.arc 0.0.0.0 20080430204825 text/plain 6\n1 0 X\n\nhttp://a.example/ 1.2.3.4 20080430204826 text/html {}\n{block}\n",
            block.len()
        );
        let events = read_all(arc.as_bytes());
        let Event::Record(record) = &events[1] else { panic!("{events:?}") };
        assert_eq!((record.kind, record.target()), (Kind::Response, Some("http://a.example/")));
        assert_eq!(record.body, block.as_bytes());
    }

    #[test]
    fn a_block_over_the_limit_is_cut_and_the_next_read() {
        let (bytes, _) = archive(&["a long block", "two"]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let mut reader = Reader::open(file.path(), 6).unwrap();
        let Some(Event::Record(first)) = reader.next().unwrap() else { panic!() };
        assert_eq!((first.body.as_slice(), first.is_cut()), (&b"a long"[..], true));
        let Some(Event::Record(second)) = reader.next().unwrap() else { panic!() };
        assert_eq!(second.body, b"two");
    }

    fn to_other_threads<T: Send>(_: T) {}

    #[test]
    fn readers_and_writers_go_to_other_threads() {
        to_other_threads(Writer::new(Vec::new(), 0));
        to_other_threads(Reader::open(tempfile::NamedTempFile::new().unwrap().path(), 1).unwrap());
    }

    proptest::proptest! {
        #[test]
        fn any_records_come_back(
            records in proptest::collection::vec((0..7_usize, ".*", "[A-Za-z-]{1,9}", "[^\\x00-\\x20\\x7f]*", proptest::prelude::any::<Vec<u8>>()), 0..9),
            level in 0..14_u32,
        ) {
            const KINDS: [(&str, Kind); 7] = [
                ("response", Kind::Response),
                ("request", Kind::Request),
                ("metadata", Kind::Metadata),
                ("revisit", Kind::Revisit),
                ("resource", Kind::Resource),
                ("warcinfo", Kind::Warcinfo),
                ("conversion", Kind::Conversion),
            ];
            let date = Date::from_seconds(7);
            let mut writer = Writer::new(Vec::new(), 0).with_level(level);
            let mut offsets = Vec::new();
            for (kind, target, name, value, block) in &records {
                let headers = [(name.as_str(), value.as_str()), ("X1", target.as_str())];
                let record = NewRecord {
                    kind: KINDS[*kind].0,
                    target: Some(target),
                    date: &date,
                    content_type: "text/plain",
                    headers: &headers,
                    block,
                    payload_start: Some(block.len() / 2),
                };
                offsets.push(writer.write(&record).unwrap());
                proptest::prop_assert_eq!(writer.last_record_id(), record_id(&record));
            }
            let events = read_all(&writer.into_inner());
            proptest::prop_assert_eq!(events.len(), records.len());
            for ((event, offset), (kind, target, name, value, block)) in events.iter().zip(offsets).zip(&records) {
                let Event::Record(record) = event else { panic!("{event:?}") };
                proptest::prop_assert_eq!((record.kind, record.location.offset), (KINDS[*kind].1, offset));
                proptest::prop_assert_eq!(&record.body, block);
                let line = target.replace(['\r', '\n'], "");
                proptest::prop_assert_eq!(record.header("x1"), Some(line.trim()));
                proptest::prop_assert!(record.headers.iter().any(|field| field == (name.as_str(), value.trim())));
                let halves = (payload_digest(block), payload_digest(&block[block.len() / 2..]));
                proptest::prop_assert_eq!(record.header("WARC-Block-Digest"), Some(halves.0.as_str()));
                proptest::prop_assert_eq!(record.header("WARC-Payload-Digest"), Some(halves.1.as_str()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, gz: bool) {
            let bytes = if gz { [&[0x1f, 0x8b, 8][..], &bytes].concat() } else { bytes };
            read_all(&bytes);
        }
    }
}
