//! What a build would do, and the status of a run.

use std::fs;

use super::toy::{Lab, assert_same};
use crate::engine::{StagePreview, StageState};

/// What a build would do, one line per stage; a preview must change nothing.
fn preview(lab: &Lab) -> Vec<String> {
    let before = lab.objects();
    let previews = lab.run().preview().unwrap();
    assert_same(&lab.objects(), &before);
    previews.iter().map(shown).collect()
}

fn shown(preview: &StagePreview) -> String {
    let missing = preview.missing.iter().map(|missing| format!(" {}: {}", missing.name, missing.why));
    let follows = preview.follows.iter().map(|stage| format!(" after {stage}"));
    let tasks = preview.tasks.map_or("?".into(), |tasks| tasks.to_string());
    format!("{} {tasks}{}{}", preview.stage, missing.collect::<String>(), follows.collect::<String>())
}

#[test]
fn of_a_new_run() {
    let expected = ["read 3 a: new b: new c: new", "count ? after read", "label ? after read after count"];
    assert_eq!(preview(&Lab::new())[..3], expected);
}

#[test]
fn of_an_unchanged_run() {
    assert_eq!(preview(&Lab::built()), ["read 3", "count 4", "label 4", "join 1"]);
}

#[test]
fn of_a_changed_setting() {
    let mut lab = Lab::built();
    lab.settings.prefix = "n".into();
    let why = r#"prefix "number" → "n""#;
    let label = format!("label 4 0: {why} 1: {why} 2: {why} 3: {why}");
    assert_eq!(preview(&lab), ["read 3", "count 4", &label, "join 1 after label"]);
}

#[test]
fn of_one_input_more_and_one_less() {
    let lab = Lab::built();
    lab.write_input("d", &[8]);
    assert_eq!(preview(&lab), ["read 4 d: new", "count 4 after read", "label 4 after count", "join 1 after label"]);
    fs::remove_file(lab.input("d")).unwrap();
    fs::remove_file(lab.input("c")).unwrap();
    assert_eq!(preview(&lab), ["read 2", "count 4 after read", "label 4 after count", "join 1 after label"]);
}

#[test]
fn of_a_changed_input() {
    let lab = Lab::built();
    lab.write_input("b", &[1, 2]);
    assert_eq!(preview(&lab)[0], "read 3 b: what it reads has changed");
}

#[test]
fn of_tasks_that_nobody_has_sealed() {
    let lab = Lab::new();
    for number in 0..3 {
        lab.build_task("read", number, 3).unwrap();
    }
    assert_eq!(
        preview(&lab),
        ["read 3", "count ? after read", "label ? after read after count", "join ? after read after count after label"]
    );
}

#[test]
fn status_needs_no_input() {
    let lab = Lab::new();
    lab.build_stage("read");
    lab.build_task("count", 2, 4).unwrap();
    fs::remove_dir_all(lab.inputs()).unwrap();
    let status = lab.run().status().unwrap();
    let states: Vec<_> = status.iter().map(|stage| (stage.stage.as_str(), &stage.state, stage.tasks)).collect();
    let expected = [
        ("read", &StageState::Done, Some(3)),
        ("count", &StageState::Missing(vec![0, 1, 3]), Some(4)),
        ("label", &StageState::Waiting, None),
        ("join", &StageState::Waiting, None),
    ];
    assert_eq!(states, expected);
    assert_eq!((status[0].tally.counts.read, status[1].tally.counts.kept), (10, 2));
}
