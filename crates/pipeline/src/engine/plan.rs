//! Plans: the tasks of a stage, made from the seals of the stages that it reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::flow::{Bucket, BucketOfTask, Buckets, File, PlannedTask, StageRef, Table, Wire};
use super::report::{Digests, Output, TaskReport};
use super::run::Run;
use crate::error::{Result, ensure};

/// The header of a plan; its entries are the [`PlannedTask`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The stage.
    pub stage: String,
    /// Digest of all tasks.
    pub digest: String,
    /// Digest of the recipe for which the plan was made.
    pub recipe: String,
    /// The stages that this one reads, and the checksums of their seals.
    pub upstream: BTreeMap<String, String>,
}

/// The digest of the tasks of a stage.
pub(crate) fn digest_of(tasks: &[PlannedTask], revision: u32) -> String {
    let mut hasher = Xxh3::new();
    for task in tasks {
        hasher.update(task.name.as_bytes());
        hasher.update(&[0]);
        hasher.update(task.digest(revision).as_bytes());
    }
    format!("{:032x}", hasher.digest128())
}

/// The name of a task, and the tables that two stages wrote under it.
pub type TablePair<A, B> = (String, Table<A>, Table<B>);

/// The products of earlier stages, for a stage that plans its tasks.
pub struct Planner<'a> {
    run: &'a Run,
    upstream: RefCell<BTreeSet<usize>>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(run: &'a Run) -> Planner<'a> {
        Planner { run, upstream: RefCell::default() }
    }

    /// The stages whose products were asked for.
    pub(crate) fn upstream(self) -> BTreeSet<usize> {
        self.upstream.into_inner()
    }

    /// The tables that a stage wrote, with the names of their tasks.
    pub fn tables<R>(&self, wire: Wire<Table<R>>) -> Result<Vec<(String, Table<R>)>> {
        self.upstream.borrow_mut().insert(wire.stage);
        self.run.tables(wire)
    }

    /// The tables of two stages that have the same tasks.
    pub fn pairs<A, B>(&self, a: Wire<Table<A>>, b: Wire<Table<B>>) -> Result<Vec<TablePair<A, B>>> {
        let (a, b) = (self.tables(a)?, self.tables(b)?);
        let names = |(one, other): (&String, &String)| one == other;
        let are_equal =
            a.len() == b.len() && a.iter().map(|(name, _)| name).zip(b.iter().map(|(name, _)| name)).all(names);
        ensure!(are_equal, Bug, "two stages that go together have other tasks");
        Ok(a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a, b)).collect())
    }

    /// The files that a stage wrote, with the names of their tasks.
    pub fn files(&self, wire: Wire<File>) -> Result<Vec<(String, File)>> {
        let outputs = self.outputs(wire.stage, wire.product)?.into_iter();
        let file = |output: Output| File { key: output.key, len_bytes: output.len_bytes, checksum: output.checksum };
        Ok(outputs.map(|(task, output)| (task, file(output))).collect())
    }

    /// The buckets `0..count` of a stage, each over all its tasks.
    pub fn buckets<R>(&self, wire: Wire<Buckets<R>>, count: u32) -> Result<Vec<Bucket<R>>> {
        self.upstream.borrow_mut().insert(wire.stage);
        let seal = self.run.seal_of(wire.stage)?;
        let digests = seal.header().digests.get(wire.product).map_or(&[][..], |Digests(digests)| digests);
        let there = user_error::count(digests.len() as u64, "bucket");
        ensure!(digests.len() <= count as usize, Input, "{} has {there}, not {count}", wire.product);
        let from = self.from(wire.stage, wire.product);
        let bucket = |bucket: u32| Bucket {
            from: from.clone(),
            bucket,
            digest: format!("{:016x}", digests.get(bucket as usize).copied().unwrap_or(0)),
            row: std::marker::PhantomData,
        };
        Ok((0..count).map(bucket).collect())
    }

    /// The buckets of each task of a stage, with the tasks' names.
    pub fn buckets_of_tasks<R>(&self, wire: Wire<Buckets<R>>) -> Result<Vec<(String, Vec<BucketOfTask<R>>)>> {
        let from = self.from(wire.stage, wire.product);
        let outputs = self.outputs(wire.stage, wire.product)?.into_iter();
        let buckets = |output: Output| {
            let Digests(digests) = output.digests.unwrap_or(Digests(Vec::new()));
            let bucket = |(bucket, digest): (usize, u64)| BucketOfTask {
                from: from.clone(),
                key: output.key.clone(),
                bucket: bucket as u32,
                digest: format!("{digest:016x}"),
                row: std::marker::PhantomData,
            };
            digests.into_iter().enumerate().map(bucket).collect()
        };
        Ok(outputs.map(|(task, output)| (task, buckets(output))).collect())
    }

    /// The tasks of a stage with their reports.
    pub fn reports<T>(&self, stage: StageRef<T>) -> Result<Vec<TaskReport>> {
        let wire = stage.product(super::flow::Product::<T, File>::new("", ""));
        self.upstream.borrow_mut().insert(wire.stage);
        Ok(self.run.seal_of(wire.stage)?.entries()?.collect::<store::Result<_>>()?)
    }

    fn outputs(&self, stage: usize, product: &str) -> Result<Vec<(String, Output)>> {
        self.upstream.borrow_mut().insert(stage);
        self.run.outputs(stage, product)
    }

    fn from(&self, stage: usize, product: &str) -> String {
        format!("{}/{product}", self.run.flow().stages()[stage].name)
    }
}

/// Cuts items, in their order, into runs that stay the same when other items are added or removed. A run begins at an
/// item whose name has a hash divisible by `mean_items`, or at one with which the bytes would exceed `max_bytes`.
pub fn stable_runs<T>(
    items: Vec<T>,
    mean_items: u64,
    max_bytes: u64,
    name_and_bytes: impl Fn(&T) -> (&str, u64),
) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut run_bytes = 0u64;
    for item in items {
        let (name, bytes) = name_and_bytes(&item);
        let begins = xxh3_64(name.as_bytes()).is_multiple_of(mean_items);
        if runs.is_empty() || begins || run_bytes.saturating_add(bytes) > max_bytes {
            runs.push(Vec::new());
            run_bytes = 0;
        }
        run_bytes += bytes;
        runs.last_mut().expect("one was pushed").push(item);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_stable() {
        let items: Vec<String> = (0..1000).map(|n| format!("crawl/{n:05}.warc.gz")).collect();
        let cut = |items: &[String]| stable_runs(items.to_vec(), 16, 1 << 20, |name| (name, 1000));
        let whole = cut(&items);
        assert!((30..120).contains(&whole.len()), "{}", whole.len());
        let without: Vec<String> = items.iter().filter(|name| !name.contains("00500")).cloned().collect();
        let changed = cut(&without).iter().filter(|run| !whole.contains(run)).count();
        assert!(changed <= 2, "{changed} runs changed");
        // Large items are alone.
        assert!(stable_runs(items, 16, 100, |name| (name, 1000)).iter().all(|run| run.len() == 1));
    }
}
