//! The table of keys in `docs/filter.md` has every key of every rule, no other key, and each default.

use std::collections::BTreeMap;

use filter::RuleSettings;
use serde_json::{Map, Value, json};

const DOCUMENT: &str = include_str!("../../../docs/filter.md");

/// The documented keys, `rule.key`, with their defaults as the table writes them.
fn documented() -> BTreeMap<String, String> {
    let (_, table) = DOCUMENT.split_once("| key | default | meaning |").expect("the table of keys");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    let mut rule = String::new();
    let mut keys = BTreeMap::new();
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        if let Some(name) = cells[0].strip_prefix("**`").and_then(|cell| cell.strip_suffix("`**")) {
            rule = name.to_owned();
            continue;
        }
        let names: Vec<&str> = cells[0].split(", ").map(|name| name.trim_matches('`')).collect();
        // A row of several keys has a default for each, or one for all.
        let defaults: Vec<&str> = if names.len() > 1 { cells[1].split(", ").collect() } else { vec![cells[1]] };
        for (at, name) in names.into_iter().enumerate() {
            keys.insert(format!("{rule}.{name}"), (*defaults.get(at).unwrap_or(&defaults[0])).to_owned());
        }
    }
    keys
}

/// The keys of a rule without which it cannot be read.
fn required(rule: &str) -> Map<String, Value> {
    let required = match rule {
        "c4_bad_words" => json!({"list": "words"}),
        "c4_quality" => json!({"dialect": "datatrove-0.10"}),
        "fasttext" => json!({"model": "model.bin", "label": "good", "min_score": 0.5}),
        "language" => json!({"keep": "en", "min_confidence": 0.5}),
        "length" => json!({"min_words": 1, "max_words": 2}),
        "unigram_log_probability" => json!({"table": "counts"}),
        _ => json!({}),
    };
    serde_json::from_value(required).expect("a table")
}

/// A rule's settings with every key that has a value.
fn settings(rule: &str, keys: &Map<String, Value>) -> Result<Map<String, Value>, serde_json::Error> {
    let mut entry = keys.clone();
    entry.insert("rule".into(), rule.into());
    let rule: RuleSettings = serde_json::from_value(entry.into())?;
    let Value::Object(mut settings) = serde_json::to_value(rule)? else { unreachable!("settings are a table") };
    settings.remove("rule");
    Ok(settings)
}

/// Whether a default is the documented one. Numbers are compared by value.
fn is_documented(default: &Value, documented: &str) -> bool {
    let Ok(documented) = serde_json::from_str::<Value>(documented.trim_matches('`')) else { return false };
    match (default.as_f64(), documented.as_f64()) {
        (Some(default), Some(documented)) => default == documented,
        _ => *default == documented,
    }
}

#[test]
fn every_rule_has_its_keys_and_defaults_in_the_document() {
    let documented = documented();
    let mut found = Vec::new();
    for &rule in RuleSettings::NAMES {
        let required = required(rule);
        for key in required.keys() {
            let mut fewer = required.clone();
            fewer.remove(key);
            assert!(settings(rule, &fewer).is_err(), "{rule}.{key} has a default");
        }
        for (key, default) in settings(rule, &required).unwrap() {
            let name = format!("{rule}.{key}");
            let cell = documented.get(&name).unwrap_or_else(|| panic!("docs/filter.md lacks {name}"));
            // Another dialect's default is behind it.
            let ours = cell.split_once(" (").map_or(cell.as_str(), |(ours, _)| ours);
            let is_right = if required.contains_key(&key) { ours == "required" } else { is_documented(&default, ours) };
            assert!(is_right, "docs/filter.md has {cell} for {name}, and its default is {default}");
            found.push(name);
        }
    }
    let optional = ["redpajama_signals.bad_words", "redpajama_signals.stop_words"];
    for name in optional {
        assert_eq!(documented[name], "absent");
        let (rule, key) = name.split_once('.').unwrap();
        settings(rule, &Map::from_iter([(key.to_owned(), "words".into())])).unwrap();
        found.push(name.to_owned());
    }
    found.sort();
    assert_eq!(found, documented.into_keys().collect::<Vec<_>>());
}

#[test]
fn the_other_dialect_of_c4_has_its_defaults_in_brackets() {
    let tfds = settings("c4_quality", &Map::from_iter([("dialect".to_owned(), "tfds".into())])).unwrap();
    let datatrove = settings("c4_quality", &required("c4_quality")).unwrap();
    let documented = documented();
    for (key, default) in tfds.into_iter().filter(|(key, _)| key != "dialect") {
        let cell = &documented[&format!("c4_quality.{key}")];
        let theirs = cell.split_once(" (").and_then(|(_, theirs)| theirs.strip_suffix(')'));
        assert_eq!(theirs.is_some(), default != datatrove[&key], "{key}: {cell}");
        assert!(theirs.is_none_or(|theirs| is_documented(&default, theirs)), "{key}: {cell}");
    }
}
