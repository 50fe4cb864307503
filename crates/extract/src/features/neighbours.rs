//! The features of a block's neighbours.

use super::page_context::PageContext;
use super::{BLOCK_WORDS, FeatureSink, share};
use crate::blocks::{BlockKind, Container};

/// Writes what stands before and behind a block.
pub(super) fn neighbours(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let blocks = &context.page.blocks;
    let steps: [(&str, isize); 6] = [("-3", -3), ("-2", -2), ("-1", -1), ("+1", 1), ("+2", 2), ("+3", 3)];
    for (name, step) in steps {
        let other = number.checked_add_signed(step).and_then(|at| blocks.get(at).map(|block| (at, block)));
        let Some((at, block)) = other else {
            for feature in ["near_words", "near_link_density", "near_weight", "near_kind", "near_apart"] {
                to.put(feature, name, -1.0);
            }
            continue;
        };
        to.put("near_words", name, (block.words as f32).min(BLOCK_WORDS));
        to.put("near_link_density", name, block.link_density());
        to.put("near_weight", name, block.weight.min(BLOCK_WORDS));
        to.put(
            "near_kind",
            name,
            match block.kind {
                BlockKind::Heading(_) => 1.0,
                BlockKind::ListItem { .. } => 2.0,
                BlockKind::Cell { .. } => 3.0,
                BlockKind::Preformatted => 4.0,
                _ => 0.0,
            },
        );
        to.put("near_apart", name, apart(context, number, at) as f32);
    }
    for (name, radius) in [("5", 5), ("15", 15)] {
        let from = number.saturating_sub(radius);
        let to_end = (number + radius + 1).min(blocks.len());
        let words = context.words_before[to_end] - context.words_before[from];
        let weight = context.weight_before[to_end] - context.weight_before[from];
        to.put("window_words", name, (words as f32 / (to_end - from) as f32).min(BLOCK_WORDS));
        to.put("window_sentences", name, share(weight, words as f32));
    }
}

/// Levels from a block's container up to the one that holds the other block too.
fn apart(context: &PageContext, block: usize, other: usize) -> u32 {
    let blocks = &context.page.blocks;
    levels_to_common(&context.page.containers, blocks[block].container, blocks[other].container).0
}

/// Levels from each of two containers up to the innermost one around both.
pub(super) fn levels_to_common(all: &[Container], mut a: u32, mut b: u32) -> (u32, u32) {
    let (mut above_a, mut above_b) = (0, 0);
    while a != b {
        if all[a as usize].depth >= all[b as usize].depth {
            a = all[a as usize].parent;
            above_a += 1;
        } else {
            b = all[b as usize].parent;
            above_b += 1;
        }
    }
    (above_a, above_b)
}
