//! The metrics that the papers print, by scikit-learn's definitions.

use serde::Serialize;

use crate::finetune::head::{ClassPrediction, cross_entropy};
use crate::finetune::tasks::FineTuneTask;

/// Metrics over the examples of a set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassificationMetrics {
    /// Number of examples.
    pub examples: u64,
    /// Mean cross-entropy of the labels, in nats.
    pub loss: f64,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Harmonic mean of precision and recall of label 1; 0 where nothing is found. `None` for a multiple choice.
    pub f1: Option<f64>,
    /// Matthews correlation, −1 to 1; 0 where one label is always or never predicted. `None` for a multiple choice.
    pub matthews: Option<f64>,
}

/// Counts of a two-class prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Confusion {
    true_positives: u64,
    false_positives: u64,
    true_negatives: u64,
    false_negatives: u64,
}

impl ClassificationMetrics {
    /// From a classifier's predictions and the labels that are right.
    ///
    /// # Panics
    /// If there is not a label for each prediction, or no prediction at all.
    pub fn new(task: FineTuneTask, predictions: &[ClassPrediction], labels: &[usize]) -> ClassificationMetrics {
        assert!(!labels.is_empty() && predictions.len() == labels.len(), "a label for each prediction");
        let examples = labels.len() as f64;
        let pairs = || labels.iter().zip(predictions);
        let correct = pairs().filter(|&(&label, prediction)| label == prediction.label).count();
        let loss = pairs().map(|(&label, prediction)| cross_entropy(&prediction.probabilities, label)).sum::<f64>();
        let confusion = (task.labels().len() == 2).then(|| Confusion::new(predictions, labels));
        ClassificationMetrics {
            examples: labels.len() as u64,
            loss: loss / examples,
            accuracy: correct as f64 / examples,
            f1: confusion.map(Confusion::f1),
            matthews: confusion.map(Confusion::matthews),
        }
    }

    /// The metric by which the papers compare models on a task's set, and its name.
    pub fn headline(&self, task: FineTuneTask) -> (&'static str, f64) {
        match task {
            FineTuneTask::Cola => ("matthews", self.matthews.unwrap_or(0.0)),
            FineTuneTask::Mrpc => ("f1", self.f1.unwrap_or(0.0)),
            FineTuneTask::Sst2 | FineTuneTask::Rte | FineTuneTask::Choice => ("accuracy", self.accuracy),
        }
    }
}

impl Confusion {
    fn new(predictions: &[ClassPrediction], labels: &[usize]) -> Confusion {
        let mut counts = Confusion::default();
        for (prediction, label) in predictions.iter().zip(labels) {
            *match (label, prediction.label) {
                (1, 1) => &mut counts.true_positives,
                (_, 1) => &mut counts.false_positives,
                (1, _) => &mut counts.false_negatives,
                _ => &mut counts.true_negatives,
            } += 1;
        }
        counts
    }

    fn f1(self) -> f64 {
        let found = 2 * self.true_positives;
        ratio(found as f64, (found + self.false_positives + self.false_negatives) as f64)
    }

    fn matthews(self) -> f64 {
        let Confusion { true_positives, false_positives, true_negatives, false_negatives } = self;
        let [tp, fp, tn, fn_] = [true_positives, false_positives, true_negatives, false_negatives].map(|n| n as f64);
        ratio(tp * tn - fp * fn_, ((tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_)).sqrt())
    }
}

/// 0 where there is nothing to divide by, as scikit-learn has it.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { 0.0 } else { numerator / denominator }
}

/// Mean and sample standard deviation (n − 1); the deviation of a single number is 0.
pub fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares accuracy, F1 and Matthews with those of scikit-learn.
    fn check(gold: &[usize], predicted: &[usize], expected: [f64; 3]) {
        let prediction = |&label: &usize| ClassPrediction { label, probabilities: vec![0.5, 0.5], is_truncated: false };
        let predictions: Vec<_> = predicted.iter().map(prediction).collect();
        let metrics = ClassificationMetrics::new(FineTuneTask::Cola, &predictions, gold);
        assert!((metrics.loss - 2f64.ln()).abs() < 1e-6);
        let found = [metrics.accuracy, metrics.f1.unwrap(), metrics.matthews.unwrap()];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
    }

    #[test]
    fn known_values() {
        check(&[1, 1, 1, 0, 0, 1, 0, 1], &[1, 0, 1, 1, 0, 1, 0, 1], [0.75, 0.8, 7.0 / 15.0]);
        check(&[0, 1, 1, 0], &[0, 1, 1, 0], [1.0, 1.0, 1.0]);
        check(&[0, 1, 1, 0], &[1, 0, 0, 1], [0.0, 0.0, -1.0]);
        check(&[0, 1, 1, 1], &[1, 1, 1, 1], [0.75, 6.0 / 7.0, 0.0]);
        check(&[0, 1], &[0, 0], [0.5, 0.0, 0.0]);
    }

    #[test]
    fn choices_have_accuracy_alone() {
        let prediction = |label| ClassPrediction { label, probabilities: vec![0.25; 4], is_truncated: false };
        let metrics = ClassificationMetrics::new(FineTuneTask::Choice, &[prediction(3), prediction(2)], &[3, 0]);
        assert_eq!((metrics.accuracy, metrics.f1, metrics.matthews), (0.5, None, None));
    }

    #[test]
    fn deviation_of_a_sample() {
        assert_eq!(mean_and_deviation(&[2.0, 4.0, 6.0]), (4.0, 2.0));
        assert_eq!(mean_and_deviation(&[5.0]), (5.0, 0.0));
    }
}
