//! Decides which blocks are kept, and why.
//!
//! The model gives each block the probability that it is main text. This module has the few decisions that are policies
//! or certain: the title, comments, repeated text.

mod companions;

use std::collections::HashMap;
use std::ops::Range;

use companions::{keep_alike, keep_cells, keep_companions, keep_controls};

use crate::blocks::{Block, BlockKind, Blocks, ends_like_sentence};
use crate::boilerplate::{self, Boilerplate};
use crate::features::PageContext;
use crate::{Inclusion, Options, PageKind};

/// Minimum probability of a kept block. From 0.30 to 0.54, wcxb-dev goes from 0.862 over 0.863 (0.36) to 0.852, newspaper4k
/// from 0.928 to 0.935: what one set gains, the other loses.
const MIN_PROBABILITY: f32 = 0.42;
/// The same on listings and product pages, whose text is in short fragments of middling probability; but not on a page
/// of fewer than [`MIN_WORDS_OF_FRAGMENTS`] words, fewer than nearly all training pages have, where every probability
/// is middling.
const MIN_PROBABILITY_OF_FRAGMENTS: f32 = 0.32;
const MIN_WORDS_OF_FRAGMENTS: u32 = 200;
/// Blocks of fewer words may be repeated any number of times.
const MIN_REPEATED_WORDS: u32 = 8;
/// A block of this many words is kept only once per page.
const MIN_LONG_WORDS: u32 = 40;
/// The same for a block of less than [`MIN_PROBABILITY_OF_COPY`], from which on a list's item may be repeated.
const MIN_UNSURE_LONG_WORDS: u32 = 30;
const MIN_PROBABILITY_OF_COPY: f32 = 0.75;
/// From this many words on, running text in one element is the page's text.
const MIN_LONG_TEXT_WORDS: f32 = 2_000.0;
/// Where no block reaches its minimum, sentences of this many words are kept from [`MIN_SENTENCE_PROBABILITY`] on.
const MIN_SENTENCE_WORDS: f32 = 6.0;
const MIN_SENTENCE_PROBABILITY: f32 = 0.05;
/// Among blocks of which this share of the words is kept, a block is kept from [`MIN_PROBABILITY_AMONG_MAIN_TEXT`] on.
const MIN_NEIGHBOUR_SHARE: f32 = 0.8;
const MIN_PROBABILITY_AMONG_MAIN_TEXT: f32 = 0.3;
/// Words of a heading that is a title though `<title>` does not repeat it, and blocks from it to the text.
const MIN_TITLE_WORDS: u32 = 2;
const MAX_BLOCKS_BELOW_TITLE: usize = 4;
/// With fewer words beside its boilerplate, a page has no other text.
const MIN_WORDS_BESIDE_BOILERPLATE: u32 = 25;
/// With this many words beside its comments, a page has a main text other than its comments.
const MIN_TEXT_WORDS: u32 = 50;
/// With a larger share of the words that would be kept, reviews are what a product's page is about.
const MAX_SHARE_OF_REVIEWS: f32 = 0.4;
/// More headings in a row at the end are the entries of a list, and not headings of nothing.
const MAX_EMPTY_HEADINGS: usize = 3;

/// Why a block was kept or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockReason {
    /// The model classifies it as main text.
    Likely,
    /// It is in the element that holds a long text.
    LongText,
    /// Its probability is middling, and its element otherwise holds main text.
    AmongMainText,
    /// No block reaches the minimum probability, and it is a sentence.
    BestThereIs,
    /// It is the page's title.
    Title,
    /// It is a reader's comment, and comments are kept.
    Comment,
    /// The model does not classify it as main text.
    Unlikely,
    /// It is a reader's comment, and comments are dropped.
    CommentLeftOut,
    /// It is in `<noscript>`, and there is other text.
    ForScriptless,
    /// It is the page's title, and titles are dropped.
    TitleLeftOut,
    /// The same text was kept before.
    Repeated,
    /// It stands beside the text of a short page.
    BesideText,
    /// A heading with nothing kept under it.
    HeadingOfNothing,
    /// It belongs to a block that was kept: a term to its definition, a cell to its table.
    Companion,
    /// It is like many blocks that were kept.
    Alike,
    /// It is certain to be no part of a text.
    Boilerplate(Boilerplate),
}

impl BlockReason {
    /// Whether the block is part of the text.
    pub fn is_kept(self) -> bool {
        use BlockReason::{Alike, AmongMainText, BestThereIs, Comment, Companion, Likely, LongText, Title};
        matches!(self, Alike | Companion | Likely | LongText | AmongMainText | BestThereIs | Title | Comment)
    }

    /// A description for people.
    pub fn describe(self) -> &'static str {
        match self {
            BlockReason::Likely => "main text",
            BlockReason::LongText => "part of a long text",
            BlockReason::AmongMainText => "among main text",
            BlockReason::BestThereIs => "the best there is",
            BlockReason::Title => "the title",
            BlockReason::Comment => "a comment, kept as asked",
            BlockReason::Unlikely => "not main text",
            BlockReason::CommentLeftOut => "a comment, left out as asked",
            BlockReason::ForScriptless => "for readers without scripts",
            BlockReason::TitleLeftOut => "the title, left out as asked",
            BlockReason::Repeated => "stood before",
            BlockReason::BesideText => "beside the text",
            BlockReason::HeadingOfNothing => "a heading of nothing",
            BlockReason::Companion => "belongs to what was kept",
            BlockReason::Alike => "like others that were kept",
            BlockReason::Boilerplate(boilerplate) => boilerplate.describe(),
        }
    }
}

/// Decides about every block of a page.
pub fn select(
    context: &PageContext,
    page: &Blocks,
    probabilities: &[f32],
    kind: PageKind,
    options: &Options,
) -> Vec<BlockReason> {
    let threshold = match kind {
        PageKind::Listing | PageKind::Product if page.words() >= MIN_WORDS_OF_FRAGMENTS => MIN_PROBABILITY_OF_FRAGMENTS,
        _ => MIN_PROBABILITY,
    };
    let mut reasons: Vec<BlockReason> = probabilities
        .iter()
        .map(|&probability| if probability >= threshold { BlockReason::Likely } else { BlockReason::Unlikely })
        .collect();
    keep_long_text(context, page, &mut reasons);
    keep_among_main_text(page, probabilities, &mut reasons);
    keep_companions(page, probabilities, &mut reasons);
    keep_controls(context, page, probabilities, &mut reasons);
    keep_cells(context, page, probabilities, &mut reasons);
    // On listings in other languages, which are often articles, blocks alike are headlines of other articles.
    let is_of_entries = matches!(kind, PageKind::Listing | PageKind::Product) && context.is_english();
    if is_of_entries {
        keep_alike(context, page, probabilities, &mut reasons);
    }
    take_text_below_title(context, page, probabilities, &mut reasons);
    leave_boilerplate(context, page, kind, &mut reasons);
    leave_beside_text(page, &mut reasons, BlockReason::ForScriptless, |number| context.is_for_scriptless(number));
    match options.comments {
        Inclusion::Keep => keep_comments(context, page, &mut reasons),
        Inclusion::Drop
            if kind == PageKind::Product && share_of_comments(context, page, &reasons) > MAX_SHARE_OF_REVIEWS => {}
        Inclusion::Drop if kind != PageKind::Forum => {
            leave_beside_text(page, &mut reasons, BlockReason::CommentLeftOut, |number| context.is_comment(number));
        }
        Inclusion::Drop => {}
    }
    if !reasons.iter().any(|reason| reason.is_kept()) {
        keep_sentences(context, page, probabilities, &mut reasons);
    }
    leave_repeated(page, probabilities, &mut reasons);
    leave_empty_headings(page, is_of_entries, &mut reasons);
    if let Some(title) = context.title_block().or_else(|| only_heading(page, &reasons))
        && reasons.iter().any(|reason| reason.is_kept())
    {
        reasons[title] = if options.title == Inclusion::Keep { BlockReason::Title } else { BlockReason::TitleLeftOut };
    }
    reasons
}

/// The page's only heading of the first level, if the text begins right below it: a title that `<title>` has in other
/// words.
fn only_heading(page: &Blocks, reasons: &[BlockReason]) -> Option<usize> {
    let mut headings = page.blocks.iter().enumerate().filter(|(_, block)| block.kind == BlockKind::Heading(1));
    let (number, block) = headings.next()?;
    let is_only = headings.next().is_none() && block.words >= MIN_TITLE_WORDS && block.link_density() < 0.5;
    let first = reasons.iter().position(|reason| reason.is_kept())?;
    (is_only && number < first && first - number <= MAX_BLOCKS_BELOW_TITLE).then_some(number)
}

/// Takes the sentences below the title in place of what stands beside them, on a short page or where nothing else was kept:
/// a box about the site is longer than a notice.
fn take_text_below_title(context: &PageContext, page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let Some(title) = context.title_block() else { return };
    let kept = |number: usize| number != title && reasons[number].is_kept();
    let is_short = page.words() < MIN_WORDS_OF_FRAGMENTS;
    let kept: Vec<usize> = (0..reasons.len()).filter(|&number| kept(number)).collect();
    let is_all_beside = !kept.is_empty() && kept.iter().all(|&number| context.is_beside(number));
    let below = title + 1..(title + 1 + MAX_BLOCKS_BELOW_TITLE).min(reasons.len());
    let is_text = |number: &usize| {
        let block = &page.blocks[*number];
        let is_sentence = block.weight >= MIN_SENTENCE_WORDS && ends_like_sentence(page.text_of(block));
        is_sentence && probabilities[*number] >= MIN_SENTENCE_PROBABILITY && !context.is_beside(*number)
    };
    let text: Vec<usize> = below.filter(is_text).collect();
    if !(is_all_beside || is_short) || text.is_empty() || context.is_beside(title) {
        return;
    }
    for number in kept {
        if context.is_beside(number) {
            reasons[number] = BlockReason::BesideText;
        }
    }
    for number in text {
        if !reasons[number].is_kept() {
            reasons[number] = BlockReason::BestThereIs;
        }
    }
}

/// Drops what is certain to be no part of a text, if there is other text.
fn leave_boilerplate(context: &PageContext, page: &Blocks, kind: PageKind, reasons: &mut [BlockReason]) {
    let found = boilerplate::find(context, page, kind, |number| reasons[number].is_kept());
    let kept_words = |is_boilerplate: bool| -> u32 {
        let kept =
            (0..reasons.len()).filter(|&number| reasons[number].is_kept() && found[number].is_some() == is_boilerplate);
        kept.map(|number| page.blocks[number].words).sum()
    };
    if kept_words(false) < MIN_WORDS_BESIDE_BOILERPLATE {
        return;
    }
    for (reason, found) in reasons.iter_mut().zip(found) {
        if let Some(boilerplate) = found
            && reason.is_kept()
        {
            *reason = BlockReason::Boilerplate(boilerplate);
        }
    }
}

/// The share of the words of kept blocks that is in comments.
fn share_of_comments(context: &PageContext, page: &Blocks, reasons: &[BlockReason]) -> f32 {
    let kept = || (0..reasons.len()).filter(|&number| reasons[number].is_kept());
    let words: u32 = kept().map(|number| page.blocks[number].words).sum();
    let of_comments: u32 =
        kept().filter(|&number| context.is_comment(number)).map(|number| page.blocks[number].words).sum();
    of_comments as f32 / words.max(1) as f32
}

/// Keeps running text in comments, which the model has learned to drop.
fn keep_comments(context: &PageContext, page: &Blocks, reasons: &mut [BlockReason]) {
    for (number, block) in page.blocks.iter().enumerate() {
        let is_running = block.weight >= 4.0 || matches!(block.kind, BlockKind::Preformatted);
        if reasons[number] == BlockReason::Unlikely && is_running && context.is_comment(number) {
            reasons[number] = BlockReason::Comment;
        }
    }
}

/// Keeps the paragraphs of a long text, of which the training data has few: those directly in one element, together at
/// least [`MIN_LONG_TEXT_WORDS`] of running words and over half of the page's.
fn keep_long_text(context: &PageContext, page: &Blocks, reasons: &mut [BlockReason]) {
    let Some(root) = page.containers.first().filter(|root| root.weight >= MIN_LONG_TEXT_WORDS) else { return };
    let parent = |block: &Block| page.containers[block.container as usize].parent;
    let mut weights = vec![0.0; page.containers.len()];
    for block in &page.blocks {
        weights[parent(block) as usize] += block.weight;
    }
    for (number, block) in page.blocks.iter().enumerate() {
        let weight: f32 = weights[parent(block) as usize];
        let is_long_text = weight >= MIN_LONG_TEXT_WORDS && weight >= 0.5 * root.weight && !context.is_comment(number);
        if is_long_text && reasons[number] == BlockReason::Unlikely && block.link_density() < 0.3 {
            reasons[number] = BlockReason::LongText;
        }
    }
}

/// Keeps paragraphs and code of middling probability if nearly all of such text in their element is kept: an article's
/// last paragraph, a listing between two paragraphs.
fn keep_among_main_text(page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let is_text = |block: &Block| matches!(block.kind, BlockKind::Paragraph | BlockKind::Preformatted);
    let parent = |block: &Block| page.containers[block.container as usize].parent as usize;
    let (mut words, mut kept) = (vec![0; page.containers.len()], vec![0; page.containers.len()]);
    for (block, reason) in page.blocks.iter().zip(&*reasons).filter(|(block, _)| is_text(block)) {
        words[parent(block)] += block.words;
        kept[parent(block)] += if reason.is_kept() { block.words } else { 0 };
    }
    for (number, block) in page.blocks.iter().enumerate() {
        let place = parent(block);
        let is_among_text = kept[place] as f32 >= MIN_NEIGHBOUR_SHARE * words[place] as f32;
        let is_in_doubt =
            reasons[number] == BlockReason::Unlikely && probabilities[number] >= MIN_PROBABILITY_AMONG_MAIN_TEXT;
        if is_in_doubt && is_among_text && is_text(block) && block.link_density() < 0.3 {
            reasons[number] = BlockReason::AmongMainText;
        }
    }
}

/// Keeps the most probable sentences of a page of a sentence or two, which is unlike the training data, but still has a
/// text; not those that ask to enable scripts.
fn keep_sentences(context: &PageContext, page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let is_sentence = |number: usize| {
        let block = &page.blocks[number];
        let is_running = block.weight >= MIN_SENTENCE_WORDS && ends_like_sentence(page.text_of(block));
        is_running && probabilities[number] >= MIN_SENTENCE_PROBABILITY && !context.is_for_scriptless(number)
    };
    let sentences: Vec<usize> = (0..reasons.len()).filter(|&number| is_sentence(number)).collect();
    let best = sentences.iter().map(|&number| probabilities[number]).fold(0.0, f32::max);
    for number in sentences {
        if probabilities[number] >= best / 2.0 {
            reasons[number] = BlockReason::BestThereIs;
        }
    }
}

/// Drops a part of the page if there is other text; else the part is the text.
fn leave_beside_text(
    page: &Blocks,
    reasons: &mut [BlockReason],
    reason_left: BlockReason,
    is_part: impl Fn(usize) -> bool,
) {
    let text_words: u32 = (0..reasons.len())
        .filter(|&number| reasons[number].is_kept() && !is_part(number))
        .map(|number| page.blocks[number].words)
        .sum();
    if text_words < MIN_TEXT_WORDS {
        return;
    }
    for (number, reason) in reasons.iter_mut().enumerate() {
        if reason.is_kept() && is_part(number) {
            *reason = reason_left;
        }
    }
}

/// Drops repeated text: a run of blocks that repeats an earlier run, or a long block. A refrain or an instruction
/// between other lines may occur twice, and so may what several plans or products have in common.
fn leave_repeated(page: &Blocks, probabilities: &[f32], reasons: &mut [BlockReason]) {
    let kept: Vec<usize> = (0..reasons.len()).filter(|&number| reasons[number].is_kept()).collect();
    let texts: Vec<&str> = kept.iter().map(|&number| page.text_of(&page.blocks[number])).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for place in 0..kept.len() {
        let block = &page.blocks[kept[place]];
        let is_sure = probabilities[kept[place]] >= MIN_PROBABILITY_OF_COPY;
        let is_entry = is_sure && block.words < MIN_LONG_WORDS && matches!(block.kind, BlockKind::ListItem { .. });
        let is_repeated = reasons[kept[place]] == BlockReason::Repeated;
        if is_repeated || is_entry || block.words < MIN_REPEATED_WORDS || block.kind == BlockKind::Preformatted {
            continue;
        }
        let Some(&before) = first.get(texts[place]) else {
            first.insert(texts[place], place);
            continue;
        };
        let run = run_of_copies(&texts, before, place);
        if run.len() > 1 || block.words >= if is_sure { MIN_LONG_WORDS } else { MIN_UNSURE_LONG_WORDS } {
            kept[run].iter().for_each(|&number| reasons[number] = BlockReason::Repeated);
        }
    }
}

/// The places around `place` whose texts are those around `before`, of a run that ends before it begins again.
fn run_of_copies(texts: &[&str], before: usize, place: usize) -> Range<usize> {
    let is_copy = |(copy, original): &(&&str, &&str)| copy == original;
    let behind = texts[..place].iter().rev().zip(texts[..before].iter().rev()).take(place - before - 1);
    let ahead = texts[place + 1..].iter().zip(&texts[before + 1..place]);
    place - behind.take_while(is_copy).count()..place + 1 + ahead.take_while(is_copy).count()
}

/// Drops headings at the end, which no text follows; of a page of entries, only so few that they are none.
fn leave_empty_headings(page: &Blocks, is_of_entries: bool, reasons: &mut [BlockReason]) {
    let is_heading = |number: usize| matches!(page.blocks[number].kind, BlockKind::Heading(_));
    let kept: Vec<usize> = (0..reasons.len()).filter(|&at| reasons[at].is_kept()).collect();
    // The first block kept stays, so that a page of headings has a text.
    let at_end: Vec<usize> = kept.iter().skip(1).rev().copied().take_while(|&number| is_heading(number)).collect();
    if !is_of_entries || at_end.len() <= MAX_EMPTY_HEADINGS {
        at_end.into_iter().for_each(|number| reasons[number] = BlockReason::HeadingOfNothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::blocks;
    use crate::html::{ParseOptions, parse};

    /// All blocks are probable; checks what is kept in the end, a letter for each block.
    fn check(html: &str, expected: &str) {
        let tree = parse(html, ParseOptions::default()).unwrap();
        let page = blocks(&tree);
        let mut reasons = vec![BlockReason::Likely; page.blocks.len()];
        leave_repeated(&page, &vec![0.6; page.blocks.len()], &mut reasons);
        leave_empty_headings(&page, true, &mut reasons);
        let letter = |reason: &BlockReason| match reason {
            BlockReason::Likely => '+',
            BlockReason::Repeated => 'r',
            _ => 'h',
        };
        assert_eq!(reasons.iter().map(letter).collect::<String>(), expected, "{html}");
    }

    #[test]
    fn copies_are_left_and_refrains_stay() {
        let (a, b) =
            ("<p>The tide came in over the flats before noon.", "<p>And the river goes on as it has always gone on.");
        check(&format!("{a}{b}<hr>{a}{b}"), "++rr");
        check(&format!("<p>One.{b}<p>Two.{b}<p>Three.{b}"), "++++++");
        check(&format!("<p>{0}<p>x<p>{0}", "A long sentence of seven words more. ".repeat(8)), "++r");
        check("<p>Thank you!<p>Thank you!", "++");
    }

    #[test]
    fn headings_at_the_end() {
        check("<h1>a</h1><p>b<h2>c</h2><h3>d</h3>", "++hh");
        check("<h1>a</h1><h2>b</h2>", "+h");
        // A list of entries, each a heading.
        check("<h1>a</h1><h3>b</h3><h3>c</h3><h3>d</h3><h3>e</h3>", "+++++");
    }
}
