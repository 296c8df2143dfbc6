//! Nodes that were allocated before a change that may need them.

use super::node::{NoNode, Node, NodeRef};
use super::{Span, Tree};

/// Nodes without entries, in a list through themselves.
pub(in crate::memory::vma) struct Spares<T: Span, const N: usize> {
    top: Option<NodeRef<T, N>>,
    len: usize,
}

impl<T: Span, const N: usize> Spares<T, N> {
    /// None.
    pub(in crate::memory::vma) const fn new() -> Self {
        Spares { top: None, len: 0 }
    }

    /// How many there are.
    pub(in crate::memory::vma) fn len(&self) -> usize {
        self.len
    }

    /// Allocates one more.
    pub(in crate::memory::vma) fn allocate(&mut self) -> Result<(), NoNode> {
        self.top = Some(NodeRef::spare(&mut self.top)?);
        self.len += 1;
        Ok(())
    }

    /// Moves one from another list to this one. Whether there was one.
    pub(in crate::memory::vma) fn take_from(&mut self, other: &mut Self) -> bool {
        other.pop().map(|node| self.put(node)).is_some()
    }

    /// Drops one. Whether there was one.
    pub(in crate::memory::vma) fn drop_one(&mut self) -> bool {
        self.pop().is_some()
    }

    /// Keeps a node that is not used any more, if it has no other holder. Its entries are dropped.
    pub(super) fn put(&mut self, node: NodeRef<T, N>) {
        let Some(mut node) = node.into_sole() else {
            return;
        };
        if let Some(content) = node.sole() {
            *content = Node::Spare(self.top.take());
            self.top = Some(node);
            self.len += 1;
        }
    }

    /// One that has no other holder, for a change that was promised enough of them.
    ///
    /// # Panics
    /// If the promise is broken and the heap has no room either.
    pub(super) fn take(&mut self) -> NodeRef<T, N> {
        let node = self.pop();
        debug_assert!(node.is_some(), "a change takes more nodes than it reserved");
        node.or_else(|| NodeRef::spare(&mut None).ok())
            .expect("nodes for a change are reserved before it")
    }

    /// One with this content.
    pub(super) fn filled(&mut self, content: Node<T, N>) -> NodeRef<T, N> {
        let mut node = self.take();
        if let Some(blank) = node.sole() {
            *blank = content;
        }
        node
    }

    fn pop(&mut self) -> Option<NodeRef<T, N>> {
        let mut node = self.top.take()?;
        if let Some(Node::Spare(next)) = node.sole() {
            self.top = next.take();
        }
        self.len -= 1;
        Some(node)
    }
}

impl<T: Span, const N: usize> Drop for Spares<T, N> {
    /// One after the other: the list may be long.
    fn drop(&mut self) {
        while self.drop_one() {}
    }
}

impl<T: Span, const N: usize> Tree<T, N> {
    /// How many nodes at the most a change of spans in the range copies, and of the spans next to
    /// it; it does not look for more than `most`.
    pub(in crate::memory::vma) fn copies(&self, start: usize, end: usize, most: usize) -> usize {
        let mut found = 0;
        if let Some(root) = &self.root {
            count_shared(root, start, end, false, most, &mut found);
        }
        found
    }

    /// How many nodes at the most up to `spans` further ones take which are put behind the last
    /// one that starts below `start`, besides those that are copied for them.
    pub(in crate::memory::vma) fn splits(&self, start: usize, spans: usize) -> usize {
        let Some(mut node) = self.root.as_ref() else {
            return 1;
        };
        // Full nodes from some level down.
        let mut full = 0;
        loop {
            full = if node.len() + spans > N { full + 1 } else { 0 };
            let Node::Inner(branches) = &**node else {
                break;
            };
            let at = branches.partition_point(|branch| branch.summary.start < start);
            let Some(branch) = branches.get(at.saturating_sub(1)) else {
                break;
            };
            node = &branch.node;
        }
        // If that is all of them, a new root comes above.
        full + usize::from(full == self.height)
    }
}

/// Counts nodes that are shared, or below a shared one, from the span before the range to the one
/// that starts at its end.
fn count_shared<T: Span, const N: usize>(
    node: &NodeRef<T, N>,
    start: usize,
    end: usize,
    mut shared: bool,
    most: usize,
    found: &mut usize,
) {
    shared |= !node.is_sole();
    *found += usize::from(shared);
    let Node::Inner(branches) = &**node else {
        return;
    };
    // A span that starts below all others is put into the first leaf.
    let from = branches.partition_point(|branch| branch.summary.start < start);
    let from = from.saturating_sub(1);
    for (index, branch) in branches.iter().enumerate().skip(from) {
        if *found >= most || (index != from && branch.summary.start > end) {
            return;
        }
        count_shared(&branch.node, start, end, shared, most, found);
    }
}
