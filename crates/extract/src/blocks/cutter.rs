//! One pass over the tree that cuts it into blocks.

mod raised_text;

use raised_text::Raised;

use super::formula::{formula, has_formulas};
use super::furniture::is_furniture;
use super::grid::Table;
use super::inline_blocks::{Between, between};
use super::layout_tables::layout_tables;
use super::listings::{is_between_lines, is_listing, is_toolbar};
use super::lists::{Item, List};
use super::visibility::Hidden;
use super::white_space::{push_collapsed, without_invisible};
use super::{Block, BlockKind, Blocks, Container, NO_ITEM, count_words, inline_blocks, is_invisible, weight};
use crate::html::{NONE, Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};
use crate::labels::{LabelReader, group};

/// Elements that begin and end a line of their own.
pub(super) const BLOCK_LEVEL: NameSet = tags![
    ADDRESS ARTICLE ASIDE BLOCKQUOTE BODY CAPTION CENTER DD DETAILS DIR DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER
    FORM H1 H2 H3 H4 H5 H6 HEADER HGROUP HR HTML LEGEND LI LISTING MAIN MENU NAV NOSCRIPT OL P PLAINTEXT PRE SEARCH
    SECTION SUMMARY TABLE TBODY TD TFOOT TH THEAD TR UL XMP
];

const TABLE_PARTS: NameSet = tags![TABLE TBODY THEAD TFOOT TR TD TH];
const PREFORMATTED: NameSet = tags![PRE LISTING XMP PLAINTEXT];
const LISTS: NameSet = tags![UL OL MENU DIR];

/// Cuts the page; `hidden` is left out.
pub(super) fn cut(tree: &Tree, hidden: &Hidden) -> Blocks {
    let mut cutter = Cutter::new(tree, hidden);
    let mut at = ROOT;
    cutter.enter(at);
    'page: loop {
        let mut next = tree.node(at).first_child;
        if next == NONE || !cutter.is_inside {
            loop {
                if cutter.is_inside {
                    cutter.leave(at);
                }
                cutter.is_inside = true;
                if at == ROOT {
                    break 'page;
                }
                let node = tree.node(at);
                next = node.next;
                if next != NONE {
                    break;
                }
                at = node.parent;
            }
        }
        at = next;
        cutter.enter(at);
    }
    let mut page = cutter.finish();
    page.panels.clone_from(&hidden.panels);
    page
}

struct Cutter<'a> {
    tree: &'a Tree<'a>,
    hidden: &'a Hidden,
    page: Blocks,
    has_formulas: bool,
    labels: LabelReader<'a>,
    /// In the order of their node ids.
    layout_tables: Vec<NodeId>,
    /// The tables around the current node.
    tables: Vec<Table>,
    /// The columns of the cells around the current node, and the blocks before each.
    cells: Vec<(u16, usize)>,
    /// Inline elements around the current node that are laid out as blocks.
    inline_blocks: Vec<NodeId>,
    raised: Vec<Raised>,
    /// Whether the children of the node that was entered last are visited.
    is_inside: bool,
    /// Container of each block-level element around the current node, innermost last.
    stack: Vec<u32>,
    lists: Vec<List>,
    /// The items around the current node.
    items: Vec<u32>,
    /// Where the current block begins.
    start: usize,
    first: NodeId,
    last: NodeId,
    link_bytes: u32,
    links_begun: u32,
    links: u32,
    /// Links within the page that began, and those around the current node.
    note_links: (u32, u32),
    /// What is between the last text and the next one.
    between: Between,
    /// The listing around the current node whose elements are lines, [`NONE`] for none.
    listing: NodeId,
    preformatted: u32,
    quotes: u8,
}

impl<'a> Cutter<'a> {
    fn new(tree: &'a Tree<'a>, hidden: &'a Hidden) -> Cutter<'a> {
        Cutter {
            tree,
            hidden,
            page: Blocks::default(),
            has_formulas: has_formulas(tree),
            labels: LabelReader::default(),
            layout_tables: layout_tables(tree),
            tables: Vec::new(),
            cells: Vec::new(),
            inline_blocks: Vec::new(),
            raised: Vec::new(),
            is_inside: true,
            stack: Vec::with_capacity(64),
            lists: Vec::new(),
            items: Vec::new(),
            start: 0,
            first: NONE,
            last: NONE,
            link_bytes: 0,
            links_begun: 0,
            links: 0,
            note_links: (0, 0),
            between: Between::Nothing,
            listing: NONE,
            preformatted: 0,
            quotes: 0,
        }
    }

    fn enter(&mut self, id: NodeId) {
        let name = self.tree.name(id);
        if name == Name::TEXT {
            self.push_text(id);
            return;
        }
        if self.has_formulas
            && let Some(formula) = formula(self.tree, id)
        {
            self.is_inside = false;
            self.push_formula(id, &formula);
            return;
        }
        self.is_inside = id == ROOT || name == Name::CONTENT || !is_invisible(self.tree, id);
        if self.is_inside
            && let Some(&reason) = self.hidden.reasons.get(&id)
        {
            self.is_inside = false;
            self.page.hidden.push((id, reason));
        }
        if !self.is_inside {
            return;
        }
        let is_in_listing = self.listing != NONE;
        if name.is_element() && (is_furniture(self.tree, id, name) || is_in_listing && is_toolbar(self.tree, id, name))
        {
            self.is_inside = false;
            return;
        }
        let is_listing = !is_in_listing && is_listing(self.tree, id, name);
        let is_inline_block = id != ROOT
            && !BLOCK_LEVEL.has(name)
            && (is_listing || inline_blocks::is_laid_out_as_block(self.tree, id, name));
        if is_inline_block {
            self.inline_blocks.push(id);
        }
        if id == ROOT || BLOCK_LEVEL.has(name) || is_inline_block {
            self.begin_line(id, name);
        } else {
            self.between = self.between.max(between(self.tree, id));
        }
        if is_listing {
            self.listing = id;
            self.preformatted += 1;
        }
        self.begin(id, name);
    }

    /// Begins what is laid out below the text before it: a container, or a line of a listing.
    fn begin_line(&mut self, id: NodeId, name: Name) {
        if self.listing != NONE {
            self.end_line();
        } else {
            self.flush();
            self.open(id, name);
        }
    }

    /// Ends a line of a listing, if one has begun.
    fn end_line(&mut self) {
        let end = self.page.text.trim_end_matches(' ').len().max(self.start);
        let is_begun = self.page.text.len() > self.start;
        let is_blank = end < self.page.text.len();
        self.page.text.truncate(end);
        if is_begun && (is_blank || !self.page.text.ends_with('\n')) {
            self.page.text.push('\n');
        }
    }

    /// What an element means for the text in it.
    fn begin(&mut self, id: NodeId, name: Name) {
        match name {
            tag::BR => self.push_break(),
            tag::A => {
                self.links += 1;
                self.links_begun += 1;
                let is_note = self.is_note_link(id);
                self.note_links.0 += u32::from(is_note);
                self.note_links.1 += u32::from(is_note);
            }
            tag::BUTTON => {
                self.end_word();
                self.links += 1;
            }
            tag::SUP | tag::SUB if self.preformatted == 0 => self.raised.push(Raised {
                id,
                start: self.page.text.len(),
                link_bytes: self.link_bytes,
                last: self.last,
                note_links: self.note_links,
            }),
            tag::BLOCKQUOTE => self.quotes = self.quotes.saturating_add(1),
            _ if PREFORMATTED.has(name) => self.preformatted += 1,
            _ => {}
        }
    }

    fn is_note_link(&self, id: NodeId) -> bool {
        self.tree
            .raw_attribute(id, attribute::HREF)
            .is_some_and(|href| href.len() > 1 && memchr::memchr(b'#', href.as_bytes()).is_some())
    }

    fn open(&mut self, id: NodeId, name: Name) {
        let number = self.page.containers.len() as u32;
        let parent = self.stack.last().copied().unwrap_or(number);
        let depth = self.stack.len() as u32;
        let mut labels = self.labels.labels(self.tree, id);
        let is_class = |class: &str| matches!(class, "comment" | "comment more");
        if name == tag::P && self.tree.raw_attribute(id, attribute::CLASS).is_some_and(is_class) {
            // A reader's comment has a name and a date beside it; a paragraph of this class is a part of the text.
            labels.remove(group("comment"));
        }
        match name {
            tag::TABLE => self.tables.push(Table::new(id, self.layout_tables.binary_search(&id).is_ok())),
            tag::TR => {
                if let Some(table) = self.tables.last_mut() {
                    table.begin_row();
                }
            }
            tag::TD | tag::TH => {
                let column = self.tables.last_mut().map_or(0, |table| table.place(self.tree, id));
                self.cells.push((column, self.page.blocks.len()));
            }
            tag::LI => {
                let parent = self.items.last().copied().unwrap_or(NO_ITEM);
                let item = match self.lists.last_mut() {
                    Some(list) => list.item(self.tree, id, parent, self.quotes),
                    None => Item::of_no_list(parent, self.quotes),
                };
                self.items.push(self.page.items.len() as u32);
                self.page.items.push(item);
            }
            _ if LISTS.has(name) => self.lists.push(List::new(self.tree, id)),
            _ => {}
        }
        let is_layout = TABLE_PARTS.has(name) && self.tables.last().is_some_and(|table| table.is_layout);
        self.page.containers.push(Container { node: id, parent, depth, labels, is_layout, ..Container::default() });
        self.stack.push(number);
    }

    /// Leaves an element.
    fn leave(&mut self, id: NodeId) {
        let name = self.tree.name(id);
        let is_inline_block = self.inline_blocks.last() == Some(&id);
        if is_inline_block {
            self.inline_blocks.pop();
        }
        if self.listing != NONE && self.listing != id {
            if BLOCK_LEVEL.has(name) || is_inline_block {
                self.end_line();
            }
        } else if id == ROOT || BLOCK_LEVEL.has(name) || is_inline_block {
            self.flush();
            self.stack.pop();
            self.close(id, name);
        }
        if self.listing == id {
            self.listing = NONE;
            self.preformatted -= 1;
        }
        match name {
            tag::BUTTON => {
                self.end_word();
                self.links -= 1;
            }
            tag::A => {
                self.links -= 1;
                self.note_links.1 -= u32::from(self.is_note_link(id));
            }
            tag::SUP | tag::SUB => self.end_raised(id, name),
            tag::BLOCKQUOTE => self.quotes = self.quotes.saturating_sub(1),
            _ if PREFORMATTED.has(name) => self.preformatted -= 1,
            _ => {}
        }
    }

    fn close(&mut self, id: NodeId, name: Name) {
        match name {
            tag::TABLE => {
                self.tables.pop();
            }
            tag::TR => {
                if let Some(table) = self.tables.last() {
                    table.end_row(self.page.rows.entry(id).or_default());
                }
            }
            tag::TD | tag::TH => {
                let begun = self.cells.pop();
                if begun.is_some_and(|(_, blocks)| self.page.blocks.len() > blocks) {
                    let row = self.page.rows.entry(self.tree.node(id).parent).or_default();
                    row.with_text = row.with_text.saturating_add(1);
                }
            }
            tag::LI => {
                self.items.pop();
            }
            _ if LISTS.has(name) => {
                self.lists.pop();
            }
            _ => {}
        }
    }

    fn push_formula(&mut self, id: NodeId, formula: &str) {
        if formula.is_empty() {
            return;
        }
        let text = self.tree.preorder(id).find(|&node| !self.tree.text(node).trim().is_empty());
        let node = text.unwrap_or(id);
        push_collapsed(&mut self.page.text, self.start, formula);
        if self.first == NONE {
            self.first = node;
        }
        self.last = node;
    }

    fn push_text(&mut self, id: NodeId) {
        let text = self.tree.text(id);
        let before = self.page.text.len();
        if self.preformatted > 0 {
            if self.listing == NONE || !is_between_lines(self.tree, id) {
                // Code is indented by no-break spaces where an editor has written it into a page.
                self.page.text.push_str(&without_invisible(text).replace('\u{a0}', " "));
            }
        } else {
            let before_it = self.tree.node(id).previous;
            let is_behind_name = before_it != NONE && self.tree.name(before_it) == tag::CITE;
            let between = std::mem::take(&mut self.between).max(between(self.tree, id));
            if (between != Between::Nothing || is_behind_name)
                && inline_blocks::would_glue(&self.page.text[self.start..], text, between)
            {
                self.page.text.push(' ');
            }
            push_collapsed(&mut self.page.text, self.start, text);
        }
        let pushed = self.page.text.len() - before;
        if pushed > 0 {
            if self.first == NONE {
                self.first = id;
            }
            self.last = id;
        }
        if self.links > 0 {
            self.link_bytes += pushed as u32;
        }
    }

    /// A button is separate from the text around it.
    fn end_word(&mut self) {
        if self.page.text.len() > self.start && !self.page.text.ends_with([' ', '\n']) {
            self.page.text.push(' ');
        }
    }

    /// One `<br>` ends a line; two end a paragraph.
    fn push_break(&mut self) {
        while self.page.text.len() > self.start && self.page.text.ends_with(' ') {
            self.page.text.pop();
        }
        let is_empty = self.page.text.len() == self.start;
        if self.page.text.ends_with('\n') && !is_empty && self.preformatted == 0 {
            self.flush();
        } else if !is_empty {
            self.page.text.push('\n');
        }
    }

    fn flush(&mut self) {
        let text = &self.page.text[self.start..];
        let is_preformatted = self.preformatted > 0;
        let from = if is_preformatted { text.trim_start_matches('\n') } else { text.trim_start() };
        let lead = text.len() - from.len();
        let len = from.trim_end().len();
        if len > 0 && !from.trim().is_empty() {
            let (start, end) = (self.start + lead, self.start + lead + len);
            self.push_block(start, end, is_preformatted);
        }
        self.start = self.page.text.len();
        (self.first, self.last) = (NONE, NONE);
        (self.link_bytes, self.links_begun) = (0, 0);
    }

    fn push_block(&mut self, start: usize, end: usize, is_preformatted: bool) {
        let kind = if is_preformatted { BlockKind::Preformatted } else { self.kind() };
        let mut block = Block {
            container: *self.stack.last().expect("the root is always on the stack"),
            kind,
            start: start as u32,
            end: end as u32,
            first: self.first,
            last: self.last,
            link_bytes: self.link_bytes.min((end - start) as u32),
            links: self.links_begun,
            quotes: self.quotes,
            item: self.items.last().copied().unwrap_or(NO_ITEM),
            words: count_words(&self.page.text[start..end]),
            weight: 0.0,
        };
        block.weight = weight(&block, &self.page.text[start..end]);
        self.page.blocks.push(block);
    }

    fn kind(&mut self) -> BlockKind {
        for (distance, &container) in self.stack.iter().rev().take(4).enumerate() {
            let id = self.page.containers[container as usize].node;
            match self.tree.name(id) {
                tag::H1 => return BlockKind::Heading(1),
                tag::H2 => return BlockKind::Heading(2),
                tag::H3 => return BlockKind::Heading(3),
                tag::H4 => return BlockKind::Heading(4),
                tag::H5 => return BlockKind::Heading(5),
                tag::H6 => return BlockKind::Heading(6),
                tag::LI => return BlockKind::ListItem { depth: self.lists.len().clamp(1, 255) as u8 },
                tag::DT => return BlockKind::Term,
                tag::DD => return BlockKind::Definition,
                tag::TD | tag::TH if self.page.containers[container as usize].is_layout => return BlockKind::Paragraph,
                tag::TD | tag::TH if distance == 0 => return self.cell(id),
                tag::TABLE | tag::SECTION | tag::ARTICLE => return BlockKind::Paragraph,
                _ => {}
            }
        }
        BlockKind::Paragraph
    }

    fn cell(&mut self, id: NodeId) -> BlockKind {
        let (row, column) = (self.tree.node(id).parent, self.cells.last().map_or(0, |&(column, _)| column));
        let filled = &mut self.page.rows.entry(row).or_default().filled;
        *filled = filled.saturating_add(1);
        BlockKind::Cell { row, column }
    }

    fn finish(mut self) -> Blocks {
        for block in &self.page.blocks {
            let container = &mut self.page.containers[block.container as usize];
            container.blocks += 1;
            container.words += block.words;
            container.bytes += block.bytes();
            container.link_bytes += block.link_bytes;
            container.weight += block.weight;
        }
        for at in (1..self.page.containers.len()).rev() {
            let (before, here) = self.page.containers.split_at_mut(at);
            let (parent, child) = (&mut before[here[0].parent as usize], &here[0]);
            parent.blocks += child.blocks;
            parent.words += child.words;
            parent.bytes += child.bytes;
            parent.link_bytes += child.link_bytes;
            parent.weight += child.weight;
        }
        self.page
    }
}
