//! cowfork: an async SMP kernel whose `fork` copies one table.
//!
//! Three ideas:
//!
//! 1. **A user thread is a future.** Polling it enters ring 3; a trap, a system call or
//!    the end of its time slice returns to the poll. System calls are `async fn`s. There
//!    is one kernel stack per CPU, none per thread.
//! 2. **An address space is a persistent tree.** `fork` copies the root and takes one
//!    reference on each table below. A write fault breaks COW on the path from the root to
//!    the page, one level at a time.
//! 3. **What can wait, waits outside the fault.** TLB shootdown and dropping of
//!    references are queued; no CPU spins for another.
//!
//! In reading order: [`memory`] is what the kernel exists for. [`process`] has threads
//! and processes, [`sched`] puts them on the executor. [`syscall`] is the way in for
//! programs, [`fs`] their files, [`net`] their sockets. [`arch`] is the machine, `start` the beginning and the end.
//! [`trace`] records what all of them do. `tests/layers` has the order in which they may import each
//! other. What several of them share is small: `errno`, [`wait`] (a wait that a signal can end),
//! `cmdline`, `log`. `testing` is the simulated machine, and not in the kernel's image.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod arch;
#[cfg(not(loom))]
pub mod cmdline;
pub mod errno;
#[cfg(not(loom))]
pub mod fs;
pub mod log;
pub mod memory;
#[cfg(not(loom))]
pub mod net;
#[cfg(target_os = "none")]
pub mod panic;
#[cfg(not(loom))]
pub mod process;
pub mod sched;
#[cfg(target_os = "none")]
mod selftest;
#[cfg(target_os = "none")]
mod start;
#[cfg(not(loom))]
pub mod syscall;
#[cfg(not(target_os = "none"))]
pub mod testing;
pub mod trace;
pub mod wait;
