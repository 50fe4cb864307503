//! A dump of any compression is read to its end or its fault; each record and its URL, too.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use links::dump::{Line, Lines};
use links::{Canonical, Submission};

fuzz_target!(|bytes: &[u8]| {
    check_record(bytes);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    let Ok(mut lines) = Lines::open(file.path(), 1 << 16) else { return };
    while let Ok(Some((_, line))) = lines.next() {
        match line {
            Line::Whole(line) => {
                assert!(line.len() <= 1 << 16, "a line over the limit");
                check_record(line);
            }
            Line::TooLong(len_bytes) => {
                assert!(len_bytes > 1 << 16, "a short line called too long")
            }
        }
    }
});

fn check_record(line: &[u8]) {
    let Ok(submission) = Submission::parse(line) else { return };
    let Ok(canonical) = Canonical::parse(&submission.url) else { return };
    // The canonical URL is one, and is its own.
    let again = Canonical::parse(&canonical.url).expect("a canonical URL parses");
    assert_eq!((again.url, again.key), (canonical.url, canonical.key));
}
