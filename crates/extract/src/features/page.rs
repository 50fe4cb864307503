//! The features of a page as a whole.

use super::page_context::PageContext;
use super::scan::WORD_GROUPS;
use super::{BLOCK_WORDS, FeatureSink, PAGE_BLOCKS, PAGE_WORDS, POINTS, share};
use crate::PageKind;
use crate::labels::GROUPS;

/// Writes the features of a whole page, from which its kind is predicted.
pub fn describe_page(context: &PageContext, to: &mut impl FeatureSink) {
    describe_in_common(context, to);
    let all = &context.page.containers[0];
    for ((name, _), labelled) in GROUPS.iter().zip(context.counts.labelled) {
        to.put("page_labels", name, labelled as f32);
    }
    for ((name, _), said) in WORD_GROUPS.iter().zip(context.counts.groups) {
        to.put("page_words_said", name, said as f32 / context.len().max(1) as f32);
    }
    let best = &context.page.containers[context.best[1] as usize];
    to.put("page_best_weight", "", share(best.weight, all.weight));
    to.put("page_best_blocks", "", share(best.blocks as f32, all.blocks as f32));
    to.put("page_top_points", "", context.votes.points[context.votes.top as usize].min(POINTS));
    to.put("page_longest", "", (context.longest as f32).min(BLOCK_WORDS));
    for (kind, class_odds) in PageKind::ALL.iter().zip(context.class_kind_scores) {
        to.put("page_classes", kind.name(), class_odds);
    }
    to.put("page_templates", "", share(context.narrow_templates.len() as f32, context.len() as f32));
}

/// Writes those features of the page that are also features of each of its blocks.
pub fn describe_in_common(context: &PageContext, to: &mut impl FeatureSink) {
    let page = &context.page.containers[0];
    let counts = &context.counts;
    let blocks = context.page.blocks.len() as f32;
    to.put("page_words", "", (page.words as f32).min(PAGE_WORDS));
    to.put("page_blocks", "", blocks.min(PAGE_BLOCKS));
    to.put("page_link_density", "", share(page.link_bytes as f32, page.bytes as f32));
    to.put("page_sentences", "", share(page.weight, page.words as f32));
    to.put("page_long", "", share(counts.long_words as f32, page.words as f32));
    to.put("page_long_words", "", (counts.long_words as f32).min(PAGE_WORDS));
    to.put("page_articles", "", counts.articles.min(20) as f32);
    to.put("page_has_main", "", f32::from(counts.has_main));
    to.put("page_headings", "", counts.headings as f32 / blocks);
    to.put("page_items", "", counts.items as f32 / blocks);
    to.put("page_cells", "", counts.cells as f32 / blocks);
    to.put("page_code", "", share(counts.code_words as f32, page.words as f32));
    to.put("page_short", "", counts.short_blocks as f32 / blocks);
    to.put("page_function_words", "", share(counts.functions as f32, page.words as f32));
    to.put("page_title", "", f32::from(context.title_block.is_some()));
    to.put("page_type", "", context.head.declared_kind as f32);
    for (group, (name, _)) in GROUPS.iter().enumerate() {
        if matches!(
            *name,
            "comment" | "forum" | "product" | "review" | "code" | "documentation" | "listing" | "article"
        ) {
            to.put("page_labelled", name, counts.labelled[group] as f32);
        }
    }
    for (group, (name, _)) in WORD_GROUPS.iter().enumerate() {
        if matches!(*name, "comment" | "forum" | "shop" | "time" | "more") {
            to.put("page_says", name, counts.groups[group] as f32 / blocks);
        }
    }
}
