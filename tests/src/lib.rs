//! What the end-to-end tests share: the binary, recipes on fixtures, folders compared byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

pub mod web;

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What becomes of a test that lacks something which `.ci/run` sees to: `deny` makes its skip a failure.
const SKIP: &str = "WEBTEXT_TESTS_SKIP";

/// Says why a test, or a part of it, is skipped: past the harness, which keeps what a passing test prints to itself.
///
/// # Panics
/// Where `WEBTEXT_TESTS_SKIP=deny` says that nothing may be missing.
pub fn skip(test: &str, why: impl std::fmt::Display) {
    tell(&format!("skipped: {test}: {why}"));
    assert!(std::env::var(SKIP).as_deref() != Ok("deny"), "{test}: {why}, and {SKIP}=deny");
}

/// A line on standard error that no harness keeps to itself.
fn tell(line: &str) {
    // Without an error output nobody is there to be told.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The real data beside the checkout; prints why a test is skipped when there is none, as is the rule in CI.
pub fn real_data(test: &str) -> Option<PathBuf> {
    let data = root().parent().unwrap().join("shared/data");
    if data.is_dir() {
        return Some(data);
    }
    tell(&format!("skipped: {test}: there is no {}", data.display()));
    None
}

/// Runs a test again inside a namespace, by this command.
///
/// Skips where no namespace can be made (it takes root or user namespaces, `unshare` and `ip`).
pub fn run_inside(test: &str, command: &mut Command) {
    let output = match command.args(["--exact", test, "--nocapture"]).output() {
        Ok(output) => output,
        Err(error) => return skip(test, format!("unshare: {error}")),
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    if !text.contains("running 1 test") {
        return skip(test, format!("no network namespace here: {text}"));
    }
    assert!(output.status.success(), "{text}");
    for line in text.lines().filter(|line| line.starts_with("skipped: ")) {
        tell(line);
    }
    eprint!("{text}");
}

/// A binary of the workspace, built as the tests are.
///
/// The command is that of the tests without running them: dependencies get the same features, so after
/// `cargo test --workspace` nothing is compiled again. Cargo builds the binaries with the tests because each
/// of their packages has a test of its command line.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        // Tests lie in target/<profile>/deps.
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap().parent().unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["test", "--quiet", "--workspace", "--no-run"]).current_dir(root());
        // The development profile's folder alone is not named as the profile.
        if folder.file_name() != Some("debug".as_ref()) {
            build.arg("--profile").arg(folder.file_name().unwrap());
        }
        // Cargo tells a test what package it is of. Build scripts that ask for these variables (ring's does)
        // would be run again here, and once more by the next `cargo test`, with all that stands on them.
        for (name, _) in std::env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|begin| name.to_string_lossy().starts_with(begin)) {
                build.env_remove(name);
            }
        }
        assert!(build.status().unwrap().success(), "the binaries do not build");
        folder.to_path_buf()
    });
    folder.join(name)
}

/// `webtext build pipelines/quickstart.toml --out OUT`, with a model of a few steps and further flags.
pub fn quickstart(out: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(root().join("pipelines/quickstart.toml")).arg("--out").arg(out);
    command.args(["--set", "model.train.steps=6", "--set", "model.train.evaluate_every=3"]).args(flags);
    command
}

/// Runs a command to its end and checks its exit code; returns what it printed.
pub fn check(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{out}\n{err}");
    output
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

/// Every file of a run by its relative name, but for the lock and this machine's cache of input times.
pub fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_content = |name: &String| name != "lock" && !name.starts_with("work/fingerprints");
    let names = names(run).into_iter().filter(is_content);
    names.map(|name| (name.clone(), fs::read(run.join(name)).unwrap())).collect()
}

/// Checks that two runs hold the same files with the same bytes.
pub fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    let different: Vec<&String> = a.iter().filter(|(name, bytes)| b[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(different.is_empty(), "these differ: {different:?}");
}
