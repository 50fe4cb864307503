//! What a test does that lacks something: it says so past the harness, and fails where nothing may be missing.
//!
//! Included by its path in the tests of each crate that needs it, and in `webtext-tests`, whose tests use it from there.

#![allow(dead_code, reason = "not each test uses all of it")]

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What becomes of a test that lacks something which `.ci/run` sees to: `deny` makes its skip a failure.
const SKIP: &str = "WEBTEXT_TESTS_SKIP";

/// Names the Python of an environment with the packages that tests compare with.
const PEERS: &str = "WEBTEXT_PEERS";

/// Says why a test, or a part of it, is skipped.
///
/// # Panics
/// Where `WEBTEXT_TESTS_SKIP=deny` says that nothing may be missing.
pub fn skip(test: &str, why: impl Display) {
    tell(format!("skipped: {test}: {why}"));
    assert!(std::env::var(SKIP).as_deref() != Ok("deny"), "{test}: {why}, and {SKIP}=deny");
}

/// A line on standard error that no harness keeps to itself, as it keeps what a passing test prints.
pub fn tell(line: impl Display) {
    // Without an error output nobody is there to be told.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The Python that `WEBTEXT_PEERS` names, if it has these modules; without it, the test is skipped.
///
/// # Panics
/// As [`skip`].
pub fn peers(test: &str, modules: &[&str]) -> Option<PathBuf> {
    let modules = modules.join(", ");
    let Some(python) = std::env::var_os(PEERS).map(PathBuf::from) else {
        skip(test, format!("{PEERS} names no Python with {modules}"));
        return None;
    };
    match Command::new(&python).args(["-c", &format!("import {modules}")]).output() {
        Ok(output) if output.status.success() => Some(python),
        Ok(output) => {
            // The last line of a traceback says what is missing.
            let error = String::from_utf8_lossy(&output.stderr);
            let error = error.trim_end().lines().next_back().unwrap_or_default();
            skip(test, format!("the Python of {PEERS} lacks one of {modules}: {error}"));
            None
        }
        Err(error) => {
            skip(test, format!("the Python of {PEERS} does not start: {error}"));
            None
        }
    }
}

/// The real data beside the checkout. Where there is none, the test is skipped, and never fails: the data are not ours to
/// hand out, so `.ci/run` cannot see to them.
pub fn real_data(test: &str) -> Option<PathBuf> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let checkout = above.find(|folder| folder.join("Cargo.lock").is_file());
    let data = checkout.and_then(Path::parent).expect("the checkout stands in a folder").join("shared/data");
    if data.is_dir() {
        return Some(data);
    }
    tell(format!("skipped: {test}: there is no {}", data.display()));
    None
}
