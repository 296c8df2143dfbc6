//! The executor on this machine: run queues, timers, time slices, idle CPUs (rules E3, E4).

#[cfg(not(loom))]
mod haltpoll;
pub mod ipi;
#[cfg(not(loom))]
mod machine;

#[cfg(not(loom))]
pub use machine::{Hooks, Machine, all_cpus, begin_slice, executor, init, may_go_on};
