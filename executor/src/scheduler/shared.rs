//! What all CPUs share, and the worker's loop.

use super::injector::Injector;
use super::parking::{Parking, Unparked};
use super::worker::Worker;
use crate::facade::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::platform::Platform;
use crate::task::{Class, Header, Ran, Runnable, Schedule, TaskId, Wake};
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
    parking: Parking,
    stopping: AtomicBool,
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

    /// Puts a task that is ready where it belongs, and wakes whom it needs.
    pub(super) fn place(&self, task: Runnable) {
        let header = task.header();
        let class = header.class;
        let target = match class {
            Class::Pinned => header.home,
            Class::Interactive | Class::Background => header.last_cpu.load(Ordering::Relaxed),
        } as usize;
        let here = self.here();
        match (here, self.workers.get(target)) {
            (Some((cpu, worker)), Some(_)) if cpu == target => match class {
                Class::Pinned => worker.pinned.push(task),
                Class::Background => worker.background.push(task),
                // SAFETY: the worker is this CPU's.
                Class::Interactive => unsafe { self.place_here(cpu, worker, task) },
            },
            (_, Some(worker)) => {
                match class {
                    Class::Pinned => worker.pinned.push(task),
                    Class::Background => worker.background.push(task),
                    Class::Interactive => worker.inbox.push(task),
                }
                if self.parking.wake(target) {
                    self.kick(target);
                } else if class != Class::Pinned {
                    // Its CPU is busy: a parked one may come for it.
                    if let Some(cpu) = self.parking.choose_searcher(target) {
                        self.kick(cpu);
                    }
                }
            }
            (_, None) => {
                self.injection.push(task);
                if let Some(cpu) = self.parking.wake_searcher(0) {
                    self.kick(cpu);
                }
            }
        }
    }

    /// Into the slot; who was there goes to the ring.
    ///
    /// # Safety
    ///
    /// This runs on `cpu`, whose worker is `worker`.
    unsafe fn place_here(&self, cpu: usize, worker: &Worker, task: Runnable) {
        // SAFETY: on our own CPU; the closure calls nothing.
        let displaced = unsafe { worker.local(|local| local.slot.replace(task)) };
        if let Some(displaced) = displaced {
            // SAFETY: on our own CPU.
            unsafe { worker.enqueue(displaced) };
            self.offer(cpu);
        }
    }

    /// This CPU has more than it can run at once: wakes a parked CPU to take
    /// some, if there is one and none is searching already.
    fn offer(&self, cpu: usize) {
        if self.parking.any_parked()
            && !self.parking.any_searching()
            && let Some(other) = self.parking.choose_searcher(cpu)
        {
            self.kick(other);
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
            unsafe { worker.enqueue(task) };
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
    fn has_work(&self, worker: &Worker) -> bool {
        // SAFETY: on our own CPU; the closure calls nothing.
        let slot = unsafe { worker.local(|local| local.slot.is_some()) };
        slot || worker.has_queued() || !self.injection.is_empty()
    }

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
    /// Takes and returns the time for the accounts.
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
        if let Some(task) = unsafe { self.pick(worker) } {
            if !worker.ring.is_empty() {
                self.offer(cpu);
            }
            return self.poll(cpu, worker, task, now);
        }
        // SAFETY: this is `cpu`, and `pick` found the ring empty.
        if let Some(task) = unsafe { self.search(cpu, worker) } {
            let now = self.platform.stamp();
            return self.poll(cpu, worker, task, now);
        }
        self.rest(cpu, worker, busy);
        self.platform.stamp()
    }

    /// Makes `cpu` look around, if it halts.
    pub(super) fn rouse(&self, cpu: usize) {
        if self.parking.wake(cpu) {
            self.kick(cpu);
        }
    }

    /// Polls one task.
    fn poll(&self, cpu: usize, worker: &Worker, task: Runnable, now: u64) -> u64 {
        let header = task.header();
        let cpu = cpu as u16;
        if header.last_cpu.load(Ordering::Relaxed) != cpu {
            header.last_cpu.store(cpu, Ordering::Relaxed);
        }
        worker.begin_poll(header, now);
        worker.tally.polls.add(1);
        let ran = task.run(now);
        worker.end_poll();
        match ran {
            Ran::Gone(ended) => ended,
            Ran::Again(task, ended) => {
                // To the end of the queue: it was woken while it ran, as a task
                // does that yields, so the others go first.
                match task.header().class {
                    // SAFETY: this is the worker's CPU.
                    Class::Interactive => unsafe { worker.enqueue(task) },
                    Class::Background => worker.background.push(task),
                    Class::Pinned => worker.pinned.push(task),
                }
                ended
            }
        }
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
            && let Some(other) = self.parking.choose_searcher(cpu)
        {
            self.kick(other);
        }
    }

    /// Halts until there is something to do.
    fn rest(&self, cpu: usize, worker: &Worker, busy: &dyn Fn() -> bool) {
        self.platform.before_idle();
        self.arm(worker);
        self.parking.park(cpu);
        // Everything that was put somewhere before the fence in `park` is seen
        // here; who puts something after it sees that this CPU is parked.
        let due = worker
            .timers
            .next()
            .is_some_and(|next| self.armed_later(worker, next));
        if !due && !self.is_stopping() && !busy() && !self.find_work(worker) {
            let before = self.platform.now();
            self.platform.idle();
            // SAFETY: on our own CPU; the closure calls nothing.
            unsafe { worker.local(|local| local.rearm = local.armed.is_some()) };
            worker.tally.parks.add(1);
            worker
                .tally
                .idle
                .add(self.platform.now().saturating_sub(before));
        }
        if self.parking.unpark(cpu) == Unparked::Searching {
            self.fire_timers(worker);
            // SAFETY: this is `cpu`; nothing has been put into its ring since
            // `pick` found it empty, except by a waker on this CPU, and then
            // there is something to do without stealing.
            let found = unsafe {
                if worker.ring.is_empty() {
                    self.steal(cpu, worker)
                } else {
                    None
                }
            };
            let any = found.is_some();
            if let Some(task) = found {
                // SAFETY: this is `cpu`.
                unsafe { worker.enqueue(task) };
            }
            self.end_search(cpu, any);
        }
    }

    /// Is there anything that this CPU could run?
    fn find_work(&self, worker: &Worker) -> bool {
        self.has_work(worker) || self.workers.iter().any(|other| other.has_stealable())
    }

    /// Arms the hardware timer for the nearest deadline, if that has changed.
    fn arm(&self, worker: &Worker) {
        let next = worker.timers.next();
        // SAFETY: on our own CPU; the closure calls nothing.
        let changed = unsafe {
            worker.local(|local| {
                let rearm = core::mem::take(&mut local.rearm);
                core::mem::replace(&mut local.armed, next) != next || rearm
            })
        };
        if changed {
            self.platform.set_timer(next);
        }
    }

    /// Is the hardware timer armed for later than `next`?
    fn armed_later(&self, worker: &Worker, next: u64) -> bool {
        // SAFETY: on our own CPU; the closure calls nothing.
        unsafe { worker.local(|local| local.armed.is_none_or(|armed| armed > next)) }
    }

    /// A timer was put into `cpu`'s wheel, for `deadline`, and is the nearest.
    pub(crate) fn timer_moved(&self, cpu: usize, deadline: u64) {
        match self.here() {
            Some((here, worker)) if here == cpu => {
                // SAFETY: on our own CPU; the closure calls nothing.
                let earlier = unsafe {
                    worker.local(|local| {
                        let earlier = local.armed.is_none_or(|armed| deadline < armed);
                        if earlier {
                            local.armed = Some(deadline);
                        }
                        earlier
                    })
                };
                if earlier {
                    self.platform.set_timer(Some(deadline));
                }
            }
            _ => {
                self.rouse(cpu);
            }
        }
    }

    /// Wakes whose time has come.
    fn fire_timers(&self, worker: &Worker) {
        let Some(next) = worker.timers.next() else {
            return;
        };
        let now = self.platform.now();
        if next > now {
            return;
        }
        // The hardware timer has gone off, or is about to.
        // SAFETY: on our own CPU; the closure calls nothing.
        unsafe { worker.local(|local| local.armed = None) };
        let fired = worker.timers.fire(now);
        worker.tally.timers.add(fired);
        self.arm(worker);
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for cpu in 0..self.workers.len() {
            self.rouse(cpu);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        // In `rest` the fence in `park` comes before; elsewhere sooner or later
        // is enough.
        self.stopping.load(Ordering::Relaxed)
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

    /// The end of a worker: drops every task that is left.
    ///
    /// A task that waits is cancelled, which puts it into a queue; a cancelled
    /// task that is run is dropped. So the loop is the usual one with every
    /// task cancelled before it is run. New tasks that the dropped ones spawn
    /// are dropped in the same way. It ends when no CPU has a task left.
    fn drain(&self, cpu: usize, worker: &Worker) {
        self.cancel_all();
        loop {
            self.platform.between_polls();
            // SAFETY: this is `cpu`.
            let task = unsafe { self.pick(worker).or_else(|| self.steal(cpu, worker)) };
            if let Some(task) = task {
                self.drop_task(cpu, worker, task);
            } else if self.workers.iter().all(|w| w.tasks.with(|t| t.is_empty())) {
                break;
            } else {
                // Others are still at it, or polled a task before they saw
                // that the executor stops, and it waits now.
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

    /// Cancels all tasks; those that wait go into queues of their homes.
    fn cancel_all(&self) {
        for worker in &self.workers {
            worker.tasks.with(|tasks| {
                tasks.for_each(|task| {
                    // SAFETY: a task in the list has not completed, so it
                    // lives.
                    let header = unsafe { task.as_ref() };
                    if !header.state.is_cancelled() && header.state.cancel() == Wake::Submit {
                        // SAFETY: the bit was just set on an idle task.
                        let task = unsafe { Runnable::new(task) };
                        match task.header().class {
                            Class::Pinned => worker.pinned.push(task),
                            Class::Interactive | Class::Background => worker.inbox.push(task),
                        }
                    }
                });
            });
        }
    }

    /// Drops what is left when nobody runs the executor any more.
    ///
    /// Pinned tasks may hold what only their CPU may drop. If their worker has
    /// never come to its end they are leaked rather than dropped elsewhere.
    pub(super) fn drop_rest(&self) {
        self.cancel_all();
        loop {
            // SAFETY: the executor is being dropped, so nobody runs it, and
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
                .or_else(|| self.injection.pop().task());
            let Some(task) = next else { break };
            let _ = task.header().state.cancel();
            let _ = task.run(0);
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
