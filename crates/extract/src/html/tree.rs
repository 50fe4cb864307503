//! A page's tree: a vector of nodes whose names are numbers and whose texts are spans of the page's source.
//!
//! Texts are decoded when they are read. Left out: changing a tree once it is built.

use std::borrow::Cow;
use std::collections::HashSet;

use super::names::{AttributeName, Name, attribute, tag};

/// Index of a node in its tree.
pub type NodeId = u32;

/// No node.
pub const NONE: NodeId = u32::MAX;

/// The document itself.
pub const ROOT: NodeId = 0;

/// A run of text: in the page's source, or, with the upper bit of `start` set, in the tree's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

pub(super) const OWN: u32 = 1 << 31;

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, len: 0 };

    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, len: (end - start) as u32 }
    }
}

/// A node and its place in the tree; 32 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// The parent; [`NONE`] for the document and for nodes removed from the tree.
    pub parent: NodeId,
    /// The first node below.
    pub first_child: NodeId,
    /// The last node below.
    pub last_child: NodeId,
    /// The sibling before.
    pub previous: NodeId,
    /// The sibling after.
    pub next: NodeId,
    /// Its name, or its kind.
    pub name: Name,
    /// The text of texts and comments; the first attribute and their number for elements.
    pub(super) content: Span,
}

/// An attribute as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    pub(super) name: Span,
    pub(super) value: Span,
    pub(super) known: AttributeName,
}

/// A page's tree. It borrows the page's source.
pub struct Tree<'s> {
    pub(super) source: &'s str,
    /// Texts that are not in the source as they are, because they were decoded or joined.
    pub(super) own: String,
    /// Where in the source the texts of `own` come from: offset in `own`, offset in the source.
    pub(super) origins: Vec<(u32, u32)>,
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attribute>,
    /// Spans of the tags in the source that [`tag`] does not have.
    pub(super) unknown_names: Vec<Span>,
}

impl<'s> Tree<'s> {
    /// The page that was parsed.
    pub fn source(&self) -> &'s str {
        self.source
    }

    /// Number of nodes, in the tree or removed from it.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// A node.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The name or kind of a node.
    #[inline]
    pub fn name(&self, id: NodeId) -> Name {
        self.nodes[id as usize].name
    }

    /// The text of a text or comment; empty for other nodes.
    pub fn text(&self, id: NodeId) -> &str {
        let node = self.node(id);
        if node.name.is_element() { "" } else { self.slice(node.content) }
    }

    /// Offset of a text in the source, in bytes; 0 for other nodes.
    pub fn source_offset(&self, id: NodeId) -> usize {
        let node = self.node(id);
        if node.name.is_element() { 0 } else { self.origin(node.content) }
    }

    /// Offset of a span in the source.
    pub(super) fn origin(&self, span: Span) -> usize {
        if span.start & OWN == 0 {
            return span.start as usize;
        }
        let at = self.origins.partition_point(|&(own, _)| own <= span.start & !OWN);
        at.checked_sub(1).map_or(0, |at| self.origins[at].1 as usize)
    }

    /// A tag as written, lower-cased.
    pub fn tag_name(&self, id: NodeId) -> Cow<'_, str> {
        let name = self.name(id);
        match name.known() {
            Some(number) => Cow::Borrowed(tag::NAMES[number]),
            None if name.is_element() => {
                let span = self.unknown_names[name.local().0 as usize - tag::COUNT];
                Cow::Owned(self.slice(span).to_ascii_lowercase().replace('\0', "\u{fffd}"))
            }
            None => Cow::Borrowed(""),
        }
    }

    /// The value of an attribute; if a name occurs twice, the first one counts.
    pub fn attribute(&self, id: NodeId, name: AttributeName) -> Option<Cow<'_, str>> {
        let found = self.attributes_of(id).iter().find(|a| a.known == name)?;
        Some(self.value(found))
    }

    /// Whether an element has one of these classes.
    pub fn has_class(&self, id: NodeId, names: &[&str]) -> bool {
        let class = self.raw_attribute(id, attribute::CLASS);
        class.is_some_and(|class| class.split_ascii_whitespace().any(|name| names.contains(&name)))
    }

    /// The text below an element, blocks not parted.
    pub fn text_below(&self, id: NodeId) -> String {
        self.preorder(id).map(|node| self.text(node)).collect()
    }

    /// The value of an attribute as written, entities not decoded.
    #[inline]
    pub fn raw_attribute(&self, id: NodeId, name: AttributeName) -> Option<&str> {
        let found = self.attributes_of(id).iter().find(|a| a.known == name)?;
        Some(self.slice(found.value))
    }

    /// All attributes, names lower-cased, each name once.
    pub fn attributes(&self, id: NodeId) -> Vec<(String, Cow<'_, str>)> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for attribute in self.attributes_of(id) {
            let name = self.slice(attribute.name).to_ascii_lowercase().replace('\0', "\u{fffd}");
            if seen.insert(name.clone()) {
                all.push((name, self.value(attribute)));
            }
        }
        all
    }

    /// The children of a node.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = self.node(id).first_child;
        std::iter::from_fn(move || {
            let child = next;
            (child != NONE).then(|| {
                next = self.node(child).next;
                child
            })
        })
    }

    /// The siblings after a node.
    pub fn siblings_after(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut at = self.node(id).next;
        std::iter::from_fn(move || {
            let sibling = at;
            (sibling != NONE).then(|| {
                at = self.node(sibling).next;
                sibling
            })
        })
    }

    /// The node after `at` in document order inside `top`; skips the descendants of `at` unless `below`.
    #[inline]
    pub fn following(&self, at: NodeId, top: NodeId, below: bool) -> Option<NodeId> {
        let first = self.node(at).first_child;
        if below && first != NONE {
            return Some(first);
        }
        let mut at = at;
        while at != top {
            let node = self.node(at);
            if node.next != NONE {
                return Some(node.next);
            }
            at = node.parent;
        }
        None
    }

    /// `top` and all its descendants, in document order.
    pub fn preorder(&self, top: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = Some(top);
        std::iter::from_fn(move || {
            let at = next?;
            next = self.following(at, top, true);
            Some(at)
        })
    }

    pub(super) fn attributes_of(&self, id: NodeId) -> &[Attribute] {
        let node = self.node(id);
        if !node.name.is_element() {
            return &[];
        }
        &self.attributes[node.content.start as usize..][..node.content.len as usize]
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        let from = if span.start & OWN == 0 { self.source } else { &self.own };
        &from[(span.start & !OWN) as usize..][..span.len as usize]
    }

    pub(super) fn value(&self, attribute: &Attribute) -> Cow<'_, str> {
        decode_attribute(self.slice(attribute.value))
    }
}

/// Character references of an attribute's value decoded, NULs replaced.
fn decode_attribute(raw: &str) -> Cow<'_, str> {
    let decoded = if raw.contains('&') { htmlize::unescape_attribute(raw) } else { Cow::Borrowed(raw) };
    if decoded.contains('\0') { Cow::Owned(decoded.replace('\0', "\u{fffd}")) } else { decoded }
}
