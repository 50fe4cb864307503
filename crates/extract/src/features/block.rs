//! The features of one block: its text, its element, its containers, its neighbours, its place, and the rules' votes.

use words::is_unspaced;

use super::neighbours::{levels_to_common, neighbours};
use super::page::describe_in_common;
use super::page_context::{LANDMARKS, PageContext, element};
use super::scan::{WORD_GROUPS, kind_of_last, likeness};
use super::{BLOCK_WORDS, FeatureSink, PAGE_BLOCKS, PAGE_WORDS, POINTS, share};
use crate::blocks::{BlockKind, ends_like_sentence};
use crate::html::{Name, NameSet, tag, tags};
use crate::labels::GROUPS;

/// Writes the features of one block.
pub fn describe(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    describe_alone(context, number, to);
    describe_in_common(context, to);
}

/// Writes the features of one block without those that all blocks of its page have in common.
pub fn describe_alone(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    own_text(context, number, to);
    own_element(context, number, to);
    containers(context, number, to);
    neighbours(context, number, to);
    place(context, number, to);
    voted(context, number, to);
}

fn own_text(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let text = context.page.text_of(block);
    let found = &context.texts[number];
    let (words, bytes) = (block.words.max(1) as f32, block.bytes().max(1) as f32);
    to.put("words", "", (block.words as f32).min(BLOCK_WORDS));
    to.put("bytes", "", bytes.min(BLOCK_WORDS * 8.0));
    to.put("word_len", "", bytes / words);
    to.put("link_density", "", block.link_density());
    to.put("links", "", block.links.min(20) as f32);
    to.put("stops", "", found.stops.min(15) as f32);
    to.put("stops_per_word", "", found.stops as f32 / words);
    to.put("commas_per_word", "", found.commas as f32 / words);
    to.put("digits", "", found.digits as f32 / bytes);
    to.put("capitals", "", found.capitals as f32 / bytes);
    to.put("capital_words", "", found.capital_words as f32 / words);
    to.put("marks", "", found.marks as f32 / words);
    to.put("function_words", "", found.functions as f32 / words);
    to.put("is_sentence", "", f32::from(ends_like_sentence(text)));
    to.put("last", "", kind_of_last(text));
    let first = text.chars().next().unwrap_or(' ');
    to.put(
        "first",
        "",
        match first {
            _ if is_unspaced(first) => 6.0,
            _ if first.is_uppercase() => 1.0,
            _ if first.is_lowercase() => 2.0,
            _ if first.is_numeric() => 3.0,
            '"' | '“' | '\'' | '‘' | '«' => 4.0,
            _ => 5.0,
        },
    );
    to.put("lines", "", text.bytes().filter(|&b| b == b'\n').count().min(20) as f32);
    to.put("likeness_to_title", "", likeness(found, block, context.title_words));
    to.put("is_title_block", "", f32::from(context.title_block == Some(number)));
    to.put("times_on_page", "", context.texts_seen.get(&found.hash).copied().unwrap_or(1).min(20) as f32);
    let is_short = block.words <= 30;
    for (group, (name, _)) in WORD_GROUPS.iter().enumerate().skip(1) {
        let value = (found.groups >> group & 1) + (found.first_group >> group & 1);
        to.put("says", name, if is_short { value as f32 } else { -1.0 });
    }
}

fn own_element(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let container = block.container as usize;
    to.put("kind", "", number_of_kind(block.kind));
    to.put("element", "", number_of_element(element(context.tree, &context.page.containers[container])));
    to.put("depth", "", context.page.containers[container].depth as f32);
    to.put("quotes", "", f32::from(block.quotes));
    let first = context.tree.node(block.first).parent;
    to.put("inline", "", number_of_inline(context.tree.name(first)));
    for ((name, _), distance) in LANDMARKS.iter().zip(context.landmark_distances[container]) {
        to.put("in", name, f32::from(distance));
    }
    for ((name, _), distance) in GROUPS.iter().zip(context.label_distances[container]) {
        to.put("labelled", name, f32::from(distance));
    }
    let mut at = container;
    for level in ["own", "parent", "second", "third", "fourth"] {
        to.put("class_odds", level, context.class_odds[at].mean());
        at = context.page.containers[at].parent as usize;
    }
    let meaning = &context.class_odds_around[container];
    to.put("class_odds", "least", meaning.min);
    to.put("class_odds", "most", meaning.max);
    to.put("class_odds", "mean", meaning.mean());
    to.put("class_words", "", meaning.words.min(30) as f32);
}

/// A block's form as the model has it.
fn number_of_kind(kind: BlockKind) -> f32 {
    match kind {
        BlockKind::Paragraph => 0.0,
        BlockKind::Heading(level) => f32::from(level),
        BlockKind::ListItem { .. } => 7.0,
        BlockKind::Term => 8.0,
        BlockKind::Definition => 9.0,
        BlockKind::Cell { .. } => 10.0,
        BlockKind::Preformatted => 11.0,
    }
}

/// The element of a container as the model has it.
fn number_of_element(name: Name) -> f32 {
    const OTHER: NameSet = tags![SECTION ARTICLE MAIN BODY];
    match name {
        tag::P => 0.0,
        tag::DIV => 1.0,
        tag::LI => 2.0,
        tag::TD | tag::TH => 3.0,
        tag::FIGCAPTION | tag::CAPTION => 4.0,
        tag::BLOCKQUOTE => 5.0,
        tag::FORM | tag::FIELDSET | tag::LEGEND => 6.0,
        tag::SUMMARY | tag::DETAILS => 7.0,
        tag::HEADER | tag::FOOTER | tag::NAV | tag::ASIDE => 8.0,
        tag::ADDRESS => 9.0,
        _ if OTHER.has(name) => 10.0,
        _ => 11.0,
    }
}

/// The innermost element around the first text of a block as the model has it.
fn number_of_inline(name: Name) -> f32 {
    match name {
        tag::A => 1.0,
        tag::STRONG | tag::B => 2.0,
        tag::EM | tag::I | tag::CITE => 3.0,
        tag::SPAN | tag::FONT => 4.0,
        tag::BUTTON | tag::LABEL => 5.0,
        tag::SMALL => 6.0,
        tag::TIME => 7.0,
        tag::CODE | tag::KBD | tag::SAMP => 8.0,
        _ => 0.0,
    }
}

fn containers(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let all = &context.page.containers;
    let page = &all[0];
    let mut at = block.container;
    for level in ["own", "parent", "second", "third", "fourth"] {
        let here = &all[at as usize];
        to.put("container_link_density", level, share(here.link_bytes as f32, here.bytes as f32));
        to.put("container_words", level, (here.words as f32).min(PAGE_WORDS));
        to.put("container_weight", level, share(here.weight, page.weight.min(PAGE_WORDS)).min(1.0));
        to.put("container_blocks", level, (here.blocks as f32).min(PAGE_BLOCKS));
        to.put("container_sentences", level, share(here.weight, here.words as f32));
        at = here.parent;
    }
    for (name, best) in ["three_quarters", "half"].into_iter().zip(context.best) {
        let (above_block, above_best) = levels_to_common(all, block.container, best);
        to.put("inside_best", name, if above_best == 0 { above_block as f32 } else { -(above_best as f32) });
        to.put("best_weight", name, share(all[best as usize].weight, page.weight));
    }
    let narrow = context.narrow_templates[&context.narrow[block.container as usize]];
    let wide = context.wide_templates[&context.wide[block.container as usize]];
    for (name, template) in [("narrow", narrow), ("wide", wide)] {
        to.put("template_blocks", name, (template.blocks as f32).min(PAGE_BLOCKS));
        to.put("template_words", name, share(template.words as f32, page.words as f32));
        to.put("template_mean_words", name, share(template.words as f32, template.blocks as f32).min(BLOCK_WORDS));
        to.put("template_link_density", name, share(template.link_bytes as f32, template.bytes as f32));
        to.put("template_sentences", name, share(template.weight, template.words as f32));
        to.put("template_weight", name, share(template.weight, page.weight));
    }
}

/// Writes the votes of the rules ([`crate::votes`]).
fn voted(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let (votes, all) = (&context.votes, &context.page.containers);
    let block = &context.page.blocks[number];
    let (above_block, above_top) = levels_to_common(all, block.container, votes.top);
    to.put("inside_top", "", if above_top == 0 { above_block as f32 } else { -(above_top as f32) });
    let top = votes.points[votes.top as usize];
    let mut at = all[block.container as usize].parent;
    for level in ["parent", "second", "third"] {
        to.put("points", level, share(votes.points[at as usize], top));
        at = all[at as usize].parent;
    }
    to.put("top_points", "", top.min(POINTS));
    to.put("vote_alone", "", f32::from(votes.alone[number]));
    to.put("vote_among", "", f32::from(votes.among[number]));
    to.put("vote_before", "", f32::from(votes.sides[number].0));
    to.put("vote_after", "", f32::from(votes.sides[number].1));
    to.put("share_of_longest", "", share(block.words as f32, (context.longest as f32).min(BLOCK_WORDS)).min(1.0));
    to.put("share_of_weight", "", share(block.weight, all[0].weight.min(PAGE_WORDS)).min(1.0));
}

fn place(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let blocks = context.page.blocks.len();
    let page = &context.page.containers[0];
    to.put("place", "blocks", number as f32 / blocks as f32);
    to.put("place", "words", share(context.words_before[number] as f32, page.words as f32));
    to.put("place", "weight", share(context.weight_before[number], page.weight));
    to.put("number", "", (number as f32).min(PAGE_BLOCKS));
    to.put("to_end", "", ((blocks - number) as f32).min(PAGE_BLOCKS));
    to.put("long_before", "", context.long_before[number] as f32);
    to.put("long_after", "", context.long_after[number] as f32);
    to.put("first_headings", "", context.first_headings[number].min(20) as f32);
    let mut at = context.page.blocks[number].container;
    to.put("article", "", context.articles[at as usize].min(50) as f32);
    for level in ["own", "parent", "second", "third", "fourth", "fifth"] {
        to.put("ordinal", level, context.ordinals[at as usize].min(25) as f32);
        at = context.page.containers[at as usize].parent;
    }
    let from_title = context.title_block.map_or(-PAGE_BLOCKS, |title| number as f32 - title as f32);
    to.put("from_title", "", from_title.clamp(-PAGE_BLOCKS, PAGE_BLOCKS));
    let title = context.title_block.unwrap_or(0);
    let weight = context.weight_before[number] - context.weight_before[title];
    to.put("weight_from_title", "", share(weight, page.weight));
}
