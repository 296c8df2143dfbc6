//! Making another CPU look: by an interrupt, or by a state in memory if it waits for that (rule E3).
//!
//! A CPU that halts is woken by an interrupt. That is dear, in a virtual machine most of all, where
//! the host has to wake the thread that plays the CPU. So one that expects something at any moment
//! waits awake for a while ([`poll_until`]), and whoever kicks it meanwhile only writes a state.
//!
//! ```text
//!            begin                  kick
//!   BUSY ------------> POLLING -----------------> WOKEN
//!     ^                  |                        |
//!     +------------------+------------------------+
//!                       end
//! ```
//!
//! Kick and end are read-modify-writes of that state. So a kick is seen by who waits, or it is an
//! interrupt, which stays pending until the CPU halts or enters user mode.

use crate::arch::atomic::{AtomicU32, Ordering};
use crate::arch::{self, CpuId, PerMachine};
use alloc::vec::Vec;
use crossbeam_utils::CachePadded;

/// Only an interrupt reaches the CPU.
const BUSY: u32 = 0;
/// It looks at this state.
const POLLING: u32 = 1;
/// It was kicked while it did.
const WOKEN: u32 = 2;

/// By what a CPU that waits awake is kicked.
pub(crate) struct PollState(AtomicU32);

impl PollState {
    /// One of a CPU that does not wait.
    pub(crate) fn new() -> PollState {
        PollState(AtomicU32::new(BUSY))
    }

    /// The CPU begins to wait. Who does not see it yet sends an interrupt.
    pub(crate) fn begin(&self) {
        self.0.store(POLLING, Ordering::Relaxed);
    }

    /// Whether it may go on waiting.
    pub(crate) fn is_polling(&self) -> bool {
        self.0.load(Ordering::Relaxed) == POLLING
    }

    /// It waits no longer. Says whether it was kicked.
    pub(crate) fn end(&self) -> bool {
        // Acquire: pairs with the Release in `kick`.
        self.0.swap(BUSY, Ordering::Acquire) == WOKEN
    }

    /// Kicks the CPU if it waits. Says whether it does; else it takes an interrupt.
    #[must_use]
    pub(crate) fn try_wake(&self) -> bool {
        // Release: the CPU sees what it is kicked for.
        self.is_polling()
            && self
                .0
                .compare_exchange(POLLING, WOKEN, Ordering::Release, Ordering::Relaxed)
                .is_ok()
    }
}

static STATES: PerMachine<Vec<CachePadded<PollState>>> = PerMachine::new();

/// To be called once, before there is a second CPU.
pub fn init() {
    let state = |_| CachePadded::new(PollState::new());
    STATES.init((0..arch::cpu_count()).map(state).collect());
}

/// Ends user mode, the halt or [`poll_until`] on another CPU, soon. Says whether that took an interrupt.
pub fn wake_cpu(cpu: CpuId) -> bool {
    let waited = STATES.get()[cpu.0].try_wake();
    if !waited {
        arch::send_ipi(cpu);
    }
    !waited
}

/// Waits awake until this CPU is kicked, but not beyond `deadline`. Says whether it was kicked.
pub fn poll_until(deadline: u64) -> bool {
    let state = &STATES.get()[arch::cpu().0];
    state.begin();
    // Without PAUSE: a hypervisor may take that for a reason to stop the CPU, and an emulator leaves
    // its inner loop for it and takes the lock that the kick needs. To read the clock is slow enough.
    while state.is_polling() && arch::clock() < deadline {}
    state.end()
}
