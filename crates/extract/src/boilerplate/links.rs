//! Headlines of other texts beside an article: lists of links, and teasers of a headline and a paragraph each.

use super::{Boilerplate, LONG_WEIGHT};
use crate::PageKind;
use crate::blocks::{BlockKind, Blocks};
use crate::features::PageContext;

/// Links in a row that are a list of other texts, on a page of an article with this weight of running text; and on a
/// page that is taken for a listing, though running text follows its title.
const MIN_LINK_LIST: usize = 2;
const MIN_LINK_LIST_OF_LISTING: usize = 3;
const MIN_ARTICLE_WEIGHT: f32 = 40.0;
const MAX_BLOCKS_BELOW_TITLE: usize = 4;
/// Headlines in a row, each with no more blocks than these, that are no part of an article.
const MIN_TEASERS: usize = 3;
const MAX_TEASER_BLOCKS: usize = 4;
const MAX_BLOCKS_FROM_TITLE_TO_TEXT: usize = 12;
/// Share of such a link's text that is in the link.
const MIN_LINK_SHARE: f32 = 0.85;

/// Marks the headlines on a page that is an article, or taken for a listing though text follows its title.
pub(super) fn mark(
    context: &PageContext,
    page: &Blocks,
    kind: PageKind,
    is_kept: impl Fn(usize) -> bool,
    found: &mut [Option<Boilerplate>],
) {
    let title = context.title_block();
    match kind {
        PageKind::Article => {
            mark_lists(page, MIN_LINK_LIST, &is_kept, found);
            mark_teasers(context, page, title, is_kept, found);
        }
        PageKind::Listing if is_text_below(page, title) => {
            mark_lists(page, MIN_LINK_LIST_OF_LISTING, is_kept, found);
        }
        _ => {}
    }
}

/// Whether running text follows the title within [`MAX_BLOCKS_BELOW_TITLE`] blocks.
fn is_text_below(page: &Blocks, title: Option<usize>) -> bool {
    let is_long =
        |title| page.blocks.iter().skip(title + 1).take(MAX_BLOCKS_BELOW_TITLE).any(|b| b.weight >= LONG_WEIGHT);
    title.is_some_and(is_long)
}

/// Marks rows of kept blocks that are links and nothing else, headlines of other articles, and the heading above. On
/// other kinds of pages such lists are the text.
fn mark_lists(page: &Blocks, min_row: usize, is_kept: impl Fn(usize) -> bool, found: &mut [Option<Boilerplate>]) {
    let kept: Vec<usize> = (0..page.blocks.len()).filter(|&number| is_kept(number)).collect();
    let weight: f32 = kept.iter().map(|&number| page.blocks[number].weight).sum();
    if weight < MIN_ARTICLE_WEIGHT {
        return;
    }
    let is_link = |number: usize| {
        let block = &page.blocks[number];
        let is_line = !matches!(block.kind, BlockKind::Heading(_) | BlockKind::Cell { .. } | BlockKind::Preformatted);
        is_line && block.link_density() >= MIN_LINK_SHARE
    };
    let mut above = None;
    for row in kept.chunk_by(|&a, &b| is_link(a) == is_link(b)) {
        if is_link(row[0]) && row.len() >= min_row {
            let heading = above.filter(|&above: &usize| matches!(page.blocks[above].kind, BlockKind::Heading(_)));
            for number in heading.into_iter().chain(row.iter().copied()) {
                found[number].get_or_insert(Boilerplate::LinkList);
            }
        }
        above = row.last().copied();
    }
}

/// Marks rows of headlines of other texts with a paragraph each, beside an article: blocks of one template that are
/// links, and what follows each of them up to the next, outside of the element that holds the text below the title.
fn mark_teasers(
    context: &PageContext,
    page: &Blocks,
    title: Option<usize>,
    is_kept: impl Fn(usize) -> bool,
    found: &mut [Option<Boilerplate>],
) {
    let Some(article) = title.and_then(|title| container_of_text(page, title, &is_kept)) else { return };
    let is_in_article = |number: usize| is_in(page, page.blocks[number].container, article);
    let is_headline = |number: usize| {
        let block = &page.blocks[number];
        matches!(block.kind, BlockKind::Heading(_)) && block.link_density() >= MIN_LINK_SHARE
    };
    let beside: Vec<usize> = (0..page.blocks.len())
        .filter(|&number| is_kept(number) && title != Some(number) && !is_in_article(number))
        .collect();
    let mut row: Vec<&[usize]> = Vec::new();
    let mut mark = |row: &mut Vec<&[usize]>| {
        if row.len() >= MIN_TEASERS {
            for &number in row.iter().copied().flatten() {
                found[number].get_or_insert(Boilerplate::LinkList);
            }
        }
        row.clear();
    };
    for teaser in beside.chunk_by(|_, &next| !is_headline(next)) {
        let is_teaser = is_headline(teaser[0]) && teaser.len() <= MAX_TEASER_BLOCKS;
        let is_alike = row.last().is_none_or(|last| context.template(last[0]) == context.template(teaser[0]));
        if !(is_teaser && is_alike) {
            mark(&mut row);
        }
        if is_teaser {
            row.push(teaser);
        }
    }
    mark(&mut row);
}

/// The innermost container that holds the title and the kept running text that follows it most closely.
fn container_of_text(page: &Blocks, title: usize, is_kept: impl Fn(usize) -> bool) -> Option<u32> {
    let is_text = |&number: &usize| is_kept(number) && page.blocks[number].weight >= LONG_WEIGHT;
    let first = (title + 1..page.blocks.len()).take(MAX_BLOCKS_FROM_TITLE_TO_TEXT).find(is_text)?;
    let mut around = page.blocks[title].container;
    while !is_in(page, page.blocks[first].container, around) {
        around = page.containers[around as usize].parent;
    }
    Some(around)
}

/// Whether a container is another one or lies in it.
fn is_in(page: &Blocks, mut container: u32, other: u32) -> bool {
    // Parents come before children.
    while container > other {
        container = page.containers[container as usize].parent;
    }
    container == other
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    /// How many kept blocks of such a page are headlines of other texts, and their paragraphs.
    fn marked(text: &str, beside: &str) -> usize {
        let page = format!(
            "<title>{text}</title><div><h1>{text}</h1>{}</div>{beside}",
            format!("<p>{}</p>", text.repeat(20)).repeat(3)
        );
        let tree = crate::html::parse(&page, crate::html::ParseOptions::default()).unwrap();
        let (head, page) = (crate::head::head(&tree), crate::blocks::blocks(&tree));
        let context = PageContext::new(&tree, &head, &page, crate::model::lexicon());
        let found = find(&context, &page, PageKind::Article, |_| true);
        found.iter().filter(|found| **found == Some(Boilerplate::LinkList)).count()
    }

    const RUSSIAN: &str = "Прилив пришёл до полудня и ушёл к вечеру. ";
    const ENGLISH: &str = "The tide came in before noon and it was gone by the evening. ";

    /// A list of headlines beside a text in another language is left out; in an English one the model decides.
    #[test]
    fn lists_of_headlines() {
        let list = |headline: &str| format!("<ul>{}</ul>", format!("<li><a href=/a>{headline}</a>").repeat(5));
        assert_eq!(marked(RUSSIAN, &list("Рыбаки чинят сети на берегу")), 5);
        assert_eq!(marked(ENGLISH, &list("What the nets are for")), 0);
    }

    #[test]
    fn teasers() {
        let teaser = "<div class=t><h3><a href=/a>Рыбаки чинят сети</a></h3><p>На берегу сегодня тихо и пусто.</div>";
        assert_eq!(marked(RUSSIAN, &format!("<div>{}</div>", teaser.repeat(3))), 6);
        assert_eq!(marked(RUSSIAN, &format!("<div>{}</div>", teaser.repeat(2))), 0);
        assert_eq!(marked(ENGLISH, &format!("<div>{}</div>", teaser.repeat(3))), 0);
        // Headings of the text itself are no links.
        let part = "<div class=t><h3>Рыбаки чинят сети</h3><p>На берегу сегодня тихо и пусто.</div>";
        assert_eq!(marked(RUSSIAN, &part.repeat(3)), 0);
    }
}
