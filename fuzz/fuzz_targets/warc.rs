//! Any file walks through the archive reader to its end, and no block passes the limit.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use warc::{Event, Reader};

const LIMIT_BYTES: u64 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    let Ok(mut reader) = Reader::open(file.path(), LIMIT_BYTES) else { return };
    // A reader that stands still is found by libFuzzer's -timeout.
    while let Ok(Some(event)) = reader.next() {
        if let Event::Record(record) = event {
            assert!(record.body.len() as u64 <= LIMIT_BYTES, "a block over the limit");
            let _ = record.target();
        }
    }
});
