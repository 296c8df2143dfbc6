//! A multi-CPU async runtime for kernels: `no_std` with `alloc`, and no
//! operating system beneath it.
//!
//! # Principles
//!
//! - The machine comes in through one trait, [`Platform`]: which CPU this is,
//!   what time it is, how to arm a timer, to wake a CPU by an IPI, and to halt.
//! - A task is one allocation, and neither a wake-up nor waiting allocates:
//!   queues, timers and the waiters of a lock are links inside tasks and
//!   futures. No queue is ever full, and no wake-up fails for want of memory.
//!   (One exception: a waker that is not a task's takes a box to join a task.)
//!   [`Task::try_spawn`] gives the future back when there is no memory for a task.
//! - A task that waits is seven words and its future. Eight more words make it
//!   visible, its statistics: name, number, polls, time, share, what it waits for. With the feature
//!   `lean` an executor may do without them.
//! - Per-CPU first: a task is woken on the CPU where it last ran, and stolen
//!   when another CPU is idle.
//! - A CPU without work halts. A halted CPU gets one IPI, a busy one none, and
//!   an idle one has no tick.
//! - CPUs share turns ([`Executor::new`]) or time ([`Executor::fair`]).
//! - Every wait can be dropped: every primitive here is
//!   cancellation-safe, and its documentation says what that means for it.
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
//! each of its CPUs calls [`Executor::run`].
//!
//! # Rules
//!
//! Comments cite them.
//!
//! - **E1** No lock guard lives across an `.await`. Spin locks are held for a
//!   few instructions; while one is held nothing allocates, no waker is called and no IPI is
//!   sent. The host's debug build checks that.
//! - **E2** No wake-up is lost, no task is polled twice at once, and none after
//!   it has finished.
//! - **E3** A CPU without work halts; a wake-up for a halted CPU sends one
//!   interrupt.
//! - **E4** A task that keeps its CPU is visible: [`Executor::running_since`].
//! - **E5** Work is per-CPU first; the fast paths share no cache line.
//! - **E6** In an executor that shares time a task has its part by weight, however often it
//!   yields, and a task that wakes preempts one that has had more.
//!
//! # How it is checked
//!
//! - `models`: `loom` runs the task cell, the queues, the parking of CPUs, the
//!   timers and each primitive's hand-over through all interleavings; see
//!   there for the command, and for the fault that makes each model fail.
//! - `tests/machine.rs` and `tests/fairness.rs`: the executor on a machine that is a script,
//!   which notes what is asked of it: IPIs, timers, halts, preemptions.
//! - `tests/stress.rs`: 1, 2, 4 and 8 host threads. `tests/locks_held.rs`: rule E1, with an
//!   allocator that checks it. `tests/channels.rs` and
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
pub use task::{AbortHandle, JoinError, JoinHandle, Label, Phase, Share, TaskId};
pub use yielding::{YieldNow, spend_budget, yield_now};
