//! One node, and the counted pointer to it.
//!
//! The pointer is what `Arc` is, but for two things: memory for it can be refused, and its last
//! holder can take the node back instead of dropping it.

use super::Span;
use alloc::alloc::{alloc, dealloc};
use arrayvec::ArrayVec;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

/// The heap has no room for a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::memory::vma) struct NoNode;

/// What is known of the spans below a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    /// Where the first one starts.
    pub(super) start: usize,
    /// Its border.
    pub(super) border: usize,
    /// Where the last one ends.
    pub(super) end: usize,
    /// The most bytes between the end of one and the border of the next.
    pub(super) gap: usize,
}

impl Summary {
    pub(super) fn of(span: &impl Span) -> Summary {
        Summary {
            start: span.start(),
            border: span.border(),
            end: span.end(),
            gap: 0,
        }
    }

    /// That of both, of which `after` is the upper one.
    pub(super) fn and(self, after: Summary) -> Summary {
        let between = after.border.saturating_sub(self.end);
        Summary {
            start: self.start,
            border: self.border,
            end: after.end,
            gap: self.gap.max(after.gap).max(between),
        }
    }
}

/// A child of an inner node.
#[derive(Clone)]
pub(super) struct Branch<T: Span, const N: usize> {
    pub(super) summary: Summary,
    pub(super) node: NodeRef<T, N>,
}

/// A node.
pub(super) enum Node<T: Span, const N: usize> {
    /// Spans.
    Leaf(ArrayVec<T, N>),
    /// Children, in the same order.
    Inner(ArrayVec<Branch<T, N>, N>),
    /// A spare node, with the next one of its list.
    Spare(Option<NodeRef<T, N>>),
}

impl<T: Span, const N: usize> Node<T, N> {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Leaf(spans) => spans.len(),
            Node::Inner(branches) => branches.len(),
            Node::Spare(_) => 0,
        }
    }

    /// What is known of the spans below; none if there are none.
    pub(super) fn summary(&self) -> Option<Summary> {
        match self {
            Node::Leaf(spans) => spans.iter().map(Summary::of).reduce(Summary::and),
            Node::Inner(branches) => branches
                .iter()
                .map(|branch| branch.summary)
                .reduce(Summary::and),
            Node::Spare(_) => None,
        }
    }

    /// Makes this node, which has no entries, a copy of another.
    fn fill_from(&mut self, other: &Node<T, N>) {
        match other {
            Node::Leaf(spans) => {
                *self = Node::Leaf(ArrayVec::new());
                if let Node::Leaf(copies) = self {
                    copies.extend(spans.iter().cloned());
                }
            }
            Node::Inner(branches) => {
                *self = Node::Inner(ArrayVec::new());
                if let Node::Inner(copies) = self {
                    copies.extend(branches.iter().cloned());
                }
            }
            Node::Spare(_) => {}
        }
    }
}

struct Counted<T: Span, const N: usize> {
    holders: AtomicUsize,
    node: Node<T, N>,
}

/// A counted pointer to a node.
pub(super) struct NodeRef<T: Span, const N: usize> {
    pointer: NonNull<Counted<T, N>>,
    owns: PhantomData<Counted<T, N>>,
}

// SAFETY: as with `Arc`: a node is shared by its holders, and dropped by any of them.
unsafe impl<T: Span + Send + Sync, const N: usize> Send for NodeRef<T, N> {}
// SAFETY: as above; through a shared pointer a node is only read, or its count changed.
unsafe impl<T: Span + Send + Sync, const N: usize> Sync for NodeRef<T, N> {}

impl<T: Span, const N: usize> NodeRef<T, N> {
    /// A new node without entries, with the caller as its only holder. It comes before `next` in a
    /// list of such nodes.
    pub(super) fn spare(next: &mut Option<Self>) -> Result<Self, NoNode> {
        let layout = Layout::new::<Counted<T, N>>();
        #[cfg(test)]
        super::tests::allocation(1)?;
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc(layout) };
        let pointer = NonNull::new(memory.cast::<Counted<T, N>>()).ok_or(NoNode)?;
        // SAFETY: the memory was allocated for this just now.
        unsafe {
            pointer.write(Counted {
                holders: AtomicUsize::new(1),
                node: Node::Spare(next.take()),
            });
        }
        Ok(NodeRef {
            pointer,
            owns: PhantomData,
        })
    }

    fn counted(&self) -> &Counted<T, N> {
        // SAFETY: the node was made by `spare`, and stays while `self` is one of its holders. A
        // `&mut` to it exists only where a caller has the only pointer, mutably borrowed.
        unsafe { self.pointer.as_ref() }
    }

    /// Whether the caller is its only holder. No other holder can appear meanwhile: a new
    /// pointer is made only from an existing one.
    pub(super) fn is_sole(&self) -> bool {
        // Acquire: pairs with the Release of a holder that has let go. Its last reads come before
        // the changes that may follow here.
        self.counted().holders.load(Ordering::Acquire) == 1
    }

    /// The node, to be changed, if the caller is its only holder.
    pub(super) fn sole(&mut self) -> Option<&mut Node<T, N>> {
        if !self.is_sole() {
            return None;
        }
        // SAFETY: this is the only pointer to the node, and it is borrowed as long as the result.
        Some(unsafe { &mut self.pointer.as_mut().node })
    }

    /// The node, to be changed. If it has other holders it is replaced by a copy, which
    /// `fresh` has to give: a node without entries that the caller alone holds.
    pub(super) fn own(&mut self, fresh: impl FnOnce() -> Self) -> &mut Node<T, N> {
        if !self.is_sole() {
            let mut copy = fresh();
            debug_assert!(copy.is_sole());
            // SAFETY: the spare node has no other holder, by the contract of this function, and
            // `copy` is borrowed during the call only.
            unsafe { copy.pointer.as_mut() }.node.fill_from(self);
            *self = copy;
        }
        // SAFETY: this is the only pointer to the node, as was seen, or as it is a fresh one.
        unsafe { &mut self.pointer.as_mut().node }
    }

    /// Lets go of the node; the last holder keeps it, as its only one.
    pub(super) fn into_sole(self) -> Option<Self> {
        // AcqRel: as for `drop`.
        if self.counted().holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Relaxed: there is no other pointer to it.
            self.counted().holders.store(1, Ordering::Relaxed);
            return Some(self);
        }
        // Its part of the count is given back already.
        core::mem::forget(self);
        None
    }
}

impl<T: Span, const N: usize> Deref for NodeRef<T, N> {
    type Target = Node<T, N>;

    fn deref(&self) -> &Node<T, N> {
        &self.counted().node
    }
}

impl<T: Span, const N: usize> Clone for NodeRef<T, N> {
    fn clone(&self) -> Self {
        // Relaxed: the caller holds one already, so the node stays. Each holder takes memory, so
        // the count cannot overflow.
        self.counted().holders.fetch_add(1, Ordering::Relaxed);
        NodeRef {
            pointer: self.pointer,
            owns: PhantomData,
        }
    }
}

impl<T: Span, const N: usize> Drop for NodeRef<T, N> {
    /// The last holder drops the node, and with it what that alone holds. This goes as deep as the
    /// tree; for large trees there is `Teardown`.
    fn drop(&mut self) {
        // Release: what this holder has read of the node comes before the drop.
        if self.counted().holders.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Pairs with the Release of all holders that have let go before.
        fence(Ordering::Acquire);
        // SAFETY: no other holder has a pointer to it any more. It was allocated by `spare` with this
        // layout.
        unsafe {
            self.pointer.drop_in_place();
            dealloc(self.pointer.as_ptr().cast(), Layout::new::<Counted<T, N>>());
        }
        #[cfg(test)]
        super::tests::freed();
    }
}
