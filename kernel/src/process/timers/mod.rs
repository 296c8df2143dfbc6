//! Timers of a process: POSIX timers (timer_create(2)), and what counts CPU time (setitimer(2) with
//! `ITIMER_VIRTUAL` and `ITIMER_PROF`, `RLIMIT_CPU`).
//!
//! In reading order: `overrun` counts expirations of a timer whose signal waits; `table` has the POSIX
//! timers of a process, `cpu` its accounts of CPU time. These are data, which the process holds. Above
//! them `posix` makes and sets timers and has the task that waits for those of real time, and `expire`
//! finds at the end of a poll that CPU time is up.
//!
//! The interval timer of real time is in `signal::alarm`.

pub(super) mod cpu;
mod expire;
pub(super) mod overrun;
mod posix;
pub(super) mod table;

pub use expire::IntervalTimer;
pub use posix::{NoTimer, Start};
pub use table::{Notify, TimerClock};
