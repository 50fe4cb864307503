//! Listings of code of which each line is an element: the tables and boxes of highlighters, with `<pre>` or without,
//! `<code>` with `<br>`, and what a style declares to keep its lines. A browser shows each as one run of lines, and so
//! is each one block.

use super::cutter::BLOCK_LEVEL;
use super::visibility::is_declared;
use crate::html::{NONE, Name, NameSet, NodeId, Tree, attribute, tag, tags};

/// Classes that highlighters and editors give to the element around all lines of a listing.
const CLASSES: [&str; 11] = [
    "CodeMirror-code",
    "ace_text-layer",
    "blob-code-content",
    "crayon-pre",
    "dp-highlighter",
    "enlighter",
    "js-file-line-container",
    "react-code-lines",
    "syntaxhighlighter",
    "urvanov-syntax-highlighter-pre",
    "view-lines",
];
/// Classes of the rows of buttons inside of them.
const TOOLBARS: [&str; 5] = ["toolbar", "crayon-toolbar", "bar", "tools", "enlighter-toolbar"];
/// Elements that are more than lines of code: a `<pre>` around them was never closed, or lays out a page.
const TEXT: NameSet = tags![
    P H1 H2 H3 H4 H5 H6 HR DL BLOCKQUOTE ARTICLE SECTION MAIN ASIDE NAV HEADER FOOTER FORM FIGURE IMG PRE IFRAME
    SELECT TEXTAREA
];
/// Elements that may hold a line of code.
const LINES: NameSet = tags![DIV TABLE TBODY TR TD OL UL LI];
/// Nodes that are looked at in a listing to see that there is nothing but lines.
const MAX_NODES: usize = 20_000;
/// Nodes that are looked at beside a listing.
const MAX_SIBLINGS: usize = 100;

/// Whether an element is a listing whose block-level elements are its lines. Linear in the nodes below a candidate;
/// listings are not looked for within listings.
pub(super) fn is_listing(tree: &Tree, id: NodeId, name: Name) -> bool {
    match name {
        tag::PRE => has_lines(tree, id) && has_only_lines(tree, id),
        tag::CODE => has_breaks(tree, id) && is_alone(tree, id) && has_only_lines(tree, id),
        tag::DIV | tag::TABLE | tag::TD | tag::OL => {
            (tree.has_class(id, &CLASSES) || keeps_lines(tree, id)) && has_only_lines(tree, id)
        }
        _ => false,
    }
}

/// Whether an element in a listing is its row of buttons.
pub(super) fn is_toolbar(tree: &Tree, id: NodeId, name: Name) -> bool {
    name == tag::DIV && tree.has_class(id, &TOOLBARS)
}

/// Whether a text in a listing only parts the elements of its lines.
pub(super) fn is_between_lines(tree: &Tree, id: NodeId) -> bool {
    let node = tree.node(id);
    tree.text(id).trim_ascii().is_empty()
        && [node.previous, node.next].into_iter().any(|other| other != NONE && BLOCK_LEVEL.has(tree.name(other)))
}

/// `white-space: pre`; with the other values that keep lines, prose is written as well.
fn keeps_lines(tree: &Tree, id: NodeId) -> bool {
    let style = tree.raw_attribute(id, attribute::STYLE);
    style.is_some_and(|style| is_declared(style, "white-space", |value| value.eq_ignore_ascii_case("pre")))
}

fn has_lines(tree: &Tree, id: NodeId) -> bool {
    let is_block = |value: &str| value.eq_ignore_ascii_case("block");
    let is_line = |node| {
        let style = || tree.raw_attribute(node, attribute::STYLE);
        LINES.has(tree.name(node)) || style().is_some_and(|style| is_declared(style, "display", is_block))
    };
    tree.preorder(id).skip(1).take(MAX_NODES).any(is_line)
}

fn has_breaks(tree: &Tree, id: NodeId) -> bool {
    tree.preorder(id).take(MAX_NODES).any(|node| tree.name(node) == tag::BR)
}

fn has_only_lines(tree: &Tree, id: NodeId) -> bool {
    let mut below = tree.preorder(id).skip(1);
    let has_text = below.by_ref().take(MAX_NODES).any(|node| TEXT.has(tree.name(node)));
    !has_text && below.next().is_none()
}

/// Whether there is no text beside an element, of few siblings.
fn is_alone(tree: &Tree, id: NodeId) -> bool {
    let mut siblings = tree.children(tree.node(id).parent);
    let has_text = siblings.by_ref().take(MAX_SIBLINGS).any(|other| other != id && !tree.text(other).trim().is_empty());
    !has_text && siblings.next().is_none()
}

#[cfg(test)]
mod tests {
    use crate::blocks::{BlockKind, blocks};
    use crate::html::{ParseOptions, parse};

    /// The texts of the page's listings.
    fn listings(html: &str) -> Vec<String> {
        let page = blocks(&parse(html, ParseOptions::default()).unwrap());
        let is_listing = |block: &&crate::blocks::Block| block.kind == BlockKind::Preformatted;
        page.blocks.iter().filter(is_listing).map(|block| page.text_of(block).to_owned()).collect()
    }

    #[test]
    fn lines_of_elements_are_one_listing() {
        for (html, expected) in [
            (
                "<div class=syntaxhighlighter><div class=toolbar><a>?</a></div><table><tr><td class=gutter><div>1</div><div>2</div><td class=code><div>a:</div><div>&nbsp; b</div></table></div>",
                "a:\n  b",
            ),
            (
                "<table class='js-file-line-container'>\n<tr>\n<td class=blob-num></td>\n<td>a</td>\n</tr>\n<tr><td><td>\n</tr><tr><td><td>  b</tr></table>",
                "a\n\n  b",
            ),
            ("<div class=crayon-pre><div>a</div><div>&nbsp;</div><div>b</div></div>", "a\n\nb"),
            ("<p><code>a:<br>&nbsp; b</code></p>", "a:\n  b"),
            ("<div style='white-space: pre'>a\n b</div>", "a\n b"),
            ("<pre><div>a</div><div>  b</div></pre>", "a\n  b"),
            ("<pre><span style='display:block'>a</span><span style='display:block'>b</span></pre>", "a\nb"),
        ] {
            assert_eq!(listings(html), [expected], "{html}");
        }
    }

    #[test]
    fn what_holds_text_is_no_listing() {
        for html in [
            "<div class=syntaxhighlighter><p>a</p><p>b</p></div>",
            "<p>say <code>a<br>b</code> to it</p>",
            "<div style='white-space: pre-wrap'>a\n b</div>",
        ] {
            assert_eq!(listings(html), [""; 0], "{html}");
        }
        // A `<pre>` that was never closed: its paragraphs stay apart.
        assert_eq!(listings("<pre><div>a</div><p>b</p><div>c</div>"), ["a", "b", "c"]);
    }
}
