//! A persistent search tree of spans of addresses: the data structure below the VMA map.
//!
//! It is a B+tree with nodes of one size. Spans are kept in the leaves, in order of their starts;
//! they do not overlap. An inner node knows, of each child, where its spans begin and end and how
//! large the largest gap between two of them is (`Summary`), so that looking for a span, for the
//! next one and for a free range are each one descent from the root.
//!
//! **Versions.** A clone shares the root, which takes a constant time. Nodes have a count of
//! holders. A change copies the nodes on its path that have several holders, from the first such
//! node downwards, and changes all others in place; so each version sees its own changes only.
//!
//! **Memory.** No change allocates. The caller asks first how many nodes a change can take
//! ([`Tree::copies`], [`Tree::splits`]), and brings them along as [`Spares`]. Nodes that a change
//! empties go there too. Removal needs nodes only where nodes are shared: two siblings that
//! have become small are merged into the one that this version alone holds, which takes no node,
//! and nothing is ever moved between siblings that stay two.
//!
//! All leaves are equally deep. A node is never empty, and after a removal two siblings
//! beside it have together more than three quarters of what one node can hold.
//!
//! In reading order: `node` (a node and its count), `spare` (nodes for a change), `look`, `gap`
//! (free ranges), `edit` (changes), `teardown` (an end in slices).

mod edit;
mod gap;
mod look;
mod node;
mod spare;
mod teardown;
#[cfg(test)]
mod tests;

pub(super) use node::NoNode;
use node::NodeRef;
pub(super) use spare::Spares;
pub(super) use teardown::Teardown;

/// Something that covers the addresses from its start up to its end.
pub(super) trait Span: Clone {
    /// The first address.
    fn start(&self) -> usize;
    /// One past the last address.
    fn end(&self) -> usize;
    /// Up to where the free range below may be used; not above its start.
    fn border(&self) -> usize;
}

/// An ordered set of spans in nodes of `N` entries.
#[derive(Clone)]
pub(super) struct Tree<T: Span, const N: usize> {
    root: Option<NodeRef<T, N>>,
    /// Levels of nodes.
    height: usize,
    /// Spans.
    len: usize,
}

impl<T: Span, const N: usize> Tree<T, N> {
    /// An empty one.
    pub(super) const fn new() -> Self {
        // A full node splits in two that each have room for one entry more.
        const { assert!(N >= 4) };
        Tree {
            root: None,
            height: 0,
            len: 0,
        }
    }

    /// How many spans there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many levels of nodes there are.
    pub(super) fn height(&self) -> usize {
        self.height
    }
}
