//! WARC/1.1 records, one gzip member each, in the form that every validator accepts.

use std::io::{self, Write};

use data_encoding::BASE32;
use flate2::{Compression, GzBuilder};
use sha1::{Digest, Sha1};

/// A moment as WARC writes it: `2017-12-31T23:59:59Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Date(pub String);

impl Date {
    /// The date of records that have none of their own, such as pages packed from a folder of files.
    pub fn epoch() -> Date {
        Date::from_seconds(0)
    }

    /// The moment `seconds` after 1970 (UTC).
    pub fn from_seconds(seconds: u64) -> Date {
        let days = (seconds / 86_400) as i64;
        // Civil from days, Howard Hinnant's algorithm.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let rest = seconds % 86_400;
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        Date(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// `WARC-Type`.
    pub kind: &'a str,
    /// `WARC-Target-URI`; none for `warcinfo`.
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

/// Writes records to any sink.
pub struct Writer<W> {
    sink: W,
    offset: u64,
}

impl<W: Write> Writer<W> {
    /// A writer whose first record will be at `offset` of the file.
    pub fn new(sink: W, offset: u64) -> Writer<W> {
        Writer { sink, offset }
    }

    /// Where the next record will begin.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes one record and returns the offset at which it begins.
    ///
    /// The same record gives the same bytes: its id is made from its content.
    pub fn write(&mut self, record: &NewRecord<'_>) -> io::Result<u64> {
        let mut head = String::from("WARC/1.1\r\n");
        let mut field = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            // A line end inside a value would begin a new field.
            head.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n')));
            head.push_str("\r\n");
        };
        field("WARC-Type", record.kind);
        field("WARC-Record-ID", &record_id(record));
        field("WARC-Date", &record.date.0);
        if let Some(target) = record.target {
            field("WARC-Target-URI", target);
        }
        for (name, value) in record.headers {
            field(name, value);
        }
        field("WARC-Block-Digest", &digest(record.block));
        if let Some(start) = record.payload_start {
            field("WARC-Payload-Digest", &digest(&record.block[start..]));
        }
        field("Content-Type", record.content_type);
        field("Content-Length", &record.block.len().to_string());
        head.push_str("\r\n");
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(6));
        encoder.write_all(head.as_bytes())?;
        encoder.write_all(record.block)?;
        encoder.write_all(b"\r\n\r\n")?;
        let member = encoder.finish()?;
        self.sink.write_all(&member)?;
        let at = self.offset;
        self.offset += member.len() as u64;
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

/// `WARC-Record-ID`: a UUID (version 8, RFC 9562) made from what the record says.
pub fn record_id(record: &NewRecord<'_>) -> String {
    let mut hasher = Sha1::new();
    for part in [record.kind, record.target.unwrap_or(""), &record.date.0, record.content_type] {
        hasher.update(part);
        hasher.update([0]);
    }
    hasher.update(record.block);
    let mut id: [u8; 16] = hasher.finalize()[..16].try_into().expect("SHA-1 has twenty bytes");
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&id);
    format!("<urn:uuid:{}-{}-{}-{}-{}>", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `WARC-Payload-Digest` of these bytes, as [`Writer::write`] gives it to a payload.
pub fn payload_digest(bytes: &[u8]) -> String {
    digest(bytes)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
            Event::Malformed { what, .. } => format!("! {what}"),
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
            assert_eq!((record.location.offset, record.location.within), (offset, 0));
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

    #[test]
    fn dates() {
        assert_eq!(Date::from_seconds(0).0, "1970-01-01T00:00:00Z");
        assert_eq!(Date::from_seconds(951_827_696).0, "2000-02-29T12:34:56Z");
        assert_eq!(Date::from_seconds(1_514_764_799).0, "2017-12-31T23:59:59Z");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, gz: bool) {
            let bytes = if gz { [&[0x1f, 0x8b, 8][..], &bytes].concat() } else { bytes };
            read_all(&bytes);
        }
    }
}
