//! Explains the text of a page: as a list for the terminal, or as the page itself with coloured blocks.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::Analysis;
use crate::blocks::{BlockKind, is_invisible};
use crate::boilerplate::Boilerplate;
use crate::html::{NONE, Name, NameSet, Namespace, NodeId, ROOT, Tree, tag, tags};
use crate::select::BlockReason;

/// Bytes of a block's text that a line of the list shows.
const SHOWN_BYTES: usize = 90;

/// One line per block: whether it was kept, its probability, the reason, its kind, and its beginning; then one line per
/// element that was left out as hidden, with why.
pub fn list(analysis: &Analysis, colours: bool) -> String {
    let mut lines = String::new();
    for (number, block) in analysis.blocks.blocks.iter().enumerate() {
        let reason = analysis.reasons[number];
        let (on, off) = match (colours, reason.is_kept()) {
            (false, _) => ("", ""),
            (true, true) => ("\x1b[32m", "\x1b[0m"),
            (true, false) => ("\x1b[2m", "\x1b[0m"),
        };
        let text = analysis.blocks.text_of(block).replace('\n', " ");
        let shown = shortened(&text);
        let mark = if reason.is_kept() { '+' } else { '-' };
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "{on}{mark} {:.2} {:<14} {:<11} {shown}{off}",
            analysis.probabilities[number],
            short(reason),
            kind(block.kind),
        );
    }
    for &(id, reason) in &analysis.blocks.hidden {
        let text = hidden_text(analysis.tree, id);
        if text.is_empty() {
            continue;
        }
        let (on, off) = if colours { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let name = analysis.tree.tag_name(id);
        let _ = writeln!(lines, "{on}- hidden <{name}>: {}: {}{off}", reason.describe(), shortened(&text));
    }
    lines
}

/// The beginning of the text of an element that no block shows.
fn hidden_text(tree: &Tree, id: NodeId) -> String {
    let mut text = String::new();
    let mut at = Some(id);
    while let Some(node) = at.filter(|_| text.len() <= SHOWN_BYTES) {
        for word in tree.text(node).split_whitespace() {
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(word);
        }
        at = tree.following(node, id, !tree.name(node).is_element() || !is_invisible(tree, node));
    }
    text
}

fn shortened(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return text.to_owned();
    }
    let mut end = SHOWN_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

fn short(reason: BlockReason) -> &'static str {
    match reason {
        BlockReason::Likely => "likely",
        BlockReason::LongText => "long-text",
        BlockReason::AmongMainText => "among-text",
        BlockReason::BestThereIs => "best-there-is",
        BlockReason::Title => "title",
        BlockReason::Comment => "comment",
        BlockReason::Unlikely => "unlikely",
        BlockReason::CommentLeftOut => "comment-left",
        BlockReason::ForScriptless => "scriptless",
        BlockReason::TitleLeftOut => "title-left-out",
        BlockReason::Repeated => "repeated",
        BlockReason::BesideText => "beside-text",
        BlockReason::HeadingOfNothing => "heads-nothing",
        BlockReason::Companion => "companion",
        BlockReason::Alike => "alike",
        BlockReason::Boilerplate(Boilerplate::CookieNotice) => "cookie-notice",
        BlockReason::Boilerplate(Boilerplate::Dateline) => "dateline",
        BlockReason::Boilerplate(Boilerplate::ReadMore) => "read-more",
        BlockReason::Boilerplate(Boilerplate::Newsletter) => "newsletter",
        BlockReason::Boilerplate(Boilerplate::Contents) => "contents",
        BlockReason::Boilerplate(Boilerplate::Apparatus) => "apparatus",
        BlockReason::Boilerplate(Boilerplate::LinkList) => "link-list",
        BlockReason::Boilerplate(Boilerplate::SiteName) => "site-name",
        BlockReason::Boilerplate(Boilerplate::Advertisement) => "advertisement",
        BlockReason::Boilerplate(Boilerplate::Writer) => "writer",
        BlockReason::Boilerplate(Boilerplate::Signature) => "signature",
        BlockReason::Boilerplate(Boilerplate::Count) => "count",
        BlockReason::Boilerplate(Boilerplate::Button) => "button",
        BlockReason::Boilerplate(Boilerplate::Question) => "question",
    }
}

/// The name of a block's kind in lists and JSON.
pub fn kind(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Paragraph => "paragraph",
        BlockKind::Heading(_) => "heading",
        BlockKind::ListItem { .. } => "list_item",
        BlockKind::Term => "term",
        BlockKind::Definition => "definition",
        BlockKind::Cell { .. } => "cell",
        BlockKind::Preformatted => "preformatted",
    }
}

/// The page as HTML without its scripts, with coloured blocks: green ones were kept, red ones dropped, and a darker
/// colour means a more certain decision. The title attribute of a block has its probability and the reason.
pub fn overlay(analysis: &Analysis) -> String {
    let tree = analysis.tree;
    let hidden: HashSet<NodeId> = analysis.blocks.hidden.iter().map(|&(id, _)| id).collect();
    let mut of_text = vec![u32::MAX; tree.node_count()];
    for (number, block) in analysis.blocks.blocks.iter().enumerate() {
        let mut at = Some(block.first);
        while let Some(id) = at {
            if tree.name(id) == Name::TEXT {
                of_text[id as usize] = number as u32;
            }
            if id == block.last {
                break;
            }
            at = tree.following(id, ROOT, !is_invisible(tree, id) && !hidden.contains(&id));
        }
    }
    let mut writer = Writer { analysis, of_text, html: String::from("<!doctype html>\n") };
    writer.page();
    writer.html
}

struct Writer<'a> {
    analysis: &'a Analysis<'a>,
    /// By node: the block that a text belongs to.
    of_text: Vec<u32>,
    html: String,
}

const VOID: NameSet = tags![AREA BASE BR COL EMBED FRAME HR IMG INPUT KEYGEN LINK META PARAM SOURCE TRACK WBR];

/// Elements that run code, load another page, or navigate away.
const LEFT_OUT: NameSet = tags![SCRIPT IFRAME OBJECT EMBED APPLET META TEMPLATE BASE];

impl Writer<'_> {
    fn page(&mut self) {
        let tree = self.analysis.tree;
        let mut at = ROOT;
        loop {
            let below = self.open(at);
            let first = tree.node(at).first_child;
            if below && first != NONE {
                at = first;
                continue;
            }
            if below {
                self.close(at);
            }
            while tree.node(at).next == NONE {
                at = tree.node(at).parent;
                if at == NONE || at == ROOT {
                    return;
                }
                self.close(at);
            }
            at = tree.node(at).next;
        }
    }

    /// Writes a node's beginning; `false` if its children are skipped and it has no end.
    fn open(&mut self, id: NodeId) -> bool {
        let tree = self.analysis.tree;
        let name = tree.name(id);
        if name == Name::TEXT {
            self.text(id);
            return false;
        }
        if name == Name::COMMENT || name == Name::DOCTYPE || LEFT_OUT.has(name) {
            return false;
        }
        if !name.is_element() {
            return true;
        }
        self.html.push('<');
        self.html.push_str(&shown_tag(tree, id));
        for (key, value) in tree.attributes(id) {
            // Event handlers would run; an invalid name would end the tag.
            let is_name = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'));
            if key.starts_with("on") || !is_name || value.trim_start().to_ascii_lowercase().starts_with("javascript:") {
                continue;
            }
            self.html.push(' ');
            self.html.push_str(&key);
            self.html.push_str("=\"");
            push_escaped(&mut self.html, &value);
            self.html.push('"');
        }
        self.html.push('>');
        if name == tag::HEAD {
            self.html.push_str("<meta charset=\"utf-8\">");
        }
        !(VOID.has(name) && name.namespace() == Namespace::Html)
    }

    fn close(&mut self, id: NodeId) {
        if self.analysis.tree.name(id).is_element() {
            self.html.push_str("</");
            self.html.push_str(&shown_tag(self.analysis.tree, id));
            self.html.push('>');
        }
    }

    fn text(&mut self, id: NodeId) {
        let tree: &Tree = self.analysis.tree;
        let parent = tree.node(id).parent;
        let text = tree.text(id);
        let block = self.of_text[id as usize];
        if tree.name(parent) == tag::STYLE {
            self.html.push_str(text);
            return;
        }
        if block == u32::MAX || text.trim().is_empty() {
            push_escaped(&mut self.html, text);
            return;
        }
        let probability = self.analysis.probabilities[block as usize];
        let reason = self.analysis.reasons[block as usize];
        let (colour, sure) = match reason.is_kept() {
            true => ("0,150,60", probability),
            false => ("210,40,40", 1.0 - probability),
        };
        let _ = write!(
            self.html,
            "<span style=\"background:rgba({colour},{:.2});outline:1px solid rgba({colour},.6)\" title=\"block {block}: {probability:.2}, {}\">",
            0.12 + 0.33 * sure.clamp(0.0, 1.0),
            reason.describe(),
        );
        push_escaped(&mut self.html, text);
        self.html.push_str("</span>");
    }
}

/// `<noscript>` becomes visible in a browser with scripts.
fn shown_tag<'a>(tree: &'a Tree, id: NodeId) -> Cow<'a, str> {
    if tree.name(id) == tag::NOSCRIPT { Cow::Borrowed("div") } else { tree.tag_name(id) }
}

fn push_escaped(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            c => to.push(c),
        }
    }
}
