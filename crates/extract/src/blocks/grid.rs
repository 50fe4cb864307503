//! The columns of tables: which one a cell is in, after cells that span several columns or rows.

use crate::html::{AttributeName, NodeId, Tree, attribute};

/// Wider spans count as this many columns, and longer ones as this many rows.
const MAX_SPAN: u16 = 20;

/// The row of a data table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableRow {
    /// Its number of columns.
    pub columns: u16,
    /// Its cells, and the columns into which cells from above span.
    pub cells: u16,
    /// Its cells whose text is a block of [`BlockKind::Cell`](super::BlockKind::Cell).
    pub filled: u16,
    /// Its cells that have text, in elements of their own, too.
    pub with_text: u16,
    /// Its table.
    pub table: NodeId,
}

/// A table around the current node.
#[derive(Default)]
pub(super) struct Table {
    node: NodeId,
    pub(super) is_layout: bool,
    /// By column: in how many of the next rows a cell from above is there.
    taken: Vec<u16>,
    next_column: u16,
    cells: u16,
}

impl Table {
    pub(super) fn new(node: NodeId, is_layout: bool) -> Table {
        Table { node, is_layout, ..Table::default() }
    }

    pub(super) fn begin_row(&mut self) {
        (self.next_column, self.cells) = (0, 0);
        self.skip_taken();
    }

    /// Places a cell; returns its column.
    pub(super) fn place(&mut self, tree: &Tree, cell: NodeId) -> u16 {
        let column = self.next_column;
        let (columns, rows) = (span(tree, cell, attribute::COLSPAN), span(tree, cell, attribute::ROWSPAN));
        self.next_column = column.saturating_add(columns);
        self.cells = self.cells.saturating_add(1);
        if rows > 1 {
            let end = usize::from(self.next_column);
            self.taken.resize(self.taken.len().max(end), 0);
            // This row counts too: it is past these columns.
            self.taken[usize::from(column)..end].fill(rows - 1);
        }
        self.skip_taken();
        column
    }

    fn skip_taken(&mut self) {
        while let Some(rows) = self.taken.get_mut(usize::from(self.next_column)).filter(|rows| **rows > 0) {
            *rows -= 1;
            self.next_column += 1;
            self.cells = self.cells.saturating_add(1);
        }
    }

    /// Ends a row.
    pub(super) fn end_row(&self, row: &mut TableRow) {
        (row.table, row.columns, row.cells) = (self.node, self.next_column, self.cells);
    }
}

fn span(tree: &Tree, cell: NodeId, name: AttributeName) -> u16 {
    let span = tree.raw_attribute(cell, name).and_then(|value| value.trim().parse().ok());
    span.unwrap_or(1).clamp(1, MAX_SPAN)
}
