//! The laws that hold for every run: the same bytes for any threads, order and kill; nothing lost.
//!
//! Runs are compared file by file, intermediate ones included. Kills are `kill -9` at moments spread
//! over a run by a fixed sequence; whatever they hit, the next run must end as an undisturbed one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipeline::engine::{Seal, TaskReport};
use store::LocalStore;
use store::catalogue::Catalogue;
use webtext_tests::{assert_same, binary, check, copy_folder, files, json, quickstart, root, shared_quickstart};

/// The same folder name below different parents: the report shows it.
fn run_folder(parent: &Path) -> std::path::PathBuf {
    parent.join("run")
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    for threads in ["1", "7"] {
        let folder = tempfile::tempdir().unwrap();
        check(&mut quickstart(&run_folder(folder.path()), &["--threads", threads, "-q"]), 0);
        assert_same(shared_quickstart(), &run_folder(folder.path()));
    }
}

#[test]
fn same_bytes_for_tasks_done_one_by_one_in_any_order() {
    let single = tempfile::tempdir().unwrap();
    let run = run_folder(single.path());
    let status = pipeline::RecipeRun::open(shared_quickstart()).unwrap().run.status().unwrap();
    for pipeline::StageStatus { stage, tasks, .. } in status {
        let tasks = tasks.unwrap();
        // From the last to the first.
        for number in (0..tasks).rev() {
            check(&mut quickstart(&run, &["-q", "--stage", &stage, "--task", &format!("{number}/{tasks}")]), 0);
        }
    }
    // What is left is the summary and the report.
    let output = check(&mut quickstart(&run, &["--json", "-q"]), 0);
    assert_eq!(json(&output)["tasks_run"], 0);
    assert_same(shared_quickstart(), &run);
}

#[test]
fn same_bytes_after_any_kill() {
    check_kills(14, |run| quickstart(run, &["-q"]));
}

/// With rules that edit texts, of many measures.
#[test]
fn same_bytes_after_any_kill_under_published_rules() {
    check_kills(8, |run| {
        let mut command = Command::new(binary("webtext"));
        command.arg("build").arg(root().join("pipelines/fineweb.toml")).arg("--out").arg(run).arg("-q");
        command
    });
}

/// Kills a build this many times, lets it finish, and compares the run with an undisturbed one.
fn check_kills(kills: u32, build: impl Fn(&Path) -> Command) {
    let (undisturbed, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let started = Instant::now();
    check(&mut build(&run_folder(undisturbed.path())), 0);
    let length = started.elapsed();
    let run = run_folder(killed.path());
    for round in 0..kills {
        let mut child = build(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The golden ratio spreads the moments evenly over the run's length.
        std::thread::sleep(length.mul_f64(f64::from(round) * 0.618_034 % 1.0) + Duration::from_millis(5));
        child.kill().unwrap();
        child.wait().unwrap();
        // Start over now and then, so that early stages are hit as often as late ones.
        if round % 5 == 4 {
            std::fs::remove_dir_all(run.join("tasks")).ok();
        }
    }
    check(&mut build(&run), 0);
    assert_same(&run_folder(undisturbed.path()), &run);
}

#[test]
fn a_second_build_does_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_folder(folder.path());
    copy_folder(shared_quickstart(), &run);
    let before = files(&run);
    let output = check(&mut quickstart(&run, &["-q", "--json"]), 0);
    assert_eq!(json(&output)["tasks_run"], 0);
    assert_eq!(files(&run), before);

    // Another seed of the shuffle: nothing before the shards is done again.
    let time = |stage: &str| std::fs::metadata(run.join("tasks").join(stage).join("seal")).unwrap().modified().unwrap();
    let filter = time("documents.filter");
    check(&mut quickstart(&run, &["-q", "--set", "shards.seed=1"]), 0);
    assert_eq!(time("documents.filter"), filter);
    assert_ne!(files(&run)["shards/train-00000.jsonl.zst"], before["shards/train-00000.jsonl.zst"]);

    // Fewer shards: those that are no longer made are gone; back again: as if nothing had been.
    check(&mut quickstart(&run, &["-q", "--set", "shards.count=1"]), 0);
    assert!(!run.join("shards/train-00001.jsonl.zst").exists() && !run.join("tokens/llmc/train_00001.bin").exists());
    std::fs::remove_file(run.join("tokenizer/vocab.json")).unwrap();
    check(&mut quickstart(&run, &["-q"]), 0);
    assert_eq!(files(&run).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let differ: Vec<&String> =
        before.iter().filter(|(name, bytes)| files(&run)[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn counts_reconcile_in_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_folder(folder.path());
    copy_folder(shared_quickstart(), &run);
    let summary = json(&check(&mut quickstart(&run, &["-q", "--json"]), 0));
    for stage in summary["stages"].as_array().unwrap() {
        let counts = &stage["counts"];
        let number = |name: &str| counts[name].as_u64().unwrap();
        let dropped: u64 = counts["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(number("read"), number("kept") + dropped, "{stage}");
    }
    // What a stage received of a product is what the stage before wrote of it.
    let seal = |stage: &str| {
        let key = format!("tasks/{stage}/seal");
        Catalogue::<Seal, TaskReport>::open(&LocalStore::new(&run), &key).unwrap().unwrap().header().clone()
    };
    let mut compared = 0;
    for stage in summary["stages"].as_array().unwrap() {
        for (from, received) in seal(stage["stage"].as_str().unwrap()).tally.received {
            let (before, product) = from.rsplit_once('/').unwrap();
            assert_eq!(seal(before).rows[product], received, "{} from {from}", stage["stage"]);
            compared += 1;
        }
    }
    assert!(compared >= 12, "{compared}");
}
