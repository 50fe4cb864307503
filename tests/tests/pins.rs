//! What the stages write on the fixtures, pinned: a stage whose outputs change must get another revision, or runs that
//! were made before keep what the old code wrote. And the form of a task of each stage: a field that is renamed
//! redoes every run in the world, so it is seen here first.
//!
//! Archive paths are part of rows, so the fixtures lie in one place for all checkouts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pipeline::engine::{Plan, PlannedTask, Seal, TaskReport};
use pipeline::{Recipe, RecipeRun};
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::LocalStore;
use store::catalogue::Catalogue;
use tempfile::TempDir;
use webtext_tests::{build, copy_folder, names, recipe_without_model, root};
use xxhash_rust::xxh3::xxh3_64;

/// Where the fixtures lie while they are read.
const FIXTURES: &str = "/tmp/webtext-pinned-fixtures";

/// A stage, its revision, and the digest of its outputs.
const OUTPUTS: &str = include_str!("pins/outputs.txt");
/// A stage's name, and the form of one of its tasks.
const TASKS: &str = include_str!("pins/tasks.txt");

/// Whether two folders hold the same files with the same bytes.
fn is_same(a: &Path, b: &Path) -> bool {
    b.is_dir()
        && names(a) == names(b)
        && names(a).iter().all(|name| fs::read(a.join(name)).ok() == fs::read(b.join(name)).ok())
}

/// Puts a copy of the fixtures where the pins expect them. Other tests, of other checkouts, may do so at the same time.
fn pinned_fixtures() {
    let parts = ["links", "pages.warc.gz"];
    let wanted = tempfile::tempdir_in("/tmp").unwrap();
    copy_folder(&root().join("fixtures/links"), &wanted.path().join("links"));
    fs::copy(root().join("fixtures").join(parts[1]), wanted.path().join(parts[1])).unwrap();
    let pinned = PathBuf::from(FIXTURES);
    for _ in 0..3 {
        if is_same(wanted.path(), &pinned) {
            return;
        }
        // A rename replaces no folder that holds something.
        let aside = tempfile::tempdir_in("/tmp").unwrap();
        let _ = fs::rename(&pinned, aside.path().join("old"));
        let copy = tempfile::tempdir_in("/tmp").unwrap();
        copy_folder(wanted.path(), &copy.path().join("new"));
        let _ = fs::rename(copy.path().join("new"), &pinned);
    }
    assert!(is_same(wanted.path(), &pinned), "{FIXTURES} cannot be made");
}

/// A run of the quickstart without its model.
fn run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        pinned_fixtures();
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe_without_model().replace("../fixtures", FIXTURES);
        build(Recipe::parse(&recipe, &[]).unwrap(), folder.path()).unwrap();
        folder
    };
    RUN.get_or_init(make).path()
}

/// The plan or the seal of a stage.
fn catalogue<H: DeserializeOwned, E: DeserializeOwned>(stage: &str, name: &str) -> Catalogue<H, E> {
    let key = format!("tasks/{stage}/{name}");
    Catalogue::open(&LocalStore::new(run()), &key).unwrap().unwrap_or_else(|| panic!("there is no {key}"))
}

/// The stages of the run, in order.
fn stages() -> Vec<String> {
    RecipeRun::open(run()).unwrap().run.flow().names().into_iter().map(str::to_owned).collect()
}

/// What a stage wrote: names and checksums of all its outputs.
fn outputs_of(stage: &str) -> String {
    let seal = catalogue::<Seal, TaskReport>(stage, "seal");
    let mut outputs = String::new();
    for report in seal.entries().unwrap() {
        for output in report.unwrap().outputs {
            outputs += &format!("{} {} {}\n", output.product, output.key, output.checksum);
        }
    }
    format!("{stage} {} {:016x}\n", seal.header().revision, xxh3_64(outputs.as_bytes()))
}

#[test]
fn a_stage_whose_outputs_change_has_another_revision() {
    let found: String = stages().iter().map(|stage| outputs_of(stage)).collect();
    let is_pinned = |line: &&str| OUTPUTS.lines().any(|pinned| pinned == *line);
    let has_revision = |line: &&str| {
        let (stage_and_revision, _) = line.rsplit_once(' ').unwrap();
        OUTPUTS.lines().any(|pinned| pinned.starts_with(&format!("{stage_and_revision} ")))
    };
    let changed: Vec<&str> = found.lines().filter(|line| !is_pinned(line)).collect();
    let forgotten: Vec<&str> = changed.iter().copied().filter(has_revision).collect();
    assert!(
        found == OUTPUTS,
        "the first of these stages, or one that they read, writes other bytes than its revision did: {forgotten:?}\n\
         Raise the revisions whose code has changed, then make tests/tests/pins/outputs.txt:\n{found}"
    );
}

#[test]
fn a_task_keeps_its_form() {
    let mut found = String::new();
    for stage in stages() {
        let plan = catalogue::<Plan, PlannedTask>(&stage, "plan");
        let tasks: Vec<PlannedTask> = plan.entries().unwrap().map(|task| task.unwrap()).collect();
        let form = serde_json::to_string_pretty(&form_of(&tasks[0].task)).unwrap();
        found += &format!("{stage} {form}\n");
    }
    assert!(
        found == TASKS,
        "a task has another form, so that every run does its stage again. If that is meant, make \
         tests/tests/pins/tasks.txt:\n{found}"
    );
}

/// A task without what other inputs change: of lists of equals the first entry, of checksums and times nothing.
fn form_of(task: &Value) -> Value {
    match task {
        Value::Object(fields) => {
            let form = |(name, value): (&String, &Value)| {
                let is_of_input = ["checksum", "digest", "version", "len_bytes", "file"].contains(&name.as_str());
                let is_plain = value.is_string() || value.is_number();
                (name.clone(), if is_of_input && is_plain { "…".into() } else { form_of(value) })
            };
            fields.iter().map(form).collect()
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => entries.iter().take(1).map(form_of).collect(),
        other => other.clone(),
    }
}
