//! A run that is killed before any of its writes comes to the same bytes when it is run again.

use std::fs;
use std::path::{Path, PathBuf};

use super::toy::Lab;
use super::watched::Watched;
use crate::Result;
use crate::engine::{Run, Selection};
use crate::error::chain;

/// Runs `work` on copies of a lab's run, killed before the first write, the second, and so on to the last. A build
/// after each kill must lead to the bytes of an undisturbed run.
fn check_kills(lab: &Lab, work: impl Fn(&Run) -> Result<()>) {
    let saved = tempfile::tempdir().unwrap();
    copy(&lab.run_folder(), saved.path());
    let mut kills = 0;
    loop {
        let done = work(&lab.run_in(Watched::killed_before(lab.store(), kills)));
        // The last write of all releases the lease, and a build does not fail when it cannot.
        if done.is_ok() && !lab.path("lease/build.json").exists() {
            break;
        }
        lab.end_holders();
        lab.build().unwrap_or_else(|error| panic!("after a kill before write {kills}: {}", chain(&error)));
        lab.check_undisturbed();
        assert_eq!(partial_files(&lab.run_folder()), 0, "after a kill before write {kills}");
        kills += 1;
        fs::remove_dir_all(lab.run_folder()).unwrap();
        copy(saved.path(), &lab.run_folder());
    }
    assert!(kills > 20, "{kills} writes are no build");
}

fn build(run: &Run) -> Result<()> {
    run.build(&Selection::default()).map(drop)
}

/// Files that a writer has begun and not finished.
fn partial_files(folder: &Path) -> usize {
    let count = |path: PathBuf| match path.is_dir() {
        true => partial_files(&path),
        false => usize::from(path.to_string_lossy().contains(atomic_file::PARTIAL_MARK)),
    };
    fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap().path())).sum()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn killed_in_a_first_build() {
    check_kills(&Lab::new(), build);
}

#[test]
fn killed_while_a_changed_setting_is_followed() {
    let mut lab = Lab::built();
    lab.settings.max_number = 4;
    lab.settings.prefix = "n".into();
    check_kills(&lab, build);
}

#[test]
fn killed_while_tasks_and_a_stage_are_removed() {
    let mut lab = Lab::built();
    fs::remove_file(lab.input("c")).unwrap();
    lab.write_input("d", &[8]);
    lab.settings.has_join = false;
    check_kills(&lab, build);
}

#[test]
fn killed_while_pruned_work_files_are_made_again() {
    let mut lab = Lab::built();
    lab.run().clean().unwrap();
    lab.settings.min_times = 2;
    check_kills(&lab, build);
}

#[test]
fn killed_while_work_files_are_pruned() {
    let mut lab = Lab::built();
    lab.settings.min_times = 2;
    check_kills(&lab, |run| {
        run.clean()?;
        build(run)
    });
}
