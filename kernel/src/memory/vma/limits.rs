//! How much a program may map (setrlimit(2)).
//!
//! The limits are those of a process; its address space has a copy, so that a fault, which
//! may make a stack grow, need not know of processes.

use crate::arch::FRAME_SIZE;
use crate::memory::vma::map::Totals;

/// Limits on an address space, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// All VMAs together (`RLIMIT_AS`).
    pub address_space: usize,
    /// Private memory that may be written, but for stacks (`RLIMIT_DATA`).
    pub data: usize,
    /// Each VMA that grows (`RLIMIT_STACK`).
    pub stack: usize,
}

impl Limits {
    /// The limits of a program for which none were set, as on Linux.
    pub const USUAL: Limits = Limits {
        address_space: usize::MAX,
        data: usize::MAX,
        stack: 8 << 20,
    };

    /// Whether there may be `more` pages besides those that are there.
    pub(in crate::memory) fn allow(&self, there: Totals, more: Totals) -> bool {
        let total = there.plus(more);
        total.all <= self.address_space / FRAME_SIZE
            && (more.data == 0 || total.data <= self.data / FRAME_SIZE)
    }
}
