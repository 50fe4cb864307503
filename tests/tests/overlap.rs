//! `webtext overlap` against counts of words as strings, and what it removes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use webtext_tests::{binary, check, json, json_rows, recipe_of_texts, stage};

/// Runs of `n` words.
fn ngrams(text: &str, n: usize) -> Vec<String> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.windows(n).map(|run| run.join(" ")).collect()
}

fn words(from: usize, to: usize) -> String {
    (from..to).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

fn overlap(folder: &Path, flags: &[&str]) -> Value {
    let mut command = Command::new(binary("webtext"));
    command.arg("overlap").args(["a.jsonl", "--eval", "set.jsonl", "set.txt", "--json", "-q"]).args(flags);
    json(&check(command.current_dir(folder), 0))
}

#[test]
fn shares_are_those_of_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let texts = [words(0, 100), words(50, 300), "Nothing of it.".to_owned()];
    write("a.jsonl", &texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect::<String>());
    let items =
        [json!({"question": words(90, 110), "choices": ["no", words(500, 520)], "gold": 1}), json!({"text": "short"})];
    write("set.jsonl", &items.iter().map(|item| format!("{item}\n")).collect::<String>());
    write("set.txt", &format!("{}\n{}\n\n{}\n", words(0, 5), words(5, 12), words(700, 710)));
    let result = overlap(folder.path(), &[]);
    let sets =
        [vec![words(90, 110), words(500, 520)], vec![format!("{} {}", words(0, 5), words(5, 12)), words(700, 710)]];
    let of_inputs: Vec<String> = texts.iter().flat_map(|text| ngrams(text, 8)).collect();
    let all: BTreeSet<&String> = of_inputs.iter().collect();
    for (report, set) in result["sets"].as_array().unwrap().iter().zip(sets) {
        let of_set: Vec<String> = set.iter().flat_map(|text| ngrams(text, 8)).collect();
        let in_set: BTreeSet<&String> = of_set.iter().collect();
        assert_eq!(report["set_ngrams"], of_set.len(), "{report}");
        assert_eq!(report["found_in_corpus"], of_set.iter().filter(|ngram| all.contains(ngram)).count(), "{report}");
        assert_eq!(report["corpus_ngrams"], of_inputs.len(), "{report}");
        assert_eq!(report["found_in_set"], of_inputs.iter().filter(|ngram| in_set.contains(ngram)).count(), "{report}");
    }
    assert_eq!(result["sets"][1]["items"], 2);
}

#[test]
fn items_are_removed_and_quotations_stay() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let quoted = words(0, 20);
    let leaked = format!("It begins here. He said {} today. It ends here.", words(100, 115));
    let mut texts: Vec<String> = (0..4).map(|number| format!("Quoted by {number}: {quoted}.")).collect();
    texts.extend([leaked.clone(), words(100, 115), "Nothing of it at all.".to_owned()]);
    let line = |(number, text): (usize, &String)| format!("{}\n", json!({"number": number, "text": text}));
    write("a.jsonl", &texts.iter().enumerate().map(line).collect::<String>());
    write("set.jsonl", &format!("{}\n{}\n", json!({ "text": quoted }), json!({"q": words(100, 115), "a": "yes"})));
    write("set.txt", "An item of few words\n");

    let flags = |what: &'static str| {
        ["--remove", what, "-o", "kept.jsonl", "--matches", "matches.jsonl", "--max-documents", "3"]
    };
    let result = overlap(folder.path(), &flags("spans"));
    let kept = json_rows(&folder.path().join("kept.jsonl"));
    assert_eq!(kept.len(), 6);
    assert_eq!(kept[4], json!({"number": 4, "text": "It begins here. It ends here."}));
    assert_eq!(result["dropped"]["in_evaluation_set"], 1);
    let matches = json_rows(&folder.path().join("matches.jsonl"));
    assert_eq!(matches.len(), 2);
    assert_eq!((&matches[0]["verdict"], &matches[0]["item"]), (&json!("cut"), &json!("set.jsonl:2")));
    assert_eq!((&matches[0]["matched"], &matches[0]["text"]), (&json!(words(100, 115)), &json!(leaked)));
    assert_eq!(matches[1]["verdict"], "in_evaluation_set");

    let result = overlap(folder.path(), &flags("documents"));
    assert_eq!((&result["kept"], &result["dropped"]["in_evaluation_set"]), (&json!(5), &json!(2)));
    let numbers: Vec<u64> =
        json_rows(&folder.path().join("kept.jsonl")).iter().map(|row| row["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 6]);
}

#[test]
fn what_is_no_evaluation_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"text\": \"The tide.\"}\n").unwrap();
    for (name, bytes, expected) in [
        ("empty.jsonl", &b""[..], "holds no item"),
        ("set.parquet", b"PAR1", "is Parquet"),
        ("bad.jsonl", b"{\"text\": \"x\"}\n{\"text\": \n", "line 2"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let mut command = Command::new(binary("webtext"));
        let output =
            command.args(["overlap", "a.jsonl", "--eval", name, "-q"]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}

#[test]
fn an_output_is_not_replaced_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("set.jsonl"), format!("{}\n", json!({"q": words(100, 115)}))).unwrap();
    fs::write(path("empty.jsonl"), "").unwrap();
    fs::write(path("kept.jsonl"), "{\"text\":\"old\"}\n").unwrap();
    let mut command = Command::new(binary("webtext"));
    command.args(["overlap", "empty.jsonl", "--eval", "set.jsonl", "--remove", "spans", "-o", "kept.jsonl", "-q"]);
    let output = check(command.current_dir(folder.path()), 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("stays as it is"));
    assert_eq!(fs::read_to_string(path("kept.jsonl")).unwrap(), "{\"text\":\"old\"}\n");
}

#[test]
fn a_run_removes_items_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let leaked = format!("It begins here. He said {} today. It ends here.", words(100, 115));
    let texts =
        [leaked, words(100, 115), "Nothing of it at all.".to_owned(), format!("Another one: {}.", words(0, 20))];
    let url = |number: usize| format!("https://tide.example/{number}");
    let line = |(number, text): (usize, &String)| format!("{}\n", json!({"url": url(number), "text": text}));
    write("texts.jsonl", &texts.iter().enumerate().map(line).collect::<String>());
    write("set.jsonl", &format!("{}\n{}\n", json!({"q": words(100, 115), "a": "yes"}), json!({"q": words(500, 520)})));
    write("recipe.toml", &recipe_of_texts("[overlap]\nsets = [\"set.jsonl\"]\nremove = \"spans\""));
    let run = folder.path().join("run");
    let webtext = |arguments: &[&str]| {
        let mut command = Command::new(binary("webtext"));
        command.args(arguments).current_dir(folder.path());
        String::from_utf8(check(&mut command, 0).stdout).unwrap()
    };
    let summary: Value =
        serde_json::from_str(&webtext(&["build", "recipe.toml", "--out", "run", "--json", "-q"])).unwrap();
    let dropped = &stage(&summary, "shards.scatter")["counts"]["dropped"];
    assert_eq!((&dropped["in_evaluation_set"], &dropped["too_little_left"]), (&json!(1), &Value::Null));
    let sets: Vec<records::OverlapSet> = webtext_tests::rows(&run.join("overlap"), "sets");
    let (found, of) = (sets[0].found_in_corpus, sets[0].set_ngrams);
    assert_eq!((sets[0].items, found, of, sets[0].found_in_set), (2, 8, 21, 16));
    let mut matches: Vec<records::OverlapMatch> = webtext_tests::rows(&run.join("overlap"), "matches");
    matches.sort_by_key(|met| met.verdict.is_some());
    let bytes = matches[0].start as usize..matches[0].end as usize;
    assert_eq!(texts[0][bytes], words(100, 115));
    assert!(matches[0].item.ends_with("set.jsonl:1") && matches.len() == 2, "{matches:?}");
    let shard = zstd::decode_all(&fs::read(run.join("shards/train-00000.jsonl.zst")).unwrap()[..]).unwrap();
    let shard = String::from_utf8(shard).unwrap();
    assert!(shard.contains("\"It begins here. It ends here.\"") && shard.contains("Another one"), "{shard}");
    assert!(!shard.contains("w100"), "{shard}");
    let explained = webtext(&["explain", "run", &url(1)]);
    assert!(explained.contains("in_evaluation_set") && explained.contains("set.jsonl:1"), "{explained}");
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("Overlap with evaluation sets"));

    // Removed again, it costs only the stages behind it.
    let summary =
        webtext(&["build", "recipe.toml", "--out", "run", "--set", "overlap.max_documents=1", "--json", "-q"]);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(stage(&summary, "shards.scatter")["counts"]["kept"], 4);
}
