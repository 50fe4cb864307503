//! Which of a page's blocks are its main text.
//!
//! Every element gets the weight of the blocks below it. Elements that say of themselves that they are
//! not content (by tag, role, class or id) are pruned unless they hold half of the page, and from the
//! body the walk goes down while one child holds most of the weight that is left. What stands in the
//! last element, less its lists of links, is the main text.

use html5ever::local_name as name;

use crate::blocks::{Block, Kind, blocks, is_invisible};
use crate::tree::{Data, NONE, NodeId, ROOT, Tree};
use crate::{Options, Page};

/// The walk goes down into a child that holds this share of its parent's weight.
const DESCEND_SHARE: f32 = 0.75;
/// An element with this share of the page's weight is content, whatever it calls itself.
const TOO_HEAVY_TO_PRUNE: f32 = 0.5;
/// Without its comments, a page must keep this share of its weight; else it is a forum.
const FORUM_SHARE: f32 = 0.4;

/// Words in class and id attributes by which elements say that they are not content.
const BOILERPLATE: &[&str] = &[
    "ad",
    "ads",
    "advert",
    "advertisement",
    "advertising",
    "adsbygoogle",
    "banner",
    "breadcrumb",
    "breadcrumbs",
    "byline",
    "carousel",
    "consent",
    "cookie",
    "cookies",
    "copyright",
    "disclaimer",
    "footer",
    "gdpr",
    "hidden",
    "login",
    "masthead",
    "menu",
    "modal",
    "nav",
    "navbar",
    "navigation",
    "navbox",
    "newsletter",
    "outbrain",
    "overlay",
    "pager",
    "paging",
    "pagination",
    "popular",
    "popup",
    "print",
    "promo",
    "promotion",
    "recirc",
    "recommended",
    "recommendations",
    "related",
    "rss",
    "search",
    "share",
    "sharing",
    "sharebar",
    "sidebar",
    "signin",
    "signup",
    "skip",
    "social",
    "sponsor",
    "sponsored",
    "subscribe",
    "subscription",
    "taboola",
    "tags",
    "tagcloud",
    "teaser",
    "teasers",
    "toc",
    "toolbar",
    "tooltip",
    "trending",
    "upsell",
    "widget",
    "widgets",
];

/// Words by which elements say that they hold readers' comments.
const COMMENTS: &[&str] = &["comment", "comments", "commentlist", "disqus", "respond", "replies"];

/// Roles of ARIA that are not content.
const ROLES: &[&str] = &[
    "navigation",
    "banner",
    "complementary",
    "contentinfo",
    "search",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
    "toolbar",
];

/// What a page's head says.
pub(crate) fn head(tree: &Tree) -> Page {
    let mut page = Page::default();
    let mut og_title = None;
    for id in tree.preorder(ROOT) {
        match tree.name(id) {
            name!("html") => page.language = tree.attribute(id, "lang").and_then(clean),
            name!("title") if page.title.is_none() => page.title = clean(&text_of(tree, id)),
            name!("link") if page.canonical_url.is_none() => {
                if tree.attribute(id, "rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical")) {
                    page.canonical_url = tree.attribute(id, "href").and_then(clean);
                }
            }
            name!("meta") => {
                let label = tree.attribute(id, "property").or(tree.attribute(id, "name")).unwrap_or("");
                let content = tree.attribute(id, "content").unwrap_or("");
                match label.to_ascii_lowercase().as_str() {
                    "og:title" => og_title = og_title.or_else(|| clean(content)),
                    "generator" => page.generator = clean(content),
                    "robots" => {
                        let content = content.to_ascii_lowercase();
                        page.opted_out |= content.split(',').any(|v| matches!(v.trim(), "noai" | "noimageai"));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    page.title = og_title.or(page.title);
    page
}

fn text_of(tree: &Tree, id: NodeId) -> String {
    let texts = tree.children(id).filter_map(|child| match &tree.node(child).data {
        Data::Text(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

fn clean(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// The main text of a page, as lines; empty when there is none.
pub(crate) fn main_text(tree: &Tree, options: &Options) -> String {
    let blocks = blocks(tree);
    let order = tree.preorder(ROOT);
    let everything = vec![false; tree.nodes.len()];
    let whole = weights(tree, &order, &blocks, &everything);
    let mut pruned = prune(tree, &order, &whole, BOILERPLATE, &everything);
    let without_boilerplate = weights(tree, &order, &blocks, &pruned);
    if !options.keep_comments {
        let without_comments = prune_comments(tree, &order, &pruned);
        let left = weights(tree, &order, &blocks, &without_comments)[ROOT as usize];
        if left >= FORUM_SHARE * without_boilerplate[ROOT as usize] {
            pruned = without_comments;
        }
    }
    let weights = weights(tree, &order, &blocks, &pruned);
    let container = descend(tree, &weights);
    let inside = inside(tree, &order, container);
    let candidates: Vec<&Block> =
        blocks.iter().filter(|b| inside[b.node as usize] && !pruned[b.node as usize]).collect();
    print(&select(tree, &candidates))
}

/// The weight of the blocks at and below each node, pruned ones counting nothing.
fn weights(tree: &Tree, order: &[NodeId], blocks: &[Block], pruned: &[bool]) -> Vec<f32> {
    let mut weights = vec![0.0f32; tree.nodes.len()];
    for block in blocks.iter().filter(|b| !pruned[b.node as usize]) {
        weights[block.node as usize] += block.weight();
    }
    for &id in order.iter().rev() {
        let parent = tree.node(id).parent;
        if parent != NONE {
            weights[parent as usize] += weights[id as usize];
        }
    }
    weights
}

/// Marks what says of itself that it is not content, with everything below it.
fn prune(tree: &Tree, order: &[NodeId], weights: &[f32], words: &[&str], already: &[bool]) -> Vec<bool> {
    let mut pruned = already.to_vec();
    let heavy = TOO_HEAVY_TO_PRUNE * weights[ROOT as usize];
    let mut articles = vec![false; tree.nodes.len()];
    let with_title = with_title(tree, order);
    for &id in order {
        let parent = tree.node(id).parent;
        if parent != NONE {
            pruned[id as usize] |= pruned[parent as usize];
            articles[id as usize] = articles[parent as usize] || tree.name(parent) == name!("article");
        }
        if pruned[id as usize] || !matches!(tree.node(id).data, Data::Element(..)) {
            continue;
        }
        if weights[id as usize] <= heavy
            && says_boilerplate(tree, id, articles[id as usize] || with_title[id as usize], words)
        {
            pruned[id as usize] = true;
        }
    }
    pruned
}

fn says_boilerplate(tree: &Tree, id: NodeId, has_title: bool, words: &[&str]) -> bool {
    match tree.name(id) {
        name!("nav") | name!("aside") | name!("footer") | name!("menu") | name!("search") => return true,
        name!("header") if !has_title => return true,
        name!("body") | name!("html") | name!("main") | name!("article") | name!("h1") | name!("p") => return false,
        name!("") => return false,
        _ => {}
    }
    let role = tree.attribute(id, "role").unwrap_or("");
    ROLES.iter().any(|r| r.eq_ignore_ascii_case(role)) || has_word(tree, id, words)
}

/// Marks the elements with an `<h1>` below them: a header that holds one is the article's, not the site's.
fn with_title(tree: &Tree, order: &[NodeId]) -> Vec<bool> {
    let mut marked = vec![false; tree.nodes.len()];
    for &id in order.iter().rev() {
        let parent = tree.node(id).parent;
        if parent != NONE && (marked[id as usize] || tree.name(id) == name!("h1")) {
            marked[parent as usize] = true;
        }
    }
    marked
}

fn prune_comments(tree: &Tree, order: &[NodeId], already: &[bool]) -> Vec<bool> {
    let mut pruned = already.to_vec();
    for &id in order {
        let parent = tree.node(id).parent;
        if parent != NONE && pruned[parent as usize] {
            pruned[id as usize] = true;
        } else if !matches!(tree.name(id), name!("") | name!("body") | name!("html") | name!("article") | name!("main"))
        {
            pruned[id as usize] |= has_word(tree, id, COMMENTS);
        }
    }
    pruned
}

/// Whether a word of the list stands in the element's class or id: `related-posts`, `siteNav`, `ad_top`.
fn has_word(tree: &Tree, id: NodeId, words: &[&str]) -> bool {
    let Data::Element(_, attributes) = &tree.node(id).data else { return false };
    let labels = attributes.iter().filter(|a| matches!(&*a.name.local, "class" | "id"));
    labels
        .into_iter()
        .any(|label| words_of(&label.value).any(|word| words.iter().any(|w| word.eq_ignore_ascii_case(w))))
}

/// The words of a class or id, cut at anything but letters and at capitals after small letters.
fn words_of(label: &str) -> impl Iterator<Item = &str> {
    label.split(|c: char| !c.is_ascii_alphabetic()).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let bytes = rest.as_bytes();
            let cut = (1..bytes.len()).find(|&i| bytes[i].is_ascii_uppercase() && bytes[i - 1].is_ascii_lowercase());
            let (word, tail) = rest.split_at(cut.unwrap_or(rest.len()));
            rest = tail;
            Some(word)
        })
    })
}

/// Goes down from the root while one child holds most of the weight.
fn descend(tree: &Tree, weights: &[f32]) -> NodeId {
    let mut at = ROOT;
    loop {
        let heaviest = tree.children(at).max_by(|&a, &b| weights[a as usize].total_cmp(&weights[b as usize]));
        match heaviest {
            Some(child)
                if weights[child as usize] > 0.0
                    && weights[child as usize] >= DESCEND_SHARE * weights[at as usize]
                    && !matches!(
                        tree.name(child),
                        name!("p") | name!("li") | name!("tr") | name!("td") | name!("ul") | name!("pre")
                    ) =>
            {
                at = child;
            }
            // A cell of a layout table holds the page; one of a data table is a part of it.
            Some(child) if tree.name(child) == name!("tr") || tree.name(child) == name!("td") => {
                if weights[child as usize] < DESCEND_SHARE * weights[at as usize] || weights[child as usize] <= 0.0 {
                    return at;
                }
                at = child;
            }
            _ => return at,
        }
    }
}

/// Marks the nodes at and below `top`.
fn inside(tree: &Tree, order: &[NodeId], top: NodeId) -> Vec<bool> {
    let mut inside = vec![false; tree.nodes.len()];
    for &id in order {
        let parent = tree.node(id).parent;
        inside[id as usize] = id == top || (parent != NONE && inside[parent as usize] && !is_invisible(tree, id));
    }
    inside
}

/// Leaves out what is links, and headings with nothing under them.
fn select<'a>(tree: &Tree, candidates: &[&'a Block]) -> Vec<&'a Block> {
    let mut kept: Vec<&Block> = Vec::with_capacity(candidates.len());
    for block in candidates {
        let density = block.link_density();
        let mostly_link = density > 0.5 && (block.words < 40 || density > 0.9);
        let keep = match block.kind {
            Kind::Heading => true,
            Kind::Preformatted => true,
            Kind::ListItem | Kind::Cell(_) => !mostly_link,
            Kind::Paragraph => !mostly_link && tree.name(block.node) != name!("figcaption"),
        };
        if keep {
            kept.push(block);
        }
    }
    let mut has_text_below = false;
    let mut selected: Vec<&Block> = Vec::with_capacity(kept.len());
    for &block in kept.iter().rev() {
        let heading = block.kind == Kind::Heading;
        if !heading || has_text_below {
            selected.push(block);
        }
        has_text_below |= !heading;
    }
    selected.reverse();
    if selected.iter().all(|b| b.kind == Kind::Heading) { Vec::new() } else { selected }
}

/// Writes blocks as lines: items and rows under each other, everything else with a blank line between.
fn print(blocks: &[&Block]) -> String {
    let mut text = String::new();
    let mut before: Option<&Block> = None;
    for &block in blocks {
        let separator = match (before.map(|b| b.kind), block.kind) {
            (None, _) => "",
            (Some(Kind::Cell(a)), Kind::Cell(b)) if a == b => " | ",
            (Some(Kind::Cell(_)), Kind::Cell(_)) if block.words < 40 => "\n",
            (Some(Kind::ListItem), Kind::ListItem) => "\n",
            _ => "\n\n",
        };
        text.push_str(separator);
        if block.kind == Kind::ListItem {
            text.push_str("- ");
        }
        text.push_str(&block.text);
        before = Some(block);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCE: &str = "The tide came in over the flats before anybody had noticed that the boat was gone.";

    fn check(html: &str, expected: &str) {
        let tree = Tree::parse(html, &Options::default()).unwrap();
        assert_eq!(main_text(&tree, &Options::default()).replace(SENTENCE, "§"), expected, "{html}");
    }

    fn with_sentences(html: &str) -> String {
        html.replace('§', SENTENCE)
    }

    #[test]
    fn an_article_among_boilerplate() {
        let html = with_sentences(
            "<body class=has-sidebar><header><a href=/>Paper</a></header><nav><ul><li><a href=1>News</a><li><a href=2>Sport</a></ul></nav>
            <div id=page><div class=story><h1>Tide</h1><p>§</p><p>§</p><div class='share-bar'>Share this!</div><h2>Later</h2><p>§</p></div>
            <div class=sidebarRight><p>§</p></div></div><div class=comments><p>§</p></div><footer>All rights reserved.</footer>",
        );
        check(&html, "Tide\n\n§\n\n§\n\nLater\n\n§");
    }

    #[test]
    fn a_forum_keeps_its_posts() {
        let html =
            with_sentences("<div id=comments><div class=comment><p>§</p></div><div class=comment><p>§</p></div></div>");
        check(&html, "§\n\n§");
    }

    #[test]
    fn a_layout_table() {
        let html = with_sentences(
            "<table><tr><td><a href=1>Home</a><br><a href=2>Links</a><td><p>§<p>§<tr><td colspan=2>Contact us</table>",
        );
        check(&html, "§\n\n§");
    }

    #[test]
    fn lists_and_tables_are_lines() {
        let html = with_sentences(
            "<main><p>§<ul><li>one<li>two</ul><table><tr><td>a<td>b<tr><td>c<td>d</table><pre>x\n  y</pre><p>§</main>",
        );
        check(&html, "§\n\n- one\n- two\n\na | b\nc | d\n\nx\n  y\n\n§");
    }

    #[test]
    fn pages_without_text() {
        check("", "");
        check("<frameset><frame src=a><noframes>no frames</noframes></frameset>", "");
        check("<ul><li><a href=1>One page</a><li><a href=2>Another page</a></ul>", "");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(html in "(<(/?(p|div|table|td|tr|b|a|ul|li|svg|template|select|pre)|br|!--|script)( class=(nav|x))?>|[a-z ]{0,9}){0,40}") {
            crate::extract(html.as_bytes(), None, &Options::default()).unwrap();
        }
    }
}
