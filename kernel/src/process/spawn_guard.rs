//! A thread that other tasks can find and that does not run yet: the part that `fork` and the
//! making of a thread have in common.

use super::registers::Registers;
use super::thread::{Tcb, Thread};
use crate::memory::{AddressSpace, OutOfMemory};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use spin::Once;

/// There is no memory for a thread's task.
pub struct NotStarted;

/// Makes a thread into a task, whose program begins with these registers. The third argument is
/// the address where the thread writes its own number first.
pub type Start = fn(Thread, Registers, Option<usize>) -> Result<(), NotStarted>;

/// The function comes from above: the loop of a thread calls the system calls, and some of these
/// start threads.
static START: Once<Start> = Once::new();

/// Sets how threads are started. Called once, before the first thread is made.
pub(super) fn set_start(start: Start) {
    START.call_once(|| start);
}

/// Starts a thread. See `run::start` for what happens without memory.
pub(super) fn start(
    thread: Thread,
    registers: Registers,
    child_tid: Option<usize>,
) -> Result<(), NotStarted> {
    let start = START.get().expect("set at the start of the kernel");
    start(thread, registers, child_tid)
}

/// How a new thread begins, where that differs from how its maker goes on (clone(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beginning {
    /// Its stack pointer.
    pub stack: Option<usize>,
    /// Its thread pointer (`CLONE_SETTLS`).
    pub tls: Option<usize>,
    /// Where the maker gets the new thread's number (`CLONE_PARENT_SETTID`).
    pub parent_tid: Option<usize>,
    /// Where the new thread gets its own number (`CLONE_CHILD_SETTID`).
    pub child_tid: Option<usize>,
    /// Where a zero is written when the thread ends (`CLONE_CHILD_CLEARTID`).
    pub clear_tid: Option<usize>,
}

impl Beginning {
    /// The registers of the new thread: those of its maker, whose system call returns 0 to the new
    /// thread. They are made before any other task can find the thread.
    pub(super) fn registers(&self, maker: &mut Registers) -> Result<Registers, OutOfMemory> {
        let mut registers = maker.copy()?;
        let user = &mut registers.user;
        user.set_result(0);
        if let Some(stack) = self.stack {
            user.set_sp(stack);
        }
        if let Some(tls) = self.tls {
            user.set_tls(tls);
        }
        Ok(registers)
    }
}

/// A thread that is to be started. Dropping the guard starts it, also when its maker is killed
/// while it waits: a thread that never runs would never end.
pub(super) struct SpawnGuard {
    parts: Option<(Thread, Registers)>,
    child_tid: Option<usize>,
}

impl SpawnGuard {
    pub(super) fn new(
        tcb: Arc<Tcb>,
        space: Arc<AddressSpace>,
        registers: Registers,
        beginning: &Beginning,
    ) -> SpawnGuard {
        let thread = Thread::new(tcb, space);
        let clear_tid = beginning.clear_tid.unwrap_or(0);
        thread.clear_tid.store(clear_tid, Ordering::Relaxed);
        SpawnGuard {
            parts: Some((thread, registers)),
            child_tid: beginning.child_tid,
        }
    }

    /// Starts the thread now, and reports whether there was memory for that.
    pub(super) fn start(mut self) -> Result<(), NotStarted> {
        self.start_once()
    }

    fn start_once(&mut self) -> Result<(), NotStarted> {
        match self.parts.take() {
            Some((thread, registers)) => start(thread, registers, self.child_tid),
            None => Ok(()),
        }
    }
}

impl Drop for SpawnGuard {
    fn drop(&mut self) {
        // Without memory for its task the thread has ended, which its status tells.
        let _ = self.start_once();
    }
}
