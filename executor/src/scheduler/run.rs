//! The worker's loop: poll, search, halt.

use super::parking::Unparked;
use super::shared::Shared;
use super::worker::Worker;
use crate::facade::atomic::Ordering;
use crate::platform::Platform;
use crate::task::{Class, PollOutcome, Runnable};

impl<P: Platform> Shared<P> {
    /// One CPU's loop, until the executor stops.
    pub(super) fn run(&self) {
        let Some((cpu, worker)) = self.here() else {
            panic!("`run` was called outside all CPUs of the executor");
        };
        let mut now = self.platform.stamp();
        while !self.is_stopping() {
            now = self.step(cpu, worker, now, &|| false);
        }
        self.drain(cpu, worker);
    }

    /// Polls one task, or halts if there is none and `busy` does not object.
    /// Takes and returns the time for the stats.
    pub(super) fn step(
        &self,
        cpu: usize,
        worker: &Worker,
        now: u64,
        busy: &dyn Fn() -> bool,
    ) -> u64 {
        self.platform.between_polls();
        self.fire_timers(worker);
        // SAFETY: this is `cpu`.
        if let Some(task) = unsafe { self.next_task(cpu, worker, now) } {
            if worker.has_surplus() {
                self.offer(cpu);
            }
            return self.poll(cpu, worker, task, now);
        }
        // SAFETY: this is `cpu`, and `next_task` found the ring empty.
        if let Some(task) = unsafe { self.search(cpu, worker) } {
            let now = self.platform.stamp();
            return self.poll(cpu, worker, task, now);
        }
        self.rest(cpu, worker, busy);
        self.platform.stamp()
    }

    /// Polls one task.
    pub(super) fn poll(&self, cpu: usize, worker: &Worker, task: Runnable, now: u64) -> u64 {
        let header = task.header();
        let cpu = cpu as u16;
        if header.last_cpu.load(Ordering::Relaxed) != cpu {
            header.last_cpu.store(cpu, Ordering::Relaxed);
        }
        let id = task.id();
        let name = task.name();
        worker.current.begin(id, name, now);
        worker.tally.polls.add(1);
        self.platform.poll_begins(id, name);
        let ran = task.run(now);
        self.platform.poll_ends();
        worker.current.end();
        let (again, ended) = match ran {
            PollOutcome::Gone(ended) => (None, ended),
            PollOutcome::Again(task, ended) => (Some(task), ended),
        };
        if let Some(fair) = &worker.fair {
            fair.went_on(ended.saturating_sub(now), ended);
        }
        if let Some(task) = again {
            // Behind the others: it was woken while it ran, as a task does that yields.
            let class = task.header().class;
            match (task.affinity(), class) {
                // SAFETY: this is the worker's CPU.
                (None, class) => unsafe { worker.push_again(class, task) },
                (Some(cpus), _) if worker.fair.is_some() && self.keeps(cpus, cpu.into()) => {
                    // SAFETY: as above.
                    unsafe { worker.push_again(Class::Pinned, task) };
                }
                // One of its CPUs may be halted, or this one not among them.
                (Some(_), _) => self.enqueue(task),
            }
        }
        ended
    }

    /// Looks for work elsewhere.
    ///
    /// # Safety
    ///
    /// As for [`steal`](Self::steal).
    unsafe fn search(&self, cpu: usize, worker: &Worker) -> Option<Runnable> {
        if self.workers.len() == 1 || !self.parking.begin_search() {
            return None;
        }
        // SAFETY: passed on.
        let found = unsafe { self.steal(cpu, worker) };
        self.end_search(cpu, found.is_some());
        found
    }

    /// The last searcher that found something wakes the next, if there is more
    /// to be found.
    fn end_search(&self, cpu: usize, found: bool) {
        if self.parking.end_search()
            && found
            && self.parking.any_parked()
            && (!self.injection.is_empty() || self.workers.iter().any(|w| w.has_stealable()))
            && let Some(other) = self.parking.wake_helper(cpu)
        {
            self.wake_cpu(other);
        }
    }

    /// Halts until there is something to do.
    fn rest(&self, cpu: usize, worker: &Worker, busy: &dyn Fn() -> bool) {
        self.platform.before_idle();
        self.arm(worker);
        self.parking.park(cpu);
        // The loads below come behind the fence in `park`. A task whose store they do not observe
        // was put into its queue by a CPU whose own fence comes later, and whose load observes
        // that this CPU is parked.
        let due = worker
            .timers
            .next()
            .is_some_and(|next| self.armed_later(worker, next));
        if !due && !self.is_stopping() && !busy() && !self.find_work(worker) {
            worker.tally.halts(self.platform.now());
            self.platform.idle();
            worker.tally.runs(self.platform.now());
            // SAFETY: on our own CPU; the closure calls nothing.
            unsafe { worker.local(|local| local.rearm = local.armed.is_some()) };
        }
        if self.parking.unpark(cpu) == Unparked::Searching {
            self.fire_timers(worker);
            // SAFETY: this is `cpu`; nothing has been put into its ring since
            // `next_task` found it empty, except by a waker on this CPU, and then
            // there is something to do without stealing.
            let found = unsafe {
                if !worker.has_surplus() {
                    self.steal(cpu, worker)
                } else {
                    None
                }
            };
            let any = found.is_some();
            if let Some(task) = found {
                // SAFETY: this is `cpu`.
                unsafe { worker.push_local(task) };
            }
            self.end_search(cpu, any);
        }
    }

    /// Is there anything that this CPU could run?
    fn find_work(&self, worker: &Worker) -> bool {
        self.has_work(worker) || self.workers.iter().any(|other| other.has_stealable())
    }
}
