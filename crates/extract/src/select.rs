//! Which blocks are kept, and why.
//!
//! The model says how likely each block is main text. What stands here are the few decisions that are
//! policies or certainties rather than likelihoods: the title, comments, text that stood before.

use std::collections::HashMap;

use crate::blocks::{Block, Blocks, Kind, ends_like_sentence};
use crate::features::Surroundings;
use crate::{Options, PageKind, Policy};

/// A block is kept from this probability on.
const THRESHOLD: f32 = 0.42;
/// The same on listings and pages of products, whose text is in short pieces that are all in doubt; but not on a
/// page of fewer words than nearly all that the model was trained on, where everything is in doubt.
const THRESHOLD_OF_PIECES: f32 = 0.32;
const PIECES_FROM_WORDS: u32 = 200;
/// Blocks of fewer words may stand as often as they like.
const ONCE_FROM_WORDS: u32 = 8;
/// A block of so many words stands on a page once.
const LONG_WORDS: u32 = 40;
/// From so many words on, running text in one element is the page's text.
const LONG_TEXT_WORDS: f32 = 2_000.0;
/// Where nothing is likely, sentences of so many words are kept from this probability on.
const SENTENCE_WORDS: f32 = 6.0;
const POSSIBLE: f32 = 0.05;
/// Among blocks of which this share of the words is kept, a block is kept from this probability on.
const COMPANY_SHARE: f32 = 0.8;
const LIKELY_IN_COMPANY: f32 = 0.3;
/// With this many words besides its comments, a page has a text that they are comments on.
const TEXT_WORDS: u32 = 50;

/// Why a block was kept or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The model takes it for main text.
    Likely,
    /// It stands in the element that holds a long text.
    LongText,
    /// It is not unlikely, and stands in one element with main text alone.
    InCompany,
    /// No block is likely, and it is a sentence.
    BestThereIs,
    /// It is the page's title.
    Title,
    /// It is a reader's comment, and comments are to be kept.
    Comment,
    /// The model does not take it for main text.
    Unlikely,
    /// It is a reader's comment, and comments are to be left out.
    CommentLeftOut,
    /// It is for readers without scripts, and others see a text.
    ForScriptless,
    /// It is the page's title, and titles are to be left out.
    TitleLeftOut,
    /// The same text was kept before.
    Repeated,
    /// A heading with nothing kept under it.
    HeadingOfNothing,
}

impl Reason {
    /// Whether the block is part of the text.
    pub fn is_kept(self) -> bool {
        use Reason::{BestThereIs, Comment, InCompany, Likely, LongText, Title};
        matches!(self, Likely | LongText | InCompany | BestThereIs | Title | Comment)
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Reason::Likely => "main text",
            Reason::LongText => "part of a long text",
            Reason::InCompany => "among main text",
            Reason::BestThereIs => "the best there is",
            Reason::Title => "the title",
            Reason::Comment => "a comment, kept as asked",
            Reason::Unlikely => "not main text",
            Reason::CommentLeftOut => "a comment, left out as asked",
            Reason::ForScriptless => "for readers without scripts",
            Reason::TitleLeftOut => "the title, left out as asked",
            Reason::Repeated => "stood before",
            Reason::HeadingOfNothing => "a heading of nothing",
        }
    }
}

/// Decides about every block of a page.
pub fn select(
    around: &Surroundings,
    page: &Blocks,
    probabilities: &[f32],
    kind: PageKind,
    options: &Options,
) -> Vec<Reason> {
    let threshold = match kind {
        PageKind::Listing | PageKind::Product if page.words() >= PIECES_FROM_WORDS => THRESHOLD_OF_PIECES,
        _ => THRESHOLD,
    };
    let mut reasons: Vec<Reason> = probabilities
        .iter()
        .map(|&probability| if probability >= threshold { Reason::Likely } else { Reason::Unlikely })
        .collect();
    keep_long_text(around, page, &mut reasons);
    keep_company(page, probabilities, &mut reasons);
    leave_beside_text(page, &mut reasons, Reason::ForScriptless, |number| around.is_for_scriptless(number));
    match options.comments {
        Policy::Keep => keep_comments(around, page, &mut reasons),
        Policy::Drop if kind != PageKind::Forum => {
            leave_beside_text(page, &mut reasons, Reason::CommentLeftOut, |number| around.is_comment(number));
        }
        Policy::Drop => {}
    }
    if !reasons.iter().any(|reason| reason.is_kept()) {
        keep_sentences(around, page, probabilities, &mut reasons);
    }
    leave_repeated(page, &mut reasons);
    leave_empty_headings(page, &mut reasons);
    if let Some(title) = around.title_block()
        && reasons.iter().any(|reason| reason.is_kept())
    {
        reasons[title] = if options.title == Policy::Keep { Reason::Title } else { Reason::TitleLeftOut };
    }
    reasons
}

/// Running text inside what calls itself comments, which the model has learned to leave.
fn keep_comments(around: &Surroundings, page: &Blocks, reasons: &mut [Reason]) {
    for (number, block) in page.blocks.iter().enumerate() {
        let is_running = block.weight >= 4.0 || matches!(block.kind, Kind::Preformatted);
        if reasons[number] == Reason::Unlikely && is_running && around.is_comment(number) {
            reasons[number] = Reason::Comment;
        }
    }
}

/// The paragraphs of a long text, which few of the pages that the model was trained on have: those that stand
/// directly in one element, together [`LONG_TEXT_WORDS`] of running words and over half of the page's.
fn keep_long_text(around: &Surroundings, page: &Blocks, reasons: &mut [Reason]) {
    let Some(root) = page.containers.first().filter(|root| root.weight >= LONG_TEXT_WORDS) else { return };
    let parent = |block: &Block| page.containers[block.container as usize].parent;
    let mut weights = vec![0.0; page.containers.len()];
    for block in &page.blocks {
        weights[parent(block) as usize] += block.weight;
    }
    for (number, block) in page.blocks.iter().enumerate() {
        let weight: f32 = weights[parent(block) as usize];
        let is_long_text = weight >= LONG_TEXT_WORDS && weight >= 0.5 * root.weight && !around.is_comment(number);
        if is_long_text && reasons[number] == Reason::Unlikely && block.link_density() < 0.3 {
            reasons[number] = Reason::LongText;
        }
    }
}

/// Paragraphs and code that the model is in doubt about, where nearly all of the same that stands in their element
/// is kept: an article's last paragraph, a listing between two of them.
fn keep_company(page: &Blocks, probabilities: &[f32], reasons: &mut [Reason]) {
    let is_text = |block: &Block| matches!(block.kind, Kind::Paragraph | Kind::Preformatted);
    let parent = |block: &Block| page.containers[block.container as usize].parent as usize;
    let (mut words, mut kept) = (vec![0; page.containers.len()], vec![0; page.containers.len()]);
    for (block, reason) in page.blocks.iter().zip(&*reasons).filter(|(block, _)| is_text(block)) {
        words[parent(block)] += block.words;
        kept[parent(block)] += if reason.is_kept() { block.words } else { 0 };
    }
    for (number, block) in page.blocks.iter().enumerate() {
        let place = parent(block);
        let is_among_text = kept[place] as f32 >= COMPANY_SHARE * words[place] as f32;
        let is_in_doubt = reasons[number] == Reason::Unlikely && probabilities[number] >= LIKELY_IN_COMPANY;
        if is_in_doubt && is_among_text && is_text(block) && block.link_density() < 0.3 {
            reasons[number] = Reason::InCompany;
        }
    }
}

/// A page of a sentence or two is like nothing that the model was trained on, and still has a text. What asks
/// for scripts to be switched on is none.
fn keep_sentences(around: &Surroundings, page: &Blocks, probabilities: &[f32], reasons: &mut [Reason]) {
    let is_sentence = |number: usize| {
        let block = &page.blocks[number];
        let is_running = block.weight >= SENTENCE_WORDS && ends_like_sentence(page.text_of(block));
        is_running && probabilities[number] >= POSSIBLE && !around.is_for_scriptless(number)
    };
    let sentences: Vec<usize> = (0..reasons.len()).filter(|&number| is_sentence(number)).collect();
    let best = sentences.iter().map(|&number| probabilities[number]).fold(0.0, f32::max);
    for number in sentences {
        if probabilities[number] >= best / 2.0 {
            reasons[number] = Reason::BestThereIs;
        }
    }
}

/// Leaves a part of the page where there is a text besides; else the part is the text.
fn leave_beside_text(page: &Blocks, reasons: &mut [Reason], as_what: Reason, is_part: impl Fn(usize) -> bool) {
    let text_words: u32 = (0..reasons.len())
        .filter(|&number| reasons[number].is_kept() && !is_part(number))
        .map(|number| page.blocks[number].words)
        .sum();
    if text_words < TEXT_WORDS {
        return;
    }
    for (number, reason) in reasons.iter_mut().enumerate() {
        if reason.is_kept() && is_part(number) {
            *reason = as_what;
        }
    }
}

/// Leaves what stood before: a run of blocks that repeats a run, or a long block. A refrain or an instruction
/// between other lines may stand twice.
fn leave_repeated(page: &Blocks, reasons: &mut [Reason]) {
    let kept: Vec<usize> = (0..reasons.len()).filter(|&number| reasons[number].is_kept()).collect();
    let text = |place: usize| kept.get(place).map(|&number| page.text_of(&page.blocks[number]));
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut repeated = Vec::new();
    for (place, &number) in kept.iter().enumerate() {
        let block = &page.blocks[number];
        if block.words < ONCE_FROM_WORDS || block.kind == Kind::Preformatted {
            continue;
        }
        let Some(&before) = first.get(page.text_of(block)) else {
            first.insert(page.text_of(block), place);
            continue;
        };
        let follows = before > 0 && place > before + 1 && text(place - 1) == text(before - 1);
        let is_followed = before + 1 < place && text(place + 1).is_some() && text(place + 1) == text(before + 1);
        if follows || is_followed || block.words >= LONG_WORDS {
            repeated.push(number);
        }
    }
    for number in repeated {
        reasons[number] = Reason::Repeated;
    }
}

/// Headings at the end head nothing.
fn leave_empty_headings(page: &Blocks, reasons: &mut [Reason]) {
    let is_heading = |number: usize| matches!(page.blocks[number].kind, Kind::Heading(_));
    let kept: Vec<usize> = (0..reasons.len()).filter(|&at| reasons[at].is_kept()).collect();
    // The first block kept stays, so that a page of headings has a text.
    for &number in kept.iter().skip(1).rev().take_while(|&&number| is_heading(number)) {
        reasons[number] = Reason::HeadingOfNothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::blocks;
    use crate::html::{Limits, parse};

    /// Everything is likely; gives what is kept in the end, a letter for each block.
    fn check(html: &str, expected: &str) {
        let tree = parse(html, Limits { nodes_max: 10_000, depth_max: 200, scripting: false }).unwrap();
        let page = blocks(&tree);
        let mut reasons = vec![Reason::Likely; page.blocks.len()];
        leave_repeated(&page, &mut reasons);
        leave_empty_headings(&page, &mut reasons);
        let letter = |reason: &Reason| match reason {
            Reason::Likely => '+',
            Reason::Repeated => 'r',
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
    }
}
