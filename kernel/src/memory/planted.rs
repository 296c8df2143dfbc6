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
    /// A call that has taken rights away, and no references, does not flush (rules M3, M5).
    NotFlushed(Call),
    /// A call does not wait until the other CPUs have forgotten (rules M2, M3, M5).
    NotAwaited(Call),
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
    /// The copy of a leaf table keeps the accessed bits, so that no shootdown is ever spared.
    AccessedKept,
    /// A copied leaf table counts as tracked while other CPUs may have translations from the original
    /// (rule M4).
    TrackedBeforeAcks,
    /// A leaf table counts as tracked after a flush of one page of it (rule M4).
    TrackedByOnePage,
    /// A page is replaced without a shootdown although a CPU has set the accessed bit (rules M2, M4).
    AccessedIgnored,
    /// The kernel uses a page of a program without setting the accessed bit (rule M2).
    KernelLeavesNoTrace,
    /// What a killed thread has unmapped is handed out while its shootdown is under way
    /// (rule M5).
    RangeReusedBeforeAcks,
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

/// A call to which a fault can be confined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(
    not(all(test, not(loom))),
    allow(dead_code, reason = "the simulation names the calls")
)]
pub(super) enum Call {
    Fork,
    Unmap,
    Protect,
    Move,
}

/// Whether the fault is planted.
#[cfg(not(test))]
pub(super) const fn planted(_fault: Planted) -> bool {
    false
}

/// Whether the fault is planted in the call that this CPU is doing. All calls that change entries
/// flush and wait by the same two functions, and those ask.
#[cfg(not(test))]
pub(super) const fn planted_in_call(_fault: fn(Call) -> Planted) -> bool {
    false
}

#[cfg(all(test, not(loom)))]
pub(super) use for_tests::during;
#[cfg(test)]
pub(super) use for_tests::{plant, planted, planted_in_call};

#[cfg(test)]
mod for_tests {
    use super::{Call, Planted};
    use crate::arch::{self, MAX_CPUS};
    use core::cell::Cell;

    thread_local! {
        // Tests run side by side, each on a thread of its own.
        static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
        // What each simulated CPU is doing.
        static CALLS: [Cell<Option<Call>>; MAX_CPUS] = const { [const { Cell::new(None) }; MAX_CPUS] };
    }

    pub(in crate::memory) fn planted(fault: Planted) -> bool {
        PLANTED.get() == Some(fault)
    }

    pub(in crate::memory) fn planted_in_call(fault: fn(Call) -> Planted) -> bool {
        PLANTED.get().is_some()
            && CALLS
                .with(|calls| calls[arch::cpu().0].get())
                .is_some_and(|call| planted(fault(call)))
    }

    /// Does the work of a call: each poll of it is one in which a CPU is doing that call.
    #[cfg(not(loom))]
    pub(in crate::memory) async fn during<T>(
        call: Option<Call>,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = core::pin::pin!(work);
        core::future::poll_fn(|context| {
            let cpu = arch::cpu().0;
            CALLS.with(|calls| calls[cpu].set(call));
            let polled = work.as_mut().poll(context);
            CALLS.with(|calls| calls[cpu].set(None));
            polled
        })
        .await
    }

    /// Plants a fault for this thread, or none.
    pub(in crate::memory) fn plant(fault: Option<Planted>) {
        PLANTED.set(fault);
    }
}
