//! A thread that others can see and that does not run yet: the part that `fork` and the making
//! of a thread have in common.

use super::run::{self, NotStarted};
use super::thread::{Tcb, Thread};
use crate::arch::{FpuState, UserContext};
use crate::memory::{AddressSpace, OutOfMemory};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// How a new thread begins, where that is not as its maker goes on (clone(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beginning {
    /// Its stack pointer.
    pub stack: Option<usize>,
    /// Its thread pointer (`CLONE_SETTLS`).
    pub tls: Option<usize>,
    /// Where its maker gets its number (`CLONE_PARENT_SETTID`).
    pub parent_tid: Option<usize>,
    /// Where it gets its number itself (`CLONE_CHILD_SETTID`).
    pub child_tid: Option<usize>,
    /// Where a zero is written when it ends (`CLONE_CHILD_CLEARTID`).
    pub clear_tid: Option<usize>,
}

/// The registers of a new thread, which are there before anybody can see it.
pub(super) struct Registers {
    user: Box<UserContext>,
    fpu: FpuState,
}

impl Registers {
    /// Those of its maker, which made it by a system call that returns 0 to it.
    pub(super) fn copy(
        maker: &Thread,
        user: &UserContext,
        beginning: &Beginning,
    ) -> Result<Registers, OutOfMemory> {
        let fpu = maker.fpu.lock().copy().ok_or(OutOfMemory)?;
        let mut user = Box::new(user.clone());
        user.set_result(0);
        if let Some(stack) = beginning.stack {
            user.set_sp(stack);
        }
        if let Some(tls) = beginning.tls {
            user.set_tls(tls);
        }
        Ok(Registers { user, fpu })
    }
}

/// It is started when this is dropped: also when its maker is killed while it waits, for a
/// thread that never runs would never end either.
pub(super) struct Newborn {
    parts: Option<(Thread, Box<UserContext>)>,
    child_tid: Option<usize>,
}

impl Newborn {
    pub(super) fn new(
        tcb: Arc<Tcb>,
        space: Arc<AddressSpace>,
        registers: Registers,
        beginning: &Beginning,
    ) -> Newborn {
        let thread = Thread::new(tcb, space, registers.fpu);
        let clear_tid = beginning.clear_tid.unwrap_or(0);
        thread.clear_tid.store(clear_tid, Ordering::Relaxed);
        Newborn {
            parts: Some((thread, registers.user)),
            child_tid: beginning.child_tid,
        }
    }

    /// Starts it now, and says whether there was memory for that.
    pub(super) fn start(mut self) -> Result<(), NotStarted> {
        self.start_once()
    }

    fn start_once(&mut self) -> Result<(), NotStarted> {
        match self.parts.take() {
            Some((thread, user)) => run::start(thread, user, self.child_tid),
            None => Ok(()),
        }
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        // Without memory it has ended again, and there is nobody to tell.
        let _ = self.start_once();
    }
}
