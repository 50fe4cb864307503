//! A build that was ended by an error or the user continues where it was.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use super::toy::Lab;
use super::watched::{Verb, Watched};
use crate::engine::{Options, Selection};
use crate::error::chain;

#[test]
fn a_task_that_fails_is_named_and_the_finished_ones_are_kept() {
    let lab = Lab::new();
    let store = Watched::refusing(lab.store(), ErrorKind::StorageFull, |key| key == "work/read/b.numbers");
    let error = chain(&lab.run_in(store.clone()).build(&Selection::default()).unwrap_err());
    assert!(error.starts_with("stage read, task 1/3: cannot write"), "{error}");
    assert_eq!(store.tasks_run(), ["read/a"]);
    lab.check_build("read/b read/c count/0 count/1 count/2 count/3 label/0 label/1 label/2 label/3 join/all");
}

#[test]
fn an_input_that_a_task_refuses_fails_the_build_until_it_is_mended() {
    let lab = Lab::new();
    std::fs::write(lab.input("b"), "1\ntwo\n").unwrap();
    for _ in 0..2 {
        let error = chain(&lab.build().unwrap_err());
        assert_eq!(error, "stage read, task 1/3: two: invalid digit found in string");
    }
    lab.write_input("b", &[1, 2, 6]);
    lab.check_build("read/b read/c count/0 count/1 count/2 count/3 label/0 label/1 label/2 label/3 join/all");
}

#[test]
fn a_build_that_is_stopped_ends_between_tasks() {
    let lab = Lab::new();
    let options = Options::quiet();
    let stop = options.stop.clone();
    let store = Watched::with_hook(lab.store(), move |_, verb, key| {
        stop.fetch_or(verb == Verb::Put && key == "tasks/count/1.json", Ordering::Relaxed);
        Ok(())
    });
    let error = lab.run_with(store, options).build(&Selection::default()).unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    lab.check_build("count/2 count/3 label/0 label/1 label/2 label/3 join/all");
}
