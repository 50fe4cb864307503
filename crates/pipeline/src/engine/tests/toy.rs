//! A toy flow over files of numbers, and the folder in which tests run it.
//!
//! | stage | task | reads → writes |
//! | --- | --- | --- |
//! | read | per file | numbers, one per line → buckets by remainder |
//! | count | per bucket | numbers → table of distinct numbers |
//! | label | per table | table → lines of text |
//! | join | one | all lines → one file |

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use records::Reason;
use serde::{Deserialize, Serialize};
use store::{LocalStore, Store};
use tempfile::TempDir;

use super::watched::Watched;
use crate::engine::{
    Bucket, Buckets, External, File, Flow, Options, Product, Run, Selection, Summary, Table, Task, TaskChoice, Wire,
    Work,
};
use crate::{Error, Result};

const BUCKETS: u32 = 4;

/// The tasks of a [`Lab`] before anything in it is changed.
pub(super) const ALL_TASKS: &str = "read/a read/b read/c count/0 count/1 count/2 count/3 \
     label/0 label/1 label/2 label/3 join/all";

/// The toy's recipe.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    /// read: larger numbers are dropped.
    pub(super) max_number: u64,
    /// count: rarer numbers are dropped.
    pub(super) min_times: u64,
    pub(super) count_revision: u32,
    /// label: what each line begins with.
    pub(super) prefix: String,
    pub(super) has_join: bool,
    pub(super) fault: Option<Fault>,
}

/// A mistake in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fault {
    /// count: no task reads the first bucket.
    ForgottenBucket,
    /// label: the last row of each table is not read.
    UnreadRow,
    /// label: a record is counted as read that is neither kept nor dropped.
    Miscount,
}

impl Default for Settings {
    fn default() -> Settings {
        let prefix = "number".to_owned();
        Settings { max_number: 100, min_times: 1, count_revision: 1, prefix, has_join: true, fault: None }
    }
}

// -- stages

fn flow(inputs: PathBuf, settings: &Settings) -> Flow {
    let mut flow = Flow::default();
    let max_number = settings.max_number;
    let read = flow.stage("read", move |_| {
        let task = |path: PathBuf| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            Ok((name, ReadNumbers { file: External::of(&path)?, max_number }))
        };
        paths_in(&inputs).into_iter().map(task).collect()
    });
    let numbers = read.product(ReadNumbers::NUMBERS);
    let counts = match settings.count_revision {
        1 => add_count::<1>(&mut flow, numbers, settings),
        _ => add_count::<2>(&mut flow, numbers, settings),
    };
    let (prefix, fault) = (settings.prefix.clone(), settings.fault);
    let label = flow.stage("label", move |plan| {
        let tables = plan.tables(counts)?.into_iter();
        Ok(tables.map(|(name, counts)| (name, LabelCounts { counts, prefix: prefix.clone(), fault })).collect())
    });
    if settings.has_join {
        let labels = label.product(LabelCounts::LABELS);
        flow.stage("join", move |plan| {
            let labels = plan.files(labels)?.into_iter().map(|(_, file)| file).collect();
            Ok(vec![("all".into(), JoinLabels { labels })])
        });
    }
    flow
}

fn add_count<const REVISION: u32>(
    flow: &mut Flow,
    numbers: Wire<Buckets<u64>>,
    settings: &Settings,
) -> Wire<Table<NumberCount>> {
    let min_times = settings.min_times;
    let forgotten = usize::from(settings.fault == Some(Fault::ForgottenBucket));
    let count = flow.stage("count", move |plan| {
        let buckets = plan.buckets(numbers, BUCKETS)?.into_iter().skip(forgotten);
        let task = |numbers: Bucket<u64>| (numbers.bucket.to_string(), CountNumbers::<REVISION> { numbers, min_times });
        Ok(buckets.map(task).collect())
    });
    count.product(CountNumbers::<REVISION>::COUNTS)
}

#[derive(Serialize, Deserialize)]
struct ReadNumbers {
    file: External,
    max_number: u64,
}

impl ReadNumbers {
    const NUMBERS: Product<ReadNumbers, Buckets<u64>> = Product::new("numbers", "work/{stage}/{name}.numbers");
}

impl Task for ReadNumbers {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut numbers = work.create_buckets(ReadNumbers::NUMBERS, BUCKETS)?;
        let mut source = work.source(&self.file)?;
        let mut text = String::new();
        source.read_to_string(&mut text)?;
        for line in text.lines() {
            let number: u64 = line.parse().map_err(|error| Error::Input(format!("{line}: {error}")))?;
            let is_kept = number <= self.max_number;
            work.counts.record((!is_kept).then_some(Reason::RecordTooLong));
            if is_kept {
                numbers.push((number % u64::from(BUCKETS)) as u32, &number)?;
            }
        }
        work.finish_source(source)?;
        numbers.finish()
    }
}

/// How often a number was read.
#[derive(Clone, Serialize, Deserialize)]
struct NumberCount {
    number: u64,
    times: u64,
}

#[derive(Serialize, Deserialize)]
struct CountNumbers<const REVISION: u32> {
    numbers: Bucket<u64>,
    min_times: u64,
}

impl<const REVISION: u32> CountNumbers<REVISION> {
    const COUNTS: Product<CountNumbers<REVISION>, Table<NumberCount>> = Product::new("counts", "counts/{name}.parquet");
}

impl<const REVISION: u32> Task for CountNumbers<REVISION> {
    const REVISION: u32 = REVISION;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let numbers: Vec<u64> = work.receive(&self.numbers)?.collect::<store::Result<_>>()?;
        let mut table = work.create_table(CountNumbers::<REVISION>::COUNTS)?;
        for equal in numbers.chunk_by(|a, b| a == b) {
            let count = NumberCount { number: equal[0], times: equal.len() as u64 };
            let is_kept = count.times >= self.min_times;
            work.counts.record((!is_kept).then_some(Reason::LowKarma));
            if is_kept {
                table.push(count)?;
            }
        }
        table.finish()
    }
}

#[derive(Serialize, Deserialize)]
struct LabelCounts {
    counts: Table<NumberCount>,
    prefix: String,
    fault: Option<Fault>,
}

impl LabelCounts {
    const LABELS: Product<LabelCounts, File> = Product::new("labels", "labels/{name}.txt");
}

impl Task for LabelCounts {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut labels = work.create_file(LabelCounts::LABELS)?;
        let unread = usize::from(self.fault == Some(Fault::UnreadRow));
        let rows: Vec<NumberCount> = work.lookup(&self.counts)?.collect::<store::Result<_>>()?;
        for row in work.table::<NumberCount, _>(&self.counts)?.take(rows.len().saturating_sub(unread)) {
            let NumberCount { number, times } = row?;
            writeln!(labels, "{} {number} × {times}", self.prefix)?;
            work.counts.keep();
        }
        work.counts.read += u64::from(self.fault == Some(Fault::Miscount));
        labels.finish()
    }
}

#[derive(Serialize, Deserialize)]
struct JoinLabels {
    labels: Vec<File>,
}

impl JoinLabels {
    const JOINED: Product<JoinLabels, File> = Product::new("joined", "joined/{name}.txt");
}

impl Task for JoinLabels {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut joined = work.create_file(JoinLabels::JOINED)?;
        for labels in &self.labels {
            std::io::copy(&mut work.file(labels)?, &mut joined)?;
        }
        joined.finish()
    }
}

// -- the folder

/// Everything in a run but leases, by key.
pub(super) type Objects = BTreeMap<String, Vec<u8>>;

/// A folder with inputs and a run of them.
pub(super) struct Lab {
    folder: TempDir,
    /// The recipe of the next build.
    pub(super) settings: Settings,
}

impl Lab {
    /// Three files of numbers, and no run yet. Each bucket gets numbers of one file or of two.
    pub(super) fn new() -> Lab {
        // In memory where that can be: the engine syncs after each write.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let lab = Lab { folder, settings: Settings::default() };
        fs::create_dir(lab.inputs()).unwrap();
        lab.write_input("a", &[0, 1, 4, 5]);
        lab.write_input("b", &[1, 2, 6]);
        lab.write_input("c", &[3, 2, 7]);
        lab
    }

    /// As [`Lab::new`], with a built run.
    pub(super) fn built() -> Lab {
        let lab = Lab::new();
        lab.check_build(ALL_TASKS);
        lab
    }

    pub(super) fn inputs(&self) -> PathBuf {
        self.folder.path().join("inputs")
    }

    pub(super) fn input(&self, name: &str) -> PathBuf {
        self.inputs().join(format!("{name}.txt"))
    }

    pub(super) fn write_input(&self, name: &str, numbers: &[u64]) {
        let lines: String = numbers.iter().map(|number| format!("{number}\n")).collect();
        fs::write(self.input(name), lines).unwrap();
    }

    /// The folder of the run.
    pub(super) fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The file with an object of the run.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.run_folder().join(key)
    }

    pub(super) fn store(&self) -> LocalStore {
        LocalStore::new(self.run_folder())
    }

    /// The run in a store that a test has made, with the current settings.
    pub(super) fn run_with(&self, store: impl Store + 'static, options: Options) -> Run {
        let recipe = toml::to_string(&self.settings).unwrap();
        Run::new(Arc::new(store), flow(self.inputs(), &self.settings), recipe, options)
    }

    pub(super) fn run_in(&self, store: impl Store + 'static) -> Run {
        self.run_with(store, Options::quiet())
    }

    pub(super) fn run(&self) -> Run {
        self.run_in(self.store())
    }

    /// Builds everything.
    pub(super) fn build(&self) -> Result<Summary> {
        self.run().build(&Selection::default())
    }

    /// Builds one stage.
    pub(super) fn build_stage(&self, stage: &str) {
        self.run().build(&Selection { stage: Some(stage.to_owned()), task: None }).unwrap();
    }

    /// Runs one task as a process of its own would.
    pub(super) fn build_task(&self, stage: &str, number: u32, of: u32) -> Result<Summary> {
        self.run().build(&one_task(stage, number, of))
    }

    /// Builds; exactly `tasks` must run, and all objects must be those of an undisturbed run.
    #[track_caller]
    pub(super) fn check_build(&self, tasks: &str) {
        self.check_tasks(tasks);
        self.check_undisturbed();
    }

    /// Builds; exactly `tasks` must run.
    #[track_caller]
    pub(super) fn check_tasks(&self, tasks: &str) {
        let watched = Watched::new(self.store());
        self.run_in(watched.clone()).build(&Selection::default()).unwrap();
        assert_eq!(watched.tasks_run().join(" "), tasks);
    }

    /// All objects must be those of an undisturbed run.
    #[track_caller]
    pub(super) fn check_undisturbed(&self) {
        let folder = self.folder.path().join("undisturbed");
        self.run_in(LocalStore::new(&folder)).build(&Selection::default()).unwrap();
        let undisturbed = objects(&LocalStore::new(&folder));
        fs::remove_dir_all(&folder).unwrap();
        assert_same(&self.objects(), &undisturbed);
    }

    pub(super) fn objects(&self) -> Objects {
        objects(&self.store())
    }

    /// Rewrites all leases to processes that are gone, as after a kill.
    pub(super) fn end_holders(&self) {
        for listed in self.store().list("lease").unwrap() {
            let path = self.path(&listed.key);
            let mut lease: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            lease["holder"]["started"] = 0.into();
            fs::write(&path, lease.to_string()).unwrap();
        }
    }
}

/// The selection of one task.
pub(super) fn one_task(stage: &str, number: u32, of: u32) -> Selection {
    Selection { stage: Some(stage.to_owned()), task: Some(TaskChoice::Numbered { number, of }) }
}

fn objects(store: &LocalStore) -> Objects {
    let keys = store.list("").unwrap().into_iter().map(|listed| listed.key);
    let of_run = keys.filter(|key| !key.starts_with("lease/"));
    of_run.map(|key| (key.clone(), store.get(&key).unwrap().expect("was listed").0)).collect()
}

/// Compares all objects of two runs.
#[track_caller]
pub(super) fn assert_same(found: &Objects, expected: &Objects) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, bytes) in found {
        let (found, expected) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&expected[key]));
        assert_eq!(found, expected, "{key}");
    }
}

/// The files of a folder, sorted.
fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
