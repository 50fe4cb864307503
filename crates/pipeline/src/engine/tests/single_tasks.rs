//! Tasks as processes of their own.

use std::fs;

use super::toy::{Lab, assert_same, one_task};
use crate::Error;
use crate::engine::{Selection, TaskChoice};

/// Runs the tasks of a stage one by one, the last first.
fn build_in_reverse(lab: &Lab, stage: &str, tasks: u32) {
    for number in (0..tasks).rev() {
        let summary = lab.build_task(stage, number, tasks).unwrap();
        assert_eq!(summary.tasks_run, 1, "{stage} {number}");
    }
}

#[test]
fn tasks_in_any_order_give_the_same_bytes() {
    let lab = Lab::new();
    for (stage, tasks) in [("read", 3), ("count", 4), ("label", 4), ("join", 1)] {
        build_in_reverse(&lab, stage, tasks);
    }
    assert_eq!(lab.build_task("label", 1, 4).unwrap().tasks_run, 0);
    lab.check_build("");
}

#[test]
fn a_plan_that_shrank_leaves_no_task_behind() {
    let mut lab = Lab::built();
    fs::remove_file(lab.input("c")).unwrap();
    lab.settings.max_number = 200; // files that come or go are looked for when a plan is made
    build_in_reverse(&lab, "read", 2);
    lab.build_task("count", 3, 4).unwrap();
    assert!(!lab.path("work/read/c.numbers").exists());
    lab.check_build("count/2 label/2 label/3 join/all");
}

#[test]
fn numbers_that_a_stage_does_not_have() {
    let lab = Lab::built();
    let before = lab.objects();
    for (stage, number, of, said) in [
        ("count", 0, 5, "stage count has 4 tasks, not 5"),
        ("join", 0, 2, "stage join has 1 task, not 2"),
        ("count", 4, 4, "the tasks of stage count are numbered from 0 to 3"),
        ("cuont", 0, 4, "there is no stage cuont (did you mean count?). The stages are: read, count, label, join"),
    ] {
        let error = lab.build_task(stage, number, of).unwrap_err();
        assert!(matches!(&error, Error::UnknownStage(text) if text == said), "{error}");
    }
    assert_same(&lab.objects(), &before);
}

#[test]
fn a_stage_whose_predecessors_are_not_done() {
    let lab = Lab::new();
    build_in_reverse(&lab, "read", 3);
    lab.build_task("count", 2, 4).unwrap();
    let error = lab.build_task("label", 0, 4).unwrap_err().to_string();
    assert_eq!(error, "stage count is not done: 3 of 4 tasks are missing, such as task 0 (new)");
}

#[test]
fn other_settings_are_named_and_change_nothing() {
    let mut lab = Lab::built();
    let before = lab.objects();
    lab.settings.min_times = 2;
    lab.settings.prefix = "n".into();
    for task in [Some(TaskChoice::Numbered { number: 0, of: 1 }), None] {
        let error = lab.run().build(&Selection { stage: Some("join".into()), task }).unwrap_err();
        let Error::OtherSettings { stage, keys } = error else { panic!("{error}") };
        assert_eq!((stage.as_str(), keys), ("count", vec!["min_times".to_owned(), "prefix".to_owned()]));
        assert_same(&lab.objects(), &before);
    }
}

#[test]
fn a_stage_of_its_own_follows_its_settings() {
    let mut lab = Lab::built();
    lab.settings.prefix = "n".into();
    for number in 0..4 {
        assert_eq!(lab.run().build(&one_task("label", number, 4)).unwrap().tasks_run, 1);
    }
    lab.check_build("join/all");
}
