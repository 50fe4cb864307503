//! The linear layer on top of the model: pooling, logits, loss, and the gradients of all three.
//!
//! A head is so small beside the model that its loops are plain and run on one thread.

use gpt2::random::{DropoutMask, Stream, normal};
use serde::{Deserialize, Serialize};

use crate::finetune::batches::MicroBatch;

/// Initial weights of a head.
const HEAD_WEIGHTS: Stream = Stream::new(20);

/// How the hidden states of a sequence become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The state at the extract token, as in the GPT-1 paper.
    #[default]
    Last,
    /// The mean over all tokens.
    Mean,
    /// Each channel's largest value over all tokens.
    Max,
}

/// What the outputs of a head mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outputs {
    /// So many labels; the pooled vectors of an example's sequences are added.
    Labels(usize),
    /// One score for each of an example's sequences.
    Choices,
}

/// A linear layer over pooled hidden states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) pooling: Pooling,
    pub(crate) outputs: Outputs,
    pub(crate) channels: usize,
    /// Weights (O, C), then biases (O); O is 1 for choices.
    pub(crate) weights: Vec<f32>,
}

impl Head {
    /// Weights normal with σ 0.02, as the paper's code has them; biases 0.
    pub(crate) fn new(outputs: Outputs, pooling: Pooling, channels: usize, seed: u64) -> Head {
        let rows = outputs.rows();
        let weights = (0..rows * channels).map(|i| 0.02 * normal(seed, HEAD_WEIGHTS, i as u64));
        let weights = weights.chain(std::iter::repeat_n(0.0, rows)).collect();
        Head { pooling, outputs, channels, weights }
    }

    /// The logits of each example of a micro-batch: one for each label, or for each choice. `hidden`: (S·T, C).
    pub(crate) fn logits(&self, hidden: &[f32], micro_batch: &MicroBatch) -> Vec<Vec<f32>> {
        let examples = 0..micro_batch.examples.len();
        examples.map(|example| self.linear(&self.features(hidden, micro_batch, example, None))).collect()
    }

    /// The sum of the examples' cross-entropies, in nats; adds `scale` times its gradients to `d_hidden` (S·T, C)
    /// and to `gradients`, which has the order of [`Head::weights`].
    pub(crate) fn loss_and_gradients(
        &self,
        hidden: &[f32],
        micro_batch: &MicroBatch,
        dropout: Option<DropoutMask>,
        scale: f32,
        d_hidden: &mut [f32],
        gradients: &mut [f32],
    ) -> f64 {
        let mut loss = 0.0;
        for example in 0..micro_batch.examples.len() {
            let features = self.features(hidden, micro_batch, example, dropout);
            let probabilities = softmax(&self.linear(&features));
            let label = micro_batch.labels[example];
            loss += cross_entropy(&probabilities, label);
            let mut d_logits = probabilities;
            d_logits[label] -= 1.0;
            d_logits.iter_mut().for_each(|d| *d *= scale);
            let d_features = self.linear_backward(&features, &d_logits, gradients);
            self.features_backward(&d_features, hidden, micro_batch, example, dropout, d_hidden);
        }
        loss
    }

    /// The vectors that the linear layer sees: one for all labels, or one for each choice. Each (C).
    fn features(
        &self,
        hidden: &[f32],
        micro_batch: &MicroBatch,
        example: usize,
        dropout: Option<DropoutMask>,
    ) -> Vec<Vec<f32>> {
        let pooled =
            micro_batch.examples[example].clone().map(|sequence| self.pool(self.states(hidden, micro_batch, sequence)));
        let mut features: Vec<Vec<f32>> = match self.outputs {
            Outputs::Choices => pooled.collect(),
            Outputs::Labels(_) => {
                let mut sum = vec![0.0; self.channels];
                pooled.for_each(|pooled| sum.iter_mut().zip(pooled).for_each(|(sum, x)| *sum += x));
                vec![sum]
            }
        };
        if let Some(dropout) = dropout {
            features.iter_mut().for_each(|feature| drop_channels(feature, dropout, micro_batch.first + example));
        }
        features
    }

    /// Adds to the hidden states' gradient what comes from the gradient of [`Head::features`].
    fn features_backward(
        &self,
        d_features: &[Vec<f32>],
        hidden: &[f32],
        micro_batch: &MicroBatch,
        example: usize,
        dropout: Option<DropoutMask>,
        d_hidden: &mut [f32],
    ) {
        for (place, sequence) in micro_batch.examples[example].clone().enumerate() {
            let mut d_pooled = match self.outputs {
                Outputs::Choices => d_features[place].clone(),
                Outputs::Labels(_) => d_features[0].clone(),
            };
            if let Some(dropout) = dropout {
                drop_channels(&mut d_pooled, dropout, micro_batch.first + example);
            }
            let start = sequence * micro_batch.t * self.channels;
            let states = self.states(hidden, micro_batch, sequence);
            self.pool_backward(&d_pooled, states, &mut d_hidden[start..start + states.len()]);
        }
    }

    /// The hidden states of a sequence without its padding.
    fn states<'a>(&self, hidden: &'a [f32], micro_batch: &MicroBatch, sequence: usize) -> &'a [f32] {
        &hidden[sequence * micro_batch.t * self.channels..][..micro_batch.lengths[sequence] * self.channels]
    }

    /// (tokens, C) to (C).
    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let c = self.channels;
        let rows = states.len() / c;
        match self.pooling {
            Pooling::Last => states[states.len() - c..].to_vec(),
            Pooling::Mean => {
                (0..c).map(|i| (0..rows).map(|row| states[row * c + i]).sum::<f32>() / rows as f32).collect()
            }
            Pooling::Max => (0..c).map(|i| states[argmax_row(states, c, i) * c + i]).collect(),
        }
    }

    /// Adds to `d_states` (tokens, C).
    fn pool_backward(&self, d_pooled: &[f32], states: &[f32], d_states: &mut [f32]) {
        let c = self.channels;
        let rows = states.len() / c;
        for (i, d) in d_pooled.iter().enumerate() {
            match self.pooling {
                Pooling::Last => d_states[(rows - 1) * c + i] += d,
                Pooling::Mean => (0..rows).for_each(|row| d_states[row * c + i] += d / rows as f32),
                Pooling::Max => d_states[argmax_row(states, c, i) * c + i] += d,
            }
        }
    }

    /// Logits: of all labels after one vector, or one after each vector.
    fn linear(&self, features: &[Vec<f32>]) -> Vec<f32> {
        let (weights, biases) = self.weights.split_at(self.outputs.rows() * self.channels);
        let rows = || weights.chunks(self.channels).zip(biases);
        let logit = |feature: &[f32], (row, bias): (&[f32], &f32)| {
            bias + row.iter().zip(feature).map(|(weight, x)| weight * x).sum::<f32>()
        };
        features.iter().flat_map(|feature| rows().map(|row| logit(feature, row))).collect()
    }

    /// The gradients of the features; adds those of the weights.
    fn linear_backward(&self, features: &[Vec<f32>], d_logits: &[f32], gradients: &mut [f32]) -> Vec<Vec<f32>> {
        let (c, rows) = (self.channels, self.outputs.rows());
        let mut d_features = vec![vec![0.0; c]; features.len()];
        for (place, d_logits) in d_logits.chunks(rows).enumerate() {
            for (row, d) in d_logits.iter().enumerate() {
                for i in 0..c {
                    gradients[row * c + i] += d * features[place][i];
                    d_features[place][i] += d * self.weights[row * c + i];
                }
                gradients[rows * c + row] += d;
            }
        }
        d_features
    }
}

impl Outputs {
    /// Rows of the weight matrix (O).
    pub(crate) fn rows(self) -> usize {
        match self {
            Outputs::Labels(labels) => labels,
            Outputs::Choices => 1,
        }
    }
}

/// A classifier's prediction for an example.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPrediction {
    /// Index of the most probable label in [`FineTuneTask::labels`](super::FineTuneTask::labels), or of the most probable
    /// choice; of equals the first.
    pub label: usize,
    /// The probability of each.
    pub probabilities: Vec<f32>,
    /// Whether a text of the example was longer than the context, and was cut.
    pub is_truncated: bool,
}

impl ClassPrediction {
    pub(crate) fn new(logits: &[f32]) -> ClassPrediction {
        let label = (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
        ClassPrediction { label, probabilities: softmax(logits), is_truncated: false }
    }
}

/// The row with a channel's largest value; of equals the first.
fn argmax_row(states: &[f32], c: usize, channel: usize) -> usize {
    let rows = 0..states.len() / c;
    rows.fold(0, |best, row| if states[row * c + channel] > states[best * c + channel] { row } else { best })
}

/// Applies dropout to a vector, or to its gradient; the same channels for all choices of an example.
fn drop_channels(vector: &mut [f32], mask: DropoutMask, example: usize) {
    let start = example * vector.len();
    vector.iter_mut().enumerate().for_each(|(channel, x)| *x *= mask.at((start + channel) as u32));
}

/// Probabilities of logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - max).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|x| (x / sum) as f32).collect()
}

/// −ln of the label's probability. Not `max`, which would hide the NaN of a training that has diverged.
pub(crate) fn cross_entropy(probabilities: &[f32], label: usize) -> f64 {
    let probability = probabilities[label];
    let floor = f32::MIN_POSITIVE;
    -f64::from(if probability < floor { floor } else { probability }).ln()
}

#[cfg(test)]
mod tests {
    use gpt2::random::Dropout;

    use super::*;

    const C: usize = 5;

    /// Two examples of two sequences each.
    fn micro_batch() -> MicroBatch {
        MicroBatch {
            t: 4,
            inputs: vec![0; 16],
            targets: vec![0; 16],
            lengths: vec![3, 4, 2, 4],
            examples: vec![0..2, 2..4],
            labels: vec![1, 0],
            first: 0,
        }
    }

    /// All gradients of a head against finite differences.
    fn check(outputs: Outputs, pooling: Pooling, dropout: Option<DropoutMask>) {
        let micro_batch = micro_batch();
        let mut head = Head::new(outputs, pooling, C, 1);
        head.weights.iter_mut().enumerate().for_each(|(i, w)| *w = 0.5 * normal(2, HEAD_WEIGHTS, i as u64));
        let hidden: Vec<f32> = (0..16 * C).map(|i| normal(3, HEAD_WEIGHTS, i as u64)).collect();
        let scale = 0.5;
        let loss_at = |head: &Head, hidden: &[f32]| {
            let (mut d_hidden, mut gradients) = (vec![0.0; hidden.len()], vec![0.0; head.weights.len()]);
            let loss = head.loss_and_gradients(hidden, &micro_batch, dropout, scale, &mut d_hidden, &mut gradients);
            (f64::from(scale) * loss, d_hidden, gradients)
        };
        let (_, d_hidden, gradients) = loss_at(&head, &hidden);
        let step = 1e-2;
        let agree = |slope: f64, gradient: f32, name: &str| {
            assert!((slope - f64::from(gradient)).abs() < 2e-3, "{outputs:?} {pooling:?} {name}: {slope} {gradient}");
        };
        for (i, &gradient) in gradients.iter().enumerate() {
            let moved = |by: f32| {
                let mut head = head.clone();
                head.weights[i] += by;
                loss_at(&head, &hidden).0
            };
            agree((moved(step) - moved(-step)) / f64::from(2.0 * step), gradient, "weight");
        }
        for (i, &gradient) in d_hidden.iter().enumerate() {
            let moved = |by: f32| {
                let mut hidden = hidden.clone();
                hidden[i] += by;
                loss_at(&head, &hidden).0
            };
            agree((moved(step) - moved(-step)) / f64::from(2.0 * step), gradient, "hidden state");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max] {
            for outputs in [Outputs::Labels(2), Outputs::Labels(3), Outputs::Choices] {
                check(outputs, pooling, None);
                check(outputs, pooling, Some(Dropout { probability: 0.4, seed: 1, pass: 9 }.mask(7)));
            }
        }
    }

    #[test]
    fn the_order_of_two_similar_texts_does_not_matter() {
        let head = Head::new(Outputs::Labels(2), Pooling::Last, 1, 1);
        let micro_batch =
            MicroBatch { lengths: vec![2, 2], examples: std::iter::once(0..2).collect(), t: 2, ..micro_batch() };
        assert_eq!(head.logits(&[0.0, 3.0, 0.0, 4.0], &micro_batch), head.logits(&[0.0, 4.0, 0.0, 3.0], &micro_batch));
    }

    #[test]
    fn padding_is_not_pooled() {
        for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max] {
            let head = Head::new(Outputs::Choices, pooling, C, 1);
            let mut hidden = vec![1.0; 16 * C];
            let before = head.logits(&hidden, &micro_batch());
            hidden[3 * C..4 * C].fill(1e9); // the fourth state of a sequence of three
            assert_eq!(head.logits(&hidden, &micro_batch()), before);
        }
    }
}
