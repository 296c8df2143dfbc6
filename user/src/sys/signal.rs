//! Signals: names, dispositions without handlers, the mask.

use core::fmt;
use core::mem::size_of;

use linux_raw_sys::general::{
    self, __NR_rt_sigaction, __NR_rt_sigprocmask, SIG_BLOCK, SIG_SETMASK, kernel_sigset_t,
};

use super::Result;
use super::raw::syscall;

/// A signal's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(pub i32);

macro_rules! signals {
    ($($name:ident $text:literal,)*) => {
        impl Signal {
            $(pub const $name: Self = Self(general::$name as i32);)*

            /// By its name without `SIG`.
            pub fn by_name(name: &[u8]) -> Option<Self> {
                [$((stringify!($name), Self::$name)),*]
                    .into_iter()
                    .find(|(known, _)| known.as_bytes().strip_prefix(b"SIG") == Some(name))
                    .map(|(_, signal)| signal)
            }
        }

        impl fmt::Display for Signal {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str($text),)*
                    Self(number) => write!(f, "Signal {number}"),
                }
            }
        }
    };
}

signals! {
    SIGHUP "Hangup",
    SIGINT "Interrupt",
    SIGQUIT "Quit",
    SIGILL "Illegal instruction",
    SIGTRAP "Trace/breakpoint trap",
    SIGABRT "Aborted",
    SIGBUS "Bus error",
    SIGFPE "Floating point exception",
    SIGKILL "Killed",
    SIGUSR1 "User defined signal 1",
    SIGSEGV "Segmentation fault",
    SIGUSR2 "User defined signal 2",
    SIGPIPE "Broken pipe",
    SIGALRM "Alarm clock",
    SIGTERM "Terminated",
    SIGCHLD "Child exited",
    SIGCONT "Continued",
    SIGSTOP "Stopped (signal)",
    SIGURG "Urgent I/O condition",
    SIGSYS "Bad system call",
}

/// What happens when a signal comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    Default,
    Ignore,
    /// A handler at that address: see [`super::handler`].
    Handler(usize),
}

/// The kernel's `struct sigaction`, the handler as a plain number.
#[repr(C)]
#[derive(Default)]
pub(super) struct Action {
    pub(super) handler: usize,
    pub(super) flags: u64,
    pub(super) restorer: usize,
    pub(super) mask: u64,
}

const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

/// Sets a disposition and returns the one before.
pub fn set_disposition(signal: Signal, disposition: Disposition) -> Result<Disposition> {
    let handler = match disposition {
        Disposition::Default => SIG_DFL,
        Disposition::Ignore => SIG_IGN,
        Disposition::Handler(address) => address,
    };
    let new = Action {
        handler,
        ..Action::default()
    };
    let mut old = Action::default();
    syscall!(
        __NR_rt_sigaction,
        signal.0,
        &raw const new,
        &raw mut old,
        size_of::<kernel_sigset_t>()
    )?;
    Ok(match old.handler {
        SIG_DFL => Disposition::Default,
        SIG_IGN => Disposition::Ignore,
        address => Disposition::Handler(address),
    })
}

/// Undoes what the starter of the program has left: a shell's background job ignores some
/// signals, one under `nohup` another, and the mask is inherited as well.
pub fn set_all_to_default() {
    for number in 1..=64 {
        // Refused for those that are always at their default (man 2 sigaction).
        let _ = set_disposition(Signal(number), Disposition::Default);
    }
    let _ = set_mask(SignalSet(0));
}

/// A set of signals, one bit each, signal 1 the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(pub u64);

impl SignalSet {
    pub const fn of(signal: Signal) -> Self {
        Self(1 << (signal.0 - 1))
    }
}

/// Blocks these in addition and returns the mask before.
pub fn block(set: SignalSet) -> Result<SignalSet> {
    change_mask(SIG_BLOCK, set)
}

pub fn set_mask(set: SignalSet) -> Result<SignalSet> {
    change_mask(SIG_SETMASK, set)
}

fn change_mask(how: u32, set: SignalSet) -> Result<SignalSet> {
    let mut old = 0u64;
    syscall!(
        __NR_rt_sigprocmask,
        how,
        &raw const set.0,
        &raw mut old,
        size_of::<kernel_sigset_t>()
    )?;
    Ok(SignalSet(old))
}
