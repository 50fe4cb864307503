//! The binary as people call it: help, inputs of every kind, tokenizers, and faults.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{ids, run};

#[test]
fn help_and_version() {
    for (flag, expected) in [("--help", "Usage: bpe"), ("--version", concat!("bpe ", env!("CARGO_PKG_VERSION")))] {
        let output = Command::new(env!("CARGO_BIN_EXE_bpe")).arg(flag).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(expected), "{flag}: {text}");
    }
}

#[test]
fn an_unknown_flag_ends_with_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_bpe")).arg("--no-such-flag").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--no-such-flag"));
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two ".repeat(100_000)).unwrap();
    fs::write(folder.path().join("ids.bin"), [1, 0].repeat(500_000)).unwrap();
    let commands = [&["encode", "a.txt", "-o", "-", "--format", "ids"][..], &["decode", "ids.bin"], &["info", "gpt2"]];
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpe"));
        command.current_dir(folder.path()).args(arguments).arg("-q").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr)),
            (Some(0), "".into()),
            "{arguments:?}"
        );
    }
}

#[test]
fn content_and_endings_decide_how_a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows = b"\xef\xbb\xbf{\"text\":\"one\"}\n\n{\"text\":null}\n{\"text\":\"two\"}\n";
    let gz = {
        let mut coder = flate2::read::GzEncoder::new(&rows[..], flate2::Compression::fast());
        let mut coded = Vec::new();
        std::io::Read::read_to_end(&mut coder, &mut coded).unwrap();
        coded
    };
    for name in ["a.JSONL", "a.ndjson", "part-00000", "a.Jsonl.GZ", "part-00001"] {
        let bytes = if name.ends_with("GZ") || name.ends_with('1') { &gz[..] } else { &rows[..] };
        fs::write(folder.path().join(name), bytes).unwrap();
        assert_eq!(ids(folder.path(), name, &[]).unwrap(), "505\n\n11545\n", "{name}");
    }
    fs::write(folder.path().join("a.txt"), "{\"text\":\"one\"}\n").unwrap();
    assert_eq!(ids(folder.path(), "a.txt", &["--input-format", "jsonl"]).unwrap(), "505\n");
    assert_ne!(ids(folder.path(), "a.txt", &[]).unwrap(), "505\n", "its name says text");
    for flags in [&["--input-format", "jsonl"][..], &[]] {
        let arguments = [&["count", "-", "-q", "--json"], flags].concat();
        let counted: serde_json::Value = serde_json::from_str(&run(folder.path(), &arguments, rows).unwrap()).unwrap();
        assert_eq!((&counted["documents"], &counted["tokens"]), (&3.into(), &2.into()));
    }
}

#[test]
fn a_table_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let column: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from(vec![Some("one"), None, Some("two")]));
    let batch = arrow_array::RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for flags in [&["--input-format", "parquet"][..], &[]] {
        let arguments = [&["encode", "-", "-o", "-", "--format", "ids", "-q"], flags].concat();
        assert_eq!(run(folder.path(), &arguments, &bytes).unwrap(), "505\n\n11545\n");
    }
    fs::write(folder.path().join("part-0"), &bytes).unwrap();
    assert_eq!(ids(folder.path(), "part-0", &[]).unwrap(), "505\n\n11545\n");
}

#[test]
fn bad_rows_end_the_run_or_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"text\":\"one\"}\n{\"body\":1}\nno json\n{\"text\":\"two\"}\n";
    fs::write(folder.path().join("a.jsonl"), rows).unwrap();
    let failed = ids(folder.path(), "a.jsonl", &[]).unwrap_err();
    assert!(failed.contains("a.jsonl at line 2") && failed.contains("its fields are body"), "{failed}");
    assert_eq!(ids(folder.path(), "a.jsonl", &["--on-bad-row", "skip"]).unwrap(), "505\n11545\n");
    let counted = run(folder.path(), &["count", "a.jsonl", "--on-bad-row", "skip", "--json", "-q"], b"").unwrap();
    assert_eq!(counted.trim(), r#"{"bad_rows":2,"bytes":6,"documents":2,"tokens":2}"#);
    fs::write(folder.path().join("b.jsonl"), "{\"text\":\"cut \\ud83d off\"}\n").unwrap();
    let failed = ids(folder.path(), "b.jsonl", &[]).unwrap_err();
    assert!(failed.contains("--lossy"), "{failed}");
    let lossy = ids(folder.path(), "b.jsonl", &["--lossy"]).unwrap();
    fs::write(folder.path().join("c.txt"), "cut \u{fffd} off").unwrap();
    assert_eq!(lossy, ids(folder.path(), "c.txt", &[]).unwrap());
}

#[test]
fn inputs_are_opened_before_outputs_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one").unwrap();
    let failed = run(folder.path(), &["encode", "a.txt", "absent.txt", "-o", "x.bin", "-q"], b"").unwrap_err();
    assert!(failed.contains("cannot read absent.txt") && fs::read_dir(folder.path()).unwrap().count() == 1, "{failed}");
    run(folder.path(), &["convert", "gpt2", "-o", "t.json"], b"").unwrap();
    fs::write(path("x.bin.offsets"), "one").unwrap();
    for arguments in [
        &["encode", "a.txt", "-o", "a.txt"][..],
        &["encode", "a.txt", "-o", "t.json", "--tokenizer", "t.json"],
        &["encode", "x.bin.offsets", "-o", "x.bin"],
        &["decode", "a.txt", "-o", "a.txt"],
        &["convert", "t.json", "-o", "t.json"],
        &["train", "t.json", "--input-format", "text", "--vocab-size", "300", "-o", ".", "--save-counts", "t.json"],
    ] {
        let failed = run(folder.path(), arguments, b"").unwrap_err();
        assert!(failed.starts_with("Some(2)") && failed.contains("choose another name"), "{failed}");
    }
    assert_eq!(fs::read_to_string(path("a.txt")).unwrap(), "one");
    fs::create_dir(path("texts")).unwrap();
    fs::write(path("texts/1.txt"), "one two").unwrap();
    fs::write(path("texts/2.jsonl"), "{\"text\":\"one\"}\n").unwrap();
    fs::write(path("texts/_SUCCESS"), "").unwrap();
    let counted = run(folder.path(), &["count", "texts", "-q", "--json"], b"").unwrap();
    assert_eq!(counted.trim(), r#"{"bytes":10,"documents":2,"tokens":3}"#);
}

#[test]
fn a_tiktoken_file_needs_a_pattern_unless_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "it's 12345").unwrap();
    let bytes: String = (0..=255u8).map(|byte| format!("{} {byte}\n", data_encoding::BASE64.encode(&[byte]))).collect();
    fs::write(folder.path().join("own.tiktoken"), bytes + "MTI= 256\nMTIz 257\nMTIzNDU= 258\n").unwrap();
    let failed = ids(folder.path(), "a.txt", &["--tokenizer", "own.tiktoken"]).unwrap_err();
    assert!(failed.contains("own.tiktoken") && failed.contains("--pattern: one of gpt2, cl100k"), "{failed}");
    for (pattern, expected) in [
        ("gpt2", "105 116 39 115 32 257 52 53\n"),
        ("cl100k", "105 116 39 115 32 257 52 53\n"),
        (r"\w+|\W+", "105 116 39 115 32 258\n"),
    ] {
        let found = ids(folder.path(), "a.txt", &["--tokenizer", "own.tiktoken", "--pattern", pattern]).unwrap();
        assert_eq!(found, expected, "{pattern}");
    }
    run(folder.path(), &["convert", "gpt2", "-o", "gpt2.tiktoken"], b"").unwrap();
    let known = ids(folder.path(), "a.txt", &["--tokenizer", "gpt2.tiktoken"]).unwrap();
    assert_eq!(known, ids(folder.path(), "a.txt", &[]).unwrap());
}

#[test]
fn special_tokens_of_a_tiktoken_file_are_named_or_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\":\"a\"}\n").unwrap();
    let bytes: String = (0..=255u8).map(|byte| format!("{} {byte}\n", data_encoding::BASE64.encode(&[byte]))).collect();
    fs::write(folder.path().join("own.tiktoken"), bytes).unwrap();
    let encode = |flags: &[&str]| {
        let fixed = ["encode", "a.jsonl", "-o", "a.bin", "-q", "--tokenizer", "own.tiktoken", "--pattern", "gpt2"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpe"));
        let output = command.current_dir(folder.path()).args([&fixed, flags].concat()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let ids = || fs::read(folder.path().join("a.bin")).unwrap();
    let (code, told) = encode(&[]);
    assert!(code == Some(0) && told.contains("<|endoftext|> is taken to be 256"), "{told}");
    assert_eq!(ids(), [97, 0, 0, 1]);
    for (given, end) in [
        (&["--special-token", "<s>=300", "--special-token", "</s>"][..], 301u16),
        (&["--special-token", "</s>=260"], 260),
    ] {
        assert_eq!(encode(given), (Some(0), String::new()));
        assert_eq!(ids(), [[97, 0], end.to_le_bytes()].concat());
    }
    let (code, told) = encode(&["--special-token", "<s>=97"]);
    assert!(code == Some(1) && told.contains("cannot be a special token with the id 97"), "{told}");
    let told = run(folder.path(), &["info", "gpt2", "--special-token", "<s>"], b"").unwrap_err();
    assert!(told.contains("has its own special tokens") && told.contains("leave out --special-token"), "{told}");
}

#[test]
fn post_processors_add_tokens_where_they_are_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let text = "one two ".repeat(100_000);
    fs::write(
        folder.path().join("a.jsonl"),
        format!("{{\"text\":\"a\"}}\n{{\"text\":\"\"}}\n{{\"text\":\"{text}\"}}\n"),
    )
    .unwrap();
    run(folder.path(), &["convert", "gpt2", "-o", "t.json"], b"").unwrap();
    let json = fs::read_to_string(folder.path().join("t.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["post_processor"] = serde_json::json!({"type": "BertProcessing", "cls": ["!", 0], "sep": ["#", 2]});
    json["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0});
    fs::write(folder.path().join("t.json"), json.to_string()).unwrap();
    let plain = ids(folder.path(), "a.jsonl", &[]).unwrap();
    assert_eq!(ids(folder.path(), "a.jsonl", &["--tokenizer", "t.json"]).unwrap(), plain);
    let around: String = plain.lines().map(|ids| format!("0 {ids} 2\n").replace("  ", " ")).collect();
    assert!(ids(folder.path(), "a.jsonl", &["--tokenizer", "t.json", "--post-process"]).unwrap() == around);
    // Nothing of the file is lost when it is written again.
    run(folder.path(), &["convert", "t.json", "-o", "again.json", "-q"], b"").unwrap();
    let again = fs::read_to_string(folder.path().join("again.json")).unwrap();
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["post_processor"], &again["truncation"]), (&json["post_processor"], &json["truncation"]));
}

#[test]
fn inputs_of_other_formats_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let utf16: Vec<u8> = "\u{feff}one two".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut tar = vec![0; 1024];
    tar[..5].copy_from_slice(b"a.txt");
    tar[257..262].copy_from_slice(b"ustar");
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|&byte| u32::from(byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    for (name, bytes, expected) in [
        ("a.txt", &utf16[..], "it is text in UTF-16"),
        ("a.tar", &tar, "it is a tar archive"),
        ("a.zip", b"PK\x03\x04\x14\0", "it is a ZIP archive"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let told = run(folder.path(), &["count", name], b"").unwrap_err();
        assert!(told.contains(expected) && told.contains("hint:"), "{name}: {told}");
        let told = run(folder.path(), &["count", name, "--lossy"], b"").unwrap_err();
        assert!(told.contains(expected), "{name}: {told}");
    }
    // Whoever says that it is text has it as text.
    run(folder.path(), &["count", "a.tar", "--input-format", "text"], b"").unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\":\"a\"}\n").unwrap();
    let told = run(folder.path(), &["count", "a.jsonl", "--input-format", "parquet"], b"").unwrap_err();
    assert!(told.contains("it is not Parquet"), "{told}");
}

#[test]
fn a_pattern_is_for_the_one_that_does_not_say_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    let bytes: String = (0..=255u8).map(|byte| format!("{} {byte}\n", data_encoding::BASE64.encode(&[byte]))).collect();
    fs::write(folder.path().join("own.tiktoken"), bytes).unwrap();
    let compare =
        |a: &str, b: &str| run(folder.path(), &["compare", a, b, "--corpus", "a.txt", "--pattern", "cl100k"], b"");
    compare("own.tiktoken", "gpt2").unwrap();
    compare("gpt2", "own.tiktoken").unwrap();
    let told = compare("gpt2", "gpt2").unwrap_err();
    assert!(told.contains("leave out --pattern"), "{told}");
    let told = run(folder.path(), &["convert", "gpt2", "-o", "vocab.json"], b"").unwrap_err();
    assert!(told.starts_with("Some(2)") && told.contains("merges.txt"), "{told}");
}

#[test]
fn ids_of_a_large_vocabulary_take_four_bytes_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    let vocab: serde_json::Map<String, serde_json::Value> =
        (0..256u32).map(|byte| (visible(byte as u8), (70_000 + byte).into())).collect();
    fs::write(folder.path().join("vocab.json"), serde_json::to_string(&vocab).unwrap()).unwrap();
    fs::write(folder.path().join("added_tokens.json"), r#"{"<|endoftext|>": 5}"#).unwrap();
    fs::write(folder.path().join("merges.txt"), "#version: 0.2\n").unwrap();
    for (format, len) in [("nanogpt", 4 * 8), ("llmc", 1024 + 4 * 8), ("megatron", 4 * 8)] {
        let arguments = ["encode", "a.txt", "-o", "a.bin", "--format", format, "--tokenizer", "merges.txt", "-q"];
        run(folder.path(), &arguments, b"").unwrap();
        assert_eq!(fs::metadata(folder.path().join("a.bin")).unwrap().len(), len, "{format}");
        let back = run(folder.path(), &["decode", "a.bin", "--tokenizer", "vocab.json"], b"").unwrap();
        assert_eq!(back.replace("<|endoftext|>", ""), "one two", "{format}");
    }
}

/// A byte as GPT-2's files write it.
fn visible(byte: u8) -> String {
    let is_printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let before = (0..byte).filter(|&other| !is_printable(other)).count() as u32;
    let char = if is_printable(byte) { Some(char::from(byte)) } else { char::from_u32(256 + before) };
    char.expect("below U+0144").to_string()
}

#[test]
fn training_by_a_pattern_and_with_special_tokens() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "The year 1984 and the year 2001. ".repeat(40)).unwrap();
    let flags =
        ["--pattern", "qwen2", "--special", "<s>", "--special", "</s>", "--vocab-size", "265", "-o", "own", "-q"];
    run(folder.path(), &[&["train", "a.txt"], &flags[..]].concat(), b"").unwrap();
    let info: serde_json::Value =
        serde_json::from_str(&run(folder.path(), &["info", "own", "--json"], b"").unwrap()).unwrap();
    assert_eq!((&info["vocab_size"], &info["specials"]), (&265.into(), &serde_json::json!(["<s>", "</s>"])));
    let expected = ids(folder.path(), "a.txt", &["--tokenizer", "own"]).unwrap();
    for file in ["own/merges.txt", "own/vocab.json", "own/tokenizer.tiktoken", "own/tokenizer.json"] {
        assert_eq!(ids(folder.path(), "a.txt", &["--tokenizer", file]).unwrap(), expected, "{file}");
    }
    // Former versions did not write the added tokens.
    let record = fs::read_to_string(folder.path().join("own/training.json")).unwrap();
    let mut former: serde_json::Value = serde_json::from_str(&record).unwrap();
    former.as_object_mut().unwrap().remove("added_tokens");
    fs::write(folder.path().join("own/training.json"), former.to_string()).unwrap();
    assert_eq!(ids(folder.path(), "a.txt", &["--tokenizer", "own/tokenizer.tiktoken"]).unwrap(), expected);
    fs::write(folder.path().join("own/training.json"), record).unwrap();
    let steps = run(folder.path(), &["info", "own", "the 19", "--pattern", "gpt2"], b"").unwrap_err();
    assert!(steps.contains("the tokenizer says its own: qwen2"), "{steps}");
    let steps = run(folder.path(), &["info", "own", "the 19"], b"").unwrap();
    assert!(steps.contains("pretokens    the| |1|9"), "{steps}");
    let refused = run(folder.path(), &["convert", "own", "-o", "out/merges.txt"], b"").unwrap_err();
    assert!(refused.contains("cannot hold this tokenizer") && refused.contains("hint:"), "{refused}");
}
