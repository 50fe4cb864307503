//! Kept blocks as Markdown that a parser of CommonMark with tables reads back as the same blocks.
//!
//! Left out: emphasis, links and images, and the alignment of columns.

use std::collections::HashMap;
use std::ops::Range;

use super::{MAX_EMPTY_COLUMNS, column_of};
use crate::blocks::{Block, BlockKind, Blocks, Item, NO_ITEM};

/// Deepest indent, in columns, so that hostile nesting stays linear.
const MAX_INDENT: usize = 40;
/// Deepest nesting of quotes that is shown.
const MAX_QUOTES: u8 = 12;
/// CommonMark's numbers have nine digits at most.
const MAX_NUMBER: i32 = 999_999_999;

/// As [`super::print`].
pub(super) fn print(page: &Blocks, kept: &[usize]) -> (String, Vec<Range<usize>>) {
    let mut printer = Printer {
        page,
        text: String::new(),
        ranges: Vec::new(),
        widths: HashMap::new(),
        numbers: HashMap::new(),
        before: None,
    };
    let mut rest = kept;
    while let Some((&number, behind)) = rest.split_first() {
        let is_cell = |number: usize| matches!(page.blocks[number].kind, BlockKind::Cell { .. });
        if is_cell(number) {
            let len = rest.iter().take_while(|&&number| is_cell(number)).count();
            printer.table(&rest[..len]);
            rest = &rest[len..];
        } else {
            printer.block(&page.blocks[number]);
            rest = behind;
        }
    }
    (printer.text, printer.ranges)
}

struct Printer<'a> {
    page: &'a Blocks,
    text: String,
    ranges: Vec<Range<usize>>,
    /// Of each item that was begun, the width of its mark.
    widths: HashMap<u32, usize>,
    /// By the item around a numbered list: its last number, and the sign behind its numbers.
    numbers: HashMap<u32, (i32, char)>,
    before: Option<&'a Block>,
}

/// What stands before a block.
struct Lead {
    /// At the beginning of each of its lines.
    prefix: String,
    /// Behind it on the first one, if the block begins an item.
    mark: Option<String>,
    /// Whether it goes on another numbered list, from which it must be parted.
    begins_list: bool,
}

impl<'a> Printer<'a> {
    fn block(&mut self, block: &'a Block) {
        let lead = self.lead(block);
        self.separate(block, &lead);
        let own = self.page.text_of(block);
        let mut prefix = lead.prefix.clone();
        if let Some(mark) = &lead.mark {
            self.text.push_str(mark);
            prefix.extend(std::iter::repeat_n(' ', mark.len()));
        }
        let start = match block.kind {
            BlockKind::Heading(level) => {
                self.text.extend(std::iter::repeat_n('#', level.into()));
                self.text.push(' ');
                self.one_line(own)
            }
            BlockKind::Term => {
                self.text.push_str("**");
                let start = self.one_line(own);
                self.ranges.push(start..self.text.len());
                self.text.push_str("**");
                self.before = Some(block);
                return;
            }
            BlockKind::Preformatted => return self.code(block, own, &prefix),
            _ => {
                let start = self.text.len();
                push_escaped(&mut self.text, own, &prefix);
                start
            }
        };
        self.ranges.push(start..self.text.len());
        self.before = Some(block);
    }

    /// A line break in a heading or cell would end it, and signs at the end of a heading would be lost.
    fn one_line(&mut self, own: &str) -> usize {
        let start = self.text.len();
        push_escaped(&mut self.text, &own.replace('\n', " "), "");
        if self.text.ends_with('#') {
            self.text.pop();
            self.text.push_str("\\#");
        }
        start
    }

    fn code(&mut self, block: &'a Block, own: &str, prefix: &str) {
        let fence = fence(own);
        self.text.push_str(&fence);
        self.text.push('\n');
        self.text.push_str(prefix);
        let start = self.text.len();
        for (number, line) in own.split('\n').enumerate() {
            if number > 0 {
                self.text.push('\n');
                self.text.push_str(if line.is_empty() { prefix.trim_end() } else { prefix });
            }
            self.text.push_str(line);
        }
        self.ranges.push(start..self.text.len());
        self.text.push('\n');
        self.text.push_str(prefix);
        self.text.push_str(&fence);
        self.before = Some(block);
    }

    /// The quotes and items around a block. An item of which nothing was kept before has no indent.
    fn lead(&mut self, block: &Block) -> Lead {
        let mut chain = Vec::new();
        let mut at = block.item;
        while at != NO_ITEM {
            chain.push(at);
            at = self.page.items[at as usize].parent;
        }
        let indent: usize = chain.iter().filter_map(|item| self.widths.get(item)).sum();
        let indent = indent.min(MAX_INDENT);
        let may_begin = matches!(block.kind, BlockKind::ListItem { .. } | BlockKind::Preformatted);
        let begins = may_begin && block.item != NO_ITEM && !self.widths.contains_key(&block.item);
        let item = self.page.items.get(block.item as usize);
        let outer_quotes = if indent > 0 || begins { item.map_or(0, |item| item.quotes.min(block.quotes)) } else { 0 };
        let mut prefix = "> ".repeat(outer_quotes.min(MAX_QUOTES).into());
        prefix.extend(std::iter::repeat_n(' ', indent));
        let mut begins_list = false;
        let mark = match block.kind {
            _ if begins => {
                let item = self.page.items[block.item as usize];
                let (sign, is_other) = self.sign_of(&item);
                begins_list = is_other;
                let mark = mark_of(&item, sign);
                self.widths.insert(block.item, mark.len());
                Some(mark)
            }
            BlockKind::Definition => Some("- ".to_owned()),
            _ => None,
        };
        let inner_quotes = "> ".repeat((block.quotes - outer_quotes).min(MAX_QUOTES).into());
        if mark.is_none() {
            prefix.push_str(&inner_quotes);
        }
        Lead { prefix, mark: mark.map(|mark| mark + &inner_quotes), begins_list }
    }

    /// The sign behind an item's number, and whether it is another one than that of the item before. Parsers count on
    /// from a list's first number, whatever is written; another sign begins another list.
    fn sign_of(&mut self, item: &Item) -> (char, bool) {
        let Some(number) = item.number else { return ('.', false) };
        let is_behind_text = self.before.is_none_or(|before| before.item == NO_ITEM);
        let last = self.numbers.get(&item.parent).copied().filter(|_| !(is_behind_text && item.parent == NO_ITEM));
        let (sign, is_other) = match last {
            Some((last, sign)) if last.checked_add(1) == Some(number) => (sign, false),
            Some((_, '.')) => (')', true),
            Some(_) => ('.', true),
            None => ('.', false),
        };
        self.numbers.insert(item.parent, (number, sign));
        (sign, is_other)
    }

    /// Ends the block before, and writes the prefix of the next line.
    fn separate(&mut self, block: &Block, lead: &Lead) {
        if let Some(before) = self.before {
            let is_item = |block: &Block| matches!(block.kind, BlockKind::ListItem { .. } | BlockKind::Definition);
            let interrupts = lead
                .mark
                .as_deref()
                .is_some_and(|mark| ["- ", "1. ", "1) "].iter().any(|start| mark.starts_with(start)))
                || before.item != block.item && !self.is_inside(block.item, before.item);
            let is_tight = is_item(before) && is_item(block) && lead.mark.is_some() && interrupts && !lead.begins_list;
            self.text.push('\n');
            if !is_tight {
                let quotes = before.quotes.min(block.quotes).min(MAX_QUOTES);
                let is_plain = lead.prefix.starts_with("> ") || lead.prefix.is_empty();
                if quotes > 0 && is_plain {
                    self.text.push_str("> ".repeat(quotes.into()).trim_end());
                }
                self.text.push('\n');
            }
        }
        self.text.push_str(&lead.prefix);
    }

    fn is_inside(&self, mut item: u32, outer: u32) -> bool {
        while item != NO_ITEM && item != outer {
            item = self.page.items[item as usize].parent;
        }
        item == outer
    }

    /// A run of cells. The first row is the head; all rows have the columns of the widest.
    fn table(&mut self, cells: &[usize]) {
        let page = self.page;
        let block_of = |number: usize| &page.blocks[number];
        let columns = cells.iter().map(|&number| column_of(block_of(number))).max().unwrap_or(0);
        let columns = columns.min(MAX_EMPTY_COLUMNS * 4) + 1;
        let first = block_of(cells[0]);
        let lead = self.lead(first);
        self.separate(first, &lead);
        let is_same_row = |a: &usize, b: &usize| match (block_of(*a).kind, block_of(*b).kind) {
            (BlockKind::Cell { row: a, .. }, BlockKind::Cell { row: b, .. }) => a == b,
            _ => false,
        };
        for (number, row) in cells.chunk_by(is_same_row).enumerate() {
            if number > 0 {
                self.text.push('\n');
                self.text.push_str(&lead.prefix);
            }
            self.row(row, columns);
            if number == 0 {
                self.text.push('\n');
                self.text.push_str(&lead.prefix);
                self.text.push_str(&"| --- ".repeat(columns.into()));
                self.text.push('|');
            }
        }
        self.before = cells.last().map(|&number| block_of(number));
    }

    fn row(&mut self, cells: &[usize], columns: u16) {
        self.text.push('|');
        let mut column = 0;
        for (place, &number) in cells.iter().enumerate() {
            let block = &self.page.blocks[number];
            // Columns past the limit share the last one.
            let own = column_of(block).min(columns - 1);
            for passed in column..own {
                self.text.push_str(if passed == column && place > 0 { " |" } else { "  |" });
            }
            column = own;
            self.text.push(' ');
            let start = self.one_line(self.page.text_of(block));
            self.ranges.push(start..self.text.len());
        }
        for _ in column + 1..columns {
            self.text.push_str(" | ");
        }
        self.text.push_str(" |");
    }
}

/// The mark that begins an item.
fn mark_of(item: &Item, sign: char) -> String {
    match item.number {
        Some(number) if (0..=MAX_NUMBER).contains(&number) => format!("{number}{sign} "),
        _ => "- ".to_owned(),
    }
}

/// More backticks than the code has in a row, three at least.
fn fence(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

/// Appends text with a backslash before characters that have a meaning in Markdown, and before line ends, which are
/// hard ones. The prefix begins each line but the first.
fn push_escaped(to: &mut String, text: &str, prefix: &str) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            to.push_str("\\\n");
            to.push_str(prefix);
        }
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        // `1.` and `1)` begin a list, `===` and `---` underline a heading.
        let begins = if digits > 0 && line[digits..].starts_with(['.', ')']) { digits } else { 0 };
        for (at, c) in line.char_indices() {
            let is_sign = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '|' | '&' | '~')
                || (at == 0 && matches!(c, '#' | '>' | '+' | '-' | '='))
                || (begins > 0 && at == begins);
            if is_sign {
                to.push('\\');
            }
            to.push(c);
        }
    }
}
