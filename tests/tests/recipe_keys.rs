//! Which stages a change of each key of a recipe redoes.
//!
//! The keys are those that the recipe's types know, taken from what they say about a key that they do not know: a new
//! key without a row in the table is a failure. Each row is built on a copy of a run, so rows do not depend on each
//! other. A stage is redone when a manifest of its tasks was written again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use pipeline::Recipe;
use tempfile::TempDir;
use toml::{Table, Value};
use webtext_tests::{build, copy_folder, names, recipe_without_model, root};

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
    ("shards", Base::Warc),
    ("tokenizer", Base::Warc),
    ("tokenizer.train", Base::Warc),
    ("model", Base::Model),
    ("model.train", Base::Model),
    ("limits", Base::Warc),
];

/// A recipe that keys are changed in. None asks anybody on a network for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Base {
    /// The quickstart's without its model; pages are taken without links, too.
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

#[test]
fn print() {
    let mut bases = Bases::default();
    for line in fs::read_to_string("/tmp/keys.tsv").unwrap().lines() {
        let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
        let section = key.rsplit_once('.').map_or("", |(s, _)| s);
        let mut base = SECTIONS.iter().filter(|(s, _)| *s == section).map(|x| x.1).next().unwrap_or(Base::Warc);
        if key.ends_with("_field") { base = Base::Texts; }
        let redone = bases.redone_by(base, key, value);
        println!("{line} -> {redone:?}");
    }
}

#[derive(Default)]
struct Bases {
    runs: BTreeMap<Base, TempDir>,
}

impl Bases {
    fn redone_by(&mut self, base: Base, key: &str, value: &str) -> Result<String, String> {
        let run = self.runs.entry(base).or_insert_with(|| {
            let folder = tempfile::tempdir().unwrap();
            build(base.recipe(folder.path(), None), &folder.path().join("run")).unwrap();
            folder
        });
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&run.path().join("run"), copy.path());
        let before = manifests(copy.path());
        let recipe = base.recipe(run.path(), Some((key, value)));
        build(recipe, copy.path()).map_err(|e| format!("{e:#}"))?;
        let after = manifests(copy.path());
        let written = after.iter().filter(|(name, time)| before.get(*name) != Some(time));
        let stages: BTreeSet<&str> = written.map(|(name, _)| name.split('/').next().unwrap()).collect();
        Ok(stages.into_iter().collect::<Vec<_>>().join(" "))
    }
}

/// When each manifest of a run was written.
fn manifests(run: &Path) -> BTreeMap<String, SystemTime> {
    let tasks = run.join("tasks");
    let manifests = names(&tasks).into_iter().filter(|name| name.ends_with(".json"));
    manifests.map(|name| (name.clone(), fs::metadata(tasks.join(name)).unwrap().modified().unwrap())).collect()
}

impl Base {
    /// The recipe, with its own files in a folder, and one key changed.
    fn recipe(self, folder: &Path, change: Option<(&str, &str)>) -> Recipe {
        let mut recipe = self.table(folder);
        if let Some((key, value)) = change {
            set(&mut recipe, key, value);
        }
        let path = folder.join("recipe.toml");
        fs::write(&path, recipe.to_string()).unwrap();
        Recipe::load(&path, &[]).unwrap()
    }

    fn table(self, folder: &Path) -> Table {
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
                let line = |n: u32| format!("{{\"text\":\"The harbour has {n} boats.\",\"url\":\"http://a.example/{n}\"}}\n");
                fs::write(folder.join("texts.jsonl"), (0..20).map(line).collect::<String>()).unwrap();
                recipe.remove("links");
                recipe.remove("filter");
                set(&mut recipe, "pages", "{from = \"texts\", paths = [\"texts.jsonl\"], only_links = false}");
            }
            Base::Fetch | Base::CommonCrawl => {
                set(&mut recipe, "links.min_karma", "1_000_000");
                let source = if self == Base::Fetch { FETCH } else { COMMON_CRAWL };
                set(&mut recipe, "pages", source);
            }
        }
        recipe
    }
}

const MODEL: &str = "{layers = 1, heads = 1, channels = 8, context = 8, sample_prompt = \"The\", train = {steps = 1, \
    batch = 1, learning_rate = 0.001, warmup_steps = 0, weight_decay = 0.1, clip_norm = 1.0, seed = 1, \
    evaluate_every = 1, evaluate_batches = 1}}";
const FETCH: &str = "{from = \"fetch\", fetch = {contact = \"test@example.org\"}}";
const COMMON_CRAWL: &str =
    "{from = \"common-crawl\", common_crawl = {index = [\"/nonexistent\"], data = \"/nonexistent\"}}";

/// Sets a key to a TOML value, in the first source or in the rule that the key names; without a value, removes it.
fn set(recipe: &mut Table, key: &str, value: &str) {
    let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut section = recipe;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        section = match section.entry(part).or_insert_with(|| Table::new().into()) {
            Value::Table(inner) => inner,
            Value::Array(rules) => {
                let name = path.rsplit('.').next();
                let rule = rules.iter_mut().find(|rule| rule["rule"].as_str() == name).unwrap();
                rule.as_table_mut().unwrap()
            }
            _ => panic!("{part} is no section"),
        };
        if part == "filter" {
            break;
        }
    }
    if value.is_empty() {
        section.remove(last);
    } else {
        section.insert(last.to_owned(), format!("v = {value}").parse::<Table>().unwrap().remove("v").unwrap());
    }
}

/// The keys that a section knows.
fn known_keys(section: &str, base: Base) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = base.table(folder.path());
    set(&mut recipe, &format!("{section}.no_such_key").trim_start_matches('.').to_owned(), "0");
    let message = format!("{:#}", Recipe::parse(&recipe.to_string(), &[]).unwrap_err());
    let line = message.lines().find(|line| line.contains("unknown field")).unwrap_or_else(|| panic!("{section}: {message}"));
    let expected = line.split_once("expected").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_has_a_row() {
    let is_section = |key: &str| SECTIONS.iter().any(|(section, _)| *section == key || section.starts_with(&format!("{key}.")));
    for (section, base) in SECTIONS {
        for key in known_keys(section, *base) {
            let key = format!("{section}.{key}").trim_start_matches('.').to_owned();
            if !is_section(&key) { println!("MISSING {key}"); }
        }
    }
}
