//! Boosted trees: a row's prediction is the sum of the leaves that it falls into.
//!
//! A forest is read from the bytes that `train/train.py` writes (all numbers little-endian):
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `WTFOREST` |
//! | 4 | features of a row |
//! | 4 | trees |
//! | then for each tree: 2 | splits |
//! | 10 per split | feature (2), threshold (4, a float), place if not above it (2), place if above it (2) |
//! | 4 per leaf | value (a float); there is one leaf more than splits |
//!
//! A place is that of a split of the same tree, or, with its upper bit set, of a leaf.

use std::ops::Range;

/// A forest for predictions.
#[derive(Debug)]
pub struct Forest {
    features: usize,
    /// Splits and leaves of all trees.
    nodes: Vec<Node>,
    trees: Vec<Tree>,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    /// Its first node, and how many there are.
    first: u32,
    nodes: u32,
    /// Splits on the longest path to a leaf.
    depth: u32,
}

/// A split or a leaf. Both children of a leaf are the leaf itself, whatever the row.
#[derive(Debug, Clone, Copy)]
struct Node {
    threshold: f32,
    feature: u16,
    /// Children for rows at or below the threshold, and for rows above it: nodes of the same tree.
    next: [u16; 2],
    /// Value of a leaf.
    value: f32,
}

const LEAF: u16 = 1 << 15;
const MAGIC: &[u8; 8] = b"WTFOREST";
/// Rows that descend a tree in parallel, so that none waits for memory or for a comparison of another.
const LANES: usize = 8;

impl Forest {
    /// Reads a forest; `None` when the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Forest> {
        let mut reader = Reader { bytes: bytes.strip_prefix(MAGIC)? };
        let features = reader.u32()? as usize;
        let count = reader.u32()?;
        let mut forest = Forest { features, nodes: Vec::new(), trees: Vec::new() };
        for _ in 0..count {
            forest.read_tree(&mut reader)?;
        }
        reader.bytes.is_empty().then_some(forest)
    }

    fn read_tree(&mut self, reader: &mut Reader) -> Option<()> {
        let splits = reader.u16()?;
        let first = self.nodes.len();
        let mut depths = vec![0; usize::from(splits)];
        for at in 0..splits {
            let (feature, threshold) = (reader.u16()?, f32::from_le_bytes(reader.take()?));
            let mut next = [reader.u16()?, reader.u16()?];
            for place in &mut next {
                if *place & LEAF != 0 {
                    // Leaves come after the splits.
                    let leaf = *place & !LEAF;
                    *place = (leaf <= splits).then(|| splits + leaf)?;
                } else if *place <= at || *place >= splits {
                    // Places only increase, so that every descent ends.
                    return None;
                } else {
                    depths[usize::from(*place)] = depths[usize::from(at)] + 1;
                }
            }
            if usize::from(feature) >= self.features {
                return None;
            }
            self.nodes.push(Node { threshold, feature, next, value: 0.0 });
        }
        for leaf in 0..=splits {
            let value = f32::from_le_bytes(reader.take()?);
            let next = [splits + leaf; 2];
            self.nodes.push(Node { threshold: f32::INFINITY, feature: 0, next, value });
        }
        let depth = depths.into_iter().max().map_or(0, |depth| depth + 1);
        let nodes = (self.nodes.len() - first) as u32;
        self.trees.push(Tree { first: first as u32, nodes, depth });
        Some(())
    }

    /// Numbers per row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The sum of each row's leaves. Rows are concatenated.
    ///
    /// Trees are the outer loop, so that a tree stays in the L1 cache.
    ///
    /// # Panics
    /// When the numbers are not whole rows.
    pub fn sums(&self, rows: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; rows.len() / self.features];
        self.add(0..self.trees.len(), rows, &mut sums);
        sums
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Adds the leaves of a range of trees to each row's sum.
    ///
    /// # Panics
    /// When the numbers are not whole rows, or there are fewer trees.
    pub fn add(&self, trees: Range<usize>, rows: &[f32], sums: &mut [f32]) {
        assert_eq!(rows.len(), sums.len() * self.features, "rows have {} features", self.features);
        for tree in &self.trees[trees] {
            let nodes = &self.nodes[tree.first as usize..][..tree.nodes as usize];
            let mut sums = sums.chunks_exact_mut(LANES);
            let mut lanes = rows.chunks_exact(LANES * self.features);
            for (sums, rows) in (&mut sums).zip(&mut lanes) {
                let rows: [&[f32]; LANES] = std::array::from_fn(|lane| &rows[lane * self.features..][..self.features]);
                let mut places = [0u16; LANES];
                for _ in 0..tree.depth {
                    places = std::array::from_fn(|lane| step(nodes, places[lane], rows[lane]));
                }
                for (sum, place) in sums.iter_mut().zip(places) {
                    *sum += nodes[usize::from(place)].value;
                }
            }
            let rest = lanes.remainder().chunks_exact(self.features);
            for (sum, row) in sums.into_remainder().iter_mut().zip(rest) {
                let place = (0..tree.depth).fold(0, |place, _| step(nodes, place, row));
                *sum += nodes[usize::from(place)].value;
            }
        }
    }
}

/// One step down. The comparison is an index and not a branch, since branches would be mispredicted.
#[inline(always)]
fn step(nodes: &[Node], place: u16, row: &[f32]) -> u16 {
    let node = &nodes[usize::from(place)];
    node.next[usize::from(row[usize::from(node.feature)] > node.threshold)]
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
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
    use super::*;

    fn stump() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(0.5f32.to_le_bytes());
        bytes.extend((LEAF).to_le_bytes());
        bytes.extend((LEAF | 1).to_le_bytes());
        bytes.extend((-1.0f32).to_le_bytes());
        bytes.extend(2.0f32.to_le_bytes());
        bytes
    }

    #[test]
    fn rows_fall_into_leaves() {
        let forest = Forest::read(&stump()).unwrap();
        assert_eq!(forest.sums(&[9.0, 0.5, 9.0, 0.6]), [-1.0, 2.0]);
    }

    #[test]
    fn what_is_no_forest_is_refused() {
        let good = stump();
        for len in 0..good.len() {
            assert!(Forest::read(&good[..len]).is_none(), "{len}");
        }
        assert_eq!(Forest::read(&good).unwrap().sums(&[0.0, 0.0].repeat(21)), [-1.0].repeat(21));
        let mut endless = good.clone();
        endless[24..26].copy_from_slice(&0u16.to_le_bytes());
        assert!(Forest::read(&endless).is_none());
    }

    #[test]
    fn sigmoids() {
        for x in [-30.0, -5.0, -0.3, 0.0, 0.7, 3.0, 20.0f32] {
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() < 2e-6, "{x}");
        }
    }
}
