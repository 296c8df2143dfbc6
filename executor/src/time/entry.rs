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

/// Part of every future that waits for a time, so its fields lie close.
pub(crate) struct Entry {
    links: Links<Entry>,
    /// This and the place are guarded by the wheel's lock while the entry is in a wheel.
    waker: UnsafeCell<Option<Waker>>,
    /// When it is to go off. Changes only while the entry is in no wheel.
    deadline: u64,
    place: UnsafeCell<Place>,
    /// Set, with the lock held, as the last touch of an entry that has gone
    /// off: who sees it (Acquire) has the entry for itself.
    fired: AtomicBool,
    /// The CPU in whose wheel it is or was, or [`NO_CPU`]. Changes as the deadline.
    cpu: u16,
    _pinned: PhantomPinned,
}

/// More than any CPU's number.
const NO_CPU: u16 = u16::MAX;

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
    pub(super) fn new(deadline: u64) -> Self {
        Self {
            links: Links::new(),
            waker: UnsafeCell::new(None),
            deadline,
            place: UnsafeCell::new(Place::Opened),
            fired: AtomicBool::new(false),
            cpu: NO_CPU,
            _pinned: PhantomPinned,
        }
    }

    /// When it is to go off.
    pub(super) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The CPU in whose wheel it is or was.
    pub(super) fn cpu(&self) -> Option<usize> {
        (self.cpu != NO_CPU).then_some(self.cpu.into())
    }

    /// It is about to be put into that CPU's wheel.
    pub(super) fn set_cpu(&mut self, cpu: usize) {
        self.cpu = cpu as u16;
    }

    /// Has it gone off?
    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Gets ready to be inserted (again): it is in no wheel.
    pub(super) fn rearm(&mut self, deadline: u64) {
        self.deadline = deadline;
        self.cpu = NO_CPU;
        // Relaxed: nobody else looks at an entry that is in no wheel.
        self.fired.store(false, Ordering::Relaxed);
    }

    /// The caller has the entry for itself, or so it believes.
    #[cfg(all(test, loom))]
    pub(super) fn assert_own(&self) {
        self.waker.with_mut(|_| ());
        self.place.with_mut(|_| ());
    }

    /// # Safety
    ///
    /// For this and all below: the entry is alive, and the caller holds the
    /// wheel's lock or has the entry for itself.
    pub(super) unsafe fn relocate(entry: NonNull<Self>, place: Place) {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .place
            .with_mut(|now| unsafe { *now = place });
    }

    pub(super) unsafe fn place(entry: NonNull<Self>) -> Place {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .place
            .with(|place| unsafe { *place })
    }

    unsafe fn with_waker<R>(entry: NonNull<Self>, f: impl FnOnce(&mut Option<Waker>) -> R) -> R {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .waker
            .with_mut(|waker| f(unsafe { &mut *waker }))
    }

    /// Leaves `waker` in the entry and returns the one that it replaces.
    pub(super) unsafe fn set_waker(entry: NonNull<Self>, waker: &Waker) -> Option<Waker> {
        // SAFETY: passed on.
        unsafe {
            Self::with_waker(entry, |place| match place {
                Some(old) if old.will_wake(waker) => None,
                _ => place.replace(waker.clone()),
            })
        }
    }

    pub(super) unsafe fn take_waker(entry: NonNull<Self>) -> Option<Waker> {
        // SAFETY: passed on.
        unsafe { Self::with_waker(entry, Option::take) }
    }

    /// Says that it has gone off. The caller does not touch it afterwards.
    pub(super) unsafe fn mark_fired(entry: NonNull<Self>) {
        // SAFETY: passed on.
        unsafe { entry.as_ref() }
            .fired
            .store(true, Ordering::Release);
    }
}
