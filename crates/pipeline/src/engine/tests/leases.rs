//! Two processes in one run, and leases that are not valid.

use std::fs;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use super::toy::{Lab, one_task};
use super::watched::{Verb, Watched};
use crate::engine::Selection;
use crate::error::chain;

/// The error of another process that begins `other` while `first` writes the object `during`; the folder must stay as
/// it was.
fn told(first: &Selection, during: &'static str, other: Selection) -> String {
    let lab = Arc::new(Lab::built());
    fs::remove_file(lab.path(during)).unwrap();
    let told = Arc::new(Mutex::new(String::new()));
    let store = {
        let (lab, told) = (lab.clone(), told.clone());
        Watched::with_hook(lab.store(), move |_, verb, key| {
            if verb == Verb::Put && key == during {
                let before = lab.objects();
                *told.lock().unwrap() = chain(&lab.run().build(&other).unwrap_err());
                assert!(lab.objects() == before);
            }
            Ok(())
        })
    };
    lab.run_in(store).build(first).unwrap();
    lab.build().unwrap();
    lab.check_undisturbed();
    told.lock().unwrap().clone()
}

fn this_process() -> String {
    store::lease::Holder::this_process().to_string()
}

#[test]
fn a_second_build_is_refused() {
    let told = told(&Selection::default(), "labels/1.txt", Selection::default());
    let holder = this_process();
    assert_eq!(told, format!("another webtext works in this run ({holder}); wait for it or choose another --out"));
}

#[test]
fn a_single_task_beside_a_build_is_refused() {
    let told = told(&Selection::default(), "labels/1.txt", one_task("label", 2, 4));
    assert_eq!(told, format!("{} is building this run; wait for it or choose another --out", this_process()));
}

#[test]
fn a_build_beside_a_single_task_is_refused() {
    let told = told(&one_task("label", 1, 4), "labels/1.txt", Selection::default());
    let holder = this_process();
    assert_eq!(told, format!("{holder} is doing the task lease/label.1.json of this run; wait for it"));
}

#[test]
fn a_single_task_beside_another_is_not() {
    let lab = Arc::new(Lab::built());
    fs::remove_file(lab.path("labels/1.txt")).unwrap();
    fs::remove_file(lab.path("labels/2.txt")).unwrap();
    let store = {
        let lab = lab.clone();
        Watched::with_hook(lab.store(), move |_, verb, key| {
            if verb == Verb::Put && key == "labels/1.txt" {
                lab.build_task("label", 2, 4).unwrap();
                let same = chain(&lab.build_task("label", 1, 4).unwrap_err());
                assert!(same.starts_with("another webtext works in this run"), "{same}");
            }
            Ok(())
        })
    };
    lab.run_in(store).build(&one_task("label", 1, 4)).unwrap();
    lab.check_build("");
}

#[test]
fn a_process_that_is_gone_holds_nothing() {
    let lab = Lab::built();
    for key in ["lease/build.json", "lease/read.a.json"] {
        let lease =
            store::lease::Lease::take(Arc::new(lab.store()), key, store::lease::Pace::default(), &|_| true).unwrap();
        assert!(lab.build().is_err());
        let held = fs::read(lab.path(key)).unwrap();
        drop(lease);
        fs::write(lab.path(key), held).unwrap();
        lab.end_holders();
        lab.check_build("");
    }
}

#[test]
fn a_lease_that_was_cut_off_holds_nothing() {
    let lab = Lab::built();
    fs::write(lab.path("lease/build.json"), "{\"hol").unwrap();
    lab.check_build("");
}

/// The error of a build in a run whose lease is not valid.
fn fault_of_lease(spoil: impl Fn(&Lab)) -> String {
    let lab = Lab::built();
    fs::remove_dir_all(lab.path("lease")).unwrap();
    spoil(&lab);
    chain(&lab.build().unwrap_err())
}

#[test]
fn other_faults_of_the_lease_are_told_as_what_they_are() {
    let error = fault_of_lease(|lab| fs::create_dir_all(lab.path("lease/build.json")).unwrap());
    assert!(error.ends_with("lease/build.json: Is a directory (os error 21)"), "{error}");
    let error = fault_of_lease(|lab| fs::write(lab.path("lease"), "").unwrap());
    assert!(error.ends_with("lease/build.json: Not a directory (os error 20)"), "{error}");
}

#[test]
fn a_run_that_cannot_be_written_to_is_told_as_that() {
    let lab = Lab::new();
    let store = Watched::refusing(lab.store(), ErrorKind::PermissionDenied, |key| key.starts_with("lease/"));
    let error = chain(&lab.run_in(store).build(&Selection::default()).unwrap_err());
    assert!(error.ends_with("lease/build.json: permission denied"), "{error}");
}
