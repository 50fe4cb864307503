//! `bpe encode --shard-tokens`: shards of one length, cut in documents, with the tokens of the one file.

mod common;

use std::fs;
use std::path::Path;

use common::run;

/// Documents of every length around that of a shard, empty ones among them, and one of many shards.
fn write_texts(folder: &Path) {
    let lengths = [0, 1, 6, 7, 8, 13, 14, 15, 0, 0, 700, 3, 40_000, 5];
    let rows = lengths.map(|words| format!("{{\"text\":\"{}\"}}\n", "one ".repeat(words).trim_end()));
    fs::write(folder.join("a.jsonl"), rows.concat()).expect("room");
    fs::write(folder.join("b.txt"), "two ".repeat(300_000)).expect("room");
}

const HEADER_BYTES: usize = 1024;

fn offsets(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).expect("it was written");
    bytes.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().expect("eight bytes"))).collect()
}

/// Encodes into one file and into shards, and compares tokens and the places where documents begin.
fn check(format: &str, shard_tokens: usize, threads: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    write_texts(folder.path());
    let inputs = ["encode", "a.jsonl", "b.txt", "--format", format, "--json", "-q", "--threads", threads];
    run(folder.path(), &[&inputs[..], &["-o", "whole.bin"]].concat(), b"").expect("it succeeds");
    let tokens = shard_tokens.to_string();
    let flags = ["-o", "out/of.bin", "--shard-tokens", &tokens];
    let summary = run(folder.path(), &[&inputs[..], &flags].concat(), b"").expect("it succeeds");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");

    let header_bytes = if format == "llmc" { HEADER_BYTES } else { 0 };
    let whole = fs::read(folder.path().join("whole.bin")).expect("it was written");
    let (mut joined, mut begins) = (Vec::new(), Vec::new());
    let shards = whole[header_bytes..].len().div_ceil(2 * shard_tokens);
    for number in 0..shards {
        let name = format!("out/of-{number:05}.bin");
        let shard = fs::read(folder.path().join(&name)).expect("it was written");
        let ids = &shard[header_bytes..];
        assert!(ids.len() == 2 * shard_tokens || number + 1 == shards && !ids.is_empty(), "{name}");
        if format == "llmc" {
            assert_eq!(shard[8..12], ((ids.len() / 2) as u32).to_le_bytes(), "{name}");
            assert_eq!((&shard[..8], &shard[12..header_bytes]), (&whole[..8], &whole[12..header_bytes]));
        }
        let places = offsets(&folder.path().join(format!("{name}.offsets")));
        let (last, places) = places.split_last().expect("the number of tokens");
        assert_eq!(*last, (ids.len() / 2) as u64);
        begins.extend(places.iter().map(|place| (joined.len() / 2) as u64 + place));
        joined.extend_from_slice(ids);
    }
    assert!(joined == whole[header_bytes..], "{format} {shard_tokens}");
    let expected = offsets(&folder.path().join("whole.bin.offsets"));
    assert_eq!(begins, expected[..expected.len() - 1]);
    assert_eq!(fs::read_dir(folder.path().join("out")).expect("a folder").count(), 2 * shards, "nothing else is left");
    assert_eq!((&summary["shards"], &summary["documents"]), (&shards.into(), &15.into()));
}

#[test]
fn shards_have_the_tokens_of_the_one_file() {
    for threads in ["1", "3"] {
        check("nanogpt", 5_000, threads);
        check("llmc", 4_096, threads);
        check("llmc", 1_000_000, threads);
    }
    check("nanogpt", 3_331, "2");
}

#[test]
fn a_shard_may_be_full_at_the_last_token() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\":\"one two\"}\n{\"text\":\"\"}\n{\"text\":\"one\"}\n").unwrap();
    let check = |tokens: &str, expected: &[&[u64]]| {
        let arguments = ["encode", "a.jsonl", "-o", "x", "--shard-tokens", tokens, "-q"];
        run(folder.path(), &arguments, b"").unwrap();
        // Shards of an earlier call are gone.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + 2 * expected.len());
        for (number, expected) in expected.iter().enumerate() {
            assert_eq!(offsets(&folder.path().join(format!("x-{number:05}.offsets"))), *expected);
        }
    };
    check("1", &[&[0, 1], &[1], &[1], &[0, 1], &[0, 1], &[1]]);
    check("3", &[&[0, 3], &[0, 1, 3]]);
    check("4", &[&[0, 3, 4], &[0, 2]]);
    check("9", &[&[0, 3, 4, 6]]);
    fs::write(folder.path().join("a.jsonl"), "").unwrap();
    check("9", &[&[0]]);
}

#[test]
fn a_failure_leaves_no_shard_and_what_cannot_be_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rows = format!("{{\"text\":\"{}\"}}\nno json\n", "one ".repeat(200_000));
    fs::write(folder.path().join("a.jsonl"), rows).unwrap();
    let encode = |flags: &[&str]| {
        let arguments = [&["encode", "a.jsonl", "-q", "--shard-tokens", "10000"], flags].concat();
        run(folder.path(), &arguments, b"").unwrap_err()
    };
    assert!(encode(&["-o", "x.bin"]).contains("a.jsonl at line 2"));
    assert!(encode(&["-o", "x.bin", "--format", "megatron"]).contains("not for --format megatron: its index"));
    assert!(encode(&["-o", "x.txt", "--format", "ids"]).contains("not for --format ids: its lines"));
    assert!(encode(&["-o", "/dev/null"]).contains("needs the name of a file"));
    let named = run(folder.path(), &["encode", "a.jsonl", "-o", "x.mega", "--format", "megatron"], b"").unwrap_err();
    assert!(named.contains("end the name of the output in .bin"), "{named}");
    let huge = ["encode", "a.jsonl", "-o", "x.bin", "--format", "llmc", "--shard-tokens", "2147483648"];
    assert!(run(folder.path(), &huge, b"").unwrap_err().contains("at most 2147483647"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    fs::rename(folder.path().join("a.jsonl"), folder.path().join("x-00003.jsonl")).unwrap();
    let arguments = ["encode", "x-00003.jsonl", "-o", "x.jsonl", "--shard-tokens", "9"];
    let failed = run(folder.path(), &arguments, b"").unwrap_err();
    assert!(failed.starts_with("Some(2)") && failed.contains("x-00003.jsonl is to be written"), "{failed}");
}
