//! What commands say on standard error: how much, of which task, and nothing when the reader of the output has gone.

use std::path::Path;
use std::process::{Command, Stdio};

use webtext_tests::{check, quickstart, stderr};

/// The first stage of the quickstart.
fn first_stage(out: &Path, flags: &[&str]) -> Command {
    quickstart(out, &[&["--stage", "links.read"], flags].concat())
}

#[test]
fn steps_are_shown_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let said = |name: &str, flags: &[&str], levels: Option<&str>| {
        let mut command = first_stage(&folder.path().join(name), flags);
        if let Some(levels) = levels {
            command.env("WEBTEXT_LOG", levels);
        }
        stderr(&check(&mut command, 0))
    };
    let plain = said("plain", &[], None);
    assert!(plain.contains("links.read") && !plain.contains("debug "), "{plain}");

    for (name, flags, levels) in [("flag", &["-v"][..], None), ("variable", &[], Some("pipeline=debug"))] {
        let steps = said(name, flags, levels);
        let of_stage = "debug pipeline::engine::build: links.read: 5 of 5 tasks are to be done";
        assert!(steps.contains(of_stage) && steps.contains("links.read: sealed"), "{steps}");
        let of_tasks = steps.lines().filter(|line| line.contains("build: links.read/")).collect::<Vec<_>>();
        let ends = |end: &str| of_tasks.iter().filter(|line| line.contains(end)).count();
        assert_eq!((ends(": begins"), ends(" read, ")), (5, 5), "{steps}");
    }

    let refused = said("refused", &[], Some("pipeline=loud"));
    assert!(refused.contains("warning: WEBTEXT_LOG=pipeline=loud is not used"), "{refused}");
    assert_eq!(said("quiet", &["-q"], None), "");
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let mut command = quickstart(&folder.path().join("run"), flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        // Ended by the signal, or, where connections are opened, with 0.
        assert!(matches!(output.status.code(), None | Some(0)), "{flags:?}: {}", output.status);
        assert_eq!(stderr(&output), "", "{flags:?}");
    }
}
