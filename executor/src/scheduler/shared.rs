//! What all CPUs share.

use super::injector::Injector;
use super::parking::Parking;
use super::worker::Worker;
use crate::facade::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::platform::Platform;
use crate::task::{Header, Runnable, Schedule, TaskId};
use crate::time::Timers;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr::NonNull;
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
    /// Tasks spawned so far, for their numbers.
    spawned: CachePadded<AtomicU64>,
    /// Kicks sent from outside all CPUs.
    foreign_kicks: AtomicU64,
}

impl<P: Platform> Shared<P> {
    pub(super) fn new(platform: P, cpus: usize) -> Self {
        Self {
            platform,
            workers: (0..cpus)
                .map(|cpu| CachePadded::new(Worker::new(cpu)))
                .collect(),
            injection: Injector::new(),
            parking: Parking::new(cpus),
            stopping: AtomicBool::new(false),
            spawned: CachePadded::new(AtomicU64::new(0)),
            foreign_kicks: AtomicU64::new(0),
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

    pub(super) fn next_id(&self) -> TaskId {
        TaskId(self.spawned.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn kick(&self, cpu: usize) {
        match self.here() {
            Some((_, worker)) => &worker.tally.kicks,
            None => &self.foreign_kicks,
        }
        .fetch_add(1, Ordering::Relaxed);
        self.platform.kick(cpu);
    }

    /// Makes `cpu` look around, if it halts.
    pub(super) fn rouse(&self, cpu: usize) {
        if self.parking.wake(cpu) {
            self.kick(cpu);
        }
    }

    /// Enters a new task into the list of its home.
    ///
    /// # Safety
    ///
    /// The task is alive, in no list, and `finished` will be called for it.
    pub(super) unsafe fn enter(&self, task: NonNull<Header>) {
        // SAFETY: the caller's promise.
        let home = unsafe { task.as_ref() }.home as usize;
        if let Some(worker) = self.workers.get(home) {
            // SAFETY: the lock that guards the links is held; the task stays
            // until `finished`.
            worker.tasks.with(|tasks| unsafe { tasks.push_back(task) });
        }
    }
}

impl<P: Platform> Schedule for Arc<Shared<P>> {
    fn submit(&self, task: Runnable) {
        self.place(task);
    }

    unsafe fn finished(&self, task: NonNull<Header>) {
        // SAFETY: the task lives until its completer gives up its reference.
        let home = unsafe { task.as_ref() }.home as usize;
        if let Some(worker) = self.workers.get(home) {
            // SAFETY: it was entered there, and leaves once.
            worker.tasks.with(|tasks| unsafe { tasks.remove(task) });
        }
    }

    fn stamp(&self) -> u64 {
        self.platform.stamp()
    }
}
