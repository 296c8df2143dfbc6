//! What belongs to one CPU.

use super::counters::Tally;
use super::injector::Injector;
use super::ring::Ring;
use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::{Lock, UnsafeCell};
use crate::list::List;
use crate::task::{Header, Runnable, TaskId};
use crate::time::Timers;

/// What only the CPU itself touches.
pub(super) struct Local {
    /// The task woken last.
    pub(super) slot: Option<Runnable>,
    /// How often in a row a task came out of the slot. Bounded, so that two
    /// tasks that wake each other do not shut out the ring.
    pub(super) slot_streak: u8,
    /// Counts picks; drives what is looked at now and then.
    pub(super) tick: u32,
    /// The state of the generator that chooses whom to rob first.
    pub(super) random: u32,
    /// What the hardware timer is armed for.
    pub(super) armed: Option<u64>,
    /// It may have gone off since, or a little early: it has to be armed again
    /// before the next halt.
    pub(super) rearm: bool,
}

pub(super) struct Worker {
    local: UnsafeCell<Local>,
    pub(super) ring: Ring,
    pub(super) inbox: Injector,
    pub(super) pinned: Injector,
    pub(super) background: Injector,
    pub(super) timers: Timers,
    /// The tasks spawned here that have not completed. Guards their `owned`
    /// links.
    pub(super) tasks: Lock<List<Header>>,
    pub(super) tally: Tally,
    /// The number of the task that is being polled, plus one; 0 for none.
    current: AtomicU64,
    /// Since when.
    since: AtomicU64,
}

// SAFETY: `local` is touched by its CPU only (`Platform`'s contract); all else
// is made for sharing.
unsafe impl Sync for Worker {}
// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Worker {}

impl Worker {
    pub(super) fn new(cpu: usize) -> Self {
        Self {
            local: UnsafeCell::new(Local {
                slot: None,
                slot_streak: 0,
                tick: 0,
                random: 0x9e37_79b9 ^ (cpu as u32).wrapping_mul(0x85eb_ca6b) | 1,
                armed: None,
                rearm: false,
            }),
            ring: Ring::new(),
            inbox: Injector::new(),
            pinned: Injector::new(),
            background: Injector::new(),
            timers: Timers::new(),
            tasks: Lock::new(List::new()),
            tally: Tally::new(),
            current: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// Reaches what only this CPU touches.
    ///
    /// # Safety
    ///
    /// This runs on the worker's own CPU, and `f` calls nothing that may get
    /// here again (no waker, no task, no platform).
    pub(super) unsafe fn local<R>(&self, f: impl FnOnce(&mut Local) -> R) -> R {
        // SAFETY: by the contract there is one thread of execution here, and
        // one borrow at a time.
        self.local.with_mut(|local| f(unsafe { &mut *local }))
    }

    /// Puts a task into the ring, or when that is full into the inbox.
    ///
    /// # Safety
    ///
    /// This runs on the worker's own CPU.
    pub(super) unsafe fn push_local(&self, task: Runnable) {
        // SAFETY: by the contract we are the ring's owner.
        if let Err(task) = unsafe { self.ring.push(task) } {
            self.inbox.push(task);
        }
    }

    /// Puts a task that yields behind all others: those in the ring, and those
    /// that wait in the inbox for room in the ring.
    ///
    /// # Safety
    ///
    /// This runs on the worker's own CPU.
    pub(super) unsafe fn requeue(&self, task: Runnable) {
        if self.inbox.is_empty() {
            // SAFETY: passed on.
            unsafe { self.push_local(task) };
        } else {
            self.inbox.push(task);
        }
    }

    /// Notes for the watchdog that a poll begins.
    pub(super) fn begin_poll(&self, task: TaskId, now: u64) {
        self.current.store(0, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        self.current
            .store(task.get().wrapping_add(1), Ordering::Release);
    }

    /// Notes that it has ended.
    pub(super) fn end_poll(&self) {
        self.current.store(0, Ordering::Relaxed);
    }

    /// The poll that goes on: the task's number, and since when.
    pub(super) fn current(&self) -> Option<(u64, u64)> {
        let before = self.current.load(Ordering::Acquire);
        let since = self.since.load(Ordering::Acquire);
        let after = self.current.load(Ordering::Relaxed);
        // If both looks find the same task, the time is of one of its polls.
        (before != 0 && before == after).then(|| (before - 1, since))
    }

    /// Is there work that any CPU may take?
    pub(super) fn has_stealable(&self) -> bool {
        !self.ring.is_empty() || !self.inbox.is_empty() || !self.background.is_empty()
    }

    /// Is there work in the queues that are this CPU's?
    pub(super) fn has_queued(&self) -> bool {
        self.has_stealable() || !self.pinned.is_empty()
    }
}
