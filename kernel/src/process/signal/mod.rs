//! Signals (signal(7)).
//!
//! In reading order: `number` and `info` say what a signal is; `action` what a process does with
//! it; `queue` holds pending signals; `state` is all of that for a process and each of its threads,
//! under one lock, and `view` what they see of it; `send` queues signals and `take` delivers them; `orphans` finds process groups
//! without job control; `handler` and `altstack` call a program's handler and return from it; `mask`
//! is blocking and waiting for signals; `restart` is the rest of an interrupted system call; `timer`
//! and `alarm` send `SIGALRM`.
//!
//! A signal is sent to a process or to one of its threads. It stays pending until a thread takes it,
//! which a thread does before it enters user mode. A fatal signal ends a system call at any `.await`.
//! Every other signal ends only the waits that are marked as interruptible (see
//! [`wait`](crate::wait)).

mod action;
mod alarm;
mod altstack;
mod handler;
mod info;
mod mask;
pub(super) mod number;
mod orphans;
mod queue;
mod restart;
mod send;
pub(super) mod state;
mod take;
mod timer;
mod view;

pub use action::{Action, Disposition};
pub use info::{ChildEvent, SigInfo};
pub use number::Signal;
pub(super) use orphans::{check_orphaned_group, has_job_control};
pub use queue::QueueFull;
pub use restart::Continuation;
pub use send::{Sent, may_signal, send, send_to_all, send_to_group};
pub(super) use send::{kill_all, queue, wake_for};
pub(super) use state::{InheritedSignals, Signals};
pub use timer::TimerState;
