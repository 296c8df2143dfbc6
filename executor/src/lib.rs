//! A multi-CPU async runtime for kernels: `no_std` with `alloc`, and no
//! operating system beneath it.
//!
//! # Principles
//!
//! - The machine comes in through one trait, [`Platform`]: which CPU is this,
//!   what time is it, arm a timer, wake a CPU, halt.
//! - A task is one allocation, and neither a wake-up nor waiting allocates:
//!   queues, timers and the waiters of a lock are links inside tasks and
//!   futures. No queue is ever full, and no wake-up fails for want of memory.
//!   (Only who joins a task by a waker that is not itself a task's takes a box.)
//!   [`Task::try_spawn`] gives the future back when there is none for a task.
//! - A task that waits is seven words and its future. Seven more make it
//!   visible: name, number, polls, time, what it waits for. With the feature
//!   `lean` an executor may do without them.
//! - Per-CPU first: a task is woken on the CPU where it last ran, and stolen
//!   when a neighbour is idle.
//! - A CPU without work halts. A halted CPU gets one reschedule IPI, a busy one none, and
//!   an idle one has no tick.
//! - All that waits can be dropped while it waits: every primitive here is
//!   cancellation-safe, and says what that means for it.
//!
//! # Example
//!
//! On the host (feature `std`) the CPUs are threads:
//!
//! ```
//! use executor::host::Runtime;
//! use executor::sync::oneshot;
//!
//! let runtime = Runtime::new(2);
//! let executor = runtime.executor();
//! let (sender, receiver) = oneshot::channel();
//! executor.spawn("sender", async move { sender.send(42) }).detach();
//! assert_eq!(runtime.block_on(receiver), Ok(42));
//! ```
//!
//! A kernel implements [`Platform`], puts an [`Executor`] into a static, and
//! has each CPU call [`Executor::run`].
//!
//! # Rules
//!
//! Comments cite them.
//!
//! - **E1** No lock guard lives across an `.await`; spin locks are held for a
//!   few instructions, and no waker is called while one is held.
//! - **E2** No wake-up is lost, no task is polled twice at once, and none after
//!   it has finished.
//! - **E3** A CPU without work halts; a wake-up for a halted CPU sends one
//!   interrupt.
//! - **E4** A task that keeps its CPU is visible: [`Executor::running_since`].
//! - **E5** Work is per-CPU first; the fast paths share no cache line.
//!
//! # How it is checked
//!
//! - `models`: `loom` runs the task cell, the queues, the parking of CPUs, the
//!   timers and each primitive's hand-over through all interleavings; see
//!   there for the command, and for the fault that makes each model fail.
//! - `tests/machine.rs`: the executor on a machine that is a script, which
//!   notes what is asked of it: wake-ups of CPUs, timers, halts.
//! - `tests/stress.rs`: 1, 2, 4 and 8 host threads. `tests/channels.rs` and
//!   `time/tests.rs`: any sequence of operations against plain reference
//!   models.
//! - `cargo +nightly miri test --package executor --test tasks --test machine --test stress`
//!   looks for undefined behaviour and leaks in what the tests happen to do; it
//!   does not look for all interleavings.
//! - `benches`: against tokio and `async-executor`.
//!
//! # Reading order
//!
//! [`platform`](Platform), `facade` (atomics, or `loom`'s), `list` (intrusive
//! lists), `task` (the cell and its state word), `scheduler` (queues, parking,
//! the worker's loop), [`time`] (the wheel), [`sync`], and `host` (the platform
//! on host threads, feature `std`).

#![no_std]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(any(feature = "std", test, loom))]
extern crate std;

mod batch;
mod facade;
#[cfg(all(feature = "std", not(loom)))]
pub mod host;
mod join_set;
mod list;
#[cfg(all(test, loom))]
mod models;
mod platform;
mod scheduler;
pub mod sync;
mod task;
pub mod time;
mod yielding;

pub use join_set::JoinSet;
pub use platform::Platform;
pub use scheduler::{Counters, Executor, RunningTask, SpawnError, Task, TaskInfo};
pub use task::{AbortHandle, JoinError, JoinHandle, Label, Phase, TaskId};
pub use yielding::{YieldNow, spend_budget, yield_now};
