//! A timer's node, which lives in the future that waits for it.

use crate::facade::UnsafeCell;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::list::{Linked, Links};
use core::marker::PhantomPinned;
use core::ptr::NonNull;
use core::task::Waker;

/// Where in the wheel a timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) level: u8,
    pub(super) slot: u8,
}

/// Part of every future that waits for a time, so its fields lie close.
pub(crate) struct TimerEntry {
    links: Links<TimerEntry>,
    /// This and the position are guarded by the wheel's lock while the entry is in a wheel.
    waker: UnsafeCell<Option<Waker>>,
    /// When it is to go off. Changes only while the entry is in no wheel.
    deadline: u64,
    position: UnsafeCell<Position>,
    /// The last store to an entry that has gone off (Release), with the lock held. The future
    /// that observes it (Acquire) owns the entry.
    fired: AtomicBool,
    /// The CPU in whose wheel it is or was, or [`NO_CPU`]. Changes as the deadline.
    cpu: u16,
    _pinned: PhantomPinned,
}

/// More than any CPU's number.
const NO_CPU: u16 = u16::MAX;

// SAFETY: what is inside is guarded by the wheel's lock, or belongs to the future.
unsafe impl Send for TimerEntry {}
// SAFETY: as above.
unsafe impl Sync for TimerEntry {}

// SAFETY: always the same field, by address arithmetic alone.
unsafe impl Linked for TimerEntry {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises a live node; a field's address is not
        // null.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).links) }
    }
}

impl TimerEntry {
    pub(super) fn new(deadline: u64) -> Self {
        Self {
            links: Links::new(),
            waker: UnsafeCell::new(None),
            deadline,
            position: UnsafeCell::new(Position { level: 0, slot: 0 }),
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
        // Relaxed: only its future reaches an entry that is in no wheel.
        self.fired.store(false, Ordering::Relaxed);
    }

    /// Fails in a model in which the caller does not own the entry.
    #[cfg(all(test, loom))]
    pub(super) fn assert_own(&self) {
        self.waker.with_mut(|_| ());
        self.position.with_mut(|_| ());
    }

    /// # Safety
    ///
    /// For this and all below: the entry is alive, and the caller holds the
    /// wheel's lock or has the entry for itself.
    pub(super) unsafe fn set_position(entry: NonNull<Self>, position: Position) {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .position
            .with_mut(|now| unsafe { *now = position });
    }

    pub(super) unsafe fn position(entry: NonNull<Self>) -> Position {
        // SAFETY: by the contract.
        unsafe { entry.as_ref() }
            .position
            .with(|position| unsafe { *position })
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
