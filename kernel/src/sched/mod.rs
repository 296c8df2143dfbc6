//! The executor on this machine: run queues, timers, time slices, idle CPUs (rules E3, E4).
//!
//! | file | what is in it |
//! |---|---|
//! | `ipi` | waking another CPU: by a word in memory if it polls, else by an interrupt |
//! | `haltpoll` | whether an idle CPU polls for a while before it halts |
//! | `machine` | the executor's platform: the timer, idling, the watchdog |
//!
//! The layer stands on `arch` and `trace`. What has to happen in the memory system between two polls
//! comes in as [`Hooks`] at the start.

#[cfg(not(loom))]
mod haltpoll;
pub mod ipi;
#[cfg(not(loom))]
mod machine;

#[cfg(not(loom))]
pub use machine::{Hooks, Machine, SLICE, all_cpus, begin_slice, executor, init, may_go_on};
