//! A timer's node, which lives in the future that waits for it.

use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::list::{Linked, Links};
use core::marker::PhantomPinned;
use core::ptr::NonNull;
use core::task::Waker;

/// Where in the wheel a timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Slot {
        level: u8,
        slot: u8,
    },
    /// In the slot that is being worked off.
    Opened,
}

pub(crate) struct Entry {
    links: Links<Entry>,
    /// Guarded by the wheel's lock while the entry is in the wheel.
    guarded: UnsafeCell<Guarded>,
    /// Set, with the lock held, as the last touch of an entry that has gone
    /// off: who sees it (Acquire) has the entry for itself.
    fired: AtomicBool,
    _pinned: PhantomPinned,
}

struct Guarded {
    tick: u64,
    place: Place,
    waker: Option<Waker>,
}

// SAFETY: what is inside is guarded by the wheel's lock or owned by one.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl Linked for Entry {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not
        // null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).links) }
    }
}

impl Entry {
    pub(super) fn new() -> Self {
        Self {
            links: Links::new(),
            guarded: UnsafeCell::new(Guarded {
                tick: 0,
                place: Place::Opened,
                waker: None,
            }),
            fired: AtomicBool::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// Has it gone off?
    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Gets ready to be inserted (again).
    pub(super) fn rearm(&self) {
        // Relaxed: nobody else looks at an entry that is in no wheel.
        self.fired.store(false, Ordering::Relaxed);
    }

    /// The caller has the entry for itself, or so it believes.
    #[cfg(all(test, loom))]
    pub(super) fn assert_own(&self) {
        self.guarded.with_mut(|_| ());
    }

    /// # Safety
    ///
    /// For this and all below: the entry is alive, and the caller holds the
    /// wheel's lock or has the entry for itself.
    unsafe fn with<R>(entry: NonNull<Self>, f: impl FnOnce(&mut Guarded) -> R) -> R {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .guarded
            .with_mut(|guarded| f(unsafe { &mut *guarded }))
    }

    pub(super) unsafe fn enter(entry: NonNull<Self>, tick: u64, place: Place) {
        // SAFETY: passed on.
        unsafe {
            Self::with(entry, |guarded| {
                guarded.tick = tick;
                guarded.place = place;
            });
        }
    }

    pub(super) unsafe fn relocate(entry: NonNull<Self>, place: Place) {
        // SAFETY: passed on.
        unsafe { Self::with(entry, |guarded| guarded.place = place) }
    }

    pub(super) unsafe fn tick(entry: NonNull<Self>) -> u64 {
        // SAFETY: passed on.
        unsafe { Self::with(entry, |guarded| guarded.tick) }
    }

    pub(super) unsafe fn place(entry: NonNull<Self>) -> Place {
        // SAFETY: passed on.
        unsafe { Self::with(entry, |guarded| guarded.place) }
    }

    /// Leaves `waker` in the entry and returns the one that it replaces.
    pub(super) unsafe fn set_waker(entry: NonNull<Self>, waker: &Waker) -> Option<Waker> {
        // SAFETY: passed on.
        unsafe {
            Self::with(entry, |guarded| match &guarded.waker {
                Some(old) if old.will_wake(waker) => None,
                _ => guarded.waker.replace(waker.clone()),
            })
        }
    }

    pub(super) unsafe fn take_waker(entry: NonNull<Self>) -> Option<Waker> {
        // SAFETY: passed on.
        unsafe { Self::with(entry, |guarded| guarded.waker.take()) }
    }

    /// Says that it has gone off. The caller does not touch it afterwards.
    pub(super) unsafe fn mark_fired(entry: NonNull<Self>) {
        // SAFETY: passed on.
        unsafe { entry.as_ref() }
            .fired
            .store(true, Ordering::Release);
    }
}
