#![doc = include_str!("../README.md")]

use std::path::Path;

pub mod engine;
mod error;
pub mod executors;
pub mod recipe;
pub mod stages;

use crate::engine::RECIPE;
use crate::error::{Within as _, ensure};
pub use engine::{Observer, Options, Run, Selection, StageState, StageStatus, Stop, Summary, Totals, Unobserved};
pub use error::{Error, Result};
pub use recipe::Recipe;
pub use stages::Products;

/// A run of a recipe in a folder.
pub struct RecipeRun {
    /// The recipe.
    pub recipe: Recipe,
    /// The tables that commands read.
    pub products: Products,
    /// The run itself.
    pub run: Run,
}

impl RecipeRun {
    /// A run in a folder, or below the URL of a bucket (`s3://bucket/prefix`); nothing is written yet.
    ///
    /// # Errors
    /// When the recipe cannot be written as text.
    pub fn new(folder: &Path, recipe: Recipe, mut options: Options) -> Result<RecipeRun> {
        let (flow, products) = stages::of(&recipe)?;
        options.sort_memory_bytes = recipe.limits.max_sort_memory_mib << 20;
        let names = flow.names();
        for stage in recipe.executor.stages.keys().filter(|stage| !names.contains(&stage.as_str())) {
            tracing::warn!("[executor.stages] {stage:?} is no stage of this recipe, which has {}", names.join(", "));
        }
        if options.executor.is_none() {
            options.executor = executors::of(&recipe.executor, folder)?;
        }
        let run = Run::new(store::open(folder)?, flow, recipe.to_toml()?, options);
        Ok(RecipeRun { recipe, products, run })
    }

    /// Opens an existing run by the recipe in its folder. Nothing outside the folder is read.
    ///
    /// # Errors
    /// When the folder holds no recipe, or one of another version that cannot be read.
    pub fn open(folder: &Path) -> Result<RecipeRun> {
        let store = store::open(folder)?;
        let recipe = store.get(RECIPE)?;
        let shown = folder.display();
        ensure!(recipe.is_some(), Input, "{shown} is not the folder of a run: it has no {RECIPE}");
        let text = recipe.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let recipe = Recipe::parse(&text, &[]).within(|| format!("in {}", store.shown(RECIPE)))?;
        RecipeRun::new(folder, recipe, Options::quiet())
    }
}
