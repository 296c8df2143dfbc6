//! The task cell.
//!
//! A task is one allocation: its [`TaskStats`], if the executor keeps any; a
//! [`Header`] of a fixed layout; the scheduler's handle; and the *stage*, which
//! is the future and later its output. Everyone else holds pointers to the header:
//!
//! - [`Runnable`]: the right to run the task once. There is at most one: the
//!   state bit `SCHEDULED` stands for it, whether it is in a queue or in the
//!   hands of who just set the bit. It holds no reference of its own, since a
//!   task that is scheduled has not completed, and the executor's reference
//!   lives until completion.
//! - wakers: one reference each. The waker that a poll lends to the future is
//!   made without counting; only clones count.
//! - [`JoinHandle`](crate::JoinHandle): one reference.
//!
//! # Who may touch what
//!
//! - `stage`: who has set `RUNNING`. After `COMPLETE` it belongs to the join
//!   handle, if `JOIN_INTEREST` was set at that moment, else to the completer.
//! - `joiner`: the join handle while `JOIN_WAKER` is clear and the task
//!   has not completed; the completer after `COMPLETE`.
//! - `link`: the queue that the `Runnable` is in.
//! - `owned`: the lock of the list of tasks.
//! - `stats`: written by who has set `RUNNING`, read by anybody.
//!
//! Rule E2 (no wake-up lost, never two polls at once, no poll after the end)
//! follows from the transitions in [`state`], which are model-checked in
//! `models`.
//!
//! Reading order: [`state`], `header`, `stats`, `cell`, `waker`, `joiner`,
//! `join`.

mod cell;
pub(crate) mod context;
mod header;
mod join;
mod joiner;
mod state;
mod stats;
mod waker;

pub(crate) use cell::{PollOutcome, Schedule, TaskSpec, allocate};
pub use context::Label;
pub(crate) use header::{Class, Header, Link, Runnable};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use state::Phase;
pub(crate) use state::Wake;
pub use stats::TaskId;
pub(crate) use stats::TaskStats;
