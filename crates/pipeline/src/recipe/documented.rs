//! Tests that the table of keys in `docs/formats.md` matches the code: every key, no other key, and each default. The
//! keys of rules are left out: `docs/filter.md` has them, and a test of the crate `filter`.

use std::collections::BTreeMap;

use records::CaptureChoice;
use toml::{Table, Value};

use super::dedup::DEFAULT_RECALL;
use super::{ExecutorSettings, Recipe, StageResources};

const FORMATS: &str = include_str!("../../../../docs/formats.md");

/// A recipe with every section and source, and required keys only.
const REQUIRED: &str = r#"
[links]
dumps = []
min_karma = 3
karma_of = "any submission"
over_18 = "drop"
drop_domains = []
drop_extensions = []
[[pages]]
from = "fetch"
fetch = { contact = "test@example.org" }
[[pages]]
from = "common-crawl"
common_crawl = { index = ["index"], contact = "test@example.org" }
[[pages]]
from = "texts"
paths = ["texts.jsonl"]
[dedup]
exact = true
near = { min_jaccard = 0.7 }
ngram_bloom = { expected_ngrams = 9 }
spans = [{ unit = "line" }]
substrings = { min_bytes = 9 }
[overlap]
sets = ["set.jsonl"]
[shards]
seed = 1
validation_fraction = 0.1
count = 1
tokens = ["nanogpt"]
[tokenizer]
train = { vocab_size = 300, min_frequency = 2 }
[model]
layers = 1
heads = 1
channels = 8
context = 8
sample_prompt = "The"
train = { steps = 1, batch = 1, learning_rate = 0.1, warmup_steps = 0, weight_decay = 0.1, max_gradient_norm = 1.0, seed = 1, evaluate_every = 1, evaluate_batches = 1 }
[executor.slurm]
[executor.ray]
[executor.kubernetes]
"#;

/// Sections whose keys other tables have.
const ELSEWHERE: &[&str] = &["filter", "model.train"];

/// The sections whose keys are compared.
const SECTIONS: &[&str] = &[
    "links",
    "pages",
    "pages.fetch",
    "pages.common_crawl",
    "extract",
    "dedup",
    "dedup.near",
    "overlap",
    "shards",
    "tokenizer",
    "tokenizer.train",
    "model",
    "limits",
    "executor",
    "executor.slurm",
    "executor.ray",
    "executor.kubernetes",
];

/// Keys whose default depends on the place of the run or of this program.
const DEPENDENT: &[&str] = &["executor.command", "executor.slurm.logs"];

/// A row of the table, for one of its keys.
struct Documented {
    kind: String,
    default: String,
    meaning: String,
}

/// The cells of a row; a `|` in a cell is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|')).expect("a row of a table");
    row.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// The documented keys, each with the default that is its own in a row of several.
fn documented() -> BTreeMap<String, Documented> {
    let (_, table) = FORMATS.split_once("| key | type, unit | default | meaning |").expect("the table of keys");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    let mut section = String::new();
    let mut keys = BTreeMap::new();
    for row in table.lines().skip(2) {
        let cells = cells(row);
        let [names, kind, default, meaning] = &cells[..] else { panic!("four cells: {row}") };
        if let Some(name) = names.strip_prefix("**`").and_then(|cell| cell.strip_suffix("`**")) {
            section = name.trim_matches(['[', ']']).to_owned();
            continue;
        }
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('`')).collect();
        // A row of several keys has a default for each, or one for all.
        let defaults: Vec<&str> = if names.len() > 1 { default.split(", ").collect() } else { vec![default.as_str()] };
        for (at, name) in names.into_iter().enumerate() {
            let default = (*defaults.get(at).unwrap_or(&defaults[0])).to_owned();
            let row = Documented { kind: kind.clone(), default, meaning: meaning.clone() };
            keys.insert(format!("{section}.{name}"), row);
        }
    }
    keys.retain(|key, _| !ELSEWHERE.iter().any(|section| key.starts_with(&format!("{section}."))));
    keys
}

/// Every key of a recipe with its value; of several sources, the union.
fn flatten(table: &Table, section: &str, keys: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match value {
            _ if ELSEWHERE.contains(&key.as_str()) => {}
            Value::Table(inner) => flatten(inner, &key, keys),
            Value::Array(entries) if key == "pages" => {
                entries.iter().filter_map(Value::as_table).for_each(|entry| flatten(entry, &key, keys));
            }
            value => drop(keys.entry(key).or_insert_with(|| value.clone())),
        }
    }
}

/// The required keys with every default spelled out, as a run's `recipe.toml` has them.
fn resolved() -> Table {
    Recipe::parse(REQUIRED, &[]).unwrap().to_toml().unwrap().parse().unwrap()
}

/// Every key that has a value in the resolved recipe, or whose default a run's recipe leaves out.
fn values() -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    flatten(&resolved(), "", &mut values);
    flatten(&Table::try_from(ExecutorSettings::default()).unwrap(), "executor", &mut values);
    let recipe = Recipe::parse(REQUIRED, &[]).unwrap();
    values.insert("pages.text_field".into(), recipe.pages[0].text_field.clone().into());
    values.insert("pages.url_field".into(), recipe.pages[0].url_field.clone().into());
    values
}

/// A value as the table writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        value => value.to_string(),
    }
}

/// The keys of a section, from the error message for an unknown key.
fn known_keys(section: &str) -> Vec<String> {
    let mut table: Table = REQUIRED.parse().unwrap();
    let path: Vec<&str> = section.split('.').collect();
    let inner = match path[..] {
        ["pages"] => table["pages"][2].as_table_mut(),
        ["pages", "fetch"] => table["pages"][0]["fetch"].as_table_mut(),
        ["pages", "common_crawl"] => table["pages"][1]["common_crawl"].as_table_mut(),
        ["dedup", "spans"] => table["dedup"]["spans"][0].as_table_mut(),
        [outer, inner] => table[outer][inner].as_table_mut(),
        [outer] => table.entry(outer).or_insert_with(|| Table::new().into()).as_table_mut(),
        _ => unreachable!("sections lie two deep at most"),
    };
    inner.unwrap().insert("no_such_key".into(), 1.into());
    let message = Recipe::parse(&table.to_string(), &[]).unwrap_err().to_string();
    names_expected(&message).into_iter().map(|name| format!("{section}.{name}")).collect()
}

/// The names that serde's message about an unknown field has.
fn names_expected(message: &str) -> Vec<String> {
    let (_, known) = message.split_once("expected one of ").or_else(|| message.split_once("expected ")).unwrap();
    known.split('`').skip(1).step_by(2).filter(|name| *name != "no_such_key").map(str::to_owned).collect()
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    let values = values();
    let mut given = BTreeMap::new();
    flatten(&REQUIRED.parse().unwrap(), "", &mut given);
    for (key, Documented { default, .. }) in &documented() {
        // What follows explains the default, or is that of one kind of source.
        let said = default.split("; ").next().and_then(|first| first.split(": ").next()).unwrap_or_default();
        let said = said.replace('`', "");
        let is_nothing = ["", "none", "absent", "[]"].contains(&said.as_str());
        if said == "required" || said.starts_with("required ") {
            assert!(given.contains_key(key), "{key} is said to be required, and is not");
        } else if !given.contains_key(key) && !DEPENDENT.contains(&key.as_str()) {
            match values.get(key) {
                None => assert!(is_nothing, "{key} has no default, and {said} is documented"),
                Some(Value::Array(entries)) if entries.is_empty() => {
                    assert!(is_nothing, "{key} is empty by default, and {said} is documented");
                }
                Some(value) => assert_eq!(said, shown(value), "the default of {key}"),
            }
        }
    }
}

/// What takes the place of a key that is absent.
#[test]
fn the_documented_defaults_of_absent_keys_are_those_of_the_code() {
    let documented = documented();
    let numbers = documented.iter().filter_map(|(key, row)| {
        let number = row.default.strip_prefix("absent: ")?;
        number.parse::<f64>().is_ok().then_some((key.as_str(), number))
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [("dedup.near.recall", DEFAULT_RECALL.to_string().as_str())]);
    let sources = Recipe::parse(REQUIRED, &[]).unwrap().pages;
    let captures: Vec<Option<CaptureChoice>> = sources.iter().map(|source| source.capture).collect();
    assert_eq!(captures, [CaptureChoice::Earliest, CaptureChoice::Nearest, CaptureChoice::Earliest].map(Some));
    assert_eq!(documented["pages.capture"].default, "`\"earliest\"`; `\"nearest\"` for `common-crawl`");
}

#[test]
fn the_documented_keys_are_those_of_the_code() {
    let documented = documented();
    let is_section =
        |key: &str| ELSEWHERE.contains(&key) || documented.keys().any(|other| other.starts_with(&format!("{key}.")));
    for section in SECTIONS {
        let known = known_keys(section);
        assert!(!known.is_empty(), "{section} knows no key");
        for key in known.iter().filter(|key| !is_section(key)) {
            // Keys of `near` are written `near.bands` in the section [dedup].
            assert!(documented.contains_key(key), "{key} is not documented");
        }
        let of_section =
            documented.keys().filter(|key| key.rsplit_once('.').is_some_and(|(outer, _)| outer == *section));
        for key in of_section {
            assert!(known.contains(key), "{key} is documented, and no recipe knows it");
        }
    }
    let sections = documented.keys().filter_map(|key| Some(key.rsplit_once('.')?.0));
    for section in sections {
        assert!(SECTIONS.contains(&section), "{section} is documented, and not compared");
    }
    let of_stages = toml::from_str::<StageResources>("no_such_key = 1").unwrap_err();
    for name in names_expected(of_stages.message()) {
        assert!(documented["executor.stages"].meaning.contains(&format!("`{name}`")), "{name} of single stages");
    }
}

/// Rules that are written as tables in a line, with their keys in the column of types and their defaults in the text.
#[test]
fn the_documented_keys_and_defaults_of_inline_tables_are_those_of_the_code() {
    let documented = documented();
    let inner = |table: &Table, name: &str| match &table["dedup"][name] {
        Value::Array(entries) => entries[0].as_table().cloned().unwrap(),
        value => value.as_table().cloned().unwrap(),
    };
    let (resolved, required) = (resolved(), REQUIRED.parse().unwrap());
    for name in ["ngram_bloom", "spans", "substrings"] {
        let row = &documented[&format!("dedup.{name}")];
        let (_, names) = row.kind.split_once('{').expect("the keys are in braces");
        let (names, _) = names.split_once('}').expect("the braces end");
        let mut names: Vec<String> = names.split(',').map(|key| format!("dedup.{name}.{}", key.trim())).collect();
        let mut known = known_keys(&format!("dedup.{name}"));
        names.sort();
        known.sort();
        known.dedup(); // the message may name one once more, as what is meant
        assert_eq!(names, known, "the keys of dedup.{name}");
        let words = row.meaning.split_whitespace();
        let words: Vec<&str> = words.map(|word| word.trim_matches(['`', ',', ';', ':', '.', '(', ')'])).collect();
        let given = inner(&required, name);
        for (key, value) in inner(&resolved, name).iter().filter(|(key, _)| !given.contains_key(*key)) {
            let default = shown(value);
            assert!(words.contains(&default.as_str()), "the default {default} of dedup.{name}.{key} is not documented");
        }
    }
}
