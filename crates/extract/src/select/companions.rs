//! Blocks that say little without another: a term without its definition, an answer without its question, a row without a
//! cell. Where one is kept, so is the other.

use std::collections::{HashMap, HashSet};
use std::mem::discriminant;

use super::{BlockReason, MIN_PROBABILITY_AMONG_MAIN_TEXT};
use crate::blocks::{Block, BlockKind, Blocks};
use crate::features::PageContext;
use crate::html::NodeId;

/// Minimum probability of a term or definition whose companion is kept.
const MIN_COMPANION_PROBABILITY: f32 = 0.05;
/// Minimum probability of a question whose answer is kept.
const MIN_QUESTION_PROBABILITY: f32 = 0.15;
/// Minimum probability of code between two kept paragraphs, and of those.
const MIN_CODE_PROBABILITY: f32 = 0.2;
const MIN_SURE_PROBABILITY: f32 = 0.8;
/// Blocks alike are at least so many, and where so large a share of them is kept, the others are from this probability on.
const MIN_BLOCKS_ALIKE: usize = 4;
const MIN_SHARE_ALIKE: f32 = 0.5;
const MIN_PROBABILITY_ALIKE: f32 = 0.1;

/// Keeps the terms of kept definitions and the questions above kept answers, and the reverse; and code between two kept
/// paragraphs of one element.
pub(super) fn keep_companions(page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let is_pair = |number: usize, pair: &[Block]| match (pair[0].kind, pair[1].kind) {
        (BlockKind::Term, BlockKind::Definition) => true,
        (BlockKind::Heading(_), BlockKind::Paragraph) => {
            is_question(page.text_of(&pair[0])) && probabilities[number] >= MIN_QUESTION_PROBABILITY
        }
        _ => false,
    };
    for number in 1..reasons.len().saturating_sub(1) {
        let is_code = page.blocks[number].kind == BlockKind::Preformatted && reasons[number] == BlockReason::Unlikely;
        let is_between = reasons[number - 1].is_kept() && reasons[number + 1].is_kept();
        let are_paragraphs = [number - 1, number + 1].into_iter().all(|at| probabilities[at] >= MIN_SURE_PROBABILITY);
        if is_code && is_between && are_paragraphs && probabilities[number] >= MIN_CODE_PROBABILITY {
            reasons[number] = BlockReason::Companion;
        }
    }
    for (number, pair) in page.blocks.windows(2).enumerate() {
        if !is_pair(number, pair) {
            continue;
        }
        for (kept, other) in [(number + 1, number), (number, number + 1)] {
            let is_missing = reasons[kept].is_kept() && reasons[other] == BlockReason::Unlikely;
            if is_missing && probabilities[other] >= MIN_COMPANION_PROBABILITY {
                reasons[other] = BlockReason::Companion;
            }
        }
    }
}

/// Keeps the lines that ask for what is hidden at first, where it is kept: the question of an answer, the name of a tab;
/// and the answers to questions, if they are in doubt.
pub(super) fn keep_controls(context: &PageContext, page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let controls: HashMap<NodeId, NodeId> =
        page.panels.iter().filter_map(|panel| Some((panel.node, panel.control?))).collect();
    if controls.is_empty() {
        return;
    }
    let around = |number: usize| context.elements_around(page.blocks[number].first);
    let asks = |number: &usize| is_question(page.text_of(&page.blocks[*number]));
    let questions: HashSet<NodeId> = (0..reasons.len()).filter(asks).flat_map(around).collect();
    let mut keep = |number: usize, min: f32| {
        if reasons[number] == BlockReason::Unlikely && probabilities[number] >= min {
            reasons[number] = BlockReason::Companion;
        }
        reasons[number].is_kept()
    };
    let mut asking = HashSet::new();
    for number in 0..page.blocks.len() {
        let Some(control) = around(number).find_map(|node| controls.get(&node)) else { continue };
        let min = if questions.contains(control) { MIN_PROBABILITY_AMONG_MAIN_TEXT } else { 1.0 };
        if keep(number, min) {
            asking.insert(*control);
        }
    }
    for number in (0..page.blocks.len()).filter(|&number| around(number).any(|node| asking.contains(&node))) {
        keep(number, MIN_COMPANION_PROBABILITY);
    }
}

fn is_question(text: &str) -> bool {
    text.trim_end().ends_with(['?', '？', '؟'])
}

/// Keeps the cells of tables of which at least half are kept: a cell that is left out looks like an empty one, and changes
/// what its row and its column say.
pub(super) fn keep_cells(context: &PageContext, page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let table_of = |block: &Block| match block.kind {
        BlockKind::Cell { row, .. } => context.table_around(row),
        _ => None,
    };
    let mut counts: HashMap<NodeId, (u32, u32)> = HashMap::new();
    for (block, reason) in page.blocks.iter().zip(&*reasons) {
        if let Some(table) = table_of(block) {
            let (all, kept) = counts.entry(table).or_default();
            *all += 1;
            *kept += u32::from(reason.is_kept());
        }
    }
    for (number, block) in page.blocks.iter().enumerate() {
        if reasons[number] != BlockReason::Unlikely {
            continue;
        }
        let is_of_kept = table_of(block).is_some_and(|table| counts[&table].1 * 2 >= counts[&table].0);
        if is_of_kept && probabilities[number] >= MIN_COMPANION_PROBABILITY {
            reasons[number] = BlockReason::Companion;
        }
    }
}

/// Keeps the blocks of which many others, in elements of the same classes, are kept: the name of each product, the
/// description of each. Cells of tables are [`keep_cells`]'.
pub(super) fn keep_alike(context: &PageContext, page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let shape = |number: usize| (discriminant(&page.blocks[number].kind), context.shape_around(number));
    let mut counts: HashMap<_, (usize, usize)> = HashMap::new();
    for (number, reason) in reasons.iter().enumerate() {
        let (all, kept) = counts.entry(shape(number)).or_default();
        *all += 1;
        *kept += usize::from(reason.is_kept());
    }
    for number in 0..reasons.len() {
        let (all, kept) = counts[&shape(number)];
        let is_alike = all >= MIN_BLOCKS_ALIKE && kept as f32 >= MIN_SHARE_ALIKE * all as f32;
        let is_cell = matches!(page.blocks[number].kind, BlockKind::Cell { .. });
        if reasons[number] == BlockReason::Unlikely
            && is_alike
            && !is_cell
            && probabilities[number] >= MIN_PROBABILITY_ALIKE
        {
            reasons[number] = BlockReason::Alike;
        }
    }
}
