//! Who runs what where.
//!
//! Each CPU has a [`Worker`](worker::Worker) with, in the order in which it
//! looks:
//!
//! | place | who puts tasks there | who takes them |
//! |---|---|---|
//! | slot | the CPU itself: the task woken last | the CPU itself |
//! | ring | the CPU itself | the CPU itself, and any that steals |
//! | inbox | other CPUs, and the CPU itself when the ring is full | the same |
//! | pinned | anybody, tasks that stay on this CPU | the CPU itself |
//! | background | anybody, background tasks | the CPU itself, and any that steals |
//!
//! One more queue, the injection, takes what is spawned from outside all CPUs.
//! The ring is an array; all the others are intrusive lists through the tasks,
//! so waking a task never allocates and no queue is ever full.
//!
//! # Where a wake-up goes (rule E5)
//!
//! To the CPU where the task ran last. If that is the CPU that wakes, into its
//! slot: the two tasks likely talk to each other and share the cache. The task
//! that was in the slot goes to the ring.
//!
//! # Parking (rule E3)
//!
//! See [`parking`]. In short: a CPU first says that it is parked, then looks
//! at all queues once more, then halts. Who puts a task somewhere does so
//! first and then looks who is parked. Both sides have a sequentially
//! consistent fence between, so one of them sees the other.
//!
//! # Stealing
//!
//! A CPU that finds nothing takes half of a neighbour's ring, or a handful from
//! its inbox or background queue. While one CPU searches, no other is woken to
//! search; the last searcher that finds something wakes the next if there is
//! more to be found, so that a burst wakes the machine one by one and not all
//! at once.
//!
//! Reading order: `worker`, `ring`, `injector`, [`parking`]; `place` (where a
//! wake-up goes), `next_task` (what is polled next), `run` (the loop), `alarm` (the
//! hardware timer), `end` (shutdown); `executor` is what users see of it.

mod alarm;
mod block_on;
mod counters;
mod current;
mod end;
mod enqueue;
mod executor;
mod injector;
mod next_task;
mod parking;
mod ring;
mod run;
mod shared;
mod snapshot;
mod task_list;
mod worker;

pub use counters::Counters;
pub use current::RunningTask;
pub use executor::{Executor, SpawnError, Task};
pub(crate) use shared::Shared;
pub use snapshot::TaskInfo;

/// What the models look at.
#[cfg(all(test, loom))]
pub(crate) mod models;
