//! Pipes are opened once, what cannot be written is an error, and files that are cut off are told.
#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;

use common::{ids, run};

/// Runs a line of bash in a folder, where `bpe` is the command.
fn bash(folder: &std::path::Path, line: &str) -> String {
    let line = format!("bpe() {{ {:?} \"$@\"; }}; {line}", env!("CARGO_BIN_EXE_bpe"));
    let output =
        Command::new("timeout").args(["60", "bash", "-c", &line]).current_dir(folder).output().expect("bash starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {} {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    fs::write(folder.path().join("ids.txt"), "505 734").unwrap();
    fs::write(folder.path().join("ids.bin"), [1, 0]).unwrap();
    for arguments in [
        &["info", "gpt2"][..],
        &["info", "gpt2", "a text", "--json"],
        &["show", "a text"],
        &["show", "a text", "--ids"],
        &["show", "a text", "--html"],
        &["count", "a.txt"],
        &["count", "a.txt", "--json"],
        &["compare", "gpt2", "gpt2", "--corpus", "a.txt"],
        &["compare", "gpt2", "gpt2", "--corpus", "a.txt", "--json"],
        &["decode", "ids.txt"],
        &["decode", "ids.bin"],
        &["encode", "a.txt", "-o", "-", "--format", "ids"],
        &["encode", "a.txt", "-o", "a.bin", "--json"],
        &["train", "a.txt", "--vocab-size", "258", "-o", "own", "--json"],
        &["bench", "a.txt"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpe"));
        command.current_dir(folder.path()).args(arguments).stdout(File::create("/dev/full").unwrap());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("No space left on device"), "{arguments:?}: {errors}");
    }
}

#[test]
fn files_that_are_cut_off_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one two three four").unwrap();
    for (format, name) in [("llmc", "llmc.bin"), ("nanogpt", "plain.bin"), ("megatron", "megatron.bin")] {
        run(folder.path(), &["encode", "a.txt", "-o", name, "--format", format, "-q"], b"").unwrap();
        assert!(run(folder.path(), &["decode", name], b"").is_ok());
        let bytes = fs::read(path(name)).unwrap();
        for len in [bytes.len() - 1, bytes.len() - 2, bytes.len() / 2] {
            fs::write(path(name), &bytes[..len]).unwrap();
            let told = run(folder.path(), &["decode", name], b"").unwrap_err();
            assert!(told.starts_with("Some(1)") && told.contains("cut off"), "{name} {len}: {told}");
        }
    }
    run(folder.path(), &["encode", "a.txt", "-o", "new.bin", "-q"], b"").unwrap();
    let told = run(folder.path(), &["decode", "new.bin", "-o", "new.bin.offsets"], b"").unwrap_err();
    assert!(told.starts_with("Some(2)"), "{told}");
    fs::write(path("new.bin.offsets"), "abc").unwrap();
    let told = run(folder.path(), &["decode", "new.bin"], b"").unwrap_err();
    assert!(told.contains("end inside a number"), "{told}");
    run(folder.path(), &["encode", "a.txt", "-o", "9.bin", "--format", "llmc", "-q"], b"").unwrap();
    let mut bytes = fs::read(path("9.bin")).unwrap();
    bytes[4] = 9;
    fs::write(path("9.bin"), bytes).unwrap();
    let told = run(folder.path(), &["decode", "9.bin"], b"").unwrap_err();
    assert!(told.contains("has the version 9"), "{told}");
    fs::write(path("a.npy"), b"\x93NUMPY\x01\0v\0{").unwrap();
    let told = run(folder.path(), &["decode", "a.npy"], b"").unwrap_err();
    assert!(told.contains("numpy") && told.contains("hint:"), "{told}");
}

#[test]
fn ids_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["decode", "-"], b"505 734\n").unwrap(), "one two\n");
    let binary: Vec<u8> = [505u16, 734].iter().flat_map(|id| id.to_le_bytes()).collect();
    assert_eq!(run(folder.path(), &["decode", "-"], &binary).unwrap(), "one two");
    for (input, word) in [("1,2", "1,2"), ("505\n[1, 2]\n", "[1,"), ("-1 5\n", "-1")] {
        let told = run(folder.path(), &["decode", "-"], input.as_bytes()).unwrap_err();
        assert!(told.contains(&format!("{word:?} is not a token id")) && told.contains("hint:"), "{told}");
    }
}

#[test]
fn what_is_empty_is_no_table_and_not_compressed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "a.jsonl.gz", "a.txt.zst"] {
        fs::write(folder.path().join(name), b"").unwrap();
        let told = run(folder.path(), &["count", name, "-q"], b"").unwrap_err();
        assert!(told.contains("it is empty") && told.contains("hint:"), "{name}: {told}");
    }
    fs::write(folder.path().join("a.txt"), b"").unwrap();
    assert!(run(folder.path(), &["count", "a.txt", "-q"], b"").is_ok());
}

#[test]
fn a_comparison_is_on_folders_and_by_fields_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("texts")).unwrap();
    fs::write(folder.path().join("texts/a.jsonl"), "{\"text\":\"one two\",\"topic\":\"boats\"}\n").unwrap();
    fs::write(folder.path().join("texts/b.jsonl"), "{\"text\":\"three\"}\n").unwrap();
    let compared = |by: &str| {
        run(folder.path(), &["compare", "gpt2", "gpt2", "--corpus", "texts", "--by", by, "-q", "--json"], b"")
    };
    let json: serde_json::Value = serde_json::from_str(&compared("topic").unwrap()).unwrap();
    assert_eq!(json["total"]["a"]["documents"], 2);
    assert_eq!(json["groups"]["boats"]["a"]["documents"], 1);
    let told = compared("subject").unwrap_err();
    assert!(told.starts_with("Some(2)") && told.contains("no text has a field \"subject\""), "{told}");
}

#[test]
fn pipes_are_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|i| format!("{{\"text\":\"one two {i}\",\"language\":\"eng\"}}\n")).collect();
    fs::write(folder.path().join("a.jsonl"), &rows).unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    let column: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["one", "two"]));
    let batch = arrow_array::RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    fs::write(folder.path().join("a.parquet"), writer.into_inner().unwrap()).unwrap();
    let of = |line: &str| bash(folder.path(), line);
    assert_eq!(of("bpe count <(cat a.jsonl) -q --json"), of("bpe count a.jsonl -q --json"));
    assert_eq!(of("mkfifo p; cat a.jsonl > p & bpe count p -q --json"), of("bpe count a.jsonl -q --json"));
    assert_eq!(of("cat a.jsonl | bpe count /dev/stdin -q --json"), of("bpe count a.jsonl -q --json"));
    assert_eq!(of("bpe count <(cat a.parquet) -q --json"), of("bpe count a.parquet -q --json"));
    for file in ["a.jsonl", "a.txt", "a.parquet"] {
        let totals = |corpus: &str| {
            let json = of(&format!("bpe compare gpt2 gpt2 --json --corpus {corpus}"));
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            (json["total"].clone(), json["groups"].clone())
        };
        assert_eq!(totals(&format!("<(cat {file})")), totals(file), "{file}");
        assert_eq!(totals(&format!("- < {file}")), totals(file), "{file}");
    }
    assert_eq!(of("bpe show --ids <(cat a.txt)"), of("bpe show --ids a.txt"));
    assert_eq!(of("bpe encode <(cat a.txt) -o - --format ids -q"), "505 734\n");
    assert_eq!(of("bpe decode <(echo 505 734)"), "one two\n");
    of("bpe train <(cat a.jsonl) --vocab-size 258 -o own -q");
    of("bpe convert gpt2 -o gpt2.json");
    assert_eq!(of("bpe encode a.txt -o - --format ids -q --tokenizer <(cat gpt2.json)"), "505 734\n");
}

#[test]
fn bytes_in_a_table_are_replaced_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<Option<&[u8]>> = vec![Some(b"one"), None, Some(b"caf\xe9"), Some("é".as_bytes())];
    let column: arrow_array::ArrayRef = Arc::new(arrow_array::BinaryArray::from(values));
    let batch = arrow_array::RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    fs::write(folder.path().join("a.parquet"), writer.into_inner().unwrap()).unwrap();
    let told = ids(folder.path(), "a.parquet", &[]).unwrap_err();
    assert!(told.contains("row 3") && told.contains("--lossy"), "{told}");
    let lossy = ids(folder.path(), "a.parquet", &["--lossy"]).unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\":\"caf\u{fffd}\"}\n{\"text\":\"é\"}\n").unwrap();
    assert_eq!(lossy, format!("505\n\n{}", ids(folder.path(), "a.jsonl", &[]).unwrap()));
}

/// Standard output under its own name is a stream, wherever it leads, and a link stays one.
#[test]
fn links_and_streams_are_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one two").unwrap();
    let line = "ln -s /proc/self/fd/1 out; bpe -q encode a.txt -o out --format ids > ids.txt; cat ids.txt; test -L out";
    assert_eq!(bash(folder.path(), line), "505 734\n");
    let line = "ln -s target.bin link.bin; bpe -q encode a.txt -o link.bin; test -L link.bin; bpe decode target.bin";
    assert_eq!(bash(folder.path(), line), "one two<|endoftext|>");
    let told = run(folder.path(), &["encode", "a.txt", "-o", "-", "--format", "ids", "--json"], b"").unwrap_err();
    assert!(told.starts_with("Some(2)") && told.contains("--json"), "{told}");
}

/// Each of many small shards takes a moment on the disk.
#[test]
fn many_shards_are_stopped_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two three four ".repeat(200_000)).unwrap();
    let line = "bpe -q encode a.txt -o out/s.bin --shard-tokens 5 & sleep 1; kill -INT $!; wait $!; echo $?; ls -A out | wc -l";
    let said = bash(
        folder.path(),
        &format!("set -m; {}", line.replace("bpe -q", &format!("{:?} -q", env!("CARGO_BIN_EXE_bpe")))),
    );
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["130", "0"]);
}

#[test]
fn pipes_and_loops_in_a_folder_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mkdir -p texts/below; echo one > texts/a.txt; mkfifo texts/p; ln -s .. texts/below/back; \
                ln -s \"$PWD/other\" texts/other; mkdir other; echo two > other/b.txt; bpe count texts -q --json";
    assert_eq!(bash(folder.path(), line).trim(), r#"{"bytes":8,"documents":2,"tokens":4}"#);
}
