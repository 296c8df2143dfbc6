//! The list of those who wait at one object, and the node of each.
//!
//! All that is inside a node is guarded by the lock around the list.

use crate::facade::UnsafeCell;
use crate::list::{Linked, Links, List};
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::Waker;

/// How far a waiter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not in the list.
    Outside,
    /// In the list.
    Waiting,
    /// Taken out by somebody who gave it what it waits for: it alone.
    Granted,
    /// Taken out together with all others, so that nobody loses anything if
    /// this waiter goes away.
    Released,
}

/// What the waiter wants: a lock mode, a number of permits. Its meaning is the
/// owner's of the list.
pub(super) type Want = usize;

pub(super) struct Waiter {
    links: Links<Waiter>,
    inside: UnsafeCell<Inside>,
    _pinned: PhantomPinned,
}

struct Inside {
    phase: Phase,
    want: Want,
    /// When it came, in the order of the list.
    order: u64,
    waker: Option<Waker>,
}

// SAFETY: what is inside is guarded by the lock around the list.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl Linked for Waiter {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not
        // null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).links) }
    }
}

impl Waiter {
    pub(super) fn new() -> Self {
        Self {
            links: Links::new(),
            inside: UnsafeCell::new(Inside {
                phase: Phase::Outside,
                want: 0,
                order: 0,
                waker: None,
            }),
            _pinned: PhantomPinned,
        }
    }
}

/// The waiters of one object. Reached with its lock held only.
///
/// # Safety
///
/// Each waiter that is enrolled is removed before it is dropped, and is used
/// with one list. The futures of this module see to that in their `Drop`.
pub(super) struct Waiters {
    list: List<Waiter>,
    /// The order of the next one.
    next: u64,
}

impl Waiters {
    pub(super) const fn new() -> Self {
        Self {
            list: List::new(),
            next: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The order of who comes next: those who are here now are before it.
    pub(super) fn horizon(&self) -> u64 {
        self.next
    }

    /// # Safety
    ///
    /// The waiter is in this list, or in none and the caller's.
    unsafe fn inside<R>(waiter: NonNull<Waiter>, f: impl FnOnce(&mut Inside) -> R) -> R {
        // SAFETY: by the contract it is alive, and the lock is held, since
        // there is a `Waiters` at hand.
        unsafe { waiter.as_ref() }
            .inside
            .with_mut(|inside| f(unsafe { &mut *inside }))
    }

    /// Puts a waiter at the end.
    ///
    /// # Safety
    ///
    /// It is in no list, and is given to [`remove`](Self::remove) before it is
    /// dropped.
    pub(super) unsafe fn enrol(&mut self, waiter: Pin<&Waiter>, want: Want, waker: &Waker) {
        let node = NonNull::from(waiter.get_ref());
        let order = self.next;
        self.next += 1;
        // SAFETY: the node is pinned, and by the contract in no list.
        unsafe {
            Self::inside(node, |inside| {
                inside.phase = Phase::Waiting;
                inside.want = want;
                inside.order = order;
                inside.waker = Some(waker.clone());
            });
            self.list.push_back(node);
        }
    }

    /// How far the waiter has come. If it still waits, it will wake `waker`.
    /// The waker that this replaces is for the caller to drop after the lock.
    ///
    /// # Safety
    ///
    /// It is used with this list only.
    pub(super) unsafe fn check(
        &mut self,
        waiter: Pin<&Waiter>,
        waker: &Waker,
    ) -> (Phase, Option<Waker>) {
        // SAFETY: by the contract.
        unsafe {
            Self::inside(NonNull::from(waiter.get_ref()), |inside| {
                let old = match (&inside.waker, inside.phase) {
                    (Some(old), Phase::Waiting) if !old.will_wake(waker) => {
                        inside.waker.replace(waker.clone())
                    }
                    _ => None,
                };
                (inside.phase, old)
            })
        }
    }

    /// Takes a waiter out, if it is in, and says how far it had come. Its waker
    /// is for the caller to drop after the lock.
    ///
    /// # Safety
    ///
    /// It is used with this list only.
    pub(super) unsafe fn remove(&mut self, waiter: Pin<&Waiter>) -> (Phase, Option<Waker>) {
        let node = NonNull::from(waiter.get_ref());
        // SAFETY: by the contract; a waiter in phase `Waiting` is in the list.
        unsafe {
            let (phase, waker) = Self::inside(node, |inside| {
                (
                    core::mem::replace(&mut inside.phase, Phase::Outside),
                    inside.waker.take(),
                )
            });
            if phase == Phase::Waiting {
                self.list.remove(node);
            }
            (phase, waker)
        }
    }

    /// What the first waiter wants, and when it came.
    pub(super) fn first(&self) -> Option<(Want, u64)> {
        let node = self.list.front()?;
        // SAFETY: it is in this list.
        Some(unsafe { Self::inside(node, |inside| (inside.want, inside.order)) })
    }

    /// Takes the first waiter out, in phase `phase`, and returns its waker, to
    /// be woken after the lock.
    pub(super) fn take_first(&mut self, phase: Phase) -> Option<Waker> {
        let node = self.list.pop_front()?;
        // SAFETY: it was in this list, and its future finds it gone only with
        // the lock held.
        unsafe {
            Self::inside(node, |inside| {
                inside.phase = phase;
                inside.waker.take()
            })
        }
    }
}

// SAFETY: nodes are reached with the lock held only.
unsafe impl Send for Waiters {}
