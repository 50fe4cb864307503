//! The readable twin of the parser: html5ever, which follows the same standard with atoms and tendrils.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use html5ever::interface::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, LocalName, Namespace, ParseOpts, QualName, parse_document};

type NodeId = u32;
const NONE: NodeId = u32::MAX;
const ROOT: NodeId = 0;

enum Data {
    Fragment,
    Element(QualName),
    Text(StrTendril),
    Comment,
}

struct Node {
    parent: NodeId,
    first_child: NodeId,
    last_child: NodeId,
    previous: NodeId,
    next: NodeId,
    data: Data,
}

/// Names and texts of a page in document order, each with its depth; templates and comments left out.
pub fn outline(html: &str) -> Vec<(usize, String)> {
    let mut options = ParseOpts::default();
    options.tree_builder.scripting_enabled = true;
    let nodes = parse_document(Sink::new(), options).one(StrTendril::from_slice(html));
    let mut outline = Vec::new();
    let mut stack = vec![(ROOT, 0)];
    while let Some((id, depth)) = stack.pop() {
        let node = &nodes[id as usize];
        match &node.data {
            Data::Element(name) => outline.push((depth, name.local.to_string().to_ascii_lowercase())),
            Data::Text(text) => outline.push((depth, format!("\"{}", &**text))),
            Data::Fragment | Data::Comment => {}
        }
        let mut child = node.last_child;
        while child != NONE {
            stack.push((child, depth + 1));
            child = nodes[child as usize].previous;
        }
    }
    outline
}

struct Sink {
    nodes: RefCell<Vec<Node>>,
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
        let sink = Sink { nodes: RefCell::new(Vec::new()) };
        sink.push(Data::Fragment);
        sink
    }

    fn push(&self, data: Data) -> NodeId {
        let mut nodes = self.nodes.borrow_mut();
        let (parent, first_child, last_child, previous, next) = (NONE, NONE, NONE, NONE, NONE);
        nodes.push(Node { parent, first_child, last_child, previous, next, data });
        (nodes.len() - 1) as NodeId
    }

    /// Links `child` into `parent` before `before` (at the end for `NONE`).
    fn link(&self, parent: NodeId, child: NodeId, before: NodeId) {
        self.unlink(child);
        let mut nodes = self.nodes.borrow_mut();
        let previous = if before == NONE { nodes[parent as usize].last_child } else { nodes[before as usize].previous };
        let node = &mut nodes[child as usize];
        (node.parent, node.previous, node.next) = (parent, previous, before);
        match previous {
            NONE => nodes[parent as usize].first_child = child,
            previous => nodes[previous as usize].next = child,
        }
        match before {
            NONE => nodes[parent as usize].last_child = child,
            before => nodes[before as usize].previous = child,
        }
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
    type Output = Vec<Node>;
    type ElemName<'a> = Name<'a>;

    fn finish(self) -> Vec<Node> {
        self.nodes.into_inner()
    }
    fn parse_error(&self, _: Cow<'static, str>) {}
    fn get_document(&self) -> NodeId {
        ROOT
    }
    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Name<'a> {
        Name(Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target as usize].data {
            Data::Element(name) => name,
            _ => unreachable!("html5ever asks for the names of elements only"),
        }))
    }
    fn create_element(&self, name: QualName, _: Vec<Attribute>, _: ElementFlags) -> NodeId {
        self.push(Data::Element(name))
    }
    fn create_comment(&self, _: StrTendril) -> NodeId {
        self.push(Data::Comment)
    }
    fn create_pi(&self, _: StrTendril, _: StrTendril) -> NodeId {
        self.push(Data::Comment)
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
    fn add_attrs_if_missing(&self, _: &NodeId, _: Vec<Attribute>) {}
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
