//! Zstandard archives: one frame per record, with or without a dictionary in the first frame.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::io::Write;

use warc::{Event, Reader, Record, RecordFault};

/// Records of pages that have much in common, as a site's pages do.
fn records() -> Vec<String> {
    let record = |n: usize| {
        let page = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<!DOCTYPE html><title>Page {n}</title>\
             <nav><a href=/>Home</a><a href=/about>About</a></nav><p>The text of page {n} is {}.",
            n * n
        );
        format!(
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: https://a.example/{n}\r\nContent-Length: {}\r\n\r\n{page}\r\n\r\n",
            page.len()
        )
    };
    (0..200).map(record).collect()
}

fn archive(dictionary: &[u8], dictionary_frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !dictionary_frame.is_empty() {
        bytes.extend_from_slice(&0x184D_2A5D_u32.to_le_bytes());
        bytes.extend_from_slice(&(dictionary_frame.len() as u32).to_le_bytes());
        bytes.extend_from_slice(dictionary_frame);
    }
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap();
    compressor.include_checksum(true).unwrap();
    for record in records() {
        bytes.extend_from_slice(&compressor.compress(record.as_bytes()).unwrap());
    }
    bytes
}

fn events(bytes: &[u8]) -> (tempfile::NamedTempFile, Vec<Event>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut reader = Reader::open(file.path(), 1 << 20).unwrap();
    let mut events = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        events.push(event);
    }
    (file, events)
}

/// Reads the records in order, and then each from its place, backwards.
fn check(bytes: &[u8]) {
    let (file, events) = events(bytes);
    let read: Vec<&Record> = events
        .iter()
        .map(|event| match event {
            Event::Record(record) => record,
            Event::Malformed { .. } => panic!("{event:?}"),
        })
        .collect();
    let expected = records();
    assert_eq!(read.len(), expected.len());
    let mut again = Reader::open(file.path(), 1 << 20).unwrap();
    for (record, text) in read.iter().zip(&expected).rev() {
        assert!(text.as_bytes().ends_with(&[&record.body[..], b"\r\n\r\n"].concat()));
        again.seek(record.location).unwrap();
        let Some(Event::Record(same)) = again.next().unwrap() else { panic!("no record at {:?}", record.location) };
        assert_eq!((same.target(), &same.body, same.location), (record.target(), &record.body, record.location));
    }
}

fn trained() -> Vec<u8> {
    zstd::dict::from_samples(&records(), 4 << 10).unwrap()
}

#[test]
fn frames_without_a_dictionary() {
    check(&archive(&[], &[]));
}

#[test]
fn a_record_may_have_many_frames() {
    let mut bytes = Vec::new();
    for record in records() {
        let parts = record.as_bytes().chunks(record.len() / 3);
        for part in parts {
            bytes.extend_from_slice(&zstd::encode_all(part, 3).unwrap());
        }
        // An extension frame may follow any.
        bytes.extend_from_slice(&[0x51, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x']);
    }
    check(&bytes);
}

#[test]
fn a_record_that_claims_too_much_ends_where_the_next_begins() {
    let mut bytes = Vec::new();
    for (n, record) in records().into_iter().enumerate() {
        let record = if n == 7 { record.replace("Content-Length: ", "Content-Length: 9") } else { record };
        bytes.extend_from_slice(&zstd::encode_all(record.as_bytes(), 3).unwrap());
    }
    let (_, events) = events(&bytes);
    assert_eq!(events.len(), records().len());
    let Event::Record(lie) = &events[7] else { panic!("{:?}", events[7]) };
    assert!(lie.has_wrong_length && lie.body.ends_with(b"49."));
    assert!(events.iter().all(|event| matches!(event, Event::Record(_))));
}

#[test]
fn a_dictionary_as_it_is() {
    let dictionary = trained();
    check(&archive(&dictionary, &dictionary));
}

#[test]
fn a_compressed_dictionary() {
    let dictionary = trained();
    check(&archive(&dictionary, &zstd::encode_all(&dictionary[..], 19).unwrap()));
}

#[test]
fn a_dictionary_of_mere_content() {
    let content = records()[..20].concat();
    check(&archive(content.as_bytes(), content.as_bytes()));
}

#[test]
fn other_skippable_frames_are_skipped() {
    let mut bytes = archive(&[], &[]);
    bytes.splice(0..0, [0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'x', b'y', b'z']);
    check(&bytes);
}

#[test]
fn a_missing_or_torn_dictionary_is_named() {
    let dictionary = trained();
    let coded = zstd::encode_all(&dictionary[..], 19).unwrap();
    for frame in [&[][..], &coded[..coded.len() / 2], &dictionary[..dictionary.len() / 2]] {
        let (_, events) = events(&archive(&dictionary, frame));
        let Some(Event::Malformed { fault: RecordFault::Compression(what), .. }) = events.first() else {
            panic!("{:?}", events.first())
        };
        println!("{what}");
        assert!(what.contains("ictionary") || what.contains("corrupt"), "{what}");
    }
}

#[test]
fn damage_in_a_frame_is_named_and_the_rest_read() {
    let dictionary = trained();
    let mut bytes = archive(&dictionary, &dictionary);
    let (_, before) = events(&bytes);
    let Event::Record(tenth) = &before[10] else { panic!() };
    bytes[tenth.location.offset as usize + 20] ^= 0xff;
    let (_, after) = events(&bytes);
    let records = after.iter().filter(|event| matches!(event, Event::Record(_))).count();
    assert!((before.len() - 2..before.len()).contains(&records), "{records} of {}", before.len());
    assert!(after.iter().any(|event| matches!(event, Event::Malformed { .. })));
}
