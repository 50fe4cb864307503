//! Inline elements that style sheets lay out as blocks.
//!
//! Elements of a page's own names (`<story-paragraph>`) and spans are inline until a style says otherwise, and the style
//! is seldom in the page. What shows it is where they stand: beside each other, with no text and no space between.

use super::cutter::BLOCK_LEVEL;
use super::ends_like_sentence;
use super::visibility::is_declared;
use crate::html::{NONE, Name, NameSet, Namespace, NodeId, Tree, attribute, tag, tags};

/// Elements of which two in a row, without a space between, may be two words.
const WORDS: NameSet = tags![SPAN A TIME SMALL STRONG B LABEL EM I ABBR CITE FONT];
/// Elements whose text belongs to that before them: exponents, marks of notes.
const RAISED: NameSet = tags![SUP SUB];
/// Signs that belong to what follows, to what comes before, and that stand within numbers, times and dates.
const OPENING: &str = "([{«“‘„‚¿¡$€£¥#@";
const CLOSING: &str = ")]}»”’,.;:!?%…°、。，．：；！？）」』";
const SIGNS_IN_NUMBERS: &str = ".,:/-–";
/// Nodes that are looked at for a sign alone.
const MAX_SIGN_NODES: usize = 8;
/// A sentence of so many bytes is no part of a line.
const MIN_SENTENCE_BYTES: usize = 40;
/// Letters of a word, and digits of a number, that go on nothing that stands before them.
const MIN_WORD_LETTERS: usize = 3;
const MIN_LONG_NUMBER_DIGITS: usize = 5;
/// Letters that are looked at before an element.
const MAX_LETTERS_BEFORE: usize = 40;
/// Nodes that are looked at below and beside an element.
const MAX_NODES: usize = 200;

/// Whether an element that is inline by its name begins and ends a line.
pub(super) fn is_laid_out_as_block(tree: &Tree, id: NodeId, name: Name) -> bool {
    if name.namespace() != Namespace::Html || name == tag::BR {
        return false;
    }
    if let Some(style) = tree.raw_attribute(id, attribute::STYLE)
        && is_declared(style, "display", is_block_value)
    {
        return true;
    }
    if name.known().is_none() {
        return is_own_block(tree, id);
    }
    name == tag::SPAN && is_sentence_beside_its_like(tree, id) || name == tag::CITE && is_head_of_quote(tree, id)
}

/// Whether `<cite>` names who wrote the quotation that follows it, as on boards: the first in the quotation or in the
/// only element of it.
fn is_head_of_quote(tree: &Tree, id: NodeId) -> bool {
    let is_blank =
        |other: NodeId| other == NONE || tree.name(other) == Name::TEXT && tree.text(other).trim().is_empty();
    let is_first = |id: NodeId| is_blank(tree.node(id).previous);
    let parent = tree.node(id).parent;
    let is_in = |around: NodeId| tree.name(around) == tag::BLOCKQUOTE;
    let is_in_quote = is_in(parent) || is_first(parent) && is_in(tree.node(parent).parent);
    is_first(id) && is_in_quote && !is_blank(tree.node(id).next)
}

fn is_block_value(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let value = value.trim_end_matches("!important").trim();
    matches!(value, "block" | "flex" | "grid" | "table" | "list-item" | "flow-root" | "table-row" | "table-cell")
}

/// Whether an element of a name that HTML does not have stands among blocks: no text beside it, nor another inline
/// element. A name with a colon is another vocabulary's, for words in a line.
fn is_own_block(tree: &Tree, id: NodeId) -> bool {
    if tree.tag_name(id).contains(':') {
        return false;
    }
    let parent = tree.node(id).parent;
    let mut beside = tree.children(parent).take(MAX_NODES);
    let is_among_blocks = beside.all(|other| {
        let name = tree.name(other);
        match name {
            Name::TEXT => tree.text(other).trim().is_empty(),
            _ if name.is_element() => {
                name.known().is_none()
                    || BLOCK_LEVEL.has(name)
                    || tags![SCRIPT STYLE TEMPLATE LINK META BR IMG PICTURE BUTTON SLOT].has(name)
            }
            _ => true,
        }
    });
    // A single element in a paragraph or a heading is a part of it.
    const LINES: NameSet = tags![P H1 H2 H3 H4 H5 H6 SPAN A B I EM STRONG LABEL SMALL SUMMARY];
    is_among_blocks && !LINES.has(tree.name(parent))
}

/// Whether a span is a sentence, directly before or behind another span of its class.
fn is_sentence_beside_its_like(tree: &Tree, id: NodeId) -> bool {
    let Some(class) = tree.raw_attribute(id, attribute::CLASS).filter(|class| !class.is_empty()) else { return false };
    let is_alike = |other: &NodeId| {
        *other != NONE && tree.name(*other) == tag::SPAN && tree.raw_attribute(*other, attribute::CLASS) == Some(class)
    };
    let node = tree.node(id);
    let mut beside = [node.previous, node.next].into_iter().filter(is_alike).peekable();
    beside.peek().is_some() && is_sentence(tree, id) && beside.all(|other| is_sentence(tree, other))
}

/// Whether the text below an element begins and ends as a sentence, and is long enough for one.
fn is_sentence(tree: &Tree, id: NodeId) -> bool {
    let mut bytes = 0;
    let (mut first, mut last) = (None, "");
    for node in tree.preorder(id).take(MAX_NODES) {
        let text = tree.text(node);
        if bytes == 0 {
            first = text.chars().next();
        }
        bytes += text.len();
        if !text.trim().is_empty() {
            last = text.trim_end();
        }
    }
    let begins = first.is_some_and(|first| !first.is_whitespace() && !first.is_lowercase() && first != '\u{a0}');
    bytes >= MIN_SENTENCE_BYTES && begins && ends_like_sentence(last)
}

/// What is between the text before an inline element and its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Between {
    /// Nothing.
    #[default]
    Nothing,
    /// The end of another element, which may part words.
    Element,
    /// The end of an element of another class, which labels what follows or is labelled by it.
    OtherClass,
    /// A gap that a style makes, before or behind a sign alone: `12`, `:`, `30`.
    Sign,
    /// A gap that a style makes.
    Gap,
}

/// What is between an inline element, or a text, and what stands before it.
pub(super) fn between(tree: &Tree, id: NodeId) -> Between {
    let before = tree.node(id).previous;
    if before == NONE || RAISED.has(tree.name(id)) {
        return Between::Nothing;
    }
    let are_words = WORDS.has(tree.name(id)) && WORDS.has(tree.name(before));
    let is_time = tree.name(before) == tag::TIME || tree.name(id) == tag::TIME;
    if are_words && is_time {
        return Between::Gap;
    }
    if !is_spaced(tree, before, id)
        && (is_in_row(tree, id) || are_words && (is_floated(tree, before) || is_floated(tree, id)))
    {
        return if is_sign(tree, before) || is_sign(tree, id) { Between::Sign } else { Between::Gap };
    }
    let class = |id| tree.raw_attribute(id, attribute::CLASS);
    match (class(before), class(id)) {
        _ if !are_words => Between::Nothing,
        (Some(one), Some(other)) if one != other => Between::OtherClass,
        _ => Between::Element,
    }
}

/// Whether one of two nodes is text with a space where they meet: nothing is glued there.
fn is_spaced(tree: &Tree, before: NodeId, id: NodeId) -> bool {
    tree.text(before).ends_with(char::is_whitespace) || tree.text(id).starts_with(char::is_whitespace)
}

/// Whether a style puts what is in the element around beside each other, texts too.
fn is_in_row(tree: &Tree, id: NodeId) -> bool {
    let is_row = |value: &str| is_one_of(value, &["flex", "grid", "inline-flex", "inline-grid"]);
    tree.raw_attribute(tree.node(id).parent, attribute::STYLE)
        .is_some_and(|style| is_declared(style, "display", is_row))
}

/// Whether a style puts an element beside the others rather than into their line.
fn is_floated(tree: &Tree, id: NodeId) -> bool {
    let is_side = |value: &str| is_one_of(value, &["left", "right"]);
    tree.raw_attribute(id, attribute::STYLE).is_some_and(|style| is_declared(style, "float", is_side))
}

/// Whether a style's value is one of these words, important or not.
fn is_one_of(value: &str, words: &[&str]) -> bool {
    let word = value.split(['!', ' ']).next().unwrap_or("");
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether all the text of a node is a sign that may be within a number.
fn is_sign(tree: &Tree, id: NodeId) -> bool {
    let mut texts = tree.preorder(id).take(MAX_SIGN_NODES).map(|node| tree.text(node).trim()).filter(|t| !t.is_empty());
    texts.next().is_some_and(|text| text.len() <= 4 && is_sign_text(text)) && texts.next().is_none()
}

fn is_sign_text(text: &str) -> bool {
    let mut chars = text.trim().chars();
    chars.next().is_some_and(|c| SIGNS_IN_NUMBERS.contains(c)) && chars.next().is_none()
}

/// Whether two texts that a style lays out apart would be glued, other than brackets and the like to what they enclose.
fn would_glue_apart(before: &str, text: &str, between: Between) -> bool {
    let mut ends = before.chars().rev();
    let (Some(last), Some(first)) = (ends.next(), text.chars().next()) else { return false };
    let is_in_number = match first.is_ascii_digit() {
        true => SIGNS_IN_NUMBERS.contains(last) && ends.next().is_some_and(|c| c.is_ascii_digit()),
        false => last.is_ascii_digit() && is_sign_text(text),
    };
    if between == Between::Sign && is_in_number {
        return false;
    }
    !last.is_whitespace() && !first.is_whitespace() && !OPENING.contains(last) && !CLOSING.contains(first)
}

/// Whether the text of such an element would be glued to a word before it: `…news` and `Sport`, `Year` and `2013`,
/// `ISBN-13` and a long number. Letters of one word in several elements, ordinals and prices stay together.
pub(super) fn would_glue(before: &str, text: &str, between: Between) -> bool {
    if matches!(between, Between::Gap | Between::Sign) {
        return would_glue_apart(before, text, between);
    }
    let Some(first) = text.chars().next().filter(|first| first.is_uppercase() || first.is_ascii_digit()) else {
        return false;
    };
    // A block may have any number of elements without a space: only its last letters are looked at.
    let before: Vec<char> = before.chars().rev().take(MAX_LETTERS_BEFORE).take_while(|c| !c.is_whitespace()).collect();
    let Some(&last) = before.first() else { return false };
    let is_word_end = last.is_lowercase() && before.len() >= 3 && before[1..3].iter().all(|c| c.is_alphabetic());
    let letters = before.iter().filter(|c| c.is_alphabetic()).count();
    let next_letters = text.chars().take_while(|c| c.is_alphabetic()).take(MIN_WORD_LETTERS).count();
    let next_digits = text.bytes().take_while(u8::is_ascii_digit).take(MIN_LONG_NUMBER_DIGITS).count();
    let is_word =
        first.is_uppercase() && text.chars().nth(1).is_some_and(char::is_lowercase) && next_letters == MIN_WORD_LETTERS;
    match last {
        _ if first.is_uppercase() && (is_word_end || matches!(last, '.' | '!' | '?' | ':' | ';')) => true,
        '0'..='9' if letters < 2 => is_word,
        '0'..='9' => is_word || first.is_uppercase() && next_letters >= 2 || next_digits == MIN_LONG_NUMBER_DIGITS,
        _ if last.is_uppercase() => is_word && letters >= 3 && !before.iter().any(|c| c.is_lowercase()),
        _ => is_word_end && next_digits >= if between == Between::OtherClass { 1 } else { 2 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_elements_side_by_side() {
        for (before, text) in [
            ("the news", "Sport"),
            ("mora wrote:", "Has anybody"),
            ("Publication Year", "2013"),
            ("ISBN-13", "9780544103054"),
            ("YETI", "Rambler"),
            ("$123.95", "Was $154.95"),
            ("#1", "Anthills"),
            ("NKZ5M2K2", "MFR:"),
        ] {
            assert!(would_glue(before, text, Between::Element), "{before}|{text}");
        }
        for (before, text) in [
            ("T", "he"),
            ("1", "st"),
            ("$19", "99"),
            ("H", "ELLO"),
            ("iPhone", "5"),
            ("Mc", "Donald"),
            ("3", "D"),
            ("the", "n"),
            ("WEB", "TEXT"),
            ("10", "PM"),
            ("", "Sport"),
        ] {
            assert!(!would_glue(before, text, Between::Element), "{before}|{text}");
        }
        assert!(would_glue("Crew", "4", Between::OtherClass) && would_glue("10am", "1", Between::Gap));
    }

    #[test]
    fn what_a_style_lays_out_apart() {
        for (before, text) in [
            ("Crew:", "4"),
            ("Total (all)", "99"),
            ("The wall is sound.", "The gates are not."),
            ("“Quote.”", "Next"),
            ("in 2012.", "4 boats"),
            ("Home", "/"),
            ("the", "(old)"),
            ("May 4", "·"),
            ("中文", "中文"),
        ] {
            assert!(would_glue(before, text, Between::Gap), "{before}|{text}");
        }
        for (before, text) in [
            ("Crew", ":"),
            ("(", "old"),
            ("old", ")"),
            ("$", "19"),
            ("50", "%"),
            ("", "x"),
            ("a ", "b"),
            ("a\n", "b"),
            ("a", " "),
        ] {
            assert!(!would_glue(before, text, Between::Gap), "{before}|{text}");
        }
        for (before, text) in [("12", ":"), ("12:", "30"), ("10", "/"), ("10/", "20"), ("$19.", "99")] {
            assert!(!would_glue(before, text, Between::Sign), "{before}|{text}");
        }
        assert!(would_glue("Crew:", "4", Between::Sign) && would_glue("Home", "/", Between::Sign));
    }

    #[test]
    fn boxes_of_a_row() {
        let check = |inner: &str, expected: &str| {
            for style in ["display:flex", "display: GRID !important", "gap:1px;display:inline-flex"] {
                let html = format!("<div style='{style}'>{inner}</div>");
                let tree = crate::html::parse(&html, crate::html::ParseOptions::default()).unwrap();
                let page = crate::blocks::blocks(&tree);
                let texts: Vec<&str> = page.blocks.iter().map(|block| page.text_of(block)).collect();
                assert_eq!(texts.join("|"), expected, "{html}");
            }
        };
        check("<span>Crew:</span><span>4</span>", "Crew: 4");
        check(
            "<span>The wall is sound.</span><span>The gates are not.</span>",
            "The wall is sound. The gates are not.",
        );
        check("<b>Total (all)</b><i>99</i>", "Total (all) 99");
        check("Crew:<span>4</span>", "Crew: 4");
        check("<code>a.b()</code>is called.", "a.b() is called.");
        check("<a href=x>Ann.</a><svg></svg><mark>Bo.</mark>", "Ann. Bo.");
        check("<span>12</span>:<span>30</span><span>(</span><span>noon</span><span>)</span>", "12:30 (noon)");
        check("<span>$</span><span>19</span><span>.</span><span>99</span>", "$19.99");
        check("<span>Read <b>this</b>.</span><span>m<sup>2</sup></span>", "Read this. m^2");
    }
}
