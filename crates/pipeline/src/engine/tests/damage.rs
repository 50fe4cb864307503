//! Files of a run that are truncated, changed or missing, and files that are not part of the run.

use std::fs;
use std::sync::{Arc, Mutex};

use super::toy::{Lab, assert_same};
use crate::engine::Selection;

/// Distance in bytes between the positions at which longer files are damaged.
const STRIDE: usize = 37;

/// Damages a file of a built run at positions `stride` bytes apart: a build must run no task and leave everything as it
/// was. If the file was truncated, it must name it.
fn check_damage(key: &str, stride: usize) {
    let lab = Lab::built();
    let before = lab.objects();
    let cuts = cuts(&before[key], stride).into_iter().map(|bytes| (bytes, true));
    let flips = flips(&before[key], stride).into_iter().map(|bytes| (bytes, false));
    for (bytes, is_cut) in cuts.chain(flips) {
        fs::write(lab.path(key), bytes).unwrap();
        let run = lab.run();
        let (summary, said) = with_log(|| run.build(&Selection::default()));
        assert_eq!(summary.unwrap().tasks_run, 0);
        assert!(said.contains(&format!("{key} is damaged at byte")) || !is_cut, "{said}");
        assert_same(&lab.objects(), &before);
    }
}

/// Collects a log.
#[derive(Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is returned, and what was logged meanwhile.
fn with_log<T>(work: impl FnOnce() -> T) -> (T, String) {
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer({
            let log = Log(log.clone());
            move || log.clone()
        })
        .finish();
    let result = tracing::subscriber::with_default(subscriber, work);
    let bytes = std::mem::take(&mut *log.lock().unwrap());
    (result, String::from_utf8(bytes).unwrap())
}

fn cuts(whole: &[u8], stride: usize) -> Vec<Vec<u8>> {
    (0..whole.len()).step_by(stride).map(|end| whole[..end].to_vec()).collect()
}

fn flips(whole: &[u8], stride: usize) -> Vec<Vec<u8>> {
    let flip = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    (0..whole.len()).step_by(stride).map(flip).collect()
}

#[test]
fn a_seal_is_made_again_from_manifests() {
    check_damage("tasks/join/seal", 1);
    check_damage("tasks/read/seal", STRIDE);
    check_damage("tasks/count/seal", STRIDE);
}

#[test]
fn a_plan_is_made_again() {
    check_damage("tasks/join/plan", 1);
    check_damage("tasks/read/plan", STRIDE);
    check_damage("tasks/count/plan", STRIDE);
}

#[test]
fn a_seal_that_is_gone_is_made_again_from_manifests() {
    let lab = Lab::built();
    fs::remove_file(lab.path("tasks/count/seal")).unwrap();
    lab.check_build("");
}

#[test]
fn a_manifest_that_cannot_be_read_is_that_of_no_task() {
    let lab = Lab::built();
    fs::remove_file(lab.path("tasks/count/seal")).unwrap();
    let manifest = fs::read(lab.path("tasks/count/2.json")).unwrap();
    fs::write(lab.path("tasks/count/2.json"), &manifest[..manifest.len() / 2]).unwrap();
    lab.check_build("count/2");
}

/// Damages an output of a built run: the reason for running its task again must name it.
fn check_lost(key: &str, task: &str, lose: impl Fn(&Lab)) {
    let lab = Lab::built();
    lose(&lab);
    let preview = lab.run().preview().unwrap();
    let whys: Vec<String> = preview.into_iter().flat_map(|stage| stage.missing).map(|missing| missing.why).collect();
    assert_eq!(whys, [format!("{key} is not there, or has another length")]);
    lab.check_build(task);
}

#[test]
fn an_output_that_is_gone_or_has_another_length_is_made_again() {
    for (key, task) in
        [("work/read/b.numbers", "read/b"), ("counts/1.parquet", "count/1"), ("joined/all.txt", "join/all")]
    {
        check_lost(key, task, |lab| fs::remove_file(lab.path(key)).unwrap());
        check_lost(key, task, |lab| fs::write(lab.path(key), "short").unwrap());
    }
}

#[test]
fn a_foreign_file_among_the_outputs_is_left_alone() {
    let mut lab = Lab::built();
    for foreign in ["labels/notes.md", "work/read/notes.md", "notes.md"] {
        fs::write(lab.path(foreign), "mine").unwrap();
    }
    lab.settings.prefix = "n".into();
    lab.check_tasks("label/0 label/1 label/2 label/3 join/all");
    fs::remove_file(lab.input("c")).unwrap();
    lab.build().unwrap();
    lab.run().clean().unwrap();
    for foreign in ["labels/notes.md", "work/read/notes.md", "notes.md"] {
        assert_eq!(fs::read(lab.path(foreign)).unwrap(), b"mine");
    }
}
