//! Compares with datatrove's sentence dedup: the hashes of units, the edited text to its last byte, which documents drop.
//!
//! With what datatrove said once of the texts of `texts/mod.rs` (`golden/sentence_dedup.py` says how), and with what it
//! says now: `WEBTEXT_PEERS` names a Python that has datatrove and spaCy. Skips the second with a printed reason without
//! it. `WEBTEXT_PARITY_TEXTS` names a file of JSON Lines with `text` to be compared in place of the texts made here,
//! `WEBTEXT_PARITY_SETTINGS` the settings by number.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use dedup::spans::{CopyRule, DatatroveSentences, Occurrence, Unit};
use serde_json::{Value, json};
use xxhash_rust::xxh64::xxh64;

#[path = "../../../tests/support/share.rs"]
mod share;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod texts;

use skip::{peers, tell};

/// The settings of `golden/sentence_dedup.py`, in its order.
const SETTINGS: [DatatroveSentences; 4] = [
    DatatroveSentences {
        n_sentences: 3,
        split_sentences: true,
        min_doc_words: 50,
        min_num_sentences: 3,
        min_words_to_remove_span: 0,
    },
    DatatroveSentences {
        n_sentences: 1,
        split_sentences: true,
        min_doc_words: 10,
        min_num_sentences: 2,
        min_words_to_remove_span: 6,
    },
    DatatroveSentences {
        n_sentences: 2,
        split_sentences: false,
        min_doc_words: 0,
        min_num_sentences: 3,
        min_words_to_remove_span: 5,
    },
    DatatroveSentences {
        n_sentences: 2,
        split_sentences: true,
        min_doc_words: 20,
        min_num_sentences: 0,
        min_words_to_remove_span: 0,
    },
];

#[test]
fn sentences_go_as_datatrove_once_said() {
    let texts = texts::all();
    texts::write(&texts);
    check(&texts, include_str!("golden/sentence_dedup.jsonl"), &[0, 1, 2, 3]);
}

#[test]
fn sentences_go_as_datatrove_says() {
    let modules = ["datatrove", "spacy", "xxhash", "regex"];
    let Some(python) = peers("sentences_go_as_datatrove_says", &modules) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (texts_path, said_path) = (folder.path().join("texts"), folder.path().join("said"));
    let texts = std::env::var_os("WEBTEXT_PARITY_TEXTS").map_or_else(some_texts, |path| read_texts(path.as_ref()));
    let rows: Vec<String> = texts.iter().map(|text| json!({ "text": text }).to_string()).collect();
    fs::write(&texts_path, rows.join("\n")).unwrap();

    let settings = std::env::var("WEBTEXT_PARITY_SETTINGS").unwrap_or("0,1,2,3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sentence_dedup.py");
    let output = Command::new(python).arg(script).args([&texts_path, &said_path]).arg(&settings).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let settings: Vec<usize> = settings.split(',').map(|number| number.parse().unwrap()).collect();
    check(&texts, &fs::read_to_string(&said_path).unwrap(), &settings);
    let bytes: usize = texts.iter().map(String::len).sum();
    tell(format!("{bytes} bytes in {} texts compared", texts.len()));
}

/// Every eighth of the texts at most: datatrove's words of all of them are in the golden file.
fn some_texts() -> Vec<String> {
    texts::all().into_iter().step_by(8 * share::one_in(3)).collect()
}

/// The texts of a file. datatrove may delete a certain word, which is spaCy's fault.
fn read_texts(path: &Path) -> Vec<String> {
    let texts = fs::read_to_string(path).unwrap();
    let text = |line: &str| line.parse::<Value>().unwrap()["text"].as_str().unwrap().to_owned();
    texts.lines().map(text).filter(|text| !text.contains("IS_ALPHA")).collect()
}

/// Compares with the lines that the script wrote, for the settings with these numbers.
fn check(texts: &[String], said: &str, settings: &[usize]) {
    let said: Vec<Vec<(String, Option<String>)>> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), texts.len());
    for (column, &number) in settings.iter().enumerate() {
        let is_last = number == SETTINGS.len() - 1;
        let mut seen = HashSet::new();
        let mut edited = 0;
        for (text, said) in texts.iter().zip(&said) {
            let is_copy = |unit: &Unit| match is_last {
                true => {
                    let earlier = u64::from(!seen.insert(unit.hash));
                    CopyRule::AllButFirst.is_copy(Occurrence { earlier, documents: 1 })
                }
                false => unit.hash.is_multiple_of(5),
            };
            let (units, left) = of_text(SETTINGS[number], text, is_copy);
            let (units_said, left_said) = &said[column];
            assert_eq!(&units, units_said, "units by settings {number} of {text:?}");
            let left_hash = left.as_ref().map(|left| digest(left));
            assert_eq!(&left_hash, left_said, "text by settings {number} of {text:?}: {left:?}");
            edited += u64::from(left.is_none_or(|left| left != *text));
        }
        assert!(edited > 0, "settings {number} edit something");
    }
}

/// The digest of a text's units, and what is left of it, if it is kept.
fn of_text(settings: DatatroveSentences, text: &str, is_copy: impl FnMut(&Unit) -> bool) -> (String, Option<String>) {
    let division = settings.divide(text);
    let units: String = division.units().iter().map(|unit| format!("{:016x}{:016x}", unit.hash, unit.number)).collect();
    let left = division.cut(is_copy).map_or_else(|| text.to_owned(), |edit| edit.text);
    let is_kept = settings.too_little(text, &left).is_none();
    (digest(&units), is_kept.then_some(left))
}

fn digest(text: &str) -> String {
    format!("{:016x}", xxh64(text.as_bytes(), 0))
}
