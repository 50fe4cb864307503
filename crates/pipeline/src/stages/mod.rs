//! The stages, in the order in which records flow. One file a part of the path.

mod dedup;
mod documents;
mod fetch;
mod links;
mod model;
mod pages;
mod shards;
mod tokenizer;
mod tokens;

use std::path::PathBuf;

use ::crate::manifest::FileRecord;

use crate::engine::{Run, Stage};
use crate::recipe::{PageSource, Recipe};

pub use tokens::TokenRow;

/// The stages of a recipe.
pub(crate) fn of(recipe: &Recipe) -> Vec<Box<dyn Stage>> {
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    if recipe.links.is_some() {
        stages.push(Box::new(links::Read));
        stages.push(Box::new(links::Merge));
    }
    match recipe.pages.from {
        PageSource::Fetch => stages.push(Box::new(fetch::Fetch)),
        PageSource::Warc | PageSource::Html => {
            if recipe.pages.from == PageSource::Html {
                stages.push(Box::new(pages::Pack));
            }
            stages.push(Box::new(pages::Index));
            stages.push(Box::new(pages::Match));
        }
    }
    stages.push(Box::new(documents::Documents));
    stages.push(Box::new(dedup::Pairs));
    if recipe.dedup.near.is_some() {
        stages.push(Box::new(dedup::Shingles));
        stages.push(Box::new(dedup::Verify));
    }
    stages.push(Box::new(dedup::Cluster));
    stages.push(Box::new(shards::Scatter));
    stages.push(Box::new(shards::Write));
    if recipe.tokenizer.train.is_some() {
        stages.push(Box::new(tokenizer::Count));
    }
    stages.push(Box::new(tokenizer::Make));
    stages.push(Box::new(tokens::Encode));
    stages.push(Box::new(tokens::Join));
    if recipe.model.is_some() {
        stages.push(Box::new(model::Train));
    }
    stages
}

/// The full paths of files that the run wrote.
fn paths(run: &Run, files: &[FileRecord]) -> Vec<PathBuf> {
    files.iter().map(|file| run.folder().join(&file.path)).collect()
}

/// Bytes of memory for one sort.
fn sort_memory(run: &Run) -> usize {
    run.recipe().limits.sort_memory_mib << 20
}
