//! Stages, the products that they pass to each other, and their tasks.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::plan::Planner;
use super::work::Work;
use crate::error::Result;

/// One task of a stage, as data.
///
/// What a task serialises to is everything that its outputs depend on. The engine compares it to decide whether the
/// task is done, and calls [`Task::run`] on what it has deserialised again, so no other setting can take effect.
pub trait Task: Serialize + DeserializeOwned + 'static {
    /// Raised when the same task writes other bytes than before.
    const REVISION: u32;

    /// Reads the inputs, writes outputs, counts.
    fn run(&self, work: &mut Work<'_>) -> Result<()>;

    /// Minimum number of bytes that the outputs take, if it is known before the task runs; else 0.
    fn min_output_bytes(&self) -> u64 {
        0
    }
}

/// The stages of a run in the order in which records flow.
#[derive(Default)]
pub struct Flow {
    stages: Vec<Stage>,
    data_set: Option<usize>,
}

type PlanTasks = Box<dyn Fn(&Planner<'_>) -> Result<Vec<PlannedTask>> + Send + Sync>;

/// A stage: an array of tasks that can be planned once the stages that it reads are sealed.
pub(crate) struct Stage {
    pub(crate) name: String,
    /// Distinguishes the products of this stage from those of another with the same tasks: `-2` for a second source.
    pub(crate) suffix: String,
    pub(crate) revision: u32,
    pub(crate) plan: PlanTasks,
    pub(crate) run: fn(&Value, &mut Work<'_>) -> Result<()>,
    pub(crate) min_output_bytes: fn(&Value) -> u64,
}

/// A task with its name, which does not depend on the other tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Part of the names of its files.
    pub name: String,
    /// The task itself.
    pub task: Value,
}

impl PlannedTask {
    /// Identifies the task in its stage: 32 hexadecimal digits. Members whose names begin with `@` say where an input
    /// is, not what it contains: they may change with other tasks, and are left out.
    pub(crate) fn digest(&self, revision: u32) -> String {
        let mut task = self.task.clone();
        remove_places(&mut task);
        format!("{:032x}", xxh3_128(format!("{revision} {task}").as_bytes()))
    }
}

fn remove_places(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.starts_with('@'));
            members.values_mut().for_each(remove_places);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_places),
        _ => {}
    }
}

impl Flow {
    /// Adds a stage. `plan` gives its tasks by name, in the order of their numbers. It may ask the planner for products
    /// of stages added before, and for nothing else of the run.
    pub fn stage<T: Task>(
        &mut self,
        name: &str,
        plan: impl Fn(&Planner<'_>) -> Result<Vec<(String, T)>> + Send + Sync + 'static,
    ) -> StageRef<T> {
        self.stage_of_source(name, 0, plan)
    }

    /// As [`Flow::stage`], for the source of pages with this number, counted from 0.
    pub fn stage_of_source<T: Task>(
        &mut self,
        name: &str,
        source: usize,
        plan: impl Fn(&Planner<'_>) -> Result<Vec<(String, T)>> + Send + Sync + 'static,
    ) -> StageRef<T> {
        let suffix = if source == 0 { String::new() } else { format!("-{}", source + 1) };
        let plan = move |planner: &Planner<'_>| {
            let named = plan(planner)?.into_iter();
            let planned = named.map(|(name, task)| Ok(PlannedTask { name, task: serde_json::to_value(task)? }));
            planned.collect()
        };
        self.stages.push(Stage {
            name: format!("{name}{suffix}"),
            suffix,
            revision: T::REVISION,
            plan: Box::new(plan),
            run: |task, work| T::deserialize(task)?.run(work),
            min_output_bytes: |task| T::deserialize(task).map_or(0, |task| task.min_output_bytes()),
        });
        StageRef { number: self.stages.len() - 1, task: PhantomData }
    }

    /// Marks the stage that decides which documents are in the data set. A build ends behind it if it keeps none of them
    /// where an earlier build kept some, unless the recipe has changed: what was made of these stays.
    pub fn begin_data_set<T: Task>(&mut self, stage: StageRef<T>) {
        self.data_set = Some(stage.number);
    }

    /// The number of that stage.
    pub(crate) fn data_set(&self) -> Option<usize> {
        self.data_set
    }

    pub(crate) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The names of the stages, in order.
    pub fn names(&self) -> Vec<&str> {
        self.stages.iter().map(|stage| stage.name.as_str()).collect()
    }
}

/// A stage of a flow, and the type of its tasks.
pub struct StageRef<T> {
    number: usize,
    task: PhantomData<fn() -> T>,
}

impl<T> Clone for StageRef<T> {
    fn clone(&self) -> StageRef<T> {
        *self
    }
}
impl<T> Copy for StageRef<T> {}

impl<T> StageRef<T> {
    /// One of the stage's products, to be read by other stages.
    pub fn product<K>(self, product: Product<T, K>) -> Wire<K> {
        Wire { stage: self.number, product: product.name, kind: PhantomData }
    }
}

/// A kind of object that tasks of type `T` write: [`Table`], [`Buckets`] or [`File`].
pub struct Product<T, K> {
    pub(crate) name: &'static str,
    /// Pattern of its objects' keys: `{stage}`, `{suffix}` and `{name}` stand for the stage, the source's suffix, and
    /// the task's name or another name that the task gives.
    pub(crate) key: &'static str,
    types: PhantomData<fn() -> (T, K)>,
}

impl<T, K> Clone for Product<T, K> {
    fn clone(&self) -> Product<T, K> {
        *self
    }
}
impl<T, K> Copy for Product<T, K> {}

impl<T, K> Product<T, K> {
    /// A product whose objects have keys of this pattern.
    pub const fn new(name: &'static str, key: &'static str) -> Product<T, K> {
        Product { name, key, types: PhantomData }
    }
}

/// A product of a certain stage, for the planners of stages that read it.
pub struct Wire<K> {
    pub(crate) stage: usize,
    pub(crate) product: &'static str,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Wire<K> {
    fn clone(&self) -> Wire<K> {
        *self
    }
}
impl<K> Copy for Wire<K> {}

/// Declares a handle on an object: plain data with a row type that takes no space.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$row:ident> { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize)]
        #[serde(bound = "")]
        pub struct $name<$row> {
            $($(#[$field_meta])* pub $field: $type,)*
            #[serde(skip)]
            pub(crate) row: PhantomData<fn() -> $row>,
        }

        impl<$row> Clone for $name<$row> {
            fn clone(&self) -> Self {
                $name { $($field: self.$field.clone(),)* row: PhantomData }
            }
        }

        impl<$row> std::fmt::Debug for $name<$row> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish()
            }
        }
    };
}

handle! {
    /// A table that one task wrote. A task that reads it depends on its bytes.
    Table<Row> {
        /// Stage and product.
        from: String,
        /// The object's key.
        key: String,
        /// XXH3 of its bytes.
        checksum: String,
    }
}

handle! {
    /// One bucket of all the bucket files of a stage. A task that reads it depends only on that bucket's rows.
    Bucket<Row> {
        /// Stage and product.
        from: String,
        /// The bucket's number.
        bucket: u32,
        /// Digest of its rows.
        digest: String,
    }
}

handle! {
    /// One bucket of the file of one task.
    BucketOfTask<Row> {
        /// Stage and product.
        from: String,
        /// The object's key.
        #[serde(rename = "@key")]
        key: String,
        /// The bucket's number.
        #[serde(rename = "@bucket")]
        bucket: u32,
        /// Digest of its rows.
        digest: String,
    }
}

impl<R> BucketOfTask<R> {
    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.digest.bytes().all(|digit| digit == b'0')
    }
}

/// The kind of a product whose rows are routed into buckets.
pub struct Buckets<Row>(PhantomData<fn() -> Row>);

/// Any other file that a task wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The object's key.
    pub key: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3 of its bytes.
    pub checksum: String,
}
