//! What the end-to-end tests share: the binary, recipes on fixtures, folders compared byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use filter::FilterTally;
use pipeline::engine::{Seal, TaskReport};
use pipeline::{Options, Recipe, RecipeRun, Selection, Summary};
use records::Link;
use serde_json::Value;
use store::LocalStore;
use store::catalogue::Catalogue;
use store::table::{TableReader, TableWriter};
use tempfile::TempDir;

pub mod browser;
pub mod object_server;
#[path = "../support/share.rs"]
mod share;
#[path = "../support/skip.rs"]
mod skip;
pub mod web;

pub use share::one_in;
pub use skip::{peers, real_data, skip};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The name by which the harness knows a test of a module: `fetch::a_skip_is_told` of `runs::fetch` and `a_skip_is_told`.
pub fn path_of_test(module: &str, test: &str) -> String {
    let (_, module) = module.split_once("::").unwrap_or_default();
    if module.is_empty() { test.to_owned() } else { format!("{module}::{test}") }
}

/// Runs a test of a module again inside a namespace, by this command.
///
/// Skips where no namespace can be made (it takes root or user namespaces, `unshare` and `ip`).
pub fn run_inside(module: &str, test: &str, command: &mut Command) {
    let output = match command.args(["--exact", &path_of_test(module, test), "--nocapture"]).output() {
        Ok(output) => output,
        Err(error) => return skip(test, format!("unshare: {error}")),
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    if !text.contains("running 1 test") {
        return skip(test, format!("no network namespace here: {text}"));
    }
    assert!(output.status.success(), "{text}");
    for line in text.lines().filter(|line| line.starts_with("skipped: ")) {
        skip::tell(line);
    }
    eprint!("{text}");
}

/// The binary `webtext`, `bpe` or `gpt2`, as cargo has built it for the tests.
pub fn binary(name: &str) -> PathBuf {
    let variable = format!("CARGO_BIN_EXE_{name}-under-test");
    std::env::var_os(&variable).unwrap_or_else(|| panic!("cargo test sets {variable}")).into()
}

/// The quickstart's recipe.
pub fn quickstart_recipe() -> PathBuf {
    root().join("pipelines/quickstart.toml")
}

/// The text of the quickstart's recipe up to its model, without which a run ends with tokens.
pub fn recipe_without_model() -> String {
    let text = fs::read_to_string(quickstart_recipe()).unwrap();
    text.split("[model]").next().unwrap().to_owned()
}

/// A recipe for the corpus `texts.jsonl` beside it, up to text shards, with further keys of `[dedup]` and sections.
pub fn recipe_of_texts(dedup_and_sections: &str) -> String {
    format!(
        r#"
        [pages]
        from = "texts"
        paths = ["texts.jsonl"]
        only_links = false
        [shards]
        seed = 1
        validation_fraction = 0.0
        count = 1
        tokens = []
        [tokenizer]
        use = "gpt2"
        [dedup]
        exact = true
        {dedup_and_sections}
        "#
    )
}

/// `webtext build pipelines/quickstart.toml --out OUT`, with a model of a few steps and further flags.
pub fn quickstart(out: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(quickstart_recipe()).arg("--out").arg(out);
    command.args(["--set", "model.train.steps=6", "--set", "model.train.evaluate_every=3"]).args(flags);
    command
}

/// A finished run of the quickstart in a folder `run`, one for all tests of a binary that only read it.
pub fn shared_quickstart() -> &'static Path {
    static RUN: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        check(&mut quickstart(&run, &["-q"]), 0);
        (folder, run)
    });
    &RUN.1
}

/// Runs a command to its end and checks its exit code; returns what it printed.
pub fn check(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{out}\n{err}");
    output
}

/// What a command printed as JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a summary says of a stage.
pub fn stage(summary: &Value, name: &str) -> Value {
    let stages = summary["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("no {name} in {summary}")).clone()
}

/// Builds a recipe in this process, as `webtext build` does.
pub fn build(recipe: Recipe, out: &Path) -> pipeline::Result<Summary> {
    recipe.check_inputs()?;
    RecipeRun::new(out, recipe, Options::quiet().with_threads(2))?.run.build(&Selection::default())
}

/// The rows of all tables in a folder of a run of which the names begin so, in the order of the names.
pub fn rows<T: store::table::Row>(folder: &Path, prefix: &str) -> Vec<T> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix) && name.ends_with(".parquet")).collect();
    names.sort();
    let rows = names.iter().flat_map(|name| TableReader::<T>::open(&folder.join(name)).unwrap());
    rows.map(|row| row.unwrap()).collect()
}

/// The rows of a file of JSON Lines.
pub fn json_rows(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes a table of these rows, in their order.
pub fn write_table<T: store::table::Row>(path: &Path, rows: impl IntoIterator<Item = T>) {
    let mut table = TableWriter::create(path).unwrap();
    rows.into_iter().for_each(|row| table.push(row).unwrap());
    table.finish().unwrap();
}

/// The link of a URL, as `webtext links` has it of a submission with this number.
pub fn link_of(url: &str, number: usize) -> Link {
    let canonical = links::Canonical::parse(url).unwrap();
    Link {
        domain: canonical.domain,
        key: canonical.key,
        url: canonical.url,
        karma: Some(5),
        submissions: 1,
        subreddit: None,
        title: None,
        created_utc: None,
        source: format!("test:{number}"),
        verdict: None,
    }
}

/// What the rules did in a run, by the seal of their stage.
pub fn filter_tally(run: &Path) -> FilterTally {
    let seal = Catalogue::<Seal, TaskReport>::open(&LocalStore::new(run), "tasks/documents.filter/seal");
    seal.unwrap().unwrap().header().tally.rules.clone()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Unpacks a `.tar.zst` of the real data; `false` when the commands for it are missing or fail.
pub fn unpack(archive: &Path, to: &Path) -> bool {
    fs::create_dir_all(to).unwrap();
    let command = format!("zstd -dcq --long=27 '{}' | tar x -C '{}'", archive.display(), to.display());
    Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success())
}

/// The relative names of all files below a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    names
}

/// Every file of a run by its relative name, but for leases, lists of executors, logs and what may be lost.
pub fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_content =
        |name: &String| !["executor/", "lease/", "logs/", "scratch/"].iter().any(|folder| name.starts_with(folder));
    let names = names(run).into_iter().filter(is_content);
    names.map(|name| (name.clone(), fs::read(run.join(name)).unwrap())).collect()
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    for name in names(from) {
        let path = to.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(name), path).unwrap();
    }
}

/// Checks that two runs hold the same files with the same bytes.
pub fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    let different: Vec<&String> = a.iter().filter(|(name, bytes)| b[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(different.is_empty(), "these differ: {different:?}");
}
