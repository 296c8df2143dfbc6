//! What belongs to one CPU.

use super::counters::Tally;
use super::current::Current;
use super::fair::Fair;
use super::injector::Injector;
use super::ring::Ring;
use super::task_list::TaskList;
use crate::facade::UnsafeCell;
use crate::task::{Class, Header, Runnable};
use crate::time::timers::Timers;
use alloc::boxed::Box;
use core::convert::Infallible;
use core::ptr::NonNull;

/// What only the CPU itself touches.
pub(super) struct Local {
    /// The task woken last.
    pub(super) slot: Option<Runnable>,
    /// How often in a row a task came out of the slot. Bounded, so that two
    /// tasks that wake each other do not shut out the ring.
    pub(super) slot_streak: u8,
    /// Counts picks; drives what is looked at now and then.
    pub(super) tick: u32,
    /// The state of the generator that chooses the CPU to steal from first.
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
    /// What stands in the place of slot, ring and the three queues above in an executor that
    /// shares time.
    pub(super) fair: Option<Box<Fair>>,
    pub(super) timers: Timers,
    /// The tasks spawned here that have not completed.
    pub(super) tasks: TaskList,
    pub(super) tally: Tally,
    /// The poll that goes on.
    pub(super) current: Current,
}

// SAFETY: `local` is touched by its CPU only (`Platform`'s contract); all else
// is made for sharing.
unsafe impl Sync for Worker {}
// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Worker {}

impl Worker {
    pub(super) fn new(cpu: usize, is_fair: bool) -> Self {
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
            fair: is_fair.then(|| Box::new(Fair::new())),
            timers: Timers::new(),
            tasks: TaskList::new(),
            tally: Tally::new(),
            current: Current::new(),
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

    /// Puts a task that other CPUs may take into the ring, or when that is full into the inbox.
    ///
    /// # Safety
    ///
    /// This runs on the worker's own CPU.
    pub(super) unsafe fn push_local(&self, task: Runnable) {
        if let Some(fair) = &self.fair {
            fair.push(task, false);
            return;
        }
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

    /// Calls `visit` for each task spawned here, with the list's lock held: it neither allocates
    /// nor wakes (rule E1).
    pub(super) fn for_each_task(&self, mut visit: impl FnMut(NonNull<Header>)) {
        let walked: Result<(), Infallible> = self.tasks.walk(
            || Ok(()),
            |task| {
                visit(task);
                Ok(())
            },
        );
        match walked {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// Puts a task of that class into its queue. From any CPU.
    pub(super) fn push(&self, class: Class, task: Runnable) {
        if let Some(fair) = &self.fair {
            fair.push(task, class == Class::Pinned);
            return;
        }
        match class {
            Class::Pinned => self.pinned.push(task),
            Class::Background => self.background.push(task),
            Class::Interactive => self.inbox.push(task),
        }
    }

    /// Puts a task of that class, which was woken during its poll, behind the others.
    ///
    /// # Safety
    ///
    /// This runs on the worker's own CPU.
    pub(super) unsafe fn push_again(&self, class: Class, task: Runnable) {
        match (&self.fair, class) {
            (Some(fair), _) => fair.push_again(task, class == Class::Pinned),
            // SAFETY: passed on.
            (None, Class::Interactive) => unsafe { self.requeue(task) },
            (None, _) => self.push(class, task),
        }
    }

    /// Is there more than this CPU can run at once?
    pub(super) fn has_surplus(&self) -> bool {
        match &self.fair {
            Some(fair) => fair.has_stealable(),
            None => !self.ring.is_empty(),
        }
    }

    /// Is there work that any CPU may take?
    pub(super) fn has_stealable(&self) -> bool {
        match &self.fair {
            Some(fair) => fair.has_stealable(),
            None => !self.ring.is_empty() || !self.inbox.is_empty() || !self.background.is_empty(),
        }
    }

    /// Is there work in the queues that are this CPU's?
    pub(super) fn has_queued(&self) -> bool {
        match &self.fair {
            Some(fair) => fair.has_queued(),
            None => self.has_stealable() || !self.pinned.is_empty(),
        }
    }
}
