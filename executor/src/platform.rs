//! What the executor needs of the machine beneath it.

use crate::task::TaskId;

/// The machine: which CPU this is, what time it is, how to halt and how to be woken.
///
/// # Safety
///
/// The per-CPU queues are written by their own CPU without atomic operations,
/// so the executor relies on:
///
/// - [`cpu`](Self::cpu) returns a number below the executor's number of CPUs
///   only on the one thread of execution that runs (or is about to run, or has
///   run) [`Executor::run`](crate::Executor::run) for that CPU. Any other
///   thread (a host thread that is no worker) gets a number that is not below it, for
///   instance `usize::MAX`.
/// - An interrupt handler that calls into the executor (to wake a task) runs
///   only while its CPU is inside [`idle`](Self::idle) or inside the poll of a
///   task and outside this crate. A kernel that masks interrupts in kernel
///   mode and takes them in user mode and while halted keeps this by itself.
pub unsafe trait Platform: Send + Sync + 'static {
    /// The CPU this runs on.
    fn cpu(&self) -> usize;

    /// Monotonic time in nanoseconds.
    fn now(&self) -> u64;

    /// Time for the task statistics (time busy of a task, `running_since`), read
    /// once per poll. A platform whose clock is slow may return a coarser one,
    /// or always 0 to measure no time.
    fn stamp(&self) -> u64 {
        self.now()
    }

    /// Arms this CPU's one-shot timer for the absolute time `deadline`, or
    /// turns it off. When it goes off it ends [`idle`](Self::idle), at once if
    /// the deadline has passed.
    fn set_timer(&self, deadline: Option<u64>);

    /// Makes `cpu` return from [`idle`](Self::idle) soon, with one interrupt.
    fn wake_cpu(&self, cpu: usize);

    /// Halts until an interrupt.
    ///
    /// An IPI or a timer interrupt that comes after the executor has decided to call
    /// this must end it too: the wake-up stays pending, like an unpark token
    /// of a thread, or an interrupt that waits for `sti; hlt`.
    /// May return early.
    fn idle(&self);

    /// The task that is polled on `cpu`, which may be this CPU, has had more than one that waits
    /// there: makes it give way soon, with an IPI if it is in user mode on another CPU. Only in an
    /// executor that shares time (see [`Executor::fair`](crate::Executor::fair)); by default it
    /// goes on until it yields by itself.
    fn preempt(&self, cpu: usize) {
        let _ = cpu;
    }

    /// As [`preempt`](Self::preempt), but at `time`, unless the poll has ended by then.
    fn preempt_at(&self, cpu: usize, time: u64) {
        let _ = (cpu, time);
    }

    /// Called by the worker before each poll: the platform's chance to serve
    /// requests of other CPUs.
    fn between_polls(&self) {}

    /// Called when this CPU has found nothing to do and is about to halt.
    fn before_idle(&self) {}

    /// Called when a poll of `task` begins on this CPU: for a trace of events.
    /// Like the next two it does nothing and costs nothing unless it is
    /// implemented.
    fn poll_begins(&self, task: TaskId, name: &'static str) {
        let _ = (task, name);
    }

    /// Called when that poll has ended. The task may be gone.
    fn poll_ends(&self) {}

    /// Called when this CPU has taken `tasks` tasks from the CPU `victim`.
    fn stole(&self, victim: usize, tasks: usize) {
        let _ = (victim, tasks);
    }
}
