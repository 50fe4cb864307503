//! Stages, what they hand to each other, and the tasks that they are arrays of.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::plan::Planner;
use super::work::Work;
use crate::error::Result;

/// One cell of a stage's array, as data.
///
/// What a task serialises to is everything that its outputs depend on: the engine compares it to decide whether a
/// task is done, and hands [`Task::run`] what it read back from it. There is no other way for a setting to get in.
pub trait Task: Serialize + DeserializeOwned + 'static {
    /// Raised when the same task leads to other bytes than before.
    const REVISION: u32;

    /// Reads the inputs, writes outputs, counts.
    fn run(&self, work: &mut Work<'_>) -> Result<()>;

    /// Bytes that the outputs take at least, where that is known before.
    fn min_output_bytes(&self) -> u64 {
        0
    }
}

/// The stages of a run in the order in which records flow.
#[derive(Default)]
pub struct Flow {
    stages: Vec<Stage>,
}

type PlanTasks = Box<dyn Fn(&Planner<'_>) -> Result<Vec<PlannedTask>> + Send + Sync>;

/// A step: an array of tasks that can be planned once the stages that it reads are sealed.
pub(crate) struct Stage {
    pub(crate) name: String,
    /// What tells the products of this stage from those of another with the same tasks: `-2` for a second source.
    pub(crate) suffix: String,
    pub(crate) revision: u32,
    pub(crate) plan: PlanTasks,
    pub(crate) run: fn(&Value, &mut Work<'_>) -> Result<()>,
    pub(crate) min_output_bytes: fn(&Value) -> u64,
}

/// A task with the name that it keeps whatever other tasks there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Part of the names of its files.
    pub name: String,
    /// The task itself.
    pub task: Value,
}

impl PlannedTask {
    /// What tells this task from any other of its stage: 32 hexadecimal digits. Members whose names begin with `@` say
    /// where an input lies and not what it is: they may change with other tasks, and are left out.
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
    /// Adds a stage. `plan` gives its tasks by name, in the order of their numbers; it may ask the planner for products
    /// of the stages added before, and for nothing else of the run.
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
    /// One of the stage's products, for stages that read it.
    pub fn product<K>(self, product: Product<T, K>) -> Wire<K> {
        Wire { stage: self.number, product: product.name, kind: PhantomData }
    }
}

/// Something that tasks of type `T` make, and of which kind: [`Table`], [`Buckets`] or [`File`].
pub struct Product<T, K> {
    pub(crate) name: &'static str,
    /// The key of its object: `{stage}`, `{suffix}` and `{name}` stand for the stage, the source's suffix, and the
    /// task's name or another that the task gives.
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
    /// A product whose objects have keys of this form.
    pub const fn new(name: &'static str, key: &'static str) -> Product<T, K> {
        Product { name, key, types: PhantomData }
    }
}

/// A product of a stage on its way to another.
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

/// Declares a handle on an object: plain data beside a type that takes no space.
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
    /// A table that one task wrote. Who reads it depends on its bytes.
    Table<Row> {
        /// The stage and the product that it is of.
        from: String,
        /// The object's key.
        key: String,
        /// XXH3 of its bytes.
        checksum: String,
    }
}

handle! {
    /// One bucket out of all the bucket files of a stage. Who reads it depends on that bucket's rows alone.
    Bucket<Row> {
        /// The stage and the product that it is of.
        from: String,
        /// The bucket's number.
        bucket: u32,
        /// What its rows are known by.
        digest: String,
    }
}

handle! {
    /// One bucket of the file of one task.
    BucketOfTask<Row> {
        /// The stage and the product that it is of.
        from: String,
        /// The object's key.
        #[serde(rename = "@key")]
        key: String,
        /// The bucket's number.
        #[serde(rename = "@bucket")]
        bucket: u32,
        /// What its rows are known by.
        digest: String,
    }
}

impl<R> BucketOfTask<R> {
    /// Whether it has no row.
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
