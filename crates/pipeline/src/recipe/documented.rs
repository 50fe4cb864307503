//! Tests that the table of keys in `docs/formats.md` matches the code: every key, no other key, and each default. The
//! keys of rules are left out: `docs/filter.md` has them, and a test of the crate `filter`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Recipe;

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
common_crawl = { index = ["index"], data = "https://data.commoncrawl.org", contact = "test@example.org" }
[[pages]]
from = "texts"
paths = ["texts.jsonl"]
[dedup]
exact = true
near = { min_jaccard = 0.7 }
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
"#;

/// Sections whose keys other tables have.
const ELSEWHERE: &[&str] = &["filter", "model.train"];

/// The documented keys with their defaults, as the table writes them.
fn documented() -> BTreeMap<String, String> {
    let (_, table) = FORMATS.split_once("| key | type, unit | default | meaning |").expect("the table of keys");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    let mut section = String::new();
    let mut keys = BTreeMap::new();
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        if let Some(name) = cells[0].strip_prefix("**`").and_then(|cell| cell.strip_suffix("`**")) {
            section = name.trim_matches(['[', ']']).to_owned();
            continue;
        }
        let names: Vec<&str> = cells[0].split(", ").map(|name| name.trim_matches('`')).collect();
        // A row of several keys has a default for each, or one for all.
        let defaults: Vec<&str> = if names.len() > 1 { cells[2].split(", ").collect() } else { vec![cells[2]] };
        for (at, name) in names.into_iter().enumerate() {
            let default = defaults.get(at).unwrap_or(&defaults[0]);
            keys.insert(format!("{section}.{name}"), (*default).to_owned());
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

/// The keys of a section beyond those of [`REQUIRED`], from the error message for an unknown key.
fn known_keys(section: &str) -> Vec<String> {
    let mut table: Table = REQUIRED.parse().unwrap();
    let path: Vec<&str> = section.split('.').collect();
    let inner = match path[..] {
        ["pages"] => table["pages"][2].as_table_mut(),
        ["pages", "fetch"] => table["pages"][0]["fetch"].as_table_mut(),
        ["pages", "common_crawl"] => table["pages"][1]["common_crawl"].as_table_mut(),
        [outer, inner] => table[outer][inner].as_table_mut(),
        [outer] => table.entry(outer).or_insert_with(|| Table::new().into()).as_table_mut(),
        _ => unreachable!("sections lie two deep at most"),
    };
    inner.unwrap().insert("no_such_key".into(), 1.into());
    let message = Recipe::parse(&table.to_string(), &[]).unwrap_err().to_string();
    let (_, known) = message.split_once("expected one of ").or_else(|| message.split_once("expected ")).unwrap();
    known
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| *name != "no_such_key")
        .map(|name| format!("{section}.{name}"))
        .collect()
}

#[test]
fn the_table_of_keys_says_what_the_code_does() {
    let documented = documented();
    let recipe = Recipe::parse(REQUIRED, &[]).unwrap();
    let mut keys = BTreeMap::new();
    flatten(&recipe.to_toml().unwrap().parse().unwrap(), "", &mut keys);
    let required: Table = REQUIRED.parse().unwrap();
    let mut given = BTreeMap::new();
    flatten(&required, "", &mut given);

    for (key, default) in &documented {
        let Some(value) = keys.get(key) else { continue };
        if default == "required" || default.starts_with("required ") {
            assert!(given.contains_key(key), "{key} is said to be required, and is not");
        } else if !given.contains_key(key) {
            let shown = match value {
                Value::String(text) => format!("{text:?}"),
                value => value.to_string(),
            };
            let said = default.split([';', ':']).next().unwrap_or_default().replace('`', "");
            assert_eq!(said, shown, "the default of {key}");
        }
    }
    for section in [
        "links",
        "pages",
        "pages.fetch",
        "pages.common_crawl",
        "extract",
        "dedup",
        "dedup.near",
        "overlap",
        "shards",
        "limits",
        "executor",
    ] {
        let known = known_keys(section);
        assert!(known.len() > 1, "{section} knows {known:?}");
        let sections = [
            "pages.fetch",
            "pages.common_crawl",
            "dedup.near",
            "executor.slurm",
            "executor.ray",
            "executor.kubernetes",
        ];
        for key in known.iter().filter(|key| !sections.contains(&key.as_str())) {
            // Keys of `near` are written `near.bands` in the section [dedup].
            assert!(documented.contains_key(key), "{key} is not documented");
        }
        let of_section =
            documented.keys().filter(|key| key.rsplit_once('.').is_some_and(|(outer, _)| outer == section));
        for key in of_section {
            assert!(known.contains(key), "{key} is documented, and no recipe knows it");
        }
    }
}
