//! Boosted trees: a row's prediction is the sum of the leaves that it falls into.
//!
//! A forest is read from the bytes that `train/train.py` writes (all numbers little-endian):
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `WTFOREST` |
//! | 4 | features of a row |
//! | 4 | trees |
//! | then for each tree: 2 | splits, at most 31 |
//! | 10 per split | feature (2), threshold (4, a float), place if not above it (2), place if above it (2) |
//! | 4 per leaf | value (a float); there is one leaf more than splits |
//!
//! A place is that of a split of the same tree, or, with its upper bit set, of a leaf.
//!
//! Trees are not walked from the root. As in QuickScorer (Lucchese et al., SIGIR 2015), each tree has a bit for each of
//! its leaves, from left to right. A split whose threshold the row is above takes away the bits of the leaves to its
//! left; when all such splits have, the lowest bit left is the leaf that the row falls into. So the splits of all trees
//! can be asked in any order: feature by feature, thresholds ascending, up to the first that no row is above. No
//! comparison waits for another, and one instruction compares as many rows as a vector holds (V-QuickScorer, SIGIR 2016).

mod tree;

use std::ops::Range;

use pulp::bytemuck::{cast_slice, cast_slice_mut};
use pulp::{Simd, WithSimd};
use tree::{Reader, Tree};

/// A forest for predictions.
#[derive(Debug, Default)]
pub struct Forest {
    features: usize,
    /// The features that have splits, with their tests.
    asked: Vec<Asked>,
    /// The different thresholds of each feature, ascending.
    tests: Vec<Test>,
    cuts: Vec<Cut>,
    /// By tree: the values of its leaves, from left to right.
    leaves: Vec<[f32; MAX_LEAVES]>,
}

#[derive(Debug)]
struct Test {
    threshold: f32,
    /// The splits with this threshold.
    cuts: Range<usize>,
}

/// What a split takes away.
#[derive(Debug, Clone, Copy)]
struct Cut {
    tree: u32,
    /// The leaves that stay when a row is above the threshold, a bit each.
    kept: u32,
}

const LEAF: u16 = 1 << 15;
const MAGIC: &[u8; 8] = b"WTFOREST";
/// As many as there are bits to a tree.
const MAX_LEAVES: usize = 32;

impl Forest {
    /// Reads a forest; `None` when the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Forest> {
        Forest::read_in_two(bytes, usize::MAX).map(|[all, _]| all)
    }

    /// Reads a forest as its first trees and the others; `None` when the bytes are not a forest.
    pub fn read_in_two(bytes: &[u8], first: usize) -> Option<[Forest; 2]> {
        let mut reader = Reader { bytes: bytes.strip_prefix(MAGIC)? };
        let features = reader.u32()? as usize;
        let count = reader.u32()? as usize;
        let (mut trees, mut others) = (Vec::new(), Vec::new());
        for number in 0..count {
            let to = if number < first { &mut trees } else { &mut others };
            to.push(Tree::read(&mut reader, features)?);
        }
        reader.bytes.is_empty().then(|| [Forest::of_trees(features, &trees), Forest::of_trees(features, &others)])
    }

    fn of_trees(features: usize, trees: &[Tree]) -> Forest {
        let mut splits: Vec<(u16, f32, Cut)> = Vec::new();
        for (number, tree) in trees.iter().enumerate() {
            let cut = |kept| Cut { tree: number as u32, kept };
            splits.extend(tree.splits.iter().map(|&(feature, threshold, kept)| (feature, threshold, cut(kept))));
        }
        // Stable, so that the splits of one threshold stay in the order of their trees.
        splits.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut forest =
            Forest { features, leaves: trees.iter().map(|tree| tree.leaves).collect(), ..Forest::default() };
        for of_feature in splits.chunk_by(|a, b| a.0 == b.0) {
            let start = forest.tests.len();
            for of_test in of_feature.chunk_by(|a, b| a.1 == b.1) {
                let start = forest.cuts.len();
                forest.cuts.extend(of_test.iter().map(|split| split.2));
                forest.tests.push(Test { threshold: of_test[0].1, cuts: start..forest.cuts.len() });
            }
            forest.asked.push((usize::from(of_feature[0].0), start..forest.tests.len()));
        }
        forest
    }

    /// Numbers per row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The margin of each row: the sum of the leaves that it falls into. Rows are concatenated.
    ///
    /// # Panics
    /// When the numbers are not whole rows.
    pub fn margins(&self, rows: &[f32]) -> Vec<f32> {
        assert_eq!(rows.len() % self.features.max(1), 0, "rows have {} features", self.features);
        let numbers: Vec<usize> = (0..rows.len() / self.features.max(1)).collect();
        let mut margins = vec![0.0; numbers.len()];
        self.add(rows, &numbers, &mut margins);
        margins
    }

    /// Adds the leaves of the rows of these numbers to their margins.
    ///
    /// # Panics
    /// When there is no row of such a number.
    pub fn add(&self, rows: &[f32], numbers: &[usize], margins: &mut [f32]) {
        pulp::Arch::new().dispatch(Addition { forest: self, rows, numbers, margins });
    }
}

/// [`Forest::add`], compiled for each kind of vectors.
struct Addition<'a> {
    forest: &'a Forest,
    rows: &'a [f32],
    numbers: &'a [usize],
    margins: &'a mut [f32],
}

impl WithSimd for Addition<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let forest = self.forest;
        let mut columns = vec![simd.splat_f32s(0.0); forest.features];
        let mut greatest = vec![0.0; forest.features];
        let mut shared_bits = vec![simd.splat_u32s(u32::MAX); forest.leaves.len()];
        let (shared, own) = forest.shared_features(self.rows, self.numbers);
        if let Some(first) = self.numbers.first() {
            forest.transpose(self.rows, &[*first], cast_slice_mut(&mut columns), &mut greatest);
            for column in &mut columns {
                *column = simd.splat_f32s(cast_slice(std::slice::from_ref(column))[0]);
            }
            forest.cut(simd, &shared, &columns, &greatest, &mut shared_bits);
        }
        let mut bits = shared_bits.clone();
        for (numbers, margins) in self.numbers.chunks(S::F32_LANES).zip(self.margins.chunks_mut(S::F32_LANES)) {
            forest.transpose(self.rows, numbers, cast_slice_mut(&mut columns), &mut greatest);
            bits.copy_from_slice(&shared_bits);
            forest.cut(simd, &own, &columns, &greatest, &mut bits);
            let bits: &[u32] = cast_slice(&bits);
            for (bits, leaves) in bits.chunks_exact(S::F32_LANES).zip(&forest.leaves) {
                for (sum, bits) in margins.iter_mut().zip(bits) {
                    *sum += leaves[bits.trailing_zeros() as usize % MAX_LEAVES];
                }
            }
        }
    }
}

/// A feature and its tests.
type Asked = (usize, Range<usize>);

impl Forest {
    /// The features that are the same in all rows, as those of the page are, and the others. What the former take away
    /// is the same for all rows.
    #[inline(always)]
    fn shared_features(&self, rows: &[f32], numbers: &[usize]) -> (Vec<Asked>, Vec<Asked>) {
        let row = |number: usize| &rows[number * self.features..][..self.features];
        let mut differences = vec![0; self.features];
        for number in numbers {
            for ((difference, value), first) in differences.iter_mut().zip(row(*number)).zip(row(numbers[0])) {
                *difference |= value.to_bits() ^ first.to_bits();
            }
        }
        self.asked.iter().cloned().partition(|(feature, _)| differences[*feature] == 0)
    }

    /// The features of a few rows, feature by feature, and the greatest value of each. Lanes without a row keep what
    /// they have.
    #[inline(always)]
    fn transpose(&self, rows: &[f32], numbers: &[usize], columns: &mut [f32], greatest: &mut [f32]) {
        let lanes = columns.len() / self.features;
        for (lane, number) in numbers.iter().enumerate() {
            let row = &rows[number * self.features..][..self.features];
            for ((value, column), greatest) in row.iter().zip(columns.chunks_exact_mut(lanes)).zip(&mut *greatest) {
                column[lane] = *value;
                // Nothing is above NaN, nor NaN above anything.
                if lane == 0 || greatest.is_nan() || *value > *greatest {
                    *greatest = *value;
                }
            }
        }
    }

    /// Takes away the leaves that the rows do not fall into.
    #[inline(always)]
    fn cut<S: Simd>(&self, simd: S, asked: &[Asked], columns: &[S::f32s], greatest: &[f32], bits: &mut [S::u32s]) {
        for (feature, tests) in asked {
            let (values, greatest) = (columns[*feature], greatest[*feature]);
            for test in self.tests[tests.clone()].iter().take_while(|test| greatest > test.threshold) {
                let is_above = simd.greater_than_f32s(values, simd.splat_f32s(test.threshold));
                let not_above = simd.select_u32s(is_above, simd.splat_u32s(0), simd.splat_u32s(u32::MAX));
                for cut in &self.cuts[test.cuts.clone()] {
                    let bits = &mut bits[cut.tree as usize];
                    *bits = simd.and_u32s(*bits, simd.or_u32s(simd.splat_u32s(cut.kept), not_above));
                }
            }
        }
    }
}

/// 1 / (1 + e⁻ˣ) by basic arithmetic, the same to the bit on every machine; error below 2·10⁻⁶.
pub fn sigmoid(x: f32) -> f32 {
    // e⁻ˣ = 2^(whole + part), the part by its series.
    let power = (-x * std::f32::consts::LOG2_E).clamp(-60.0, 60.0);
    let whole = power.floor();
    let part = (power - whole) * std::f32::consts::LN_2;
    let mut series = 1.0;
    for divisor in [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0f32] {
        series = 1.0 + series * part / divisor;
    }
    let scale = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    1.0 / (1.0 + series * scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tree for tests, with feature and threshold of a split.
    #[derive(Debug, Clone)]
    enum Node {
        Leaf(f32),
        Split(u16, f32, Box<[Node; 2]>),
    }

    impl Node {
        /// What [`Forest`] must say, by walking down.
        fn value(&self, row: &[f32]) -> f32 {
            match self {
                Node::Leaf(value) => *value,
                Node::Split(feature, threshold, children) => {
                    children[usize::from(row[usize::from(*feature)] > *threshold)].value(row)
                }
            }
        }

        fn splits(&self) -> usize {
            match self {
                Node::Leaf(_) => 0,
                Node::Split(_, _, children) => 1 + children.iter().map(Node::splits).sum::<usize>(),
            }
        }

        fn write(&self, splits: &mut Vec<Vec<u8>>, leaves: &mut Vec<f32>) -> u16 {
            match self {
                Node::Leaf(value) => {
                    leaves.push(*value);
                    LEAF | (leaves.len() - 1) as u16
                }
                Node::Split(feature, threshold, children) => {
                    let at = splits.len();
                    splits.push([&feature.to_le_bytes()[..], &threshold.to_le_bytes()].concat());
                    for child in children.iter() {
                        let place = child.write(splits, leaves).to_le_bytes();
                        splits[at].extend(place);
                    }
                    at as u16
                }
            }
        }
    }

    fn forest_bytes(features: u32, trees: &[Node]) -> Vec<u8> {
        let mut bytes = [MAGIC, &features.to_le_bytes()[..], &(trees.len() as u32).to_le_bytes()].concat();
        for tree in trees {
            let (mut splits, mut leaves) = (Vec::new(), Vec::new());
            tree.write(&mut splits, &mut leaves);
            bytes.extend((splits.len() as u16).to_le_bytes());
            bytes.extend(splits.concat());
            bytes.extend(leaves.iter().flat_map(|leaf| leaf.to_le_bytes()));
        }
        bytes
    }

    fn stump() -> Vec<u8> {
        forest_bytes(2, &[Node::Split(1, 0.5, Box::new([Node::Leaf(-1.0), Node::Leaf(2.0)]))])
    }

    #[test]
    fn rows_fall_into_leaves() {
        let forest = Forest::read(&stump()).unwrap();
        assert_eq!(forest.margins(&[9.0, 0.5, 9.0, 0.6]), [-1.0, 2.0]);
        assert_eq!(forest.margins(&[0.0, 0.0].repeat(21)), [-1.0].repeat(21));
    }

    #[test]
    fn what_is_no_forest_is_refused() {
        let good = stump();
        for len in 0..good.len() {
            assert!(Forest::read(&good[..len]).is_none(), "{len}");
        }
        for place in [0, LEAF | 1, LEAF | 2, 1] {
            let mut bad = good.clone();
            bad[24..26].copy_from_slice(&place.to_le_bytes());
            assert!(Forest::read(&bad).is_none(), "{place}");
        }
    }

    const FEATURES: usize = 4;

    fn tree() -> impl Strategy<Value = Node> {
        let leaf = (-8i8..8).prop_map(|value| Node::Leaf(f32::from(value) / 3.0));
        let tree = leaf.prop_recursive(7, 31, 2, |child| {
            (0..FEATURES as u16, -3i8..3, [child.clone(), child])
                .prop_map(|(feature, threshold, children)| Node::Split(feature, threshold.into(), Box::new(children)))
        });
        tree.prop_filter("too many leaves", |tree| tree.splits() < MAX_LEAVES)
    }

    fn number() -> impl Strategy<Value = f32> {
        let odd = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0)];
        prop_oneof![6 => (-4i8..4).prop_map(f32::from), 1 => odd]
    }

    proptest! {
        #[test]
        fn sums_are_those_of_walking_down(
            trees in proptest::collection::vec(tree(), 0..9),
            rows in proptest::collection::vec(proptest::collection::vec(number(), FEATURES), 0..20),
            first in 0..9usize,
        ) {
            let bytes = forest_bytes(FEATURES as u32, &trees);
            let expected: Vec<f32> =
                rows.iter().map(|row| trees.iter().fold(0.0, |sum, tree| sum + tree.value(row))).collect();
            prop_assert_eq!(&Forest::read(&bytes).unwrap().margins(&rows.concat()), &expected);

            // As on processors without vectors.
            let (forest, rows_of_all) = (Forest::read(&bytes).unwrap(), rows.concat());
            let numbers: Vec<usize> = (0..rows.len()).collect();
            let mut margins = vec![0.0; rows.len()];
            Addition { forest: &forest, rows: &rows_of_all, numbers: &numbers, margins: &mut margins }.with_simd(pulp::Scalar);
            prop_assert_eq!(&margins, &expected);

            let [early, late] = Forest::read_in_two(&bytes, first).unwrap();
            let mut margins = early.margins(&rows_of_all);
            late.add(&rows_of_all, &numbers, &mut margins);
            prop_assert_eq!(margins, expected);
        }
    }

    #[test]
    fn sigmoids() {
        for x in [-30.0, -5.0, -0.3, 0.0, 0.7, 3.0, 20.0f32] {
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() < 2e-6, "{x}");
        }
    }
}
