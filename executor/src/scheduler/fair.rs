//! The fair policy: CPU time is shared, not turns (see
//! [`Executor::fair`](super::Executor::fair)).
//!
//! Each CPU has two [`FairQueue`]s in the place of slot, ring, inbox, pinned and background
//! queue: one from which other CPUs steal, one for the tasks that stay on this CPU. It takes the
//! task that has had least of both.
//!
//! # The clock
//!
//! A CPU's clock shows how much a task would have had that was always ready: it goes on by the
//! length of each poll, divided by the number of tasks that were ready. A task that has slept
//! begins at the clock, without credit for its sleep. (Were it to begin at the least run time of
//! those that are ready, many tasks that each sleep most of the time could keep one waiting that
//! is ahead of each of them.) A task that stays ready keeps its run time, though the clock be
//! past it: it is owed the difference. A new task begins a little behind the clock.
//!
//! Tasks that come, run and sleep again leave the others behind the clock. So that it does not
//! run away from those, and a task that wakes is not late by what they are owed, the clock is
//! at most one slice ahead of the task that has had least, each time one is taken.
//!
//! A virtual run time belongs to the clock of the CPU where the task was polled last. A task
//! that moves to another CPU keeps its distance to the clock.

use super::fair_queue::{FairQueue, SLICE};
use crate::facade::atomic::{AtomicU32, Ordering};
use crate::task::Runnable;
use crate::task::run_time::{Virtual, charge, lead};

/// A task that becomes ready preempts the running one only if that has had more by this much:
/// tasks that wake each other all the time do not preempt each other each time.
const GRANULARITY: Virtual = 100_000 >> 8;

pub(super) struct Fair {
    /// Tasks that other CPUs may take.
    shared: FairQueue,
    /// Tasks that stay here, or in their set of CPUs.
    kept: FairQueue,
    /// Only this CPU stores; others load it as a hint.
    clock: AtomicU32,
    /// What the running task had had when its poll began. As the clock.
    running: AtomicU32,
    /// How many tasks were ready then, with the running one. Only this CPU uses it.
    ready: AtomicU32,
}

impl Fair {
    pub(super) fn new() -> Self {
        Self {
            shared: FairQueue::new(),
            kept: FairQueue::new(),
            clock: AtomicU32::new(0),
            running: AtomicU32::new(0),
            ready: AtomicU32::new(0),
        }
    }

    pub(super) fn clock(&self) -> Virtual {
        self.clock.load(Ordering::Relaxed)
    }

    /// Puts a task in that was woken; `is_kept` if others must not take it. Returns where it
    /// stands.
    pub(super) fn push(&self, task: Runnable, is_kept: bool) -> Virtual {
        let had = task.run_time();
        self.queue(is_kept).push(task, had, self.clock())
    }

    /// Puts a task in that has been ready since it was taken out here.
    pub(super) fn push_again(&self, task: Runnable, is_kept: bool) {
        let had = task.run_time();
        self.queue(is_kept).push(task, had, had);
    }

    fn queue(&self, is_kept: bool) -> &FairQueue {
        if is_kept { &self.kept } else { &self.shared }
    }

    /// A poll has ended that took so long. Called by this CPU.
    pub(super) fn went_on(&self, ns: u64) {
        let ready = self.ready.load(Ordering::Relaxed);
        let share = charge(ns).div_ceil(ready.max(1));
        let clock = self.clock().wrapping_add(share);
        self.clock.store(clock, Ordering::Relaxed);
    }

    /// Takes the task that has had least. Called by this CPU only.
    pub(super) fn pop(&self) -> Option<Runnable> {
        let from = match (self.shared.is_empty(), self.kept.is_empty()) {
            (_, true) => &self.shared,
            (true, false) => &self.kept,
            (false, false) => match (self.shared.first(), self.kept.first()) {
                (Some(shared), Some(kept)) if lead(shared, kept) == 0 => &self.shared,
                _ => &self.kept,
            },
        };
        let (task, slice) = from.pop()?;
        // The clock stays within a slice of the task that has had least: see the module's head.
        let clock = slice.wrapping_add(lead(self.clock(), slice).min(SLICE));
        self.clock.store(clock, Ordering::Relaxed);
        // One that has slept, or was far ahead, goes on from where it stood.
        let had = slice.wrapping_add(lead(task.run_time(), slice).min(SLICE - 1));
        task.set_run_time(had);
        self.begins(had);
        Some(task)
    }

    /// A task that has had `had` is about to be polled.
    fn begins(&self, had: Virtual) {
        self.running.store(had, Ordering::Relaxed);
        let ready = self.shared.len() + self.kept.len() + 1;
        self.ready.store(ready as u32, Ordering::Relaxed);
    }

    /// Takes a task for another CPU, whose clock it gets.
    pub(super) fn steal(&self, thief: &Self) -> Option<Runnable> {
        let (task, slice) = self.shared.pop()?;
        let had = thief.clock().wrapping_add(lead(slice, self.clock()));
        task.set_run_time(had);
        thief.begins(had);
        Some(task)
    }

    /// A task that waits to be dropped by any CPU: among the kept ones those that `may` be.
    pub(super) fn pop_unpinned(&self, may: impl Fn(&Runnable) -> bool) -> Option<Runnable> {
        if let Some((task, _)) = self.shared.pop() {
            return Some(task);
        }
        while let Some((task, _)) = self.kept.pop() {
            if may(&task) {
                return Some(task);
            }
            let _leaked = task.into_raw();
        }
        None
    }

    /// Has the running task, whose poll has lasted for `ns`, had so much more than one that
    /// stands at `stands` that it has to give way?
    pub(super) fn gives_way(&self, stands: Virtual, ns: u64) -> bool {
        let running = self.running.load(Ordering::Relaxed);
        lead(running.wrapping_add(charge(ns)), stands) > GRANULARITY
    }

    /// Is there a task that other CPUs may take?
    pub(super) fn has_stealable(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Is there any task?
    pub(super) fn has_queued(&self) -> bool {
        self.has_stealable() || !self.kept.is_empty()
    }

    /// How many tasks other CPUs may take.
    pub(super) fn stealable(&self) -> usize {
        self.shared.len()
    }
}
