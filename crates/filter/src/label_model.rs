//! fastText models for rules: labels are compared without their prefix.
//!
//! Left out: the models, which have licences of their own and are read from the paths that a recipe names.

use std::cell::RefCell;
use std::sync::Arc;

use fasttext::{LABEL_PREFIX, Model, Prediction, Scratch};

use crate::list::ListError;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A model that has the label of a rule. Copies share it.
#[derive(Clone)]
pub struct LabelModel {
    model: Arc<Model>,
    label: String,
}

impl LabelModel {
    /// Reads a model that must have a label, which is given with its prefix or without.
    pub fn open(path: &str, label: &str) -> Result<LabelModel, ListError> {
        let model = Model::open(path)?;
        let label = without_prefix(label).to_owned();
        if !model.labels().any(|known| without_prefix(known) == label) {
            let known: Vec<&str> = model.labels().map(without_prefix).take(5).collect();
            return Err(ListError::Label { path: path.to_owned(), label, known: known.join(", ") });
        }
        Ok(LabelModel { model: Arc::new(model), label })
    }

    /// The label of the rule, without prefix.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The most probable label of a text, without prefix, and its probability; none when no word is known.
    pub fn best(&self, text: &str) -> Option<(&str, f32)> {
        let best = self.predict(text, 1).into_iter().next()?;
        Some((without_prefix(best.label), best.probability))
    }

    /// The probability of the rule's label; 0 when no word is known.
    pub fn score(&self, text: &str) -> f32 {
        let predictions = self.predict(text, usize::MAX);
        let of_label = predictions.iter().find(|prediction| without_prefix(prediction.label) == self.label);
        of_label.map_or(0.0, |prediction| prediction.probability)
    }

    fn predict(&self, text: &str, k: usize) -> Vec<Prediction<'_>> {
        SCRATCH.with_borrow_mut(|scratch| self.model.predict_with(scratch, text, k, 0.0))
    }
}

fn without_prefix(label: &str) -> &str {
    label.strip_prefix(LABEL_PREFIX).unwrap_or(label)
}
