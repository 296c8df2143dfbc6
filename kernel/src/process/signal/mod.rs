//! Signals (signal(7)).
//!
//! In reading order: `number` and `info` are what a signal is; `action` is what a process wants
//! done with it; `queue` holds those that were sent and not taken; `state` is all of that for a
//! process and for each of its threads, under one lock; `send` puts signals in, `take` gets them
//! out and does what they say; `orphans` are groups that nobody continues; `handler` and `altstack` are how a program's function is called
//! and returned from; `mask` is holding back, and waiting for signals;
//! `restart` what is left of a system call that was interrupted; `timer` sends `SIGALRM`.
//!
//! A signal is sent to a process or to one of its threads, and stays pending until a thread takes
//! it, which threads do before they enter user mode. A system call that waits is given up at any
//! place when a signal is pending that ends the process, and at the places that say so for all
//! others (see [`wait`](crate::wait)).

mod action;
mod altstack;
mod handler;
mod info;
mod mask;
mod number;
mod orphans;
mod queue;
mod restart;
mod send;
mod state;
mod take;
mod timer;

pub use action::{Action, Disposition};
pub use info::{ChildEvent, SigInfo};
pub use number::Signal;
pub(super) use orphans::check_orphaned_group;
pub(super) use queue::MAX_QUEUED;
pub use queue::QueueFull;
pub use restart::Continuation;
pub(super) use send::kill_all;
pub use send::{send, send_to_all, send_to_group};
pub(super) use state::{InheritedSignals, Signals, ThreadSignals};
pub use timer::TimerState;
