//! How many allocations of a process there are to the one that fails on purpose (`fail_nth`).

use core::sync::atomic::AtomicUsize;

/// How many allocations of a process there are to the one that fails; 0: none does.
#[derive(Default)]
pub(super) struct FailNth {
    calls: AtomicUsize,
    pub(super) faults: AtomicUsize,
}

/// What the process's first thread asks for memory for.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// A system call.
    Call,
    /// A fault of the program.
    Fault,
}

impl FailNth {
    /// Loads and stores of it are relaxed: the thread that a number is for is mostly the one that
    /// writes it.
    pub(super) fn of(&self, cause: Cause) -> &AtomicUsize {
        match cause {
            Cause::Call => &self.calls,
            Cause::Fault => &self.faults,
        }
    }
}
