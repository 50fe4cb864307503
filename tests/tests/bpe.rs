//! `bpe` as people call it: every form of input and any number of threads give the same, in little memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use webtext_tests::{assert_same, binary, check, root, stderr};

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
            assert!(!path.to_string_lossy().contains(".partial-"), "{} was left", path.display());
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
fn a_checkpoint_that_is_of_no_use_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &documents());
    let train = |out: &str| {
        let mut command = bpe(folder.path());
        let output = check(command.args(["train", "a.jsonl", "--vocab-size", "900", "-q", "--json", "-o", out]), 0);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["merges_resumed"], 0);
    };
    train("whole");
    // A checkpoint of other words is of no use, one that is damaged is none, nor is half of one.
    let (checkpoint, half) = ("again/merges.checkpoint.json", "again/.merges.checkpoint.json.partial-1-2");
    for (name, content) in
        [(checkpoint, "{"), (checkpoint, r#"{"fingerprint":"0","merges":[[1,2]]}"#), (half, r#"{"fingerprint":"0","#)]
    {
        fs::create_dir_all(folder.path().join("again")).unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        train("again");
        assert_same(&folder.path().join("whole"), &folder.path().join("again"));
    }
}

/// Words that nobody has written, the same on every call: so many that their merges take half a second or so.
fn invented_words() -> String {
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut text = String::new();
    for _ in 0..60_000 {
        text.push(' ');
        // The lesser of two: so that some letters are frequent and pairs seldom have the same count.
        (0..4 + next(12)).for_each(|_| text.push((b'a' + next(26).min(next(26)) as u8) as char));
    }
    text
}

/// Merges in the checkpoint of a training into a folder; 0 without one. It is never half written.
fn merges_in_checkpoint(output: &Path) -> usize {
    let Ok(json) = fs::read(output.join("merges.checkpoint.json")) else { return 0 };
    serde_json::from_slice::<Value>(&json).unwrap()["merges"].as_array().unwrap().len()
}

/// `kill -9` when it is time, unless the process has ended; returns whether it had not.
fn kill_when(mut child: Child, mut is_time: impl FnMut() -> bool) -> bool {
    while child.try_wait().unwrap().is_none() {
        if is_time() {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// The merges of a checkpoint are all that a training goes on with, so whatever a kill hits (the reading of
/// texts, a merge, the writing of a checkpoint or of the tokenizer) the files in the end must be the same.
/// What the kills hit differs from run to run; nothing here depends on it.
#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), invented_words()).unwrap();
    let train = |sizes: &str, out: &str, checkpoint_seconds: &str| {
        let mut command = bpe(folder.path());
        command.args(["train", "a.txt", "-q", "--json", "--vocab-size", sizes, "-o", out]);
        command.args(["--checkpoint-seconds", checkpoint_seconds]).stdout(Stdio::piped());
        command
    };
    const SIZES: &str = "400,2000,6000";
    check(&mut train(SIZES, "whole", "3600"), 0);
    let started = Instant::now();
    check(&mut train(SIZES, "noted", "0"), 0);
    let length = started.elapsed();
    assert_same(&path("whole"), &path("noted"));

    // Killed when there is a checkpoint, and again when that has grown, five times. On a machine that is too
    // busy for this process to see one in time, a training may end; then another begins.
    let (mut kills, mut ended) = (0, 0);
    while kills < 5 {
        let before = merges_in_checkpoint(&path("killed"));
        let later = before + [0, 700, 256, 1000, 1][kills];
        if kill_when(train(SIZES, "killed", "0").spawn().unwrap(), || merges_in_checkpoint(&path("killed")) > later) {
            kills += 1;
        } else {
            (kills, ended) = (0, ended + 1);
            assert!(ended < 50, "no checkpoint was to be seen");
        }
    }
    let held = merges_in_checkpoint(&path("killed"));
    // More merges than a smaller vocabulary has are of use, too.
    fs::create_dir(path("small")).unwrap();
    fs::copy(path("killed/merges.checkpoint.json"), path("small/merges.checkpoint.json")).unwrap();
    for (sizes, out, whole) in [("400", "small", "whole/400"), (SIZES, "killed", "whole")] {
        let output = check(&mut train(sizes, out, "3600"), 0);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["merges_resumed"], held);
        assert_same(&path(whole), &path(out));
    }

    // Killed at moments that the golden ratio spreads evenly over a training's length.
    for round in 0u32..12 {
        let wait = length.mul_f64(f64::from(round) * 0.618_034 % 1.0);
        let started = Instant::now();
        kill_when(train(SIZES, "often", "0").spawn().unwrap(), || started.elapsed() >= wait);
    }
    // What a kill within the writing of a file leaves, which the twelve may have missed.
    fs::create_dir_all(path("often/6000")).unwrap();
    fs::write(path("often/6000/.vocab.json.partial-1-1"), "half").unwrap();
    let held = merges_in_checkpoint(&path("often"));
    let output = check(&mut train(SIZES, "often", "3600"), 0);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["merges_resumed"], held);
    assert_same(&path("whole"), &path("often"));
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
    assert!(table.contains("bytes per token") && table.contains("deu") && table.contains("a.jsonl, line"), "{table}");
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
    let usage = check(bpe(folder.path()).args(["count", "a.jsonl", "--memory-mib", "1", "-q"]), 2);
    assert!(stderr(&usage).contains("at least 64"));
    assert!(fault(&["count", "b.txt", "--tokenizer", "absent", "-q"]).contains("hint: a tokenizer is `gpt2`"));
    fs::write(folder.path().join("c.jsonl"), "{\"body\":\"one\"}\n").unwrap();
    assert!(fault(&["count", "c.jsonl", "-q"]).contains("it has no field \"text\"; its fields are body"));
    check(bpe(folder.path()).args(["count", "c.jsonl", "-q", "--text-field", "body"]), 0);
}

#[test]
fn standard_input_and_a_reader_that_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let counted = |input: &str, flags: &[&str]| {
        let mut command = bpe(folder.path());
        command.args(["count", "-", "-q", "--json"]).args(flags).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let lines = "{\"text\":\"one\"}\n{\"text\":null}\n";
    assert_eq!(counted(lines, &["--input-format", "jsonl"]), json!({"documents": 2, "bytes": 3, "tokens": 1}));
    assert_eq!(counted("one two", &[]), json!({"documents": 1, "bytes": 7, "tokens": 2}));

    fs::write(folder.path().join("b.txt"), "one two three ".repeat(1 << 16)).unwrap();
    for arguments in [&["info", "gpt2"][..], &["encode", "b.txt", "-o", "-", "--format", "ids", "-q"]] {
        let mut child =
            bpe(folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{}", stderr(&output));
    }
}
