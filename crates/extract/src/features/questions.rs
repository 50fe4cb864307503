//! What the decisions about a page ask of its context, beside the features.

use super::PageContext;
use super::page_context::{FAR, LANDMARKS};
use crate::head::Head;
use crate::html::{NONE, Name, NodeId, ROOT, Tree, tag};
use crate::labels;

impl<'a> PageContext<'a> {
    /// The block that repeats the page's title, if there is one.
    pub fn title_block(&self) -> Option<usize> {
        self.title_block
    }

    /// What the page says of itself.
    pub(crate) fn head(&self) -> &'a Head {
        self.head
    }

    /// The page's tree.
    pub(crate) fn tree(&self) -> &'a Tree<'a> {
        self.tree
    }

    /// What the elements around a block look like: the same for two blocks in elements of the same names and classes.
    pub(crate) fn shape_around(&self, block: usize) -> u64 {
        self.narrow[self.page.blocks[block].container as usize]
    }

    /// The table that a row is in.
    pub(crate) fn table_around(&self, row: NodeId) -> Option<NodeId> {
        self.elements_around(row).find(|&at| self.tree.name(at) == tag::TABLE)
    }

    /// How many blocks the page has.
    pub fn len(&self) -> usize {
        self.page.blocks.len()
    }

    /// Whether the page is in English: it has English function words, and no other language has more.
    pub(crate) fn is_english(&self) -> bool {
        self.is_english
    }

    /// Whether the page has no block.
    pub fn is_empty(&self) -> bool {
        self.page.blocks.is_empty()
    }

    /// Whether a block is in an element whose labels say that it holds comments.
    pub fn is_comment(&self, block: usize) -> bool {
        self.label_distances[self.page.blocks[block].container as usize][const { labels::group("comment") }] < FAR
    }

    /// Whether a block is in `<noscript>`.
    pub fn is_for_scriptless(&self, block: usize) -> bool {
        let noscript = LANDMARKS.iter().position(|(_, name)| *name == tag::NOSCRIPT);
        noscript.is_some_and(|at| self.landmark_distances[self.page.blocks[block].container as usize][at] < FAR)
    }

    /// The block's template: its element with its class, and those of the two around it.
    pub(crate) fn template(&self, block: usize) -> u64 {
        self.narrow[self.page.blocks[block].container as usize]
    }

    /// Whether a block is in an element for what stands beside a page's text.
    pub(crate) fn is_beside(&self, block: usize) -> bool {
        const BESIDE: [Name; 3] = [tag::ASIDE, tag::NAV, tag::FOOTER];
        let distances = &self.landmark_distances[self.page.blocks[block].container as usize];
        LANDMARKS.iter().zip(distances).any(|((_, name), distance)| BESIDE.contains(name) && *distance < FAR)
    }

    /// A node and those around it, innermost first.
    pub(crate) fn elements_around(&self, node: NodeId) -> impl Iterator<Item = NodeId> + use<'_> {
        let next = |&at: &NodeId| (at != ROOT).then(|| self.tree.node(at).parent).filter(|&parent| parent != NONE);
        std::iter::successors((node != NONE).then_some(node), next)
    }
}
