//! What the rules leave behind in a run: measures, edited texts, and what each rule did.

use std::fs;
use std::path::Path;

use pipeline::{Options, Recipe, RecipeRun, Selection};
use records::{Document, EditedText};
use store::numbers::NumbersReader;
use store::table::TableReader;
use webtext_tests::{assert_same, filter_tally, names};

/// A corpus of 60 texts in three files; every third has a line that C4's rule cuts, every fifth nothing that it keeps.
fn write_texts(folder: &Path) {
    for file in 0..3 {
        let line = |n: u32| {
            let text = match n {
                n if n.is_multiple_of(5) => "Home\\nAbout us".to_owned(),
                n if n.is_multiple_of(3) => format!("Menu\\nThe boat of number {n} is out on the water."),
                n => format!("The boat of number {n} is out on the water."),
            };
            format!("{{\"text\":\"{text}\",\"url\":\"http://boats.example/{file}/{n}\"}}\n")
        };
        fs::write(folder.join(format!("{file}.jsonl")), (1..21).map(line).collect::<String>()).unwrap();
    }
}

fn recipe(folder: &Path) -> Recipe {
    let path = folder.join("recipe.toml");
    let text = r#"
        [pages]
        from = "texts"
        paths = ["*.jsonl"]
        only_links = false
        [[filter]]
        rule = "c4_bad_words"
        list = "bad.txt"
        [[filter]]
        rule = "c4_quality"
        dialect = "datatrove-0.10"
        min_sentences = 1
        [[filter]]
        rule = "length"
        min_words = 3
        max_words = 100
        [dedup]
        exact = false
        [shards]
        seed = 1
        validation_fraction = 0.1
        count = 1
        tokens = []
        [tokenizer]
        use = "gpt2"
    "#;
    fs::write(&path, text).unwrap();
    Recipe::load(&path, &[]).unwrap()
}

fn build(folder: &Path, run: &Path, threads: usize) -> pipeline::Result<pipeline::Summary> {
    let recipe = recipe(folder);
    recipe.check_inputs()?;
    let selection = Selection::default();
    RecipeRun::new(run, recipe, Options::quiet().with_threads(threads))?.run.build(&selection)
}

#[test]
fn measures_and_edited_texts_are_the_same_for_any_threads_and_after_a_change_of_lists() {
    let (inputs, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_texts(inputs.path());
    let (one, four) = (runs.path().join("one/run"), runs.path().join("four/run"));

    // A list that is missing is named before the first task.
    let error = format!("{:#}", anyhow::Error::from(build(inputs.path(), &one, 1).unwrap_err()));
    assert!(error.contains("c4_bad_words") && error.contains("bad.txt") && !one.exists(), "{error}");

    fs::write(inputs.path().join("bad.txt"), "barge\n").unwrap();
    build(inputs.path(), &one, 1).unwrap();
    build(inputs.path(), &four, 4).unwrap();
    assert_same(&one, &four);

    let rules = filter_tally(&one);
    let of_rules = |of: fn(&filter::RuleTally) -> u64| rules.rules().iter().map(of).collect::<Vec<_>>();
    assert_eq!(of_rules(|rule| rule.dropped), [0, 12, 0]);
    assert_eq!(of_rules(|rule| rule.dropped_alone), [0, 12, 12]);
    assert_eq!(of_rules(|rule| rule.edited), [0, 15, 0]);

    let (mut rows, mut edits) = (0, 0);
    for name in names(&one.join("documents/measures")) {
        let documents: Vec<Document> =
            TableReader::open(&one.join("documents").join(&name)).unwrap().map(|row| row.unwrap()).collect();
        let measures = NumbersReader::open(&one.join("documents/measures").join(&name)).unwrap();
        assert!(measures.columns().contains(&"length.words".to_owned()));
        let ids: Vec<String> = measures.map(|row| row.unwrap().id).collect();
        assert_eq!(ids, documents.iter().map(|document| document.id.clone()).collect::<Vec<_>>());
        rows += ids.len();
        for edit in TableReader::<EditedText>::open(&one.join("documents/edited").join(&name)).unwrap() {
            let edit = edit.unwrap();
            assert!(edit.text.starts_with("The boat"), "{}", edit.text);
            let document = &documents[edit.row as usize];
            assert_eq!((document.id.as_str(), document.text_bytes), (edit.id.as_str(), edit.text.len() as u64));
            edits += 1;
        }
    }
    assert_eq!((rows, edits), (60, 15));

    // What a rule cut is not in the shards.
    let shard = zstd::decode_all(fs::File::open(one.join("shards/train-00000.jsonl.zst")).unwrap()).unwrap();
    let shard = String::from_utf8(shard).unwrap();
    assert!(shard.contains("The boat of number 3 ") && !shard.contains("Menu"));

    // Another list: the stage is done again.
    fs::write(inputs.path().join("bad.txt"), "menu\nbarge\n").unwrap();
    assert!(build(inputs.path(), &one, 1).unwrap().tasks_run > 0);
    assert_eq!(filter_tally(&one).rules()[0].dropped, 15);
}
