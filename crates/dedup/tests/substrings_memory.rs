//! The limit on memory holds. A program of its own with one test: what others allocate must not be counted.

#![allow(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]

use dedup::substrings::{Copies, SequenceUnit, SubstringSettings, Substrings};
use xxhash_rust::xxh3::xxh3_64;

const LIMIT_BYTES: u64 = 4 << 20;
/// Buffers of two threads, and what the allocator keeps of memory that was freed.
const BESIDE_BYTES: u64 = 4 << 20;
const DOCUMENTS: u64 = 8_000;
const DOCUMENT_BYTES: u64 = 1000;

#[test]
fn memory_has_a_limit() {
    let settings = SubstringSettings {
        unit: SequenceUnit::Byte,
        min_units: 100,
        copies: Copies::Later,
        max_memory_bytes: LIMIT_BYTES,
        threads: 2,
    };
    let before = peak_bytes();
    let mut corpus = Substrings::new(&std::env::temp_dir(), settings).unwrap();
    for number in 0..DOCUMENTS {
        // Each document occurs twice, so all of the text has to be sorted.
        let letter = |at: u64| xxh3_64(&(number % (DOCUMENTS / 2) * DOCUMENT_BYTES + at).to_le_bytes()) as u8;
        corpus.push(&(0..DOCUMENT_BYTES).map(letter).collect::<Vec<u8>>()).unwrap();
    }
    let repeats = corpus.find().unwrap();
    assert_eq!(repeats.counts().candidate_bytes, DOCUMENTS * DOCUMENT_BYTES);
    for (number, spans) in repeats.enumerate() {
        let expected = if (number as u64) < DOCUMENTS / 2 { vec![] } else { vec![0..DOCUMENT_BYTES] };
        assert_eq!(spans.unwrap(), expected);
    }
    let used = peak_bytes() - before;
    assert!(used < LIMIT_BYTES + BESIDE_BYTES, "{used} bytes");
}

/// The most memory that the process has had, as Linux counts it.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") << 10
}
