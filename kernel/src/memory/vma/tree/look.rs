//! Looking for spans.

use super::node::Node;
use super::{Span, Tree};
use core::slice;

impl<T: Span, const N: usize> Tree<T, N> {
    /// The first span that ends above the address: the one that contains it, or the next.
    #[inline]
    pub(in crate::memory::vma) fn at_or_above(&self, address: usize) -> Option<&T> {
        self.rest_of_leaf(address).first()
    }

    /// The first span that starts at the address or above.
    pub(in crate::memory::vma) fn first_from(&self, address: usize) -> Option<&T> {
        let span = self.at_or_above(address)?;
        match span.start() >= address {
            true => Some(span),
            false => self.at_or_above(span.end()),
        }
    }

    /// The last span that starts below the address.
    pub(in crate::memory::vma) fn last_below(&self, address: usize) -> Option<&T> {
        let mut node = self.root.as_ref()?;
        loop {
            match &**node {
                Node::Inner(branches) => {
                    let below = branches.partition_point(|branch| branch.summary.start < address);
                    node = &branches.get(below.checked_sub(1)?)?.node;
                }
                Node::Leaf(spans) => {
                    let below = spans.partition_point(|span| span.start() < address);
                    return spans.get(below.checked_sub(1)?);
                }
                Node::Spare(_) => return None,
            }
        }
    }

    /// The spans that end above the address, from the lowest up.
    pub(in crate::memory::vma) fn iter_from(&self, address: usize) -> Iter<'_, T, N> {
        Iter {
            tree: self,
            leaf: self.rest_of_leaf(address).iter(),
            reached: address,
        }
    }

    /// The spans of one leaf from the first one that ends above the address; none if there is no
    /// such span.
    fn rest_of_leaf(&self, address: usize) -> &[T] {
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            match &**node {
                Node::Inner(branches) => {
                    let mut above = branches.iter();
                    let found = above.find(|branch| branch.summary.end > address);
                    next = found.map(|branch| &branch.node);
                }
                Node::Leaf(spans) => {
                    let from = spans.iter().position(|span| span.end() > address);
                    return from.and_then(|from| spans.get(from..)).unwrap_or_default();
                }
                Node::Spare(_) => break,
            }
        }
        &[]
    }
}

/// Spans in order. A descent from the root leads to each leaf.
pub(in crate::memory::vma) struct Iter<'a, T: Span, const N: usize> {
    tree: &'a Tree<T, N>,
    leaf: slice::Iter<'a, T>,
    /// All that end here or below are through.
    reached: usize,
}

impl<'a, T: Span, const N: usize> Iterator for Iter<'a, T, N> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let span = match self.leaf.next() {
            Some(span) => span,
            None if self.tree.height < 2 => return None,
            None => {
                self.leaf = self.tree.rest_of_leaf(self.reached).iter();
                self.leaf.next()?
            }
        };
        self.reached = span.end();
        Some(span)
    }
}
