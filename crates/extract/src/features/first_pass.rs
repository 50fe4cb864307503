//! The additional features of the second model: the first model's probabilities of a block's neighbours, containers and
//! template.

use super::page_context::{ByHash, PageContext};
use super::{FeatureSink, PAGE_WORDS, share};
use crate::blocks::Blocks;

/// The first model's probabilities of a page's blocks, summed by container and template, as expected words of main
/// text: words times probability.
pub struct FirstPass<'a> {
    context: &'a PageContext<'a>,
    probabilities: &'a [f32],
    /// By container: words times probability.
    expected_words: Vec<f32>,
    templates: ByHash<(f32, f32)>,
    expected_words_before: Vec<f32>,
    best: u32,
    sure_before: Vec<u32>,
    sure_after: Vec<u32>,
    top: f32,
}

/// A block with at least this probability is certain enough to support others.
const SURE: f32 = 0.7;

impl<'a> FirstPass<'a> {
    /// `probabilities` has the first model's probability of each block.
    pub fn new(context: &'a PageContext<'a>, probabilities: &'a [f32]) -> FirstPass<'a> {
        let page = context.page;
        let mut expected_words = vec![0.0f32; page.containers.len()];
        let mut templates: ByHash<(f32, f32)> = ByHash::default();
        let mut expected_words_before = vec![0.0f32];
        let (mut sure_before, mut sure_after) = (Vec::new(), vec![100; page.blocks.len()]);
        let mut last_sure = None;
        for (number, (block, &probability)) in page.blocks.iter().zip(probabilities).enumerate() {
            let weighed = probability * block.words as f32;
            expected_words[block.container as usize] += weighed;
            let template = templates.entry(context.template(number)).or_default();
            template.0 += weighed;
            template.1 += block.words as f32;
            expected_words_before.push(expected_words_before[number] + weighed);
            sure_before.push(last_sure.map_or(100, |sure: usize| (number - sure).min(100) as u32));
            if probability >= SURE && block.words >= 8 {
                last_sure = Some(number);
            }
        }
        let mut next_sure = None;
        for number in (0..page.blocks.len()).rev() {
            if let Some(sure) = next_sure {
                sure_after[number] = usize::min(sure - number, 100) as u32;
            }
            if probabilities[number] >= SURE && page.blocks[number].words >= 8 {
                next_sure = Some(number);
            }
        }
        for at in (1..expected_words.len()).rev() {
            expected_words[page.containers[at].parent as usize] += expected_words[at];
        }
        let best = descend_expected_words(page, &expected_words, 0.8);
        let top = probabilities.iter().copied().fold(0.0, f32::max);
        FirstPass {
            context,
            probabilities,
            expected_words,
            templates,
            expected_words_before,
            best,
            sure_before,
            sure_after,
            top,
        }
    }
}

fn descend_expected_words(page: &Blocks, expected_words: &[f32], share: f32) -> u32 {
    let mut best = 0;
    // Parents come before children, so the last one that qualifies on the path is the innermost.
    for (number, container) in page.containers.iter().enumerate().skip(1) {
        if container.parent == best
            && expected_words[number] >= share * expected_words[0]
            && expected_words[number] > 0.0
        {
            best = number as u32;
        }
    }
    best
}

/// Writes the features of a block that need the first model's probabilities.
pub fn describe_first_pass(first_pass: &FirstPass, number: usize, to: &mut impl FeatureSink) {
    let context = first_pass.context;
    let page = context.page;
    let block = &page.blocks[number];
    let probability =
        |at: usize, step: isize| at.checked_add_signed(step).and_then(|at| first_pass.probabilities.get(at));
    to.put("probability", "", first_pass.probabilities[number]);
    let steps = [("-4", -4), ("-3", -3), ("-2", -2), ("-1", -1), ("+1", 1), ("+2", 2), ("+3", 3), ("+4", 4)];
    for (name, step) in steps {
        to.put("probability_near", name, probability(number, step).copied().unwrap_or(-0.1));
    }
    for (name, radius) in [("5", 5), ("12", 12), ("30", 30)] {
        for (before, from, end) in [
            (true, number.saturating_sub(radius), number),
            (false, number + 1, (number + 1 + radius).min(page.blocks.len())),
        ] {
            let end = end.max(from.min(page.blocks.len()));
            let from = from.min(end);
            let expected_words = first_pass.expected_words_before[end] - first_pass.expected_words_before[from];
            let words = context.words_before[end] - context.words_before[from];
            to.put(
                if before { "probability_before" } else { "probability_after" },
                name,
                share(expected_words, words as f32),
            );
        }
    }
    let mut at = block.container;
    for level in ["own", "parent", "second", "third", "fourth", "fifth"] {
        let here = &page.containers[at as usize];
        // Without the block itself, unless it is the only one.
        let own = first_pass.probabilities[number] * block.words as f32;
        let others = here.words - block.words;
        let mean = if others > 0 { (first_pass.expected_words[at as usize] - own) / others as f32 } else { -0.1 };
        to.put("probability_container", level, mean);
        to.put(
            "probability_container_share",
            level,
            share(first_pass.expected_words[at as usize], first_pass.expected_words[0].min(PAGE_WORDS)).min(1.0),
        );
        at = here.parent;
    }
    let (expected_words, words) = first_pass.templates[&context.template(number)];
    let others = words - block.words as f32;
    let own = first_pass.probabilities[number] * block.words as f32;
    to.put("probability_template", "", if others > 0.0 { (expected_words - own) / others } else { -0.1 });
    to.put("probability_page", "", share(first_pass.expected_words[0], page.containers[0].words as f32));
    to.put("probability_page_words", "", first_pass.expected_words[0].min(PAGE_WORDS));
    to.put("probability_top", "", first_pass.top);
    to.put("probability_place", "", share(first_pass.expected_words_before[number], first_pass.expected_words[0]));
    to.put("sure_before", "", first_pass.sure_before[number] as f32);
    to.put("sure_after", "", first_pass.sure_after[number] as f32);
    let (mut at, mut levels) = (block.container, 0.0);
    while page.containers[at as usize].depth > page.containers[first_pass.best as usize].depth {
        at = page.containers[at as usize].parent;
        levels += 1.0;
    }
    to.put("in_probable_best", "", if at == first_pass.best { levels } else { -1.0 });
}
