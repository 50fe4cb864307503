//! Which stages a change of each key of a recipe redoes.
//!
//! `recipe_keys.txt` has two lines for each change: the key and its new value, or the key alone where it is removed;
//! and the stages of which a task is done again. The keys are those that the recipe's types know, taken from what they
//! say about a key that they do not know: a new key without a change in the table is a failure. Each change is built on
//! a copy of a finished run, so changes do not depend on each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arrow_array::{ArrayRef, Int16Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use pipeline::{Options, Recipe, RecipeRun};
use tempfile::TempDir;
use toml::Table;
use webtext_tests::{build, copy_folder, names, recipe_without_model, root};

/// The changes, and the stages that each redoes, in the order of the flow.
const CHANGES: &str = include_str!("recipe_keys.txt");

/// Builds at the same time.
const BUILDS: usize = 6;

/// The sections of a recipe, each with the base that has it.
const SECTIONS: &[(&str, Base)] = &[
    ("", Base::Warc),
    ("links", Base::Warc),
    ("pages", Base::Warc),
    ("pages.fetch", Base::Fetch),
    ("pages.common_crawl", Base::CommonCrawl),
    ("extract", Base::Warc),
    ("filter.language", Base::Warc),
    ("filter.length", Base::Warc),
    ("filter.wikipedia", Base::Warc),
    ("dedup", Base::Warc),
    ("dedup.near", Base::Warc),
    ("overlap", Base::Texts),
    ("shards", Base::Warc),
    ("tokenizer", Base::Warc),
    ("tokenizer.train", Base::Warc),
    ("model", Base::Model),
    ("model.train", Base::Model),
    ("limits", Base::Warc),
];

/// A recipe in which keys are changed. None asks anybody on a network for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// The quickstart's without its model. Pages are taken without links, too, so that links decide no page.
    Warc,
    /// As `Warc`, with a model of a few weights.
    Model,
    /// A corpus of texts.
    Texts,
    /// Pages are fetched, of no link.
    Fetch,
    /// Captures are copied, of no link.
    CommonCrawl,
}

const MODEL: &str = "{layers = 1, heads = 1, channels = 8, context = 8, sample_prompt = \"The\", train = {steps = 1, \
    batch = 1, learning_rate = 0.001, warmup_steps = 0, weight_decay = 0.1, max_gradient_norm = 1.0, seed = 1, \
    evaluate_every = 1, evaluate_batches = 1}}";
const FETCH: &str = "{from = \"fetch\", fetch = {contact = \"test@example.org\"}}";
const COMMON_CRAWL: &str = "{from = \"common-crawl\", common_crawl = {index = [\"index.parquet\"], data = \"data\"}}";
const TEXTS: &str = "{from = \"texts\", paths = [\"texts.jsonl\"], only_links = false}";

impl Base {
    /// The base in which a key is changed.
    fn of(key: &str) -> Base {
        if ["pages.from", "pages.text_field", "pages.url_field"].contains(&key) {
            return Base::Texts;
        }
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        SECTIONS.iter().find(|(known, _)| *known == section).unwrap_or_else(|| panic!("no section has {key}")).1
    }

    fn table(self) -> Table {
        let fixtures = root().join("fixtures");
        let text = recipe_without_model().replace("../fixtures", &fixtures.to_string_lossy());
        let mut recipe: Table = text.parse().unwrap();
        match self {
            Base::Warc => set(&mut recipe, "pages.only_links", "false"),
            Base::Model => {
                set(&mut recipe, "pages.only_links", "false");
                set(&mut recipe, "model", MODEL);
            }
            Base::Texts => {
                ["links", "filter"].iter().for_each(|section| drop(recipe.remove(*section)));
                set(&mut recipe, "pages", TEXTS);
                set(&mut recipe, "overlap", "{sets = [\"set.jsonl\"], remove = \"spans\"}");
            }
            Base::Fetch | Base::CommonCrawl => {
                set(&mut recipe, "links.min_karma", "1_000_000");
                set(&mut recipe, "pages", if self == Base::Fetch { FETCH } else { COMMON_CRAWL });
            }
        }
        recipe
    }

    /// The finished run that changes are made to copies of.
    fn run(self) -> &'static Path {
        static RUNS: [OnceLock<TempDir>; 5] = [const { OnceLock::new() }; 5];
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            build(load(&self.table()), folder.path()).unwrap();
            folder
        };
        RUNS[self as usize].get_or_init(make).path()
    }
}

/// The files that recipes here name beside the fixtures.
fn inputs() -> &'static Path {
    static INPUTS: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = |n: u32| format!("{{\"text\":\"The boat of number {n}.\",\"url\":\"http://boats.example/{n}\"}}\n");
        fs::write(path("texts.jsonl"), (0..20).map(text).collect::<String>()).unwrap();
        let links = fs::read(root().join("fixtures/links/RS_2009-09.jsonl")).unwrap();
        fs::write(path("links.jsonl"), links).unwrap();
        fs::write(path("exclude.txt"), "http://nobody.example/\n").unwrap();
        fs::copy(root().join("fixtures/pages.warc.gz"), path("other.warc.gz")).unwrap();
        fs::write(path("set.jsonl"), "{\"text\":\"The boat of number 7. The boat of number 8.\"}\n").unwrap();
        fs::copy(path("set.jsonl"), path("other-set.jsonl")).unwrap();
        ["data", "other"].iter().for_each(|name| fs::create_dir(path(name)).unwrap());
        ["index.parquet", "other.parquet"].iter().for_each(|name| write_index(&path(name)));
        folder
    };
    INPUTS.get_or_init(make).path()
}

/// The folder of an earlier run with fingerprints.
fn earlier_run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Base::Texts.table();
        set(&mut table, "dedup.fingerprints", "true");
        build(load(&table), folder.path()).unwrap();
        folder
    };
    RUN.get_or_init(make).path()
}

/// An index of Common Crawl's form, with one capture that nobody asks for.
fn write_index(path: &Path) {
    let columns: [(&str, ArrayRef); 7] = [
        ("url_surtkey", Arc::new(StringArray::from(vec!["example,nobody)/"]))),
        ("url", Arc::new(StringArray::from(vec!["http://nobody.example/"]))),
        ("fetch_time", Arc::new(TimestampMillisecondArray::from(vec![5]))),
        ("fetch_status", Arc::new(Int16Array::from(vec![200]))),
        ("warc_filename", Arc::new(StringArray::from(vec!["a.warc.gz"]))),
        ("warc_record_offset", Arc::new(Int32Array::from(vec![0]))),
        ("warc_record_length", Arc::new(Int32Array::from(vec![1]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn load(recipe: &Table) -> Recipe {
    // Paths are relative to it; others are written at the same time.
    let file = tempfile::NamedTempFile::new_in(inputs()).unwrap();
    fs::write(file.path(), recipe.to_string()).unwrap();
    Recipe::load(file.path(), &[]).unwrap()
}

/// Sets a key to a TOML value; an empty one removes it. Rules of `filter` are known by their names.
fn set(recipe: &mut Table, key: &str, value: &str) {
    let path: Vec<&str> = key.split('.').collect();
    let (section, last) = match path[..] {
        ["filter", rule, last] => {
            let rules = recipe["filter"].as_array_mut().unwrap();
            let rule = rules.iter_mut().find(|entry| entry["rule"].as_str() == Some(rule)).unwrap();
            (rule.as_table_mut().unwrap(), last)
        }
        _ => {
            let (last, sections) = path.split_last().unwrap();
            (sections.iter().fold(recipe, |table, name| section_of(table, name)), *last)
        }
    };
    match value {
        "" => drop(section.remove(last)),
        _ => drop(section.insert(last.to_owned(), format!("v = {value}").parse::<Table>().unwrap()["v"].clone())),
    }
}

/// A section of a recipe; it begins to be when it is asked for.
fn section_of<'t>(table: &'t mut Table, name: &str) -> &'t mut Table {
    table.entry(name).or_insert_with(|| Table::new().into()).as_table_mut().unwrap()
}

/// The stages that a change redoes, in order.
fn redone_by(key: &str, value: &str) -> String {
    let base = Base::of(key);
    let mut table = base.table();
    let value = if key == "dedup.against" { &format!("[{:?}]", earlier_run()) } else { value };
    set(&mut table, key, value);
    // Some keys take the place of others.
    let replaced: &[(&str, &str)] = match key {
        "tokenizer.use" => &[("tokenizer.train", "")],
        "dedup.near.bands" => &[("dedup.near.recall", ""), ("dedup.near.rows", "5")],
        "dedup.near.rows" => &[("dedup.near.recall", ""), ("dedup.near.bands", "26")],
        _ => &[],
    };
    replaced.iter().for_each(|(key, value)| set(&mut table, key, value));
    let recipe = load(&table);
    assert_ne!(recipe, load(&base.table()), "{key} = {value} changes nothing");
    let run = tempfile::tempdir().unwrap();
    copy_folder(base.run(), run.path());
    let before = manifests(run.path());
    build(recipe.clone(), run.path())
        .unwrap_or_else(|error| panic!("{key} = {value}: {:#}", anyhow::Error::new(error)));
    let after = manifests(run.path());
    let is_redone = |stage: &&str| {
        let prefix = format!("{stage}/");
        after.iter().any(|(name, time)| name.starts_with(&prefix) && before.get(name) != Some(time))
    };
    let flow = RecipeRun::new(run.path(), recipe, Options::quiet()).unwrap().run;
    flow.flow().names().into_iter().filter(is_redone).collect::<Vec<_>>().join(" ")
}

/// When each manifest of a run was written.
fn manifests(run: &Path) -> BTreeMap<String, SystemTime> {
    let tasks = run.join("tasks");
    let manifests = names(&tasks).into_iter().filter(|name| name.ends_with(".json"));
    manifests.map(|name| (name.clone(), fs::metadata(tasks.join(name)).unwrap().modified().unwrap())).collect()
}

/// A change of the table.
struct Change {
    line: &'static str,
    key: &'static str,
    value: &'static str,
    stages: &'static str,
}

/// The changes of the table.
fn changes() -> &'static [Change] {
    static ALL: OnceLock<Vec<Change>> = OnceLock::new();
    let change = |pair: &[&'static str]| {
        let (key, value) = pair[0].split_once(" = ").unwrap_or((pair[0], ""));
        Change { line: pair[0], key, value, stages: pair[1].trim() }
    };
    ALL.get_or_init(|| {
        let lines: Vec<&'static str> = CHANGES.lines().collect();
        lines.chunks(2).map(change).collect()
    })
}

#[test]
fn a_change_redoes_the_stages_that_read_it_and_what_follows() {
    let changes = changes();
    // Builds wait for the disk most of the time.
    let redone: Vec<String> = std::thread::scope(|scope| {
        let chunks = changes.chunks(changes.len().div_ceil(BUILDS));
        let of_chunk = |chunk: &'static [Change]| {
            move || -> Vec<String> { chunk.iter().map(|change| redone_by(change.key, change.value)).collect() }
        };
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(of_chunk(chunk))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let (mut found, mut wrong) = (String::new(), Vec::new());
    for (Change { line, stages, .. }, redone) in changes.iter().zip(redone) {
        found += format!("{line}\n    {redone}").trim_end();
        found += "\n";
        if redone != *stages {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "these changes redo other stages: {wrong:?}. As it is:\n{found}");
}

#[test]
fn no_number_of_links_rules_or_duplicates_extracts_pages_again() {
    for Change { key, stages, .. } in changes() {
        if ["links.", "filter", "dedup.", "shards.", "tokenizer.", "model."].iter().any(|begin| key.starts_with(begin))
        {
            assert!(!stages.split(' ').any(|stage| stage == "documents.extract"), "{key} redoes {stages}");
        }
    }
}

/// The names in backquotes behind `expected` in what a type says about a name that it does not know.
fn known_names(recipe: &Table, place: &str) -> Vec<String> {
    let error = Recipe::parse(&recipe.to_string(), &[]).unwrap_err();
    let message = format!("{:#}", anyhow::Error::from(error));
    let line = message.lines().find(|line| line.contains("unknown "));
    let line = line.unwrap_or_else(|| panic!("{place} takes an unknown name: {message}"));
    let expected = line.split_once("expected").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A key that names a file which no fixture is: `rules.rs` has it.
const MODEL_OF_LANGUAGE: &str = "filter.language.model";

/// Of rules, those of the base recipe: a task of `documents.filter` holds the whole list of rules, whichever they are.
#[test]
fn every_key_has_a_change() {
    let is_section =
        |key: &str| SECTIONS.iter().any(|(section, _)| format!("{section}.").starts_with(&format!("{key}.")));
    let mut missing = Vec::new();
    for &(section, base) in SECTIONS {
        let key_of = |name: &str| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        let mut recipe = base.table();
        set(&mut recipe, &key_of("no_such_key"), "0");
        let keys = known_names(&recipe, section).into_iter().map(|name| key_of(&name));
        let has_change = |key: &String| key == MODEL_OF_LANGUAGE || changes().iter().any(|change| change.key == key);
        missing.extend(keys.filter(|key| !is_section(key) && !has_change(key)));
    }
    assert!(missing.is_empty(), "no change in recipe_keys.txt is of {missing:?}");
}
