//! Signals, as far as their default actions go: ending, stopping, continuing, ignoring. A
//! program can ignore a signal and hold it back, but has no handlers yet.
//!
//! A signal is pending in its process until the thread takes it, which it does before it
//! enters user mode. A system call that waits is given up when a signal is pending that
//! ends the process.

use super::exit::ExitStatus;
use super::ids::{self, Pid};
use super::state::Process;
use super::thread::Thread;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as linux;

/// A signal, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(u8);

#[allow(missing_docs)] // Each is described in signal(7).
impl Signal {
    pub const ILL: Signal = Signal(linux::SIGILL as u8);
    pub const TRAP: Signal = Signal(linux::SIGTRAP as u8);
    pub const BUS: Signal = Signal(linux::SIGBUS as u8);
    pub const FPE: Signal = Signal(linux::SIGFPE as u8);
    pub const KILL: Signal = Signal(linux::SIGKILL as u8);
    pub const SEGV: Signal = Signal(linux::SIGSEGV as u8);
    pub const PIPE: Signal = Signal(linux::SIGPIPE as u8);
    pub const CHLD: Signal = Signal(linux::SIGCHLD as u8);
    pub const CONT: Signal = Signal(linux::SIGCONT as u8);
    pub const STOP: Signal = Signal(linux::SIGSTOP as u8);
}

/// What a signal does by default (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Terminate,
    Ignore,
    Stop,
    Continue,
}

impl Signal {
    /// The signal with this number.
    pub fn new(number: usize) -> Option<Signal> {
        (1..=64).contains(&number).then_some(Signal(number as u8))
    }

    /// The number, 1 to 64.
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }

    /// Its bit in a mask.
    pub fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    fn default_action(self) -> Action {
        match self.number() {
            linux::SIGCHLD | linux::SIGURG | linux::SIGWINCH => Action::Ignore,
            linux::SIGCONT => Action::Continue,
            linux::SIGSTOP | linux::SIGTSTP | linux::SIGTTIN | linux::SIGTTOU => Action::Stop,
            _ => Action::Terminate,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.0)
    }
}

/// What a program wants done with a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The default (`SIG_DFL`).
    Default,
    /// Nothing (`SIG_IGN`).
    Ignore,
}

/// Nobody can hold these back or ignore them.
const UNSTOPPABLE: u64 = (1 << (linux::SIGKILL - 1)) | (1 << (linux::SIGSTOP - 1));

/// Those that stop by default, which `SIGCONT` takes back if they are still pending.
const STOPPING: u64 = (1 << (linux::SIGSTOP - 1))
    | (1 << (linux::SIGTSTP - 1))
    | (1 << (linux::SIGTTIN - 1))
    | (1 << (linux::SIGTTOU - 1));
/// `SIGCONT` acts when it is sent and is never pending. Its bit among the pending signals
/// says that the process is stopped: so that taking a signal that stops, and continuing,
/// are each one step, and the later one counts.
const STOPPED: u64 = 1 << (linux::SIGCONT - 1);

/// The signals of a process.
pub(super) struct Signals {
    /// A bit for each signal that was sent and not taken, and [`STOPPED`].
    pending: AtomicU64,
    ignored: AtomicU64,
}

impl Signals {
    pub(super) fn new(ignored: u64) -> Signals {
        Signals {
            pending: AtomicU64::new(0),
            ignored: AtomicU64::new(ignored),
        }
    }

    pub(super) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Whether dead children are forgotten at once.
    pub(super) fn reaps_children(&self) -> bool {
        self.ignored() & Signal::CHLD.bit() != 0
    }

    fn deliverable(&self, blocked: u64) -> u64 {
        self.pending.load(Ordering::Acquire) & !(blocked & !UNSTOPPABLE) & !STOPPED
    }

    fn is_stopped(&self) -> bool {
        self.pending.load(Ordering::Acquire) & STOPPED != 0
    }

    /// Takes a pending signal; one that stops leaves the process stopped. Says whether it
    /// was still there.
    fn take(&self, signal: Signal) -> bool {
        let taken = self
            .pending
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |pending| {
                let left = pending & !signal.bit();
                match pending & signal.bit() & STOPPING {
                    _ if left == pending => None,
                    0 => Some(left),
                    _ => Some(left | STOPPED),
                }
            });
        taken.is_ok()
    }
}

impl Process {
    /// What is to be done with the signal.
    pub fn disposition(&self, signal: Signal) -> Disposition {
        match self.signals.ignored() & signal.bit() {
            0 => Disposition::Default,
            _ => Disposition::Ignore,
        }
    }

    /// Changes what is to be done with the signal. Not for `SIGKILL` and `SIGSTOP`.
    pub fn set_disposition(&self, signal: Signal, disposition: Disposition) {
        let bit = signal.bit() & !UNSTOPPABLE;
        match disposition {
            Disposition::Default => self.signals.ignored.fetch_and(!bit, Ordering::Relaxed),
            Disposition::Ignore => {
                let taken_back = bit & !STOPPED;
                self.signals
                    .pending
                    .fetch_and(!taken_back, Ordering::Relaxed);
                self.signals.ignored.fetch_or(bit, Ordering::Relaxed)
            }
        };
    }

    /// The set of signals that are ignored.
    pub fn ignored(&self) -> u64 {
        self.signals.ignored()
    }

    /// Whether it was stopped and not continued.
    pub fn is_stopped(&self) -> bool {
        self.signals.is_stopped()
    }

    /// Signals that have been sent and not taken.
    pub fn pending(&self) -> u64 {
        self.signals.pending.load(Ordering::Relaxed) & !STOPPED
    }
}

/// Sends a signal to a process. To a zombie it does nothing.
pub fn send(process: &Process, signal: Signal) {
    let signals = &process.signals;
    let action = signal.default_action();
    if action == Action::Continue {
        // What would stop it is forgotten, if it was sent before (signal(7)).
        signals
            .pending
            .fetch_and(!(STOPPING | STOPPED), Ordering::AcqRel);
        process.threads.alert();
        return;
    }
    let ignored = process.disposition(signal) == Disposition::Ignore || action == Action::Ignore;
    // Init gets only what it has asked for, which without handlers is nothing (signal(7),
    // kill(2)).
    if ignored || process.pid == Pid::INIT {
        return;
    }
    post(process, signal);
}

/// Sends a signal that nobody can ignore, not even init: the kernel's own.
pub(super) fn post(process: &Process, signal: Signal) {
    // Release: pairs with the Acquire in `deliverable`.
    process
        .signals
        .pending
        .fetch_or(signal.bit(), Ordering::AcqRel);
    process.threads.alert();
}

/// Sends a signal, if any, to all processes of a group, also to those that are being made.
/// Says whether there were any.
pub fn send_to_group(group: u32, signal: Option<Signal>) -> bool {
    send_to_many(signal, |process| {
        process.group.load(Ordering::Relaxed) == group
    })
}

/// The same for all processes but init and this one.
pub fn send_to_all(but: Pid, signal: Option<Signal>) -> bool {
    send_to_many(signal, |process| {
        process.pid != but && process.pid != Pid::INIT
    })
}

fn send_to_many(signal: Option<Signal>, selected: impl Fn(&Process) -> bool) -> bool {
    let mut any = false;
    ids::for_each(|process| {
        if selected(process) {
            any = true;
            if let Some(signal) = signal {
                send(process, signal);
            }
        }
    });
    any
}

impl Thread {
    fn deliverable(&self) -> u64 {
        let blocked = self.tcb().blocked.load(Ordering::Relaxed);
        self.process().signals.deliverable(blocked)
    }

    /// Takes what is pending: says how the process ends if it does, and waits while it is
    /// stopped, unless the thread has to end.
    ///
    /// A signal that ends the process stays pending, so that the other threads see it, too,
    /// until they see that they are doomed.
    pub(super) async fn take_signals(&self) -> Option<ExitStatus> {
        let signals = &self.process().signals;
        loop {
            let deliverable = self.deliverable();
            if deliverable != 0 {
                // SIGKILL before all others; then the lowest number.
                let next = match deliverable & Signal::KILL.bit() {
                    0 => Signal(deliverable.trailing_zeros() as u8 + 1),
                    _ => Signal::KILL,
                };
                if next.default_action() == Action::Terminate {
                    return Some(ExitStatus::Signal(next));
                }
                signals.take(next);
                continue;
            }
            if !signals.is_stopped() {
                return None;
            }
            let kill = Signal::KILL.bit();
            self.tcb()
                .attend(|| {
                    let goes_on = !signals.is_stopped()
                        || signals.pending.load(Ordering::Acquire) & kill != 0
                        || self.tcb().is_doomed();
                    goes_on.then_some(())
                })
                .await;
            if self.tcb().is_doomed() {
                return None;
            }
        }
    }

    /// Whether anything has to be taken before user mode is entered. Two loads.
    pub(super) fn has_signals(&self) -> bool {
        self.deliverable() != 0 || self.process().signals.is_stopped()
    }

    /// Waits until the thread has to end.
    pub(super) async fn must_end(&self) {
        self.tcb().attend(|| self.has_to_end().then_some(())).await;
    }

    /// Whether the thread has to end: somebody has decided so, or there is a signal to be
    /// taken that ends the process.
    pub(super) fn has_to_end(&self) -> bool {
        if self.tcb().is_doomed() {
            return true;
        }
        let mut deliverable = self.deliverable();
        while deliverable != 0 {
            let signal = Signal(deliverable.trailing_zeros() as u8 + 1);
            if signal.default_action() == Action::Terminate {
                return true;
            }
            deliverable &= deliverable - 1;
        }
        false
    }
}

/// Ends everybody but init: the machine is about to stop.
pub(super) fn kill_all() {
    ids::for_each(|process| {
        if process.pid != Pid::INIT {
            post(process, Signal::KILL);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: u32) -> Signal {
        Signal::new(number as usize).unwrap()
    }

    fn sent(signals: &Signals, signal: Signal) {
        signals.pending.fetch_or(signal.bit(), Ordering::AcqRel);
    }

    #[test]
    fn a_signal_is_taken_once_and_only_some_stop() {
        let signals = Signals::new(0);
        sent(&signals, signal(linux::SIGTERM));
        assert!(signals.take(signal(linux::SIGTERM)) && !signals.is_stopped());
        assert!(!signals.take(signal(linux::SIGTERM)));
        sent(&signals, Signal::STOP);
        assert!(signals.take(Signal::STOP) && signals.is_stopped());
        assert_eq!(signals.deliverable(0), 0, "being stopped is no signal");
    }
}
