//! The columns of tables: which one a cell is in, after cells that span several columns or rows.

use crate::html::{AttributeName, NodeId, Tree, attribute};

/// Wider spans count as this many columns, and longer ones as this many rows.
const MAX_SPAN: u16 = 20;

/// The row of a data table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableRow {
    /// Its number of columns.
    pub columns: u16,
    /// Its cells that have text.
    pub filled: u16,
}

/// A table around the current node.
#[derive(Default)]
pub(super) struct Table {
    pub(super) is_layout: bool,
    /// By column: in how many of the next rows a cell from above is there.
    taken: Vec<u16>,
    next_column: u16,
}

impl Table {
    pub(super) fn new(is_layout: bool) -> Table {
        Table { is_layout, ..Table::default() }
    }

    pub(super) fn begin_row(&mut self) {
        self.next_column = 0;
        self.skip_taken();
    }

    /// Places a cell; returns its column.
    pub(super) fn place(&mut self, tree: &Tree, cell: NodeId) -> u16 {
        let column = self.next_column;
        let (columns, rows) = (span(tree, cell, attribute::COLSPAN), span(tree, cell, attribute::ROWSPAN));
        self.next_column = column.saturating_add(columns);
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
        }
    }

    /// Columns of the row that ends.
    pub(super) fn columns(&self) -> u16 {
        self.next_column
    }
}

fn span(tree: &Tree, cell: NodeId, name: AttributeName) -> u16 {
    let span = tree.raw_attribute(cell, name).and_then(|value| value.trim().parse().ok());
    span.unwrap_or(1).clamp(1, MAX_SPAN)
}
