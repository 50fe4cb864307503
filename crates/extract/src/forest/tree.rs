//! Reads the trees of a forest, and puts the leaves of each in their order from left to right.

use std::ops::Range;

use super::{LEAF, MAX_LEAVES};

/// A tree as it is read.
pub(super) struct Tree {
    /// Feature, threshold, and the leaves that stay when a row is above it.
    pub(super) splits: Vec<(u16, f32, u32)>,
    /// Their values, from left to right.
    pub(super) leaves: [f32; MAX_LEAVES],
}

impl Tree {
    pub(super) fn read(reader: &mut Reader, features: usize) -> Option<Tree> {
        let count = usize::from(reader.u16()?);
        if count >= MAX_LEAVES {
            return None;
        }
        let mut splits = Vec::with_capacity(count);
        for _ in 0..count {
            let (feature, threshold) = (reader.u16()?, f32::from_le_bytes(reader.take()?));
            if usize::from(feature) >= features || threshold.is_nan() {
                return None;
            }
            splits.push((feature, threshold, [reader.u16()?, reader.u16()?]));
        }
        let order = LeafOrder::of(&splits.iter().map(|split| split.2).collect::<Vec<_>>())?;
        let mut leaves = [0.0; MAX_LEAVES];
        for place in order.leaves {
            leaves[place] = f32::from_le_bytes(reader.take()?);
        }
        let kept = order.left.into_iter().map(|left| !left.fold(0, |lost, leaf| lost | 1 << leaf));
        let splits = splits.into_iter().zip(kept).map(|((feature, threshold, _), kept)| (feature, threshold, kept));
        Some(Tree { splits: splits.collect(), leaves })
    }
}

/// The leaves of a tree from left to right.
struct LeafOrder {
    /// By leaf of the file: its place.
    leaves: Vec<usize>,
    /// By split: the places of the leaves for rows that are not above its threshold.
    left: Vec<Range<usize>>,
    placed: usize,
}

impl LeafOrder {
    /// `None` where the children of the splits do not make a tree.
    fn of(children: &[[u16; 2]]) -> Option<LeafOrder> {
        let count = children.len();
        let mut order = LeafOrder { leaves: vec![usize::MAX; count + 1], left: vec![0..0; count], placed: 0 };
        order.place(if count == 0 { LEAF } else { 0 }, children)?;
        // Every leaf was met, and so was every split: a tree has one leaf more.
        (order.placed == count + 1).then_some(order)
    }

    /// Places the leaves of a split or leaf. Children come after their split, so that this ends, and no leaf has two
    /// places, so that it ends soon.
    fn place(&mut self, place: u16, children: &[[u16; 2]]) -> Option<()> {
        let number = usize::from(place & !LEAF);
        if place & LEAF != 0 {
            let leaf = self.leaves.get_mut(number).filter(|leaf| **leaf == usize::MAX)?;
            *leaf = self.placed;
            self.placed += 1;
            return Some(());
        }
        let [left, right] = *children.get(number)?;
        let is_after = |child: u16| child & LEAF != 0 || usize::from(child) > number;
        if !is_after(left) || !is_after(right) {
            return None;
        }
        let start = self.placed;
        self.place(left, children)?;
        self.left[number] = start..self.placed;
        self.place(right, children)
    }
}

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
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
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
}
