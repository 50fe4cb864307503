//! The features of each block for the model: its text, place, containers, neighbours and page.
//!
//! [`PageContext`] is computed once per page; [`describe`] writes one block's features through a [`FeatureSink`], which
//! takes the numbers or, for the list of names, the names; [`describe_page`] writes the page's, and
//! [`describe_first_pass`] those that need the first model's probabilities ([`FirstPass`]). A feature is added or
//! removed in one place, and the model is trained again (`train/`). Trees split at thresholds, so features need no
//! scaling; in particular there is no logarithm, whose last bit differs between machines.

mod block;
mod first_pass;
mod language;
mod neighbours;
mod page;
mod page_context;
mod questions;
mod scan;

pub use block::{describe, describe_alone};
pub use first_pass::{FirstPass, describe_first_pass};
pub use page::{describe_in_common, describe_page};
pub use page_context::PageContext;

/// Takes features one by one.
pub trait FeatureSink {
    /// Takes a feature; `of` distinguishes several features of one name.
    fn put(&mut self, name: &'static str, of: &'static str, value: f32);
}

impl FeatureSink for Vec<f32> {
    #[inline]
    fn put(&mut self, _: &'static str, _: &'static str, value: f32) {
        self.push(value);
    }
}

/// The names of the features, in order.
#[derive(Debug, Default)]
pub struct FeatureNames(pub Vec<String>);

impl FeatureSink for FeatureNames {
    fn put(&mut self, name: &'static str, of: &'static str, _: f32) {
        self.0.push(if of.is_empty() { name.to_owned() } else { format!("{name}.{of}") });
    }
}

// Annotated pages are short: half have under 600 words, few over 3,000. Larger sizes are capped at these, so that a
// book is not unlike every text of the training data.
const BLOCK_WORDS: f32 = 100.0;
const PAGE_WORDS: f32 = 1_000.0;
const PAGE_BLOCKS: f32 = 50.0;
const POINTS: f32 = 60.0;

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
