//! Which tasks a change runs again, and which it does not.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use super::toy::Lab;
use crate::engine::{Options, Selection};

#[test]
fn an_unchanged_run_does_nothing() {
    let lab = Lab::built();
    let before = lab.objects();
    lab.check_build("");
    assert!(lab.objects() == before);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let lab = Lab::new();
    let options = Options::quiet().with_threads(3);
    lab.run_with(lab.store(), options).build(&Selection::default()).unwrap();
    lab.check_undisturbed();
}

#[test]
fn a_changed_setting_redoes_its_stage_and_what_follows() {
    let mut lab = Lab::built();
    lab.settings.prefix = "n".into();
    lab.check_build("label/0 label/1 label/2 label/3 join/all");
}

#[test]
fn behind_a_changed_stage_only_what_changed_is_redone() {
    let mut lab = Lab::built();
    lab.settings.max_number = 6; // without the 7, of bucket 3
    lab.check_build("read/a read/b read/c count/3 label/3 join/all");
}

#[test]
fn a_change_that_leads_to_equal_bytes_stops_there() {
    let mut lab = Lab::built();
    lab.settings.max_number = 200;
    lab.check_build("read/a read/b read/c");
}

#[test]
fn one_more_input_redoes_the_buckets_that_it_touches() {
    let lab = Lab::built();
    lab.write_input("aa", &[8, 12]);
    lab.check_build("read/aa count/0 label/0 join/all");
}

#[test]
fn an_input_that_is_only_touched_redoes_its_own_task() {
    let lab = Lab::built();
    let input = File::options().write(true).open(lab.input("b")).unwrap();
    input.set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    lab.check_build("read/b");
}

#[test]
fn an_input_that_is_changed_redoes_the_buckets_that_it_touches() {
    let lab = Lab::built();
    lab.write_input("b", &[1, 2, 10]);
    lab.check_build("read/b count/2 label/2 join/all");
}

#[test]
fn a_plan_that_shrinks_removes_tasks_and_their_outputs() {
    let lab = Lab::built();
    fs::remove_file(lab.input("c")).unwrap();
    lab.check_build("count/2 count/3 label/2 label/3 join/all");
    assert!(!lab.path("work/read/c.numbers").exists());
    assert!(!lab.path("tasks/read/c.json").exists());
}

#[test]
fn a_plan_that_grows_back_redoes_what_was_removed() {
    let lab = Lab::built();
    let c = fs::read(lab.input("c")).unwrap();
    fs::remove_file(lab.input("c")).unwrap();
    lab.check_build("count/2 count/3 label/2 label/3 join/all");
    fs::write(lab.input("c"), c).unwrap();
    lab.check_build("read/c count/2 count/3 label/2 label/3 join/all");
}

#[test]
fn a_stage_that_the_flow_no_longer_has_is_removed_and_comes_back() {
    let mut lab = Lab::built();
    lab.settings.has_join = false;
    lab.check_build("");
    assert!(!lab.path("joined/all.txt").exists());
    lab.settings.has_join = true;
    lab.check_build("join/all");
}

#[test]
fn a_raised_revision_redoes_its_stage() {
    let mut lab = Lab::built();
    lab.settings.count_revision = 2;
    let preview = lab.run().preview().unwrap();
    assert_eq!(preview[1].missing.len(), 4);
    assert_eq!(preview[1].missing[0].why, "the stage was revised (1 → 2)");
    lab.check_build("count/0 count/1 count/2 count/3");
}

#[test]
fn a_stage_without_a_task_is_a_stage() {
    let lab = Lab::built();
    for name in ["a", "b", "c"] {
        fs::remove_file(lab.input(name)).unwrap();
    }
    lab.check_build("count/0 count/1 count/2 count/3 label/0 label/1 label/2 label/3 join/all");
}
