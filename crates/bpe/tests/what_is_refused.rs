//! What would give other ids, or replace what was not named, is refused by name.

mod common;

use std::fs;

use common::{ids, run};
use serde_json::{Value, json};

/// A tokenizer of bytes in a `tokenizer.json`, with other entries.
fn tokenizer_json(change: impl FnOnce(&mut Value)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "aa ab").expect("it is written");
    let arguments = ["train", "a.txt", "--vocab-size", "257", "-o", "own", "-q"];
    run(folder.path(), &arguments, b"").expect("it trains");
    let json = fs::read_to_string(folder.path().join("own/tokenizer.json")).expect("it is there");
    let mut json: Value = serde_json::from_str(&json).expect("it is JSON");
    json["added_tokens"] = json!([]);
    json["model"]["vocab"].as_object_mut().expect("an object").remove("<|endoftext|>");
    change(&mut json);
    json.to_string()
}

fn added(id: u32, content: &str) -> Value {
    let (no, yes) = (false, true);
    json!({"id": id, "content": content, "single_word": no, "lstrip": no, "rstrip": no, "normalized": no, "special": yes})
}

#[test]
fn ids_that_hugging_face_would_give_anew_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |tokens: Vec<Value>, expected: Result<&str, &str>| {
        let json = tokenizer_json(|json| json["added_tokens"] = tokens.clone().into());
        fs::write(folder.path().join("t.json"), json).unwrap();
        let found = run(folder.path(), &["info", "t.json", "--json"], b"");
        match (found, expected) {
            (Ok(info), Ok(expected)) => {
                let info: Value = serde_json::from_str(&info).unwrap();
                assert_eq!(info["specials"].to_string(), expected, "{tokens:?}");
            }
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{tokens:?}: {told}"),
            (found, _) => panic!("{tokens:?}: {found:?}"),
        }
    };
    check(vec![added(256, "<a>"), added(257, "<b>")], Ok(r#"["<a>","<b>"]"#));
    check(vec![added(256, "<a>"), added(256, "<a>"), added(257, "<b>")], Ok(r#"["<a>","<b>"]"#));
    check(vec![added(300, ""), added(256, "<a>")], Ok(r#"["<a>"]"#));
    check(vec![added(256, "<a>"), added(300, "<b>")], Err("give it id 257"));
    check(vec![added(257, "<b>"), added(256, "<a>")], Err("give it id 256"));
    check(vec![added(256, "<a>"), added(257, "<a>")], Err("give it id 256"));
}

#[test]
fn what_is_no_tokenizer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        fs::write(folder.path().join(name), bytes).unwrap();
        let told = run(folder.path(), &["info", name], b"").unwrap_err();
        assert!(told.contains(expected) && told.contains("hint:") && told.contains(name), "{name}: {told}");
    };
    check(
        "tokenizer.model",
        b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x0c\n\x03<s>\x15\0\0\0\0\x18\x03",
        "SentencePiece",
    );
    check("tokenizer.json.gz", b"\x1f\x8b\x08\0\0\0\0\0", "it is compressed");
    check("tokenizer.zip", b"PK\x03\x04\x14\0", "it is a ZIP archive");
    check("ids.bin", b"\x01\x02\xfe\x81\x07\0\x9c\xc3\x0b\x02", "it is no text");
    check("latin1.txt", b"a b\nd \xe9\n", "invalid UTF-8 at byte 6");
}

#[test]
fn nothing_is_no_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one").unwrap();
    for (name, content) in [("a.tiktoken", ""), ("merges.txt", "\n"), ("t.json", ""), ("x", "\u{feff}")] {
        fs::write(folder.path().join(name), content).unwrap();
        let told = ids(folder.path(), "a.txt", &["--tokenizer", name]).unwrap_err();
        assert!(told.contains("the file is empty"), "{name}: {told}");
    }
    fs::write(folder.path().join("merges.txt"), "#version: 0.2\n").unwrap();
    fs::write(folder.path().join("vocab.json"), "{}").unwrap();
    let told = ids(folder.path(), "a.txt", &["--tokenizer", "merges.txt"]).unwrap_err();
    assert!(told.contains("the vocabulary is empty"), "{told}");
}

#[test]
fn a_word_is_no_pattern() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two  three").unwrap();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "258", "-o", "own", "-q"], b"").unwrap();
    run(folder.path(), &["convert", "own", "-o", "own.tiktoken", "--without-specials"], b"").unwrap();
    for (pattern, expected) in [("llama4", "did you mean llama3?"), ("", "known are gpt2"), (r"\w+[", "cannot be")] {
        let flags = ["--tokenizer", "own.tiktoken", "--pattern", pattern];
        let told = ids(folder.path(), "a.txt", &flags).unwrap_err();
        assert!(told.contains(expected), "{told}");
        let told = run(folder.path(), &["train", "a.txt", "--vocab-size", "300", "-o", "t", "--pattern", pattern], b"");
        assert!(told.is_err_and(|told| told.starts_with("Some(2)") && told.contains(expected)));
    }
    let of_tiktoken = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
    let by =
        |pattern: &str| ids(folder.path(), "a.txt", &["--tokenizer", "own.tiktoken", "--pattern", pattern]).unwrap();
    assert_eq!(by(of_tiktoken), by("cl100k"));
}

/// A pattern is for files that do not say theirs: by another, ids would be nobody's.
#[test]
fn a_pattern_that_a_tokenizer_says_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "don'T  12345").unwrap();
    run(folder.path(), &["convert", "gpt2", "-o", "gpt2.tiktoken", "--without-specials"], b"").unwrap();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "258", "--pattern", "qwen2", "-o", "own", "-q"], b"")
        .unwrap();
    fs::remove_file(folder.path().join("own/tokenizer.json")).unwrap();
    for (tokenizer, own) in [("gpt2", "gpt2"), ("gpt2.tiktoken", "gpt2"), ("own", "qwen2")] {
        let by = |flags: &[&str]| ids(folder.path(), "a.txt", &[&["--tokenizer", tokenizer], flags].concat());
        assert_eq!(by(&["--pattern", own]).unwrap(), by(&[]).unwrap());
        let told = by(&["--pattern", "cl100k"]).unwrap_err();
        assert!(
            told.contains("the tokenizer says its own") && told.contains("leave out --pattern"),
            "{tokenizer}: {told}"
        );
    }
}

/// In a `tokenizer.json`, Oniguruma reads it.
#[test]
fn what_oniguruma_reads_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    let arguments = ["train", "a.txt", "--vocab-size", "300", "-o", "t", "--pattern", r"\w+[[:alpha:]]"];
    let told = run(folder.path(), &arguments, b"").unwrap_err();
    assert!(told.starts_with("Some(2)") && told.contains("a POSIX bracket"), "{told}");
}

/// Hugging Face's program takes one of two by chance, and judges what is beside a token by characters that stand for bytes.
#[test]
fn added_tokens_that_normalizers_make_uncertain_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |normalizer: &str, added: Value, expected: &str| {
        let json = tokenizer_json(|json| {
            json["normalizer"] = json!({"type": normalizer});
            if normalizer == "ByteLevel" {
                json["pre_tokenizer"] = Value::Null;
            }
            json["added_tokens"] = added.clone();
        });
        fs::write(folder.path().join("t.json"), json).unwrap();
        let told = run(folder.path(), &["info", "t.json"], b"").err().unwrap_or_default();
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{added}: {told}");
    };
    let token = |id: u32, content: &str, flag: &str| {
        let mut token = added(id, content);
        token["normalized"] = true.into();
        token[flag] = true.into();
        token
    };
    check("NFC", json!([token(256, "ȩ", "special"), token(257, "e\u{327}", "special")]), "the same");
    check("NFC", json!([token(256, "ȩ", "special"), token(257, "xe", "special")]), "");
    check("ByteLevel", json!([token(256, "<x>", "special")]), "");
    for flag in ["single_word", "lstrip", "rstrip"] {
        check("ByteLevel", json!([token(256, "<x>", flag)]), "behind the normalizer ByteLevel");
        check("NFC", json!([token(256, "<x>", flag)]), "");
    }
}

/// What Hugging Face does with these is no way of splitting: texts twice, no ids, faults.
#[test]
fn normalizers_that_match_nothing_or_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = |pattern: Value| json!({"type": "Replace", "pattern": pattern, "content": "<"});
    for normalizer in [
        pattern(json!({"Regex": "^"})),
        pattern(json!({"Regex": "x*"})),
        pattern(json!({"Regex": r"\b|a"})),
        pattern(json!({"Regex": "(?=a)"})),
        pattern(json!({"String": ""})),
        json!({"type": "Prepend", "prepend": ""}),
    ] {
        fs::write(folder.path().join("t.json"), tokenizer_json(|json| json["normalizer"] = normalizer.clone()))
            .unwrap();
        let told = run(folder.path(), &["info", "t.json"], b"").unwrap_err();
        assert!(told.contains("its normalizer"), "{normalizer}: {told}");
    }
    let json = tokenizer_json(|json| {
        json["normalizer"] = json!({"type": "Strip", "strip_left": true, "strip_right": true});
        let mut blanks = added(256, "  ");
        blanks["normalized"] = true.into();
        json["added_tokens"] = json!([blanks]);
    });
    fs::write(folder.path().join("t.json"), json).unwrap();
    let told = run(folder.path(), &["info", "t.json"], b"").unwrap_err();
    assert!(told.contains("leaves nothing of the added token"), "{told}");
}

#[test]
fn added_tokens_do_not_take_the_ids_of_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two").unwrap();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "258", "-o", "own", "-q"], b"").unwrap();
    fs::remove_file(folder.path().join("own/tokenizer.json")).unwrap();
    for (added, is_read) in [(r#"{"<x>": 258}"#, true), (r#"{"<x>": 5}"#, false), (r#"{"a": 258}"#, false)] {
        fs::write(folder.path().join("own/added_tokens.json"), added).unwrap();
        match ids(folder.path(), "a.txt", &["--tokenizer", "own"]) {
            Ok(_) => assert!(is_read, "{added}"),
            Err(told) => assert!(!is_read && told.contains("contradicts the vocabulary"), "{added}: {told}"),
        }
    }
}

#[test]
fn files_of_the_tokenizer_itself_and_of_others_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one two one two").unwrap();
    run(folder.path(), &["train", "a.txt", "--vocab-size", "259", "-o", "own", "-q"], b"").unwrap();
    for file in ["tokenizer.json", "tokenizer.tiktoken", "training.json"] {
        fs::rename(path("own").join(file), path(file)).unwrap();
    }
    let before = fs::read(path("own/vocab.json")).unwrap();
    for arguments in [
        &["convert", "own", "-o", "own/merges.txt"][..],
        &["convert", "own", "-o", "own/vocab.json"],
        &["convert", "own/vocab.json", "-o", "own/more.txt"],
        &["convert", "own", "-o", "own"],
        &["convert", "gpt2", "-o", "own/gpt2.txt"],
        &["encode", "a.txt", "-o", "own/vocab.json", "--tokenizer", "own"],
        &["encode", "a.txt", "-o", "own/merges.txt", "--tokenizer", "own/vocab.json"],
        &["decode", "a.txt", "-o", "own/vocab.json", "--tokenizer", "own"],
        &["train", "a.txt", "--from", "own", "--vocab-size", "262", "-o", "own"],
        &["train", "a.txt", "--from", "own", "--vocab-size", "262", "-o", "x", "--save-counts", "own/vocab.json"],
    ] {
        let told = run(folder.path(), arguments, b"").unwrap_err();
        assert!(told.starts_with("Some(2)") && told.contains("choose another"), "{arguments:?}: {told}");
    }
    assert_eq!(fs::read(path("own/vocab.json")).unwrap(), before);
    run(folder.path(), &["convert", "own", "-o", "own/tokenizer.json"], b"").unwrap();
    fs::rename(path("training.json"), path("own/training.json")).unwrap();
    let told = run(folder.path(), &["convert", "gpt2", "-o", "own/gpt2.tiktoken"], b"").unwrap_err();
    assert!(told.contains("the training.json of that folder"), "{told}");
    // A folder keeps no file of another tokenizer beside the new ones.
    fs::create_dir(path("other")).unwrap();
    fs::write(path("other/vocab.bpe"), "#version: 0.2\n").unwrap();
    let told = run(folder.path(), &["convert", "gpt2", "-o", "other"], b"").unwrap_err();
    assert!(told.starts_with("Some(2)") && told.contains("would stay beside"), "{told}");
    assert!(!path("other/tokenizer.json").exists());
}

#[test]
fn special_tokens_are_not_lost_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one two one two").unwrap();
    let train = ["train", "a.txt", "--vocab-size", "260", "--special", "<s>", "--special", "</s>", "-o", "own", "-q"];
    run(folder.path(), &train, b"").unwrap();
    let told = run(folder.path(), &["convert", "own", "-o", "own.tiktoken"], b"").unwrap_err();
    assert!(told.contains("it would lose the added token \"<s>\""), "{told}");
    run(folder.path(), &["convert", "own", "-o", "own.tiktoken", "--without-specials"], b"").unwrap();
    let flags = ["--tokenizer", "own.tiktoken", "--pattern", "gpt2"];
    assert_eq!(ids(folder.path(), "a.txt", &flags), ids(folder.path(), "a.txt", &["--tokenizer", "own"]));
    run(folder.path(), &["convert", "own", "-o", "folder"], b"").unwrap();
    assert!(!folder.path().join("folder/tokenizer.tiktoken").exists());
}

#[test]
fn what_has_no_effect_on_ids_is_written_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let processor = json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<a>", "type_id": 0}}],
        "pair": [], "special_tokens": {"<a>": {"id": "<a>", "ids": [256], "tokens": ["<a>"]}}});
    let json = tokenizer_json(|json| {
        json["added_tokens"] = json!([added(256, "<a>")]);
        json["post_processor"] = processor.clone();
        json["decoder"] = Value::Null;
    });
    fs::write(folder.path().join("t.json"), &json).unwrap();
    run(folder.path(), &["convert", "t.json", "-o", "u.json"], b"").unwrap();
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (given, written) = (read(&json), read(&fs::read_to_string(folder.path().join("u.json")).unwrap()));
    for entry in ["post_processor", "decoder", "added_tokens", "pre_tokenizer", "normalizer"] {
        assert_eq!(written[entry], given[entry], "{entry}");
    }
    assert_eq!(written["model"]["vocab"], given["model"]["vocab"]);
}

#[test]
fn word_counts_are_of_their_pattern() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "The year 1984 and 2001. ".repeat(9)).unwrap();
    let train = |more: &[&str]| {
        let arguments = [&["train", "--vocab-size", "262", "-o", "own", "-q"], more].concat();
        run(folder.path(), &arguments, b"")
    };
    train(&["a.txt", "--save-counts", "words", "--pattern", "qwen2"]).unwrap();
    let merges = fs::read_to_string(folder.path().join("own/merges.txt")).unwrap();
    train(&["--counts", "words", "--pattern", "qwen2"]).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("own/merges.txt")).unwrap(), merges);
    for flags in [&[][..], &["--pattern", "cl100k"]] {
        let told = train(&[&["--counts", "words"], flags].concat()).unwrap_err();
        assert!(told.contains("its words were split by qwen2"), "{told}");
    }
    let words = fs::read(folder.path().join("words")).unwrap();
    let header = 8 + 8 + "qwen2".len();
    fs::write(folder.path().join("words"), [b"BPEWORDS", &words[header..]].concat()).unwrap();
    let told = train(&["--counts", "words"]).unwrap_err();
    assert!(told.contains("does not say how its words were split"), "{told}");
}
