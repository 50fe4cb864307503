//! What the tests of the command share.
#![allow(dead_code, reason = "no test uses all of it")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the command in a folder and gives its standard output, and standard error if it fails.
pub fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpe"));
    command.current_dir(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    // A command that fails early does not read its input.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        code => Err(format!("{code:?} {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The lines of ids of a file's documents.
pub fn ids(folder: &Path, input: &str, flags: &[&str]) -> Result<String, String> {
    let arguments = [&["encode", input, "-o", "-", "--format", "ids", "-q"], flags].concat();
    run(folder, &arguments, b"")
}

/// Holds the ids of `texts.jsonl` against those that another program gave.
pub fn check_ids(folder: &Path, tokenizer: &str, flags: &[&str], expected: &[Vec<u32>]) {
    let mut encode = Command::new(env!("CARGO_BIN_EXE_bpe"));
    encode.current_dir(folder).args(["encode", "texts.jsonl", "-o", "ids.txt", "--format", "ids", "-q"]);
    let output = encode.args(["--tokenizer", tokenizer]).args(flags).output().expect("the binary starts");
    assert!(output.status.success(), "{tokenizer}: {}", String::from_utf8_lossy(&output.stderr));
    let ids = std::fs::read_to_string(folder.join("ids.txt")).expect("ids were written");
    let ids: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().expect("an id")).collect()).collect();
    assert_eq!(ids.len(), expected.len(), "{tokenizer}");
    let texts = std::fs::read_to_string(folder.join("texts.jsonl")).expect("the script wrote texts");
    for ((ids, expected), text) in ids.iter().zip(expected).zip(texts.lines()) {
        assert_eq!(ids, expected, "{tokenizer} {flags:?}: {}", text.chars().take(400).collect::<String>());
    }
}
