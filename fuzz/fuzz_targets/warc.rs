//! Any bytes can be read as an archive to their end, no block passes the limit, the last record is found again at its
//! location, and the checksum does not depend on what was read.
//!
//! The first byte says what the rest is: an archive as it is, or the plain text of one that is compressed here, so that
//! records behind gzip, zstd and a zstd dictionary are reached, too.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use warc::{Event, Reader};

const MAX_BLOCK_BYTES: u64 = 1 << 16;

fn archive_of(bytes: &[u8]) -> Vec<u8> {
    let Some((&coding, rest)) = bytes.split_first() else { return Vec::new() };
    let framed = |magic: u32, content: &[u8]| {
        let mut frame = magic.to_le_bytes().to_vec();
        frame.extend_from_slice(&(content.len() as u32).to_le_bytes());
        frame.extend_from_slice(content);
        frame
    };
    // A byte 0xff ends a member.
    let members = rest.split(|&byte| byte == 0xff);
    match coding % 6 {
        0 => rest.to_vec(),
        1 => [b"filedesc://x 0.0.0.0 20080430204825 text/plain 4\n1 0\n".as_slice(), rest].concat(),
        2 => members.flat_map(gzip).collect(),
        3 => members.flat_map(|part| zstd::encode_all(part, 1).expect("zstd takes any bytes")).collect(),
        4 => [framed(0x184D_2A5D, &rest[..rest.len() / 2]), rest[rest.len() / 2..].to_vec()].concat(),
        _ => {
            let (dictionary, rest) = rest.split_at(rest.len() / 2);
            let mut file = framed(0x184D_2A5D, &zstd::encode_all(dictionary, 1).expect("zstd takes any bytes"));
            let Ok(mut compressor) = zstd::bulk::Compressor::with_dictionary(1, dictionary) else { return file };
            for part in rest.split(|&byte| byte == 0xff) {
                file.extend_from_slice(&compressor.compress(part).unwrap_or_default());
            }
            file
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes any bytes")
}

fuzz_target!(|bytes: &[u8]| {
    let archive = archive_of(bytes);
    let open = || Reader::new(Cursor::new(archive.clone()), "fuzzed".into(), MAX_BLOCK_BYTES);
    let Ok(mut reader) = open() else { return };
    let mut last = None;
    // A reader that stands still is found by libFuzzer's -timeout.
    while let Some(event) = reader.next().expect("memory can be read") {
        if let Event::Record(record) = event {
            assert!(record.body.len() as u64 <= MAX_BLOCK_BYTES, "a block over the limit");
            let _ = record.target();
            last = Some(record);
        }
    }
    if let Some(record) = last {
        let location = record.location;
        reader.seek(location).expect("a location that was given can be sought");
        let again = reader.next().expect("memory can be read");
        assert_eq!(again, Some(Event::Record(record)), "another record at {location:?}");
    }
    let unread = open().and_then(Reader::finish).expect("memory can be read");
    assert_eq!(reader.finish().expect("memory can be read"), unread);
    assert_eq!(unread.len_bytes, archive.len() as u64);
});
