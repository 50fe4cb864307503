//! A dump of any compression is read to its end or its fault; each record and its URL, too. Parquet is left out, as in
//! `texts`.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use links::{Canonical, DumpError, Submission, SubmissionRules, read_dump};
use texts::{Line, Lines, decompress};

const MAX_RECORD_BYTES: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    check_record(bytes);
    check_lines(bytes);
    if bytes.starts_with(b"PAR1") {
        return;
    }
    let _ = read_dump::<DumpError>(Cursor::new(bytes.to_vec()), "dump", &rules(), MAX_RECORD_BYTES, |_| Ok(()));
});

fn rules() -> SubmissionRules {
    SubmissionRules {
        drop_over_18: true,
        from: None,
        before: None,
        drop_domains: Default::default(),
        drop_extensions: Default::default(),
        max_url_bytes: 2048,
    }
}

fn check_lines(bytes: &[u8]) {
    let Ok(reader) = decompress(Cursor::new(bytes.to_vec())) else { return };
    let mut lines = Lines::new(reader, MAX_RECORD_BYTES);
    while let Ok(Some((_, line))) = lines.next() {
        match line {
            Line::Whole(line) => {
                assert!(line.len() <= MAX_RECORD_BYTES, "a line over the limit");
                check_record(line);
            }
            Line::TooLong(len_bytes) => {
                assert!(len_bytes > MAX_RECORD_BYTES as u64, "a short line called too long")
            }
        }
    }
}

fn check_record(line: &[u8]) {
    let Ok(submission) = Submission::parse(line) else { return };
    let Ok(canonical) = Canonical::parse(&submission.url) else { return };
    // The canonical URL is one, and is its own.
    let again = Canonical::parse(&canonical.url).expect("a canonical URL parses");
    assert_eq!((again.url, again.key), (canonical.url, canonical.key));
}
