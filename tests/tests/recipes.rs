//! The recipes in `pipelines/` that follow published data sets: each runs as it stands on the fixtures, and what it cannot
//! bring along, a list or a model, is written as lines that need only their `#` removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pipeline::Recipe;
use records::Document;
use webtext_tests::{build, filter_tally, names, one_in, real_data, root, rows, skip, unpack};

/// The recipes, with their rules as they stand.
const RECIPES: [(&str, &[&str]); 6] = [
    ("webtext", &["wikipedia", "length", "language"]),
    ("openwebtext", &["language", "length"]),
    ("c4", &["c4_quality", "language"]),
    ("dclm", &["language", "gopher_quality", "gopher_repetition", "refinedweb_lines"]),
    ("gopher", &["language", "gopher_quality", "gopher_repetition"]),
    ("fineweb", &["language", "gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality", "pii"]),
];

fn path_of(name: &str) -> PathBuf {
    root().join("pipelines").join(name).with_extension("toml")
}

/// Documents by their verdicts; a kept one is "kept".
fn verdicts(run: &Path) -> BTreeMap<String, u64> {
    let mut verdicts = BTreeMap::new();
    for document in rows::<Document>(&run.join("documents"), "") {
        *verdicts.entry(document.verdict.map_or("kept".to_owned(), |reason| reason.to_string())).or_default() += 1;
    }
    verdicts
}

#[test]
fn every_recipe_is_listed_here() {
    let names = fs::read_dir(root().join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut expected: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).chain(["quickstart"]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn the_lines_that_wait_for_a_list_or_a_model_are_right() {
    for (name, _) in RECIPES {
        let text = fs::read_to_string(path_of(name)).unwrap();
        let with_them: Vec<&str> = text
            .lines()
            .map(|line| {
                line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c != ' ' && c != '#')).unwrap_or(line)
            })
            .collect();
        let recipe = Recipe::parse(&with_them.join("\n"), &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let as_it_stands = Recipe::parse(&text, &[]).unwrap();
        let waiting = text.lines().filter(|line| *line == "#[[filter]]").count();
        assert_eq!(recipe.filter.len(), as_it_stands.filter.len() + waiting, "{name}");
    }
}

#[test]
fn every_recipe_runs_on_the_fixtures() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in RECIPES {
        let recipe = Recipe::load(&path_of(name), &[]).unwrap();
        let run = folder.path().join(name);
        build(recipe, &run).unwrap();
        let tally = filter_tally(&run);
        assert_eq!(tally.rules().iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), expected, "{name}");
        let verdicts = verdicts(&run);
        assert!(verdicts["kept"] >= 20, "{name}: {verdicts:?}");
        assert!(tally.rules().iter().any(|rule| rule.dropped > 0), "{name}: {verdicts:?}");
        assert!(fs::metadata(run.join("tokens/train.bin")).unwrap().len() > 10_000, "{name}");
    }
}

/// On pages of real sites, one in thirty or in ten, a recipe keeps articles, and no rule drops nearly all.
#[test]
fn every_recipe_keeps_real_articles() {
    let Some(data) = real_data("every_recipe_keeps_real_articles") else { return };
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    if !unpack(&data.join("extract/wcxb-dev.tar.zst"), &pages) {
        return skip("every_recipe_keeps_real_articles", "the pages cannot be unpacked");
    }
    let files = names(&pages).into_iter().filter(|name| name.ends_with(".html"));
    files
        .enumerate()
        .filter(|(number, _)| number % (10 * one_in(3)) != 0)
        .for_each(|(_, name)| fs::remove_file(pages.join(name)).unwrap());
    for (name, _) in RECIPES {
        let mut recipe = Recipe::load(&path_of(name), &[]).unwrap();
        let source = &mut recipe.pages[0];
        source.from = pipeline::recipe::PageSource::Html;
        source.paths = vec![pages.to_string_lossy().into_owned()];
        source.only_links = false;
        let run = folder.path().join(name);
        build(recipe, &run).unwrap();
        let verdicts = verdicts(&run);
        let all: u64 = verdicts.values().sum();
        assert!(verdicts["kept"] * 5 > all, "{name}: {verdicts:?}");
    }
}
