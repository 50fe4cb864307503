//! Superscripts and subscripts, rewritten where they end.

use super::super::furniture::is_mark;
use super::super::raised::{Written, push_behind, subscript, superscript};
use super::Cutter;
use crate::html::{NONE, Name, NodeId, tag};

/// Nodes that are looked at behind a superscript.
const MAX_NODES_BEHIND: usize = 8;

/// A superscript or subscript around the current node.
pub(super) struct Raised {
    pub(super) id: NodeId,
    /// Where its text begins.
    pub(super) start: usize,
    pub(super) link_bytes: u32,
    pub(super) last: NodeId,
    /// Links within the page begun before it, and those open around it.
    pub(super) note_links: (u32, u32),
}

impl<'a> Cutter<'a> {
    /// Rewrites the text of a superscript or subscript that ends.
    pub(super) fn end_raised(&mut self, id: NodeId, name: Name) {
        let Some(raised) = self.raised.pop_if(|raised| raised.id == id) else { return };
        // A block that ended inside has taken the text along.
        if raised.start < self.start || raised.start >= self.page.text.len() {
            return;
        }
        let before = &self.page.text[self.start..raised.start];
        let text = &self.page.text[raised.start..];
        let links_to_note = self.note_links.0 > raised.note_links.0 || raised.note_links.1 > 0;
        let written = match name {
            tag::SUP => superscript(before, text, self.text_behind(id), links_to_note && is_mark(text)),
            _ => subscript(before, text),
        };
        match written {
            Written::Plain => {}
            Written::InNumber(sign) => {
                let piece = self.page.text.split_off(raised.start);
                self.page.text.push(sign);
                self.page.text.push_str(piece.trim());
            }
            Written::Degree => {
                self.page.text.truncate(raised.start);
                self.page.text.push('°');
            }
            Written::Apart => self.page.text.insert(raised.start, ' '),
            Written::Dropped => {
                self.page.text.truncate(raised.start);
                self.link_bytes = raised.link_bytes;
                self.last = raised.last;
                if self.last == NONE {
                    self.first = NONE;
                }
            }
            Written::Behind(sign) => {
                let piece = self.page.text.split_off(raised.start);
                push_behind(&mut self.page.text, sign, &piece);
                if piece.ends_with([' ', '\n']) {
                    self.page.text.push(' ');
                }
            }
        }
    }

    /// The text beside an element, or the first one in the element beside it.
    fn text_behind(&self, id: NodeId) -> &'a str {
        let next = self.tree.node(id).next;
        if next == NONE {
            return "";
        }
        let texts = self.tree.preorder(next).take(MAX_NODES_BEHIND).map(|node| self.tree.text(node));
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or("")
    }
}
