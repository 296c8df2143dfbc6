//! Small properties of a process that prctl(2) and clone(2) set.

use super::signal::number::Signal;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The properties. Relaxed throughout: each stands for itself.
pub struct Attributes {
    /// `PR_SET_DUMPABLE`.
    pub dumpable: AtomicBool,
    /// The signal that it gets when its parent ends (`PR_SET_PDEATHSIG`); 0 is none.
    pub death_signal: AtomicU32,
    /// The orphans among its descendants become its children (`PR_SET_CHILD_SUBREAPER`).
    pub reaps_orphans: AtomicBool,
    /// It has called `execve` since it was made.
    pub(super) has_executed: AtomicBool,
    /// The signal that its parent gets when it ends (clone(2)); 0 is none.
    exit_signal: AtomicU32,
}

impl Attributes {
    /// Those of a new process that ends with this signal.
    pub(super) fn new(exit_signal: Option<Signal>) -> Attributes {
        Attributes {
            dumpable: AtomicBool::new(true),
            death_signal: AtomicU32::new(0),
            reaps_orphans: AtomicBool::new(false),
            has_executed: AtomicBool::new(false),
            exit_signal: AtomicU32::new(exit_signal.map_or(0, Signal::number)),
        }
    }

    /// Becomes what a new program has (execve(2)).
    pub(super) fn exec(&self) {
        self.has_executed.store(true, Ordering::Relaxed);
        self.dumpable.store(true, Ordering::Relaxed);
        self.set_usual_exit_signal();
    }

    /// Its parent gets `SIGCHLD` from now on.
    pub(super) fn set_usual_exit_signal(&self) {
        let usual = Signal::CHLD.number();
        self.exit_signal.store(usual, Ordering::Relaxed);
    }

    /// The signal that it gets when its parent ends.
    pub(super) fn death_signal(&self) -> Option<Signal> {
        Signal::new(self.death_signal.load(Ordering::Relaxed) as usize)
    }

    /// The signal that its parent gets when it ends.
    pub(super) fn exit_signal(&self) -> Option<Signal> {
        Signal::new(self.exit_signal.load(Ordering::Relaxed) as usize)
    }
}
