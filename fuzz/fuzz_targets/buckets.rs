//! Any bytes as a bucket file: rows or an error, and no memory by a length that the file claims.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use store::buckets::BucketReader;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    for bucket in 0..2 {
        let Ok(rows) = BucketReader::<String>::open(file.path(), bucket) else { return };
        // After an error there is nothing more to ask for.
        for row in rows {
            if row.is_err() {
                break;
            }
        }
    }
});
