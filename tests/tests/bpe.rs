//! `bpe` as people call it: every form of input and any number of threads give the same, in little memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use webtext_tests::{binary, check, root, stderr};

fn bpe(folder: &Path) -> Command {
    let mut command = Command::new(binary("bpe"));
    command.current_dir(folder);
    command
}

/// Documents of many kinds, one of them longer than a batch.
fn documents() -> Vec<String> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("fixtures/texts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut documents: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let all = documents.concat();
    documents.insert(7, all.repeat(3 * (1 << 20) / all.len() + 1));
    documents.insert(9, String::new());
    documents
}

fn write(folder: &Path, documents: &[String]) {
    let lines: String = documents.iter().map(|text| format!("{}\n", json!({"id": 1, "text": text}))).collect();
    fs::write(folder.join("a.jsonl"), &lines).unwrap();
    fs::write(folder.join("a.jsonl.zst"), zstd::encode_all(lines.as_bytes(), 1).unwrap()).unwrap();
    fs::write(folder.join("a.txt"), documents.iter().map(|text| format!("{text}<|end|>")).collect::<String>()).unwrap();
}

#[test]
fn any_input_and_any_threads_give_the_same_shards() {
    let folder = tempfile::tempdir().unwrap();
    let documents = documents();
    write(folder.path(), &documents);
    for format in ["nanogpt", "llmc", "megatron", "ids"] {
        let mut first: Option<Vec<Vec<u8>>> = None;
        for (input, threads) in [("a.jsonl", "1"), ("a.jsonl.zst", "5"), ("a.txt", "2")] {
            let flags = ["--format", format, "--threads", threads, "--separator", "<|end|>", "-q", "--json"];
            let output = check(bpe(folder.path()).args(["encode", input, "-o", "out.bin"]).args(flags), 0);
            let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(summary["documents"], documents.len(), "{input}");
            let names = ["out.bin", "out.bin.offsets", "out.idx"];
            let files = names.iter().filter_map(|name| fs::read(folder.path().join(name)).ok()).collect();
            assert!(*first.get_or_insert_with(|| Vec::clone(&files)) == files, "{format} of {input} differs");
        }
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(!path.to_string_lossy().ends_with(".partial"), "{} was left", path.display());
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("out.")) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    // The long document is a line and a document like any other.
    check(bpe(folder.path()).args(["encode", "a.jsonl", "-o", "ids.txt", "--format", "ids", "-q"]), 0);
    check(bpe(folder.path()).args(["decode", "ids.txt", "-o", "back.txt"]), 0);
    let joined: String = documents.iter().map(|text| format!("{text}\n")).collect();
    assert!(fs::read_to_string(folder.path().join("back.txt")).unwrap() == joined);
}

#[test]
fn a_training_is_the_same_for_any_threads_memory_and_way() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &documents());
    let merges = |name: &str| fs::read_to_string(folder.path().join(name).join("merges.txt")).unwrap();
    let train = |flags: &[&str]| {
        let mut command = bpe(folder.path());
        check(command.args(["train", "-q"]).args(flags), 0);
    };
    train(&["a.jsonl", "--vocab-size", "1500", "-o", "one", "--threads", "1", "--save-counts", "words"]);
    train(&[
        "a.txt",
        "--separator",
        "<|end|>",
        "--vocab-size",
        "1500",
        "-o",
        "many",
        "--threads",
        "4",
        "--memory-mib",
        "64",
    ]);
    train(&["--counts", "words", "--vocab-size", "1500", "-o", "counts"]);
    train(&["a.jsonl.zst", "--vocab-size", "700,1500,300", "-o", "ladder"]);
    let whole = merges("one");
    assert_eq!(whole.lines().count(), 1 + 1500 - 257);
    assert!(merges("many") == whole && merges("counts") == whole && merges("ladder/1500") == whole);
    for size in [300, 700] {
        let expected: String = whole.lines().take(1 + size - 257).map(|line| format!("{line}\n")).collect();
        assert!(merges(&format!("ladder/{size}")) == expected, "{size}");
    }
    // What the training says of the text is what encoding finds.
    let training: Value = serde_json::from_slice(&fs::read(folder.path().join("one/training.json")).unwrap()).unwrap();
    let output = check(bpe(folder.path()).args(["count", "a.jsonl", "--tokenizer", "one", "-q", "--json"]), 0);
    let count: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&training["tokens"], &training["bytes"]), (&count["tokens"], &count["bytes"]));
}

#[test]
fn a_killed_training_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &documents());
    let train = |out: &str| {
        let mut command = bpe(folder.path());
        check(command.args(["train", "a.jsonl", "--vocab-size", "900", "-q", "-o", out]), 0);
        fs::read(folder.path().join(out).join("merges.txt")).unwrap()
    };
    let whole = train("whole");
    // A checkpoint of other words is of no use, and one that is damaged is none.
    for content in ["{", r#"{"fingerprint":"0","merges":[[1,2]]}"#] {
        fs::create_dir_all(folder.path().join("again")).unwrap();
        fs::write(folder.path().join("again/merges.checkpoint.json"), content).unwrap();
        assert!(train("again") == whole);
        assert!(!folder.path().join("again/merges.checkpoint.json").exists());
    }
}

#[test]
fn two_tokenizers_are_compared_by_language() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..30)
        .map(|i| {
            let (language, text) =
                if i % 3 == 0 { ("deu", "Der Kran am Hafen. ") } else { ("eng", "The crane in the harbour. ") };
            format!("{}\n", json!({"text": text.repeat(10 + i), "language": language}))
        })
        .collect();
    fs::write(folder.path().join("a.jsonl"), rows).unwrap();
    check(bpe(folder.path()).args(["train", "a.jsonl", "--vocab-size", "300", "-q", "-o", "own"]), 0);
    let output = check(bpe(folder.path()).args(["compare", "gpt2", "own", "--corpus", "a.jsonl", "--json"]), 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["groups"]["deu"]["a"]["documents"], &json["groups"]["eng"]["b"]["documents"]),
        (&10.into(), &20.into())
    );
    assert!(json["unused"]["a"].as_u64() > Some(50_000));
    assert_eq!(json["differences"].as_array().unwrap().len(), 10);
    let output = check(bpe(folder.path()).args(["compare", "gpt2", "own", "--corpus", "a.jsonl"]), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("bytes a token") && table.contains("deu") && table.contains("a.jsonl, line"), "{table}");
}

#[test]
fn faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\":\"one\"}\n{\"text\":7}\n").unwrap();
    fs::write(folder.path().join("words"), "BPEWORDSxx").unwrap();
    let fault = |arguments: &[&str]| stderr(&check(bpe(folder.path()).args(arguments), 1));
    assert!(fault(&["encode", "a.jsonl", "-o", "x", "-q"]).contains("a.jsonl at line 2"));
    assert!(!folder.path().join("x").exists());
    fs::write(folder.path().join("b.txt"), "one two three ".repeat(1 << 17)).unwrap();
    assert!(fault(&["encode", "b.txt", "-o", "/dev/full", "-q"]).contains("No space left on device"));
    check(bpe(folder.path()).args(["encode", "b.txt", "-o", "/dev/null", "-q"]), 0);
    assert!(["/dev/full", "/dev/null"].iter().all(|device| !fs::metadata(device).unwrap().is_file()));
    assert!(fault(&["encode", "absent.txt", "-o", "x", "-q"]).contains("cannot read absent.txt"));
    assert!(fault(&["train", "--counts", "words", "--vocab-size", "300", "-o", "t", "-q"]).contains("word counts"));
    assert!(fault(&["count", "a.jsonl", "--memory-mib", "1", "-q"]).contains("at least 64"));
}
