//! Processes and threads.
//!
//! In reading order: [`Process`] is what a process owns, [`Thread`] what runs in it;
//! `run` is the future that a thread is; `fork` and `exec` make and replace processes,
//! `exit` ends them and waits for them; `signal` is how they are ended from outside;
//! `ids` numbers and finds them; `procfs` shows them.

mod elf;
mod exec;
mod exit;
mod fork;
mod ids;
mod procfs;
mod run;
mod signal;
mod stack;
mod thread;

pub use exec::{ExecError, exec};
pub use exit::{ExitStatus, Reaped, Selector, wait};
pub use fork::{ForkError, ForkRequest, fork};
pub use ids::{Pid, any, count as process_count, find};
pub use procfs::attach as attach_procfs;
pub use run::{Outcome, end_all, start_init};
pub use signal::{Disposition, Signal, send, send_to_all, send_to_group};
pub use thread::{Process, Thread};
