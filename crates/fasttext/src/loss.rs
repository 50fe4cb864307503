//! Vector of a text → probabilities of labels, by each of fastText's losses.
//!
//! fastText ranks labels by `log(p + 0.00001)` and returns the exponential of that, so that its probabilities are
//! greater than `p` by 0.00001, and may reach 1.00001. The same holds here.

use crate::matrix::{OutputMatrix, PANEL_ROWS};
use crate::top::Top;

/// No label has this count: in fastText's tree, it is that of a node which is not made yet.
pub(crate) const MAX_LABEL_COUNT: i64 = 1_000_000_000_000_000;

/// Sigmoids of scores from -8 to 8 are looked up in steps of 1/32.
const MAX_SIGMOID: f32 = 8.0;
const SIGMOID_STEPS: usize = 512;

/// How scores of labels become probabilities.
#[derive(Debug)]
pub(crate) enum Loss {
    /// Probabilities that add up to 1.
    Softmax,
    /// A probability for each label on its own: negative sampling and one-vs-all, which only differ in training.
    Sigmoid(SigmoidTable),
    /// Probabilities that add up to 1, as products of decisions on the way down a tree.
    HierarchicalSoftmax(LabelTree),
}

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct LossScratch {
    /// Scores, then probabilities, by label or by inner node of the tree, in whole panels.
    scores: Vec<f32>,
    /// Which panels of the scores hold products.
    is_panel_ready: Vec<bool>,
    /// Nodes of the tree to be visited, each with the logarithm of its probability.
    nodes: Vec<(f32, usize)>,
}

impl Loss {
    /// Offers each label with a probability of at least `min_probability` to `top`.
    pub(crate) fn predict(
        &self,
        output: &OutputMatrix,
        label_count: usize,
        vector: &[f32],
        min_probability: f32,
        scratch: &mut LossScratch,
        top: &mut Top,
    ) {
        if let Loss::HierarchicalSoftmax(tree) = self {
            return tree.predict(output, vector, min_probability, scratch, top);
        }
        scratch.scores.clear();
        for panel in 0..label_count.div_ceil(PANEL_ROWS) {
            scratch.scores.extend(output.panel_products(panel, vector));
        }
        let scores = &mut scratch.scores[..label_count];
        match self {
            Loss::Sigmoid(table) => scores.iter_mut().for_each(|score| *score = table.of(*score)),
            _ => softmax(scores),
        }
        for (label, &probability) in scores.iter().enumerate() {
            if probability < min_probability {
                continue;
            }
            let log = log_probability(probability);
            if !top.refuses(log) {
                top.push((log, label as u32));
            }
        }
    }
}

/// The logarithm by which labels are ranked.
fn log_probability(probability: f32) -> f32 {
    libm::log(f64::from(probability) + 1e-5) as f32
}

/// The exponential, rounded once from double precision.
pub(crate) fn exp(exponent: f32) -> f32 {
    libm::exp(exponent.into()) as f32
}

fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = exp(*score - max);
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Sigmoids as fastText looks them up.
#[derive(Debug)]
pub(crate) struct SigmoidTable(Vec<f32>);

impl SigmoidTable {
    pub(crate) fn new() -> SigmoidTable {
        let sigmoid = |step: usize| {
            let score = step as f32 * (2.0 * MAX_SIGMOID) / SIGMOID_STEPS as f32 - MAX_SIGMOID;
            (1.0 / (1.0 + f64::from(exp(-score)))) as f32
        };
        SigmoidTable((0..=SIGMOID_STEPS).map(sigmoid).collect())
    }

    fn of(&self, score: f32) -> f32 {
        if score < -MAX_SIGMOID {
            0.0
        } else if score > MAX_SIGMOID {
            1.0
        } else {
            self.0[((score + MAX_SIGMOID) * SIGMOID_STEPS as f32 / MAX_SIGMOID / 2.0) as usize]
        }
    }
}

/// A Huffman tree over labels by their counts: nodes `0..labels` are the labels, the others have two children each,
/// and the last is the root. Node `n` decides by row `n - labels` of the output matrix.
#[derive(Debug)]
pub(crate) struct LabelTree {
    label_count: usize,
    /// Left and right child of each inner node.
    children: Vec<[u32; 2]>,
}

impl LabelTree {
    /// Joins the two rarest nodes again and again: the least frequent labels are taken from the end of the list, which
    /// fastText sorts by count. Of a label and an inner node with the same count, the node is taken.
    ///
    /// Counts are from 0 to below [`MAX_LABEL_COUNT`], so that a child is always made before its parent.
    pub(crate) fn new(label_counts: &[i64]) -> LabelTree {
        let label_count = label_counts.len();
        let mut children = Vec::with_capacity(label_count - 1);
        let mut node_counts: Vec<i64> = Vec::with_capacity(label_count - 1);
        let mut labels_left = label_count;
        let mut next_node = 0;
        for _ in 1..label_count {
            let mut rarest = || {
                let node_count = node_counts.get(next_node).copied().unwrap_or(MAX_LABEL_COUNT);
                if labels_left > 0 && label_counts[labels_left - 1] < node_count {
                    labels_left -= 1;
                    (labels_left as u32, label_counts[labels_left])
                } else {
                    next_node += 1;
                    ((label_count + next_node - 1) as u32, node_count)
                }
            };
            let ((left, left_count), (right, right_count)) = (rarest(), rarest());
            children.push([left, right]);
            node_counts.push(left_count.saturating_add(right_count));
        }
        LabelTree { label_count, children }
    }

    /// Visits nodes left to right, except those below which no label can get into the list.
    fn predict(
        &self,
        output: &OutputMatrix,
        vector: &[f32],
        min_probability: f32,
        scratch: &mut LossScratch,
        top: &mut Top,
    ) {
        let panels = self.children.len().div_ceil(PANEL_ROWS);
        scratch.is_panel_ready.clear();
        scratch.is_panel_ready.resize(panels, false);
        scratch.scores.resize(panels * PANEL_ROWS, 0.0);
        scratch.nodes.clear();
        scratch.nodes.push((0.0, self.label_count + self.children.len() - 1));
        let min_log = log_probability(min_probability);
        while let Some((log, node)) = scratch.nodes.pop() {
            if log < min_log || top.refuses(log) {
                continue;
            }
            let Some(inner) = node.checked_sub(self.label_count) else {
                top.push((log, node as u32));
                continue;
            };
            let panel = inner / PANEL_ROWS;
            if !std::mem::replace(&mut scratch.is_panel_ready[panel], true) {
                scratch.scores[panel * PANEL_ROWS..][..PANEL_ROWS]
                    .copy_from_slice(&output.panel_products(panel, vector));
            }
            let right_probability = (1.0 / f64::from(1.0 + exp(-scratch.scores[inner]))) as f32;
            let [left, right] = self.children[inner];
            scratch.nodes.push((log + log_probability(right_probability), right as usize));
            scratch.nodes.push((log + log_probability(1.0 - right_probability), left as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_tree(label_counts: &[i64], expected: &[[u32; 2]]) {
        assert_eq!(LabelTree::new(label_counts).children, expected, "{label_counts:?}");
    }

    #[test]
    fn rare_labels_stand_deep() {
        check_tree(&[5], &[]);
        check_tree(&[5, 1], &[[1, 0]]);
        check_tree(&[9, 4, 2, 1], &[[3, 2], [4, 1], [5, 0]]);
        // A label and a node of the same count: the node.
        check_tree(&[3, 3, 1, 1], &[[3, 2], [4, 1], [0, 5]]);
    }

    /// A child was made before its parent, so that no way down is endless, whatever the order of the counts.
    #[test]
    fn trees_of_unsorted_counts_end() {
        for counts in [[0, 0, 0, 7, 0].as_slice(), &[1, 2, 3, 4, 5, 6], &[MAX_LABEL_COUNT - 1; 40]] {
            let tree = LabelTree::new(counts);
            for (inner, children) in tree.children.iter().enumerate() {
                assert!(children.iter().all(|&child| (child as usize) < counts.len() + inner), "{counts:?}");
            }
        }
    }

    #[test]
    fn sigmoids_are_of_the_step_below() {
        let table = SigmoidTable::new();
        assert_eq!((table.of(-8.1), table.of(8.1), table.of(0.0), table.of(0.03)), (0.0, 1.0, 0.5, 0.5));
        assert_eq!(table.of(8.0), (1.0 / (1.0 + (-8.0f64).exp())) as f32);
    }
}
