//! The executor, as its users see it.

use super::counters::Counters;
use super::current::RunningTask;
use super::shared::{NOWHERE, OwnerCpu, Shared};
use super::snapshot::TaskInfo;
use crate::platform::Platform;
use crate::task::context::set_affinity;
use crate::task::{self, Class, JoinHandle, Runnable, Share, TaskId};
use crate::time::{Interval, Sleep, Timeout};
use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::task::{Context, Poll};
use crossbeam_utils::CachePadded;

/// A multi-CPU executor on a [`Platform`].
///
/// Each CPU calls [`run`](Self::run) once and stays there; tasks are spawned
/// from anywhere.
///
/// Dropping it drops all tasks that are left (see
/// [`shutdown`](Self::shutdown)).
pub struct Executor<P: Platform> {
    shared: Arc<Shared<P>>,
    /// One for each CPU.
    homes: Box<[Arc<CachePadded<OwnerCpu<P>>>]>,
}

impl<P: Platform> Executor<P> {
    /// An executor for `cpus` CPUs, numbered from 0.
    ///
    /// # Panics
    ///
    /// If `cpus` is 0, or more than 65,535.
    pub fn new(platform: P, cpus: usize) -> Self {
        Self::with(platform, cpus, true, false)
    }

    /// As [`new`](Self::new), but CPU time is shared instead of turns: a CPU polls the ready task
    /// that has been polled for the least time, by its weight. A task that yields early keeps its
    /// share, and one that has slept goes before those that have run meanwhile; it
    /// [preempts](Platform::preempt) the running one. A background task counts eightfold, and
    /// [`set_share`](Self::set_share) gives a task another weight, or lets it go before all others.
    ///
    /// Time is measured by [`Platform::stamp`], which therefore has to tell it.
    ///
    /// ```
    /// # struct Machine;
    /// # unsafe impl executor::Platform for Machine {
    /// #     fn cpu(&self) -> usize { 0 }
    /// #     fn now(&self) -> u64 { 0 }
    /// #     fn set_timer(&self, _: Option<u64>) {}
    /// #     fn wake_cpu(&self, _: usize) {}
    /// #     fn idle(&self) {}
    /// # }
    /// let executor = executor::Executor::fair(Machine, 1);
    /// let task = executor.spawn("answer", async { 42 });
    /// assert_eq!(executor.block_on(task).unwrap(), 42);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn fair(platform: P, cpus: usize) -> Self {
        Self::with(platform, cpus, true, true)
    }

    /// As [`new`](Self::new), but its tasks have no stats (feature `lean`): no
    /// name, no counts of polls and time, no word of what they wait for, and a
    /// number ([`TaskId`](crate::TaskId)) that may come again when they are gone.
    /// That makes each smaller by eight words.
    ///
    /// A snapshot of the [tasks](Self::tasks) shows where each is and what it is
    /// doing all the same, but the name is empty and the counts are 0;
    /// [`set_affinity`](Self::set_affinity) has nowhere to note the CPUs, and does nothing.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[cfg(feature = "lean")]
    pub fn lean(platform: P, cpus: usize) -> Self {
        Self::with(platform, cpus, false, false)
    }

    fn with(platform: P, cpus: usize, stats: bool, is_fair: bool) -> Self {
        assert!(cpus > 0, "an executor needs a CPU");
        assert!(cpus <= usize::from(NOWHERE), "too many CPUs");
        let shared = Arc::new(Shared::new(platform, cpus, stats, is_fair));
        let home = |cpu| Arc::new(CachePadded::new(OwnerCpu::new(Arc::clone(&shared), cpu)));
        Self {
            homes: (0..cpus).map(home).collect(),
            shared,
        }
    }

    /// The platform beneath.
    pub fn platform(&self) -> &P {
        &self.shared.platform
    }

    /// How many CPUs it was made for.
    pub fn cpus(&self) -> usize {
        self.shared.workers.len()
    }

    /// This CPU's worker: polls tasks, fires timers, halts when there is
    /// nothing to do. Returns only after [`shutdown`](Self::shutdown).
    ///
    /// # Panics
    ///
    /// If it is called outside all CPUs.
    pub fn run(&self) {
        self.shared.run();
    }

    /// Runs this CPU's worker until `future` is ready: for start-up, before the
    /// CPU calls [`run`](Self::run) and has other tasks. Not to be called by a
    /// task, which awaits instead.
    ///
    /// # Panics
    ///
    /// If it is called outside all CPUs.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.shared.block_on(future)
    }

    /// Stops the workers. Each finishes the poll that it is in; then they drop
    /// all tasks that are left, each pinned one on its own CPU, and those that
    /// these spawn while they are dropped. Their join handles give
    /// [`JoinError::Cancelled`](crate::JoinError::Cancelled).
    ///
    /// Does not wait: [`run`](Self::run) returns on each CPU when no task is
    /// left anywhere. All CPUs have to be in `run`, or get there.
    pub fn shutdown(&self) {
        self.shared.stop();
    }

    /// Begins the spawning of a task that is not an ordinary one.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor();
    /// let task = executor.task("sweep").background().spawn(async { 6 * 7 });
    /// # assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    pub fn task(&self, name: &'static str) -> Task<'_, P> {
        Task {
            executor: self,
            name,
            class: Class::Interactive,
            cpu: None,
        }
    }

    /// Starts a task: `future` runs on its own, on any CPU.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor();
    /// let task = executor.spawn("answer", async { 42 });
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task(name).spawn(future)
    }

    /// Starts a task that runs when there is nothing more urgent, and now and
    /// then even so.
    pub fn spawn_background<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task(name).background().spawn(future)
    }

    /// Starts a task that runs on `cpu` only.
    ///
    /// # Panics
    ///
    /// If there is no such CPU.
    pub fn spawn_on<F>(&self, cpu: usize, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task(name).on(cpu).spawn(future)
    }

    /// Starts a task on this CPU, where it stays, so that its future need not
    /// be `Send`.
    ///
    /// # Panics
    ///
    /// If this is called outside all CPUs.
    pub fn spawn_pinned<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let Some((cpu, _)) = self.shared.here() else {
            panic!("`spawn_pinned` was called outside all CPUs of the executor");
        };
        // The future is polled and dropped on this CPU only.
        match self.task(name).on(cpu).start(future) {
            Ok(handle) => handle,
            Err(SpawnError(future)) => no_memory(&future),
        }
    }

    /// Is other work ready for this CPU? To be asked by a task at the end of
    /// its time slice: if not, there is no point in yielding.
    pub fn contended(&self) -> bool {
        self.shared.contended()
    }

    /// Keeps the task that polls to some CPUs, from its next poll on: bit `n`
    /// stands for CPU `n`, and a set without any CPU of this executor for all. It
    /// is not stolen by others, but each time it is woken or yields it goes to one of
    /// them that is halted, if any is.
    ///
    /// `Pending`: this CPU is not among them. The task has been put into the queue
    /// of one that is, and the poll should end.
    ///
    /// Nothing happens to a task that was spawned for one CPU, nor behind another
    /// waker than the task's own, nor in an executor without stats (feature `lean`).
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(2);
    /// # let executor = runtime.executor().clone();
    /// # runtime.block_on(async move {
    /// let inner = executor.clone();
    /// let kept = async move {
    ///     std::future::poll_fn(|context| inner.set_affinity(context, 0b01)).await;
    ///     // CPU 0, whatever happens.
    /// };
    /// executor.spawn("kept", kept).await.unwrap();
    /// # });
    /// ```
    pub fn set_affinity(&self, context: &Context<'_>, cpus: u64) -> Poll<()> {
        let all = match self.cpus() {
            count if count < u64::BITS as usize => (1 << count) - 1,
            _ => u64::MAX,
        };
        let is_all = cpus & all == all && self.cpus() <= u64::BITS as usize;
        set_affinity(context, if is_all { 0 } else { cpus & all })
    }

    /// Gives the task that polls another share of its CPU, from now on. In an executor that shares
    /// turns, behind another waker than the task's own, and without stats (feature `lean`), nothing
    /// happens.
    ///
    /// ```
    /// # struct Machine;
    /// # unsafe impl executor::Platform for Machine {
    /// #     fn cpu(&self) -> usize { 0 }
    /// #     fn now(&self) -> u64 { 0 }
    /// #     fn set_timer(&self, _: Option<u64>) {}
    /// #     fn wake_cpu(&self, _: usize) {}
    /// #     fn idle(&self) {}
    /// # }
    /// use executor::{Executor, Share};
    /// use core::{future::poll_fn, task::Poll};
    /// let executor = std::sync::Arc::new(Executor::fair(Machine, 1));
    /// let inner = executor.clone();
    /// let task = executor.spawn("light", poll_fn(move |context| {
    ///     inner.set_share(context, Share::Weight(256));
    ///     Poll::Ready(())
    /// }));
    /// executor.block_on(task).unwrap();
    /// ```
    pub fn set_share(&self, context: &Context<'_>, share: Share) {
        self.shared.set_share(context, share);
    }

    /// The task that polls gives its turn away: if it is urgent it goes behind the others of its
    /// level when this poll ends with a yield. To be called before [`yield_now`](crate::yield_now).
    pub fn give_turn(&self) {
        self.shared.give_turn();
    }

    /// Offers what waits on this CPU to the others. To be called by a task
    /// that is about to keep its CPU for long (rule E4: a kernel, before it
    /// enters user mode): a task that was just woken waits in a place where
    /// only this CPU finds it, in the hope that the waker soon lets go.
    ///
    /// Costs a load when no CPU is parked.
    pub fn share_work(&self) {
        self.shared.share_work();
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.shared.now()
    }

    /// Waits until the time is `deadline` or later.
    pub fn sleep_until(&self, deadline: u64) -> Sleep<'_, P> {
        Sleep::new(&self.shared, deadline)
    }

    /// Waits for `ns` nanoseconds or longer.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor().clone();
    /// runtime.block_on(async move {
    ///     let before = executor.now();
    ///     executor.sleep(2_000_000).await;
    ///     assert!(executor.now() - before >= 2_000_000);
    /// });
    /// ```
    pub fn sleep(&self, ns: u64) -> Sleep<'_, P> {
        self.sleep_until(self.now().saturating_add(ns))
    }

    /// Gives `future` up after `ns` nanoseconds.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor().clone();
    /// use core::future::{pending, ready};
    /// runtime.block_on(async move {
    ///     assert_eq!(executor.timeout(1_000_000, ready(1)).await, Ok(1));
    ///     let late = executor.timeout(1_000_000, pending::<()>()).await;
    ///     assert_eq!(late, Err(executor::time::Elapsed));
    /// });
    /// ```
    pub fn timeout<F: Future>(&self, ns: u64, future: F) -> Timeout<'_, P, F> {
        Timeout::new(self.sleep(ns), future)
    }

    /// Ticks every `period` nanoseconds, for the first time at once.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor().clone();
    /// runtime.block_on(async move {
    ///     let mut interval = executor.interval(1_000_000);
    ///     let first = interval.tick().await;
    ///     assert_eq!(interval.tick().await, first + 1_000_000);
    /// });
    /// ```
    pub fn interval(&self, period: u64) -> Interval<'_, P> {
        Interval::new(self.sleep_until(self.now()), period)
    }

    /// What `cpu` has done so far; `None` if there is no such CPU.
    pub fn counters(&self, cpu: usize) -> Option<Counters> {
        self.shared
            .workers
            .get(cpu)
            .map(|worker| worker.tally.read(self.now()))
    }

    /// The poll that goes on on `cpu`, for a watchdog (rule E4).
    pub fn running_since(&self, cpu: usize) -> Option<RunningTask> {
        self.shared.running_since(cpu)
    }

    /// All tasks that have not completed, in the order of their numbers.
    ///
    /// Allocates; see [`try_tasks`](Self::try_tasks).
    pub fn tasks(&self) -> Vec<TaskInfo> {
        match self.shared.snapshot(usize::MAX) {
            Ok(tasks) => tasks,
            Err(_) => no_memory(&self.shared),
        }
    }

    /// As [`tasks`](Self::tasks), but `limit` of them at most, and with an
    /// answer where there is no memory for them. The lock of a CPU's list is
    /// held for a bounded number of tasks at a time.
    ///
    /// ```
    /// # let runtime = executor::host::Runtime::new(1);
    /// # let executor = runtime.executor();
    /// let forever = executor.spawn("forever", core::future::pending::<()>());
    /// let tasks = executor.try_tasks(100)?;
    /// assert!(tasks.iter().any(|task| task.name == "forever"));
    /// assert!(executor.try_tasks(0)?.is_empty());
    /// # forever.abort();
    /// # Ok::<(), std::collections::TryReserveError>(())
    /// ```
    pub fn try_tasks(&self, limit: usize) -> Result<Vec<TaskInfo>, TryReserveError> {
        self.shared.snapshot(limit)
    }
}

impl<P: Platform> Drop for Executor<P> {
    fn drop(&mut self) {
        self.shared.stop();
        self.shared.drop_rest();
    }
}

impl<P: Platform> fmt::Debug for Executor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("cpus", &self.cpus())
            .finish_non_exhaustive()
    }
}

/// There is no memory for the task; this is its future.
pub struct SpawnError<F>(pub F);

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpawnError")
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for a task")
    }
}

impl<F> core::error::Error for SpawnError<F> {}

/// A task that is about to be spawned. Made by [`Executor::task`].
#[must_use = "a task runs only when it is spawned"]
pub struct Task<'a, P: Platform> {
    executor: &'a Executor<P>,
    name: &'static str,
    class: Class,
    cpu: Option<usize>,
}

impl<P: Platform> Task<'_, P> {
    /// Runs on `cpu` only.
    ///
    /// # Panics
    ///
    /// If there is no such CPU.
    pub fn on(mut self, cpu: usize) -> Self {
        assert!(cpu < self.executor.cpus(), "there is no CPU {cpu}");
        self.class = Class::Pinned;
        self.cpu = Some(cpu);
        self
    }

    /// Runs when there is nothing more urgent, and now and then even so. For a
    /// task that stays on one CPU this means nothing.
    pub fn background(mut self) -> Self {
        if self.class != Class::Pinned {
            self.class = Class::Background;
        }
        self
    }

    /// Starts it.
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.start(future) {
            Ok(handle) => handle,
            Err(SpawnError(future)) => no_memory(&future),
        }
    }

    /// Starts it, or gives the future back if there is no memory for the
    /// task. A task is one allocation.
    pub fn try_spawn<F>(self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.start(future)
    }

    /// Starts it; a future that is not `Send` must be for this very CPU.
    fn start<F>(self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let shared = &self.executor.shared;
        let stats = shared
            .has_stats()
            .then(|| (TaskId(shared.next_number()), self.name));
        let cpu = self.cpu.or(shared.here().map(|(cpu, _)| cpu));
        // From outside, the lists of tasks take turns.
        let homes = &self.executor.homes;
        let home = &homes[cpu.unwrap_or_else(|| shared.next_number() as usize % homes.len())];
        let about = task::TaskSpec {
            stats,
            class: self.class,
            last_cpu: cpu.map_or(NOWHERE, |cpu| cpu as u16),
        };
        let header = task::allocate(future, Arc::clone(home), about).map_err(SpawnError)?;
        // SAFETY: the task is alive by the executor's reference, new to the
        // list, and `finished` is called when it completes. The new handle has
        // the join handle's reference and the type of this future's output.
        let handle = unsafe {
            home.enter(header);
            JoinHandle::new(header)
        };
        // SAFETY: a new task is scheduled, and this is its one `Runnable`.
        let task = unsafe { Runnable::new(header) };
        if shared.is_stopping() {
            // Its CPU may have ended already. The future is dropped here, which
            // is where it came from.
            Shared::<P>::discard(task);
        } else {
            shared.enqueue(task);
        }
        Ok(handle)
    }
}

impl<P: Platform> fmt::Debug for Task<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("cpu", &self.cpu)
            .finish_non_exhaustive()
    }
}

fn no_memory<F>(_: &F) -> ! {
    alloc::alloc::handle_alloc_error(core::alloc::Layout::new::<F>())
}
