//! What a run says of itself, and what it leaves alone: faults before the first task, stages under other settings,
//! previews, cleaning, runs whose inputs are gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use records::Document;
use serde_json::Value;
use tempfile::TempDir;
use webtext_tests::{
    assert_same, binary, check, copy_folder, files, json, recipe_without_model, root, rows, stage, stderr,
};

/// A recipe with its inputs, in a folder of its own, and a run of it.
struct Case {
    folder: TempDir,
    recipe: PathBuf,
}

impl Case {
    /// The quickstart without its model, not yet built.
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&root().join("fixtures/links"), &folder.path().join("inputs/links"));
        fs::copy(root().join("fixtures/pages.warc.gz"), folder.path().join("inputs/pages.warc.gz")).unwrap();
        let recipe = folder.path().join("recipe.toml");
        fs::write(&recipe, recipe_without_model().replace("../fixtures", "inputs")).unwrap();
        Case { folder, recipe }
    }

    /// The run that all tests share, and none changes.
    fn shared() -> &'static Case {
        static SHARED: OnceLock<Case> = OnceLock::new();
        SHARED.get_or_init(|| {
            let case = Case::new();
            check(&mut case.build(&[]), 0);
            case
        })
    }

    /// A copy of the shared run, of the same inputs.
    fn copy() -> Case {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&Case::shared().run(), &folder.path().join("run"));
        Case { folder, recipe: Case::shared().recipe.clone() }
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn build(&self, flags: &[&str]) -> Command {
        let mut command = webtext(&["build"]);
        command.arg(&self.recipe).arg("--out").arg(self.run()).args(["--threads", "2"]).args(flags);
        command
    }

    /// The files of the run, but for plans: these say for which recipe their tasks were planned last.
    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let files = if self.run().exists() { files(&self.run()) } else { BTreeMap::new() };
        files.into_iter().filter(|(name, _)| !name.ends_with("/plan")).collect()
    }

    /// A build that fails, and changes nothing; returns what it said.
    fn fault(&self, flags: &[&str], code: i32) -> String {
        let before = self.content();
        let said = stderr(&check(&mut self.build(flags), code));
        assert!(before == self.content(), "{flags:?} changed the run: {said}");
        said
    }
}

fn webtext(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_not_there_is_told_before_the_first_task() {
    let case = Case::new();
    let faults: [(&[&str], &[&str]); 5] = [
        (&["--set", "pages.paths=[\"absent.warc.gz\"]"], &["[pages] paths", "absent.warc.gz"]),
        (&["--set", "pages.from=html"], &["[pages] paths", "pages.warc.gz is no folder"]),
        (&["--set", "links.dumps=[\"absent*\"]"], &["[links] dumps", "absent*"]),
        (&["--set", "tokenizer={use = \"absent\"}"], &["[tokenizer] use", "absent"]),
        (&["--exclude", "absent.txt"], &["[shards] exclude", "absent.txt"]),
    ];
    for (flags, parts) in faults {
        let said = case.fault(flags, 1);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    assert!(!case.run().exists(), "nothing is written");
}

#[test]
fn a_build_that_fails_leaves_the_recipe_of_the_data() {
    let case = Case::copy();
    case.fault(&["--set", "pages.paths=[\"absent.warc.gz\"]"], 1);
    // A fault that shows when a stage is planned: the folder is there, and has no page.
    let empty = case.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let said = case.fault(&["--set", &format!("pages={{from = \"html\", paths = [{empty:?}]}}")], 1);
    assert!(said.contains("there is no .html or .htm file"), "{said}");
}

#[test]
fn a_stage_under_other_settings_says_so() {
    let case = Case::copy();
    for (key, setting) in [
        ("links.min_karma", "links.min_karma=4"),
        ("dedup.near.min_jaccard", "dedup.near.min_jaccard=0.9"),
        ("min_words", "filter.length.min_words=50"),
    ] {
        let said = case.fault(&["--stage", "tokens.join", "--set", setting, "-q"], 1);
        assert!(said.contains("was made with other settings") && said.contains(key), "{said}");
    }
    // Under its own settings it is done.
    check(&mut case.build(&["--stage", "tokens.join", "-q"]), 0);
}

#[test]
fn a_stage_with_nothing_to_do_leaves_the_recipe_of_the_data() {
    let case = Case::copy();
    let recipe = || fs::read_to_string(case.run().join("recipe.toml")).unwrap();
    let before = recipe();
    for flags in [
        &["--stage", "links.read", "--set", "links.min_karma=50"][..],
        &["--stage", "links.read", "--set", "links.min_karma=50", "--task", "0/5"],
        &["--stage", "links.merge", "--set", "pages.only_links=false"],
    ] {
        check(&mut case.build(&[&["-q"], flags].concat()), 0);
        assert_eq!(recipe(), before, "{flags:?}");
    }
}

#[test]
fn what_is_replaced_is_told_with_the_reason() {
    let case = Case::copy();
    let said = stderr(&check(&mut case.build(&["--set", "filter.length.min_words=50"]), 0));
    assert!(said.contains("documents.filter: 1 of 1 task is done again: filter.2.min_words 100 → 50"), "{said}");
}

#[test]
fn a_run_speaks_for_itself_when_its_inputs_are_gone() {
    let case = Case::new();
    check(&mut case.build(&["-q"]), 0);
    fs::remove_dir_all(case.folder.path().join("inputs")).unwrap();
    fs::remove_file(&case.recipe).unwrap();
    let run = case.run();
    let status = json(&check(webtext(&["status", "--json"]).arg(&run), 0));
    let states: Vec<&Value> = status.as_array().unwrap().iter().map(|stage| &stage["state"]).collect();
    assert!(states.len() > 15 && states.iter().all(|state| *state == "done"), "{status}");
    let report = fs::read(run.join("report.html")).unwrap();
    check(webtext(&["report"]).arg(&run), 0);
    assert!(fs::read(run.join("report.html")).unwrap() == report, "the report is another one");
    let documents: Vec<Document> = rows(&run.join("documents"), "");
    let kept = documents.iter().find(|document| document.verdict.is_none()).unwrap();
    for target in [&kept.url, &kept.id] {
        let text = stdout(&check(webtext(&["explain"]).arg(&run).arg(target), 0));
        assert!(text.contains(&kept.key) && text.contains("karma"), "{text}");
    }
}

#[test]
fn what_nobody_knows_cannot_be_explained() {
    let run = Case::shared().run();
    for (target, part) in
        [("https://nobody.example/", "no table of this run has"), (&*"0".repeat(32), "no document of this run")]
    {
        let said = stderr(&check(webtext(&["explain"]).arg(&run).arg(target), 1));
        assert!(said.contains(part) && said.contains(target), "{said}");
    }
}

/// Of records without a link only some samples are kept in a run; the dumps have the others.
#[test]
fn a_dropped_record_of_which_no_sample_is_kept_is_found_in_the_dumps() {
    let case = Case::new();
    let mut dump = String::new();
    for number in 0..100 {
        let link = format!("{{\"url\":\"http://a{number}.example/\",\"score\":5}}\n");
        let post = format!(
            "{{\"url\":\"https://www.reddit.com/r/tide/{number}?a&amp;b\",\"is_self\":true,\"title\":\"t\"}}\n"
        );
        dump += &format!("{link}{post}{{\"url\":\"http:\\/\\/b{number}.example/\",\"score\":\"many\"}}\n");
    }
    fs::write(case.folder.path().join("inputs/links/RS_posts"), dump).unwrap();
    check(&mut case.build(&["--set", "links.dumps=[\"inputs/links/RS_posts\"]"]), 0);
    let explain = |target: &str, code: i32| check(webtext(&["explain"]).arg(case.run()).arg(target), code);
    for number in [0, 99] {
        let line = |at: usize| format!("RS_posts:{}", 3 * number + at);
        let post = stdout(&explain(&format!("https://www.reddit.com/r/tide/{number}?a&b"), 0));
        assert!(post.contains(&line(2)) && post.contains("self_post"), "{post}");
        let malformed = stdout(&explain(&format!("http://b{number}.example/"), 0));
        assert!(malformed.contains(&line(3)) && malformed.contains("malformed_record"), "{malformed}");
    }
    // Another spelling of the same page, and what is a part of another URL.
    assert!(stdout(&explain("https://www.reddit.com:443/r/tide/7?b&a", 0)).contains("self_post"));
    explain("http://b99.exam", 1);
    explain("http://b100.example/", 1);
    fs::remove_file(case.folder.path().join("inputs/links/RS_posts")).unwrap();
    let said = stderr(&explain("http://b99.example/", 1));
    assert!(said.contains("the dumps cannot be read again"), "{said}");
}

#[test]
fn a_preview_has_stages_that_the_run_does_not_have_yet() {
    let case = Case::copy();
    let before = case.content();
    let said = stdout(&check(&mut case.build(&["--set", "dedup.spans=[{unit=\"line\"}]", "--dry-run"]), 0));
    assert!(said.contains("dedup.cut") && said.contains("follows"), "{said}");
    assert!(before == case.content());
}

/// A data set is not replaced by an empty one because what it was made of can no longer be read.
#[test]
fn a_data_set_stays_when_its_inputs_have_become_unreadable() {
    let case = Case::new();
    check(&mut case.build(&[]), 0);
    let data_set = || {
        let mut content = case.content();
        content.retain(|name, _| ["shards/", "tokens/"].iter().any(|folder| name.starts_with(folder)));
        content
    };
    let before = data_set();
    assert!(before.len() > 5, "{:?}", before.keys());
    let archive = case.folder.path().join("inputs/pages.warc.gz");
    let whole = fs::read(&archive).unwrap();
    for broken in ["a page of an error\n", "", "WARC/1.0\r\n", ""] {
        fs::write(&archive, broken).unwrap();
        let said = stderr(&check(&mut case.build(&[]), 1));
        assert!(said.contains("pages.warc.gz") && said.contains("the data set would be empty"), "{said}");
        assert!(before == data_set(), "the data set has changed");
    }
    fs::write(&archive, whole).unwrap();
    check(&mut case.build(&[]), 0);
    assert!(before == data_set(), "the data set has changed");
    // Who asks for none gets none.
    check(&mut case.build(&["--set", "filter.length.min_words=99_000", "--set", "shards.count=1"]), 0);
    assert!(before != data_set());
}

/// Files of texts that have become empty are readable, and name nothing.
#[test]
fn a_data_set_stays_when_its_texts_have_become_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("recipe.toml"), webtext_tests::recipe_of_texts("")).unwrap();
    let texts = "{\"text\":\"The tide is out, and the boats lie on the sand until the evening.\"}\n";
    let build = |code: i32| {
        let mut command = webtext(&["build"]);
        check(command.arg(path("recipe.toml")).arg("--out").arg(path("run")).arg("-q"), code)
    };
    fs::write(path("texts.jsonl"), texts).unwrap();
    build(0);
    let shard = || fs::read(path("run/shards/train-00000.jsonl.zst")).unwrap();
    let before = shard();
    for empty in ["", "\n", "{\"text\":null}\n"] {
        fs::write(path("texts.jsonl"), empty).unwrap();
        let said = stderr(&build(1));
        assert!(said.contains("the data set would be empty"), "{said}");
        assert!(shard() == before, "{empty}");
    }
    fs::write(path("texts.jsonl"), texts).unwrap();
    build(0);
}

#[test]
fn an_empty_data_set_says_why() {
    let case = Case::copy();
    let limits = ["--set", "filter.length.min_words=99_000", "--set", "shards.count=1", "-q"];
    let said = stderr(&check(&mut case.build(&limits), 0));
    assert!(said.contains("warning: the data set is empty: documents.filter kept none of"), "{said}");
    assert!(said.contains("length.words"), "{said}");

    // Files without URLs are pages that no link leads to.
    let html = case.folder.path().join("html");
    fs::create_dir(&html).unwrap();
    (0..3).for_each(|n| fs::write(html.join(format!("{n}.html")), "<p>The ferry leaves at noon.</p>").unwrap());
    let source = format!("pages={{from = \"html\", paths = [{html:?}]}}");
    let said = stderr(&check(&mut case.build(&["--set", &source, "-q"]), 0));
    assert!(said.contains("the data set is empty: pages.match kept none of"), "{said}");
    assert!(said.contains("3 pages have no URL"), "{said}");
}

#[test]
fn an_empty_validation_split_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("recipe.toml"), webtext_tests::recipe_of_texts("")).unwrap();
    fs::write(path("texts.jsonl"), "{\"text\":\"The tide is out, and the boats lie on the sand.\"}\n").unwrap();
    for (fraction, is_warned_of) in [("0.000001", true), ("0.0", false), ("0.999999", false)] {
        let mut command = webtext(&["build", "-q", "--set", &format!("shards.validation_fraction={fraction}")]);
        let built = check(command.arg(path("recipe.toml")).arg("--out").arg(path("run")), 0);
        let said = stderr(&built);
        assert_eq!(said.contains("the validation split is empty: none of 1 document fell"), is_warned_of, "{said}");
    }
}

#[test]
fn a_preview_names_stage_and_key_and_writes_nothing() {
    let new = Case::new();
    let text = stdout(&check(&mut new.build(&["--dry-run"]), 0));
    assert!(text.contains("links.read") && text.contains("5 of 5 tasks to do"), "{text}");
    assert!(!new.run().exists(), "nothing is written");

    let case = Case::copy();
    let before = files(&case.run());
    let text = stdout(&check(&mut case.build(&["--dry-run", "--set", "dedup.clusters=transitive"]), 0));
    assert!(text.contains("clusters \"stars\" → \"transitive\""), "{text}");
    let lines: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    assert!(lines["dedup.verify"].contains("done") && lines["dedup.resolve"].contains("1 of 1 task to do"), "{text}");
    assert!(lines["shards.scatter"].contains("follows dedup.resolve"), "{text}");
    assert!(files(&case.run()) == before, "a preview writes nothing");
}

/// What a run is made for: all its files but those between stages.
fn products(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_product = |name: &String| !["work/", "tasks/"].iter().any(|folder| name.starts_with(folder));
    files(run).into_iter().filter(|(name, _)| is_product(name)).collect()
}

#[test]
fn a_cleaned_run_is_done_and_can_be_changed() {
    let case = Case::copy();
    let freed = json(&check(webtext(&["clean", "--json"]).arg(case.run()), 0));
    assert!(freed["freed_bytes"].as_u64() > Some(10_000), "{freed}");
    assert!(!files(&case.run()).keys().any(|name| name.starts_with("work/")), "work files were left");
    assert!(products(&case.run()) == products(&Case::shared().run()), "products were touched");
    let cleaned = files(&case.run());
    let summary = json(&check(&mut case.build(&["-q", "--json"]), 0));
    assert_eq!(summary["tasks_run"], 0);
    assert!(files(&case.run()) == cleaned, "a build with nothing to do wrote something");

    let other = Case::copy();
    for case in [&case, &other] {
        check(&mut case.build(&["-q", "--set", "shards.seed=1"]), 0);
    }
    let fresh = tempfile::tempdir().unwrap();
    let fresh = Case { folder: fresh, recipe: case.recipe.clone() };
    check(&mut fresh.build(&["-q", "--set", "shards.seed=1"]), 0);
    assert_same(&other.run(), &fresh.run());
    let (changed, expected) = (products(&case.run()), products(&fresh.run()));
    let differ: Vec<&String> = expected.keys().filter(|name| changed.get(*name) != expected.get(*name)).collect();
    assert!(differ.is_empty() && changed.len() == expected.len(), "{differ:?}");
}

#[test]
fn two_runs_are_compared() {
    let (shared, other) = (Case::shared(), Case::copy());
    let text = stdout(&check(webtext(&["diff"]).arg(shared.run()).arg(other.run()), 0));
    assert!(text.contains("Every document has come to the same end in both."), "{text}");

    let summary = json(&check(&mut other.build(&["-q", "--json", "--set", "filter.length.min_words=250"]), 0));
    let differences = json(&check(webtext(&["diff", "--json"]).arg(shared.run()).arg(other.run()), 0));
    let moved = differences["documents"].as_array().unwrap();
    let dropped = moved.iter().find(|moved| moved["before"] == "kept" && moved["after"] == "length.words").unwrap();
    assert!(dropped["documents"].as_u64() > Some(0) && dropped["examples"][0].is_string(), "{differences}");
    let filter = stage(&differences, "documents.filter");
    assert_eq!(filter["after"], stage(&summary, "documents.filter")["counts"]["kept"]);
    assert!(filter["before"].as_u64() > filter["after"].as_u64(), "{filter}");
}

#[test]
fn a_former_key_is_refused_with_its_new_name() {
    let case = Case::new();
    for (setting, now) in [
        ("links.karma={at_least = 3, of = \"any submission\"}", "min_karma"),
        ("pages.page_len_max_bytes=1", "max_page_bytes"),
        ("documents.words_at_least=5", "min_words"),
        ("documents.language={keep = \"en\"}", "rule = \"language\""),
        ("dedup.near.jaccard_at_least=0.7", "min_jaccard"),
    ] {
        let said = case.fault(&["--set", setting], 2);
        assert!(said.contains("another name now") && said.contains(now), "{said}");
    }
    assert!(!case.run().exists());
}
