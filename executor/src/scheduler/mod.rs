//! Which task runs on which CPU, and when.
//!
//! Each CPU has a [`Worker`](worker::Worker) with these queues:
//!
//! | queue | which CPUs put tasks there | which take them |
//! |---|---|---|
//! | slot | the CPU itself: the task woken last | the CPU itself |
//! | ring | the CPU itself | the CPU itself, and any that steals |
//! | inbox | other CPUs, and the CPU itself when the ring is full | the same |
//! | pinned | any, tasks that stay on this CPU | the CPU itself |
//! | background | any, background tasks | the CPU itself, and any that steals |
//!
//! One more queue, the injection queue, takes what is spawned outside all CPUs.
//! The ring is an array; all the others are intrusive lists through the tasks,
//! so waking a task never allocates and no queue is ever full. `next_task` says in which order
//! the queues have their turns.
//!
//! An executor that shares time instead of turns has the queues of [`fair`] in their place.
//!
//! # Where a wake-up goes (rule E5)
//!
//! To the CPU where the task ran last. If that is the CPU that wakes, into its
//! slot: the two tasks likely talk to each other and share the cache. The task
//! that was in the slot goes to the ring.
//!
//! # Parking (rule E3)
//!
//! See [`parking`]. In short: a CPU stores that it is parked, executes a SeqCst fence, loads
//! all queues once more, and halts. A CPU that enqueues a task stores it first, executes a
//! SeqCst fence, and loads which CPUs are parked. One of the two loads observes the other
//! side's store.
//!
//! # Stealing
//!
//! A CPU that finds nothing takes half of another CPU's ring, or a handful from
//! its inbox or background queue. While one CPU searches, no other is woken to
//! search; the last searcher that finds something wakes the next if there is
//! more to be found, so that a burst wakes the machine one by one and not all
//! at once.
//!
//! Reading order: `worker`, `ring`, `injector`, [`parking`]; `enqueue` (where a wake-up goes),
//! `next_task` (what is polled next), `chain`, [`fair_queue`],
//! [`urgent_queue`], `throttle` and [`fair`] (time instead of turns),
//! `run` (the loop), `alarm` (the hardware timer), `task_list` and `current` (what observers
//! see), `end` (shutdown); `executor` is the interface for users.

mod alarm;
mod block_on;
mod chain;
mod counters;
mod current;
mod end;
mod enqueue;
mod executor;
mod fair;
mod fair_queue;
mod injector;
mod next_task;
mod parking;
mod ring;
mod run;
pub(crate) mod shared;
mod snapshot;
mod task_list;
mod throttle;
mod urgent_queue;
mod worker;

pub use counters::Counters;
pub use current::RunningTask;
pub use executor::{Executor, SpawnError, Task};
pub use snapshot::TaskInfo;

/// What the models look at.
#[cfg(all(test, loom))]
pub(crate) mod models;
