//! Where a task that is ready goes, and which CPU is woken for it.

use super::fair::Fair;
use super::fair_queue::SLICE;
use super::shared::Shared;
use super::worker::Worker;
use crate::facade::atomic::Ordering;
use crate::platform::Platform;
use crate::task::run_time::lead;
use crate::task::{Class, Runnable};

impl<P: Platform> Shared<P> {
    /// Puts a task that is ready into its queue, and wakes a halted CPU for it.
    pub(super) fn enqueue(&self, task: Runnable) {
        let (class, mut target) = self.destination(&task);
        let level = task.share().level();
        if level > 0 {
            target = self.least_urgent(target, task.affinity(), class, level);
        }
        let here = self.here();
        match (here, self.workers.get(target)) {
            (_, Some(worker)) if let Some(fair) = &worker.fair => {
                self.enqueue_fairly(task, class, target, worker, fair);
            }
            (Some((cpu, worker)), Some(_)) if cpu == target => match class {
                Class::Pinned => worker.pinned.push(task),
                Class::Background => worker.background.push(task),
                // SAFETY: the worker is this CPU's.
                Class::Interactive => unsafe { self.enqueue_here(cpu, worker, task) },
            },
            (_, Some(worker)) => {
                worker.push(class, task);
                if self.parking.wake(target) {
                    self.wake_cpu(target);
                } else if class != Class::Pinned {
                    // Its CPU is busy: a parked one may come for it.
                    if let Some(cpu) = self.parking.add_searcher(target) {
                        self.wake_cpu(cpu);
                    }
                }
            }
            (_, None) => {
                self.injection.push(task);
                if let Some(cpu) = self.parking.wake_searcher(0) {
                    self.wake_cpu(cpu);
                }
            }
        }
    }

    /// Puts a task into the fair queue of `target`. If that CPU is busy a halted one may come for
    /// the task; else the running task gives way if it has had more.
    fn enqueue_fairly(
        &self,
        task: Runnable,
        class: Class,
        target: usize,
        worker: &Worker,
        fair: &Fair,
    ) {
        let last = usize::from(task.header().last_cpu.load(Ordering::Relaxed));
        let is_new = task.is_new();
        if is_new {
            // Behind those that are ready, so that a task gains nothing by spawning others, and
            // the one that spawns goes on.
            task.set_run_time(fair.clock().wrapping_add(SLICE));
        } else if last != target
            && let Some(left) = self.workers.get(last).and_then(|old| old.fair.as_ref())
        {
            // It keeps its distance to the clock of its CPU.
            let ahead = lead(task.run_time(), left.clock());
            task.set_run_time(fair.clock().wrapping_add(ahead));
        }
        let is_kept = class == Class::Pinned;
        let stands = fair.push(task, is_kept);
        let is_here = self.here().is_some_and(|(cpu, _)| cpu == target);
        if !is_here && self.parking.wake(target) {
            self.wake_cpu(target);
            return;
        }
        if !is_kept {
            let woken = match is_here {
                // The task is for this CPU as soon as its poll ends: others come for it only if
                // there are more.
                true if fair.stealable() > 1 => self.parking.wake_helper(target),
                true => None,
                false => self.parking.add_searcher(target),
            };
            if let Some(cpu) = woken {
                self.wake_cpu(cpu);
                return;
            }
        }
        if !is_new && let Some(running) = worker.current.get() {
            let now = self.platform.stamp();
            if fair.gives_way(stands, now.saturating_sub(running.since), now) {
                self.preempt(target);
            }
        }
    }

    /// The class of the queue where a task belongs, and its CPU. A task that is kept to some CPUs
    /// goes into the queue from which no CPU steals, like a pinned one, but each time to the best of
    /// them.
    fn destination(&self, task: &Runnable) -> (Class, usize) {
        let header = task.header();
        let last = header.last_cpu.load(Ordering::Relaxed) as usize;
        match (header.class, task.affinity()) {
            (_, Some(cpus)) => (Class::Pinned, self.best_of(cpus, last)),
            (class, None) => (class, last),
        }
    }

    /// Where an urgent task goes: it stays on `target` if that CPU is halted or runs a less urgent one,
    /// and else goes to the CPU that runs the least urgent one of all.
    fn least_urgent(&self, target: usize, cpus: Option<u64>, class: Class, level: u8) -> usize {
        let running = |cpu: usize| {
            let fair = self.workers.get(cpu)?.fair.as_ref()?;
            Some(fair.running_level())
        };
        let stays = running(target).is_none_or(|running| running < level);
        if stays || (class == Class::Pinned && cpus.is_none()) {
            return target;
        }
        let may = |cpu: &usize| match cpus {
            None => true,
            Some(cpus) => *cpu < u64::BITS as usize && cpus >> cpu & 1 != 0,
        };
        let others = (0..self.workers.len()).filter(may);
        match others.min_by_key(|&cpu| running(cpu)) {
            Some(other) if running(other).is_some_and(|running| running < level) => other,
            _ => target,
        }
    }

    /// Does a task that is kept to these CPUs stay on `cpu`? Not if another of them is halted.
    pub(super) fn keeps(&self, cpus: u64, cpu: usize) -> bool {
        self.best_of(cpus, cpu) == cpu
    }

    /// Of some CPUs one that is halted, or else the one where the task ran last; the first
    /// if that is not among them.
    fn best_of(&self, cpus: u64, last: usize) -> usize {
        let all = self.workers.len();
        let is_in = |cpu: usize| cpu < u64::BITS as usize && cpus >> cpu & 1 != 0;
        let mut candidates = (0..all).map(|offset| (last % all + offset) % all);
        if self.parking.any_parked()
            && let Some(cpu) = candidates
                .clone()
                .find(|&cpu| is_in(cpu) && self.parking.is_parked(cpu))
        {
            return cpu;
        }
        candidates.find(|&cpu| is_in(cpu)).unwrap_or(last)
    }

    /// Into the slot; the task that was there goes to the ring.
    ///
    /// # Safety
    ///
    /// This runs on `cpu`, whose worker is `worker`.
    unsafe fn enqueue_here(&self, cpu: usize, worker: &Worker, task: Runnable) {
        // SAFETY: on our own CPU; the closure calls nothing.
        let displaced = unsafe { worker.local(|local| local.slot.replace(task)) };
        if let Some(displaced) = displaced {
            // SAFETY: on our own CPU.
            unsafe { worker.push_local(displaced) };
            self.offer(cpu);
        }
    }

    /// This CPU has more than it can run at once: wakes a parked CPU to take
    /// some, if there is one and none is searching already.
    pub(super) fn offer(&self, cpu: usize) {
        if self.parking.any_parked()
            && !self.parking.any_searching()
            && let Some(other) = self.parking.wake_helper(cpu)
        {
            self.wake_cpu(other);
        }
    }

    /// See [`Executor::share_work`](super::Executor::share_work).
    pub(super) fn share_work(&self) {
        let Some((cpu, worker)) = self.here() else {
            return;
        };
        if !self.parking.any_parked() {
            return;
        }
        // SAFETY: on our own CPU; the closure calls nothing.
        if let Some(task) = unsafe { worker.local(|local| local.slot.take()) } {
            // SAFETY: on our own CPU.
            unsafe { worker.push_local(task) };
        }
        if worker.has_stealable() {
            self.offer(cpu);
        }
    }

    /// See [`Executor::contended`](super::Executor::contended).
    pub(super) fn contended(&self) -> bool {
        let Some((_, worker)) = self.here() else {
            return false;
        };
        self.has_work(worker)
    }

    /// Is there work in this CPU's slot or queues, or in the injection?
    pub(super) fn has_work(&self, worker: &Worker) -> bool {
        // SAFETY: on our own CPU; the closure calls nothing.
        let slot = unsafe { worker.local(|local| local.slot.is_some()) };
        slot || worker.has_queued() || !self.injection.is_empty()
    }
}
