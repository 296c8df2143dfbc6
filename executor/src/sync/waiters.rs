//! The list of the waiters of one object, and the node of each.
//!
//! The lock around the list guards what is inside a node, except for the flag that is its
//! future's own.

use crate::facade::UnsafeCell;
use crate::list::{Linked, Links, List};
use core::cell::Cell;
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
    /// Taken out alone, with what it waits for.
    Granted,
    /// Taken out together with all others, so that no other waiter loses anything if
    /// this waiter goes away.
    Released,
}

/// What the owner of the list notes with a waiter: what it wants (a lock mode, a
/// number of permits), or when it came.
pub(super) type Note = u64;

/// Part of every future that waits, so its fields lie close.
pub(super) struct Waiter {
    links: Links<Waiter>,
    waker: UnsafeCell<Option<Waker>>,
    note: UnsafeCell<Note>,
    phase: UnsafeCell<Phase>,
    /// It was put into the list and not removed, though a waking task may have taken it out. For its
    /// future alone.
    enrolled: Cell<bool>,
    _pinned: PhantomPinned,
}

/// What the lock around the list guards.
struct Inside<'a> {
    phase: &'a mut Phase,
    note: &'a mut Note,
    waker: &'a mut Option<Waker>,
}

// SAFETY: what is inside is guarded by the lock around the list, or looked at by one.
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
            waker: UnsafeCell::new(None),
            note: UnsafeCell::new(0),
            phase: UnsafeCell::new(Phase::Outside),
            enrolled: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// Does it have to be [removed](Waiters::remove)? For its future, which need not take the
    /// lock to know.
    pub(super) fn is_enrolled(&self) -> bool {
        self.enrolled.get()
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
    /// The order of the next one that is enrolled in order.
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

    /// The order of the next waiter: those that are in the list now are before it.
    pub(super) fn horizon(&self) -> u64 {
        self.next
    }

    /// # Safety
    ///
    /// The waiter is in this list, or in none and the caller's.
    unsafe fn inside<R>(waiter: NonNull<Waiter>, f: impl FnOnce(Inside<'_>) -> R) -> R {
        // SAFETY: by the contract it is alive.
        let Waiter {
            phase, note, waker, ..
        } = unsafe { waiter.as_ref() };
        phase.with_mut(|phase| {
            note.with_mut(|note| {
                waker.with_mut(|waker| {
                    // SAFETY: the lock is held, since there is a `Waiters` at hand.
                    let (phase, note, waker) = unsafe { (&mut *phase, &mut *note, &mut *waker) };
                    f(Inside { phase, note, waker })
                })
            })
        })
    }

    /// Puts a waiter at the end, with a note.
    ///
    /// # Safety
    ///
    /// It is in no list, and if it is [enrolled](Waiter::is_enrolled) it is given to
    /// [`remove`](Self::remove) before it is dropped.
    pub(super) unsafe fn enrol(&mut self, waiter: Pin<&Waiter>, note: Note, waker: &Waker) {
        let node = NonNull::from(waiter.get_ref());
        // SAFETY: the node is pinned, and by the contract in no list.
        unsafe {
            Self::inside(node, |inside| {
                *inside.phase = Phase::Waiting;
                *inside.note = note;
                *inside.waker = Some(waker.clone());
            });
            self.list.push_back(node);
        }
        waiter.enrolled.set(true);
    }

    /// The same, with the order in which it came as the note.
    ///
    /// # Safety
    ///
    /// As for [`enrol`](Self::enrol).
    pub(super) unsafe fn enrol_in_order(&mut self, waiter: Pin<&Waiter>, waker: &Waker) {
        let order = self.next;
        self.next += 1;
        // SAFETY: passed on.
        unsafe { self.enrol(waiter, order, waker) };
    }

    /// How far the waiter has come. If it still waits, it will wake `waker`; if not, it need
    /// not be removed any more.
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
        let (phase, old) = unsafe {
            Self::inside(NonNull::from(waiter.get_ref()), |inside| {
                let old = match (&inside.waker, *inside.phase) {
                    (Some(old), Phase::Waiting) if !old.will_wake(waker) => {
                        inside.waker.replace(waker.clone())
                    }
                    _ => None,
                };
                (*inside.phase, old)
            })
        };
        waiter.enrolled.set(phase == Phase::Waiting);
        (phase, old)
    }

    /// Takes a waiter out, if it is in, and says how far it had come. Its waker
    /// is for the caller to drop after the lock.
    ///
    /// # Safety
    ///
    /// It is used with this list only.
    pub(super) unsafe fn remove(&mut self, waiter: Pin<&Waiter>) -> (Phase, Option<Waker>) {
        let node = NonNull::from(waiter.get_ref());
        waiter.enrolled.set(false);
        // SAFETY: by the contract; a waiter in phase `Waiting` is in the list.
        unsafe {
            let (phase, waker) = Self::inside(node, |inside| {
                (
                    core::mem::replace(inside.phase, Phase::Outside),
                    inside.waker.take(),
                )
            });
            if phase == Phase::Waiting {
                self.list.remove(node);
            }
            (phase, waker)
        }
    }

    /// The note of the first waiter.
    pub(super) fn first(&self) -> Option<Note> {
        let node = self.list.front()?;
        // SAFETY: it is in this list.
        Some(unsafe { Self::inside(node, |inside| *inside.note) })
    }

    /// Takes the first waiter out, in phase `phase`, and returns its waker, to
    /// be woken after the lock.
    pub(super) fn take_first(&mut self, phase: Phase) -> Option<Waker> {
        let node = self.list.pop_front()?;
        // SAFETY: it was in this list, and its future finds it gone only with
        // the lock held.
        unsafe {
            Self::inside(node, |inside| {
                *inside.phase = phase;
                inside.waker.take()
            })
        }
    }
}

// SAFETY: nodes are reached with the lock held only.
unsafe impl Send for Waiters {}
