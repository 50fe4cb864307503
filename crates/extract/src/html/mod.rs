//! An HTML parser that keeps no strings: a page's tree as one vector of plain indices into its source.
//!
//! It follows the parsing section of the HTML standard, tokens and tree construction alike, and is held to
//! the html5lib vectors and to html5ever on real pages. `tokenizer` cuts the source into tags, text and
//! comments; `builder` keeps the stack of open elements; `modes` are the insertion modes in the standard's
//! order; `foreign` is SVG and MathML.
//!
//! Left out: fragments (`innerHTML`), scripts that write into the page, parse errors, copies of `<option>`
//! in `<selectedcontent>`, and a head's `<noscript>`: there scripting counts as on. In the body it is as the
//! caller says, since some sites hand their whole text to those without scripts.

mod builder;
mod doctype;
mod foreign;
mod modes;
mod names;
mod tokenizer;

use std::borrow::Cow;
use std::collections::HashSet;

pub use names::{AttributeName, Name, NameSet, Namespace, attribute, tag};

/// Index of a node in its tree.
pub type NodeId = u32;

/// No node.
pub const NONE: NodeId = u32::MAX;

/// The document itself.
pub const ROOT: NodeId = 0;

/// What a page is parsed within.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most nodes.
    pub nodes_max: usize,
    /// Most open elements.
    pub depth_max: usize,
    /// Whether scripting counts as on: then what `<noscript>` in the body holds is text, not markup.
    pub scripting: bool,
}

/// Which limit a page passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// More nodes than [`Limits::nodes_max`].
    Nodes,
    /// More open elements than [`Limits::depth_max`].
    Depth,
    /// More bytes than 31 bits can count.
    Bytes,
}

/// A run of text: in the page's source, or, with the upper bit of `start` set, in the tree's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

const OWN: u32 = 1 << 31;

impl Span {
    const EMPTY: Span = Span { start: 0, len: 0 };

    fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, len: (end - start) as u32 }
    }
}

/// A node and its place in the tree; 32 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// The node above, [`NONE`] for the document and for what was taken out of the tree.
    pub parent: NodeId,
    /// The first node below.
    pub first_child: NodeId,
    /// The last node below.
    pub last_child: NodeId,
    /// The sibling before.
    pub previous: NodeId,
    /// The sibling after.
    pub next: NodeId,
    /// What it is.
    pub name: Name,
    /// The text of texts and comments; the first attribute and their number for elements.
    content: Span,
}

/// An attribute as written.
#[derive(Debug, Clone, Copy)]
struct Attribute {
    name: Span,
    value: Span,
    known: AttributeName,
}

/// A page's tree. It borrows the page's source.
pub struct Tree<'s> {
    source: &'s str,
    /// Texts that are not in the source as they are: decoded, or put together.
    own: String,
    /// Where in the source the texts of `own` come from: place there, place in the source.
    origins: Vec<(u32, u32)>,
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    /// Where the tags that [`tag`] does not know stand in the source.
    unknown_names: Vec<Span>,
}

/// Parses a page whose lines end in `\n` ([`with_plain_newlines`]).
///
/// # Errors
/// As soon as the page passes a limit.
pub fn parse(source: &str, limits: Limits) -> Result<Tree<'_>, Excess> {
    if source.len() >= OWN as usize {
        return Err(Excess::Bytes);
    }
    tokenizer::Tokenizer::new(source, limits).run()
}

/// A doctype as the vectors of html5lib write it, from its text.
pub fn doctype_as_written(text: &str) -> String {
    let doctype = doctype::parse(text, true);
    match (doctype.public, doctype.system) {
        (None, None) => format!("<!DOCTYPE {}>", doctype.name),
        (public, system) => {
            format!("<!DOCTYPE {} \"{}\" \"{}\">", doctype.name, public.unwrap_or_default(), system.unwrap_or_default())
        }
    }
}

/// The source with `\r\n` and `\r` as `\n`, as the standard has it before anything else.
pub fn with_plain_newlines(source: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(b'\r', source.as_bytes()).is_none() {
        return source;
    }
    let mut plain = String::with_capacity(source.len());
    let mut rest = &*source;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        plain.push('\n');
        rest = rest[at + 1..].strip_prefix('\n').unwrap_or(&rest[at + 1..]);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

impl<'s> Tree<'s> {
    /// How many nodes there are, in the tree or taken out of it.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// A node.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// What a node is.
    #[inline]
    pub fn name(&self, id: NodeId) -> Name {
        self.nodes[id as usize].name
    }

    /// The text of a text or comment; empty for all else.
    pub fn text(&self, id: NodeId) -> &str {
        let node = self.node(id);
        if node.name.is_element() { "" } else { self.slice(node.content) }
    }

    /// Where a text begins in the source, in bytes; 0 for what is no text.
    pub fn source_offset(&self, id: NodeId) -> usize {
        let node = self.node(id);
        if node.name.is_element() { 0 } else { self.origin(node.content) }
    }

    /// Where a span comes from.
    fn origin(&self, span: Span) -> usize {
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

    /// The value of an attribute; of two of one name the first counts.
    pub fn attribute(&self, id: NodeId, name: AttributeName) -> Option<Cow<'_, str>> {
        let found = self.attributes_of(id).iter().find(|a| a.known == name)?;
        Some(self.value(found))
    }

    /// The value of an attribute as written, entities and all.
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

    /// The nodes directly below.
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

    /// The node after `at` in document order inside `top`, passing over what is below `at` unless `below`.
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

    /// All nodes at and below `top`, in document order.
    pub fn preorder(&self, top: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = Some(top);
        std::iter::from_fn(move || {
            let at = next?;
            next = self.following(at, top, true);
            Some(at)
        })
    }

    fn attributes_of(&self, id: NodeId) -> &[Attribute] {
        let node = self.node(id);
        if !node.name.is_element() {
            return &[];
        }
        &self.attributes[node.content.start as usize..][..node.content.len as usize]
    }

    fn slice(&self, span: Span) -> &str {
        let from = if span.start & OWN == 0 { self.source } else { &self.own };
        &from[(span.start & !OWN) as usize..][..span.len as usize]
    }

    fn value(&self, attribute: &Attribute) -> Cow<'_, str> {
        decode_attribute(self.slice(attribute.value))
    }
}

/// Character references of an attribute's value decoded, NULs replaced.
fn decode_attribute(raw: &str) -> Cow<'_, str> {
    let decoded = if raw.contains('&') { htmlize::unescape_attribute(raw) } else { Cow::Borrowed(raw) };
    if decoded.contains('\0') { Cow::Owned(decoded.replace('\0', "\u{fffd}")) } else { decoded }
}

#[cfg(test)]
mod tests;
