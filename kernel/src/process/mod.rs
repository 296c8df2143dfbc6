//! Processes and threads.
//!
//! In reading order: [`Process`] (`state`) is what a process owns, [`Thread`] and [`Tcb`] are
//! what runs in it, and `thread_group` keeps a process's threads together to their end; `run`
//! is the future that a thread is; `fork` (with `spawn_guard`) makes processes and threads, `exec`
//! replaces programs, `exit` ends processes and waits for them; `futex` is how threads wait for
//! each other; `signal` is how they are told of things, and ended from outside; `ids` numbers
//! and finds them; `limits` are what each may use; `procfs` shows them; `fail_nth` lets
//! allocations fail for tests.

mod elf;
mod exception;
mod exec;
mod exit;
mod fail_nth;
mod fork;
pub mod futex;
mod ids;
mod init;
mod limits;
mod procfs;
mod registers;
mod run;
mod signal;
mod spawn_guard;
mod stack;
mod state;
mod thread;
mod thread_group;

pub use exec::{ExecError, Program, exec};
pub use exit::{ChildReport, End, ExitStatus, Selector, WaitOptions, wait};
pub use fail_nth::allow_failing;
pub use fork::{ForkError, ForkRequest, add_thread, fork};
pub use ids::{Pid, any, count as process_count, find, find_thread};
pub use init::{end_all, start_init};
pub use limits::Limit;
pub use procfs::attach as attach_procfs;
pub use registers::Registers;
pub use run::Outcome;
pub use signal::{
    Action, Continuation, Disposition, QueueFull, SigInfo, Signal, TimerState, send, send_to_all,
    send_to_group,
};
pub use spawn_guard::Beginning;
pub use state::Process;
pub use thread::{Name as ThreadName, Tcb, Thread};

/// Makes what all processes share. Called once, when there is a heap.
pub fn init() {
    futex::init();
}
