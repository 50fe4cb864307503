//! A flow in a store: where plans, manifests and seals are, and how they are read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use store::catalogue::Catalogue;
use store::lease::Lease;
use store::numbers::{NumbersReader, NumbersRow};
use store::table::TableReader;
use store::{Condition, Store};

use super::executor::Executor;
use super::flow::{Flow, PlannedTask, Table, Wire};
use super::plan::Plan;
use super::report::{Manifest, Output, Seal, TaskReport};
use crate::error::{Error, OrBug as _, Result};

/// Becomes true when the user asks to stop.
pub type Stop = Arc<AtomicBool>;

/// Receives the progress of a build. Messages that matter afterwards are `tracing` events instead.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A stage begins, with this many tasks to run.
    fn stage_begins(&self, _stage: &str, _tasks: u64) {}
    /// A task is done.
    fn task_ends(&self) {}
    /// What a long task is doing right now.
    fn task_does(&self, _what: &str) {}
    /// The build has ended.
    fn build_ends(&self) {}
}

/// An observer that does nothing.
#[derive(Debug)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// How a run executes; nothing here changes a byte of its outputs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Tasks that run in parallel.
    pub threads: usize,
    /// Memory of one sort, in bytes.
    pub sort_memory_bytes: usize,
    /// Where tasks run; `None` for the threads of this process.
    pub executor: Option<Arc<dyn Executor>>,
    /// Receives the progress.
    pub observer: Arc<dyn Observer>,
    /// Ends the run between tasks.
    pub stop: Stop,
}

impl Options {
    /// One thread, no observer, no stop.
    pub fn quiet() -> Options {
        Options {
            threads: 1,
            sort_memory_bytes: 256 << 20,
            executor: None,
            observer: Arc::new(Unobserved),
            stop: Arc::default(),
        }
    }

    /// The same with other parallel tasks.
    pub fn with_threads(self, threads: usize) -> Options {
        Options { threads, ..self }
    }

    /// The same with another memory of one sort.
    pub fn with_sort_memory_bytes(self, sort_memory_bytes: usize) -> Options {
        Options { sort_memory_bytes, ..self }
    }

    /// The same with someone else to do the tasks.
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Options {
        Options { executor: Some(executor), ..self }
    }

    /// The same, observed.
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Options {
        Options { observer, ..self }
    }

    /// The same, ended by another stop.
    pub fn with_stop(self, stop: Stop) -> Options {
        Options { stop, ..self }
    }
}

/// A flow, its recipe, and the store that holds everything made from them.
pub struct Run {
    store: Arc<dyn Store>,
    flow: Flow,
    recipe: String,
    options: Options,
    /// Keeps other processes from building this run; held during a build.
    pub(super) lease: Mutex<Option<Lease>>,
    /// Whether waiting for another machine was logged.
    pub(super) has_logged_waiting: AtomicBool,
}

/// The recipe by which the existing data was made.
pub(crate) const RECIPE: &str = "recipe.toml";

impl Run {
    /// A run in `store`; nothing is written yet. `recipe` is the recipe as text, with every default spelled out.
    pub fn new(store: Arc<dyn Store>, flow: Flow, recipe: String, options: Options) -> Run {
        Run { store, flow, recipe, options, lease: Mutex::default(), has_logged_waiting: AtomicBool::default() }
    }

    /// The store that holds the run.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn shared_store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Its stages.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Where tasks run; `None` for the threads of this process.
    pub fn executor(&self) -> Option<&dyn Executor> {
        self.options.executor.as_deref()
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.options.observer
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed) || self.is_lease_lost()
    }

    /// Whether another process has taken over this build.
    pub(super) fn is_lease_lost(&self) -> bool {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Lease::is_lost)
    }

    // -- the recipe

    /// The recipe as text.
    pub fn recipe_text(&self) -> &str {
        &self.recipe
    }

    /// The digest of the recipe.
    pub(super) fn recipe_digest(&self) -> String {
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(self.recipe.as_bytes()))
    }

    /// The recipe by which the existing data was made; `None` in a new run.
    pub(super) fn recipe_there(&self) -> Result<Option<String>> {
        self.text(RECIPE)
    }

    /// Stores this recipe as the one by which the data is made.
    pub(super) fn keep_recipe(&self) -> Result<()> {
        if self.recipe_there()?.as_deref() != Some(self.recipe.as_str()) {
            self.store.put(RECIPE, self.recipe.as_bytes(), Condition::Always)?;
        }
        Ok(())
    }

    // -- plans, manifests, seals

    pub(super) fn key(stage: &str, name: &str) -> String {
        format!("tasks/{stage}/{name}")
    }

    pub(super) fn manifest_key(stage: &str, task: &str) -> String {
        Run::key(stage, &format!("{task}.json"))
    }

    /// The plan of a stage that was made last; `None` if there is none. A damaged one is logged and ignored.
    pub(super) fn plan_there(&self, stage: usize) -> Result<Option<Catalogue<Plan, PlannedTask>>> {
        let name = &self.flow.stages()[stage].name;
        self.unless_damaged(Catalogue::open(self.store(), &Run::key(name, "plan")))
    }

    /// The value, unless it is damaged: that is logged, and treated as absent.
    pub(super) fn unless_damaged<T>(&self, found: store::Result<Option<T>>) -> Result<Option<T>> {
        match found {
            Err(error @ store::Error::Damaged { .. }) => {
                tracing::warn!("{error}; it is made again");
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// The seal of a stage; `None` if there is none. A damaged one is logged and ignored: it is made again from the
    /// manifests.
    pub(super) fn seal_there(&self, stage: usize) -> Result<Option<Catalogue<Seal, TaskReport>>> {
        let stage = &self.flow.stages()[stage];
        let seal = Catalogue::<Seal, TaskReport>::open(self.store(), &Run::key(&stage.name, "seal"));
        Ok(self.unless_damaged(seal)?.filter(|seal| seal.header().revision == stage.revision))
    }

    /// The seal of a stage that must have one.
    pub(super) fn seal_of(&self, stage: usize) -> Result<Catalogue<Seal, TaskReport>> {
        let name = &self.flow.stages()[stage].name;
        self.seal_there(stage)?.ok_or_else(|| Error::NotDone(name.clone()))
    }

    /// The manifest of a task; `None` when there is none, or it is no manifest of this stage (the task then runs again).
    pub(super) fn manifest(&self, stage: &str, task: &str) -> Result<Option<Manifest>> {
        let found = self.store.get(&Run::manifest_key(stage, task))?;
        Ok(found.and_then(|(bytes, _)| serde_json::from_slice::<Manifest>(&bytes).ok()))
    }

    // -- products

    /// The outputs of a product, with the names of their tasks.
    pub(super) fn outputs(&self, stage: usize, product: &str) -> Result<Vec<(String, Output)>> {
        let seal = self.seal_of(stage)?;
        let mut outputs = Vec::new();
        for report in seal.entries()? {
            let report = report?;
            let of_product = report.outputs.into_iter().filter(|output| output.product == product);
            outputs.extend(of_product.map(|output| (report.name.clone(), output)));
        }
        Ok(outputs)
    }

    /// The outputs of `stage/product`.
    pub(super) fn outputs_from(&self, from: &str) -> Result<Vec<Output>> {
        let (stage, product) =
            from.rsplit_once('/').or_bug(|| format!("the handle {from} names no stage and product"))?;
        let stage = self.flow.stages().iter().position(|known| known.name == stage);
        let stage = stage.or_bug(|| format!("{from} is of a stage that this recipe does not have"))?;
        Ok(self.outputs(stage, product)?.into_iter().map(|(_, output)| output).collect())
    }

    /// The tables of a product, with the names of their tasks.
    pub fn tables<R>(&self, wire: Wire<Table<R>>) -> Result<Vec<(String, Table<R>)>> {
        let from = format!("{}/{}", self.flow.stages()[wire.stage].name, wire.product);
        let table = |output: Output| Table {
            from: from.clone(),
            key: output.key,
            checksum: output.checksum,
            row: std::marker::PhantomData,
        };
        let outputs = self.outputs(wire.stage, wire.product)?.into_iter();
        Ok(outputs.map(|(task, output)| (task, table(output))).collect())
    }

    /// Opens a table, by the columns of `R`.
    pub fn open_table<R, S>(&self, table: &Table<S>) -> Result<TableReader<R>>
    where
        R: Serialize + DeserializeOwned,
    {
        Ok(TableReader::new(self.store.open(&table.key)?, self.store.shown(&table.key))?)
    }

    /// Opens a table of numbers.
    pub fn open_numbers(&self, table: &Table<NumbersRow>) -> Result<NumbersReader> {
        Ok(NumbersReader::new(self.store.open(&table.key)?, self.store.shown(&table.key))?)
    }

    /// A small text among the run's files; `None` when there is none.
    pub fn text(&self, key: &str) -> Result<Option<String>> {
        Ok(self.store.get(key)?.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Whether the stage of a product is sealed.
    pub fn has<K>(&self, wire: Wire<K>) -> bool {
        matches!(self.seal_there(wire.stage), Ok(Some(_)))
    }

    /// The lengths of all objects whose keys begin as those of these outputs do, by key.
    pub(super) fn listing<'o>(
        &self,
        outputs: impl Iterator<Item = &'o Output>,
        listed: &mut BTreeMap<String, BTreeMap<String, u64>>,
    ) -> Result<()> {
        for output in outputs {
            let folder = output.key.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !listed.contains_key(folder) {
                let objects = self.store.list(folder)?;
                let lengths = objects.into_iter().map(|object| (object.key, object.len_bytes)).collect();
                listed.insert(folder.to_owned(), lengths);
            }
        }
        Ok(())
    }
}

/// The key of the first output that a listing lacks or shows with another length.
pub(super) fn lost<'o>(
    outputs: &'o [Output],
    listed: &BTreeMap<String, BTreeMap<String, u64>>,
    may_be_pruned: bool,
) -> Option<&'o str> {
    let is_there = |output: &&Output| {
        let folder = output.key.rsplit_once('/').map_or("", |(folder, _)| folder);
        let length = listed.get(folder).and_then(|lengths| lengths.get(&output.key));
        length == Some(&output.len_bytes) || (may_be_pruned && is_work(&output.key))
    };
    outputs.iter().find(|output| !is_there(output)).map(|output| output.key.as_str())
}

/// Whether only later stages use an object.
pub(super) fn is_work(key: &str) -> bool {
    key.starts_with("work/")
}
