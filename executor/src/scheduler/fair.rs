//! The fair policy: CPU time is shared, not turns (see
//! [`Executor::fair`](super::Executor::fair)).
//!
//! Each CPU has two [`FairQueue`]s in the place of slot, ring, inbox, pinned and background
//! queue: one from which other CPUs steal, one for the tasks that stay on this CPU. It takes the
//! task that has had least of both. Before these come urgent tasks, in two [`UrgentQueue`]s.
//!
//! # The clock
//!
//! A CPU's clock shows how much a task would have had that was always ready: it goes on by the
//! length of each poll, divided by the weight of all that were ready. A task that has slept
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
//!
//! # Urgent tasks
//!
//! They do not count for the clock. Of an urgent task the run time says how much of its turn it has
//! had. In each second they have 95 % of the CPU at most while other tasks are ready
//! ([`Throttle`]).

use super::fair_queue::{FairQueue, SLICE, Taken};
use super::throttle::Throttle;
use super::urgent_queue::{End, UrgentQueue};
use crate::facade::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::task::run_time::{Virtual, charge, lead};
use crate::task::share::ORDINARY;
use crate::task::{Runnable, Share, ShareWord};

/// A task that becomes ready preempts the running one only if that has had more by this much:
/// tasks that wake each other all the time do not preempt each other each time.
const GRANULARITY: Virtual = 100_000 >> 8;
/// A turn of an urgent task that takes turns.
const TURN: Virtual = (Share::TURN >> 8) as Virtual;

/// Where a task stands that is ready.
#[derive(Clone, Copy)]
pub(super) struct Stands {
    /// The level of an urgent task, or 0.
    level: u8,
    run_time: Virtual,
}

pub(super) struct Fair {
    /// Tasks that other CPUs may take.
    shared: FairQueue,
    /// Tasks that stay here, or in their set of CPUs.
    kept: FairQueue,
    /// Urgent ones that other CPUs may take.
    urgent: UrgentQueue,
    /// Urgent ones that stay.
    urgent_kept: UrgentQueue,
    /// Only this CPU stores; others load it as a hint.
    clock: AtomicU32,
    /// What the running task had had when its poll began. As the clock.
    running: AtomicU32,
    /// The [`ShareWord`] of the running task; 0: none runs. As the clock.
    running_share: AtomicU32,
    /// What was ready then with the running one, by weight. Only this CPU uses it.
    ready: AtomicUsize,
    /// The running task gives its turn away. Only this CPU uses it.
    gives_turn: AtomicBool,
    throttle: Throttle,
}

impl Fair {
    pub(super) fn new() -> Self {
        Self {
            shared: FairQueue::new(),
            kept: FairQueue::new(),
            urgent: UrgentQueue::new(),
            urgent_kept: UrgentQueue::new(),
            clock: AtomicU32::new(0),
            running: AtomicU32::new(0),
            running_share: AtomicU32::new(0),
            ready: AtomicUsize::new(0),
            gives_turn: AtomicBool::new(false),
            throttle: Throttle::new(),
        }
    }

    pub(super) fn clock(&self) -> Virtual {
        self.clock.load(Ordering::Relaxed)
    }

    fn running_share(&self) -> ShareWord {
        ShareWord(self.running_share.load(Ordering::Relaxed))
    }

    /// The level of the running task if that is urgent; 0 if it is not, or none runs.
    pub(super) fn running_level(&self) -> u8 {
        self.running_share().level()
    }

    /// Puts a task in that was woken; `is_kept` if others must not take it. Returns where it
    /// stands.
    pub(super) fn push(&self, task: Runnable, is_kept: bool) -> Stands {
        let level = task.share().level();
        if level > 0 {
            self.urgent_queue(is_kept).push(task, End::Back);
            return Stands { level, run_time: 0 };
        }
        let had = task.run_time();
        Stands {
            level,
            run_time: self.queue(is_kept).push(task, had, self.clock()),
        }
    }

    /// Puts a task in that has been ready since it was taken out here.
    pub(super) fn push_again(&self, task: Runnable, is_kept: bool) {
        let share = task.share();
        let gives_turn = self.gives_turn.swap(false, Ordering::Relaxed);
        if share.level() == 0 {
            let had = task.run_time();
            self.queue(is_kept).push(task, had, had);
        } else if gives_turn || (share.takes_turns() && task.run_time() >= TURN) {
            task.set_run_time(0);
            self.urgent_queue(is_kept).push(task, End::Back);
        } else {
            self.urgent_queue(is_kept).push(task, End::Front);
        }
    }

    fn queue(&self, is_kept: bool) -> &FairQueue {
        if is_kept { &self.kept } else { &self.shared }
    }

    fn urgent_queue(&self, is_kept: bool) -> &UrgentQueue {
        match is_kept {
            true => &self.urgent_kept,
            false => &self.urgent,
        }
    }

    /// The running task goes behind the others of its level when its poll ends.
    pub(super) fn give_turn(&self) {
        self.gives_turn.store(true, Ordering::Relaxed);
    }

    /// The running task, which had another share until now, has this one.
    pub(super) fn share_changes(&self, share: ShareWord) {
        self.running_share.store(share.0, Ordering::Relaxed);
    }

    /// A poll has ended at `now` that took so long. Called by this CPU.
    pub(super) fn went_on(&self, ns: u64, now: u64) {
        let is_urgent = self.running_level() > 0;
        self.running_share.store(0, Ordering::Relaxed);
        self.throttle.went_on(is_urgent, ns, now);
        if is_urgent {
            return;
        }
        let ready = self.ready.load(Ordering::Relaxed).max(1) as u64;
        let share = ((ns >> 8) + 1)
            .saturating_mul(ORDINARY.into())
            .div_ceil(ready);
        let share = share.min(u64::from(Virtual::MAX >> 2)) as Virtual;
        let clock = self.clock().wrapping_add(share);
        self.clock.store(clock, Ordering::Relaxed);
    }

    /// Takes the next task: an urgent one, or the one that has had least. Called by this CPU only.
    pub(super) fn pop(&self, now: u64) -> Option<Runnable> {
        let has_urgent = self.urgent_top() > 0;
        if !has_urgent || self.throttle.holds(now) {
            if let Some(task) = self.pop_weighted() {
                return Some(task);
            }
            if !has_urgent {
                return None;
            }
        }
        let queue = self.urgent_queue(self.urgent_kept.top() >= self.urgent.top());
        let task = queue.pop()?;
        self.begins(&task, 0);
        Some(task)
    }

    fn pop_weighted(&self) -> Option<Runnable> {
        let from = match (self.shared.is_empty(), self.kept.is_empty()) {
            (_, true) => &self.shared,
            (true, false) => &self.kept,
            (false, false) => match (self.shared.first(), self.kept.first()) {
                (Some(shared), Some(kept)) if lead(shared, kept) == 0 => &self.shared,
                _ => &self.kept,
            },
        };
        let Taken { task, start, width } = from.pop()?;
        // The clock stays within a slice of the task that has had least: see the module's head.
        let clock = start.wrapping_add(lead(self.clock(), start).min(SLICE));
        self.clock.store(clock, Ordering::Relaxed);
        // One that has slept, or was beyond all lists, goes on from where it stood.
        let had = start.wrapping_add(lead(task.run_time(), start).min(width - 1));
        task.set_run_time(had);
        self.begins(&task, had);
        Some(task)
    }

    /// A task that has had `had` is about to be polled.
    fn begins(&self, task: &Runnable, had: Virtual) {
        let share = task.share();
        self.running.store(had, Ordering::Relaxed);
        self.running_share.store(share.0, Ordering::Relaxed);
        let ready = self.shared.weight() + self.kept.weight() + share.weight() as usize;
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Takes an urgent task for another CPU.
    pub(super) fn steal_urgent(&self, thief: &Self) -> Option<Runnable> {
        let task = self.urgent.pop()?;
        thief.begins(&task, 0);
        Some(task)
    }

    /// Takes a task for another CPU, whose clock it gets.
    pub(super) fn steal(&self, thief: &Self) -> Option<Runnable> {
        if let Some(task) = self.steal_urgent(thief) {
            return Some(task);
        }
        let Taken { task, start, .. } = self.shared.pop()?;
        let had = thief.clock().wrapping_add(lead(start, self.clock()));
        task.set_run_time(had);
        thief.begins(&task, had);
        Some(task)
    }

    /// A task that waits to be dropped by any CPU: among the kept ones those that `may` be.
    pub(super) fn pop_unpinned(&self, may: impl Fn(&Runnable) -> bool) -> Option<Runnable> {
        let free = self.shared.pop().map(|taken| taken.task);
        if let Some(task) = free.or_else(|| self.urgent.pop()) {
            return Some(task);
        }
        let kept = || {
            let weighted = self.kept.pop().map(|taken| taken.task);
            weighted.or_else(|| self.urgent_kept.pop())
        };
        while let Some(task) = kept() {
            if may(&task) {
                return Some(task);
            }
            let _leaked = task.into_raw();
        }
        None
    }

    /// Does the running task, whose poll has lasted for `ns`, have to give way to one that stands
    /// there? It does for a more urgent one, and for one that has had so much less.
    pub(super) fn gives_way(&self, stands: Stands, ns: u64, now: u64) -> bool {
        let share = self.running_share();
        if stands.level > 0 || share.level() > 0 {
            return stands.level > share.level() && !self.throttle.holds(now);
        }
        let running = self.running.load(Ordering::Relaxed);
        let had = running.wrapping_add(charge(ns, share.weight()));
        lead(had, stands.run_time) > GRANULARITY
    }

    /// The highest level of the urgent tasks that are ready; 0: there is none.
    fn urgent_top(&self) -> u8 {
        self.urgent.top().max(self.urgent_kept.top())
    }

    /// The same of those that other CPUs may take, if the one that runs here is as urgent.
    pub(super) fn urgent_in_wait(&self) -> u8 {
        let top = self.urgent.top();
        if top > self.running_level() { 0 } else { top }
    }

    /// Does another task come before one of this level?
    pub(super) fn has_more_urgent(&self, level: u8) -> bool {
        self.urgent_top() > level
    }

    /// Is there a task that other CPUs may take?
    pub(super) fn has_stealable(&self) -> bool {
        !self.shared.is_empty() || !self.urgent.is_empty()
    }

    /// Is there any task?
    pub(super) fn has_queued(&self) -> bool {
        self.has_stealable() || !self.kept.is_empty() || !self.urgent_kept.is_empty()
    }

    /// How many tasks other CPUs may take.
    pub(super) fn stealable(&self) -> usize {
        self.shared.len() + self.urgent.len()
    }
}
