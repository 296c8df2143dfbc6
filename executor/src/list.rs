//! An intrusive doubly linked list: the nodes live in tasks and futures, so
//! that neither entering nor leaving allocates, and both take constant time.
//!
//! The list does not own its nodes and knows nothing of locks: each user says
//! which lock guards its list and the links of its nodes.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

/// The links of a node.
pub(crate) struct Links<T> {
    inner: UnsafeCell<Pointers<T>>,
}

struct Pointers<T> {
    previous: Option<NonNull<T>>,
    next: Option<NonNull<T>>,
}

impl<T> Links<T> {
    pub(crate) const fn new() -> Self {
        Self {
            inner: UnsafeCell::new(Pointers {
                previous: None,
                next: None,
            }),
        }
    }
}

/// A type whose values can be in a [`List`].
///
/// # Safety
///
/// `links` returns the address of the same field of `node` each time, without
/// making a reference to the node.
pub(crate) unsafe trait Linked: Sized {
    /// The address of the links inside `node`.
    ///
    /// # Safety
    ///
    /// `node` points to a live value.
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>>;
}

/// A list of nodes that it does not own.
pub(crate) struct List<T: Linked> {
    head: Option<NonNull<T>>,
    tail: Option<NonNull<T>>,
}

// SAFETY: a list is a pair of pointers; what may be done with the nodes on
// another CPU is bounded by `T: Send`.
unsafe impl<T: Linked + Send> Send for List<T> {}

/// The pointers of `node`.
///
/// # Safety
///
/// `node` is alive, and the caller holds the lock that guards its links.
unsafe fn pointers<T: Linked>(node: NonNull<T>) -> *mut Pointers<T> {
    // SAFETY: the caller promises that the node is alive; `UnsafeCell` lets us
    // go from a shared pointer to a mutable one.
    unsafe { UnsafeCell::raw_get(&raw const (*T::links(node).as_ptr()).inner) }
}

impl<T: Linked> List<T> {
    pub(crate) const fn new() -> Self {
        Self {
            head: None,
            tail: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(crate) fn front(&self) -> Option<NonNull<T>> {
        self.head
    }

    /// Puts `node` at the end.
    ///
    /// # Safety
    ///
    /// `node` is in no list, stays where it is and alive until it is taken
    /// out, and the caller holds the lock that guards this list.
    pub(crate) unsafe fn push_back(&mut self, node: NonNull<T>) {
        // SAFETY: the node is alive and the lock is held; the tail is in this
        // list, so it is alive and guarded by the same lock.
        unsafe {
            *pointers(node) = Pointers {
                previous: self.tail,
                next: None,
            };
            match self.tail {
                Some(tail) => (*pointers(tail)).next = Some(node),
                None => self.head = Some(node),
            }
        }
        self.tail = Some(node);
    }

    /// Takes the first node out.
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<T>> {
        let node = self.head?;
        // SAFETY: the head is in this list; having `&mut self` means holding
        // the lock that guards it.
        unsafe { self.remove(node) };
        Some(node)
    }

    /// Takes `node` out.
    ///
    /// # Safety
    ///
    /// `node` is in this list.
    pub(crate) unsafe fn remove(&mut self, node: NonNull<T>) {
        // SAFETY: the node is in this list, and so are its neighbours; all are
        // alive and guarded by the lock that `&mut self` stands for.
        unsafe {
            let Pointers { previous, next } = core::ptr::replace(
                pointers(node),
                Pointers {
                    previous: None,
                    next: None,
                },
            );
            match previous {
                Some(previous) => (*pointers(previous)).next = next,
                None => self.head = next,
            }
            match next {
                Some(next) => (*pointers(next)).previous = previous,
                None => self.tail = previous,
            }
        }
    }

    /// The nodes, from the first to the last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NonNull<T>> + '_ {
        let mut cursor = self.head;
        core::iter::from_fn(move || {
            let node = cursor?;
            // SAFETY: the node is in this list, hence alive; a shared borrow
            // of the list is only had with the lock held.
            cursor = unsafe { (*pointers(node)).next };
            Some(node)
        })
    }

    /// The node after `node`.
    ///
    /// # Safety
    ///
    /// `node` is in this list.
    pub(crate) unsafe fn after(&self, node: NonNull<T>) -> Option<NonNull<T>> {
        // SAFETY: the node is in this list, hence alive; a shared borrow of the list is only had
        // with the lock held.
        unsafe { (*pointers(node)).next }
    }
}

impl<T: Linked> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("empty", &self.is_empty())
            .finish()
    }
}
