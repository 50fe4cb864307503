//! A page as a list of blocks: runs of text that a reader sees as one paragraph, heading, item or cell.
//!
//! One pass over the tree, no recursion. The blocks are in containers, the block-level elements that contain text at
//! some depth, with sums over their blocks. Features are made from both.

use words::is_unspaced;

use crate::html::{NONE, Name, NameSet, Namespace, NodeId, ROOT, Tree, attribute, tag, tags};
use crate::labels::{self, Labels};

/// The form in which a block is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Running text.
    Paragraph,
    /// A heading and its level, 1 to 6.
    Heading(u8),
    /// An item of a list; the depth counts the lists around it.
    ListItem {
        /// Lists around the item, 1 for an outermost one.
        depth: u8,
        /// Place in a numbered list, 0 in others.
        number: u16,
        /// Whether the block is the first of its item.
        is_first: bool,
    },
    /// A term of a definition list.
    Term,
    /// A definition of a definition list.
    Definition,
    /// A cell; cells with the same row are printed on one line.
    Cell(NodeId),
    /// Text whose line breaks are kept.
    Preformatted,
}

/// A run of text below one block-level element.
#[derive(Debug, Clone)]
pub struct Block {
    /// Index of the innermost container.
    pub container: u32,
    /// The form in which it is printed.
    pub kind: BlockKind,
    /// Where its text begins in [`Blocks::text`].
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// The first text node in it.
    pub first: NodeId,
    /// The last text node in it.
    pub last: NodeId,
    /// Bytes of the text that lie inside links and buttons.
    pub link_bytes: u32,
    /// Links that begin in it.
    pub links: u32,
    /// Block quotes around it.
    pub quotes: u8,
    /// Words.
    pub words: u32,
    /// Evidence that the block is main text, in words; see `weight`.
    pub weight: f32,
}

impl Block {
    /// Bytes of its text.
    pub fn bytes(&self) -> u32 {
        self.end - self.start
    }

    /// Share of the text inside links, 0 to 1.
    pub fn link_density(&self) -> f32 {
        self.link_bytes as f32 / self.bytes().max(1) as f32
    }
}

/// A block-level element that contains text, with sums over all blocks inside.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// The element.
    pub node: NodeId,
    /// Index of the container around it; its own index for the outermost one.
    pub parent: u32,
    /// Containers around it.
    pub depth: u32,
    /// Groups of the words in its class, id and role.
    pub labels: Labels,
    /// Number of blocks.
    pub blocks: u32,
    /// Number of words.
    pub words: u32,
    /// Bytes of text.
    pub bytes: u32,
    /// Bytes of text inside links.
    pub link_bytes: u32,
    /// Sum of the blocks' weights.
    pub weight: f32,
    /// Whether it is part of a table that lays out the page and does not hold data.
    pub is_layout: bool,
}

/// A page cut into blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    /// All texts, one after another.
    pub text: String,
    /// In document order.
    pub blocks: Vec<Block>,
    /// Parents before children.
    pub containers: Vec<Container>,
    /// Whether hidden elements were left out.
    pub leaves_hidden: bool,
}

impl Blocks {
    /// The text of a block: white space collapsed, except in preformatted text and at `<br>`.
    pub fn text_of(&self, block: &Block) -> &str {
        &self.text[block.start as usize..block.end as usize]
    }

    /// Number of words of the whole page.
    pub fn words(&self) -> u32 {
        self.containers.first().map_or(0, |root| root.words)
    }
}

/// Elements that never hold text a reader sees as part of the page's content.
const INVISIBLE: NameSet = tags![
    SCRIPT STYLE TEMPLATE HEAD IFRAME OBJECT EMBED CANVAS AUDIO VIDEO MAP SELECT OPTION TEXTAREA INPUT DIALOG
    NOFRAMES NOEMBED DATALIST TITLE METER PROGRESS RP RT
];

/// Elements that begin and end a line of their own.
const BLOCK_LEVEL: NameSet = tags![
    ADDRESS ARTICLE ASIDE BLOCKQUOTE BODY CAPTION CENTER DD DETAILS DIR DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER
    FORM H1 H2 H3 H4 H5 H6 HEADER HGROUP HR HTML LEGEND LI LISTING MAIN MENU NAV NOSCRIPT OL P PLAINTEXT PRE SEARCH
    SECTION SUMMARY TABLE TBODY TD TFOOT TH THEAD TR UL XMP
];

const TABLE_PARTS: NameSet = tags![TABLE TBODY THEAD TFOOT TR TD TH];
const PREFORMATTED: NameSet = tags![PRE LISTING XMP PLAINTEXT];
const LISTS: NameSet = tags![UL OL MENU DIR];

/// Whether an element and everything below it are invisible, whatever scripts do.
pub fn is_invisible(tree: &Tree, id: NodeId) -> bool {
    let name = tree.name(id);
    match name.namespace() {
        Namespace::Html => {
            // A template that is the shadow tree of its element is visible.
            let is_shadow = name == tag::TEMPLATE && tree.raw_attribute(id, attribute::SHADOWROOTMODE).is_some();
            INVISIBLE.has(name) && !is_shadow
        }
        // The labels in drawings and formulas do not form readable text.
        Namespace::Svg | Namespace::MathMl => true,
        Namespace::None => name == Name::COMMENT || name == Name::DOCTYPE,
    }
}

/// Whether an element and all below it are hidden until a script shows them, if one ever does.
pub fn is_hidden(tree: &Tree, id: NodeId) -> bool {
    if let Some(value) = tree.raw_attribute(id, attribute::HIDDEN) {
        // React streams parts of a page as hidden elements of these ids, which its script moves into place at once.
        let is_streamed = tree.raw_attribute(id, attribute::ID).is_some_and(|id| id.starts_with("S:"));
        return !value.eq_ignore_ascii_case("until-found") && !is_streamed;
    }
    if tree.raw_attribute(id, attribute::ARIA_HIDDEN).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return true;
    }
    tree.raw_attribute(id, attribute::STYLE)
        .is_some_and(|style| declares(style, "display", "none") || declares(style, "visibility", "hidden"))
}

/// Whether a style attribute declares `property: value`.
fn declares(style: &str, property: &str, value: &str) -> bool {
    style.split(';').any(|declaration| {
        declaration.split_once(':').is_some_and(|(key, said)| {
            let said = said.trim();
            key.trim().eq_ignore_ascii_case(property)
                && said.get(..value.len()).is_some_and(|head| head.eq_ignore_ascii_case(value))
        })
    })
}

/// Below this weight, a page may show its text by script.
const SHOWN_WEIGHT: f32 = 120.0;
/// Hidden text counts as shown by a script if its weight is this many times that of the rest.
const HIDDEN_TIMES: f32 = 3.0;

/// Cuts a page into its blocks, in document order.
///
/// Hidden elements are left out, unless nearly all text is in them: some pages are sent hidden and shown by scripts.
pub fn blocks(tree: &Tree) -> Blocks {
    let shown = cut(tree, false);
    let weight = |page: &Blocks| page.containers[0].weight;
    if !shown.leaves_hidden || weight(&shown) >= SHOWN_WEIGHT {
        return shown;
    }
    let all = cut(tree, true);
    if weight(&all) >= SHOWN_WEIGHT && weight(&all) >= HIDDEN_TIMES * weight(&shown) { all } else { shown }
}

fn cut(tree: &Tree, with_hidden: bool) -> Blocks {
    let mut cutter = Cutter::new(tree);
    cutter.with_hidden = with_hidden;
    cutter.layout_tables = layout_tables(tree);
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
    cutter.finish()
}

/// Longest text of a data cell, in bytes.
const MAX_CELL_BYTES: usize = 700;
/// Elements that occur in tables that lay out a page, but not in data tables.
const LAID_OUT: NameSet = tags![TABLE H1 H2 H3 FORM HR];

/// The tables that lay out the page, as before style sheets, in the order of their node ids.
fn layout_tables(tree: &Tree) -> Vec<NodeId> {
    let mut layout = Vec::new();
    // The tables around the current node, and the bytes of text in the cell around it.
    let mut tables: Vec<NodeId> = Vec::new();
    let mut cells: Vec<(NodeId, usize)> = Vec::new();
    if !(0..tree.node_count() as NodeId).any(|id| tree.name(id) == tag::TABLE) {
        return layout;
    }
    let mut at = ROOT;
    loop {
        let name = tree.name(at);
        if let Some(&table) = tables.last()
            && LAID_OUT.has(name)
        {
            layout.push(table);
        }
        match name {
            tag::TABLE => tables.push(at),
            tag::TD | tag::TH => cells.push((at, 0)),
            Name::TEXT => {
                if let Some((_, bytes)) = cells.last_mut() {
                    *bytes += tree.text(at).trim().len();
                }
            }
            _ => {}
        }
        let mut next = if is_invisible(tree, at) { NONE } else { tree.node(at).first_child };
        while next == NONE {
            if cells.last().is_some_and(|&(cell, _)| cell == at)
                && let Some((_, bytes)) = cells.pop()
                && bytes > MAX_CELL_BYTES
            {
                layout.extend(tables.last());
            }
            if tables.last() == Some(&at) {
                tables.pop();
            }
            if at == ROOT {
                layout.sort_unstable();
                layout.dedup();
                return layout;
            }
            next = tree.node(at).next;
            if next == NONE {
                at = tree.node(at).parent;
            }
        }
        at = next;
    }
}

/// A list around the current node.
struct List {
    is_numbered: bool,
    items: u16,
}

struct Cutter<'a> {
    tree: &'a Tree<'a>,
    page: Blocks,
    with_hidden: bool,
    /// In the order of their node ids.
    layout_tables: Vec<NodeId>,
    /// Whether each table around the current node lays out the page.
    tables: Vec<bool>,
    /// Whether the children of the node that was entered last are visited.
    is_inside: bool,
    /// Container of each block-level element around the current node, innermost last.
    stack: Vec<u32>,
    lists: Vec<List>,
    /// Where the current block begins.
    start: usize,
    first: NodeId,
    last: NodeId,
    link_bytes: u32,
    links_begun: u32,
    links: u32,
    preformatted: u32,
    quotes: u8,
    /// Whether a block of the current item was printed.
    item_begun: bool,
}

impl<'a> Cutter<'a> {
    fn new(tree: &'a Tree<'a>) -> Cutter<'a> {
        Cutter {
            tree,
            page: Blocks::default(),
            with_hidden: false,
            layout_tables: Vec::new(),
            tables: Vec::new(),
            is_inside: true,
            stack: Vec::with_capacity(64),
            lists: Vec::new(),
            start: 0,
            first: NONE,
            last: NONE,
            link_bytes: 0,
            links_begun: 0,
            links: 0,
            preformatted: 0,
            quotes: 0,
            item_begun: false,
        }
    }

    fn enter(&mut self, id: NodeId) {
        let name = self.tree.name(id);
        if name == Name::TEXT {
            self.push_text(id);
            return;
        }
        self.is_inside = id == ROOT || name == Name::CONTENT || !is_invisible(self.tree, id);
        if self.is_inside && !self.with_hidden && is_hidden(self.tree, id) {
            self.is_inside = false;
            self.page.leaves_hidden = true;
        }
        if !self.is_inside {
            return;
        }
        if id == ROOT || BLOCK_LEVEL.has(name) {
            self.flush();
            self.open(id, name);
        }
        match name {
            tag::BR => self.push_break(),
            tag::A => {
                self.links += 1;
                self.links_begun += 1;
            }
            tag::BUTTON => {
                self.end_word();
                self.links += 1;
            }
            tag::BLOCKQUOTE => self.quotes = self.quotes.saturating_add(1),
            _ if PREFORMATTED.has(name) => self.preformatted += 1,
            _ => {}
        }
    }

    fn open(&mut self, id: NodeId, name: Name) {
        let number = self.page.containers.len() as u32;
        let parent = self.stack.last().copied().unwrap_or(number);
        let depth = self.stack.len() as u32;
        let labels = labels::labels(self.tree, id);
        if name == tag::TABLE {
            self.tables.push(self.layout_tables.binary_search(&id).is_ok());
        }
        let is_layout = TABLE_PARTS.has(name) && self.tables.last() == Some(&true);
        self.page.containers.push(Container { node: id, parent, depth, labels, is_layout, ..Container::default() });
        self.stack.push(number);
        if LISTS.has(name) {
            self.lists.push(List { is_numbered: name == tag::OL, items: 0 });
        } else if name == tag::LI {
            self.item_begun = false;
            if let Some(list) = self.lists.last_mut() {
                list.items = list.items.saturating_add(1);
            }
        }
    }

    /// Leaves an element.
    fn leave(&mut self, id: NodeId) {
        let name = self.tree.name(id);
        if id == ROOT || BLOCK_LEVEL.has(name) {
            self.flush();
            self.stack.pop();
            if LISTS.has(name) {
                self.lists.pop();
            } else if name == tag::TABLE {
                self.tables.pop();
            }
        }
        match name {
            tag::BUTTON => {
                self.end_word();
                self.links -= 1;
            }
            tag::A => self.links -= 1,
            tag::BLOCKQUOTE => self.quotes = self.quotes.saturating_sub(1),
            _ if PREFORMATTED.has(name) => self.preformatted -= 1,
            _ => {}
        }
    }

    fn push_text(&mut self, id: NodeId) {
        let text = self.tree.text(id);
        let before = self.page.text.len();
        if self.preformatted > 0 {
            self.page.text.push_str(text);
        } else {
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
                tag::LI => {
                    let is_first = !std::mem::replace(&mut self.item_begun, true);
                    let list = self.lists.last();
                    let number = list.map_or(0, |list| if list.is_numbered { list.items } else { 0 });
                    return BlockKind::ListItem { depth: self.lists.len().clamp(1, 255) as u8, number, is_first };
                }
                tag::DT => return BlockKind::Term,
                tag::DD => return BlockKind::Definition,
                tag::TD | tag::TH if self.page.containers[container as usize].is_layout => return BlockKind::Paragraph,
                tag::TD | tag::TH if distance == 0 => return BlockKind::Cell(self.tree.node(id).parent),
                tag::TABLE | tag::SECTION | tag::ARTICLE => return BlockKind::Paragraph,
                _ => {}
            }
        }
        BlockKind::Paragraph
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

/// Evidence that a block is main text, in words: sentences count fully, labels little, links not at all.
fn weight(block: &Block, text: &str) -> f32 {
    let words = block.words as f32;
    let density = block.link_density();
    let sentence = ends_like_sentence(text);
    let share = match block.kind {
        _ if density > 0.5 => 0.0,
        BlockKind::Heading(_) => 0.1,
        BlockKind::Preformatted => 0.7,
        BlockKind::Cell(_) | BlockKind::ListItem { .. } if !sentence => 0.3,
        _ if block.words >= 20 || (sentence && block.words >= 6) => 1.0,
        _ if sentence => 0.6,
        _ => 0.2,
    };
    words * share * (1.0 - density)
}

/// Whether the text ends as sentences do, quotes and brackets aside.
pub fn ends_like_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '’', ')', '»', '\'']).ends_with(['.', '!', '?', '…', '。', '！', '？', ':'])
}

/// Appends text with each run of white space as one space, joining onto what the block has so far.
fn push_collapsed(to: &mut String, block_start: usize, text: &str) {
    let is_begun = to.len() > block_start;
    let mut after_space = !is_begun || to.ends_with([' ', '\n']);
    let bytes = text.as_bytes();
    let (mut at, mut word) = (0, 0);
    while at < bytes.len() {
        let len = space_len(bytes, at);
        if len == 0 {
            at += 1;
            continue;
        }
        if at > word {
            to.push_str(&text[word..at]);
            after_space = false;
        }
        if !after_space {
            to.push(' ');
            after_space = true;
        }
        at += len;
        word = at;
    }
    to.push_str(&text[word..]);
}

/// Length of the white space at this byte, 0 for none: ASCII's, U+00A0, U+1680, U+2000 to U+200A, U+2028,
/// U+2029, U+202F, U+205F and U+3000.
#[inline]
fn space_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' => 1,
        0xc2 if matches!(bytes[at + 1], 0x85 | 0xa0) => 2,
        0xe1 if bytes[at + 1..].starts_with(&[0x9a, 0x80]) => 3,
        0xe2 => match (bytes[at + 1], bytes[at + 2]) {
            (0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf) | (0x81, 0x9f) => 3,
            _ => 0,
        },
        0xe3 if bytes[at + 1..].starts_with(&[0x80, 0x80]) => 3,
        _ => 0,
    }
}

/// Words of a block, counted as by [`words::count`], but separated by spaces, tabs and line feeds only. Other white
/// space occurs only in preformatted text, and the model of main text was trained on these counts.
pub(crate) fn count_words(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut words, mut after_space, mut is_ascii) = (0, true, true);
    for &byte in bytes {
        let space = matches!(byte, b' ' | b'\t' | b'\n');
        words += u32::from(after_space && !space);
        after_space = space;
        is_ascii &= byte < 0x80;
    }
    if is_ascii { words } else { words + text.chars().filter(|&letter| is_unspaced(letter)).count() as u32 / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::{ParseOptions, parse};

    fn cut_page(html: &str) -> Blocks {
        blocks(&parse(html, ParseOptions::default()).unwrap())
    }

    fn check(html: &str, expected: &[&str]) {
        let page = cut_page(html);
        let texts: Vec<&str> = page.blocks.iter().map(|block| page.text_of(block)).collect();
        assert_eq!(texts, expected, "{html}");
    }

    #[test]
    fn paragraphs_and_inline_tags() {
        check("<p>a <b>b</b><i>c</i>  d\n<p>e", &["a bc d", "e"]);
        check("x<div>y</div>z", &["x", "y", "z"]);
        check("a<br>b<br><br>c", &["a\nb", "c"]);
        check("<ul><li><span>one</span> <a>two</a></ul>", &["one two"]);
        check("<pre>  if x:\n    y\n</pre>", &["  if x:\n    y"]);
        check("<div><div></div></div><p>after", &["after"]);
        check("<p>\u{a0}a\u{3000}b &nbsp; c\u{2028}", &["a b c"]);
        check("<div>a<div>b</div>c</div>", &["a", "b", "c"]);
    }

    #[test]
    fn what_no_reader_sees() {
        check(
            "<p>a<script>'</p>'</script><span hidden>b</span><span style='DISPLAY: none'>c</span><p aria-hidden=true>d<p>e",
            &["a", "e"],
        );
        check("<svg><text>a</text></svg><template>c</template>d<select><option>e</select>", &["d"]);
        check("<div><template shadowrootmode=open>a</template></div>", &["a"]);
        check("<body><noscript><p>for those without scripts</noscript>", &["for those without scripts"]);
        check("<div hidden id=S:0>streamed</div>", &["streamed"]);
    }

    #[test]
    fn a_page_that_waits_for_its_script() {
        let long = "These are the words of a page that is hidden until its script has run. ".repeat(20);
        let hidden = format!("<p>Loading<div style='visibility:hidden'><p>{long}</div>");
        check(&hidden, &["Loading", long.trim()]);
        let beside = format!("<p>{long}<div hidden><p>{long}</div>");
        check(&beside, &[long.trim()]);
    }

    #[test]
    fn kinds() {
        let page = cut_page(
            "<h2>h</h2><ol><li>i<ul><li>j</ul><li><p>k<p>l</ol><dl><dt>m<dd>n</dl><table><tr><td>c<td><a href=x>d</a></table><blockquote>q</blockquote>",
        );
        let item = |depth, number, is_first| BlockKind::ListItem { depth, number, is_first };
        let kinds: Vec<BlockKind> = page.blocks.iter().map(|block| block.kind).collect();
        assert_eq!(
            kinds[..7],
            [
                BlockKind::Heading(2),
                item(1, 1, true),
                item(2, 0, true),
                item(1, 2, true),
                item(1, 2, false),
                BlockKind::Term,
                BlockKind::Definition
            ]
        );
        assert!(matches!((kinds[7], kinds[8]), (BlockKind::Cell(a), BlockKind::Cell(b)) if a == b));
        assert_eq!((page.blocks[7].link_density(), page.blocks[8].link_density()), (0.0, 1.0));
        assert_eq!((kinds[9], page.blocks[9].quotes), (BlockKind::Paragraph, 1));
    }

    #[test]
    fn containers_sum_what_they_hold() {
        let page = cut_page("<div><p>one two three</p><p><a href=x>four</a></p></div><p>five");
        let root = &page.containers[0];
        assert_eq!((root.blocks, root.words, root.bytes, root.link_bytes), (3, 5, 21, 4));
        for container in &page.containers[1..] {
            assert!(container.depth > page.containers[container.parent as usize].depth);
        }
    }

    #[test]
    fn words() {
        assert_eq!(count_words("one  two\nthree"), 3);
        assert_eq!(count_words("日本語で"), 1 + 2);
        assert!(ends_like_sentence("So it ends.”") && !ends_like_sentence("Home"));
    }
}
