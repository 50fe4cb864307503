//! Which examples a step sees, and how they lie in memory: a function of (seed, epoch) alone.

use std::ops::Range;

use crate::finetune::inputs::Encoded;
use crate::pass::IGNORED;
use crate::random::{Stream, bits};

/// Batches among which examples are sorted by length: enough that a batch has little padding, few enough that
/// an epoch's order stays random.
const BATCHES_SORTED: usize = 16;
/// Rows (sequences × length) that one pass holds; a larger batch is summed over several passes.
const ROWS_AT_MOST: usize = 4096;
/// Lengths are rounded up to this, so that few shapes of a pass occur.
const LENGTH_STEP: usize = 8;

/// The indices of each batch of an epoch. Every example occurs once; all batches but one have `batch` examples.
pub(crate) fn of_epoch(examples: &[Encoded], batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let random = |number: usize| bits(seed, Stream::ExampleOrder, (epoch << 32) | number as u64);
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

/// Some examples of a batch, padded to one length, so that a pass can take them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
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
    /// Place of the first example in its batch.
    pub(crate) first: usize,
}

impl Part {
    /// Cuts a batch into as many parts as its size asks for. No sequence is empty.
    pub(crate) fn of_batch(batch: &[&Encoded], context: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut first = 0;
        while first < batch.len() {
            let mut length = 0;
            let mut sequences = 0;
            let fits = |example: &&&Encoded| {
                length = padded(length.max(example.longest()), context);
                sequences += example.sequences.len();
                length * sequences <= ROWS_AT_MOST
            };
            let count = batch[first..].iter().take_while(fits).count().max(1);
            parts.push(Part::new(&batch[first..first + count], context, first));
            first += count;
        }
        parts
    }

    fn new(examples: &[&Encoded], context: usize, first: usize) -> Part {
        let longest = examples.iter().map(|example| example.longest()).max().unwrap_or(0);
        let t = padded(longest, context);
        let labels = examples.iter().map(|example| example.label).collect();
        let mut part = Part { t, labels, first, inputs: vec![], targets: vec![], lengths: vec![], examples: vec![] };
        for example in examples {
            let start = part.lengths.len();
            example.sequences.iter().for_each(|sequence| part.push(sequence));
            part.examples.push(start..part.lengths.len());
        }
        part
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

    fn examples(lengths: impl Iterator<Item = usize>) -> Vec<Encoded> {
        lengths.map(|length| Encoded { sequences: vec![vec![1; length]], label: 0 }).collect()
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
    fn a_part_is_padded_where_the_model_does_not_look() {
        let example = Encoded { sequences: vec![vec![7, 1, 9], vec![7, 1, 2, 3, 9]], label: 1 };
        let parts = Part::of_batch(&[&example], 6);
        let x = IGNORED;
        let expected = Part {
            t: 6,
            inputs: vec![7, 1, 9, 9, 9, 9, 7, 1, 2, 3, 9, 9],
            targets: vec![1, 9, x, x, x, x, 1, 2, 3, 9, x, x],
            lengths: vec![3, 5],
            examples: std::iter::once(0..2).collect(),
            labels: vec![1],
            first: 0,
        };
        assert_eq!(parts, [expected]);
        assert_eq!(parts[0].predicted(), 6);
    }

    #[test]
    fn a_large_batch_is_cut() {
        let examples = examples([ROWS_AT_MOST, 1000, 1000, 1000, 1000, 1000].into_iter());
        let batch: Vec<&Encoded> = examples.iter().collect();
        let parts = Part::of_batch(&batch, 2 * ROWS_AT_MOST);
        let shapes: Vec<_> = parts.iter().map(|part| (part.first, part.labels.len(), part.t)).collect();
        assert_eq!(shapes, [(0, 1, 4096), (1, 4, 1000), (5, 1, 1000)]);
    }
}
