//! Which examples a step sees, and how they lie in memory: a function of (seed, epoch) alone.

use std::ops::Range;

use gpt2::IGNORED;
use gpt2::random::{Stream, bits};

use crate::finetune::inputs::EncodedExample;

/// The order of an epoch's examples and batches.
pub(crate) const EXAMPLE_ORDER: Stream = Stream::new(21);
/// Batches among which examples are sorted by length: enough that a batch has little padding, few enough that
/// an epoch's order stays random.
const BATCHES_SORTED: usize = 16;
/// Rows (sequences × length) of one pass at most; a larger batch is summed over several passes.
const MAX_ROWS: usize = 4096;
/// Lengths are rounded up to this, so that few shapes of a pass occur.
const LENGTH_STEP: usize = 8;

/// The indices of each batch of an epoch. Every example occurs once; all batches but one have `batch` examples.
pub(crate) fn of_epoch(examples: &[EncodedExample], batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let random = |number: usize| bits(seed, EXAMPLE_ORDER, (epoch << 32) | number as u64);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|&index| (random(index), index));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for pool in order.chunks_mut(BATCHES_SORTED * batch) {
        pool.sort_by_key(|&index| examples[index].longest());
        batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
    }
    batches.sort_by_cached_key(|batch| (random(batch[0] + (1 << 31)), batch[0]));
    batches
}

/// Examples of a batch, padded to one length, that go through the model in one pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MicroBatch {
    /// Length of all sequences (T).
    pub(crate) t: usize,
    /// (S, T): the sequences, padded on the right, where a causal model does not look.
    pub(crate) inputs: Vec<u32>,
    /// (S, T): each row's next token; nothing is to be predicted after the extract token.
    pub(crate) targets: Vec<u32>,
    /// (S): tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
    /// The sequences of each example.
    pub(crate) examples: Vec<Range<usize>>,
    /// The label of each example.
    pub(crate) labels: Vec<usize>,
    /// Index of the first example in its batch.
    pub(crate) first: usize,
}

impl MicroBatch {
    /// Splits a batch into as few micro-batches as [`MAX_ROWS`] allows. No sequence is empty.
    pub(crate) fn of_batch(batch: &[&EncodedExample], context: usize) -> Vec<MicroBatch> {
        let mut micro_batches = Vec::new();
        let mut first = 0;
        while first < batch.len() {
            let mut length = 0;
            let mut sequences = 0;
            let fits = |example: &&&EncodedExample| {
                length = padded(length.max(example.longest()), context);
                sequences += example.sequences.len();
                length * sequences <= MAX_ROWS
            };
            let count = batch[first..].iter().take_while(fits).count().max(1);
            micro_batches.push(MicroBatch::new(&batch[first..first + count], context, first));
            first += count;
        }
        micro_batches
    }

    fn new(examples: &[&EncodedExample], context: usize, first: usize) -> MicroBatch {
        let longest = examples.iter().map(|example| example.longest()).max().unwrap_or(0);
        let t = padded(longest, context);
        let labels = examples.iter().map(|example| example.label).collect();
        let mut micro_batch =
            MicroBatch { t, labels, first, inputs: vec![], targets: vec![], lengths: vec![], examples: vec![] };
        for example in examples {
            let start = micro_batch.lengths.len();
            example.sequences.iter().for_each(|sequence| micro_batch.push(sequence));
            micro_batch.examples.push(start..micro_batch.lengths.len());
        }
        micro_batch
    }

    fn push(&mut self, sequence: &[u32]) {
        let padding = self.t - sequence.len();
        let last = sequence[sequence.len() - 1];
        self.inputs.extend(sequence.iter().copied().chain(std::iter::repeat_n(last, padding)));
        self.targets.extend(sequence[1..].iter().copied().chain(std::iter::repeat_n(IGNORED, padding + 1)));
        self.lengths.push(sequence.len());
    }

    /// Rows at which a token is to be predicted.
    pub(crate) fn predicted(&self) -> usize {
        self.lengths.iter().map(|length| length - 1).sum()
    }
}

fn padded(length: usize, context: usize) -> usize {
    length.next_multiple_of(LENGTH_STEP).min(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(lengths: impl Iterator<Item = usize>) -> Vec<EncodedExample> {
        lengths.map(|length| EncodedExample { sequences: vec![vec![1; length]], label: 0 }).collect()
    }

    #[test]
    fn every_example_occurs_once_an_epoch() {
        let examples = examples((0..1000).map(|i| 2 + i * i % 50));
        let batches = of_epoch(&examples, 7, 1, 0);
        let mut all = batches.concat();
        assert_ne!(all[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(batches.len(), 1000usize.div_ceil(7));
        assert_eq!(batches, of_epoch(&examples, 7, 1, 0));
        assert_ne!(batches, of_epoch(&examples, 7, 1, 1));
        assert_ne!(batches, of_epoch(&examples, 7, 2, 0));
        let spread = |batch: &Vec<usize>| {
            let lengths = batch.iter().map(|&index| examples[index].longest());
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        let mean_spread = batches.iter().map(spread).sum::<usize>() / batches.len();
        assert!(mean_spread < 15, "{mean_spread}");
    }

    #[test]
    fn a_micro_batch_is_padded_where_the_model_does_not_look() {
        let example = EncodedExample { sequences: vec![vec![7, 1, 9], vec![7, 1, 2, 3, 9]], label: 1 };
        let micro_batches = MicroBatch::of_batch(&[&example], 6);
        let x = IGNORED;
        let expected = MicroBatch {
            t: 6,
            inputs: vec![7, 1, 9, 9, 9, 9, 7, 1, 2, 3, 9, 9],
            targets: vec![1, 9, x, x, x, x, 1, 2, 3, 9, x, x],
            lengths: vec![3, 5],
            examples: std::iter::once(0..2).collect(),
            labels: vec![1],
            first: 0,
        };
        assert_eq!(micro_batches, [expected]);
        assert_eq!(micro_batches[0].predicted(), 6);
    }

    #[test]
    fn a_large_batch_is_split() {
        let examples = examples([MAX_ROWS, 1000, 1000, 1000, 1000, 1000].into_iter());
        let batch: Vec<&EncodedExample> = examples.iter().collect();
        let micro_batches = MicroBatch::of_batch(&batch, 2 * MAX_ROWS);
        let shapes: Vec<_> = micro_batches
            .iter()
            .map(|micro_batch| (micro_batch.first, micro_batch.labels.len(), micro_batch.t))
            .collect();
        assert_eq!(shapes, [(0, 1, 4096), (1, 4, 1000), (5, 1, 1000)]);
    }
}
