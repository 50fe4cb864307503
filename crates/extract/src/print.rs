//! Prints kept blocks: as plain lines, or as Markdown.

use std::ops::Range;

use crate::Format;
use crate::blocks::{Block, BlockKind, Blocks};

/// Lists inside lists are indented up to this depth, so that hostile nesting stays linear.
const MAX_INDENT_DEPTH: u8 = 12;

/// Writes the blocks of these numbers; returns the text and the place of each block in it, without marks and indents.
pub(crate) fn print(page: &Blocks, kept: &[usize], format: Format) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut ranges = Vec::with_capacity(kept.len());
    let mut before: Option<&Block> = None;
    let mut cells = 0;
    for (place, &number) in kept.iter().enumerate() {
        let block = &page.blocks[number];
        let separator = before.map_or("", |before| separator(before, block));
        if separator.starts_with('\n') {
            end_row(&mut text, before, &mut cells, format);
        }
        text.push_str(separator);
        let start = match format {
            Format::Text => plain(&mut text, block, page.text_of(block)),
            Format::Markdown => {
                let opens_row = matches!(block.kind, BlockKind::Cell(_)) && separator != " | ";
                cells += u32::from(matches!(block.kind, BlockKind::Cell(_)));
                markdown(&mut text, block, page.text_of(block), opens_row)
            }
        };
        ranges.push(start..text.len());
        if format == Format::Markdown {
            match block.kind {
                BlockKind::Preformatted => text.push_str(&format!("\n{}", fence(page.text_of(block)))),
                BlockKind::Term => text.push_str("**"),
                _ => {}
            }
        }
        if place + 1 == kept.len() {
            end_row(&mut text, Some(block), &mut cells, format);
        }
        before = Some(block);
    }
    (text, ranges)
}

/// The separator between two blocks.
fn separator(before: &Block, block: &Block) -> &'static str {
    match (before.kind, block.kind) {
        (BlockKind::Cell(a), BlockKind::Cell(b)) if a == b => " | ",
        (BlockKind::Cell(_), BlockKind::Cell(_)) => "\n",
        (BlockKind::ListItem { .. } | BlockKind::Definition, BlockKind::ListItem { .. } | BlockKind::Definition) => {
            "\n"
        }
        _ => "\n\n",
    }
}

/// Appends a block; returns the place of its first byte.
fn plain(text: &mut String, block: &Block, own: &str) -> usize {
    match block.kind {
        BlockKind::ListItem { depth, is_first, .. } => {
            indent(text, depth);
            text.push_str(if is_first { "- " } else { "  " });
        }
        BlockKind::Definition => text.push_str("- "),
        _ => {}
    }
    let start = text.len();
    text.push_str(own);
    start
}

fn indent(text: &mut String, depth: u8) {
    for _ in 1..depth.min(MAX_INDENT_DEPTH) {
        text.push_str("  ");
    }
}

fn markdown(text: &mut String, block: &Block, own: &str, opens_row: bool) -> usize {
    for _ in 0..block.quotes.min(MAX_INDENT_DEPTH) {
        text.push_str("> ");
    }
    match block.kind {
        BlockKind::Heading(level) => {
            for _ in 0..level {
                text.push('#');
            }
            text.push(' ');
        }
        BlockKind::ListItem { depth, number, is_first } => {
            indent(text, depth);
            match (is_first, number) {
                (true, 0) => text.push_str("- "),
                (true, number) => text.push_str(&format!("{number}. ")),
                (false, _) => text.push_str("  "),
            }
        }
        BlockKind::Term => text.push_str("**"),
        BlockKind::Definition => text.push_str("- "),
        BlockKind::Preformatted => text.push_str(&format!("{}\n", fence(own))),
        BlockKind::Cell(_) if opens_row => text.push_str("| "),
        _ => {}
    }
    let start = text.len();
    match block.kind {
        BlockKind::Preformatted => text.push_str(own),
        // A line break in a cell, a heading or an item would end it.
        BlockKind::Heading(_) | BlockKind::Cell(_) | BlockKind::Term => escaped(text, &own.replace('\n', " ")),
        _ => escaped(text, own),
    }
    start
}

/// More backticks than the code has in a row, three at least.
fn fence(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

/// Ends a row of a Markdown table, and after the first row writes the delimiter row.
fn end_row(text: &mut String, before: Option<&Block>, cells: &mut u32, format: Format) {
    if format == Format::Markdown && before.is_some_and(|before| matches!(before.kind, BlockKind::Cell(_))) {
        text.push_str(" |");
        let line_start = text[..text.len() - 2].rfind('\n').map_or(0, |at| at + 1);
        let is_first_row = line_start < 2 || !text[..line_start - 1].ends_with('|');
        if is_first_row {
            text.push('\n');
            for _ in 0..*cells {
                text.push_str("| --- ");
            }
            text.push('|');
        }
    }
    *cells = 0;
}

/// Appends text with a backslash before characters that have a meaning in Markdown.
fn escaped(to: &mut String, text: &str) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            to.push('\n');
        }
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        // `1.` and `1)` begin a list, `===` and `---` underline a heading.
        let begins = if digits > 0 && line[digits..].starts_with(['.', ')']) { digits } else { 0 };
        for (at, c) in line.char_indices() {
            let is_sign = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '|' | '&')
                || (at == 0 && matches!(c, '#' | '>' | '+' | '-' | '~' | '='))
                || (begins > 0 && at == begins);
            if is_sign {
                to.push('\\');
            }
            to.push(c);
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
        check("<ol><li><p>a<p>b<li>c</ol>", "- a\n  b\n- c", "1. a\n  b\n2. c");
        check("<dl><dt>a<dd>b</dl>", "a\n\n- b", "**a**\n\n- b");
        check("<pre>x *\n  y</pre><p>z", "x *\n  y\n\nz", "```\nx *\n  y\n```\n\nz");
        check("<blockquote><p>a</blockquote>", "a", "> a");
        check("<p>1 * 2 <br># 3", "1 * 2\n# 3", "1 \\* 2\n\\# 3");
        check("<p>1. a &amp;lt;<br>===", "1. a &lt;\n===", "1\\. a \\&lt;\n\\===");
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
}
