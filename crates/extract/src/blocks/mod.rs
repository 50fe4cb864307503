//! A page as a list of blocks: runs of text that a reader sees as one paragraph, heading, item or cell.
//!
//! One pass over the tree, no recursion. The blocks are in containers, the block-level elements that contain text at
//! some depth, with sums over their blocks. Features are made from both.

use words::is_unspaced;

mod cutter;
mod formula;
mod furniture;
mod grid;
mod inline_blocks;
mod layout_tables;
mod listings;
mod lists;
mod more;
mod panels;
mod raised;
mod visibility;
pub(crate) mod white_space;

use std::collections::HashMap;

pub use grid::TableRow;
pub use lists::{Item, NumberStyle};
pub use panels::Panel;
pub use visibility::{HiddenReason, hidden_reason};

use crate::html::{Name, NameSet, Namespace, NodeId, Tree, attribute, tag, tags};
use crate::labels::Labels;
use cutter::cut;
use visibility::Hidden;

/// No item of a list.
pub const NO_ITEM: u32 = u32::MAX;

/// The form in which a block is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockKind {
    /// Running text.
    Paragraph,
    /// A heading and its level, 1 to 6.
    Heading(u8),
    /// An item of a list; the depth counts the lists around it.
    ListItem {
        /// Lists around the item, 1 for an outermost one.
        depth: u8,
    },
    /// A term of a definition list.
    Term,
    /// A definition of a definition list.
    Definition,
    /// A cell; cells with the same row are printed on one line.
    Cell {
        /// The row.
        row: NodeId,
        /// Its first column, from 0.
        column: u16,
    },
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
    /// The innermost item around it, its index in [`Blocks::items`]; [`NO_ITEM`] for none.
    pub item: u32,
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
    /// The items of lists, in document order.
    pub items: Vec<Item>,
    /// The rows of data tables.
    pub rows: HashMap<NodeId, TableRow>,
    /// The hidden elements that were left out, in document order, and why.
    pub hidden: Vec<(NodeId, HiddenReason)>,
    /// The elements that are hidden at first and were taken as parts of the text, in document order.
    pub panels: Vec<Panel>,
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

/// Hidden text counts as shown by a script from this weight on, and if it has this many times the weight of the rest.
const MIN_HIDDEN_WEIGHT: f32 = 120.0;
const MIN_HIDDEN_TIMES: f32 = 3.0;
/// A page whose visible text has less weight waits for its script; one with a text of its own does not.
const MAX_WAITING_WEIGHT: f32 = 30.0;
/// Words of a sentence that is a text of its own, if it is among so many blocks from the heading on.
const MIN_NOTICE_WORDS: u32 = 5;
const MAX_BLOCKS_TO_NOTICE: usize = 4;

/// Cuts a page into its blocks, in document order.
///
/// Hidden elements are left out, except panels of the text around them (`visibility`), and unless nearly all text is
/// hidden: some pages are sent hidden and shown by scripts.
pub fn blocks(tree: &Tree) -> Blocks {
    let shown = cut(tree, &Hidden::of(tree));
    let weight = |page: &Blocks| page.containers[0].weight;
    if shown.hidden.is_empty() || weight(&shown) >= MAX_WAITING_WEIGHT || has_notice(&shown) {
        return shown;
    }
    let all = cut(tree, &Hidden::default());
    let waits = weight(&all) >= MIN_HIDDEN_WEIGHT && weight(&all) >= MIN_HIDDEN_TIMES * weight(&shown);
    if waits { all } else { shown }
}

/// Whether there is a short text: a heading, and a sentence soon below it that does not ask for scripts.
fn has_notice(page: &Blocks) -> bool {
    let is_sentence = |block: &Block| {
        let text = page.text_of(block);
        let is_line = block.kind == BlockKind::Paragraph && block.words >= MIN_NOTICE_WORDS && block.links == 0;
        is_line && ends_like_sentence(text) && !text.to_lowercase().contains("script")
    };
    let heading = page.blocks.iter().position(|block| block.kind == BlockKind::Heading(1));
    heading.is_some_and(|at| page.blocks[at..].iter().take(MAX_BLOCKS_TO_NOTICE).any(is_sentence))
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
        BlockKind::Cell { .. } | BlockKind::ListItem { .. } if !sentence => 0.3,
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
        check("<blockquote><div><cite>mora wrote:</cite>The tide.</div></blockquote>", &["mora wrote:", "The tide."]);
        check("<p>x<div class='a d-none'>y</div><div class='d-none d-md-block'>z</div>", &["x", "z"]);
        check("<p>See <cite>Tides</cite>, page 5.</p>", &["See Tides, page 5."]);
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
            &["a", "d", "e"],
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
        let item = |depth| BlockKind::ListItem { depth };
        let kinds: Vec<BlockKind> = page.blocks.iter().map(|block| block.kind).collect();
        assert_eq!(
            kinds[..7],
            [BlockKind::Heading(2), item(1), item(2), item(1), item(1), BlockKind::Term, BlockKind::Definition]
        );
        let numbers: Vec<Option<i32>> = page.items.iter().map(|item| item.number).collect();
        assert_eq!(numbers, [Some(1), None, Some(2)]);
        assert!(
            matches!((kinds[7], kinds[8]), (BlockKind::Cell { row: a, .. }, BlockKind::Cell { row: b, .. }) if a == b)
        );
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

    #[test]
    fn furniture() {
        check("<h2>a <a href='#a'>¶</a><span>[<a href='/?action=edit'>edit</a>]</span></h2>", &["a"]);
        check("<table><tr><td><pre>1\n2\n3</pre><td><pre>a\nb\nc</pre></table>", &["a\nb\nc"]);
        check("<pre><span class=lineno>1 </span>a<button>Copy</button></pre>", &["a"]);
        let numbers = "<td><pre><code><span class=lnt>1\n</span><span class=lnt>2\n</span></code></pre></td>";
        check(&format!("<table><tr>{numbers}<td><pre><code>a\nb</code></pre></table>"), &["a\nb"]);
        check("<p>a<sup><a href='#n'>1</a></sup> b<a class=footnote-ref href='#n'>[2]</a>", &["a b"]);
        check("<table><tr><td>1<td>2<td>3</table>", &["1", "2", "3"]);
    }

    #[test]
    fn words_are_neither_glued_nor_split() {
        check("<x-a><x-b>One.</x-b><x-b>Two.</x-b></x-a>", &["One.", "Two."]);
        check("<p>a <x-b>b</x-b> c", &["a b c"]);
        check("<div><span style='display:block'>a</span><span style='display: flex'>b</span></div>", &["a", "b"]);
        check("<p><span class=s>News</span><span class=t>Sport</span> e<b>m</b>P", &["News Sport emP"]);
        check("<p>Fähr\u{ad}haus w\u{200b}x", &["Fährhaus wx"]);
    }
}
