//! Any bytes as a page, within a small budget: the parser alone with scripting on and off, the text in both
//! formats with every policy, and both explanations; the same bytes give the same text.
#![no_main]

use extract::html::{self, ParseOptions, Name, ROOT, Tree};
use extract::{Format, Options, Page, Inclusion, charset, explain, extract, with_analysis};
use libfuzzer_sys::fuzz_target;

const MAX_NODES: usize = 20_000;
const MAX_DEPTH: u32 = 256;

/// Both formats, each with each policy once: a page is read as seldom as that allows.
const WRITTEN: [(Format, Inclusion, Inclusion); 4] = [
    (Format::Text, Inclusion::Drop, Inclusion::Keep),
    (Format::Text, Inclusion::Keep, Inclusion::Drop),
    (Format::Markdown, Inclusion::Keep, Inclusion::Keep),
    (Format::Markdown, Inclusion::Drop, Inclusion::Drop),
];

fuzz_target!(|bytes: &[u8]| {
    // Which header a page comes with is the input's to say, and stays when it is minimised from the front.
    let content_type = [None, Some("text/html; charset=shift_jis")][usize::from(bytes.last() == Some(&b'\n'))];
    let source = html::with_plain_newlines(charset::decode(bytes, content_type).text);
    for scripting in [false, true] {
        let mut options = ParseOptions::default();
        (options.max_nodes, options.max_depth, options.scripting) = (MAX_NODES, MAX_DEPTH as usize, scripting);
        if let Ok(tree) = html::parse(&source, options) {
            check_tree(&tree, &source);
        }
    }
    for (format, comments, title) in WRITTEN {
        let mut options = Options::default();
        (options.max_nodes, options.max_depth) = (MAX_NODES, MAX_DEPTH);
        (options.format, options.comments, options.title) = (format, comments, title);
        let Ok(page) = with_analysis(bytes, content_type, &options, |analysis| {
            let _ = explain::overlay(analysis);
            let lines = explain::list(analysis, false);
            assert_eq!(lines.lines().count(), analysis.blocks.blocks.len(), "a block is not listed, or twice");
            analysis.page(&options)
        }) else {
            return;
        };
        check_page(&page, &source);
        if format == Format::Text {
            assert_eq!(Ok(page), extract(bytes, content_type, &options), "another text for the same bytes");
        }
    }
});

/// Every node hangs where its parent and siblings say, and every text begins on a character of the source.
fn check_tree(tree: &Tree, source: &str) {
    assert!(tree.node_count() <= MAX_NODES, "more nodes than the limit");
    let mut reached = 0;
    for id in tree.preorder(ROOT) {
        reached += 1;
        assert!(reached <= tree.node_count(), "a node is reached twice");
        let mut before = html::NONE;
        for child in tree.children(id) {
            let node = tree.node(child);
            assert!(node.parent == id && node.previous == before, "a child of somebody else");
            before = child;
        }
        assert_eq!(tree.node(id).last_child, before, "the last child is not the last");
        if tree.name(id) == Name::TEXT {
            assert!(!tree.text(id).is_empty(), "an empty text");
        }
        assert!(source.is_char_boundary(tree.source_offset(id)), "a text begins inside a character, or nowhere");
        if tree.name(id).is_element() {
            assert!(!tree.tag_name(id).is_empty(), "an element without a name");
            let _ = tree.attributes(id);
        }
    }
}

/// The parts are pieces of the text, in order, none empty, and each says where in the page it begins.
fn check_page(page: &Page, source: &str) {
    let mut end = 0;
    for part in &page.parts {
        assert!(part.range.start >= end, "parts overlap or are out of order");
        end = part.range.end;
        let text = page.text.get(part.range.clone()).expect("a part is a piece of the text, on characters' borders");
        assert!(!text.trim().is_empty(), "an empty part");
        assert!(source.is_char_boundary(part.source_offset), "a part begins inside a character, or nowhere");
        assert!((0.0..=1.0).contains(&part.probability), "a probability of {}", part.probability);
    }
    assert_eq!(page.text.is_empty(), page.parts.is_empty(), "text without parts, or parts without text");
    assert!(!page.text.contains('\0'), "a NUL");
    assert_eq!(page.text.matches('\u{fffd}').count() as u64, page.replacement_characters);
}
