//! Two cheap rule-based classifications of blocks as main text, as votes among the features.
//!
//! One looks for the element whose paragraphs score most, as reader views do; the other looks only at the sequence of
//! blocks, with their lengths, links and function words, as the boilerplate removers of corpus linguistics do.

use crate::blocks::{BlockKind, Blocks};
use crate::labels::group;

/// The rules' votes for the blocks and containers of a page.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    /// By container: points of the paragraphs below it, minus those of links.
    pub(crate) points: Vec<f32>,
    /// The container with the most points.
    pub(crate) top: u32,
    /// By block, from its own text: 0 boilerplate, 1 too short to tell, 2 nearly good, 3 good.
    pub(crate) alone: Vec<u8>,
    /// By block: the same after looking at the nearest blocks that are not short.
    pub(crate) among: Vec<u8>,
    /// By block: the class of the nearest block before and after it that is not short.
    pub(crate) sides: Vec<(u8, u8)>,
}

/// Labels for main text, and labels against it.
const FOR: u32 = labels_of(&["content", "article", "documentation"]);
const AGAINST: u32 = labels_of(&[
    "comment",
    "sidebar",
    "navigation",
    "footer",
    "share",
    "related",
    "advertisement",
    "widget",
    "overlay",
    "account",
    "tags",
]);

const fn labels_of(names: &[&str]) -> u32 {
    let mut labels = 0;
    let mut at = 0;
    while at < names.len() {
        labels |= 1 << group(names[at]);
        at += 1;
    }
    labels
}

/// The commas and function words of each block are passed in, since the features count them too.
pub(crate) fn votes(page: &Blocks, commas: &[u32], functions: &[u32]) -> Votes {
    let mut votes = Votes::default();
    points(page, commas, &mut votes);
    runs(page, functions, &mut votes);
    votes
}

fn points(page: &Blocks, commas: &[u32], votes: &mut Votes) {
    let all = &page.containers;
    votes.points = all
        .iter()
        .map(|container| match (container.labels.0 & FOR != 0, container.labels.0 & AGAINST != 0) {
            (true, false) => 25.0,
            (false, true) => -25.0,
            _ => 0.0,
        })
        .collect();
    for (block, &commas) in page.blocks.iter().zip(commas) {
        let is_running = matches!(block.kind, BlockKind::Paragraph | BlockKind::Preformatted | BlockKind::Cell { .. });
        if !is_running || block.bytes() < 25 {
            continue;
        }
        let points = 1.0 + commas as f32 + (block.bytes() as f32 / 100.0).min(3.0);
        let mut at = all[block.container as usize].parent;
        for divisor in [1.0, 2.0, 6.0, 9.0] {
            votes.points[at as usize] += points / divisor;
            if at == 0 {
                break;
            }
            at = all[at as usize].parent;
        }
    }
    let mut top = 0;
    for (number, container) in all.iter().enumerate() {
        let links = container.link_bytes as f32 / container.bytes.max(1) as f32;
        votes.points[number] *= 1.0 - links;
        if votes.points[number] > votes.points[top] {
            top = number;
        }
    }
    votes.top = top as u32;
}

fn runs(page: &Blocks, functions: &[u32], votes: &mut Votes) {
    votes.alone = page
        .blocks
        .iter()
        .zip(functions)
        .map(|(block, &functions)| {
            let function_share = functions as f32 / block.words.max(1) as f32;
            match block.bytes() {
                _ if block.link_density() > 0.2 => 0,
                ..70 if block.link_bytes > 0 => 0,
                ..70 => 1,
                200.. if function_share >= 0.3 => 3,
                _ if function_share >= 0.3 => 2,
                200.. if function_share >= 0.2 => 2,
                _ => 0,
            }
        })
        .collect();
    let mut before = 0;
    votes.sides = vec![(0, 0); votes.alone.len()];
    for (number, &class) in votes.alone.iter().enumerate() {
        votes.sides[number].0 = before;
        if class != 1 {
            before = class;
        }
    }
    let mut after = 0;
    for (number, &class) in votes.alone.iter().enumerate().rev() {
        votes.sides[number].1 = after;
        if class != 1 {
            after = class;
        }
    }
    votes.among = votes
        .alone
        .iter()
        .zip(&votes.sides)
        .map(|(&class, &(before, after))| match class {
            1 if before >= 2 && after >= 2 => 3,
            1 if before == 3 || after == 3 => 2,
            2 if before == 3 || after == 3 => 3,
            class => class,
        })
        .collect();
}
