//! Prints kept blocks as plain lines, or as Markdown ([`markdown`]).

mod markdown;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::Format;
use crate::blocks::{Block, BlockKind, Blocks, NO_ITEM, TableRow};
use crate::html::NodeId;

/// Lists inside lists are indented up to this depth, so that hostile nesting stays linear.
const MAX_INDENT_DEPTH: u8 = 12;
/// Empty columns before a cell that are shown.
const MAX_EMPTY_COLUMNS: u16 = 20;

/// Writes the blocks of these numbers; returns the text and the place of each block in it, without marks and indents.
pub(crate) fn print(page: &Blocks, kept: &[usize], format: Format) -> (String, Vec<Range<usize>>) {
    match format {
        Format::Text => plain(page, kept),
        Format::Markdown => markdown::print(page, kept),
    }
}

fn plain(page: &Blocks, kept: &[usize]) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut ranges = Vec::with_capacity(kept.len());
    let mut before: Option<&Block> = None;
    let mut begun_items = HashSet::new();
    let rows = Rows::new(page, kept);
    for &number in kept {
        let block = &page.blocks[number];
        if !is_same_row(before, block) {
            rows.end(&mut text, before);
        }
        text.push_str(before.map_or("", |before| separator(before, block)));
        match block.kind {
            BlockKind::ListItem { depth } => {
                indent(&mut text, depth);
                let is_first = begun_items.insert(block.item);
                text.push_str(&item_mark(page, block, is_first));
            }
            BlockKind::Definition => text.push_str("- "),
            BlockKind::Cell { row, column } => {
                let from = before.filter(|_| is_same_row(before, block)).map(column_of);
                rows.push_bars(&mut text, row, from, column);
            }
            _ => {}
        }
        let start = text.len();
        text.push_str(page.text_of(block));
        ranges.push(start..text.len());
        before = Some(block);
    }
    rows.end(&mut text, before);
    (text, ranges)
}

/// The separator between two blocks, bars between cells aside.
fn separator(before: &Block, block: &Block) -> &'static str {
    match (before.kind, block.kind) {
        (BlockKind::Cell { row: a, .. }, BlockKind::Cell { row: b, .. }) if a == b => "",
        (BlockKind::Cell { .. }, BlockKind::Cell { .. }) => "\n",
        (BlockKind::ListItem { .. } | BlockKind::Definition, BlockKind::ListItem { .. } | BlockKind::Definition) => {
            "\n"
        }
        _ => "\n\n",
    }
}

fn indent(text: &mut String, depth: u8) {
    for _ in 1..depth.min(MAX_INDENT_DEPTH) {
        text.push_str("  ");
    }
}

/// The mark before a block of an item. A number that the page chose is part of its text, others are not.
fn item_mark(page: &Blocks, block: &Block, is_first: bool) -> String {
    let item = page.items.get(block.item as usize).filter(|item| item.is_chosen && block.item != NO_ITEM);
    match item.and_then(|item| item.shown_number()) {
        _ if !is_first => "  ".to_owned(),
        Some(number) => format!("{number}. "),
        None => "- ".to_owned(),
    }
}

fn is_same_row(before: Option<&Block>, block: &Block) -> bool {
    match (before.map(|before| before.kind), block.kind) {
        (Some(BlockKind::Cell { row: a, .. }), BlockKind::Cell { row: b, .. }) => a == b,
        _ => false,
    }
}

fn column_of(block: &Block) -> u16 {
    if let BlockKind::Cell { column, .. } = block.kind { column } else { 0 }
}

/// The rows of a page's tables.
struct Rows<'a> {
    page: &'a Blocks,
    /// By row: its kept cells.
    kept: HashMap<NodeId, u16>,
    /// Tables in which a row has texts in several columns. Cells beside the texts of others are only space.
    of_columns: HashSet<NodeId>,
}

impl<'a> Rows<'a> {
    fn new(page: &'a Blocks, kept: &[usize]) -> Rows<'a> {
        let mut in_rows: HashMap<NodeId, u16> = HashMap::new();
        for &number in kept {
            if let BlockKind::Cell { row, .. } = page.blocks[number].kind {
                let cells = in_rows.entry(row).or_default();
                *cells = cells.saturating_add(1);
            }
        }
        let of_columns = page.rows.values().filter(|row| row.with_text > 1).map(|row| row.table).collect();
        Rows { page, kept: in_rows, of_columns }
    }

    /// Whether the empty cells of a row are shown: not where one cell was kept as a text, and others were left out.
    fn shows_empty(&self, row: NodeId) -> bool {
        let kept = self.kept[&row];
        self.page.rows.get(&row).is_some_and(|found| kept > 1 || found.filled == kept)
    }

    /// As [`Rows::shows_empty`], of those at the end: not behind a cell alone that is the whole row, or beside the text
    /// of which others have elements of their own, or in a table whose rows have one text each.
    fn shows_empty_at_end(&self, row: NodeId) -> bool {
        let is_row_of_columns =
            |row: &TableRow| row.with_text == 1 && row.cells > 1 && self.of_columns.contains(&row.table);
        self.shows_empty(row) && (self.kept[&row] > 1 || is_row_of_columns(&self.page.rows[&row]))
    }

    /// Bars from a column, or the row's beginning, up to another.
    fn push_bars(&self, text: &mut String, row: NodeId, from: Option<u16>, to: u16) {
        let shows_empty = self.shows_empty(row);
        let bars = match from {
            Some(from) if shows_empty => to.saturating_sub(from),
            Some(from) => u16::from(to > from),
            None if shows_empty => to,
            None => 0,
        };
        if bars == 0 && from.is_some() {
            text.push(' ');
        }
        for _ in 0..bars.min(MAX_EMPTY_COLUMNS) {
            text.push_str(" | ");
        }
    }

    /// Bars for the empty cells at the end of a row.
    fn end(&self, text: &mut String, before: Option<&Block>) {
        let Some(&Block { kind: BlockKind::Cell { row, column }, .. }) = before else { return };
        if self.shows_empty_at_end(row) {
            // A last cell that spans several columns is followed by bars too: the columns of a table line up.
            let last = self.page.rows[&row].columns.saturating_sub(1);
            if last > column {
                self.push_bars(text, row, Some(column), last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::blocks;
    use crate::html::{ParseOptions, parse};

    fn check(html: &str, text: &str, markdown: &str) {
        let tree = parse(html, ParseOptions::default()).unwrap();
        let page = blocks(&tree);
        let all: Vec<usize> = (0..page.blocks.len()).collect();
        for (format, expected) in [(Format::Text, text), (Format::Markdown, markdown)] {
            let (found, ranges) = print(&page, &all, format);
            assert_eq!(found, expected, "{html}");
            if format == Format::Text {
                let blocks = ranges.iter().zip(&page.blocks);
                assert!(blocks.into_iter().all(|(range, block)| &found[range.clone()] == page.text_of(block)));
            }
        }
    }

    #[test]
    fn blocks_are_lines() {
        check("<h2>h</h2><p>a<p>b", "h\n\na\n\nb", "## h\n\na\n\nb");
        check("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c", "- a\n  - b\n- c");
        check("<ol><li><p>a<p>b<li>c</ol>", "- a\n  b\n- c", "1. a\n\n   b\n2. c");
        check("<dl><dt>a<dd>b</dl>", "a\n\n- b", "**a**\n\n- b");
        check("<pre>x *\n  y</pre><p>z", "x *\n  y\n\nz", "```\nx *\n  y\n```\n\nz");
        check("<blockquote><p>a</blockquote>", "a", "> a");
        check("<p>1 * 2 <br># 3", "1 * 2\n# 3", "1 \\* 2\\\n\\# 3");
        check("<p>1. a &amp;lt;<br>===", "1. a &lt;\n===", "1\\. a \\&lt;\\\n\\===");
        check("<pre>```</pre>", "```", "````\n```\n````");
    }

    #[test]
    fn rows_are_lines() {
        check(
            "<p>t<table><tr><th>a<th>b<tr><td>c<td>d</table><p>u",
            "t\n\na | b\nc | d\n\nu",
            "t\n\n| a | b |\n| --- | --- |\n| c | d |\n\nu",
        );
    }

    #[test]
    fn empty_cells_keep_their_columns() {
        check(
            "<table><tr><th>a<th>b<th>c<tr><td>d<td><td>e<tr><td>f<td>g<td></table>",
            "a | b | c\nd |  | e\nf | g | ",
            "| a | b | c |\n| --- | --- | --- |\n| d |  | e |\n| f | g |  |",
        );
        check(
            "<table><tr><th colspan=2>a<th>b<tr><td rowspan=2>c<td>d<td>e<tr><td>f<td>g</table>",
            "a |  | b\nc | d | e\n | f | g",
            "| a |  | b |\n| --- | --- | --- |\n| c | d | e |\n|  | f | g |",
        );
        check(
            "<table><tr><th>a<th>b<th>c<tr><td>d<td><td><tr><td><td>e<td><tr><td colspan=3>f<tr><td>g<td>h<td>i</table>",
            "a | b | c\nd |  | \n | e | \nf\ng | h | i",
            "| a | b | c |\n| --- | --- | --- |\n| d |  |  |\n|  | e |  |\n| f |  |  |\n| g | h | i |",
        );
        check(
            "<table><tr><th>a<th>b<tr><td>c<td rowspan=2>d<tr><td>e</table>",
            "a | b\nc | d\ne | ",
            "| a | b |\n| --- | --- |\n| c | d |\n| e |  |",
        );
        // A table of one column with space beside it; a row whose other cell is a paragraph.
        check("<table><tr><th>a<td><tr><th>b<td></table>", "a\nb", "| a |\n| --- |\n| b |");
        check(
            "<table><tr><th>a<td>b<tr><th>c<td><p>d<p>e</table>",
            "a | b\nc\n\nd\n\ne",
            "| a | b |\n| --- | --- |\n| c |  |\n\nd\n\ne",
        );
    }

    #[test]
    fn numbers_of_lists() {
        check("<ol start=3><li>a<li>b</ol>", "3. a\n4. b", "3. a\n4. b");
        check("<ol type=a><li>a<li value=5>b</ol>", "a. a\ne. b", "1. a\n\n5) b");
        check("<ol reversed><li>a<li>b</ol>", "2. a\n1. b", "2. a\n\n1) b");
        check("<ol><li>a<li>b</ol><ol><li>c<li>d</ol>", "- a\n- b\n- c\n- d", "1. a\n2. b\n\n1) c\n2) d");
        check("<ol><li>a</ol><p>x<ol><li>c</ol>", "- a\n\nx\n\n- c", "1. a\n\nx\n\n1. c");
    }

    #[test]
    fn nesting_in_markdown() {
        check("<ol><li>a<ol><li>b</ol></ol>", "- a\n  - b", "1. a\n   1. b");
        check("<ol start=10><li>a<ul><li>b</ul></ol>", "10. a\n  - b", "10. a\n    - b");
        check("<ul><li>a<pre>b\n\nc</pre>d</ul>", "- a\n\nb\n\nc\n\n  d", "- a\n\n  ```\n  b\n\n  c\n  ```\n\n  d");
        check("<blockquote><p>a<p>b</blockquote>", "a\n\nb", "> a\n>\n> b");
        check("<blockquote><ul><li>a</ul></blockquote>", "- a", "> - a");
        check("<p>a<br>b", "a\nb", "a\\\nb");
        check("<h2>C #</h2>", "C #", "## C \\#");
    }

    #[test]
    fn an_item_whose_first_block_was_dropped_has_its_mark() {
        let tree = parse("<ul><li><p>a<p>b<li>c<ul><li>d</ul></ul>", ParseOptions::default()).unwrap();
        let page = blocks(&tree);
        assert_eq!(print(&page, &[1, 3], Format::Markdown).0, "- b\n- d");
        assert_eq!(print(&page, &[1, 2], Format::Text).0, "- b\n- c");
    }
}
