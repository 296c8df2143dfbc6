//! What all CPUs share, and how a task gets there.

use super::injector::Injector;
use super::parking::Parking;
use super::task_list::TaskList;
use super::worker::Worker;
use crate::facade::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::facade::held;
use crate::platform::Platform;
use crate::task::context::{set_run_time, set_share};
use crate::task::{Header, Runnable, Schedule, Share, ShareWord};
use crate::time::timers::Timers;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr::NonNull;
use core::task::Context;
use crossbeam_utils::CachePadded;

/// Stands for "no CPU" in a task's `last_cpu`.
pub(super) const NOWHERE: u16 = u16::MAX;

pub(crate) struct Shared<P: Platform> {
    pub(super) platform: P,
    pub(super) workers: Box<[CachePadded<Worker>]>,
    /// What was spawned from outside all CPUs and has not run yet.
    pub(super) injection: Injector,
    pub(super) parking: Parking,
    pub(super) stopping: AtomicBool,
    /// Has any task been urgent so far? Until then no CPU looks for such tasks at others.
    pub(super) has_urgent: AtomicBool,
    /// Do tasks have stats? See [`has_stats`](Self::has_stats).
    stats: bool,
    /// Numbers given to tasks so far.
    numbers: CachePadded<AtomicU64>,
    /// Reschedule IPIs sent from outside all CPUs.
    foreign_ipis: AtomicU64,
}

impl<P: Platform> Shared<P> {
    pub(super) fn new(platform: P, cpus: usize, stats: bool, is_fair: bool) -> Self {
        Self {
            platform,
            workers: (0..cpus)
                .map(|cpu| CachePadded::new(Worker::new(cpu, is_fair)))
                .collect(),
            injection: Injector::new(),
            parking: Parking::new(cpus),
            stopping: AtomicBool::new(false),
            has_urgent: AtomicBool::new(false),
            stats,
            numbers: CachePadded::new(AtomicU64::new(0)),
            foreign_ipis: AtomicU64::new(0),
        }
    }

    /// The CPU this runs on and its worker; `None` outside all CPUs.
    pub(super) fn here(&self) -> Option<(usize, &Worker)> {
        let cpu = self.platform.cpu();
        self.workers.get(cpu).map(|worker| (cpu, &**worker))
    }

    /// The CPU this runs on; 0 outside all CPUs.
    pub(crate) fn timer_cpu(&self) -> usize {
        self.here().map_or(0, |(cpu, _)| cpu)
    }

    /// The timers of `cpu`.
    pub(crate) fn timers(&self, cpu: usize) -> Option<&Timers> {
        self.workers.get(cpu).map(|worker| &worker.timers)
    }

    pub(crate) fn now(&self) -> u64 {
        self.platform.now()
    }

    /// Do tasks have stats?
    pub(super) fn has_stats(&self) -> bool {
        !cfg!(feature = "lean") || self.stats
    }

    /// A number that was not given before.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn wake_cpu(&self, cpu: usize) {
        match self.here() {
            Some((_, worker)) => &worker.tally.resched_ipis,
            None => &self.foreign_ipis,
        }
        .fetch_add(1, Ordering::Relaxed);
        held::assert_none("an IPI");
        self.platform.wake_cpu(cpu);
    }

    /// The task that runs on `cpu` has to give way.
    pub(super) fn preempt(&self, cpu: usize) {
        match self.here() {
            Some((here, _)) if here == cpu => {}
            Some((_, worker)) => {
                worker.tally.resched_ipis.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                self.foreign_ipis.fetch_add(1, Ordering::Relaxed);
            }
        }
        held::assert_none("an IPI");
        self.platform.preempt(cpu);
    }

    /// See [`Executor::set_share`](super::Executor::set_share).
    pub(super) fn set_share(&self, context: &Context<'_>, share: Share) {
        let share = ShareWord::from(share);
        let Some(old) = set_share(context, share).filter(|&old| old != share) else {
            return;
        };
        if share.level() > 0 {
            self.has_urgent.store(true, Ordering::Relaxed);
        }
        let Some(fair) = self.here().and_then(|(_, worker)| worker.fair.as_ref()) else {
            return;
        };
        fair.share_changes(share);
        match (old.level(), share.level()) {
            // As one that has just been woken.
            (1.., 0) => set_run_time(context, fair.clock()),
            (0, 1..) => set_run_time(context, 0),
            _ => {}
        }
    }

    /// See [`Executor::give_turn`](super::Executor::give_turn).
    pub(super) fn give_turn(&self) {
        if let Some(fair) = self.here().and_then(|(_, worker)| worker.fair.as_ref()) {
            fair.give_turn();
        }
    }

    /// Makes `cpu` look around, if it halts.
    pub(super) fn wake_if_parked(&self, cpu: usize) {
        if self.parking.wake(cpu) {
            self.wake_cpu(cpu);
        }
    }
}

/// The CPU in whose list a task is: all that the task knows of the executor.
///
/// One for each CPU, and each task holds a reference, so those that one CPU spawns and those
/// of another count in different places (rule E5).
pub(super) struct OwnerCpu<P: Platform> {
    shared: Arc<Shared<P>>,
    cpu: usize,
}

impl<P: Platform> OwnerCpu<P> {
    pub(super) fn new(shared: Arc<Shared<P>>, cpu: usize) -> Self {
        Self { shared, cpu }
    }

    /// The list of the tasks that this CPU owns.
    fn tasks(&self) -> Option<&TaskList> {
        self.shared
            .workers
            .get(self.cpu)
            .map(|worker| &worker.tasks)
    }

    /// Enters a new task.
    ///
    /// # Safety
    ///
    /// The task is alive, in no list, has this home, and `finished` will be called for it.
    pub(super) unsafe fn enter(&self, task: NonNull<Header>) {
        if let Some(tasks) = self.tasks() {
            // SAFETY: by the contract; `finished` removes it.
            unsafe { tasks.enter(task) };
        }
    }
}

impl<P: Platform> Schedule for Arc<CachePadded<OwnerCpu<P>>> {
    fn submit(&self, task: Runnable) {
        self.shared.enqueue(task);
    }

    unsafe fn finished(&self, task: NonNull<Header>) {
        if let Some(tasks) = self.tasks() {
            // SAFETY: it was entered there and leaves once; the completing CPU gives up the
            // executor's reference after this.
            unsafe { tasks.remove(task) };
        }
    }

    fn stamp(&self) -> u64 {
        self.shared.platform.stamp()
    }
}
