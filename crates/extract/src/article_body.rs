//! The text of a page that has none but in its linked data: shells of applications, and pages behind a notice.

use crate::blocks::{Block, BlockKind, Blocks, NO_ITEM, blocks, count_words};
use crate::html::{self, ParseOptions, ROOT};

/// With this many words, title aside, a page has a text of its own.
const MIN_OWN_WORDS: u32 = 30;
/// The linked data has a text with this many words, and this many times those of the page.
const MIN_BODY_WORDS: u32 = 40;
const MIN_BODY_TIMES: u32 = 3;
/// So many words are enough where nothing was kept of the page.
const MIN_LONE_BODY_WORDS: u32 = 8;

/// The page's title, if it is kept, and the paragraphs of its linked data, if they are its text. `own_words` is the
/// number of words that were kept of the page, title aside.
pub(crate) fn stand_in(body: &str, title: Option<&str>, own_words: u32) -> Option<Blocks> {
    let paragraphs = paragraphs(body);
    let words: u32 = paragraphs.iter().map(|paragraph| count_words(paragraph)).sum();
    let min_words = if own_words == 0 { MIN_LONE_BODY_WORDS } else { MIN_BODY_WORDS };
    let is_text = own_words < MIN_OWN_WORDS && words >= min_words && words >= MIN_BODY_TIMES * own_words;
    is_text.then(|| {
        let mut page = Blocks::default();
        if let Some(title) = title {
            push(&mut page, BlockKind::Heading(1), title);
        }
        for paragraph in &paragraphs {
            push(&mut page, BlockKind::Paragraph, paragraph);
        }
        page
    })
}

/// Lines, or the blocks of markup: some sites put their HTML there.
fn paragraphs(body: &str) -> Vec<String> {
    let is_markup = body.contains("</") || body.contains("<br") || body.contains("&lt;/") || body.contains("<p");
    let text = if body.contains("&lt;/") { htmlize::unescape(body) } else { body.into() };
    if is_markup && let Ok(tree) = html::parse(&text, ParseOptions::default()) {
        let page = blocks(&tree);
        return page.blocks.iter().map(|block| page.text_of(block).to_owned()).collect();
    }
    let decoded = htmlize::unescape(body);
    let lines = decoded.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

fn push(page: &mut Blocks, kind: BlockKind, text: &str) {
    let start = page.text.len() as u32;
    page.text.push_str(text);
    page.blocks.push(Block {
        container: 0,
        kind,
        start,
        end: page.text.len() as u32,
        first: ROOT,
        last: ROOT,
        link_bytes: 0,
        links: 0,
        quotes: 0,
        item: NO_ITEM,
        words: count_words(text),
        weight: 0.0,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_markup() {
        assert_eq!(paragraphs("One &amp; two.\n\n Three.\n"), ["One & two.", "Three."]);
        assert_eq!(paragraphs("<p>One.</p><p>Two <b>three</b>.</p>"), ["One.", "Two three."]);
        assert_eq!(paragraphs("&lt;p&gt;One.&lt;/p&gt;&lt;p&gt;Two."), ["One.", "Two."]);
    }

    #[test]
    fn only_where_the_page_has_no_text() {
        let body = "The tide came in over the flats. ".repeat(10);
        assert!(stand_in(&body, None, 3).is_some_and(|page| page.blocks.len() == 1));
        assert!(stand_in(&body, None, 200).is_none());
        assert!(stand_in("Too short.", None, 0).is_none());
        let notice = "The pass is closed. It may open again on Saturday.";
        assert!(stand_in(notice, None, 0).is_some() && stand_in(notice, None, 3).is_none());
    }
}
