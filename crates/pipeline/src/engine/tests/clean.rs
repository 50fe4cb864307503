//! Pruned work files: tasks that can run without them do, others make them again.

use std::fs;

use super::toy::{Lab, Objects};
use crate::error::chain;

const READ_AGAIN: &str = "read/a read/b read/c";

/// A built lab without its work files.
fn pruned() -> Lab {
    let lab = Lab::built();
    let work = work_bytes(&lab.objects());
    assert!(work > 0);
    assert_eq!(lab.run().clean().unwrap(), work);
    assert_eq!(work_bytes(&lab.objects()), 0);
    lab
}

fn work_bytes(objects: &Objects) -> u64 {
    objects.iter().filter(|(key, _)| key.starts_with("work/")).map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn a_pruned_run_is_done() {
    let lab = pruned();
    let before = lab.objects();
    lab.check_tasks("");
    assert!(lab.objects() == before);
    assert!(lab.run().preview().unwrap().iter().all(|stage| stage.missing.is_empty() && stage.follows.is_empty()));
    assert_eq!(lab.run().clean().unwrap(), 0);
}

#[test]
fn a_later_setting_that_reads_no_work_file_makes_none() {
    let mut lab = pruned();
    lab.settings.prefix = "n".into();
    lab.check_tasks("label/0 label/1 label/2 label/3 join/all");
}

#[test]
fn a_later_setting_that_reads_them_makes_them_again() {
    let mut lab = pruned();
    lab.settings.min_times = 2;
    lab.check_build(&format!("{READ_AGAIN} count/0 count/1 count/2 count/3 label/0 label/1 label/2 label/3 join/all"));
}

#[test]
fn one_more_input_makes_the_others_again() {
    let lab = pruned();
    lab.write_input("d", &[8]);
    lab.check_build("read/d read/a read/b read/c count/0 label/0 join/all");
}

#[test]
fn one_input_less_makes_the_others_again() {
    let lab = pruned();
    fs::remove_file(lab.input("c")).unwrap();
    lab.check_build("read/a read/b count/2 count/3 label/2 label/3 join/all");
}

#[test]
fn a_single_task_that_needs_them_says_so() {
    let mut lab = pruned();
    lab.settings.min_times = 2;
    let error = chain(&lab.build_task("count", 0, 4).unwrap_err());
    assert_eq!(error, "the work files of stage read were removed; build the stage count as a whole to make them again");
}

#[test]
fn what_an_unfinished_stage_reads_is_kept() {
    let lab = Lab::built();
    fs::remove_file(lab.path("tasks/count/seal")).unwrap();
    assert_eq!(lab.run().clean().unwrap(), 0);
    lab.check_build("");
}

#[test]
fn pruning_takes_no_stale_stage_for_a_current_one() {
    let lab = Lab::built();
    lab.write_input("b", &[1, 2, 10]);
    lab.build_stage("read");
    lab.run().clean().unwrap();
    let error = lab.build_task("label", 2, 4).unwrap_err().to_string();
    assert!(error.starts_with("stage count is not done: 1 of 4 tasks are missing"), "{error}");
}
