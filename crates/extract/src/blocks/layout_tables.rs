//! Tables that lay out a page, as before style sheets, and hold no data.

use super::is_invisible;
use crate::html::{NONE, Name, NameSet, NodeId, ROOT, Tree, tag, tags};

/// Longest text of a data cell, in bytes.
const MAX_CELL_BYTES: usize = 700;
/// Elements that occur in tables that lay out a page, but not in data tables.
const LAID_OUT: NameSet = tags![TABLE H1 H2 H3 FORM HR];

/// The tables that lay out the page, as before style sheets, in the order of their node ids.
pub(super) fn layout_tables(tree: &Tree) -> Vec<NodeId> {
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
