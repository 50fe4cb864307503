//! What documents and evaluation sets have in common, of a run or of files.
//!
//! `overlap.count` (a task per documents file) counts the n-grams that the file and each set have, as the GPT-2 paper does
//! (section 4), and the documents that hold each n-gram of an item; `overlap.sets` (one task) adds them up;
//! `overlap.remove` (a task per documents file) removes what documents and items have in common, unless so many documents
//! hold it that it is a quotation.

mod count;
mod remove;
mod sets;

use records::{EditedText, OverlapMatch, OverlapSet};

use super::cut::InputFiles;
use crate::engine::{External, Flow, Table, Wire};
use crate::error::Result;
use crate::recipe::Overlap;
use crate::stages::only_task;
use count::{CountOverlap, JoinCounts};
use remove::RemoveItems;

/// The products that other stages and commands read.
#[derive(Clone, Copy)]
pub(in crate::stages) struct OverlapTables {
    /// What each set and the documents have in common.
    pub(in crate::stages) sets: Wire<Table<OverlapSet>>,
    /// What was removed, if anything is.
    pub(in crate::stages) removed: Option<RemovedTables>,
}

/// The products of removal.
#[derive(Clone, Copy)]
pub(in crate::stages) struct RemovedTables {
    /// The texts of which something was removed; empty where the document was dropped.
    pub(in crate::stages) edited: Wire<Table<EditedText>>,
    /// The items that were met.
    pub(in crate::stages) matches: Wire<Table<OverlapMatch>>,
}

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, settings: &Overlap, input: &InputFiles) -> OverlapTables {
    let (of_count, rule) = (input.clone(), settings.clone());
    let count = flow.stage("overlap.count", move |plan| {
        let sets = sets_of(&rule)?;
        let remove_ngram_words = rule.remove.map(|_| rule.remove_ngram_words);
        let task = |(name, input)| {
            (name, CountOverlap { input, sets: sets.clone(), ngram_words: rule.ngram_words, remove_ngram_words })
        };
        Ok(of_count.plan(plan)?.into_iter().map(task).collect())
    });
    let (found, shares) = (count.product(CountOverlap::FOUND), count.product(CountOverlap::SHARES));
    let documents = count.product(CountOverlap::DOCUMENTS);
    let rule = settings.clone();
    let join = flow.stage("overlap.sets", move |plan| {
        let found = super::only_bucket(plan, found)?;
        let shares = super::only_bucket(plan, shares)?;
        let documents = super::only_bucket(plan, documents)?;
        Ok(only_task(JoinCounts { sets: sets_of(&rule)?, ngram_words: rule.ngram_words, found, shares, documents }))
    });
    let documents = join.product(JoinCounts::DOCUMENTS);
    let removed = settings.remove.map(|remove| {
        let (input, rule) = (input.clone(), settings.clone());
        let stage = flow.stage("overlap.remove", move |plan| {
            let (sets, documents) = (sets_of(&rule)?, super::only_bucket(plan, documents)?);
            let (ngram_words, max_documents) = (rule.remove_ngram_words, rule.max_documents);
            let task = |(name, input)| {
                let (sets, documents) = (sets.clone(), documents.clone());
                (name, RemoveItems { input, sets, documents, remove, ngram_words, max_documents })
            };
            Ok(input.plan(plan)?.into_iter().map(task).collect())
        });
        RemovedTables { edited: stage.product(RemoveItems::EDITED), matches: stage.product(RemoveItems::MATCHES) }
    });
    OverlapTables { sets: join.product(JoinCounts::SETS), removed }
}

/// The files of the sets, in the order of the recipe.
fn sets_of(settings: &Overlap) -> Result<Vec<External>> {
    let mut sets: Vec<External> = Vec::new();
    for entry in &settings.sets {
        sets.extend(External::of_files(std::slice::from_ref(entry))?);
    }
    Ok(sets)
}
