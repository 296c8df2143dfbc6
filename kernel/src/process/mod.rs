//! Processes and threads.
//!
//! In reading order:
//!
//! 1. [`Process`] (`state`) is what a process owns, with `family` (parent and children),
//!    `thread_group` (its threads), `rlimit`, `credentials`, `attributes` and `signal::state`.
//!    [`Thread`] and [`Tcb`] are a thread in it, with its [`Registers`]. These files import no other
//!    of this folder but each other and what is data only; all below stands above them.
//! 2. `run` is the future of a thread. It calls the system calls, which return an [`Outcome`], and
//!    `exception` turns faults into signals. Threads are started by `spawn_guard`, which gets the
//!    function from `run` at the start of the kernel: so fork, which is a call, does not import `run`.
//! 3. `init` makes the first process; `fork` makes processes and threads; `exec` (with `elf` and
//!    `stack`) replaces programs; `exit` ends threads and processes and waits for them.
//! 4. `futex` is how threads wait for each other; `signal` is how they are notified and ended; `ids`
//!    is the table of pids; `priority` is how a thread is scheduled; `limits` changes resource limits, `user` counts for those of a user;
//!    `job_control` keeps the background off the terminal; `usage` is what threads have used.
//! 5. `oom` chooses what is killed when memory runs out, `overcommit` how much is promised; `procfs` is
//!    `/proc`; `fail_nth` injects allocation failures for tests.

mod access;
mod attributes;
mod credentials;
mod elf;
mod exception;
mod exec;
mod exec_error;
mod executable;
mod exit;
mod exit_status;
mod fail_counts;
mod fail_nth;
mod family;
mod files;
mod fork;
pub mod futex;
mod ids;
mod init;
mod job_control;
mod limits;
mod oom;
mod outcome;
pub mod overcommit;
mod pid;
mod pidfd;
mod priority;
mod procfs;
mod registers;
mod rlimit;
pub mod run;
mod signal;
mod spawn_guard;
mod stack;
mod state;
mod thread;
mod thread_group;
mod usage;
mod user;

pub use access::may_access;
pub use credentials::{ALL_CAPABILITIES, Capabilities, Capability, Credentials, IdChange, IdSet};
pub use exec::{ExecError, Program, exec};
pub use exit::{ChildKind, ChildReport, Selector, WaitOptions, wait};
pub use exit_status::{End, ExitStatus};
pub use fail_nth::allow_failing;
pub use fork::{ForkError, ForkRequest, add_thread, fork};
pub use ids::{Pid, any, count as process_count, find, find_thread, next, next_thread_of};
pub use init::{NOT_STARTED, end_all, start_init};
pub use job_control::{
    TerminalUse, check_foreground, give_up_terminal, has_terminal, session_of, set_foreground,
    signal_by_terminal, take_terminal,
};
pub use outcome::Outcome;
pub use pidfd::PidFd;
pub use priority::{HIGHEST as HIGHEST_PRIORITY, Policy, Priority};
pub use procfs::attach as attach_procfs;
pub use registers::Registers;
pub use rlimit::Limit;
pub use signal::{
    Action, Continuation, Disposition, QueueFull, Sent, SigInfo, Signal, TimerState, may_signal,
    send, send_to_all, send_to_group,
};
pub use spawn_guard::Beginning;
pub use state::Process;
pub use thread::{Name as ThreadName, Tcb, Thread};
pub use usage::Usage;

/// Makes what all processes share. Called once, when there is a heap.
pub fn init() {
    futex::init();
    crate::memory::set_next_space(|after| {
        let process = ids::next(Pid(after))?;
        Some((process.pid.0, process.space()))
    });
    usage::init();
}
