//! Shutdown: every task is dropped, each pinned one on its own CPU.

use super::shared::Shared;
use super::worker::Worker;
use crate::facade::atomic::Ordering;
use crate::platform::Platform;
use crate::task::{Class, Runnable, Wake};

impl<P: Platform> Shared<P> {
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for cpu in 0..self.workers.len() {
            self.wake_if_parked(cpu);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        // Relaxed: in `rest` the fence in `park` comes before this load, and the one in `wake`
        // behind the store, so the load observes the stop or the CPU gets an IPI. Elsewhere it
        // is enough that the store is observed in the end.
        self.stopping.load(Ordering::Relaxed)
    }

    /// The end of a worker: drops every task that is left.
    ///
    /// A task that waits is cancelled, which puts it into a queue; a cancelled
    /// task that is run is dropped. So the loop is the usual one with every
    /// task cancelled before it is run. New tasks that the dropped ones spawn
    /// are dropped in the same way. It ends when no CPU has a task left.
    pub(super) fn drain(&self, cpu: usize, worker: &Worker) {
        self.cancel_all();
        loop {
            self.platform.between_polls();
            // SAFETY: this is `cpu`.
            let task = unsafe {
                self.next_task(cpu, worker, u64::MAX)
                    .or_else(|| self.steal(cpu, worker))
            };
            if let Some(task) = task {
                self.drop_task(cpu, worker, task);
            } else if self.workers.iter().all(|w| w.tasks.is_empty()) {
                break;
            } else {
                // Another CPU is not done yet, or it polled a task before its load of `stopping`
                // observed the stop, and that task waits now.
                self.cancel_all();
                crate::facade::spin_hint();
            }
        }
    }

    /// Drops the future of a task that was ready.
    fn drop_task(&self, cpu: usize, worker: &Worker, task: Runnable) {
        // It is SCHEDULED, so this submits nothing.
        let _ = task.header().state.cancel();
        let now = self.platform.stamp();
        self.poll(cpu, worker, task, now);
    }

    /// Cancels all tasks; those that wait go into queues of their owner CPUs.
    fn cancel_all(&self) {
        for worker in &self.workers {
            worker.for_each_task(|task| {
                // SAFETY: a task in the list is alive: it leaves the list before the executor's
                // reference, which is the last to fall, is given up.
                let header = unsafe { task.as_ref() };
                if !header.state.is_cancelled() && header.state.cancel() == Wake::Submit {
                    // SAFETY: the bit was just set on an idle task.
                    let task = unsafe { Runnable::new(task) };
                    match task.header().class {
                        Class::Pinned => worker.push(Class::Pinned, task),
                        _ => worker.push(Class::Interactive, task),
                    }
                }
            });
        }
    }

    /// Drops what is left when no CPU runs the executor any more.
    ///
    /// Pinned tasks may hold what only their CPU may drop. If their worker has
    /// never come to its end they are leaked rather than dropped elsewhere.
    pub(super) fn drop_rest(&self) {
        self.cancel_all();
        loop {
            // SAFETY: the executor is being dropped, so no CPU runs it, and
            // this thread of execution has all workers to itself.
            let slot = self
                .workers
                .iter()
                .find_map(|worker| unsafe { worker.local(|local| local.slot.take()) });
            let next = slot
                // SAFETY: as above.
                .or_else(|| self.workers.iter().find_map(|w| unsafe { w.ring.pop() }))
                .or_else(|| self.workers.iter().find_map(|w| w.inbox.pop().task()))
                .or_else(|| self.workers.iter().find_map(|w| w.background.pop().task()))
                .or_else(|| self.workers.iter().find_map(|w| Self::unpinned(w)))
                .or_else(|| {
                    let may = |task: &Runnable| task.header().class != Class::Pinned;
                    let mut fair = self.workers.iter().filter_map(|w| w.fair.as_ref());
                    fair.find_map(|fair| fair.pop_unpinned(may))
                })
                .or_else(|| self.injection.pop().task());
            match next {
                Some(task) => Self::discard(task),
                None if self.has_unpinned() => {
                    // A thread outside is about to put a task that it has just
                    // woken into a queue.
                    crate::facade::spin_hint();
                }
                None => break,
            }
        }
    }

    /// A task among the pinned ones of a worker that any CPU may drop: one that was
    /// kept to some CPUs. The others are leaked, see above.
    fn unpinned(worker: &Worker) -> Option<Runnable> {
        loop {
            let task = worker.pinned.pop().task()?;
            if task.header().class != Class::Pinned {
                return Some(task);
            }
            let _leaked = task.into_raw();
        }
    }

    /// Is there a task that any CPU may drop?
    fn has_unpinned(&self) -> bool {
        let mut any = false;
        for worker in &self.workers {
            worker.for_each_task(|task| {
                // SAFETY: as in `cancel_all`.
                any |= unsafe { task.as_ref() }.class != Class::Pinned;
            });
        }
        any
    }

    /// Drops the future of a task that may be dropped here and has not been put
    /// into a queue, or has just been taken out.
    pub(super) fn discard(task: Runnable) {
        // It is SCHEDULED, so this submits nothing; and a cancelled task is
        // gone when it has run.
        let _ = task.header().state.cancel();
        let _ = task.run(0);
    }
}
