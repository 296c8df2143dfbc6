//! Faults on purpose: each breaks one rule of the memory system at the place that upholds
//! it. Tests plant one and show that the simulation finds it; without that, a simulation
//! that finds nothing says nothing. In the kernel itself there are none.

/// A fault that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Planted {
    /// A copied table takes no reference to one of its children (rule M1).
    UncountedChild,
    /// References are dropped before the other CPUs have forgotten (rule M2).
    DroppedBeforeAcks,
    /// Fork leaves writable translations in the TLBs (rule M3).
    ForkWithoutFlush,
    /// Fork does not wait until all CPUs have forgotten (rule M3).
    ForkWithoutWaiting,
    /// Fork copies pages eagerly before all CPUs have acknowledged that they cannot write them (rule M3).
    EagerCowBeforeAcks,
    /// The copier of a table clears the writable bits of the original before its compare-and-exchange,
    /// when another thread may have reused the original (rule M3).
    ProtectedBeforeWon,
    /// A copy is writable at once (rule M4).
    WritableBeforeAcks,
    /// A page that is not shared any more is reused while a shootdown for it may be on its way
    /// (rule M4).
    HastyReuse,
    /// A copied leaf table counts as tracked while other CPUs may have translations from the original
    /// (rule M4).
    TrackedBeforeAcks,
    /// A leaf table counts as tracked after a flush of one page of it (rule M4).
    TrackedByOnePage,
    /// A page is replaced without a shootdown although a CPU has set the accessed bit (rules M2, M4).
    AccessedIgnored,
    /// The kernel uses a page of a program without setting the accessed bit (rule M2).
    KernelLeavesNoTrace,
    /// munmap does not wait for the other CPUs (rule M5).
    UnmapWithoutWaiting,
    /// mprotect does not flush (rule M5).
    ProtectWithoutFlush,
    /// What a killed thread has unmapped is handed out while its shootdown is under way
    /// (rule M5).
    RangeReusedBeforeAcks,
    /// mremap does not wait until the old place is forgotten (rules M2, M5).
    MoveWithoutWaiting,
    /// A CPU loads CR3 before it enters the set of active CPUs (rule M6).
    LateEntry,
    /// A CPU that comes back keeps what it had under the PCID (rule M6).
    GenerationNotCompared,
    /// The interrupt for a request is not sent (rule M7).
    LostIpi,
    /// Of two requests to a CPU that looks just then one is lost (rule M7).
    SendersClearedLate,
    /// A copy keeps what its frame held before (rule M9).
    NotFilled,
    /// Fresh memory keeps what its frame held before (rule M9).
    NotZeroed,
}

/// Whether the fault is planted.
#[cfg(not(test))]
pub(super) const fn planted(_fault: Planted) -> bool {
    false
}

#[cfg(test)]
pub(super) use for_tests::{plant, planted};

#[cfg(test)]
mod for_tests {
    use super::Planted;
    use core::cell::Cell;

    thread_local! {
        // Tests run side by side, each on a thread of its own.
        static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    pub(in crate::memory) fn planted(fault: Planted) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Plants a fault for this thread, or none.
    pub(in crate::memory) fn plant(fault: Option<Planted>) {
        PLANTED.set(fault);
    }
}
