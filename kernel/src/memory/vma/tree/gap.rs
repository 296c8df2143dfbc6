//! Looking for free ranges between spans.

use super::node::{Node, NodeRef, Summary};
use super::{Span, Tree};

impl<T: Span, const N: usize> Tree<T, N> {
    /// The end of the highest free range of `length` bytes that lies between `bottom` and `top`,
    /// and ends at or below the border of the span above it.
    pub(in crate::memory::vma) fn highest_gap(
        &self,
        length: usize,
        bottom: usize,
        top: usize,
    ) -> Option<usize> {
        let fits = |floor: usize, end: usize| end.checked_sub(length).is_some_and(|at| at >= floor);
        let above = self
            .first_from(top)
            .map_or(top, |span| top.min(span.border()));
        let (Some(root), Some(below)) = (&self.root, self.last_below(top)) else {
            return fits(bottom, above).then_some(above);
        };
        // First what is above the last span that starts below `top`, which `top` may cut short.
        if fits(below.end().max(bottom), above) {
            return Some(above);
        }
        // What lies between two spans that start below `top` is not cut.
        let end = match gap_below(root, length, top) {
            Some(end) => end,
            None => root.summary()?.border,
        };
        fits(bottom, end).then_some(end)
    }
}

/// The end of the highest gap of that length between two spans of the subtree that both start
/// below `top`.
///
/// One subtree of each level at the most has spans on both sides of `top`, and may promise a gap
/// that it does not have below; another that promises one has it. So there are two descents.
fn gap_below<T: Span, const N: usize>(
    node: &NodeRef<T, N>,
    length: usize,
    top: usize,
) -> Option<usize> {
    match &**node {
        Node::Leaf(spans) => {
            let parts = spans.iter().map(Summary::of);
            highest(parts, length, top, |_| None)
        }
        Node::Inner(branches) => {
            let parts = branches.iter().map(|branch| branch.summary);
            highest(parts, length, top, |index| {
                gap_below(&branches.get(index)?.node, length, top)
            })
        }
        Node::Spare(_) => None,
    }
}

/// The same for a sequence of subtrees or spans, of which `inside` looks into one.
fn highest(
    parts: impl DoubleEndedIterator<Item = Summary> + ExactSizeIterator,
    length: usize,
    top: usize,
    inside: impl Fn(usize) -> Option<usize>,
) -> Option<usize> {
    let mut above: Option<Summary> = None;
    for (index, part) in parts.enumerate().rev() {
        if part.start >= top {
            continue;
        }
        if let Some(above) = above
            && above.border.saturating_sub(part.end) >= length
        {
            return Some(above.border);
        }
        if part.gap >= length
            && let Some(end) = inside(index)
        {
            return Some(end);
        }
        above = Some(part);
    }
    None
}
