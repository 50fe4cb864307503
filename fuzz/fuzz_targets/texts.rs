//! Any bytes as a file of texts of each kind, told by its name or by its content: documents or an error, the same
//! whether whole or in pieces, and any bytes as a file of word counts.
//!
//! Parquet is left out: its library panics at some damage, which `texts` makes errors of, and libFuzzer stops at the
//! panic. A property test of `texts` damages tables.
#![no_main]

use bpe::counts::read_words;
use bpe::input::{InputOptions, WholeDocuments};
use texts::{DocumentOptions, RowReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["a.jsonl", "a.txt"] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("room for the input");
        for lossy in [false, true] {
            let options = InputOptions::default().with_separator("|").with_lossy(lossy).with_max_line_bytes(1 << 16);
            let Ok(documents) = WholeDocuments::open(&path, &options) else { continue };
            let documents: Result<Vec<String>, _> = documents.take(10_000).collect();
            let is_packed = matches!(bytes, [0x1f, 0x8b, ..] | [0x28, 0xb5, ..] | [0x50..=0x5f, 0x2a, ..])
                || bytes.starts_with(b"BZh")
                || bytes.starts_with(b"\xfd7z");
            if let (true, Ok(documents)) = (name == "a.txt" && !lossy && !is_packed, documents) {
                let text = std::str::from_utf8(bytes).expect("invalid UTF-8 is an error");
                let mut expected: Vec<&str> = text.split('|').collect();
                if expected.last() == Some(&"") {
                    expected.pop();
                }
                assert!(documents == expected || documents.len() == 10_000, "documents are lost or made up");
            }
        }
    }
    if !bytes.starts_with(b"PAR1") {
        let options = || DocumentOptions::default().with_max_text_bytes(1 << 16);
        let source = || std::io::Cursor::new(bytes.to_vec());
        let documents = texts::Documents::open(source(), options());
        let rows = RowReader::open(source(), options());
        assert_eq!(documents.is_ok(), rows.is_ok(), "one of the two readers takes what the other refuses");
        documents.into_iter().flatten().take(10_000).for_each(drop);
        rows.into_iter().flatten().take(10_000).for_each(drop);
    }
    if let Ok(words) = read_words(bytes) {
        assert!(words.into_sorted().iter().all(|(word, count)| !word.is_empty() && *count > 0));
    }
});
