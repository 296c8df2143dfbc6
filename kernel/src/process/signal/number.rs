//! The numbers of signals, sets of them, and what each does by default (signal(7)).

use core::fmt;
use linux_raw_sys::general as linux;

/// A signal, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(u8);

#[allow(missing_docs)] // Each is described in signal(7).
impl Signal {
    pub const HUP: Signal = Signal(linux::SIGHUP as u8);
    pub const ILL: Signal = Signal(linux::SIGILL as u8);
    pub const TRAP: Signal = Signal(linux::SIGTRAP as u8);
    pub const BUS: Signal = Signal(linux::SIGBUS as u8);
    pub const FPE: Signal = Signal(linux::SIGFPE as u8);
    pub const KILL: Signal = Signal(linux::SIGKILL as u8);
    pub const SEGV: Signal = Signal(linux::SIGSEGV as u8);
    pub const PIPE: Signal = Signal(linux::SIGPIPE as u8);
    pub const ALRM: Signal = Signal(linux::SIGALRM as u8);
    pub const XCPU: Signal = Signal(linux::SIGXCPU as u8);
    pub const VTALRM: Signal = Signal(linux::SIGVTALRM as u8);
    pub const PROF: Signal = Signal(linux::SIGPROF as u8);
    pub const CHLD: Signal = Signal(linux::SIGCHLD as u8);
    pub const CONT: Signal = Signal(linux::SIGCONT as u8);
    pub const STOP: Signal = Signal(linux::SIGSTOP as u8);
    pub const TTIN: Signal = Signal(linux::SIGTTIN as u8);
    pub const TTOU: Signal = Signal(linux::SIGTTOU as u8);
}

/// A set of signals, one bit each, signal 1 the lowest.
pub(super) type Set = u64;

const fn set(signals: &[u32]) -> Set {
    let mut set = 0;
    let mut index = 0;
    while index < signals.len() {
        set |= 1 << (signals[index] - 1);
        index += 1;
    }
    set
}

/// These cannot be blocked, ignored or caught.
pub(super) const UNSTOPPABLE: Set = set(&[linux::SIGKILL, linux::SIGSTOP]);
/// Those that stop by default. `SIGCONT` removes them where they are pending.
pub(super) const STOPPING: Set = set(&[
    linux::SIGSTOP,
    linux::SIGTSTP,
    linux::SIGTTIN,
    linux::SIGTTOU,
]);
/// Those that do nothing by default. `SIGCONT` has acted when it was sent.
const HARMLESS: Set = set(&[
    linux::SIGCHLD,
    linux::SIGURG,
    linux::SIGWINCH,
    linux::SIGCONT,
]);
/// Those that a program causes by its own instruction. They are taken before others.
pub(super) const SYNCHRONOUS: Set = set(&[
    linux::SIGSEGV,
    linux::SIGBUS,
    linux::SIGILL,
    linux::SIGTRAP,
    linux::SIGFPE,
    linux::SIGSYS,
]);
/// Those that end the process by default.
pub(super) const TERMINATING: Set = !(HARMLESS | STOPPING);

/// What a signal does by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DefaultAction {
    Terminate,
    Ignore,
    Stop,
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

    /// Its place in a table.
    pub(super) fn index(self) -> usize {
        usize::from(self.0 - 1)
    }

    /// Whether each instance is queued: 32 to 64.
    pub(super) fn is_real_time(self) -> bool {
        self.number() >= linux::SIGRTMIN
    }

    pub(super) fn default_action(self) -> DefaultAction {
        match self.bit() {
            bit if bit & HARMLESS != 0 => DefaultAction::Ignore,
            bit if bit & STOPPING != 0 => DefaultAction::Stop,
            _ => DefaultAction::Terminate,
        }
    }

    /// The one of a set that is taken first: `SIGKILL`, then a synchronous one, then the lowest
    /// number.
    pub(super) fn first_of(set: Set) -> Option<Signal> {
        let first = [set & Signal::KILL.bit(), set & SYNCHRONOUS, set]
            .into_iter()
            .find(|&set| set != 0)?;
        Some(Signal(first.trailing_zeros() as u8 + 1))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.0)
    }
}
