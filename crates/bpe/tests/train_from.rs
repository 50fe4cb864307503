//! `bpe train --from`: what it keeps, what it writes, what it refuses, and what Hugging Face's tokenizers make of it.

mod common;
#[path = "../../../tests/support/share.rs"]
mod share;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::fs;
use std::path::Path;
use std::process::Command;

use bpe::{TokenId, formats};
use common::{check_ids, ids, run};
use serde_json::{Value, json};
use skip::peers;

/// Words that GPT-2's vocabulary has in parts.
const NOVEL: &str = "The kittiwake's kittiwakes, and the guillemots: Kittiwake 2001! ";

fn folder_with_texts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), NOVEL.repeat(50)).expect("room");
    fs::write(folder.path().join("plain.txt"), "It is what it is, <|endoftext|>said he: 12 o'clock.\n\n")
        .expect("room");
    folder
}

/// All ids, merges and added tokens of the base are in the grown tokenizer, which says so after it was read.
fn check_kept(folder: &Path, base: &str, grown: &str) {
    let load = |name: &str| {
        let path = folder.join(name);
        let name = if path.exists() { path.to_str().expect("UTF-8").to_owned() } else { name.to_owned() };
        formats::load(&name).expect("a tokenizer")
    };
    let (base, grown) = (load(base), load(grown));
    let ids = (0..base.vocab_size() as u32).map(TokenId);
    ids.for_each(|id| assert_eq!(grown.token(id), base.token(id), "{id:?}"));
    assert!(grown.merges().take(base.merges().len()).eq(base.merges()));
    assert!(grown.added_tokens().starts_with(base.added_tokens()));
    assert!(grown.vocab_size() > base.vocab_size() && grown.known_pattern() == base.known_pattern());
}

#[test]
fn gpt2_goes_on_with_its_ids_kept() {
    let folder = folder_with_texts();
    let flags = ["--from", "gpt2", "--vocab-size", "50260,50264", "--special", "<tool>", "-o", "own", "-q", "--json"];
    let summary = run(folder.path(), &[&["train", "a.txt"], &flags[..]].concat(), b"").unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["vocab_size"], &summary["documents"]), (&50_264.into(), &1.into()));
    for (size, special) in [("own/50260", 50_259), ("own/50264", 50_263)] {
        let mut found = Vec::new();
        for file in ["tokenizer.json", "merges.txt", "vocab.json", "tokenizer.tiktoken", ""] {
            let name = format!("{size}/{file}");
            check_kept(folder.path(), "gpt2", &name);
            let tokenizer = formats::load(folder.path().join(&name).to_str().unwrap()).unwrap();
            assert_eq!(tokenizer.special("<tool>"), Some(TokenId(special)), "{name}");
            assert_eq!(tokenizer.end_of_text(), Some(TokenId(50_256)), "{name}");
            found.push(ids(folder.path(), "a.txt", &["--tokenizer", &name]).unwrap());
            // No new pair is in this text.
            let plain = ids(folder.path(), "plain.txt", &["--tokenizer", &name, "--specials"]).unwrap();
            assert_eq!(plain, ids(folder.path(), "plain.txt", &["--specials"]).unwrap());
        }
        assert!(found.windows(2).all(|two| two[0] == two[1]), "{size}");
        let before = ids(folder.path(), "a.txt", &[]).unwrap();
        assert!(found[0].split_whitespace().count() < before.split_whitespace().count());
        let training: Value =
            serde_json::from_slice(&fs::read(folder.path().join(size).join("training.json")).unwrap()).unwrap();
        assert_eq!((&training["from"], &training["pattern"]), (&"gpt2".into(), &"gpt2".into()));
        assert_eq!(training["tokens"], json!(found[0].split_whitespace().count()));
    }
    // It can go on again.
    let flags = ["train", "a.txt", "--from", "own/50260/merges.txt", "--vocab-size", "50262", "-o", "again", "-q"];
    run(folder.path(), &flags, b"").unwrap();
    check_kept(folder.path(), "own/50260", "again");
}

#[test]
fn a_stopped_training_goes_on_and_counts_can_be_kept() {
    let folder = folder_with_texts();
    let flags = ["--from", "gpt2", "--vocab-size", "50275", "-q"];
    let train = |more: &[&str]| run(folder.path(), &[&["train"], &flags[..], more].concat(), b"").unwrap();
    train(&["a.txt", "-o", "one", "--save-counts", "words.counts", "--threads", "1"]);
    train(&["--counts", "words.counts", "-o", "two"]);
    train(&["a.txt", "-o", "three", "--threads", "3", "--checkpoint-seconds", "0"]);
    let json = |name: &str| fs::read(folder.path().join(name).join("tokenizer.json")).unwrap();
    assert!(json("one") == json("two") && json("one") == json("three"));
}

#[test]
fn a_tokenizer_of_another_form_keeps_all_that_it_is() {
    let folder = folder_with_texts();
    let flags = ["--pattern", r"\w+|\W", "--special", "<s>", "--special", "sea", "--vocab-size", "262", "-o", "base"];
    run(folder.path(), &[&["train", "a.txt", "-q"], &flags[..]].concat(), b"").unwrap();
    let json = fs::read_to_string(folder.path().join("base/tokenizer.json")).unwrap();
    let mut base: Value = serde_json::from_str(&json).unwrap();
    let tool = json!({"id": 300, "content": "guillemots", "single_word": true, "lstrip": true, "rstrip": false,
                      "normalized": true, "special": false});
    base["added_tokens"].as_array_mut().unwrap().push(tool);
    base["model"]["vocab"]["guillemots"] = 300.into();
    base["normalizer"] = json!({"type": "Lowercase"});
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/tokenizer.json"), base.to_string()).unwrap();

    for (from, size, files) in [("base", "270", 5), ("other", "310", 2)] {
        let flags = ["train", "a.txt", "--from", from, "--vocab-size", size, "-o", "grown"];
        run(folder.path(), &flags, b"").unwrap();
        check_kept(folder.path(), from, "grown");
        // What cannot hold a normalizer is left out, and the older file with it.
        assert_eq!(fs::read_dir(folder.path().join("grown")).unwrap().count(), files, "{from}");
        let expected = ids(folder.path(), "a.txt", &["--tokenizer", "grown"]).unwrap();
        for file in ["tokenizer.json", "merges.txt", "tokenizer.tiktoken"] {
            let name = format!("grown/{file}");
            if folder.path().join(&name).exists() {
                assert_eq!(ids(folder.path(), "a.txt", &["--tokenizer", &name]).unwrap(), expected, "{name}");
            }
        }
    }
    let training: Value =
        serde_json::from_slice(&fs::read(folder.path().join("grown/training.json")).unwrap()).unwrap();
    assert_eq!((&training["pattern"], &training["added_tokens"][2]["id"]), (&Value::Null, &300.into()));
    let text = ids(folder.path(), "a.txt", &["--tokenizer", "grown"]).unwrap();
    let found: Vec<u32> = text.split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert!(found.contains(&300) && found.iter().any(|&id| id > 300), "{text}");
}

#[test]
fn what_would_change_the_base_is_refused() {
    let folder = folder_with_texts();
    let refused = |flags: &[&str]| {
        let given = ["train", "a.txt", "-q", "-o", "out"];
        run(folder.path(), &[&given[..], flags].concat(), b"").unwrap_err()
    };
    run(folder.path(), &["convert", "gpt2", "-o", "base"], b"").unwrap();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "270", "-o", "own", "-q", "--pattern", "qwen2"], b"")
        .unwrap();
    let bytes: String = (0..=255u8).map(|byte| format!("{} {byte}\n", data_encoding::BASE64.encode(&[byte]))).collect();
    fs::write(folder.path().join("bytes.tiktoken"), bytes).unwrap();
    for (flags, message) in [
        (&["--from", "gpt2", "--vocab-size", "50257"][..], "50257 is not larger than the tokenizer's 50257 ids"),
        (&["--from", "gpt2", "--vocab-size", "60000,40000"], "40000 is not larger"),
        (&["--from", "gpt2", "--vocab-size", "9999999"], "is too large: at most 2097153"),
        (&["--from", "gpt2", "--vocab-size", "50300", "--special", "<|endoftext|>"], "in the vocabulary already"),
        (&["--from", "gpt2", "--vocab-size", "50300", "--special", "a", "--special", "a"], "in the vocabulary already"),
        (&["--from", "gpt2", "--vocab-size", "50300", "--pattern", "cl100k"], "the tokenizer says its own"),
        (&["--from", "base", "--vocab-size", "50300", "--pattern", "gpt2"], "the tokenizer says its own"),
        (&["--from", "own/merges.txt", "--vocab-size", "300", "--pattern", "gpt2"], "the tokenizer says its own"),
        (
            &["--from", "own/tokenizer.tiktoken", "--vocab-size", "300", "--pattern", "gpt2"],
            "the tokenizer says its own",
        ),
        (
            &["--from", "bytes.tiktoken", "--vocab-size", "300", "--pattern", r"\b\w+\b|\W+"],
            "would be another one in a tokenizer.json",
        ),
        (&["--from", "absent", "--vocab-size", "300"], "cannot read absent"),
    ] {
        let failed = refused(flags);
        assert!(failed.contains(message), "{flags:?}: {failed}");
    }
    assert!(!folder.path().join("out").exists());
    for from in ["own", "own/merges.txt", "own/tokenizer.tiktoken"] {
        let flags = ["train", "a.txt", "--from", from, "--vocab-size", "300", "-o", "own"];
        let failed = run(folder.path(), &flags, b"").unwrap_err();
        assert!(failed.contains("choose another name"), "{from}: {failed}");
    }
    // The same pattern may be said, and merges that nobody says a pattern of need it.
    let flags = ["--from", "own/merges.txt", "--vocab-size", "300", "--pattern", "qwen2", "-o", "more"];
    run(folder.path(), &[&["train", "a.txt", "-q"], &flags[..]].concat(), b"").unwrap();
    check_kept(folder.path(), "own", "more");
}

#[test]
fn a_training_of_another_tokenizer_is_not_taken_for_its_own() {
    let folder = folder_with_texts();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "270", "-o", "own", "-q"], b"").unwrap();
    run(folder.path(), &["convert", "gpt2", "-o", "gpt2.tiktoken"], b"").unwrap();
    fs::rename(folder.path().join("gpt2.tiktoken"), folder.path().join("own/gpt2.tiktoken")).unwrap();
    let failed = ids(folder.path(), "a.txt", &["--tokenizer", "own/gpt2.tiktoken"]).unwrap_err();
    assert!(failed.contains("training.json beside it is of another tokenizer") && failed.contains("hint"), "{failed}");
}

/// Loads what was made of each form with Hugging Face's tokenizers: the base's tokens have their ids, and the texts
/// their ids.
const SCRIPT: &str = r#"
import json, sys
from tokenizers import Tokenizer
texts = [json.loads(line)["text"] for line in open("texts.jsonl", encoding="utf-8")]
for name in sys.argv[1:]:
    grown, base = (Tokenizer.from_file(f"{name}{end}/tokenizer.json") for end in ["-grown", ""])
    assert base.get_vocab().items() <= grown.get_vocab().items(), name
    assert grown.get_vocab_size() > base.get_vocab_size(), name
    merges = [json.loads(t.to_str())["model"]["merges"] for t in (base, grown)]
    assert merges[1][:len(merges[0])] == merges[0], name
    ids = []
    for as_text in [True, False]:
        grown.encode_special_tokens = as_text
        ids.append([encoding.ids for encoding in grown.encode_batch(texts, add_special_tokens=False)])
    print(json.dumps([name, *ids]))
"#;

#[test]
fn hugging_face_loads_what_was_grown_from_every_form_and_encodes_alike() {
    let test = "hugging_face_loads_what_was_grown_from_every_form_and_encodes_alike";
    let Some(python) = peers(test, &["tokenizers", "tiktoken"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = ["README.md", "src/split/scan.rs", "../../docs/bpe.md"].map(|file| root.join(file));
    let python = |script: &str, arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new(&python);
        let output = command.current_dir(folder.path()).arg("-c").arg(script).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let arguments: Vec<_> = [folder.path()].into_iter().chain(corpus.iter().map(|path| path.as_path())).collect();
    let arguments: Vec<_> = arguments.into_iter().map(Path::as_os_str).collect();
    python(include_str!("tokenizers_of_hugging_face.py"), &arguments);

    let folders = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> =
        folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    let names: Vec<String> = names.into_iter().step_by(share::one_in(6)).collect();
    for name in &names {
        let size = formats::load(folder.path().join(name).to_str().unwrap()).unwrap().vocab_size() + 200;
        let (from, grown, size) = (format!("{name}/tokenizer.json"), format!("{name}-grown"), size.to_string());
        let flags = ["--from", &from, "--vocab-size", &size, "--special", "<|new|>", "-o", &grown, "-q"];
        run(folder.path(), &[&["train", "texts.jsonl"], &flags[..]].concat(), b"").unwrap();
    }
    let names: Vec<_> = names.iter().map(std::ffi::OsStr::new).collect();
    let expected = python(SCRIPT, &names);
    for line in expected.lines() {
        let (name, as_text, as_ids): (String, Vec<Vec<u32>>, Vec<Vec<u32>>) = serde_json::from_str(line).unwrap();
        check_ids(folder.path(), &format!("{name}-grown"), &[], &as_text);
        check_ids(folder.path(), &format!("{name}-grown"), &["--specials"], &as_ids);
    }
    assert!(expected.lines().count() >= 30 / share::one_in(6));
}
