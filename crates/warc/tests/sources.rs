//! An archive is the same whatever it is read from: a file, memory, or a source that gives one byte at a time.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod one_byte;

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use one_byte::OneByte;
use proptest::prelude::*;
use warc::{Checksum, Date, Event, NewRecord, Reader, RecordFault, Writer};
use xxhash_rust::xxh3::xxh3_64;

const MAX_BLOCK_BYTES: u64 = 1 << 20;

fn read(mut reader: Reader) -> (Vec<Event>, Checksum) {
    let mut events = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        events.push(event);
    }
    (events, reader.finish().unwrap())
}

/// Reads the archive from each source; all must give the same events and the checksum of its bytes.
fn check(bytes: &[u8]) -> Vec<Event> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let (events, checksum) = read(Reader::open(file.path(), MAX_BLOCK_BYTES).unwrap());
    assert_eq!(checksum, Checksum { len_bytes: bytes.len() as u64, xxh3: xxh3_64(bytes) });
    let memory = Cursor::new(bytes.to_vec());
    let from_memory = read(Reader::new(memory.clone(), "memory".into(), MAX_BLOCK_BYTES).unwrap());
    assert!(from_memory == (events.clone(), checksum), "{events:?}\nfrom memory: {from_memory:?}");
    let from_one_byte = read(Reader::new(OneByte(memory), "one byte".into(), MAX_BLOCK_BYTES).unwrap());
    assert!(from_one_byte == (events.clone(), checksum), "{events:?}\nbyte by byte: {from_one_byte:?}");
    events
}

fn gzip_members(blocks: &[Vec<u8>]) -> Vec<u8> {
    let date = Date::epoch();
    let mut writer = Writer::new(Vec::new(), 0);
    for block in blocks {
        writer
            .write(&NewRecord {
                kind: "resource",
                target: Some("https://a.example/"),
                date: &date,
                content_type: "text/plain",
                headers: &[],
                block,
                payload_start: None,
            })
            .unwrap();
    }
    writer.into_inner()
}

fn plain(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&gzip_members(blocks)[..]).read_to_end(&mut plain).unwrap();
    plain
}

fn one_gzip_member(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain(blocks)).unwrap();
    encoder.finish().unwrap()
}

/// Frames that end anywhere, each of zstd blocks of a few bytes.
fn zstd_frames(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = Vec::new();
    for part in plain(blocks).chunks(300) {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        for few in part.chunks(3) {
            encoder.write_all(few).unwrap();
            encoder.flush().unwrap();
        }
        frames.extend(encoder.finish().unwrap());
    }
    frames
}

fn arc(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 6\n1 0 X\n\n".to_vec();
    for block in blocks {
        let len = block.len();
        archive.extend(format!("http://a.example/ 192.0.2.1 20080430204826 text/html {len}\n").bytes());
        archive.extend_from_slice(block);
        archive.push(b'\n');
    }
    archive
}

fn body(event: Event) -> Vec<u8> {
    match event {
        Event::Record(record) => record.body,
        Event::Malformed { location, fault } => panic!("{location:?}: {fault}"),
    }
}

/// What the block of a large record is made of: too many bytes for one read, compressible by half.
fn long_block(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 28) as u8 + b'a').collect()
}

#[test]
fn every_coding_from_every_source() {
    let blocks = [b"one".to_vec(), Vec::new(), long_block(400_000), b"four\r\n\r\nWARC/1.0 inside".to_vec()];
    for archive in [gzip_members, plain, one_gzip_member, zstd_frames, arc] {
        let events = check(&archive(&blocks));
        let bodies: Vec<Vec<u8>> = events.into_iter().map(body).collect();
        // An ARC archive begins with a record about itself.
        assert!(bodies.ends_with(&blocks), "{} records", bodies.len());
    }
}

#[test]
fn an_arc_without_a_record_about_itself_and_with_spaces_in_types() {
    let block = b"http/1.0 200 OK\n\n<p>";
    let mut archive = Vec::new();
    for types in ["text/html, text/plain", "text/html", "text/html; charset=utf-8"] {
        let len = block.len();
        archive.extend(format!("http://a.example/x y 192.0.2.1 20120115000000 {types} {len}\n").bytes());
        archive.extend_from_slice(block);
        archive.extend_from_slice(b"\n\nno record\n");
    }
    let events = check(&archive);
    let records: Vec<_> =
        events.iter().filter_map(|e| if let Event::Record(record) = e { Some(record) } else { None }).collect();
    assert_eq!((records.len(), events.len()), (3, 6), "{events:?}");
    for record in records {
        assert_eq!((record.kind, record.target()), (warc::Kind::Response, Some("http://a.example/x y")));
        assert_eq!(record.captured_utc(), Some(1_326_585_600));
        assert_eq!(record.body, block);
    }
}

fn zip_of(entries: &[(&str, &[u8], zip::CompressionMethod)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, method) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(*method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn archives_in_a_zip_are_read_in_place_one_after_the_other() {
    let blocks = [b"one".to_vec(), long_block(400_000), b"three".to_vec()];
    let (gzip, plain, zstd) = (gzip_members(&blocks), plain(&blocks), zstd_frames(&blocks[..1]));
    let stored = zip::CompressionMethod::Stored;
    let file = zip_of(&[
        ("datapackage.json", b"{\"profile\": \"data-package\"}", stored),
        ("archive/empty.warc", b"", stored),
        ("archive/a.warc.gz", &gzip, stored),
        ("indexes/index.cdx", b"WARC/1.0 is no record here", stored),
        ("archive/B.WARC", &plain, stored),
        ("archive/c.warc.zst", &zstd, stored),
        ("archive/d.warc.gz", &gzip, stored),
    ]);
    let events = check(&file);
    let bodies: Vec<Vec<u8>> = events.iter().cloned().map(body).collect();
    assert!(bodies == [&blocks[..], &blocks, &blocks[..1], &blocks].concat(), "{} records", bodies.len());
    // A place is one of the whole file: it is found in any order.
    let mut reader = Reader::new(Cursor::new(file), "memory".into(), MAX_BLOCK_BYTES).unwrap();
    for event in events.iter().rev() {
        let Event::Record(record) = event else { panic!("{event:?}") };
        reader.seek(record.location).unwrap();
        assert_eq!(reader.next().unwrap().as_ref(), Some(event));
    }
}

#[test]
fn a_zip_whose_archives_have_no_places_is_named() {
    let open = |bytes: Vec<u8>| Reader::new(Cursor::new(bytes), "a.wacz".into(), MAX_BLOCK_BYTES);
    let fault = |bytes: Vec<u8>| format!("{:?}", open(bytes).err().expect("it has no archive").source);
    let whole = zip_of(&[("notes.txt", b"nothing", zip::CompressionMethod::Stored)]);
    assert!(fault(whole[..whole.len() - 9].to_vec()).contains("the ZIP file is damaged"));
    let Some(Event::Malformed { fault, .. }) = open(whole).unwrap().next().unwrap() else { panic!("no archive") };
    assert_eq!(fault, RecordFault::ZipFile);
}

#[test]
fn a_length_that_reaches_into_the_next_record_is_cut_there() {
    let blocks = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
    let lie = |archive: Vec<u8>, len: &str, wrong: &str| {
        String::from_utf8(archive).unwrap().replacen(len, wrong, 1).into_bytes()
    };
    let warc = lie(plain(&blocks), "Content-Length: 3\r\n", "Content-Length: 300\r\n");
    let arc = lie(arc(&blocks), "text/html 3\n", "text/html 40\n");
    for archive in [warc, arc] {
        let bodies: Vec<Vec<u8>> = check(&archive).into_iter().map(body).collect();
        assert!(bodies.ends_with(&blocks), "{bodies:?}");
    }
    // A record that is part of a page is none of the archive.
    let quoting = [[plain(&blocks), b"the end".to_vec()].concat(), b"behind".to_vec()];
    let bodies: Vec<Vec<u8>> = check(&plain(&quoting)).into_iter().map(body).collect();
    assert_eq!(bodies, quoting);
}

#[test]
fn a_record_that_claims_too_much_ends_at_the_next_however_small_its_parts_are() {
    let record = "WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n";
    let mut archive = zstd::encode_all(record.replace(": 3", ": 9").as_bytes(), 1).unwrap();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for byte in record.bytes() {
        encoder.write_all(&[byte]).unwrap();
        encoder.flush().unwrap();
    }
    archive.extend(encoder.finish().unwrap());
    let events = check(&archive);
    let bodies: Vec<Vec<u8>> = events.into_iter().map(body).collect();
    assert_eq!(bodies, [b"abc", b"abc"]);
}

#[test]
fn what_there_is_of_a_last_record_is_read() {
    let blocks = [b"one".to_vec(), b"two, which is longer".to_vec()];
    let whole = plain(&blocks);
    let cut = &whole[..whole.len() - 10];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(cut).unwrap();
    for archive in [cut.to_vec(), encoder.finish().unwrap()] {
        let events = check(&archive);
        let [Event::Record(first), Event::Record(last)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&first.body[..], first.fault()), (&b"one"[..], None));
        assert_eq!((&last.body[..], last.fault()), (&b"two, which is "[..], Some(RecordFault::ArchiveTruncated)));
    }
}

#[test]
fn holes_and_marks_are_no_records() {
    let block = b"one".to_vec();
    let hole = vec![0; 100_000];
    let lines = b"\r\n".repeat(5_000);
    for gap in [&hole, &lines, &b"\n".repeat(4093)] {
        let record = plain(std::slice::from_ref(&block));
        let archive = ["\u{feff}".as_bytes(), &record, gap, &record, gap].concat();
        let bodies: Vec<Vec<u8>> = check(&archive).into_iter().map(body).collect();
        assert_eq!(bodies, [block.clone(), block.clone()]);
    }
}

#[test]
fn a_reader_that_stopped_early_or_jumped_finishes_with_the_same_checksum() {
    let bytes = gzip_members(&[b"one".to_vec(), long_block(900_000), long_block(700_000), b"four".to_vec()]);
    let events = check(&bytes);
    let expected = Checksum { len_bytes: bytes.len() as u64, xxh3: xxh3_64(&bytes) };
    let open = || Reader::new(Cursor::new(bytes.clone()), "memory".into(), MAX_BLOCK_BYTES).unwrap();
    assert_eq!(open().finish().unwrap(), expected);
    for event in &events {
        let Event::Record(record) = event else { panic!("{event:?}") };
        let mut reader = open();
        reader.seek(record.location).unwrap();
        assert_eq!(reader.next().unwrap().as_ref(), Some(event));
        assert_eq!(reader.finish().unwrap(), expected);
    }
}

/// A source that fails from a byte on, with an error like those of HTTP clients: without a number of the system's.
struct Broken {
    bytes: Cursor<Vec<u8>>,
    kind: io::ErrorKind,
    whole_bytes: u64,
}

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.whole_bytes.saturating_sub(self.bytes.position());
        if left == 0 {
            return Err(io::Error::new(self.kind, "status 503"));
        }
        let len = buffer.len().min(left as usize);
        self.bytes.read(&mut buffer[..len])
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn what_fails_in_the_source_is_no_damage_of_the_archive() {
    let blocks = [b"one".to_vec(), long_block(900_000)];
    for kind in [io::ErrorKind::Other, io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData] {
        for archive in [gzip_members, plain, one_gzip_member, zstd_frames] {
            let bytes = archive(&blocks);
            let whole_bytes = bytes.len() as u64 / 2;
            let source = Broken { bytes: Cursor::new(bytes), kind, whole_bytes };
            let mut reader = Reader::new(source, "https://a.example/x.warc".into(), MAX_BLOCK_BYTES).unwrap();
            let error = loop {
                match reader.next() {
                    Ok(event) => assert_eq!(event.map(body).as_ref(), blocks.first()),
                    Err(error) => break error,
                }
            };
            assert_eq!((error.archive.as_str(), error.source.kind()), ("https://a.example/x.warc", kind));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_archives_from_every_source(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 1..5),
        coding in 0..5_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = [gzip_members, plain, one_gzip_member, zstd_frames, arc][coding](&blocks);
        for (place, by) in damage {
            let place = place.index(bytes.len());
            bytes[place] ^= by;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes);
    }
}
