//! The task cell.
//!
//! A task is one allocation: its [`TaskStats`], if the executor keeps any; a
//! [`Header`] of a fixed layout; the scheduler's handle; and the *stage*, which
//! holds the future and later its output. All other code holds pointers to the header:
//!
//! - [`Runnable`]: the right to run the task once. There is at most one per task. The
//!   state bit `SCHEDULED` stands for it, both while it is in a queue and while the
//!   code that set the bit carries it there. It holds no reference: only running
//!   the task can complete it, and the executor's reference is given up last, after
//!   completion.
//! - wakers: one reference each. The waker that a poll lends to the future is
//!   made without counting; only clones count.
//! - [`JoinHandle`]: one reference.
//!
//! # Which code may touch which field
//!
//! - `stage`: the CPU that has set `RUNNING`. After `COMPLETE` the stage belongs to the
//!   join handle if `JOIN_INTEREST` was set at that moment, else to the CPU that
//!   completed the task.
//! - `joiner`: the join handle while `JOIN_WAKER` is clear and the task
//!   has not completed; the completing CPU after `COMPLETE`.
//! - `link`: the queue that holds the `Runnable`.
//! - `owned`: the lock of the list of tasks.
//! - `stats`: the CPU that has set `RUNNING` stores; any CPU loads.
//!
//! Each hand-over is a read-modify-write of the state word (AcqRel): the next transition
//! observes what was stored before the previous one. Rule E2 (no wake-up lost, never two
//! polls at once, no poll after the end) follows from the transitions in [`state`], which
//! are model-checked in `models`.
//!
//! Reading order: `label`, `share`, `run_time`, [`state`], `stats`, `header`, `waker`, `context`, `coop`, `joiner`,
//! `join`, `cell`. Each file uses only those before it.

mod cell;
pub(crate) mod context;
pub(crate) mod coop;
mod header;
mod join;
mod join_error;
mod joiner;
mod label;
pub(crate) mod run_time;
pub(crate) mod share;
mod state;
mod stats;
mod waker;

pub(crate) use cell::{Schedule, TaskSpec, allocate};
pub(crate) use header::{Class, Header, Link, PollOutcome, Runnable};
pub use join::{AbortHandle, JoinHandle};
pub use join_error::JoinError;
pub use label::{Label, TaskId};
pub use share::Share;
pub(crate) use share::ShareWord;
pub use state::Phase;
pub(crate) use state::Wake;
pub(crate) use stats::TaskStats;
