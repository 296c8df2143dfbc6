//! Changes. Each is one descent, which makes the nodes on its way this version's own and refreshes
//! what the parents know of them on the way back.

use super::node::{Branch, Node, NodeRef, Summary};
use super::{Span, Spares, Tree};
use arrayvec::ArrayVec;

impl<T: Span, const N: usize> Tree<T, N> {
    /// Adds a span where there is none.
    ///
    /// Takes at the most `copies` of its range and `splits(start, 1)` nodes.
    pub(in crate::memory::vma) fn insert(&mut self, span: T, spares: &mut Spares<T, N>) {
        self.len += 1;
        let Some(root) = &mut self.root else {
            self.root = Some(spares.filled(Node::Leaf(ArrayVec::from_iter([span]))));
            self.height = 1;
            return;
        };
        let Some(upper) = insert_below(root, span, spares) else {
            return;
        };
        if let Some((summary, node)) = root.summary().zip(self.root.take()) {
            let lower = Branch { summary, node };
            let branches = ArrayVec::from_iter([lower, upper]);
            self.root = Some(spares.filled(Node::Inner(branches)));
            self.height += 1;
        }
    }

    /// Calls `change` for each span that starts in the range. None of them may leave its place in
    /// the order.
    ///
    /// Takes at the most `copies` of the range.
    pub(in crate::memory::vma) fn change(
        &mut self,
        start: usize,
        end: usize,
        spares: &mut Spares<T, N>,
        mut change: impl FnMut(&mut T),
    ) {
        if let Some(root) = &mut self.root {
            change_below(root, start, end, spares, &mut change);
        }
    }

    /// Takes out spans that start in the range, at the most so many, from the lowest up, and shows
    /// each to `gone`. All of them end in the range as well.
    ///
    /// Takes at the most `copies` of the range, and not more than two for each level, as nodes
    /// that become empty are used again.
    pub(in crate::memory::vma) fn remove(
        &mut self,
        start: usize,
        end: usize,
        most: usize,
        spares: &mut Spares<T, N>,
        mut gone: impl FnMut(&T),
    ) {
        let Some(root) = &mut self.root else {
            return;
        };
        let mut left = most;
        remove_below(root, start, end, &mut left, spares, &mut gone);
        self.len -= most - left;
        self.lower_root(spares);
    }

    /// Drops a root that is empty or has a single child.
    fn lower_root(&mut self, spares: &mut Spares<T, N>) {
        while let Some(mut root) = self.root.take() {
            let few = match &*root {
                Node::Leaf(spans) => spans.is_empty(),
                Node::Inner(branches) => branches.len() <= 1,
                Node::Spare(_) => true,
            };
            if !few {
                self.root = Some(root);
                return;
            }
            let child = match root.sole() {
                Some(Node::Inner(branches)) => branches.pop(),
                _ => None,
            };
            spares.put(root);
            self.height = if child.is_some() { self.height - 1 } else { 0 };
            self.root = child.map(|branch| branch.node);
        }
    }
}

impl<T: Span, const N: usize> Branch<T, N> {
    /// Refreshes what is known of the spans below. Whether there are any.
    fn refresh(&mut self) -> bool {
        let summary = self.node.summary();
        self.summary = summary.unwrap_or(self.summary);
        summary.is_some()
    }
}

/// Adds a span below a node. If the node was full, returns its upper half.
fn insert_below<T: Span, const N: usize>(
    node: &mut NodeRef<T, N>,
    span: T,
    spares: &mut Spares<T, N>,
) -> Option<Branch<T, N>> {
    let upper = match node.own(|| spares.take()) {
        Node::Leaf(spans) => {
            let at = spans.partition_point(|other| other.start() < span.start());
            // Spans that come in order, as mappings do that have no address, fill their nodes.
            let half = match at {
                0 => 0,
                _ if at == N => N,
                _ => N / 2,
            };
            Node::Leaf(put(spans, at, span, half)?)
        }
        Node::Inner(branches) => {
            let at = branches.partition_point(|branch| branch.summary.start < span.start());
            let at = at.saturating_sub(1);
            let branch = branches.get_mut(at)?;
            let upper = insert_below(&mut branch.node, span, spares);
            branch.refresh();
            Node::Inner(put(branches, at + 1, upper?, N / 2)?)
        }
        Node::Spare(_) => return None,
    };
    let summary = upper.summary()?;
    let node = spares.filled(upper);
    Some(Branch { summary, node })
}

/// Puts an entry at a place in a list. A full one is cut at `half` first, and its upper part
/// returned; neither part is empty.
fn put<E, const N: usize>(
    list: &mut ArrayVec<E, N>,
    at: usize,
    entry: E,
    half: usize,
) -> Option<ArrayVec<E, N>> {
    if !list.is_full() {
        list.insert(at, entry);
        return None;
    }
    let mut upper: ArrayVec<E, N> = list.drain(half..).collect();
    if at <= half && half < N {
        list.insert(at, entry);
    } else {
        upper.insert(at - half, entry);
    }
    Some(upper)
}

fn change_below<T: Span, const N: usize>(
    node: &mut NodeRef<T, N>,
    start: usize,
    end: usize,
    spares: &mut Spares<T, N>,
    change: &mut impl FnMut(&mut T),
) {
    match node.own(|| spares.take()) {
        Node::Leaf(spans) => spans
            .iter_mut()
            .skip_while(|span| span.start() < start)
            .take_while(|span| span.start() < end)
            .for_each(change),
        Node::Inner(branches) => {
            let touched = branches
                .iter_mut()
                .skip_while(|branch| branch.summary.end <= start)
                .take_while(|branch| branch.summary.start < end);
            for branch in touched {
                change_below(&mut branch.node, start, end, spares, change);
                branch.refresh();
            }
        }
        Node::Spare(_) => {}
    }
}

fn remove_below<T: Span, const N: usize>(
    node: &mut NodeRef<T, N>,
    start: usize,
    end: usize,
    left: &mut usize,
    spares: &mut Spares<T, N>,
    gone: &mut impl FnMut(&T),
) {
    match node.own(|| spares.take()) {
        Node::Leaf(spans) => {
            let from = spans.partition_point(|span| span.start() < start);
            let to = spans.partition_point(|span| span.start() < end);
            let to = to.min(from + *left);
            if let Some(taken) = spans.get(from..to) {
                taken.iter().for_each(gone);
                spans.drain(from..to);
                *left -= to - from;
            }
        }
        Node::Inner(branches) => {
            let first = branches.partition_point(|branch| branch.summary.end <= start);
            let mut at = first;
            while *left != 0
                && let Some(branch) = branches.get_mut(at)
                && branch.summary.start < end
            {
                if !remove_leaf(branch, start, end, left, gone) {
                    remove_below(&mut branch.node, start, end, left, spares, gone);
                    if branch.refresh() {
                        at += 1;
                        continue;
                    }
                }
                if let Some(branch) = branches.pop_at(at) {
                    spares.put(branch.node);
                }
            }
            // Those that have become smaller are just before `at`, or the one at `first`.
            for index in [at, at.saturating_sub(1), first.saturating_sub(1)] {
                merge(branches, index, spares);
            }
        }
        Node::Spare(_) => {}
    }
}

/// Takes a whole leaf, which need not be copied for that if it is shared. Whether it could.
fn remove_leaf<T: Span, const N: usize>(
    branch: &Branch<T, N>,
    start: usize,
    end: usize,
    left: &mut usize,
    gone: &mut impl FnMut(&T),
) -> bool {
    match &*branch.node {
        Node::Leaf(spans)
            if branch.summary.start >= start
                && branch.summary.end <= end
                && spans.len() <= *left =>
        {
            spans.iter().for_each(gone);
            *left -= spans.len();
            true
        }
        _ => false,
    }
}

/// Makes one of the child with that number and the next if they are small and one of the two
/// is this version's own, so that it takes no node.
fn merge<T: Span, const N: usize>(
    branches: &mut ArrayVec<Branch<T, N>, N>,
    index: usize,
    spares: &mut Spares<T, N>,
) {
    let Some([lower, upper]) = branches.get_mut(index..index + 2) else {
        return;
    };
    if lower.node.len() + upper.node.len() > N - N / 4 {
        return;
    }
    let summary: Summary = lower.summary.and(upper.summary);
    if lower.node.is_sole() {
        lower.node.take_entries(&mut upper.node, false);
    } else if upper.node.is_sole() {
        upper.node.take_entries(&mut lower.node, true);
        core::mem::swap(&mut lower.node, &mut upper.node);
    } else {
        return;
    }
    lower.summary = summary;
    if let Some(gone) = branches.pop_at(index + 1) {
        spares.put(gone.node);
    }
}

impl<T: Span, const N: usize> NodeRef<T, N> {
    /// Adds the entries of a node of the same level to this one, whose only holder the caller
    /// is: in front of the own ones or behind. There is room for all of them.
    fn take_entries(&mut self, from: &mut NodeRef<T, N>, in_front: bool) {
        let Some(own) = self.sole() else {
            return;
        };
        match own {
            Node::Leaf(own) => take_all(own, leaf_entries(from), in_front),
            Node::Inner(own) => take_all(own, inner_entries(from), in_front),
            Node::Spare(_) => {}
        }
    }
}

/// The spans of a leaf, taken out of it, or copied if it has other holders.
fn leaf_entries<T: Span, const N: usize>(node: &mut NodeRef<T, N>) -> ArrayVec<T, N> {
    match node.sole() {
        Some(Node::Leaf(spans)) => spans.take(),
        _ => match &**node {
            Node::Leaf(spans) => spans.clone(),
            _ => ArrayVec::new(),
        },
    }
}

/// Likewise, the children of an inner node.
fn inner_entries<T: Span, const N: usize>(node: &mut NodeRef<T, N>) -> ArrayVec<Branch<T, N>, N> {
    match node.sole() {
        Some(Node::Inner(branches)) => branches.take(),
        _ => match &**node {
            Node::Inner(branches) => branches.clone(),
            _ => ArrayVec::new(),
        },
    }
}

fn take_all<E, const N: usize>(
    own: &mut ArrayVec<E, N>,
    mut taken: ArrayVec<E, N>,
    in_front: bool,
) {
    if in_front {
        taken.extend(own.take());
        *own = taken;
    } else {
        own.extend(taken);
    }
}
