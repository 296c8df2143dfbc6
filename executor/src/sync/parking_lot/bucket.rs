//! A bucket of the parking lot: the list of the waiters whose keys fall into it.
//!
//! All that is inside a node is guarded by the lock around the bucket in which it is.

use super::{Key, Tags};
use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::list::{Linked, Links, List};
use core::marker::PhantomPinned;
use core::ptr::NonNull;
use core::task::Waker;

/// How far a waiter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the list.
    Waiting,
    /// Taken out by an unparking for these tags.
    Chosen(Tags),
}

/// A waiter.
pub(super) struct Node<K> {
    links: Links<Node<K>>,
    /// The bucket in which it is, or was when it was chosen. Written with that bucket locked,
    /// and with the one in which it was before. Relaxed: a load without the lock is
    /// repeated with the lock, which orders it.
    bucket: AtomicUsize,
    inside: UnsafeCell<Inside<K>>,
    _pinned: PhantomPinned,
}

pub(super) struct Inside<K> {
    pub(super) phase: Phase,
    pub(super) key: K,
    tags: Tags,
    /// When it came, in the order of the bucket.
    order: u64,
    pub(super) waker: Option<Waker>,
}

// SAFETY: what is inside is guarded by the lock around the bucket.
unsafe impl<K: Send> Send for Node<K> {}
// SAFETY: as above.
unsafe impl<K: Send> Sync for Node<K> {}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl<K> Linked for Node<K> {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).links) }
    }
}

impl<K> Node<K> {
    pub(super) fn new(bucket: usize, key: K, tags: Tags) -> Self {
        Self {
            links: Links::new(),
            bucket: AtomicUsize::new(bucket),
            inside: UnsafeCell::new(Inside {
                phase: Phase::Waiting,
                key,
                tags,
                order: 0,
                waker: None,
            }),
            _pinned: PhantomPinned,
        }
    }

    /// The number of the bucket: final only while that is locked.
    pub(super) fn bucket(&self) -> usize {
        self.bucket.load(Ordering::Relaxed)
    }
}

/// A place in a bucket's list, for one hold of its lock.
pub(super) type Cursor<K> = Option<NonNull<Node<K>>>;

/// The waiters whose keys fall into one bucket. Accessed only with its lock held.
///
/// Each node in the list is alive: its future takes it out before it goes.
pub(super) struct Bucket<K> {
    list: List<Node<K>>,
    /// The order of the next one.
    next: u64,
}

// SAFETY: nodes are reached with the lock held only.
unsafe impl<K: Send> Send for Bucket<K> {}

impl<K> Bucket<K> {
    pub(super) const fn new() -> Self {
        Self {
            list: List::new(),
            next: 0,
        }
    }

    /// The order of the next waiter: those that are in the list now are before it.
    pub(super) fn horizon(&self) -> u64 {
        self.next
    }

    /// # Safety
    ///
    /// The node is alive, and in this bucket: in its list, or chosen from it, or on the way
    /// into it.
    pub(super) unsafe fn inside<R>(
        &mut self,
        node: NonNull<Node<K>>,
        f: impl FnOnce(&mut Inside<K>) -> R,
    ) -> R {
        // SAFETY: by the contract it is alive, and the lock is held, as `self` shows.
        unsafe { node.as_ref() }
            .inside
            .with_mut(|inside| f(unsafe { &mut *inside }))
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    ///
    /// It waits, is in no list, is pinned, has this bucket's number, and is taken out before
    /// it is dropped.
    pub(super) unsafe fn enrol(&mut self, node: NonNull<Node<K>>, waker: Option<&Waker>) {
        let order = self.next;
        self.next += 1;
        // SAFETY: by the contract.
        unsafe {
            self.inside(node, |inside| {
                inside.order = order;
                if let Some(waker) = waker {
                    inside.waker = Some(waker.clone());
                }
            });
            self.list.push_back(node);
        }
    }

    /// Takes a node, which is in the list, out of it.
    pub(super) fn take_out(&mut self, node: NonNull<Node<K>>) {
        // SAFETY: by the contract, which `find` and the phase of the node give.
        unsafe { self.list.remove(node) }
    }

    /// Takes in a node from another bucket, or from this one under another key.
    ///
    /// # Safety
    ///
    /// It waits, and is in no list; `number` is this bucket's, and the one it was in is locked
    /// as well.
    pub(super) unsafe fn take_in(&mut self, node: NonNull<Node<K>>, key: K, number: usize) {
        // SAFETY: by the contract; its future keeps it alive, and looks for it here from now on.
        unsafe {
            node.as_ref().bucket.store(number, Ordering::Relaxed);
            self.inside(node, |inside| inside.key = key);
            self.enrol(node, None);
        }
    }

    /// Takes a node, which is in the list, out of it for good, and returns its waker, to be
    /// woken after the lock.
    pub(super) fn choose(&mut self, node: NonNull<Node<K>>, tags: Tags) -> Option<Waker> {
        self.take_out(node);
        // SAFETY: it was in this list, and its future finds it gone only with the lock held.
        unsafe {
            self.inside(node, |inside| {
                inside.phase = Phase::Chosen(tags);
                inside.waker.take()
            })
        }
    }
}

impl<K: Key> Bucket<K> {
    /// Where a search begins.
    pub(super) fn start(&self) -> Cursor<K> {
        self.list.front()
    }

    /// The next waiter, from the cursor on, that waits for the key with a tag in `tags` and came
    /// before the horizon. The cursor goes behind it, so that it may be taken out.
    pub(super) fn find(
        &mut self,
        cursor: &mut Cursor<K>,
        key: &K,
        tags: Tags,
        horizon: u64,
    ) -> Option<NonNull<Node<K>>> {
        while let Some(node) = *cursor {
            // SAFETY: it is in this list: the lock has been held since the search began, and nodes
            // that were taken out since then were before the cursor.
            let (is_late, matches) = unsafe {
                self.inside(node, |inside| {
                    let matches = inside.tags & tags != 0 && inside.key == *key;
                    (inside.order >= horizon, matches)
                })
            };
            if is_late {
                return None;
            }
            // SAFETY: as above.
            *cursor = unsafe { self.list.after(node) };
            if matches {
                return Some(node);
            }
        }
        None
    }
}
