//! The stack of open elements, the list of formatting elements, and the ways to insert a node
//! (sections "Parse state" and "Creating and inserting nodes" of the standard).

use super::names::{Name, NameSet, Namespace, tag, tags};
use super::token::{Tag, TextState};
use super::tree::{NONE, Node, NodeId, OWN, ROOT, Span, Tree};
use super::{ParseError, ParseOptions};

/// Minimum of `max_depth`: the page itself, its body and an element in it are never flattened.
const MIN_MAX_DEPTH: usize = 3;
/// Open elements, flattened ones included: many rules search all of them. When one more is opened, the innermost is
/// closed.
const MAX_OPEN_ELEMENTS: usize = 2_048;
/// Formatting elements open at once: pages have tens, and each new block opens them all again. When there is one more,
/// the first is removed.
const MAX_FORMATTING_ELEMENTS: usize = 2_048;
/// Attributes of a second `<html>` or `<body>` that are looked at.
const MAX_MERGED_ATTRIBUTES: usize = 256;
/// Bytes up to which a text that was joined is copied to be extended; then a second text begins.
const MAX_COPIED_TEXT_BYTES: usize = 4_096;

/// An insertion mode. "In head noscript" is missing since scripting is on, "in table text" since text is
/// gathered in [`Builder::table_text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Initial,
    BeforeHtml,
    BeforeHead,
    InHead,
    AfterHead,
    InBody,
    Text,
    InTable,
    InCaption,
    InColumnGroup,
    InTableBody,
    InRow,
    InCell,
    InTemplate,
    AfterBody,
    InFrameset,
    AfterFrameset,
    AfterAfterBody,
    AfterAfterFrameset,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) id: NodeId,
    pub(super) name: Name,
}

/// An entry of the list of active formatting elements.
#[derive(Debug, Clone, Copy)]
pub(super) enum Formatting {
    /// Formatting inside does not reach out of a cell, a caption, a template or an object.
    Marker,
    Element(Open),
}

/// The state when isolated contents began, at whose end everything opened in them is closed.
#[derive(Debug)]
pub(super) struct Isolated {
    outside: usize,
    formatting: usize,
    template_modes: usize,
    form: Option<NodeId>,
}

/// Where a node is inserted: below `parent`, before `before` or at the end.
#[derive(Clone, Copy)]
pub(super) struct InsertionPoint {
    parent: NodeId,
    before: NodeId,
}

pub(super) struct Builder<'s> {
    pub(super) tree: Tree<'s>,
    pub(super) options: ParseOptions,
    /// The limit that was passed, if one was.
    pub(super) error: Option<ParseError>,
    /// How the text after the current start tag is tokenized ([`Builder::start_tag`] returns it).
    pub(super) text_state: Option<TextState>,
    pub(super) mode: Mode,
    pub(super) original_mode: Mode,
    pub(super) template_modes: Vec<Mode>,
    /// The place among the open elements of the one with isolated contents.
    pub(super) isolated_at: Option<usize>,
    pub(super) open: Vec<Open>,
    /// How many elements of each known tag are open: most tests of scopes need only this.
    counts: [u32; tag::COUNT],
    pub(super) formatting: Vec<Formatting>,
    pub(super) head: Option<NodeId>,
    pub(super) form: Option<NodeId>,
    pub(super) frameset_ok: bool,
    pub(super) foster_parenting: bool,
    pub(super) quirks: bool,
    /// The next text loses a line feed at its beginning (after `<pre>`).
    pub(super) skips_line_feed: bool,
    pub(super) table_text: Vec<Span>,
}

pub(super) const HEADINGS: NameSet = tags![H1 H2 H3 H4 H5 H6];

/// The standard's set, and `<noscript>`, so that nothing in it closes elements around it.
const SCOPE: NameSet = tags![APPLET CAPTION HTML NOSCRIPT TABLE TD TH MARQUEE OBJECT SELECT TEMPLATE];

/// What ends a scope; MathML's and SVG's integration points end all but a table's.
pub(super) struct Scope {
    borders: NameSet,
    foreign: bool,
}

impl Scope {
    pub(super) const DEFAULT: Scope = Scope { borders: SCOPE, foreign: true };
    pub(super) const LIST_ITEM: Scope = Scope { borders: SCOPE.with(tags![OL UL]), foreign: true };
    pub(super) const BUTTON: Scope = Scope { borders: SCOPE.with(tags![BUTTON]), foreign: true };
    pub(super) const TABLE: Scope = Scope { borders: tags![HTML TABLE TEMPLATE], foreign: false };

    fn ends_at(&self, name: Name) -> bool {
        self.borders.has(name) || (self.foreign && !name.is_html() && is_foreign_border(name))
    }
}

/// MathML's text integration points, by their tags.
pub(super) const MATHML_TEXT: NameSet = tags![MI MO MN MS MTEXT];
/// SVG's HTML integration points, by their tags.
pub(super) const SVG_HTML: NameSet = tags![FOREIGN_OBJECT DESC TITLE];

/// Elements of MathML and SVG that end a scope: those whose contents are read as HTML.
fn is_foreign_border(name: Name) -> bool {
    let local = name.local();
    match name.namespace() {
        Namespace::MathMl => MATHML_TEXT.has(local) || local == tag::ANNOTATION_XML,
        Namespace::Svg => SVG_HTML.has(local),
        _ => false,
    }
}

/// "Special" elements of the standard.
const SPECIAL: NameSet = tags![
    ADDRESS APPLET AREA ARTICLE ASIDE BASE BASEFONT BGSOUND BLOCKQUOTE BODY BR BUTTON CAPTION CENTER COL COLGROUP DD
    DETAILS DIR DIV DL DT EMBED FIELDSET FIGCAPTION FIGURE FOOTER FORM FRAME FRAMESET H1 H2 H3 H4 H5 H6 HEAD HEADER
    HGROUP HR HTML IFRAME IMG INPUT KEYGEN LI LINK LISTING MAIN MARQUEE MENU META NAV NOEMBED NOFRAMES NOSCRIPT
    OBJECT OL P PARAM PLAINTEXT PRE SCRIPT SEARCH SECTION SELECT SOURCE STYLE SUMMARY TABLE TBODY TD TEMPLATE
    TEXTAREA TFOOT TH THEAD TITLE TR TRACK UL WBR XMP
];

pub(super) fn is_special(name: Name) -> bool {
    SPECIAL.has(name) || is_foreign_border(name)
}

/// Elements whose end tag may be left out.
const IMPLIED_END: NameSet = tags![DD DT LI OPTGROUP OPTION P RB RP RT RTC];

const IMPLIED_END_THOROUGHLY: NameSet = IMPLIED_END.with(tags![CAPTION COLGROUP TBODY TD TFOOT TH THEAD TR]);

/// Where text and elements that do not belong there are put before the table.
const FOSTERED: NameSet = tags![TABLE TBODY TFOOT THEAD TR];

impl<'s> Builder<'s> {
    pub(super) fn new(source: &'s str, options: ParseOptions) -> Builder<'s> {
        // Pages have a node every 30 to 60 bytes.
        let nodes = Vec::with_capacity((source.len() / 48).clamp(64, options.max_nodes.max(64)));
        let attributes = Vec::with_capacity(source.len() / 64);
        let own = String::new();
        let mut builder = Builder {
            tree: Tree { source, own, origins: Vec::new(), nodes, attributes, unknown_names: Vec::new() },
            options,
            error: None,
            text_state: None,
            mode: Mode::Initial,
            original_mode: Mode::Initial,
            template_modes: Vec::new(),
            isolated_at: None,
            open: Vec::with_capacity(64),
            counts: [0; tag::COUNT],
            formatting: Vec::new(),
            head: None,
            form: None,
            frameset_ok: true,
            foster_parenting: false,
            quirks: false,
            skips_line_feed: false,
            table_text: Vec::new(),
        };
        builder.new_node(Name::DOCUMENT, Span::EMPTY);
        builder
    }

    /// Text that is not in the source as it is, kept by the tree; `origin` is where it comes from.
    pub(super) fn own(&mut self, text: &str, origin: usize) -> Span {
        let start = self.tree.own.len();
        self.tree.origins.push((start as u32, origin as u32));
        self.tree.own.push_str(text);
        Span { start: start as u32 | OWN, len: text.len() as u32 }
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        self.tree.slice(span)
    }

    // -- nodes

    fn new_node(&mut self, name: Name, content: Span) -> NodeId {
        if self.tree.nodes.len() >= self.options.max_nodes {
            self.error = Some(ParseError::TooManyNodes(self.options.max_nodes));
        }
        let (parent, first_child, last_child, previous, next) = (NONE, NONE, NONE, NONE, NONE);
        self.tree.nodes.push(Node { parent, first_child, last_child, previous, next, name, content });
        (self.tree.nodes.len() - 1) as NodeId
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.tree.nodes[id as usize]
    }

    fn link(&mut self, id: NodeId, place: InsertionPoint) {
        let InsertionPoint { parent, before } = place;
        let previous = match before {
            NONE => self.tree.node(parent).last_child,
            before => self.tree.node(before).previous,
        };
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next) = (parent, previous, before);
        match previous {
            NONE => self.node_mut(parent).first_child = id,
            previous => self.node_mut(previous).next = id,
        }
        match before {
            NONE => self.node_mut(parent).last_child = id,
            before => self.node_mut(before).previous = id,
        }
    }

    pub(super) fn unlink(&mut self, id: NodeId) {
        let Node { parent, previous, next, .. } = *self.tree.node(id);
        if parent == NONE {
            return;
        }
        match previous {
            NONE => self.node_mut(parent).first_child = next,
            previous => self.node_mut(previous).next = next,
        }
        match next {
            NONE => self.node_mut(parent).last_child = previous,
            next => self.node_mut(next).previous = previous,
        }
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    // -- inserting

    /// The appropriate place for inserting a node now. At the maximum depth a node is put after the current element and
    /// not into it, as browsers do: the order of the page is kept, its depth is not.
    fn place(&self) -> InsertionPoint {
        let place = self.place_in(self.current());
        if self.open.len() < self.options.max_depth.max(MIN_MAX_DEPTH) || place.before != NONE {
            return place;
        }
        match self.tree.node(place.parent).parent {
            NONE => place,
            parent => InsertionPoint { parent, before: NONE },
        }
    }

    /// The appropriate place for inserting a node, inside `target`.
    fn place_in(&self, target: Open) -> InsertionPoint {
        if !self.foster_parenting || !FOSTERED.has(target.name) {
            return InsertionPoint { parent: self.contents_of(target), before: NONE };
        }
        let last = |name| self.open.iter().rposition(|open| open.name == name);
        let (template, table) = (last(tag::TEMPLATE), last(tag::TABLE));
        match (template, table) {
            (Some(template), None) => InsertionPoint { parent: self.contents_of(self.open[template]), before: NONE },
            (Some(template), Some(table)) if template > table => {
                InsertionPoint { parent: self.contents_of(self.open[template]), before: NONE }
            }
            (_, None) => InsertionPoint { parent: self.open[0].id, before: NONE },
            (_, Some(table)) => {
                let parent = self.tree.node(self.open[table].id).parent;
                if parent != NONE {
                    return InsertionPoint { parent, before: self.open[table].id };
                }
                InsertionPoint { parent: self.contents_of(self.open[table - 1]), before: NONE }
            }
        }
    }

    fn contents_of(&self, open: Open) -> NodeId {
        if open.name == tag::TEMPLATE { self.tree.node(open.id).first_child } else { open.id }
    }

    pub(super) fn current(&self) -> Open {
        *self.open.last().expect("html stays open")
    }

    pub(super) fn current_name(&self) -> Name {
        self.open.last().map_or(Name::DOCUMENT, |open| open.name)
    }

    pub(super) fn insert_text(&mut self, span: Span) {
        let place = self.place();
        self.insert_text_at(span, place);
    }

    /// Adds to the text before, or begins one.
    fn insert_text_at(&mut self, span: Span, place: InsertionPoint) {
        if place.parent == ROOT || span.len == 0 {
            return;
        }
        let before = match place.before {
            NONE => self.tree.node(place.parent).last_child,
            before => self.tree.node(before).previous,
        };
        if before != NONE && self.tree.name(before) == Name::TEXT && self.extend_text(before, span) {
            return;
        }
        let id = self.new_node(Name::TEXT, span);
        self.link(id, place);
    }

    fn extend_text(&mut self, id: NodeId, span: Span) -> bool {
        let mut text = self.tree.node(id).content;
        if text.start + text.len != span.start {
            if text.len as usize > MAX_COPIED_TEXT_BYTES {
                return false;
            }
            // The texts are not adjacent in the source: both are appended to the tree's own bytes.
            let both = format!("{}{}", self.slice(text), self.slice(span));
            let origin = self.tree.origin(text);
            let joined = self.own(&both, origin);
            self.node_mut(id).content = joined;
            return true;
        }
        text.len += span.len;
        self.node_mut(id).content = text;
        true
    }

    pub(super) fn insert_comment(&mut self, span: Span) {
        let place = self.place();
        self.insert_comment_at(span, place);
    }

    pub(super) fn insert_comment_in(&mut self, span: Span, parent: NodeId) {
        self.insert_comment_at(span, InsertionPoint { parent, before: NONE });
    }

    fn insert_comment_at(&mut self, span: Span, place: InsertionPoint) {
        let id = self.new_node(Name::COMMENT, span);
        self.link(id, place);
    }

    pub(super) fn insert_doctype(&mut self, span: Span) {
        let id = self.new_node(Name::DOCTYPE, span);
        self.link(id, InsertionPoint { parent: ROOT, before: NONE });
    }

    /// Creates an element, links it in its place and opens it.
    pub(super) fn insert(&mut self, tag: Tag) -> NodeId {
        let id = self.insert_void(tag);
        self.push(Open { id, name: tag.name });
        id
    }

    /// Creates an element without an end tag, and links it in its place.
    pub(super) fn insert_void(&mut self, tag: Tag) -> NodeId {
        let id = self.new_node(tag.name, tag.attributes);
        let place = if self.open.is_empty() { InsertionPoint { parent: ROOT, before: NONE } } else { self.place() };
        self.link(id, place);
        if tag.name == tag::TEMPLATE {
            let content = self.new_node(Name::CONTENT, Span::EMPTY);
            self.link(content, InsertionPoint { parent: id, before: NONE });
        }
        id
    }

    /// Adds the attributes that an earlier `<html>` or `<body>` did not have.
    pub(super) fn add_attributes(&mut self, id: NodeId, tag: Tag) {
        let had = self.tree.node(id).content;
        if tag.attributes.len == 0 || had.len as usize >= MAX_MERGED_ATTRIBUTES {
            return;
        }
        let start = self.tree.attributes.len();
        let range = |span: Span| span.start as usize..(span.start + span.len) as usize;
        self.tree.attributes.extend_from_within(range(had));
        let more = tag.attributes.start as usize..;
        for at in more.take((tag.attributes.len as usize).min(MAX_MERGED_ATTRIBUTES)) {
            let new = self.tree.attributes[at];
            let is_new = self.tree.attributes[start..]
                .iter()
                .all(|old| !self.slice(old.name).eq_ignore_ascii_case(self.slice(new.name)));
            if is_new {
                self.tree.attributes.push(new);
            }
        }
        let len = self.tree.attributes.len() - start;
        self.node_mut(id).content = Span { start: start as u32, len: len as u32 };
    }

    // -- the stack of open elements

    pub(super) fn push(&mut self, open: Open) {
        if self.open.len() >= MAX_OPEN_ELEMENTS.max(self.options.max_depth) {
            self.pop();
        }
        if open.name.is_html()
            && let Some(number) = open.name.known()
        {
            self.counts[number] += 1;
        }
        self.open.push(open);
    }

    pub(super) fn pop(&mut self) -> Open {
        let open = self.open.pop().expect("html stays open");
        self.uncount(open.name);
        open
    }

    fn uncount(&mut self, name: Name) {
        if name.is_html()
            && let Some(number) = name.known()
        {
            self.counts[number] -= 1;
        }
    }

    pub(super) fn remove_at(&mut self, place: usize) {
        let open = self.open.remove(place);
        self.uncount(open.name);
    }

    /// Whether an element of a known tag is open anywhere.
    pub(super) fn is_open(&self, name: Name) -> bool {
        name.known().is_some_and(|number| self.counts[number] > 0)
    }

    pub(super) fn position(&self, id: NodeId) -> Option<usize> {
        self.open.iter().rposition(|open| open.id == id)
    }

    pub(super) fn in_scope(&self, name: Name, scope: &Scope) -> bool {
        self.is_open(name) && self.any_in_scope(|open| open.name == name, scope)
    }

    pub(super) fn any_in_scope(&self, wanted: impl Fn(&Open) -> bool, scope: &Scope) -> bool {
        for open in self.open.iter().rev() {
            if wanted(open) {
                return true;
            }
            if scope.ends_at(open.name) {
                return false;
            }
        }
        false
    }

    /// Pops elements up to and including the first of this name.
    pub(super) fn pop_until(&mut self, name: Name) {
        while self.open.len() > 1 && self.pop().name != name {}
    }

    pub(super) fn pop_until_any(&mut self, names: NameSet) {
        while self.open.len() > 1 && !names.has(self.pop().name) {}
    }

    /// Pops the elements above the first one of the set.
    pub(super) fn clear_back_to(&mut self, names: NameSet) {
        while self.open.len() > 1 && !names.has(self.current_name()) {
            self.pop();
        }
    }

    pub(super) fn generate_implied_end_tags(&mut self, except: Name) {
        while IMPLIED_END.has(self.current_name()) && self.current_name() != except {
            self.pop();
        }
    }

    pub(super) fn generate_implied_end_tags_thoroughly(&mut self) {
        while IMPLIED_END_THOROUGHLY.has(self.current_name()) {
            self.pop();
        }
    }

    pub(super) fn close_p(&mut self) {
        self.generate_implied_end_tags(tag::P);
        self.pop_until(tag::P);
    }

    pub(super) fn close_p_in_button_scope(&mut self) {
        if self.in_scope(tag::P, &Scope::BUTTON) {
            self.close_p();
        }
    }

    // -- isolated contents, which end at their element's end tag, whatever is open in them

    /// Begins such contents, in the current element. They are read as those of a body, even in a table: what is part
    /// of a table would close elements outside.
    pub(super) fn begin_isolated(&mut self) -> Isolated {
        self.formatting.push(Formatting::Marker);
        let outside = self.open.len() - 1;
        self.isolated_at = Some(outside);
        self.mode = Mode::InBody;
        Isolated {
            outside,
            formatting: self.formatting.len(),
            template_modes: self.template_modes.len(),
            form: self.form,
        }
    }

    /// Closes the element and everything that was left open in it.
    pub(super) fn end_isolated(&mut self, isolated: Isolated) {
        while self.open.len() > isolated.outside {
            self.pop();
        }
        self.formatting.truncate(isolated.formatting.saturating_sub(1));
        self.template_modes.truncate(isolated.template_modes);
        self.form = isolated.form;
        self.isolated_at = None;
    }

    // -- formatting elements

    pub(super) fn push_formatting(&mut self, id: NodeId, name: Name) {
        // The "Noah's Ark clause": at most three alike.
        let mut alike = 0;
        let mut earliest = None;
        for (place, entry) in self.formatting.iter().enumerate().rev() {
            match *entry {
                Formatting::Marker => break,
                Formatting::Element(other) if other.name == name && self.same_attributes(other.id, id) => {
                    alike += 1;
                    earliest = Some(place);
                    if alike == 3 {
                        break;
                    }
                }
                Formatting::Element(_) => {}
            }
        }
        if alike == 3
            && let Some(earliest) = earliest
        {
            self.formatting.remove(earliest);
        }
        if self.formatting.len() >= MAX_FORMATTING_ELEMENTS {
            self.formatting.remove(0);
        }
        self.formatting.push(Formatting::Element(Open { id, name }));
    }

    fn same_attributes(&self, a: NodeId, b: NodeId) -> bool {
        let (all_a, all_b) = (self.tree.attributes_of(a), self.tree.attributes_of(b));
        if all_a.len() != all_b.len() || all_a.len() > MAX_MERGED_ATTRIBUTES {
            return false;
        }
        all_a.iter().all(|x| {
            all_b.iter().any(|y| {
                self.slice(x.name).eq_ignore_ascii_case(self.slice(y.name)) && self.tree.value(x) == self.tree.value(y)
            })
        })
    }

    pub(super) fn clear_formatting_to_marker(&mut self) {
        while let Some(Formatting::Element(_)) = self.formatting.pop() {}
    }

    /// The last entry of the name after the last marker.
    pub(super) fn formatting_named(&self, name: Name) -> Option<(usize, Open)> {
        for (place, entry) in self.formatting.iter().enumerate().rev() {
            match *entry {
                Formatting::Marker => return None,
                Formatting::Element(open) if open.name == name => return Some((place, open)),
                Formatting::Element(_) => {}
            }
        }
        None
    }

    fn formatting_position(&self, id: NodeId) -> Option<usize> {
        self.formatting.iter().rposition(|entry| matches!(entry, Formatting::Element(open) if open.id == id))
    }

    pub(super) fn remove_formatting(&mut self, id: NodeId) {
        if let Some(place) = self.formatting_position(id) {
            self.formatting.remove(place);
        }
    }

    /// Opens again the formatting elements that a block has closed.
    pub(super) fn reconstruct_formatting(&mut self) {
        let is_done = |builder: &Self, entry: &Formatting| match entry {
            Formatting::Marker => true,
            Formatting::Element(open) => builder.position(open.id).is_some(),
        };
        let Some(last) = self.formatting.last() else { return };
        if is_done(self, last) {
            return;
        }
        let mut from = self.formatting.len() - 1;
        while from > 0 && !is_done(self, &self.formatting[from - 1]) {
            from -= 1;
        }
        for place in from..self.formatting.len() {
            if self.error.is_some() {
                return;
            }
            let Formatting::Element(open) = self.formatting[place] else { continue };
            let attributes = self.tree.node(open.id).content;
            let id = self.insert(Tag { name: open.name, attributes, self_closing: false });
            self.formatting[place] = Formatting::Element(Open { id, name: open.name });
        }
    }

    /// The adoption agency algorithm. `false` when the tag is to be treated as any other end tag.
    pub(super) fn adopt(&mut self, name: Name) -> bool {
        if self.current_name() == name && self.formatting_position(self.current().id).is_none() {
            self.pop();
            return true;
        }
        for _ in 0..8 {
            let Some((mut bookmark, formatting)) = self.formatting_named(name) else { return false };
            let Some(place) = self.position(formatting.id) else {
                self.formatting.remove(bookmark);
                return true;
            };
            if !self.any_in_scope(|open| open.id == formatting.id, &Scope::DEFAULT) {
                return true;
            }
            let furthest = (place + 1..self.open.len()).find(|&at| is_special(self.open[at].name));
            let Some(furthest_place) = furthest else {
                while self.open.len() > place {
                    self.pop();
                }
                self.formatting.remove(bookmark);
                return true;
            };
            let furthest = self.open[furthest_place];
            let common_ancestor = self.open[place - 1];
            let mut last = furthest.id;
            let mut at = furthest_place;
            for inner in 1.. {
                at -= 1;
                let node = self.open[at];
                if node.id == formatting.id {
                    break;
                }
                let entry = self.formatting_position(node.id);
                let Some(entry) = entry.filter(|_| inner <= 3) else {
                    if let Some(entry) = entry {
                        self.formatting.remove(entry);
                        bookmark -= usize::from(entry < bookmark);
                    }
                    self.remove_at(at);
                    continue;
                };
                let attributes = self.tree.node(node.id).content;
                let id = self.new_node(node.name, attributes);
                self.formatting[entry] = Formatting::Element(Open { id, name: node.name });
                self.open[at].id = id;
                if last == furthest.id {
                    bookmark = entry + 1;
                }
                self.unlink(last);
                self.link(last, InsertionPoint { parent: id, before: NONE });
                last = id;
            }
            self.unlink(last);
            let place = self.place_in(common_ancestor);
            self.link(last, place);
            self.wrap_children(furthest, formatting, bookmark);
        }
        true
    }

    /// The end of a round of adoption: a copy of the formatting element takes the block's children, and its place.
    fn wrap_children(&mut self, block: Open, formatting: Open, bookmark: usize) {
        let attributes = self.tree.node(formatting.id).content;
        let id = self.new_node(formatting.name, attributes);
        loop {
            let child = self.tree.node(block.id).first_child;
            if child == NONE {
                break;
            }
            self.unlink(child);
            self.link(child, InsertionPoint { parent: id, before: NONE });
        }
        self.link(id, InsertionPoint { parent: block.id, before: NONE });
        let entry = Formatting::Element(Open { id, name: formatting.name });
        let old = self.formatting_position(formatting.id);
        let bookmark = bookmark - usize::from(old.is_some_and(|old| old < bookmark));
        self.remove_formatting(formatting.id);
        self.formatting.insert(bookmark.min(self.formatting.len()), entry);
        if let Some(place) = self.position(formatting.id) {
            self.open.remove(place);
        }
        let above = self.position(block.id).map_or(self.open.len(), |place| place + 1);
        self.open.insert(above, Open { id, name: formatting.name });
    }
}
