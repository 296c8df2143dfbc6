//! The end of a large tree, a slice at a time (rule E4).

use super::node::{Node, NodeRef};
use super::{Span, Tree};
use arrayvec::ArrayVec;

/// A tree of the fewest children is not deeper than this with more spans than memory has room for;
/// what lies deeper is dropped with its parent.
const LEVELS: usize = 16;

/// Nodes of a tree that are to be dropped: the way to the next one, from the root down. The last
/// holder of each is this.
pub(in crate::memory::vma) struct Teardown<T: Span, const N: usize> {
    way: ArrayVec<NodeRef<T, N>, LEVELS>,
}

impl<T: Span, const N: usize> Teardown<T, N> {
    /// Drops up to so many nodes. Whether there are more.
    pub(in crate::memory::vma) fn step(&mut self, nodes: usize) -> bool {
        let mut left = nodes;
        while left != 0 {
            let Some(last) = self.way.last_mut() else {
                return false;
            };
            let child = match last.sole() {
                Some(Node::Inner(branches)) => branches.pop(),
                _ => None,
            };
            match child {
                // Not if another tree has it too.
                Some(branch) => {
                    if let Some(node) = branch.node.into_sole() {
                        let _ = self.way.try_push(node);
                    }
                }
                None => {
                    self.way.pop();
                    left -= 1;
                }
            }
        }
        !self.way.is_empty()
    }
}

impl<T: Span, const N: usize> Tree<T, N> {
    /// Gives the tree up. Nothing is dropped yet, but what others hold too is let go.
    pub(in crate::memory::vma) fn tear_down(&mut self) -> Teardown<T, N> {
        let root = self.root.take().and_then(NodeRef::into_sole);
        *self = Tree::new();
        Teardown {
            way: root.into_iter().collect(),
        }
    }
}
