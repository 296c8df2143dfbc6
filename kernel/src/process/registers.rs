//! The registers of a thread.
//!
//! They belong to the thread's future, which lends them by `&mut` to whatever runs on its behalf:
//! user mode, a system call, the delivery of a signal.

use crate::arch::{FpuState, UserContext};
use crate::memory::OutOfMemory;

/// The registers of a thread in user mode.
pub struct Registers {
    /// The general registers and the segment bases.
    pub user: UserContext,
    /// The FPU's.
    pub(super) fpu: FpuState,
}

impl Registers {
    /// Those of a thread that has not begun.
    pub(super) fn new() -> Result<Registers, OutOfMemory> {
        Ok(Registers {
            user: UserContext::new(0, 0),
            fpu: FpuState::new().ok_or(OutOfMemory)?,
        })
    }

    /// A copy for a child.
    pub(super) fn copy(&mut self) -> Result<Registers, OutOfMemory> {
        Ok(Registers {
            fpu: self.fpu.copy().ok_or(OutOfMemory)?,
            user: self.user.clone(),
        })
    }

    /// Those of a program at its first instruction.
    pub(super) fn reset(&mut self, entry: usize, stack_pointer: usize) {
        self.user = UserContext::new(entry, stack_pointer);
        self.fpu.reset();
    }
}
