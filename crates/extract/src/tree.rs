//! The tree that html5ever builds, in one vector.
//!
//! Nodes are indices; nothing is ever freed before the whole tree is. Comments, processing
//! instructions and the text of scripts and styles are not kept.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::interface::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, LocalName, Namespace, ParseOpts, QualName, local_name, ns, parse_document};

use crate::{ExtractError, Options};

/// Index of a node.
pub(crate) type NodeId = u32;
/// No node.
pub(crate) const NONE: NodeId = u32::MAX;
/// The document, whose child is `<html>`.
pub(crate) const ROOT: NodeId = 0;
/// Attributes of a second `<html>` or `<body>` that are looked at.
const ATTRIBUTES_MERGED_MAX: usize = 256;
/// Attributes of one tag; html5ever compares each with all before it.
const ATTRIBUTES_MAX: usize = 10_000;
/// Limits are looked at after each of these, so that a hostile page costs at most one more.
const CHUNK_BYTES: usize = 16 << 10;

/// What a node is.
pub(crate) enum Data {
    /// The document, and contents of templates.
    Fragment,
    /// An element with its attributes.
    Element(QualName, Vec<Attribute>),
    /// Text.
    Text(StrTendril),
}

/// A node and its place in the tree.
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    pub(crate) first_child: NodeId,
    pub(crate) last_child: NodeId,
    pub(crate) previous: NodeId,
    pub(crate) next: NodeId,
    depth: u32,
    pub(crate) data: Data,
}

/// A page's tree.
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    /// Parses a page within the limits of nodes and depth.
    pub(crate) fn parse(html: &str, options: &Options) -> Result<Tree, ExtractError> {
        if has_attribute_bomb(html) {
            return Err(ExtractError::TooManyAttributes(ATTRIBUTES_MAX));
        }
        let mut parse_options = ParseOpts::default();
        parse_options.tree_builder.scripting_enabled = true;
        let mut parser = parse_document(Sink::new(), parse_options);
        let mut rest = html;
        while !rest.is_empty() {
            let mut end = CHUNK_BYTES.min(rest.len());
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (chunk, tail) = rest.split_at(end);
            rest = tail;
            parser.process(StrTendril::from_slice(chunk));
            let sink = &parser.tokenizer.sink.sink;
            if sink.depth.get() > options.depth_max {
                return Err(ExtractError::TooDeep(options.depth_max));
            }
            if sink.nodes.borrow().len() > options.nodes_max {
                return Err(ExtractError::TooManyNodes(options.nodes_max));
            }
        }
        Ok(parser.finish())
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The element's name; the empty name for what is no HTML element.
    pub(crate) fn name(&self, id: NodeId) -> LocalName {
        match &self.node(id).data {
            Data::Element(name, _) if name.ns == ns!(html) => name.local.clone(),
            _ => local_name!(""),
        }
    }

    pub(crate) fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        let Data::Element(_, attributes) = &self.node(id).data else { return None };
        attributes.iter().find(|a| &*a.name.local == name).map(|a| &*a.value)
    }

    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let mut next = self.node(id).first_child;
        std::iter::from_fn(move || {
            let child = next;
            (child != NONE).then(|| {
                next = self.node(child).next;
                child
            })
        })
    }

    /// All nodes below `top` and itself, parents before children, in document order.
    pub(crate) fn preorder(&self, top: NodeId) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(if top == ROOT { self.nodes.len() } else { 64 });
        let mut at = top;
        loop {
            order.push(at);
            let mut next = self.node(at).first_child;
            while next == NONE {
                if at == top {
                    return order;
                }
                next = self.node(at).next;
                if next == NONE {
                    at = self.node(at).parent;
                }
            }
            at = next;
        }
    }
}

/// Whether a tag has more attributes than [`ATTRIBUTES_MAX`]: counts the words outside quotes in what
/// begins like a tag. The contents of scripts and styles, which may look like tags, are passed over.
fn has_attribute_bomb(html: &str) -> bool {
    let bytes = html.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'<', &bytes[at..]) {
        at += found + 1;
        if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let raw = ["script", "style"].into_iter().find(|name| begins_with(&bytes[at..], name));
        let (mut attributes, mut quote, mut blank) = (0, None, false);
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            let separates = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'"' | b'\'');
            match quote {
                Some(open) if byte == open => quote = None,
                Some(_) => continue,
                None if byte == b'>' => break,
                None if bytes[at - 2] == b'=' && matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None => attributes += usize::from(blank && !separates),
            }
            blank = separates && quote.is_none();
            if attributes > ATTRIBUTES_MAX {
                return true;
            }
        }
        while let Some(name) = raw {
            let Some(found) = memchr::memmem::find(&bytes[at..], b"</") else { return false };
            at += found + 2;
            if begins_with(&bytes[at..], name) {
                break;
            }
        }
    }
    false
}

fn begins_with(bytes: &[u8], name: &str) -> bool {
    bytes.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
}

struct Sink {
    nodes: RefCell<Vec<Node>>,
    depth: Cell<u32>,
}

/// An element's name, lent out of the vector.
#[derive(Debug)]
struct Name<'a>(Ref<'a, QualName>);

impl ElemName for Name<'_> {
    fn ns(&self) -> &Namespace {
        &self.0.ns
    }
    fn local_name(&self) -> &LocalName {
        &self.0.local
    }
}

impl Sink {
    fn new() -> Sink {
        let sink = Sink { nodes: RefCell::new(Vec::with_capacity(1024)), depth: Cell::new(0) };
        sink.push(Data::Fragment);
        sink
    }

    fn push(&self, data: Data) -> NodeId {
        let mut nodes = self.nodes.borrow_mut();
        let (parent, first_child, last_child, previous, next) = (NONE, NONE, NONE, NONE, NONE);
        nodes.push(Node { parent, first_child, last_child, previous, next, depth: 0, data });
        (nodes.len() - 1) as NodeId
    }

    /// Links `child` into `parent` before `before` (at the end for `NONE`).
    fn link(&self, parent: NodeId, child: NodeId, before: NodeId) {
        self.unlink(child);
        let mut nodes = self.nodes.borrow_mut();
        let previous = if before == NONE { nodes[parent as usize].last_child } else { nodes[before as usize].previous };
        let depth = nodes[parent as usize].depth + 1;
        let node = &mut nodes[child as usize];
        (node.parent, node.previous, node.next, node.depth) = (parent, previous, before, depth);
        match previous {
            NONE => nodes[parent as usize].first_child = child,
            previous => nodes[previous as usize].next = child,
        }
        match before {
            NONE => nodes[parent as usize].last_child = child,
            before => nodes[before as usize].previous = child,
        }
        self.depth.set(self.depth.get().max(depth));
    }

    fn unlink(&self, id: NodeId) {
        let mut nodes = self.nodes.borrow_mut();
        let Node { parent, previous, next, .. } = nodes[id as usize];
        if parent == NONE {
            return;
        }
        match previous {
            NONE => nodes[parent as usize].first_child = next,
            previous => nodes[previous as usize].next = next,
        }
        match next {
            NONE => nodes[parent as usize].last_child = previous,
            next => nodes[next as usize].previous = previous,
        }
        let node = &mut nodes[id as usize];
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    fn insert(&self, parent: NodeId, child: NodeOrText<NodeId>, before: NodeId) {
        let text = match child {
            NodeOrText::AppendNode(child) => return self.link(parent, child, before),
            NodeOrText::AppendText(text) => text,
        };
        {
            let mut nodes = self.nodes.borrow_mut();
            if let Data::Element(name, _) = &nodes[parent as usize].data
                && matches!(name.local, local_name!("script") | local_name!("style"))
            {
                return;
            }
            let neighbour =
                if before == NONE { nodes[parent as usize].last_child } else { nodes[before as usize].previous };
            if neighbour != NONE
                && let Data::Text(existing) = &mut nodes[neighbour as usize].data
            {
                existing.push_tendril(&text);
                return;
            }
        }
        let node = self.push(Data::Text(text));
        self.link(parent, node, before);
    }
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = Tree;
    type ElemName<'a> = Name<'a>;

    fn finish(self) -> Tree {
        Tree { nodes: self.nodes.into_inner() }
    }
    fn parse_error(&self, _: Cow<'static, str>) {}
    fn get_document(&self) -> NodeId {
        ROOT
    }
    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Name<'a> {
        Name(Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target as usize].data {
            Data::Element(name, _) => name,
            _ => unreachable!("html5ever asks for the names of elements only"),
        }))
    }
    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> NodeId {
        self.push(Data::Element(name, attributes))
    }
    fn create_comment(&self, _: StrTendril) -> NodeId {
        self.push(Data::Fragment)
    }
    fn create_pi(&self, _: StrTendril, _: StrTendril) -> NodeId {
        self.push(Data::Fragment)
    }
    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.insert(*parent, child, NONE);
    }
    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        let parent = self.nodes.borrow()[*element as usize].parent;
        if parent == NONE {
            self.append(previous, child);
        } else {
            self.append_before_sibling(element, child);
        }
    }
    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}
    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        // Contents of a template are linked nowhere: they are not part of the page.
        let _ = target;
        self.push(Data::Fragment)
    }
    fn same_node(&self, a: &NodeId, b: &NodeId) -> bool {
        a == b
    }
    fn set_quirks_mode(&self, _: QuirksMode) {}
    fn append_before_sibling(&self, sibling: &NodeId, child: NodeOrText<NodeId>) {
        let parent = self.nodes.borrow()[*sibling as usize].parent;
        if parent != NONE {
            self.insert(parent, child, *sibling);
        }
    }
    fn add_attrs_if_missing(&self, target: &NodeId, attributes: Vec<Attribute>) {
        let mut nodes = self.nodes.borrow_mut();
        if let Data::Element(_, existing) = &mut nodes[*target as usize].data {
            for attribute in attributes {
                if existing.len() < ATTRIBUTES_MERGED_MAX && existing.iter().all(|a| a.name != attribute.name) {
                    existing.push(attribute);
                }
            }
        }
    }
    fn remove_from_parent(&self, target: &NodeId) {
        self.unlink(*target);
    }
    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        loop {
            let child = self.nodes.borrow()[*node as usize].first_child;
            if child == NONE {
                return;
            }
            self.link(*new_parent, child, NONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(html: &str) -> String {
        let tree = Tree::parse(html, &Options::default()).unwrap();
        let describe = |&id: &NodeId| match &tree.node(id).data {
            Data::Fragment => "/".to_owned(),
            Data::Element(name, _) => name.local.to_string(),
            Data::Text(text) => format!("{:?}", &**text),
        };
        tree.preorder(ROOT).iter().map(describe).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn trees_are_those_of_browsers() {
        assert_eq!(outline("<p>a<p>b"), "/ html head body p \"a\" p \"b\"");
        assert_eq!(outline("<b>1<p>2</b>3"), "/ html head body b \"1\" p b \"2\" \"3\"");
        assert_eq!(outline("<table>x<tr><td>y"), "/ html head body \"x\" table tbody tr td \"y\"");
        assert_eq!(outline("<script>a</script><template><p>b</template>c"), "/ html head script template body \"c\"");
        assert_eq!(outline("a<!-- b -->c"), "/ html head body \"a\" / \"c\"");
    }

    #[test]
    fn limits() {
        let options = Options::default();
        let deep = "<div>".repeat(100_000);
        assert_eq!(Tree::parse(&deep, &options).err(), Some(ExtractError::TooDeep(2048)));
        let attributes: String = (0..1_000_000).map(|i| format!(" a{i}")).collect();
        assert!(matches!(Tree::parse(&format!("<p{attributes}>"), &options), Err(ExtractError::TooManyAttributes(_))));
        let script = format!("<script>s='</p>';if(a<b){{{}}}</script>", "x = y ; ".repeat(100_000));
        assert!(Tree::parse(&script, &options).is_ok());
        let wide = "<p>".repeat(1_100_000);
        assert_eq!(Tree::parse(&wide, &options).err(), Some(ExtractError::TooManyNodes(1_000_000)));
    }
}
